//! Preparation and augmentation, against the definitions in f64, step by step.

mod data;
mod plain;

use loader::{
    Augment, Augmented, CenterCrop, Changes, Clip, Files, Item, Loader, Over, Pixel, PosNegCrop, Preparation,
    RandomCrop, Reference, Sampler, Step, Volume, Voxels, f16,
};
use nifti_decode::{Affine, Decoder, Kind, Orientation};
use plain::{Plain, changed};

struct Case {
    _directory: tempfile::TempDir,
    item: Item,
    plain: Plain,
}

/// A volume of anisotropic voxels, stored in the order P, S, R, with labels.
fn case(kind: Kind, change: impl Fn(nifti_decode::Header) -> nifti_decode::Header) -> Case {
    let directory = tempfile::tempdir().unwrap();
    let order: Orientation = "PSR".parse().unwrap();
    let shape = [23, 20, 17];
    let spaced = |header: nifti_decode::Header| {
        let mut affine = Affine::of(&header).0;
        for row in 0..3 {
            for (axis, factor) in [0.7, 1.9, 1.2].into_iter().enumerate() {
                affine.0[row][axis] *= factor;
            }
        }
        header.with_affine(&affine)
    };
    let image = data::file(directory.path(), "i.nii.gz", (kind, shape), order, |header| change(spaced(header)));
    let labels = data::file(directory.path(), "l.nii", (Kind::Labels, shape), order, spaced);
    let (of_image, of_labels) = (Reference::open(&image).unwrap(), Reference::open(&labels).unwrap());
    let volume = load(&Item { image: image.clone(), labels: None }, None);
    let (values, labels_of) = (of_image.values().to_vec(), of_labels.values().to_vec());
    let plain = Plain { values, labels: labels_of, shape: of_image.shape(), affine: *volume.affine() };
    Case { _directory: directory, item: Item { image, labels: Some(labels) }, plain }
}

fn load(item: &Item, preparation: Option<Preparation>) -> Volume {
    use loader::Source as _;
    let files = Files::of([item.clone()]);
    let files = match preparation {
        Some(preparation) => files.prepared(preparation).unwrap(),
        None => files,
    };
    files.load(0, Default::default(), &mut Decoder::new()).unwrap()
}

/// Compares all voxels, labels and the affine; returns the largest error of a voxel.
fn compare(case: &Case, steps: &[Step]) -> f64 {
    let preparation = steps.iter().fold(Preparation::new(), |preparation, step| preparation.step(*step));
    let expected = steps.iter().fold(case.plain.clone(), |plain, step| plain.step(*step));
    let volume = load(&case.item, Some(preparation));
    assert_eq!(volume.shape(), expected.shape, "{steps:?}");
    let labels: Vec<f64> = volume.labels().unwrap().iter().map(|&label| f64::from(label)).collect();
    assert!(labels == expected.labels, "{steps:?}");
    for (found, expected) in volume.affine().0.as_flattened().iter().zip(expected.affine.0.as_flattened()) {
        assert!((found - expected).abs() < 1e-9, "{steps:?}");
    }
    let scale = volume.scale();
    let values: Vec<f64> = match volume.voxels() {
        Voxels::F32(values) => values.iter().map(|&v| f64::from(v)).collect(),
        Voxels::I16(values) => values.iter().map(|&v| scale.slope * f64::from(v) + scale.inter).collect(),
        other => panic!("{other:?}"),
    };
    let mean = expected.values.iter().sum::<f64>() / expected.values.len() as f64;
    assert!((volume.stats().mean - mean).abs() < 1e-4 * mean.abs().max(1.0), "{steps:?}");
    let errors = values.iter().zip(&expected.values).map(|(found, expected)| {
        let error = (found - expected).abs() / expected.abs().max(1.0);
        assert!(!error.is_nan(), "{steps:?}");
        error
    });
    errors.fold(0.0, f64::max)
}

#[test]
fn prepared_volumes_are_those_of_the_definitions() {
    let brain = case(Kind::Brain, |header| header);
    let ct = case(Kind::Ct, |header| header.with_scale(-0.5, 20.0));
    let percentiles = |low, high| Step::Clip(Clip::Percentiles { low, high });
    let values = |low, high| Step::Clip(Clip::Values { low, high });
    let range = Step::Scale { from: [-57.0, 164.0], to: [0.0, 1.0], is_clipped: true };
    let foreground = |above, margin| Step::Foreground { above, margin };
    let (all, nonzero) = (Step::ZScore(Over::All), Step::ZScore(Over::NonZero));
    let spacing = Step::Spacing([1.0, 1.0, 1.0]);
    let orders: &[&[Step]] = &[
        &[],
        &[spacing],
        &[Step::Spacing([0.4, 3.0, 1.1])],
        &[percentiles(0.5, 99.5)],
        &[percentiles(2.0, 97.0), all],
        &[values(-100.0, 240.0), nonzero],
        &[range],
        &[all],
        &[nonzero],
        &[foreground(0.0, 0)],
        &[foreground(100.0, 2), Step::Pad([30, 10, 40])],
        &[Step::Pad([30, 21, 40]), values(5.0, 60.0)],
        &[spacing, percentiles(0.5, 99.5), nonzero, foreground(0.0, 1), Step::Pad([24, 32, 33])],
        &[spacing, range, foreground(0.0, 0), Step::Pad([9, 32, 8])],
        &[values(-10.0, 90.0), spacing, all],
        &[
            percentiles(1.0, 99.0),
            percentiles(5.0, 95.0),
            Step::Scale { from: [0.0, 1.0], to: [5.0, 4.0], is_clipped: false },
        ],
        &[nonzero, values(-1.0, 1.5), nonzero],
        &[nonzero, spacing, Step::Pad([40, 40, 40]), foreground(0.2, 0)],
        &[foreground(10.0, 1), percentiles(10.0, 90.0), all, Step::Pad([20, 20, 20]), Step::Pad([21, 25, 20])],
    ];
    for case in [&brain, &ct] {
        for steps in orders {
            let error = compare(case, steps);
            assert!(error < 2e-5, "{steps:?}: {error}");
        }
    }
}

#[test]
fn steps_that_mean_nothing_are_refused() {
    let refused = |preparation: Preparation| Files::new(["a.nii"]).prepared(preparation).is_err();
    assert!(refused(Preparation::new().spacing([1.0, 0.0, 1.0])));
    assert!(refused(Preparation::new().spacing([1.0, f64::NAN, 1.0])));
    assert!(refused(Preparation::new().clip(Clip::Values { low: 2.0, high: 1.0 })));
    assert!(refused(Preparation::new().clip(Clip::Percentiles { low: -1.0, high: 50.0 })));
    assert!(refused(Preparation::new().scale([0.0, f64::INFINITY], [0.0, 1.0], true)));
    assert!(refused(Preparation::new().crop_foreground(f64::NAN, 0)));
    // A header can claim any distance, a user can ask for any: neither makes more voxels than the limit.
    let brain = case(Kind::Brain, |header| header);
    for mm in [1e-3, 1e-300] {
        let error = Preparation::new().spacing([mm; 3]).at_most(1 << 20).apply(load(&brain.item, None)).unwrap_err();
        assert!(error.to_string().contains("spacing"), "{error}");
    }
}

/// Foreground that is nowhere, one voxel everywhere, a volume of one value.
#[test]
fn degenerate_volumes_are_prepared() {
    let brain = case(Kind::Brain, |header| header);
    let whole = Preparation::new().crop_foreground(1e9, 0).apply(load(&brain.item, None)).unwrap();
    assert_eq!(whole.shape(), brain.plain.shape);
    let constant = Preparation::new().scale([0.0, 1.0], [3.0, 3.0], false).zscore(Over::All).zscore(Over::NonZero);
    let volume = constant.apply(load(&brain.item, None)).unwrap();
    let Voxels::F32(values) = volume.voxels() else { panic!() };
    assert!(values.iter().all(|&value| value == 0.0));
}

fn stream<S: Sampler, T: Pixel>(item: &Item, sampler: S, workers: usize, batch: usize) -> (Vec<T>, Vec<S::Label>) {
    let preparation = Preparation::new().spacing([1.1; 3]).zscore(Over::NonZero).crop_foreground(-9.0, 0);
    let files = Files::of([item.clone()]).prepared(preparation).unwrap();
    let builder = Loader::builder(files).pool(1, 4).seed(5).samples(40).workers(workers).batch(batch);
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for batch in builder.build::<T, S>(sampler).unwrap() {
        let batch = batch.unwrap();
        pixels.extend_from_slice(batch.pixels());
        labels.extend_from_slice(batch.labels());
    }
    (pixels, labels)
}

/// In every plane of rotations, so that each axis becomes the fastest one, and with crops that are larger than the
/// volume along some axes.
#[test]
fn augmented_crops_are_crops_that_are_changed() {
    let brain = case(Kind::Brain, |header| header);
    for (axes, size) in [([0, 1], [8, 8, 10]), ([2, 0], [7, 10, 7]), ([1, 2], [10, 17, 17]), ([0, 2], [19, 5, 19])] {
        let augment =
            Augment::new().flips([0.5, 0.3, 0.7]).rotations(0.8, axes).noise(0.6, 0.1, 0.2).gamma(0.5, [0.5, 3.0]);
        check_augmented(&brain.item, augment, size);
    }
}

fn check_augmented(item: &Item, augment: Augment, size: [usize; 3]) {
    let place = PosNegCrop { size, positive: 1.0, negative: 1.0 };
    let (found, labels) = stream::<_, f32>(item, Augmented::new(place, augment).unwrap(), 0, 1);
    // A place is drawn first, so the crops alone are the same.
    let (crops, places) = stream::<_, f32>(item, place, 0, 1);
    let voxels: usize = size.iter().product();
    let mut seen = [0; 3];
    for (sample, ((crop, changes), place)) in labels.iter().zip(&places).enumerate() {
        assert_eq!(crop, place);
        seen[0] += i32::from(changes.noise.is_some());
        seen[1] += i32::from(changes.gamma.is_some());
        seen[2] += i32::from(changes.turn.order != [0, 1, 2]);
        let part = |of: &[f32], channel: usize| of[(2 * sample + channel) * voxels..][..voxels].to_vec();
        for channel in 0..2 {
            let crop: Vec<f64> = part(&crops, channel).into_iter().map(f64::from).collect();
            // Labels are turned alone.
            let only_turned = Changes { turn: changes.turn, ..Changes::default() };
            let expected = changed(&crop, size, if channel == 0 { changes } else { &only_turned });
            for (found, expected) in part(&found, channel).iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() < 2e-5, "{changes:?}");
            }
        }
    }
    assert!(seen.iter().all(|&count| (10..36).contains(&count)), "{seen:?}");
}

#[test]
fn augmented_samples_depend_on_neither_workers_nor_batches() {
    let brain = case(Kind::Brain, |header| header);
    let augment = Augment::new().flips([0.5; 3]).rotations(0.5, [1, 2]).noise(0.5, 0.0, 0.1).gamma(0.5, [0.5, 2.0]);
    let sampler = Augmented::new(RandomCrop { size: [9; 3] }, augment).unwrap();
    let expected = stream::<_, f32>(&brain.item, sampler, 0, 1);
    for (workers, batch) in [(1, 3), (2, 1), (4, 16)] {
        assert!(stream::<_, f32>(&brain.item, sampler, workers, batch) == expected, "{workers} {batch}");
    }
    let (half, _) = stream::<_, f16>(&brain.item, sampler, 2, 4);
    assert!(half.iter().zip(&expected.0).all(|(half, single)| *half == f16::from_f32(*single)));
    let nothing = Augmented::new(CenterCrop { size: [9; 3] }, Augment::new()).unwrap();
    let (plain, _) = stream::<_, f32>(&brain.item, CenterCrop { size: [9; 3] }, 0, 1);
    assert!(stream::<_, f32>(&brain.item, nothing, 2, 1).0 == plain);
}
