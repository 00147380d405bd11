//! A digest that names files and guards their content.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// SHA-256 of some content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Bytes of a digest.
    pub(crate) const LEN: usize = 32;

    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of a list of parts. Lists whose parts are divided elsewhere have other digests.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Of a list of texts: the sources of kernels, or the names of variants.
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of_parts(texts.into_iter().map(str::as_bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    /// 64 hexadecimal digits; with a precision (`{:.32}`), as many as it says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2 * Self::LEN);
        for digit in 0..digits.min(2 * Self::LEN) {
            let byte = self.0[digit / 2];
            write!(f, "{:x}", if digit % 2 == 0 { byte >> 4 } else { byte & 15 })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(format!("{:.5}", Digest::of(b"abc")), abc[..5]);
    }

    #[test]
    fn borders_between_parts_count() {
        assert_ne!(Digest::of_texts(["ab", "c"]), Digest::of_texts(["a", "bc"]));
        assert_ne!(Digest::of_texts(["abc"]), Digest::of_texts(["abc", ""]));
        assert_eq!(Digest::of_texts(["ab", "c"]), Digest::of_parts([&b"ab"[..], b"c"]));
    }
}
