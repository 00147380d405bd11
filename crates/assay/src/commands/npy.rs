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

/// Writes an array of f32 in rows.
pub(crate) fn write_f32(path: &Path, shape: &[usize], floats: &[f32]) -> Result<()> {
    write(
        path,
        &descr(Datatype::Float32)?,
        shape,
        Order::LastFastest,
        &floats.iter().flat_map(|float| float.to_ne_bytes()).collect::<Vec<u8>>(),
    )
}

/// The numbers of an array of little-endian f32 in rows; its shape is not looked at.
pub(crate) fn read_f32(bytes: &[u8]) -> Result<Vec<f32>> {
    let [_, _, _, _, _, _, 1, _, low, high, ..] = bytes else { bail!("no array of NumPy in version 1") };
    let from = 10 + usize::from(u16::from_le_bytes([*low, *high]));
    let header = String::from_utf8_lossy(bytes.get(10..from).unwrap_or_default());
    let is_right = bytes.starts_with(b"\x93NUMPY") && header.contains("'<f4'") && header.contains("False");
    let (floats, []) = bytes[from.min(bytes.len())..].as_chunks() else { bail!("half a number at the end") };
    if is_right { Ok(floats.iter().map(|float| f32::from_le_bytes(*float)).collect()) } else { bail!("no rows of f32") }
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
    #[test]
    fn what_was_written_is_read_and_anything_else_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.npy");
        write_f32(&path, &[2, 1], &[1.5, -2.0]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(read_f32(&bytes).unwrap(), [1.5, -2.0]);
        }
        for wrong in [&bytes[..bytes.len() - 1], &bytes[..20], &bytes[..4], b"\x93NUMPY\x02\x00\x01\x00"] {
            assert!(read_f32(wrong).is_err());
        }
        write(&path, "'<i4'", &[1], Order::LastFastest, &[0; 4]).unwrap();
        assert!(read_f32(&std::fs::read(&path).unwrap()).is_err());
    }
}
