//! A part of a DEFLATE stream, made into a stream of its own.

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
        let (first, last) = (part.bit / 8, part.end_bit.div_ceil(8));
        let there = bytes.len().saturating_sub(first);
        if last - first > there {
            // Before any memory: an index can promise what no file has.
            let (got, need) = (there, last - first);
            return Err(NiftiError::Truncated { what: "a part of the index", offset: first, got, need });
        }
        self.packed.resize((last - first) as usize, 0);
        bytes.read_at(first, &mut self.packed)?;
        let fault = |fault| NiftiError::Gzip { offset: first, fault };
        let damaged = |unpacked| fault(GzipFault::Data { unpacked });

        let mut window = [0; WINDOW];
        let window_bytes = match part.window.is_empty() {
            true => 0,
            false => self.inflater.raw(&part.window, &mut window).map_err(|_| damaged(0))?.unpacked,
        };
        self.stream.clear();
        store(&window[..window_bytes], &mut self.stream);
        let bits = part.end_bit - part.bit;
        copy_bits(&self.packed, (part.bit % 8) as u32, bits, &mut self.stream);

        let need = part.unpacked as usize;
        // Never cleared: only what libdeflate wrote is looked at.
        if self.unpacked.len() < window_bytes + need {
            self.unpacked.resize(window_bytes + need, 0);
        }
        let out = &mut self.unpacked[..window_bytes + need];
        let moved = self.inflater.raw(&self.stream, out).map_err(|_| damaged(part.start))?;
        if moved.unpacked != out.len() {
            return Err(damaged(part.start + moved.unpacked as u64));
        }
        let out = &out[window_bytes..];
        let crc = crc32(0, out);
        if crc != part.crc {
            return Err(fault(GzipFault::Crc { got: crc, need: part.crc }));
        }
        Ok(out)
    }
}

/// Appends a stored block that is not the last: header bits 000 up to the byte's end, length, its complement, the bytes.
fn store(bytes: &[u8], stream: &mut Vec<u8>) {
    if let Some(length) = u16::try_from(bytes.len()).ok().filter(|&length| length > 0) {
        stream.push(0);
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend_from_slice(bytes);
    }
}

/// Appends `bits` bits of `packed` from bit `skip` of its first byte, then an empty final block: bits 1 10 for a last block
/// with fixed codes, 0000000 for its end.
fn copy_bits(packed: &[u8], skip: u32, bits: u64, stream: &mut Vec<u8>) {
    let whole = (bits / 8) as usize;
    if skip == 0 {
        stream.extend_from_slice(&packed[..whole]);
    } else {
        let carry = 8 - skip;
        // Words first: eight bytes and the one behind them give eight moved bytes.
        let mut at = 0;
        while at + 8 < packed.len() && at + 8 <= whole {
            let mut word = [0; 8];
            word.copy_from_slice(&packed[at..at + 8]);
            let moved = u64::from_le_bytes(word) >> skip | u64::from(packed[at + 8]) << (56 + carry);
            stream.extend(moved.to_le_bytes());
            at += 8;
        }
        stream.extend((at..whole).map(|i| {
            let next = packed.get(i + 1).copied().unwrap_or(0);
            packed[i] >> skip | next.checked_shl(carry).unwrap_or(0)
        }));
    }
    let left = (bits % 8) as u32;
    let mut tail = 0b011_u32;
    if left > 0 {
        let low = u32::from(packed.get(whole).copied().unwrap_or(0));
        let high = u32::from(packed.get(whole + 1).copied().unwrap_or(0));
        let last = (low | high << 8) >> skip & ((1 << left) - 1);
        tail = last | tail << left;
    }
    // 3 + 7 bits behind at most 7 others fit three bytes.
    stream.extend(&tail.to_le_bytes()[..(left as usize + 10).div_ceil(8)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits one by one, the obvious way.
    fn naive(packed: &[u8], skip: u32, bits: u64) -> Vec<u8> {
        let mut all: Vec<u8> =
            (0..bits).map(|i| u64::from(skip) + i).map(|i| packed[(i / 8) as usize] >> (i % 8) & 1).collect();
        all.extend([1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        all.chunks(8).map(|byte| byte.iter().enumerate().map(|(i, bit)| bit << i).sum()).collect()
    }

    #[test]
    fn bits_move_to_a_byte_boundary() {
        let packed: Vec<u8> = (0..40_u32).map(|i| (i * 77 + 13) as u8).collect();
        for skip in 0..8 {
            for bits in 0..=(packed.len() as u64 * 8 - u64::from(skip)) {
                let used = (u64::from(skip) + bits).div_ceil(8) as usize;
                let mut stream = Vec::new();
                copy_bits(&packed[..used], skip, bits, &mut stream);
                assert_eq!(stream, naive(&packed, skip, bits), "{skip} {bits}");
            }
        }
    }
}
