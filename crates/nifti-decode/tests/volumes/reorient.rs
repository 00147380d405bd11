//! Reorientation: all 48 orders of axes, against indices computed one by one.

use nifti_decode::{
    Access, Affine, AffineSource, Datatype, Decoder, Endian, Header, Kind, NiftiError, Orientation, Pack, Phantom,
    Plan, Version, VolumeFile, Warning, encode, f16, write,
};

use crate::made::{header, open, voxels};

const SHAPE: [usize; 3] = [70, 37, 41];

/// A volume whose voxel axes have the directions of `orientation`.
fn volume(orientation: Orientation, datatype: Datatype, volumes: usize) -> (VolumeFile, Vec<u8>) {
    let phantom = Phantom::new(Kind::Tiny, Some(&SHAPE), orientation, 1).unwrap();
    let shape = [&SHAPE[..], &[volumes]].concat();
    let oriented = Header { dim: header(Version::Nifti1, Endian::Big, datatype, &shape).dim, ..phantom.header };
    let oriented = Header { datatype: datatype.code().into(), endian: Endian::Big, ..oriented };
    let stored = voxels(datatype, shape.iter().product(), 3, false);
    (open(&encode(&oriented, &[], &stored, Pack::Plain).unwrap()).unwrap(), stored)
}

/// Reorients voxels by computing, for each voxel of the output, its position in the stored volume.
fn naive<T: Copy>(file: &VolumeFile, wanted: Orientation, stored: &[T]) -> (Vec<T>, [usize; 3]) {
    let codes = file.affine().orientation().map(Option::unwrap);
    let from = wanted.codes().map(|want| codes.iter().position(|code| code.axis() == want.axis()).unwrap());
    let extents = from.map(|axis| SHAPE[axis]);
    let volume: usize = SHAPE.iter().product();
    let mut out = Vec::new();
    for t in 0..stored.len() / volume {
        for k in 0..extents[2] {
            for j in 0..extents[1] {
                for i in 0..extents[0] {
                    let mut at = [0; 3];
                    for (out_axis, index) in [i, j, k].into_iter().enumerate() {
                        let is_flipped = codes[from[out_axis]] != wanted.codes()[out_axis];
                        at[from[out_axis]] = if is_flipped { extents[out_axis] - 1 - index } else { index };
                    }
                    out.push(stored[t * volume + at[0] + SHAPE[0] * (at[1] + SHAPE[1] * at[2])]);
                }
            }
        }
    }
    (out, extents)
}

#[test]
fn every_orientation_of_stored_and_wanted_axes() {
    let mut decoder = Decoder::new();
    for stored_order in Orientation::all() {
        let (file, stored) = volume(stored_order, Datatype::Int16, 2);
        let numbers: Vec<i16> = stored.as_chunks::<2>().0.iter().map(|&v| i16::from_ne_bytes(v)).collect();
        for wanted in [Orientation::RAS, Orientation::LPS, "PSR".parse().unwrap(), "SAR".parse().unwrap()] {
            let (expected, extents) = naive(&file, wanted, &numbers);
            let reoriented = file.decode::<f32>(&mut decoder, &Plan::stored().oriented(wanted)).unwrap();
            assert_eq!(reoriented.shape(), [&extents[..], &[2]].concat());
            assert!(
                reoriented.voxels().iter().zip(&expected).all(|(&v, &e)| v == f32::from(e)),
                "{stored_order} {wanted}"
            );
            assert_eq!(reoriented.affine().orientation(), wanted.codes().map(Some));
            // The same voxel has the same coordinates.
            let far = extents.map(|extent| extent as f64 - 1.0);
            let corner = reoriented.affine().apply(far);
            let stored_corner = [0, 1, 2].map(|axis| {
                let out = wanted.codes().iter().position(|c| c.axis() == stored_order.codes()[axis].axis()).unwrap();
                if wanted.codes()[out] == stored_order.codes()[axis] { SHAPE[axis] as f64 - 1.0 } else { 0.0 }
            });
            assert_eq!(corner, file.affine().apply(stored_corner), "{stored_order} {wanted}");
        }
    }
}

/// A file that is read some slices at a time gives the same result as the same bytes in memory, for all orders of axes
/// and several volumes.
#[test]
fn slices_as_they_are_read_give_the_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("v.nii");
    // 23 slices of 24 KiB, so that a volume is read in three parts.
    let shape = [96, 128, 23, 2];
    let numbers = voxels(Datatype::Int16, shape.iter().product(), 3, false);
    let mut decoder = Decoder::new();
    let mut accesses = Vec::new();
    for stored_order in Orientation::all() {
        let phantom = Phantom::new(Kind::Tiny, Some(&shape[..3]), stored_order, 1).unwrap();
        let dim = header(Version::Nifti1, Endian::Little, Datatype::Int16, &shape).dim;
        write(&path, &Header { dim, ..phantom.header }, &[], &numbers, Pack::Plain).unwrap();
        let read = VolumeFile::open(&path).unwrap();
        let in_memory = open(&std::fs::read(&path).unwrap()).unwrap();
        for plan in [Plan::stored().oriented(Orientation::RAS), Plan::stored().oriented(Orientation::LPS).with_stats()]
        {
            let expected = in_memory.decode::<f32>(&mut decoder, &plan).unwrap();
            let got = read.decode::<f32>(&mut decoder, &plan).unwrap();
            assert!(got.voxels() == expected.voxels(), "{stored_order} {plan:?}");
            assert_eq!((&got.stats(), &got.shape()), (&expected.stats(), &expected.shape()));
            accesses.push(got.decoded().access);
        }
    }
    // If the third axis becomes the first, every run crosses all slices.
    let by_blocks = accesses.iter().filter(|access| **access == Access::ReadByBlocks).count();
    assert_eq!((by_blocks, accesses.len()), (2 * 32, 2 * 48), "{accesses:?}");
}

#[test]
fn voxels_of_every_size_are_reoriented() {
    let mut decoder = Decoder::new();
    for datatype in Datatype::ALL {
        let (file, stored) = volume("ASL".parse().unwrap(), datatype, 1);
        let (expected, _) = naive(&file, Orientation::RAS, &stored.chunks(datatype.bytes()).collect::<Vec<_>>());
        let mut copy = vec![0; stored.len()];
        file.copy_into(&mut decoder, Some(Orientation::RAS), &mut copy).unwrap();
        assert!(copy == expected.concat(), "{datatype:?}");
    }
}

#[test]
fn halves_are_reoriented_as_singles_are() {
    let (file, _) = volume("IPL".parse().unwrap(), Datatype::Uint8, 1);
    let plan = Plan::scaled().oriented(Orientation::RAS);
    let single = file.decode::<f32>(&mut Decoder::new(), &plan).unwrap().into_voxels();
    let half = file.decode::<f16>(&mut Decoder::new(), &plan).unwrap().into_voxels();
    assert!(single.iter().zip(&half).all(|(&a, &b)| f16::from_f32(a) == b));
}

/// An sform that drops an axis is ignored, so the volume keeps an orientation.
#[test]
fn an_sform_that_drops_an_axis_gives_no_orientation() {
    let mut h = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[2, 2, 2]);
    h.sform_code = 1;
    h.srow_x = [1.0, 0.0, 0.0, 0.0];
    h.srow_z = [0.0, 0.0, 1.0, 0.0];
    assert_eq!(Affine::of(&h).0.orientation()[1], None);
    assert!(matches!(h.reoriented(Orientation::RAS), Err(NiftiError::NoOrientation)));
    let file = open(&encode(&h, &[], &[0; 8], Pack::Plain).unwrap()).unwrap();
    assert!(matches!(file.warnings(), [Warning::Sform { code: 1, is_finite: true, .. }]));
    assert_eq!(file.affine_source(), AffineSource::Base);
    assert!(file.decode::<f32>(&mut Decoder::new(), &Plan::scaled().oriented(Orientation::RAS)).is_ok());
}

#[test]
fn a_plane_gains_an_axis_when_it_is_reoriented() {
    let h = header(Version::Nifti1, Endian::Little, Datatype::Uint8, &[3, 2]);
    let file = open(&encode(&h, &[], &[0, 1, 2, 3, 4, 5], Pack::Plain).unwrap()).unwrap();
    let reoriented = file.decode::<f32>(&mut Decoder::new(), &Plan::scaled().oriented(Orientation::RAS)).unwrap();
    assert_eq!(reoriented.shape(), [3, 2, 1]);
    // Without transforms, x points left.
    assert_eq!(reoriented.voxels(), [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]);
}

/// A file is read and reoriented some slices at a time; a volume in memory, all at once.
#[test]
fn files_are_reoriented_slice_by_slice_as_whole_volumes_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("volume.nii");
    let mut decoder = Decoder::new();
    // Rows longer than the height of a tile, several parts per volume, and an output that is written with streaming
    // stores.
    for (shape, stored_order) in [([600, 70, 41, 2], "LAS"), ([300, 530, 42, 1], "SPL"), ([41, 600, 300, 1], "PIR")] {
        let datatype = Datatype::Int16;
        let stored_order: Orientation = stored_order.parse().unwrap();
        let phantom = Phantom::new(Kind::Tiny, Some(&shape[..3]), stored_order, 1).unwrap();
        let oriented = Header {
            dim: header(Version::Nifti1, Endian::Little, datatype, &shape).dim,
            datatype: datatype.code().into(),
            ..phantom.header
        };
        let stored = voxels(datatype, shape.iter().product(), 3, false);
        let bytes = encode(&oriented, &[], &stored, Pack::Plain).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let (from_memory, from_file) = (open(&bytes).unwrap(), VolumeFile::open(&path).unwrap());
        for wanted in Orientation::all().step_by(3) {
            let plan = Plan::stored().oriented(wanted).with_stats();
            let expected = from_memory.decode::<f32>(&mut decoder, &plan).unwrap();
            let reoriented = from_file.decode::<f32>(&mut decoder, &plan).unwrap();
            assert!(reoriented.voxels() == expected.voxels(), "{shape:?} {stored_order} {wanted}");
            assert_eq!(reoriented.stats(), expected.stats());
            assert_eq!((reoriented.affine(), &reoriented.shape()), (expected.affine(), &expected.shape()));
            // A second oracle: reorienting back restores the original.
            let mut copy = vec![0; stored.len()];
            from_file.copy_into(&mut decoder, Some(wanted), &mut copy).unwrap();
            let as_f32 = copy.as_chunks::<2>().0.iter().map(|&v| f32::from(i16::from_ne_bytes(v)));
            assert!(reoriented.voxels().iter().copied().eq(as_f32), "{shape:?} {stored_order} {wanted}");
        }
    }
}
