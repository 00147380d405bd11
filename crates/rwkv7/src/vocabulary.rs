//! The tokenizer: the longest token at each position, as RWKV's vocabularies are used.
//!
//! Tokens are kept in the order of their bytes. The longest token that begins a text is the last one that is not
//! greater than the text, or the longest other token that begins that one, or the longest that begins the latter, and
//! so on: all tokens between a token and a text that it begins also begin with it. So each token keeps the longest
//! other token that it begins with, and encoding is a binary search and a few steps. No tree is built.

use gguf::{Metadata, ValueType};

use crate::error::VocabularyError;

/// `tokenizer.ggml.token_type` of tokens that stand for no text: control tokens and padding.
const NO_TEXT: [u64; 2] = [3, 5];

/// No token.
const NONE: u32 = u32::MAX;

/// A vocabulary of byte strings.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// The bytes of all tokens, one after the other.
    bytes: Vec<u8>,
    /// Where each token begins in `bytes`, and where the last one ends.
    starts: Vec<u32>,
    /// Tokens that encoding may give, by their bytes.
    sorted: Vec<u32>,
    /// For each of these the position in `sorted` of the longest other token that it begins with.
    parents: Vec<u32>,
    /// Where tokens that begin with each byte start in `sorted`, and where the last of them end.
    buckets: Vec<u32>,
    end: Option<u32>,
}

impl Vocabulary {
    /// The vocabulary of a file whose `tokenizer.ggml.model` is `rwkv`: tokens written as Python bytes literals.
    ///
    /// # Errors
    /// [`VocabularyError`] for another kind, a wrong escape, or a byte that is no token: without it some texts could
    /// not be encoded.
    pub fn from_metadata(metadata: Metadata<'_>) -> Result<Self, VocabularyError> {
        let kind = metadata.get("tokenizer.ggml.model").and_then(|value| value.as_str());
        if kind != Some("rwkv") {
            return Err(VocabularyError::Kind { found: kind.unwrap_or("missing").to_owned() });
        }
        let tokens = metadata.get("tokenizer.ggml.tokens").and_then(|value| value.as_array());
        let tokens = tokens.filter(|tokens| tokens.ty() == ValueType::String).ok_or(VocabularyError::Tokens)?;
        let types = metadata.get("tokenizer.ggml.token_type").and_then(|value| value.as_array());
        let mut types = types.into_iter().flatten().map(|ty| ty.as_u64());
        let mut bytes = Vec::with_capacity(tokens.as_bytes().len());
        let mut starts = vec![0];
        let mut with_text = Vec::with_capacity(tokens.len());
        for (token, text) in (0..).zip(tokens.strings()) {
            unescape(text, &mut bytes).map_err(|at| VocabularyError::Escape { token, at })?;
            let is_text = !types.next().flatten().is_some_and(|ty| NO_TEXT.contains(&ty));
            if is_text && bytes.len() as u32 > starts[token as usize] {
                with_text.push(token);
            }
            starts.push(bytes.len() as u32);
        }
        let end = metadata.get("tokenizer.ggml.eos_token_id").and_then(|value| value.as_u64());
        let end = end.and_then(|end| u32::try_from(end).ok()).filter(|end| (*end as usize) < tokens.len());
        Self::sorted(bytes, starts, with_text, end)
    }

    fn sorted(
        bytes: Vec<u8>,
        starts: Vec<u32>,
        mut sorted: Vec<u32>,
        end: Option<u32>,
    ) -> Result<Self, VocabularyError> {
        let of = |token: u32| &bytes[starts[token as usize] as usize..starts[token as usize + 1] as usize];
        // Of tokens with the same bytes, the first one is given.
        sorted.sort_by(|&a, &b| of(a).cmp(of(b)).then(a.cmp(&b)));
        sorted.dedup_by(|b, a| of(*a) == of(*b));
        let mut parents: Vec<u32> = Vec::with_capacity(sorted.len());
        for (nth, &token) in sorted.iter().enumerate() {
            let mut parent = if nth == 0 { NONE } else { nth as u32 - 1 };
            while parent != NONE && !of(token).starts_with(of(sorted[parent as usize])) {
                parent = parents[parent as usize];
            }
            parents.push(parent);
        }
        let buckets: Vec<u32> =
            (0..=256_u16).map(|byte| sorted.partition_point(|&token| u16::from(of(token)[0]) < byte) as u32).collect();
        for byte in 0..=255_u8 {
            let first = sorted.get(buckets[usize::from(byte)] as usize);
            if first.is_none_or(|&first| of(first) != [byte]) {
                return Err(VocabularyError::Byte { byte });
            }
        }
        Ok(Self { bytes, starts, sorted, parents, buckets, end })
    }

    /// Tokens, those without text included.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Never: all bytes are tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token that ends a text, if the file names one.
    pub fn end(&self) -> Option<u32> {
        self.end
    }

    /// The bytes of a token; nothing for one that does not exist. They may be a part of a character.
    pub fn bytes(&self, token: u32) -> &[u8] {
        let token = token as usize;
        match self.starts.get(token).zip(self.starts.get(token + 1)) {
            Some((&start, &end)) => &self.bytes[start as usize..end as usize],
            None => &[],
        }
    }

    /// The tokens of a text: the longest at each position. Every text has some.
    pub fn encode(&self, text: impl AsRef<[u8]>) -> Vec<u32> {
        let mut rest = text.as_ref();
        let mut tokens = Vec::with_capacity(rest.len() / 3);
        while let Some(&first) = rest.first() {
            let bucket = self.buckets[usize::from(first)] as usize..self.buckets[usize::from(first) + 1] as usize;
            // The first of the bucket is the single byte, which begins the text: so there is a last one not greater.
            let not_greater = |&token: &u32| self.bytes(token) <= rest;
            let mut nth = bucket.start + self.sorted[bucket].partition_point(not_greater).saturating_sub(1);
            while !rest.starts_with(self.bytes(self.sorted[nth])) {
                nth = self.parents[nth] as usize;
            }
            let token = self.sorted[nth];
            tokens.push(token);
            rest = &rest[self.bytes(token).len()..];
        }
        tokens
    }

    /// The bytes of tokens, one after the other.
    pub fn decode(&self, tokens: &[u32]) -> Vec<u8> {
        tokens.iter().flat_map(|&token| self.bytes(token)).copied().collect()
    }
}

/// Appends the bytes that a Python literal stands for. The error is the position of a wrong escape.
fn unescape(text: &[u8], to: &mut Vec<u8>) -> Result<(), usize> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        if byte != b'\\' {
            to.push(byte);
            at += 1;
            continue;
        }
        let digit = |i: usize| text.get(i).and_then(|&digit| char::from(digit).to_digit(16));
        let (value, len) = match text.get(at + 1) {
            Some(b't') => (b'\t', 2),
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'x') => match digit(at + 2).zip(digit(at + 3)) {
                Some((high, low)) => ((16 * high + low) as u8, 4),
                None => return Err(at),
            },
            Some(&other) => (other, 2),
            None => return Err(at),
        };
        to.push(value);
        at += len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(more: &[&[u8]]) -> Vocabulary {
        let bytes = (0..=255_u8).map(|byte| vec![byte]);
        let tokens: Vec<Vec<u8>> =
            std::iter::once(Vec::new()).chain(bytes).chain(more.iter().map(|t| t.to_vec())).collect();
        let mut starts = vec![0];
        let mut all = Vec::new();
        for token in &tokens {
            all.extend(token);
            starts.push(all.len() as u32);
        }
        Vocabulary::sorted(all, starts, (1..tokens.len() as u32).collect(), Some(0)).unwrap()
    }

    /// The longest token at each position, by trying all.
    fn naive(vocabulary: &Vocabulary, mut rest: &[u8]) -> Vec<u32> {
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let fits = |token: &u32| {
                let bytes = vocabulary.bytes(*token);
                !bytes.is_empty() && rest.starts_with(bytes)
            };
            let longest =
                (0..vocabulary.len() as u32).rev().filter(fits).max_by_key(|t| vocabulary.bytes(*t).len()).unwrap();
            tokens.push(longest);
            rest = &rest[vocabulary.bytes(longest).len()..];
        }
        tokens
    }

    #[test]
    fn the_longest_token_is_taken_at_each_position() {
        let vocabulary = vocabulary(&[b"ab", b"abcd", b"abc\xff", b"b", b"bcb", b"\xff\xff\xff", b"aa", b"aaaa"]);
        let mut seed = 1_u64;
        for len in 0..400 {
            let text: Vec<u8> = (0..len % 40)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    *b"abcd\xff\x00".get((seed >> 40) as usize % 6).unwrap()
                })
                .collect();
            let tokens = vocabulary.encode(&text);
            assert_eq!(vocabulary.decode(&tokens), text);
            let bytes = |tokens: &[u32]| tokens.iter().map(|t| vocabulary.bytes(*t).to_vec()).collect::<Vec<_>>();
            assert_eq!(bytes(&tokens), bytes(&naive(&vocabulary, &text)), "{text:?}");
        }
        // A prefix that is no token itself: `abc` of `abcd`.
        assert_eq!(vocabulary.encode("abcx").len(), 3);
        assert_eq!(vocabulary.bytes(u32::MAX), b"");
    }

    #[test]
    fn a_byte_that_is_no_token_is_refused() {
        let all: Vec<u8> = (0..=255).filter(|byte| *byte != 7).collect();
        let starts = (0..=all.len() as u32).collect();
        let error = Vocabulary::sorted(all, starts, (0..255).collect(), None).unwrap_err();
        assert_eq!(error, VocabularyError::Byte { byte: 7 });
    }

    #[test]
    fn escapes_are_those_of_python() {
        let read = |text: &[u8]| {
            let mut to = Vec::new();
            unescape(text, &mut to).map(|()| to)
        };
        assert_eq!(read(br"a\t\n\r\x00\xfF\\\'"), Ok(b"a\t\n\r\x00\xff\\'".to_vec()));
        for (wrong, at) in [(&br"ab\"[..], 2), (br"\x", 0), (br"a\x1", 1), (br"\xg0", 0)] {
            assert_eq!(read(wrong), Err(at));
        }
    }
}
