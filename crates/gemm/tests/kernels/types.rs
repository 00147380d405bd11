//! A C of 16-bit numbers: the result in f32, rounded once at the end.

use gemm::{Activation, Element, Epilogue, Kernel, Operands, kernels, paths};
use half::{bf16, f16};

use crate::check::{LAYS, Lay, Trial, mat_mut};

/// The product in a C of `T`, element by element in the order of rows; the rest of the memory must not change.
fn product<T: Element>(trial: &Trial, kernel: &dyn Kernel, epilogue: Epilogue<'_>) -> Vec<f32> {
    let (m, n) = (trial.case.shape.m, trial.case.shape.n);
    let lay = trial.c0.lay;
    let (len, before) = (lay.strides(m, n).2, -7.75);
    let (a, b) = (trial.a.memory(), trial.b.memory());
    let mut memory = vec![T::from_f32(before); len + 64];
    let place = |i: usize, j: usize| 32 + lay.index(m, n, i, j);
    let elements = || (0..m).flat_map(|i| (0..n).map(move |j| (i, j)));
    for (i, j) in elements() {
        let c0 = trial.c0.elements[i * n + j];
        // Every type holds a multiple of 1/8.
        memory[place(i, j)] = T::from_f32(if trial.case.beta == 0.0 { f32::NAN } else { (c0 * 8.0).round() / 8.0 });
    }
    let c = mat_mut(&mut memory[32..32 + len], m, n, lay);
    let operands = Operands { epilogue, ..Operands::new(trial.a.view(&a), trial.b.view(&b), c) };
    kernel.load(&trial.case, operands).unwrap().run();
    let mut is_output = vec![false; memory.len()];
    elements().for_each(|(i, j)| is_output[place(i, j)] = true);
    let outside = memory.iter().zip(&is_output).filter(|(_, is_output)| !**is_output);
    assert!(outside.map(|(x, _)| x.to_f32()).all(|x| x == before), "{} wrote beside C", kernel.name());
    elements().map(|(i, j)| memory[place(i, j)].to_f32()).collect()
}

fn same_bits_after_rounding(trial: &Trial, epilogue: Epilogue<'_>) {
    for kernel in kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel)) {
        let (name, case, lay) = (kernel.name(), trial.case, trial.c0.lay);
        let whole = product::<f32>(trial, kernel.as_ref(), epilogue);
        let halves = product::<f16>(trial, kernel.as_ref(), epilogue);
        let brain = product::<bf16>(trial, kernel.as_ref(), epilogue);
        for (at, x) in whole.into_iter().enumerate() {
            let (half, bfloat) = (f16::from_f32(x).to_f32(), bf16::from_f32(x).to_f32());
            assert_eq!(halves[at].to_bits(), half.to_bits(), "{name} {case:?} {lay:?}: f16 {at} of {x}");
            assert_eq!(brain[at].to_bits(), bfloat.to_bits(), "{name} {case:?} {lay:?}: bf16 {at} of {x}");
        }
    }
}

#[test]
fn halves_are_floats_rounded_once() {
    for shape in [(1, 1, 1), (1, 70, 300), (70, 1, 40), (5, 33, 140), (13, 37, 19), (30, 70, 600), (100, 90, 256)] {
        for lay in LAYS {
            for beta in [0.0, 0.5] {
                let trial = Trial::new(shape, [Lay::Rows(0), Lay::Rows(0), lay]).factors(0.75, beta);
                same_bits_after_rounding(&trial, Epilogue::NONE);
            }
        }
        let bias: Vec<f32> = (0..shape.1).map(|j| j as f32 / 8.0 - 3.0).collect();
        let epilogue = Epilogue::new().bias_per_column(&bias).activation(Activation::Gelu);
        same_bits_after_rounding(&Trial::new(shape, [Lay::Rows(0), Lay::Cols(0), Lay::Rows(1)]), epilogue);
    }
}

/// Beyond 65504 an f16 is infinite; the sum itself is not, and neither is a bf16.
#[test]
fn overflow_is_that_of_the_output() {
    let mut trial = Trial::new((3, 40, 4), [Lay::Rows(0); 3]);
    trial.a.elements.fill(300.0);
    trial.b.elements.fill(300.0);
    for kernel in kernels() {
        let halves = product::<f16>(&trial, kernel.as_ref(), Epilogue::NONE);
        assert!(halves.iter().all(|&x| x == f32::INFINITY), "{}", kernel.name());
        let brain = product::<bf16>(&trial, kernel.as_ref(), Epilogue::NONE);
        assert!(brain.iter().all(|&x| x == bf16::from_f32(360_000.0).to_f32()), "{}", kernel.name());
    }
}
