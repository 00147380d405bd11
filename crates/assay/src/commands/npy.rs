//! NumPy's array files, version 1.0: magic, a header in Python's notation, the array.

use std::path::Path;

use anyhow::{Result, bail};
use nifti_decode::{Datatype, atomically};
use std::io::Write;

/// NumPy's name of a voxel type in this machine's byte order; extended precision has none that all machines share.
pub(crate) fn descr(datatype: Datatype) -> Result<String> {
    let order = if cfg!(target_endian = "big") { '>' } else { '<' };
    Ok(match datatype {
        Datatype::Uint8 => "'|u1'".to_owned(),
        Datatype::Int8 => "'|i1'".to_owned(),
        Datatype::Uint16 => format!("'{order}u2'"),
        Datatype::Int16 => format!("'{order}i2'"),
        Datatype::Uint32 => format!("'{order}u4'"),
        Datatype::Int32 => format!("'{order}i4'"),
        Datatype::Uint64 => format!("'{order}u8'"),
        Datatype::Int64 => format!("'{order}i8'"),
        Datatype::Float32 => format!("'{order}f4'"),
        Datatype::Float64 => format!("'{order}f8'"),
        Datatype::Complex64 => format!("'{order}c8'"),
        Datatype::Complex128 => format!("'{order}c16'"),
        Datatype::Rgb24 => "[('R', '|u1'), ('G', '|u1'), ('B', '|u1')]".to_owned(),
        Datatype::Rgba32 => "[('R', '|u1'), ('G', '|u1'), ('B', '|u1'), ('A', '|u1')]".to_owned(),
        Datatype::Float128 | Datatype::Complex256 => {
            bail!("{} has no portable type in NumPy; convert to .nii instead", datatype.name())
        }
    })
}

/// Which index of an array is next to itself in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    /// The first one, as x of a volume.
    FirstFastest,
    /// The last one, as the columns of a matrix in rows.
    LastFastest,
}

/// The header of an array: padded to 64 bytes, as NumPy wants it.
fn header(descr: &str, shape: &[usize], order: Order) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let fortran = if order == Order::FirstFastest { "True" } else { "False" };
    let text = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': ({}), }}", extents.trim_end());
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((length as u16).to_le_bytes());
    header.extend(format!("{text:<width$}\n", width = length - 1).bytes());
    header
}

/// Writes an array: `bytes` in this machine's byte order.
pub(crate) fn write(path: &Path, descr: &str, shape: &[usize], order: Order, bytes: &[u8]) -> Result<()> {
    atomically(path, |file| {
        file.write_all(&header(descr, shape, order))?;
        file.write_all(bytes)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_padded_and_ends_in_a_line_feed() {
        for shape in [&[5][..], &[512, 512, 300], &[1, 2, 3, 4, 5, 6, 7]] {
            let header = header("'<f4'", shape, Order::LastFastest);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])), header.len() - 10);
            assert_eq!(header.last(), Some(&b'\n'));
        }
        let one = String::from_utf8(header("'<f4'", &[5], Order::FirstFastest)[10..].to_vec()).unwrap();
        assert!(one.starts_with("{'descr': '<f4', 'fortran_order': True, 'shape': (5,), }"), "{one}");
    }
}
