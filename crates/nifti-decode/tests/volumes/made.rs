//! Small files, and the values of their voxels.

use nifti_decode::{
    Datatype, Decoder, Endian, Header, Limits, NiftiError, Output, Pack, Plan, Threads, Version, VolumeFile, encode,
};
use op::random::SplitMix64;

/// Two threads: the smallest number that share work.
pub(crate) const TWO: Threads = Threads::new(2).unwrap();

/// Bytes of `n` voxels of `datatype` in this machine's order: all bit patterns for integers, for floats finite values
/// and, with `has_specials`, NaN, infinities and zeros of both signs.
pub(crate) fn voxels(datatype: Datatype, n: usize, seed: u64, has_specials: bool) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    let mut bytes = Vec::new();
    for i in 0..n * datatype.units() {
        let bits = random.bits();
        let wide = (bits >> 11) as f64 / (1_u64 << 53) as f64 * 4000.0 - 2000.0;
        let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0][(bits % 5) as usize];
        let value = if has_specials && i % 7 == 3 { special } else { wide };
        match (datatype, datatype.unit_bytes()) {
            (Datatype::Float32 | Datatype::Complex64, _) => bytes.extend((value as f32).to_ne_bytes()),
            (Datatype::Float64 | Datatype::Complex128, _) => bytes.extend(value.to_ne_bytes()),
            (_, unit) => bytes.extend(&[bits, random.bits()].map(u64::to_ne_bytes).as_flattened()[..unit]),
        }
    }
    bytes
}

/// Stored voxels as f64, converted one by one.
pub(crate) fn as_f64(datatype: Datatype, bytes: &[u8]) -> Vec<f64> {
    macro_rules! each {
        ($type:ty) => {
            bytes.as_chunks::<{ size_of::<$type>() }>().0.iter().map(|&v| <$type>::from_ne_bytes(v) as f64).collect()
        };
    }
    match datatype {
        Datatype::Uint8 => each!(u8),
        Datatype::Int8 => each!(i8),
        Datatype::Uint16 => each!(u16),
        Datatype::Int16 => each!(i16),
        Datatype::Uint32 => each!(u32),
        Datatype::Int32 => each!(i32),
        Datatype::Uint64 => each!(u64),
        Datatype::Int64 => each!(i64),
        Datatype::Float32 => each!(f32),
        Datatype::Float64 => each!(f64),
        other => panic!("{other:?} is not real"),
    }
}

pub(crate) fn reals() -> impl Iterator<Item = Datatype> {
    Datatype::ALL.into_iter().filter(|datatype| datatype.is_real())
}

pub(crate) fn header(version: Version, endian: Endian, datatype: Datatype, shape: &[usize]) -> Header {
    Header { endian, ..Header::new(version, datatype, shape).unwrap() }
}

/// A plain little-endian NIfTI-1 file of 4 x 3 x 2 `int16`: 0, 1, 2, ..
pub(crate) fn small() -> Vec<u8> {
    let voxels: Vec<u8> = (0..24_i16).flat_map(i16::to_ne_bytes).collect();
    let header = header(Version::Nifti1, Endian::Little, Datatype::Int16, &[4, 3, 2]);
    encode(&header, &[], &voxels, Pack::Plain).unwrap()
}

/// [`small`] with some bytes changed.
pub(crate) fn with(changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut file = small();
    for (at, bytes) in changes {
        file[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    file
}

pub(crate) fn open(bytes: &[u8]) -> Result<VolumeFile, NiftiError> {
    VolumeFile::from_bytes(bytes, Limits::default())
}

pub(crate) fn decode<D: Output>(bytes: &[u8]) -> Result<Vec<D>, NiftiError> {
    Ok(open(bytes)?.decode(&mut Decoder::new(), &Plan::scaled())?.into_voxels())
}

/// The values of [`small`].
pub(crate) fn counting() -> Vec<f32> {
    (0..24_u8).map(f32::from).collect()
}

/// Packings with different streams: stored, fixed and dynamic blocks, flushes, one and several members, blocked.
pub(crate) const PACKS: [Pack; 10] = [
    Pack::Plain,
    Pack::Gzip { level: 0 },
    Pack::Gzip { level: 1 },
    Pack::Gzip { level: 6 },
    Pack::Flushed { level: 6, bytes: 1000 },
    Pack::Members { level: 0, bytes: usize::MAX },
    Pack::Members { level: 6, bytes: usize::MAX },
    Pack::Members { level: 6, bytes: 777 },
    Pack::Bgzf { level: 6 },
    Pack::Mgzip { level: 6, bytes: 2049 },
];
