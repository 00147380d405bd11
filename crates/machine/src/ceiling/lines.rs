//! Memory to read from: on huge pages where the system gives them, touched, and different in every line.

use bytemuck::{Pod, Zeroable};

use super::Unavailable;
use crate::memory::Buffer;

/// 64 bytes, the unit of the loops: one cache line or half of one.
///
/// Its words add up to [`WORDS`](Self::WORDS) in wrapping arithmetic, so a sum over lines counts the words that were
/// read; and no two lines near each other are equal, so a host that merges equal pages cannot store them as one.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; Line::WORDS]);

impl Line {
    /// Words of a line.
    pub(super) const WORDS: usize = 16;

    fn numbered(i: usize) -> Self {
        let noise = (i as u32 + 1).wrapping_mul(0x9e37_79b9);
        let mut words = [noise; Self::WORDS];
        words[Self::WORDS / 2..].fill(2u32.wrapping_sub(noise));
        Self(words)
    }
}

/// At least one line, `bytes` rounded down to whole lines; touched by the calling thread, near which they then lie.
pub(super) fn numbered(bytes: usize) -> Result<Buffer<Line>, Unavailable> {
    let lines = Buffer::on_huge_pages((bytes / size_of::<Line>()).max(1));
    let mut lines: Buffer<Line> = lines.map_err(|_| Unavailable::Memory { bytes })?;
    for (i, line) in lines.iter_mut().enumerate() {
        *line = Line::numbered(i);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_themselves_and_differ() {
        let lines = numbered(1 << 20).unwrap();
        assert_eq!(lines.len(), (1 << 20) / 64);
        for line in &*lines {
            assert_eq!(line.0.iter().fold(0, |sum: u32, &word| sum.wrapping_add(word)), Line::WORDS as u32);
        }
        let mut noise: Vec<u32> = lines.iter().map(|line| line.0[0]).collect();
        noise.sort_unstable();
        noise.dedup();
        assert_eq!(noise.len(), lines.len());
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 62] {
            assert!(matches!(numbered(bytes), Err(Unavailable::Memory { bytes: refused }) if refused == bytes));
        }
        assert_eq!(numbered(0).unwrap().len(), 1);
    }
}
