//! Lines of the form `key: value`, as `/proc` writes them.

/// The value of the first line whose key is `key`; `None` where it is empty.
pub(crate) fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(k, _)| k.trim() == key)?;
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// A size in bytes, which `/proc` gives in KiB and calls kB.
pub(crate) fn bytes(text: &str, key: &str) -> Option<u64> {
    field(text, key)?.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let text = "microcode\t: 0xa201016\nempty:\nname: a: b\nmicrocode\t: 0xb\n";
        assert_eq!(field(text, "microcode"), Some("0xa201016"));
        assert_eq!(field(text, "name"), Some("a: b"));
        assert_eq!((field(text, "empty"), field(text, "micro"), field("", "")), (None, None, None));
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("MemTotal:       24683520 kB\n", "MemTotal"), Some(24_683_520 * 1024));
        for hostile in ["a: 18446744073709551615 kB", "a: 12 MB", "a: -1 kB", "a: kB", "a: 12", "a:", ":", ""] {
            assert_eq!(bytes(hostile, "a"), None, "{hostile:?}");
        }
    }
}
