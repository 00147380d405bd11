//! Phantoms compress like real volumes, in the kinds of streams that real files have.

use nifti_decode::{Kind, Orientation, Pack, Phantom, encode};

/// Bytes of voxels per byte of the packed file.
fn ratio(phantom: &Phantom, pack: Pack) -> f64 {
    let packed = encode(&phantom.header, &[], &phantom.voxels, pack).unwrap();
    phantom.voxels.len() as f64 / packed.len() as f64
}

fn phantom(kind: Kind, shape: Option<&[usize]>) -> Phantom {
    Phantom::new(kind, shape, Orientation::LPS, 1).unwrap()
}

const ZLIB_1: Pack = Pack::Gzip { level: 1 };
const ZLIB_6: Pack = Pack::Gzip { level: 6 };
const LIBDEFLATE_6: Pack = Pack::Members { level: 6, bytes: usize::MAX };

#[test]
fn compression_ratios_are_those_of_real_volumes() {
    let slab: &[usize] = &[512, 512, 24];
    for (kind, shape, pack, low, high) in [
        (Kind::Brain, None, ZLIB_6, 6.8, 6.95),
        (Kind::Brain, None, LIBDEFLATE_6, 6.8, 6.95),
        (Kind::Ct, Some(slab), ZLIB_1, 2.3, 2.36),
        (Kind::Ct, Some(slab), LIBDEFLATE_6, 2.38, 2.44),
        (Kind::Labels, None, ZLIB_6, 100.0, 300.0),
        (Kind::Zscored, Some(&[240, 240, 40]), ZLIB_6, 1.1, 1.2),
    ] {
        let got = ratio(&phantom(kind, shape), pack);
        assert!((low..=high).contains(&got), "{} {pack:?}: {got:.3}", kind.name());
    }
}

/// The type of the first block of a packed file: 0 stored, 1 fixed codes, 2 dynamic codes.
fn first_block(packed: &[u8]) -> u8 {
    let extra = if packed[3] & 4 == 0 { 0 } else { 2 + usize::from(packed[10]) };
    packed[10 + extra] >> 1 & 3
}

#[test]
fn every_packing_has_its_kind_of_gzip_stream() {
    let ct = phantom(Kind::Ct, Some(&[256, 256, 24]));
    let pack = |pack| encode(&ct.header, &[], &ct.voxels, pack).unwrap();
    let members = |packed: &[u8], id: &[u8]| packed.windows(id.len()).filter(|window| *window == id).count();
    // An empty stored block ends at a byte boundary: 00 00 ff ff.
    let flushes = |packed: &[u8]| members(packed, &[0, 0, 0xff, 0xff]);
    let size = ct.voxels.len();
    for (flavor, block) in
        [(Pack::Gzip { level: 0 }, 0), (ZLIB_1, 2), (ZLIB_6, 2), (LIBDEFLATE_6, 2), (Pack::Bgzf { level: 6 }, 2)]
    {
        let packed = pack(flavor);
        assert_eq!(first_block(&packed), block, "{flavor:?}");
        assert!(block == 0 && packed.len() > size || packed.len() < size / 2, "{flavor:?}: {}", packed.len());
    }
    let (pigz, plain) = (pack(Pack::Flushed { level: 6, bytes: 128 << 10 }), pack(ZLIB_6));
    assert!(flushes(&pigz) >= size / (128 << 10) && flushes(&plain) < 3, "{} {}", flushes(&pigz), flushes(&plain));
    assert_eq!(members(&pack(Pack::Bgzf { level: 6 }), b"BC\x02\0"), (size + 352).div_ceil(0xff00) + 1);
    assert_eq!(members(&pack(Pack::Mgzip { level: 6, bytes: 1 << 20 }), b"SZ\x04\0"), (size + 352).div_ceil(1 << 20));
}
