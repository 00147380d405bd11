//! A mapped file that becomes memory of its own, on huge pages.

#![expect(unsafe_code, reason = "pages of a mapping are given back to the system, whose file has them")]

use std::{io, ops::Range, thread};

use memmap2::{Mmap, MmapMut};
use op::Threads;

/// Bytes that a thread copies at a time. So much of the file is in memory twice, for each thread.
const CHUNK_BYTES: usize = 8 << 20;

/// Copies the bytes of a file to memory on huge pages, and gives each page of the mapping back once it is copied.
pub(super) fn copied(map: &Mmap, threads: Threads) -> io::Result<Mmap> {
    let mut memory = MmapMut::map_anon(map.len())?;
    #[cfg(target_os = "linux")]
    {
        // Only advice: on small pages the memory works as well, and is read as slowly as the mapping.
        let _ = memory.advise(memmap2::Advice::HugePage);
    }
    let threads = threads.min(map.len().div_ceil(CHUNK_BYTES)).get();
    let mut shares: Vec<Vec<(usize, &mut [u8])>> = (0..threads).map(|_| Vec::new()).collect();
    for (nth, to) in memory.chunks_mut(CHUNK_BYTES).enumerate() {
        shares[nth % threads].push((nth * CHUNK_BYTES, to));
    }
    let work = |share: Vec<(usize, &mut [u8])>| {
        for (start, to) in share {
            let range = start..start + to.len();
            to.copy_from_slice(&map[range.clone()]);
            give_back(map, range);
        }
    };
    thread::scope(|scope| {
        let mine = shares.pop().unwrap_or_default();
        shares.into_iter().for_each(|share| drop(scope.spawn(|| work(share))));
        work(mine);
    });
    memory.make_read_only()
}

/// Takes pages of a mapped file out of this process's memory; the page cache keeps them.
fn give_back(map: &Mmap, range: Range<usize>) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the mapping is read-only and of a file, so nothing is lost: whoever reads the pages again gets the
        // file's bytes again.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (map, range);
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn bytes_are_copied_with_any_number_of_threads() {
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 4711).map(|i| (i * 31 % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        // SAFETY: nobody else has the file.
        let map = unsafe { Mmap::map(&file) }.unwrap();
        for threads in [1, 2, 7] {
            let memory = copied(&map, Threads::new(threads).unwrap()).unwrap();
            assert!(memory[..] == bytes[..], "{threads} threads");
            assert!(map[..] == bytes[..], "the mapping is read again");
        }
    }
}
