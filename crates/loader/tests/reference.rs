//! Every pixel against a scalar reference in f64 that follows the definitions word by word.

#[path = "data/brains.rs"]
mod brains;
mod data;

use loader::{
    AsymmetricPatches, Cache, CenterCrop, Files, Item, Loader, PosNegCrop, RandomCrop, Reference, SIDE, Source, Volume,
    Voxels, f16,
};
use nifti_decode::{Decoder, Kind, Orientation, VolumeFile};

fn worst(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

#[test]
fn views_are_those_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    let (brain, ct, z) = ((Kind::Brain, [130, 120, 110]), (Kind::Ct, [70, 60, 50]), (Kind::Zscored, [50, 44, 40]));
    let lps = Orientation::LPS;
    let same = |header| header;
    let paths = [
        data::file(directory.path(), "a.nii", brain, "PSR".parse().unwrap(), same),
        data::file(directory.path(), "b.nii.gz", ct, lps, same),
        data::file(directory.path(), "c.nii", ct, lps, |header| header.with_scale(0.5, 100.0)),
        data::file(directory.path(), "d.nii", ct, lps, |header| header.with_scale(-2.0, 7.0)),
        data::file(directory.path(), "e.nii", z, lps, same),
        data::file(directory.path(), "f.nii", (Kind::Labels, [40, 30, 20]), lps, same),
        // Smaller than a patch along every axis.
        data::file(directory.path(), "g.nii", (Kind::Brain, [9, 5, 1]), lps, same),
        // Axes of a lattice that is not orthogonal.
        data::file(directory.path(), "h.nii", brain, lps, |mut header| {
            (header.srow_x[1], header.srow_y[2], header.srow_z[0], header.sform_code) = (0.3, -0.2, 0.25, 1);
            (header.srow_x[0], header.srow_y[1], header.srow_z[2]) = (0.9, 1.3, 2.6);
            header
        }),
    ];
    let references = paths.each_ref().map(|path| Reference::open(path).unwrap());
    let loader = Loader::builder(Files::new(paths)).pool(8, 4).seed(5).samples(48).batch(3);
    let mut seen = [0; 8];
    for batch in loader.build::<f32, _>(AsymmetricPatches::new(6)).unwrap() {
        let batch = batch.unwrap();
        assert_eq!(batch.shape(), [3, 2, 6, SIDE, SIDE]);
        for (s, (views, &file)) in batch.labels().iter().zip(batch.files()).enumerate() {
            let size = 2 * 6 * SIDE * SIDE;
            let expected = references[file].views(views);
            let error = worst(&batch.pixels()[s * size..][..size], &expected);
            assert!(error < 1e-4, "file {file}: {error}");
            assert!(expected.iter().any(|&value| value != expected[0]), "file {file} is constant");
            seen[file] += 1;
        }
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

#[test]
fn what_is_drawn_has_the_ranges_of_the_definition() {
    let directory = tempfile::tempdir().unwrap();
    let path = data::file(directory.path(), "a.nii", (Kind::Brain, [130, 120, 110]), Orientation::LPS, |header| header);
    let reference = Reference::open(&path).unwrap();
    let volume = Files::new([&path]).load(0, Default::default(), &mut Decoder::new()).unwrap();
    let (median, std) = (volume.stats().median, volume.stats().robust_std);
    let loader = Loader::builder(Files::new([&path])).seed(1).samples(300).build::<f32, _>(AsymmetricPatches::new(20));
    let mut widths = [f64::INFINITY, 0.0];
    for batch in loader.unwrap() {
        let batch = batch.unwrap();
        let views = &batch.labels()[0];
        let anchor = reference.voxel_of(views.anchors[0]);
        for axis in 0..3 {
            let (at, extent) = (anchor[axis], reference.shape()[axis] as f64);
            assert!((at - at.round()).abs() < 1e-9 && at > 45.9 && at < extent - 46.9, "{anchor:?}");
        }
        let distance = views.delta().iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((20.0..30.0).contains(&distance), "{distance}");
        assert!(views.degrees.iter().all(|angle| angle.abs() <= 20.0));
        for row in 0..3 {
            for other in 0..3 {
                let product: f64 = (0..3).map(|k| views.rotation[row][k] * views.rotation[other][k]).sum();
                assert!((product - f64::from(u8::from(row == other))).abs() < 1e-12);
            }
        }
        for (view, window) in views.windows.iter().enumerate() {
            assert!((window.center - median).abs() <= std && (2.0 * std..6.0 * std).contains(&window.width));
            widths = [widths[0].min(window.width / std), widths[1].max(window.width / std)];
            for point in &views.points[view] {
                let length = point.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                assert!(length < views.radii[view] && (20.0..30.0).contains(&views.radii[view]));
            }
        }
    }
    assert!(widths[0] < 2.1 && widths[1] > 5.9, "{widths:?}");
}

#[test]
fn half_precision_rounds_what_single_precision_gives() {
    let directory = tempfile::tempdir().unwrap();
    let paths = brains::brains(directory.path(), 2);
    let builder = || Loader::builder(Files::new(&paths)).seed(3).samples(4);
    let single = builder().build::<f32, _>(AsymmetricPatches::new(3)).unwrap();
    let half = builder().build::<f16, _>(AsymmetricPatches::new(3)).unwrap();
    for (single, half) in single.zip(half) {
        let (single, half) = (single.unwrap(), half.unwrap());
        assert_eq!(half.pixels(), single.pixels().iter().map(|&x| f16::from_f32(x)).collect::<Vec<_>>());
    }
}

#[test]
fn crops_are_those_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    let shape = [23, 20, 9];
    let image = data::file(directory.path(), "i.nii", (Kind::Brain, shape), Orientation::LPS, |header| {
        header.with_scale(0.5, -3.0)
    });
    let labels = data::file(directory.path(), "l.nii", (Kind::Labels, shape), Orientation::LPS, |header| header);
    let (reference, marks) = (Reference::open(&image).unwrap(), Reference::open(&labels).unwrap());
    let item = Item { image, labels: Some(labels) };
    let builder =
        || Loader::builder(Files::of([item.clone()])).seed(7).samples(200).cache(Cache::Pool { slots: 1, visits: 64 });
    // Larger than the volume along z.
    let size = [8, 7, 12];
    let mut starts = [[i64::MAX; 3], [i64::MIN; 3]];
    for batch in builder().build::<f32, _>(RandomCrop { size }).unwrap() {
        let batch = batch.unwrap();
        let start = batch.labels()[0].start;
        assert_eq!(worst(batch.pixels(), &reference.crop(start, size)), 0.0);
        for axis in 0..3 {
            starts[0][axis] = starts[0][axis].min(start[axis]);
            starts[1][axis] = starts[1][axis].max(start[axis]);
        }
    }
    assert_eq!(starts, [[0, 0, -1], [15, 13, -1]]);

    let batch = builder().build::<f32, _>(CenterCrop { size }).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.labels()[0].start, [11 - 4, 10 - 3, -1]);
    assert_eq!(worst(batch.pixels(), &reference.crop([7, 7, -1], size)), 0.0);

    let mut positive = 0;
    for batch in builder().build::<f32, _>(PosNegCrop { size, positive: 3.0, negative: 1.0 }).unwrap() {
        let batch = batch.unwrap();
        let crop = batch.labels()[0];
        let (values, found) = batch.pixels().split_at(batch.pixels().len() / 2);
        assert_eq!(worst(values, &reference.crop(crop.start, size)), 0.0);
        assert_eq!(worst(found, &marks.crop(crop.start, size)), 0.0);
        let is_positive = crop.is_positive.unwrap();
        positive += i32::from(is_positive);
        // The chosen voxel is inside the crop.
        assert!(found.iter().any(|&label| (label != 0.0) == is_positive));
    }
    assert!((130..170).contains(&positive), "{positive} of 200");
}

#[test]
fn statistics_and_voxels_are_those_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = data::file(directory.path(), "a.nii.gz", (Kind::Ct, [30, 20, 10]), Orientation::LPS, |header| {
        header.with_scale(-0.5, 3.0)
    });
    let volume: Volume = Files::new([&path]).load(0, Default::default(), &mut Decoder::new()).unwrap();
    let reference = Reference::open(&path).unwrap();
    let Voxels::I16(stored) = volume.voxels() else { panic!("the voxels are {:?}", volume.voxels()) };
    let scaled = |value: i16| -0.5 * f64::from(value) + 3.0;
    assert!(stored.iter().map(|&value| scaled(value)).eq(reference.values().iter().copied()));
    let exact = VolumeFile::open(&path).unwrap().stats(&mut Decoder::new()).unwrap();
    for (found, expected) in [
        (volume.stats().median, exact.median),
        (volume.stats().p0_5, exact.p0_5),
        (volume.stats().p99_5, exact.p99_5),
        (volume.stats().robust_std, exact.robust_std),
        (volume.stats().mean, exact.mean),
        (volume.stats().max, exact.max),
    ] {
        assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{found} {expected}");
    }
    assert_eq!(volume.bytes(), 12_000);
}
