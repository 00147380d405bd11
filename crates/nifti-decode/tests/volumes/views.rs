//! Typed views, value by value: numbers that Rust's own `to_le_bytes` and `to_be_bytes` wrote must be read back
//! unchanged.

use std::path::Path;

use nifti_decode::{Datatype, Decoder, Endian, Header, Limits, Version, View, VolumeFile};

use crate::{gzip::member, made::header};

/// A number that a voxel consists of.
trait Number: Copy {
    /// Its bytes in a file with this byte order.
    fn stored(&self, endian: Endian) -> Vec<u8>;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn stored(&self, endian: Endian) -> Vec<u8> {
                match endian {
                    Endian::Little => self.to_le_bytes().to_vec(),
                    Endian::Big => self.to_be_bytes().to_vec(),
                }
            }
        }
    )*};
}
numbers!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, u128);

impl<T: Number, const N: usize> Number for [T; N] {
    fn stored(&self, endian: Endian) -> Vec<u8> {
        self.iter().flat_map(|part| part.stored(endian)).collect()
    }
}

fn all<T: Number>(values: &[T], endian: Endian) -> Vec<u8> {
    values.iter().flat_map(|value| value.stored(endian)).collect()
}

const U64: [u64; 6] = [0, 1, 0x0102_0304_0506_0708, 0x8000_0000_0000_0001, u64::MAX, 0xff00];
const F32: [f32; 6] = [0.0, -0.0, 1.5e-42, f32::MAX, f32::NEG_INFINITY, -123.456];
const F64: [f64; 6] = [0.0, -0.0, 5e-324, f64::MIN, f64::INFINITY, 0.1];
/// Bit patterns, because no Rust type has extended precision.
const EXTENDED: [u128; 6] = [0, 1, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10, u128::MAX, 1 << 127, 0x3fff << 112];

/// Six voxels of `datatype` as stored in a file with this byte order.
fn written(datatype: Datatype, endian: Endian) -> Vec<u8> {
    match datatype {
        Datatype::Uint8 => all(&U64.map(|v| v as u8), endian),
        Datatype::Int8 => all(&U64.map(|v| v as i8), endian),
        Datatype::Uint16 => all(&U64.map(|v| v as u16), endian),
        Datatype::Int16 => all(&U64.map(|v| v as i16), endian),
        Datatype::Uint32 => all(&U64.map(|v| v as u32), endian),
        Datatype::Int32 => all(&U64.map(|v| v as i32), endian),
        Datatype::Uint64 => all(&U64, endian),
        Datatype::Int64 => all(&U64.map(|v| v as i64), endian),
        Datatype::Float32 => all(&F32, endian),
        Datatype::Float64 => all(&F64, endian),
        Datatype::Float128 => all(&EXTENDED, endian),
        Datatype::Complex64 => all(&F32.map(|v| [v, 0.25 - v]), endian),
        Datatype::Complex128 => all(&F64.map(|v| [v, 0.25 - v]), endian),
        Datatype::Complex256 => all(&EXTENDED.map(|v| [v, !v]), endian),
        Datatype::Rgb24 => all(&U64.map(|v| [v as u8, 77, !v as u8]), endian),
        Datatype::Rgba32 => all(&U64.map(|v| [v as u8, 77, !v as u8, 200]), endian),
    }
}

/// Whether a view holds exactly `values`; floats are compared by their bits.
fn same<T: Number>(view: &[T], values: [T; 6]) -> bool {
    view.len() == 6 && view.iter().zip(&values).all(|(a, b)| a.stored(Endian::Little) == b.stored(Endian::Little))
}

/// Whether a view has the type of `datatype` and the numbers that were [`written`].
fn holds(view: View<'_>, datatype: Datatype) -> bool {
    match (datatype, view) {
        (Datatype::Uint8, View::Uint8(view)) => same(view, U64.map(|v| v as u8)),
        (Datatype::Int8, View::Int8(view)) => same(view, U64.map(|v| v as i8)),
        (Datatype::Uint16, View::Uint16(view)) => same(view, U64.map(|v| v as u16)),
        (Datatype::Int16, View::Int16(view)) => same(view, U64.map(|v| v as i16)),
        (Datatype::Uint32, View::Uint32(view)) => same(view, U64.map(|v| v as u32)),
        (Datatype::Int32, View::Int32(view)) => same(view, U64.map(|v| v as i32)),
        (Datatype::Uint64, View::Uint64(view)) => same(view, U64),
        (Datatype::Int64, View::Int64(view)) => same(view, U64.map(|v| v as i64)),
        (Datatype::Float32, View::Float32(view)) => same(view, F32),
        (Datatype::Float64, View::Float64(view)) => same(view, F64),
        (Datatype::Float128, View::Float128(view)) => same(view, EXTENDED.map(u128::to_ne_bytes)),
        (Datatype::Complex64, View::Complex64(view)) => same(view, F32.map(|v| [v, 0.25 - v])),
        (Datatype::Complex128, View::Complex128(view)) => same(view, F64.map(|v| [v, 0.25 - v])),
        (Datatype::Complex256, View::Complex256(view)) => same(view, EXTENDED.map(|v| [v, !v].map(u128::to_ne_bytes))),
        (Datatype::Rgb24, View::Rgb24(view)) => same(view, U64.map(|v| [v as u8, 77, !v as u8])),
        (Datatype::Rgba32, View::Rgba32(view)) => same(view, U64.map(|v| [v as u8, 77, !v as u8, 200])),
        _ => false,
    }
}

/// A file whose voxels begin at `vox_offset`. Only its header comes from the writer.
fn file(datatype: Datatype, endian: Endian, vox_offset: usize) -> Vec<u8> {
    let scaled = header(Version::Nifti1, endian, datatype, &[3, 1, 2]).with_scale(3.0, 1.0);
    let mut bytes = Header { vox_offset: vox_offset as f64, ..scaled }.encode().unwrap();
    bytes.resize(vox_offset, 0);
    bytes.extend(written(datatype, endian));
    bytes
}

/// Offsets that are aligned for every type, and for fewer and fewer types.
const OFFSETS: [usize; 6] = [352, 360, 356, 354, 353, 4099];

#[test]
fn every_type_order_and_offset_in_memory_plain_and_packed() {
    let mut decoder = Decoder::new();
    for datatype in Datatype::ALL {
        for endian in [Endian::Little, Endian::Big] {
            for vox_offset in OFFSETS {
                let plain = file(datatype, endian, vox_offset);
                for bytes in [member(&plain, 6), plain] {
                    let file = VolumeFile::from_bytes(bytes, Limits::default()).unwrap();
                    let place = format!("{datatype:?} {endian:?} at {vox_offset}, {:?}", file.packing());
                    let view = file.view(&mut decoder).unwrap();
                    assert!(!view.is_empty() && view.len() == 6, "{place}");
                    assert!(holds(view, datatype), "{place}: {view:?}");
                }
            }
        }
    }
}

/// A map begins at a page, so only the offset determines whether its voxels can be viewed in place.
#[test]
fn a_mapped_file_is_copied_only_where_it_must_be() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v.nii");
    for datatype in Datatype::ALL {
        for endian in [Endian::Little, Endian::Big] {
            for vox_offset in OFFSETS {
                std::fs::write(&path, file(datatype, endian, vox_offset)).unwrap();
                let is_swapped = endian != Endian::NATIVE && datatype.unit_bytes() > 1;
                // Rust views extended precision as bytes, and colors too.
                let alignment = match datatype {
                    Datatype::Float128 | Datatype::Complex256 => 1,
                    _ => datatype.unit_bytes(),
                };
                let is_copied = is_swapped || vox_offset % alignment != 0;
                let (mapped, read) = (map(&path), VolumeFile::open(&path).unwrap());
                for (file, is_copied) in [(mapped, is_copied), (read, true)] {
                    let mut decoder = Decoder::new();
                    let place = format!("{datatype:?} {endian:?} at {vox_offset}");
                    assert!(holds(file.view(&mut decoder).unwrap(), datatype), "{place}");
                    assert_eq!(decoder.scratch_bytes() > 0, is_copied, "{place}");
                }
            }
        }
    }
}

fn map(path: &Path) -> VolumeFile {
    // SAFETY: the file belongs to this test, which rewrites it only after this map is dropped.
    unsafe { VolumeFile::map(path) }.unwrap()
}

/// Bytes that cannot be voxels of a type have no view of that type.
#[test]
fn bytes_that_do_not_fit_a_type_have_no_view() {
    let numbers = [0_u64; 5];
    let bytes: &[u8] = bytemuck::cast_slice(&numbers);
    for datatype in Datatype::ALL {
        let size = datatype.bytes();
        assert_eq!(View::new(datatype, &bytes[..size]).map(|view| view.len()), Some(1), "{datatype:?}");
        assert_eq!(View::new(datatype, &bytes[..size - 1]).map(|view| view.len()), (size == 1).then_some(0));
        let is_bytes = matches!(
            datatype,
            Datatype::Uint8
                | Datatype::Int8
                | Datatype::Rgb24
                | Datatype::Rgba32
                | Datatype::Float128
                | Datatype::Complex256
        );
        assert_eq!(View::new(datatype, &bytes[1..1 + size]).is_some(), is_bytes, "{datatype:?}");
    }
}
