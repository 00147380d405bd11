//! The ends of memory, of integers and of floats, and what is refused.

use gemm::{Gemm, GemmError, LayoutError, MatMut, MatRef, Operands, QMatRef, Rhs, Shape};
use half::{bf16, f16};
use proof::{fenced::Fenced, input::normal};
use quant::GgmlType;

use super::{Weights, all, case, check, is_k_type, run};
use crate::check::{Lay, mat_mut, mat_ref};

/// Weights and rows that end where memory does.
#[test]
fn no_kernel_leaves_its_operands() {
    for ty in QMatRef::TYPES {
        let lengths: &[usize] = if is_k_type(ty) { &[256, 768] } else { &[32, 224, 256, 320] };
        for &k in lengths {
            for (m, n) in [(1, 1), (1, 7), (5, 33), (19, 35)] {
                let weights = Weights::new(ty, 7, n, k);
                let mut fences =
                    [Fenced::of::<u8>(weights.bytes.len()), Fenced::of::<f32>(m * k), Fenced::of::<f32>(m * n)];
                let [fw, fa, fc] = &mut fences;
                for at_end in [true, false] {
                    let bytes = fw.elements::<u8>(weights.bytes.len(), at_end);
                    bytes.copy_from_slice(&weights.bytes);
                    let view = QMatRef::from_bytes(ty, bytes, n, k).unwrap();
                    let a = fa.elements::<f32>(m * k, at_end);
                    a.fill(0.5);
                    for (_, kernel) in all() {
                        let c = mat_mut(fc.elements::<f32>(m * n, at_end), m, n, Lay::Rows(0));
                        let operands = Operands::new(mat_ref(a, m, k, Lay::Rows(0)), view, c);
                        kernel.load(&case(Shape { m, n, k }, ty, (1.0, 0.5), 1), operands).unwrap().run();
                    }
                }
            }
        }
    }
}

/// The largest codes, scales and rounded numbers, all of one sign: the integer sums are the largest that there are.
#[test]
fn integers_do_not_overflow() {
    for ty in QMatRef::TYPES {
        let (n, k) = (33, 512);
        let mut bytes = vec![0xff; n * ty.row_bytes(k).unwrap()];
        // Scales of 16 bits are 1, so that only the integers are large.
        let one = f16::from_f32(1.0).to_bits().to_le_bytes();
        for block in bytes.chunks_exact_mut(ty.block_bytes()) {
            match ty {
                GgmlType::Q6_K => {
                    block[208..].copy_from_slice(&one);
                    // Scales are signed.
                    block[192..208].fill(if n % 2 == 0 { 127 } else { 0x80 });
                }
                GgmlType::Q4_K | GgmlType::Q5_K => {
                    block[..2].copy_from_slice(&one);
                    block[2..4].copy_from_slice(&[0, 0]);
                }
                GgmlType::Q8_0 => {
                    block[..2].copy_from_slice(&one);
                    block[2..].fill(0x80);
                }
                _ => block[..2].copy_from_slice(&one),
            }
        }
        let weights = Weights { ty, n, k, bytes };
        for sign in [1.0, -1.0] {
            for m in [1, 4, 12] {
                let a = vec![sign * 127.0; m * k];
                for (name, kernel) in all() {
                    let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
                    check(&weights, &a, (1.0, 0.0), &vec![0.0; m * n], &c, &name);
                }
            }
        }
    }
}

/// A row of A that is not finite gives a row of NaN, a scale that is not finite a column of NaN; nothing else changes.
#[test]
fn what_is_not_finite_stays_in_its_place() {
    for ty in QMatRef::TYPES {
        let (m, n, k) = (10, 35, 512);
        let mut weights = Weights::new(ty, 7, n, k);
        let row = weights.view().row_bytes();
        let d = 17 * row + if ty == GgmlType::Q6_K { 208 } else { 0 };
        weights.bytes[d..d + 2].copy_from_slice(&f16::NAN.to_bits().to_le_bytes());
        let finite = normal(1, m * k);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut a = finite.clone();
            a[3 * k + 300] = bad;
            for (name, kernel) in all() {
                let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
                for at in 0..m * n {
                    let is_nan = at / n == 3 || at % n == 17;
                    assert_eq!(c[at].is_nan(), is_nan, "{name} {ty} {bad}: ({}, {})", at / n, at % n);
                }
            }
        }
    }
}

/// Numbers of any size, zeros and subnormal numbers included.
#[test]
fn scales_of_any_size_are_right() {
    for ty in QMatRef::TYPES {
        let (m, n, k) = (9, 5, 512);
        let weights = Weights::new(ty, 7, n, k);
        for size in [0.0, 1e-44, 1e-39, 1e-30, 1e30] {
            let a: Vec<f32> = normal(1, m * k).iter().map(|x| x * size).collect();
            // Below this the inverse of a scale overflows, and numbers count as 0.
            let is_zero = size < 1e-38;
            for (name, kernel) in all() {
                let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
                match is_zero {
                    true => assert!(c.iter().all(|c| c.abs() < 1e-36), "{name} {ty} {size}"),
                    false => check(&weights, &a, (1.0, 0.0), &vec![0.0; m * n], &c, &name),
                }
            }
        }
    }
}

/// Rounding A to 8 bits costs less than what ggml's own tests allow: a normalized mean squared error of 5e-4.
#[test]
fn rounding_the_rows_of_a_costs_little() {
    for ty in QMatRef::TYPES {
        let (m, n, k) = (16, 64, 2560);
        let weights = Weights::new(ty, 7, n, k);
        let (a, w) = (normal(1, m * k), weights.floats());
        for (name, kernel) in all() {
            let c = run(kernel.as_ref(), &weights, &a, (1.0, 0.0), &vec![0.0; m * n], 1);
            let (mut error, mut size) = (0.0, 0.0);
            for (i, a) in a.chunks_exact(k).enumerate() {
                for (j, w) in w.chunks_exact(k).enumerate() {
                    let exact: f64 = a.iter().zip(w).map(|(&a, &w)| f64::from(a) * f64::from(w)).sum();
                    error += (f64::from(c[i * n + j]) - exact).powi(2);
                    size += exact * exact;
                }
            }
            assert!(error / size < 5e-4, "{name} {ty}: {}", error / size);
        }
    }
}

#[test]
fn products_without_work_only_scale_c() {
    let weights = Weights::new(GgmlType::Q4_K, 7, 3, 256);
    let a = normal(1, 2 * 256);
    for (name, kernel) in all() {
        let c = run(kernel.as_ref(), &weights, &a, (0.0, 0.5), &[2.0; 6], 1);
        assert_eq!(*c, [1.0; 6], "{name}");
    }
    let (empty, mut c) = (QMatRef::from_bytes(GgmlType::Q4_K, &[], 3, 0).unwrap(), [7.0_f32; 6]);
    let a: [f32; 0] = [];
    let c_view = MatMut::from_row_major(&mut c, 2, 3).unwrap();
    Gemm::new(MatRef::from_row_major(&a, 2, 0).unwrap(), empty).run(c_view).unwrap();
    assert_eq!(c, [0.0; 6]);
    let none = QMatRef::from_bytes(GgmlType::Q4_K, &[], 0, 256).unwrap();
    let x = [1.0_f32; 256];
    let c_view = MatMut::from_row_major(&mut c[..0], 1, 0).unwrap();
    Gemm::new(MatRef::from_row_major(&x, 1, 256).unwrap(), none).run(c_view).unwrap();
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let bytes = [0; 1000];
    let (ty, need) = (GgmlType::Q4_K, 256);
    let refused = |ty, n, k| QMatRef::from_bytes(ty, &bytes, n, k).unwrap_err();
    assert_eq!(refused(ty, 1, 384), LayoutError::BlockLength { ty, got: 384, need });
    assert_eq!(refused(ty, 7, 256), LayoutError::OutOfBounds { need: 1008, len: 1000 });
    assert_eq!(refused(GgmlType::IQ2_XS, 1, 256), LayoutError::BlockType { ty: GgmlType::IQ2_XS });
    assert!(matches!(refused(ty, usize::MAX, 256), LayoutError::Overflow { .. }));
    assert!(matches!(refused(ty, 1, usize::MAX - 255), LayoutError::OutOfBounds { .. } | LayoutError::Overflow { .. }));
    let weights = QMatRef::from_bytes(ty, &bytes, 2, 256).unwrap();
    let (x, mut y) = ([0.0_f32; 512], [0.0_f32; 2]);
    let x = MatRef::from_row_major(&x, 1, 512).unwrap();
    let error = Gemm::new(x, weights).run(MatMut::from_row_major(&mut y, 1, 2).unwrap()).unwrap_err();
    assert!(matches!(error, GemmError::ShapeMismatch { .. }));
}

/// Tensors of numbers are matrices, where they lie at a multiple of their size.
#[test]
fn tensors_of_any_type_are_weights() {
    let numbers = [bf16::ONE, bf16::ZERO, bf16::NEG_ONE, bf16::ONE];
    let bytes: &[u8] = bytemuck::cast_slice(&numbers);
    let (x, mut y) = ([2.0_f32, 3.0], [0.0_f32; 2]);
    let weights = Rhs::from_ggml(GgmlType::BF16, bytes, 2, 2).unwrap();
    let x = MatRef::from_row_major(&x, 1, 2).unwrap();
    Gemm::new(x, weights).run(MatMut::from_row_major(&mut y, 1, 2).unwrap()).unwrap();
    assert_eq!(y, [2.0, 1.0]);
    let ty = GgmlType::BF16;
    let misaligned = Rhs::from_ggml(ty, &bytes[1..], 1, 2).unwrap_err();
    assert_eq!(misaligned, LayoutError::Misaligned { ty, need: 2 });
    assert!(Rhs::from_ggml(GgmlType::I8, bytes, 2, 2).is_err());
}
