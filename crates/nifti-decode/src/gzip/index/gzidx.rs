//! The index files of indexed_gzip (pauldmccarthy/indexed_gzip), `.gzidx`, as its header `zran.h` documents them.
//!
//! All numbers are little-endian. The header has `GZIDX`, version 0 or 1 (1 byte), reserved (1), packed bytes of the
//! file (8), unpacked bytes, 0 if not known (8), spacing (4), window bytes (4) and number of points (4). Each point has
//! the packed offset of its first whole byte (8), its unpacked offset (8), the number of bits of the previous byte that
//! belong to it (1) and, in version 1, whether it has a window (1). In version 0 all points but the first have one. The
//! windows follow, one after the other.

use super::{WINDOW, file::Reader};
use crate::NiftiError;

const MAGIC: &[u8; 5] = b"GZIDX";
const LATEST: u8 = 1;

/// An index file, whose windows are not copied.
#[derive(Debug)]
pub(super) struct Gzidx<'a> {
    pub(super) packed_bytes: u64,
    pub(super) unpacked_bytes: u64,
    pub(super) points: Vec<Point<'a>>,
}

/// An access point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point<'a> {
    /// Its offset in the index.
    pub(super) place: u64,
    /// First bit in the packed file.
    pub(super) bit: u64,
    /// First unpacked byte.
    pub(super) start: u64,
    /// The [`WINDOW`] bytes before it, or none.
    pub(super) window: &'a [u8],
}

impl<'a> Gzidx<'a> {
    /// Reads an index file. Checks that points ascend and that nothing extends beyond the file. Only the packed file
    /// can show whether the points are correct.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, NiftiError> {
        let fault = |field, offset, got, need| Err(NiftiError::Index { field, offset, got, need });
        let mut reader = Reader { bytes, at: 0 };
        let magic = reader.take(MAGIC.len())?;
        if magic != MAGIC {
            return fault("magic", 0, number(magic), number(MAGIC));
        }
        let &[version, reserved] = reader.take(2)? else { return fault("version", 5, 0, LATEST.into()) };
        if version > LATEST {
            return fault("version", 5, version.into(), LATEST.into());
        }
        if reserved != 0 {
            return fault("reserved flags", 6, reserved.into(), 0);
        }
        let (packed_bytes, unpacked_bytes, _spacing) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let (window_bytes, n_points) = (reader.u32()? as usize, reader.u32()?);
        if window_bytes < WINDOW {
            return fault("window bytes", 27, window_bytes as u64, WINDOW as u64);
        }
        let point_bytes = if version == 0 { 17 } else { 18 };
        let most = (bytes.len() - reader.at) as u64 / point_bytes;
        if u64::from(n_points) > most {
            return fault("points", 31, n_points.into(), most);
        }
        let mut points: Vec<Point<'a>> = Vec::with_capacity(n_points as usize);
        let mut have_windows = Vec::with_capacity(n_points as usize);
        for i in 0..n_points {
            points.push(Point::read(&mut reader, points.last())?);
            have_windows.push(if version == 0 { i > 0 } else { reader.take(1)? != [0] });
        }
        for (point, _) in points.iter_mut().zip(have_windows).filter(|(_, has_window)| *has_window) {
            let window = reader.take(window_bytes)?;
            point.window = &window[window_bytes - WINDOW..];
        }
        Ok(Self { packed_bytes, unpacked_bytes, points })
    }
}

impl Point<'_> {
    /// The next point, without its window.
    fn read(reader: &mut Reader<'_>, before: Option<&Self>) -> Result<Self, NiftiError> {
        let place = reader.at as u64;
        let (byte, start, bits) = (reader.u64()?, reader.u64()?, u64::from(reader.take(1)?[0]));
        let fault = |field, offset, got, need| Err(NiftiError::Index { field, offset, got, need });
        if bits > 7 {
            return fault("bits", place + 16, bits, 7);
        }
        let Some(bit) = byte.checked_mul(8).and_then(|bit| bit.checked_sub(bits)) else {
            return fault("packed offset", place, byte, u64::MAX / 8);
        };
        let (least_bit, least_start) = before.map_or((0, 0), |before| (before.bit, before.start));
        if bit < least_bit {
            return fault("packed offset", place, byte, least_bit.div_ceil(8));
        }
        if start < least_start {
            return fault("unpacked offset", place + 8, start, least_start);
        }
        Ok(Self { place, bit, start, window: &[] })
    }
}

/// At most eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
