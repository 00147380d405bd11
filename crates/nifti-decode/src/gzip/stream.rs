//! Unpacks gzip as a stream, member after member, in constant memory.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{
    GzipFault,
    deflate::crc32,
    member::{Member, TRAILER},
};
use crate::{NiftiError, source::Bytes};

/// Packed bytes that are read at a time. The first read is small, because often only a header is needed.
const CHUNK: usize = 64 << 10;
const FIRST_CHUNK: usize = 4 << 10;
/// More than any real header: 64 KiB of extra fields, a name and a comment.
const MOST_HEADER: usize = 256 << 10;

/// Unpacks from the beginning. Each member's checksum is verified at its end.
pub(crate) struct Unpacker<'a> {
    bytes: &'a Bytes,
    /// Packed bytes that were read but not used, and the offset of their end in the file.
    chunk: Vec<u8>,
    used: usize,
    read_to: u64,
    inflate: Inflate,
    is_inside: bool,
    member_at: u64,
    crc: u32,
    size: u32,
    unpacked: u64,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a Bytes) -> Self {
        Self::from(bytes, 0)
    }

    /// From the member that begins at `offset`.
    pub(crate) fn from(bytes: &'a Bytes, offset: u64) -> Self {
        Self {
            bytes,
            chunk: Vec::new(),
            used: 0,
            read_to: offset,
            inflate: Inflate::new(false, 15),
            is_inside: false,
            member_at: offset,
            crc: 0,
            size: 0,
            unpacked: 0,
        }
    }

    /// Bytes unpacked so far.
    pub(crate) fn unpacked(&self) -> u64 {
        self.unpacked
    }

    /// Fills `out` as far as the stream extends; a shorter result means that the stream has ended.
    ///
    /// # Errors
    /// [`NiftiError::Gzip`] for a fault of a member; also once `out` is full, if the member ends there.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize, NiftiError> {
        let mut filled = 0;
        while filled < out.len() {
            if !self.is_inside && !self.begin_member()? {
                break;
            }
            filled += self.inflate_some(&mut out[filled..])?;
        }
        Ok(filled)
    }

    /// Unpacks and drops `n` bytes, or as many as there are.
    pub(crate) fn skip(&mut self, n: u64) -> Result<(), NiftiError> {
        let mut sink = vec![0; n.min(CHUNK as u64) as usize];
        let end = self.unpacked + n;
        while self.unpacked < end {
            let want = (end - self.unpacked).min(CHUNK as u64) as usize;
            if self.read(&mut sink[..want])? < want {
                break;
            }
        }
        Ok(())
    }

    /// Unpacks and drops up to `most` bytes; returns whether the stream ended within them.
    pub(crate) fn drain(&mut self, most: u64) -> Result<bool, NiftiError> {
        let mut sink = vec![0; CHUNK];
        let end = self.unpacked.saturating_add(most);
        loop {
            // One byte beyond the end shows whether the stream ends there or continues.
            let want = (end - self.unpacked).saturating_add(1).min(CHUNK as u64) as usize;
            if self.read(&mut sink[..want])? < want {
                return Ok(true);
            }
            if self.unpacked > end {
                return Ok(false);
            }
        }
    }

    fn fault(&self, fault: GzipFault) -> NiftiError {
        NiftiError::Gzip { offset: self.member_at, fault }
    }

    fn rest(&self) -> &[u8] {
        &self.chunk[self.used..]
    }

    /// Appends more packed bytes to those that are left; `false` at the end of the file.
    fn refill(&mut self) -> Result<bool, NiftiError> {
        self.chunk.drain(..self.used);
        self.used = 0;
        let start = self.chunk.len();
        self.chunk.resize(start + if self.unpacked == 0 { FIRST_CHUNK } else { CHUNK }, 0);
        let got = self.bytes.read_some(self.read_to, &mut self.chunk[start..])?;
        self.chunk.truncate(start + got);
        self.read_to += got as u64;
        Ok(got > 0)
    }

    /// Reads a member's header; `false` if only zeros follow, which gzip accepts as padding.
    fn begin_member(&mut self) -> Result<bool, NiftiError> {
        loop {
            self.used += self.rest().iter().take_while(|&&b| b == 0).count();
            if !self.rest().is_empty() {
                break;
            }
            if !self.refill()? {
                return Ok(false);
            }
        }
        self.member_at = self.read_to - self.rest().len() as u64;
        loop {
            match Member::parse(self.rest()).map_err(|fault| self.fault(fault))? {
                Some(member) => {
                    self.used += member.header;
                    self.inflate.reset(false);
                    (self.is_inside, self.crc, self.size) = (true, 0, 0);
                    return Ok(true);
                }
                None if self.rest().len() < MOST_HEADER && self.refill()? => {}
                None => return Err(self.fault(GzipFault::Truncated { unpacked: self.unpacked })),
            }
        }
    }

    /// Inflates into `out` once; ends the member where its data ends.
    fn inflate_some(&mut self, out: &mut [u8]) -> Result<usize, NiftiError> {
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(&self.chunk[self.used..], out, InflateFlush::NoFlush);
        let got = (self.inflate.total_out() - before.1) as usize;
        let taken = (self.inflate.total_in() - before.0) as usize;
        self.used += taken;
        self.unpacked += got as u64;
        self.crc = crc32(self.crc, &out[..got]);
        self.size = self.size.wrapping_add(got as u32);
        match status {
            Err(_) => Err(self.fault(GzipFault::Data { unpacked: self.unpacked })),
            Ok(Status::StreamEnd) => self.end_member().map(|()| got),
            // There are room and input but no progress, so another call would change nothing.
            Ok(_) if got == 0 && taken == 0 && !self.rest().is_empty() => {
                Err(self.fault(GzipFault::Data { unpacked: self.unpacked }))
            }
            Ok(_) => {
                if self.rest().is_empty() && got < out.len() && !self.refill()? {
                    return Err(self.fault(GzipFault::Truncated { unpacked: self.unpacked }));
                }
                Ok(got)
            }
        }
    }

    fn end_member(&mut self) -> Result<(), NiftiError> {
        while self.rest().len() < TRAILER {
            if !self.refill()? {
                return Err(self.fault(GzipFault::Truncated { unpacked: self.unpacked }));
            }
        }
        let number = |at: usize| {
            let rest = self.rest();
            u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]])
        };
        let (crc, size) = (number(0), number(4));
        if crc != self.crc {
            return Err(self.fault(GzipFault::Crc { got: self.crc, need: crc }));
        }
        if size != self.size {
            return Err(self.fault(GzipFault::Size { got: self.size, need: size }));
        }
        self.used += TRAILER;
        self.is_inside = false;
        Ok(())
    }
}
