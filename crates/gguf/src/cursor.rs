//! A position in a file's bytes; every read from it is checked.

use crate::{Endian, Field, Rule};

/// Longest string, in bytes: llama.cpp's limit.
const MAX_STRING_BYTES: u64 = 1 << 30;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    endian: Endian,
}

impl<'a> Cursor<'a> {
    /// A cursor at byte `at`, or at the end if the bytes are fewer.
    pub(crate) fn new(bytes: &'a [u8], at: usize, endian: Endian) -> Self {
        Self { bytes, at: at.min(bytes.len()), endian }
    }

    /// A cursor over the same bytes at `offset`.
    pub(crate) fn moved_to(self, offset: u64) -> Self {
        Self::new(self.bytes, usize::try_from(offset).unwrap_or(usize::MAX), self.endian)
    }

    pub(crate) fn with_endian(self, endian: Endian) -> Self {
        Self { endian, ..self }
    }

    pub(crate) fn endian(&self) -> Endian {
        self.endian
    }

    /// Bytes before the cursor.
    pub(crate) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Bytes after the cursor.
    pub(crate) fn remaining(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
    }

    /// The next `need` bytes.
    pub(crate) fn take(&mut self, need: u64, field: Field) -> Result<&'a [u8], Rule> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(need).ok().and_then(|need| rest.get(..need)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(Rule::Truncated { offset: self.offset(), field, got: self.remaining(), need }),
        }
    }

    fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], Rule> {
        let Some(&array) = self.bytes[self.at..].first_chunk::<N>() else {
            return Err(Rule::Truncated { offset: self.offset(), field, got: self.remaining(), need: N as u64 });
        };
        self.at += N;
        Ok(array)
    }

    pub(crate) fn u8(&mut self, field: Field) -> Result<u8, Rule> {
        Ok(self.array::<1>(field)?[0])
    }

    pub(crate) fn u16(&mut self, field: Field) -> Result<u16, Rule> {
        let bytes = self.array(field)?;
        Ok(match self.endian {
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        })
    }

    pub(crate) fn u32(&mut self, field: Field) -> Result<u32, Rule> {
        let bytes = self.array(field)?;
        Ok(match self.endian {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        })
    }

    pub(crate) fn u64(&mut self, field: Field) -> Result<u64, Rule> {
        let bytes = self.array(field)?;
        Ok(match self.endian {
            Endian::Little => u64::from_le_bytes(bytes),
            Endian::Big => u64::from_be_bytes(bytes),
        })
    }

    /// A string: its length, then that many bytes.
    pub(crate) fn string(&mut self, field: Field) -> Result<&'a [u8], Rule> {
        let offset = self.offset();
        let got = self.u64(field)?;
        if got > MAX_STRING_BYTES {
            return Err(Rule::StringLength { offset, field, got, most: MAX_STRING_BYTES });
        }
        self.take(got, field)
    }

    /// Skips `count` strings.
    ///
    /// A vocabulary has tens of thousands of strings, and only the length of each tells where the next one begins, so
    /// this walk is most of the work of reading a header. The loop keeps only the remaining bytes as its state. The
    /// string at which it stops is read again to build the error.
    pub(crate) fn skip_strings(&mut self, count: u64, field: Field) -> Result<(), Rule> {
        let strings = &self.bytes[self.at..];
        let (left, rest) = match self.endian {
            Endian::Little => Self::walk_strings(strings, count, u64::from_le_bytes),
            Endian::Big => Self::walk_strings(strings, count, u64::from_be_bytes),
        };
        self.at = self.bytes.len() - rest.len();
        for _ in 0..left {
            self.string(field)?;
        }
        Ok(())
    }

    /// Skips valid strings. Returns how many of `count` remain at the first one that breaks a rule, and the bytes from
    /// there.
    #[inline]
    fn walk_strings(mut rest: &[u8], count: u64, length: impl Fn([u8; 8]) -> u64) -> (u64, &[u8]) {
        for left in (1..=count).rev() {
            let Some((&bytes, behind)) = rest.split_first_chunk() else { return (left, rest) };
            let got = length(bytes);
            if got > MAX_STRING_BYTES.min(behind.len() as u64) {
                return (left, rest);
            }
            rest = &behind[got as usize..];
        }
        (0, rest)
    }

    /// A number of entries of at least `smallest` bytes each: at most as many as the remaining bytes can hold.
    pub(crate) fn count(&mut self, smallest: u64, field: Field) -> Result<usize, Rule> {
        let offset = self.offset();
        let got = self.u64(field)? as i64;
        let most = self.remaining() / smallest;
        match u64::try_from(got).ok().filter(|&count| count <= most).and_then(|count| u32::try_from(count).ok()) {
            Some(count) => Ok(count as usize),
            None => Err(Rule::Count { offset, field, got, most }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_beyond_the_end_are_errors() {
        let bytes = [1, 0, 0, 0, 2, 0, 0];
        let mut cursor = Cursor::new(&bytes, 0, Endian::Little);
        assert_eq!(cursor.u32(Field::Version), Ok(1));
        let rule = Rule::Truncated { offset: 4, field: Field::Value, got: 3, need: 4 };
        assert_eq!(cursor.u32(Field::Value), Err(rule));
        assert_eq!(cursor.u16(Field::Value), Ok(2));
        assert_eq!(cursor.take(u64::MAX, Field::Value).map(<[u8]>::len).ok(), None);
        assert_eq!((cursor.offset(), cursor.remaining()), (6, 1));
    }

    #[test]
    fn strings_and_counts_are_bounded_by_the_remaining_bytes() {
        let bytes = [&3_u64.to_le_bytes()[..], b"abc", &(1_u64 << 30).wrapping_add(1).to_le_bytes()].concat();
        let mut cursor = Cursor::new(&bytes, 0, Endian::Little);
        assert_eq!(cursor.string(Field::Key), Ok(&b"abc"[..]));
        let most = 1 << 30;
        let rule = Rule::StringLength { offset: 11, field: Field::Key, got: most + 1, most };
        assert_eq!(cursor.string(Field::Key), Err(rule));
        let bytes = [(-1_i64).to_le_bytes(), 1_i64.to_le_bytes()].concat();
        let mut cursor = Cursor::new(&bytes, 0, Endian::Little);
        let rule = Rule::Count { offset: 0, field: Field::KeyCount, got: -1, most: 0 };
        assert_eq!(cursor.count(14, Field::KeyCount), Err(rule));
        assert_eq!(Cursor::new(&bytes, 99, Endian::Big).remaining(), 0);
    }

    #[test]
    fn skipping_strings_equals_reading_them() {
        let strings: [&[u8]; 4] = [b"", b"a", b"the second", b"third"];
        for endian in [Endian::Little, Endian::Big] {
            let length =
                |n: usize| if endian == Endian::Little { (n as u64).to_le_bytes() } else { (n as u64).to_be_bytes() };
            let bytes: Vec<u8> = strings.iter().flat_map(|s| [&length(s.len())[..], s].concat()).collect();
            for end in 0..=bytes.len() {
                for count in 0..=5 {
                    let mut skipped = Cursor::new(&bytes[..end], 0, endian);
                    let mut read = skipped;
                    let expected = (0..count).try_for_each(|_| read.string(Field::Key).map(drop));
                    assert_eq!(skipped.skip_strings(count, Field::Key), expected, "{count} strings in {end} bytes");
                    assert_eq!(skipped.offset(), read.offset());
                }
            }
        }
        // Longer than the limit.
        let bytes = [1, 0, 0, 0, 0, 0, 0, 0, b'x', 1, 0, 0, 0x40, 0, 0, 0, 0];
        let most = MAX_STRING_BYTES;
        let rule = Rule::StringLength { offset: 9, field: Field::Key, got: most + 1, most };
        assert_eq!(Cursor::new(&bytes, 0, Endian::Little).skip_strings(2, Field::Key), Err(rule));
    }

    #[test]
    fn big_endian_numbers_are_swapped() {
        let bytes = [0, 0, 0, 3];
        assert_eq!(Cursor::new(&bytes, 0, Endian::Big).u32(Field::Version), Ok(3));
    }
}
