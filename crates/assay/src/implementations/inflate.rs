//! The lower bound of reading a compressed file: libdeflate alone, from memory to memory. Each thread decompresses its
//! share of the members.

use std::ops::Range;

use libdeflate_sys as sys;

/// Members of a file, found by decompressing it once.
pub(super) struct Floor {
    packed: Vec<u8>,
    unpacked: Vec<u8>,
    /// Each member: its range of compressed bytes, and its number of decompressed bytes.
    members: Vec<(Range<usize>, usize)>,
}

impl Floor {
    /// Decompresses the file once into `need` bytes.
    pub(super) fn new(packed: Vec<u8>, need: usize) -> Result<Self, String> {
        let (mut members, mut unpacked) = (Vec::new(), vec![0; need]);
        let (mut at, mut filled) = (0, 0);
        while at < packed.len() && packed[at] != 0 {
            let (taken, made) = member(&packed[at..], &mut unpacked[filled..]).ok_or("libdeflate refuses the file")?;
            members.push((at..at + taken, made));
            (at, filled) = (at + taken, filled + made);
        }
        if filled == need { Ok(Self { packed, unpacked, members }) } else { Err(format!("{filled} bytes of {need}")) }
    }

    /// Decompresses all members, split into `threads` equal shares that run in parallel.
    pub(super) fn run(&mut self, threads: usize) {
        let Self { packed, unpacked, members } = self;
        if threads == 1 {
            return share(packed, members, unpacked);
        }
        std::thread::scope(|scope| {
            let (mut rest, mut out) = (&members[..], &mut unpacked[..]);
            for left in (1..=threads).rev() {
                let (own, others) = rest.split_at(rest.len() / left);
                let (own_out, others_out) = out.split_at_mut(own.iter().map(|(_, made)| made).sum());
                (rest, out) = (others, others_out);
                let packed = &packed[..];
                scope.spawn(move || share(packed, own, own_out));
            }
        });
    }

    /// The decompressed bytes.
    pub(super) fn unpacked(&self) -> &[u8] {
        &self.unpacked
    }
}

fn share(packed: &[u8], members: &[(Range<usize>, usize)], mut out: &mut [u8]) {
    for (place, made) in members {
        let (own, rest) = out.split_at_mut(*made);
        // It succeeded before, on the same bytes.
        let _ = member(&packed[place.clone()], own);
        out = rest;
    }
}

/// Decompresses one member; returns the numbers of bytes read and written.
#[expect(unsafe_code, reason = "libdeflate's own interface, for that is what is timed")]
fn member(packed: &[u8], out: &mut [u8]) -> Option<(usize, usize)> {
    let (mut taken, mut made) = (0, 0);
    // SAFETY: the decompressor is allocated, used with slices, their lengths and two writable counts, and freed.
    let result = unsafe {
        let decompressor = sys::libdeflate_alloc_decompressor();
        if decompressor.is_null() {
            return None;
        }
        let (input, room) = (packed.as_ptr().cast(), out.as_mut_ptr().cast());
        let (input_len, room_len) = (packed.len(), out.len());
        let result = sys::libdeflate_gzip_decompress_ex(
            decompressor,
            input,
            input_len,
            room,
            room_len,
            &raw mut taken,
            &raw mut made,
        );
        sys::libdeflate_free_decompressor(decompressor);
        result
    };
    (result == sys::libdeflate_result_LIBDEFLATE_SUCCESS).then_some((taken, made))
}
