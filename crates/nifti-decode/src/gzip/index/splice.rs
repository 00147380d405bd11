//! Makes a complete DEFLATE stream from a part of one.

use super::{Part, WINDOW};
use crate::{
    NiftiError,
    gzip::{GzipFault, Inflater, deflate::crc32},
    source::Bytes,
};

/// Buffers that one thread keeps while it unpacks parts.
#[derive(Debug)]
pub(crate) struct Splicer {
    inflater: Inflater,
    packed: Vec<u8>,
    stream: Vec<u8>,
    unpacked: Vec<u8>,
}

impl Splicer {
    pub(crate) fn new() -> Self {
        Self { inflater: Inflater::new(), packed: Vec::new(), stream: Vec::new(), unpacked: Vec::new() }
    }

    /// The bytes of `part`, verified by its CRC-32.
    pub(crate) fn unpack(&mut self, part: &Part, bytes: &Bytes) -> Result<&[u8], NiftiError> {
        let first = part.bit / 8;
        let need = part.unpacked as usize;
        let (out, _) = self.inflate(part, bytes)?;
        let fault = |fault| NiftiError::Gzip { offset: first, fault };
        if out.len() != need {
            return Err(fault(GzipFault::Data { unpacked: part.start + out.len() as u64 }));
        }
        let crc = crc32(0, out);
        if crc != part.crc {
            return Err(fault(GzipFault::Crc { got: crc, need: part.crc }));
        }
        Ok(out)
    }

    /// The bytes of `part`, at most as many as it states. If the file's own stream ended within the part, also the
    /// position one byte past its final block.
    pub(super) fn inflate(&mut self, part: &Part, bytes: &Bytes) -> Result<(&[u8], Option<u64>), NiftiError> {
        let (first, last) = (part.bit / 8, part.end_bit.div_ceil(8));
        let there = bytes.len().saturating_sub(first);
        if last - first > there {
            // Checked before any memory is allocated: an index can claim more than the file has.
            let (got, need) = (there, last - first);
            return Err(NiftiError::Truncated { what: "a part of the index", offset: first, got, need });
        }
        self.packed.resize((last - first) as usize, 0);
        bytes.read_at(first, &mut self.packed)?;
        let damaged = |unpacked| NiftiError::Gzip { offset: first, fault: GzipFault::Data { unpacked } };

        let mut window = [0; WINDOW];
        let window_bytes = match part.window.is_empty() {
            true => 0,
            false => self.inflater.raw(&part.window, &mut window).map_err(|_| damaged(0))?.unpacked,
        };
        self.stream.clear();
        store(&window[..window_bytes], &mut self.stream);
        let bits = part.end_bit - part.bit;
        let base = append(&self.packed, (part.bit % 8) as u32, bits, &mut self.stream);

        let need = part.unpacked as usize;
        // Never cleared: only what libdeflate wrote is read.
        if self.unpacked.len() < window_bytes + need {
            self.unpacked.resize(window_bytes + need, 0);
        }
        let out = &mut self.unpacked[..window_bytes + need];
        let moved = self.inflater.raw(&self.stream, out).map_err(|_| damaged(part.start))?;
        // The final block that was appended ends the stream, unless the part contains a final block.
        let is_ours = moved.packed == self.stream.len();
        let end = (!is_ours).then(|| first + moved.packed.saturating_sub(base) as u64);
        Ok((out.get(window_bytes..moved.unpacked).unwrap_or_default(), end))
    }
}

/// Appends a stored block that is not the last: header bits 000, padding to the byte's end, length, its complement, the
/// bytes.
fn store(bytes: &[u8], stream: &mut Vec<u8>) {
    if let Some(length) = u16::try_from(bytes.len()).ok().filter(|&length| length > 0) {
        stream.push(0);
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend_from_slice(bytes);
    }
}

/// An empty block with fixed codes that is not the last: bits 0, 01, end of block. 10 bits, 2 modulo 8.
const EMPTY_FIXED: [(u64, u32); 1] = [(0b010, 10)];

/// An empty block with dynamic codes that is not the last: 95 bits, 7 modulo 8.
///
/// Bits 0, 10; 257 literal and 2 distance codes. Their lengths are coded by 19 code lengths: 1 for a length of 1 and
/// for a run of zeros. The lengths are 1, 138 zeros, 117 zeros, 1; 1, 1. Both codes are complete. The end of the block
/// is last.
const EMPTY_DYNAMIC: [(u64, u32); 7] = [
    (0b100, 3),
    (1 << 5 | 15 << 10, 14),
    (1 << 6 | 1 << 51, 57),
    (1 << 1 | 127 << 2, 9),
    (1 | 106 << 1, 8),
    (0b000, 3),
    (0b1, 1),
];

/// Appends `bits` bits of `packed` from bit `skip` of its first byte, then an empty final block. Returns the offset in
/// `stream` of the first byte of `packed`.
///
/// The bits keep their positions within bytes, because the length of a stored block begins at a byte boundary. Empty
/// blocks before them ensure that.
fn append(packed: &[u8], skip: u32, bits: u64, stream: &mut Vec<u8>) -> usize {
    let start = stream.len();
    let mut pending = 0;
    let mut push = |blocks: &[(u64, u32)], stream: &mut Vec<u8>| {
        for bit in blocks.iter().flat_map(|&(value, n)| (0..n).map(move |i| (value >> i & 1) as u8)) {
            if pending % 8 == 0 {
                stream.push(0);
            }
            if let Some(last) = stream.last_mut() {
                *last |= bit << (pending % 8);
            }
            pending += 1;
        }
    };
    // 7 + 2 n or 2 n bits, whichever leaves `skip`.
    if skip % 2 == 1 {
        push(&EMPTY_DYNAMIC, stream);
    }
    let n_fixed = if skip % 2 == 1 { (skip + 1) % 8 / 2 } else { skip / 2 };
    for _ in 0..n_fixed {
        push(&EMPTY_FIXED, stream);
    }
    debug_assert!(stream.len() == start || pending % 8 == skip);
    let used = (u64::from(skip) + bits).div_ceil(8) as usize;
    let low = (1_u8 << skip) - 1;
    let base = stream.len() - usize::from(skip > 0);
    match (packed[..used].split_first(), stream.last_mut()) {
        (Some((first, rest)), Some(last)) if skip > 0 => {
            *last |= first & !low;
            stream.extend_from_slice(rest);
        }
        _ => stream.extend_from_slice(&packed[..used]),
    }
    // The upper bits of the last byte belong to the next block of the file; bits 1 10 0000000 end the stream instead.
    let left = (u64::from(skip) + bits) % 8;
    let last = if left == 0 { 0 } else { stream.pop().unwrap_or(0) & ((1 << left) - 1) };
    let tail = u32::from(last) | 0b011 << left;
    stream.extend(&tail.to_le_bytes()[..(left as usize + 10).div_ceil(8)]);
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks before and after the part add no bytes.
    #[test]
    fn an_empty_part_stays_empty_at_every_bit() {
        for skip in 0..8 {
            let mut stream = Vec::new();
            store(b"window", &mut stream);
            append(&[0xff], skip, 0, &mut stream);
            let mut out = [0; 6];
            let moved = Inflater::new().raw(&stream, &mut out).unwrap();
            assert_eq!((moved.packed, &out), (stream.len(), b"window"), "{skip}");
        }
    }

    /// A fixed block with the literal `A` and its end, at every bit, with other bits around it.
    #[test]
    fn blocks_keep_their_bit_positions() {
        // 0, 01, then 0x30 + 0x41 from the most significant bit on, then 0000000: 18 bits.
        let block = 0b010_u64 | u64::from(0x71_u8.reverse_bits()) << 3;
        for skip in 0..8_u32 {
            let noise = !(((1 << 18) - 1) << skip);
            let packed = (block << skip | noise).to_le_bytes();
            let used = (skip as usize + 18).div_ceil(8);
            let mut stream = Vec::new();
            append(&packed[..used], skip, 18, &mut stream);
            let mut out = [0; 1];
            let moved = Inflater::new().raw(&stream, &mut out).unwrap();
            assert_eq!((moved.packed, &out), (stream.len(), b"A"), "{skip}");
        }
    }
}
