//! Tokens in the spelling of RWKV's vocabulary: Python's `repr` of bytes, without the quotes.
//!
//! The published vocabulary is not copied. This one has the same number of tokens: all single bytes, so that any text
//! can be encoded, and pairs of bytes for the rest.

/// 65536 tokens.
pub(crate) fn full() -> Vec<String> {
    let pairs = (0..=u16::MAX).map(|pair| spelling(&pair.to_be_bytes()));
    bytes().into_iter().chain(pairs).take(65_536).collect()
}

/// The end of a text, then the 256 bytes.
pub(crate) fn bytes() -> Vec<String> {
    let bytes = (0..=u8::MAX).map(|byte| spelling(&[byte]));
    std::iter::once("<s>".to_owned()).chain(bytes).collect()
}

/// A token as the file spells it.
pub(crate) fn spelling(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'\t' => "\\t".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b'\'' => "\\'".to_owned(),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    bytes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_are_unique_and_cover_every_byte() {
        let tokens = full();
        assert_eq!((tokens.len(), bytes().len()), (65_536, 257));
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), 65_536);
        assert_eq!([&*tokens[1], &*tokens[1 + 9], &*tokens[1 + 65], &*tokens[256]], ["\\x00", "\\t", "A", "\\xff"]);
        assert_eq!(tokens[257], "\\x00\\x00");
        assert_eq!((spelling(b"'\\\n"), spelling(b"a b")), ("\\'\\\\\\n".to_owned(), "a b".to_owned()));
    }
}
