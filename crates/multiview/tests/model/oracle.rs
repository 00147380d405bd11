//! All outputs against the definition in f64.

use multiview::{Config, Keep, SafetensorsFile, Seeded, Shape, image, reference::Model, to_safetensors};

use crate::{TINY, head_inputs, model, relative_error, run};

const TOLERANCE: f64 = 1e-5;

fn images(shape: &Shape) -> Vec<Vec<f32>> {
    let read = |index: usize| {
        let mut values = vec![0.0; shape.image_values()];
        image(11, index, &mut values);
        values
    };
    (0..shape.images()).map(read).collect()
}

fn flat(rows: &[Vec<f64>]) -> Vec<f64> {
    rows.concat()
}

#[test]
fn all_outputs_are_those_of_the_definition() {
    let shapes = [
        Shape::square(1, 14),
        Shape { batch: 1, frames: 3, height: 28, width: 42 },
        // More tokens than a piece has.
        Shape { batch: 1, frames: 2, height: 14, width: 14 * 140 },
    ];
    let wide = Config { embed_dim: 64, heads: 1, channels: [32; 4], ..TINY };
    let all = shapes.iter().flat_map(|shape| [(TINY, 1, shape), (TINY, 2, shape), (wide, 3, shape)]);
    for (config, seed, shape) in all {
        let exact = Model::new(&config, &Seeded(seed)).unwrap();
        let expected = exact.outputs(shape, &images(shape));
        let model = model(&config, seed);
        let kept = run(&model, shape, Keep::All, 1);
        assert_eq!(expected.len(), config.depth);
        for (layer, expected) in expected.iter().enumerate() {
            let error = relative_error(kept.output(layer).unwrap(), &flat(expected));
            assert!(error <= TOLERANCE, "{shape:?} seed {seed} layer {layer}: {error:e}");
        }
        let expected = exact.head_inputs(shape, &expected);
        for keep in Keep::ALL {
            let tolerance = if keep == Keep::ProjectedF16 { 5e-4 } else { TOLERANCE };
            let kept = run(&model, shape, keep, 1);
            for (got, expected) in head_inputs(&model, &kept, 1).iter().zip(&expected.projected) {
                let error = relative_error(got, &flat(expected));
                assert!(error <= tolerance, "{shape:?} seed {seed} {keep}: {error:e}");
            }
            let camera: Vec<f32> = kept.camera_tokens().flatten().copied().collect();
            let error = relative_error(&camera, &flat(&expected.camera));
            assert!(error <= TOLERANCE, "{shape:?} seed {seed} {keep}: camera {error:e}");
        }
    }
}

/// The check above can fail: another seed, or one more frame, is another result.
#[test]
fn another_model_is_not_within_the_tolerance() {
    let shape = Shape::square(2, 28);
    let exact = Model::new(&TINY, &Seeded(1)).unwrap();
    let expected = exact.outputs(&shape, &images(&shape));
    let kept = run(&model(&TINY, 2), &shape, Keep::All, 1);
    let error = relative_error(kept.output(3).unwrap(), &flat(&expected[3]));
    assert!(error > 0.1, "{error:e}");
    // A block that ignores the other frames.
    let alone = exact.outputs(&shape, &images(&shape)[..1]);
    let first = &expected[0][..shape.tokens()];
    let kept: Vec<f32> = flat(first).iter().map(|&x| x as f32).collect();
    let error = relative_error(&kept, &flat(&alone[0]));
    assert!(error > 1e-3, "{error:e}");
}

#[test]
fn weights_from_a_file_give_the_same_bits_as_from_the_seed() {
    let shape = Shape::square(2, 28);
    let bytes = to_safetensors(&TINY, &Seeded(5)).unwrap();
    let from_file = multiview::Aggregator::new(&TINY, &SafetensorsFile::new(&bytes).unwrap()).unwrap();
    let (one, other) = (run(&model(&TINY, 5), &shape, Keep::All, 1), run(&from_file, &shape, Keep::All, 1));
    for layer in 0..TINY.depth {
        assert_eq!(one.output(layer), other.output(layer));
    }
}
