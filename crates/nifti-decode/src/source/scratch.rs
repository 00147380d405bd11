//! Memory that a decoder keeps between files, on huge pages where the system gives them.
//!
//! Fresh pages of 4 KiB cost more than the conversion that writes to them: on the machine that this was built on, a
//! third of the time to load a large gzip file went into page faults.

use memmap2::MmapMut;

use crate::NiftiError;

/// Huge page of x86-64.
const HUGE: usize = 2 << 20;
const SMALLEST: usize = 64 << 10;

/// A buffer that grows to powers of two and is never cleared.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Option<MmapMut>);

impl Scratch {
    /// `len` bytes of unspecified content.
    pub(crate) fn get(&mut self, len: usize) -> Result<&mut [u8], NiftiError> {
        if self.bytes() < len {
            // The old buffer is freed first: its content is not kept, so the two never exist together.
            self.0 = None;
            let refused = NiftiError::TooLarge { what: "scratch memory", got: len as u64, limit: isize::MAX as u64 };
            let Some(size) = len.max(SMALLEST).checked_next_power_of_two() else { return Err(refused) };
            let Ok(map) = MmapMut::map_anon(size) else { return Err(refused) };
            #[cfg(target_os = "linux")]
            if size >= HUGE {
                // Only advice: without huge pages the buffer works as well, and is slower to touch.
                let _ = map.advise(memmap2::Advice::HugePage);
            }
            self.0 = Some(map);
        }
        let all: &mut [u8] = self.0.as_deref_mut().unwrap_or_default();
        Ok(&mut all[..len])
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |map| map.len())
    }

    /// Frees the memory if it is more than `most`.
    pub(crate) fn shrink(&mut self, most: usize) {
        if self.bytes() > most {
            self.0 = None;
        }
    }
}

const _: () = assert!(SMALLEST < HUGE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_powers_of_two_and_shrinks_when_asked() {
        let mut scratch = Scratch::default();
        assert!(scratch.get(0).unwrap().is_empty());
        scratch.get(10).unwrap().fill(7);
        assert_eq!(scratch.bytes(), SMALLEST);
        assert_eq!(scratch.get(10).unwrap(), [7; 10]);
        scratch.get(3 << 20).unwrap();
        assert_eq!(scratch.bytes(), 4 << 20);
        scratch.shrink(4 << 20);
        assert_eq!(scratch.bytes(), 4 << 20);
        scratch.shrink(1 << 20);
        assert_eq!(scratch.bytes(), 0);
        assert!(matches!(scratch.get(usize::MAX), Err(NiftiError::TooLarge { .. })));
    }
}
