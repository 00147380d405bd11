//! Makes an index from one of indexed_gzip.
//!
//! Its points have no checksums, so each part is unpacked once through its own window. The result must match the
//! checksums of the file's members. Only then do the parts, with their own checksums, become an index of this crate.

use super::{
    Index, MOST_PART, Part,
    gzidx::{Gzidx, Point},
    splice::Splicer,
};
use crate::{
    Limits, NiftiError,
    gzip::{
        Deflater, GzipFault, Level,
        deflate::crc32,
        member::{Member, TRAILER},
    },
    limits::most_unpacked,
    source::Bytes,
};

/// Bytes that are read for a member's header: at first, and again if the header is longer. Only hostile files have even
/// longer headers.
const HEAD: usize = 1 << 10;
const MOST_HEADER: usize = 80 << 10;

/// Unpacks the packed file from point to point.
struct Import<'a> {
    bytes: &'a Bytes,
    splicer: Splicer,
    deflater: Deflater,
    parts: Vec<Part>,
    /// Position of the next part: bit of the file, byte of the unpacked stream.
    bit: u64,
    start: u64,
    /// Offset of the member, and the size and checksum of what is unpacked of it.
    member: u64,
    crc: u32,
    size: u32,
    is_open: bool,
}

/// Makes the index of the first `need` unpacked bytes of `bytes` from the contents of a `.gzidx` file.
pub(crate) fn import(
    bytes: &Bytes,
    identity: u64,
    gzidx: &[u8],
    need: u64,
    limits: &Limits,
) -> Result<Index, NiftiError> {
    let gzidx = Gzidx::parse(gzidx)?;
    let fault = |field, offset, got, need| Err(NiftiError::Index { field, offset, got, need });
    let (there, total) = (bytes.len(), gzidx.unpacked_bytes);
    if gzidx.packed_bytes != there {
        return fault("packed bytes", 7, gzidx.packed_bytes, there);
    }
    // 0 if the index does not extend to the file's end.
    if total < need || total > most_unpacked(there) {
        return fault("unpacked bytes", 15, total, if total < need { need } else { most_unpacked(there) });
    }
    if total - need > limits.trailing_bytes {
        let (got, limit) = (total - need, limits.trailing_bytes);
        return Err(NiftiError::TooLarge { what: "what follows the voxels", got, limit });
    }
    let mut import = Import::new(bytes)?;
    let end = Point { place: 15, bit: there * 8, start: total, window: &[] };
    let points = gzidx.points.iter().take_while(|point| point.start < total);
    let points: Vec<&Point<'_>> = points.chain([&end]).collect();
    if points[0].start != 0 {
        return fault("first point", points[0].place + 8, points[0].start, 0);
    }
    for pair in points.windows(2) {
        import.segment(pair[0], pair[1])?;
    }
    if import.is_open {
        return Err(import.gzip(GzipFault::Truncated { unpacked: import.start }));
    }
    let mut parts = import.parts;
    parts.retain(|part| part.start < need);
    Ok(Index { identity, parts })
}

impl<'a> Import<'a> {
    fn new(bytes: &'a Bytes) -> Result<Self, NiftiError> {
        let mut import = Self {
            bytes,
            splicer: Splicer::new(),
            deflater: Deflater::new(Level::new(1)),
            parts: Vec::new(),
            bit: 0,
            start: 0,
            member: 0,
            crc: 0,
            size: 0,
            is_open: false,
        };
        import.begin_member(0)?;
        Ok(import)
    }

    fn gzip(&self, fault: GzipFault) -> NiftiError {
        NiftiError::Gzip { offset: self.member, fault }
    }

    /// Moves to the data of the member at `at`, after any zeros, or to the end of the file if there is no member.
    fn begin_member(&mut self, mut at: u64) -> Result<(), NiftiError> {
        let mut head = vec![0; HEAD];
        (self.crc, self.size, self.is_open) = (0, 0, false);
        loop {
            let n = self.bytes.read_some(at, &mut head)?;
            let zeros = head[..n].iter().take_while(|&&byte| byte == 0).count();
            at += zeros as u64;
            self.member = at;
            if n == 0 {
                self.bit = at * 8;
                return Ok(());
            }
            if zeros > 0 {
                continue;
            }
            match Member::parse(&head[..n]).map_err(|fault| self.gzip(fault))? {
                Some(member) => {
                    self.bit = (at + member.header as u64) * 8;
                    return Ok(());
                }
                None if head.len() < MOST_HEADER && n == head.len() => head.resize(MOST_HEADER, 0),
                None => return Err(self.gzip(GzipFault::Truncated { unpacked: self.start })),
            }
        }
    }

    /// Unpacks the part between two points. Every member begins with a point, so the part ends with its member or
    /// before.
    fn segment(&mut self, point: &Point<'_>, next: &Point<'_>) -> Result<(), NiftiError> {
        // A point at a member's header means the data after it.
        if (point.bit != self.bit && point.bit != self.member * 8) || point.start != self.start {
            let (got, need) = (point.bit / 8, self.bit / 8);
            return Err(NiftiError::Index { field: "packed offset", offset: point.place, got, need });
        }
        let mut window = Vec::new();
        if !point.window.is_empty() {
            self.deflater.raw(point.window, &mut window);
        }
        let (bit, end_bit, start, unpacked) = (self.bit, next.bit, self.start, self.room(next)?);
        let part = Part { bit, end_bit, start, unpacked, crc: 0, window };
        let (out, end) = self.splicer.inflate(&part, self.bytes)?;
        let (got, need) = (out.len() as u64, u64::from(unpacked));
        let crc = crc32(0, out);
        (self.crc, self.size, self.is_open) = (crc32(self.crc, out), self.size.wrapping_add(got as u32), true);
        self.start += got;
        if got < need {
            let (got, need) = (next.start, self.start);
            return Err(NiftiError::Index { field: "unpacked offset", offset: next.place + 8, got, need });
        }
        self.bit = end.map_or(end_bit, |end| end * 8);
        if unpacked > 0 {
            self.parts.push(Part { crc, end_bit: self.bit, ..part });
        }
        end.map_or(Ok(()), |end| self.end_member(end))
    }

    /// Unpacked bytes from here to the next point, if the packed bytes between can hold them.
    fn room(&self, next: &Point<'_>) -> Result<u32, NiftiError> {
        let got = next.start - self.start;
        let Some(bits) = next.bit.checked_sub(self.bit).filter(|&bits| bits > 0) else {
            let (got, need) = (next.bit / 8, self.bit / 8 + 1);
            return Err(NiftiError::Index { field: "packed offset", offset: next.place, got, need });
        };
        let most = most_unpacked(bits / 8).min(MOST_PART.into());
        match u32::try_from(got) {
            Ok(room) if got <= most => Ok(room),
            _ => Err(NiftiError::Index { field: "unpacked offset", offset: next.place, got, need: most }),
        }
    }

    /// Checks the member whose data end at byte `end`, and moves to the next member.
    fn end_member(&mut self, end: u64) -> Result<(), NiftiError> {
        let mut trailer = [0; TRAILER];
        if self.bytes.read_some(end, &mut trailer)? < TRAILER {
            return Err(self.gzip(GzipFault::Truncated { unpacked: self.start }));
        }
        let [a, b, c, d, e, f, g, h] = trailer;
        let (crc, size) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        if crc != self.crc {
            return Err(self.gzip(GzipFault::Crc { got: self.crc, need: crc }));
        }
        if size != self.size {
            return Err(self.gzip(GzipFault::Size { got: self.size, need: size }));
        }
        self.begin_member(end + TRAILER as u64)
    }
}
