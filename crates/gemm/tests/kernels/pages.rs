//! Operands between inaccessible pages: a kernel that reads or writes one element too many crashes.

use gemm::{Operands, kernels, paths};
use half::{bf16, f16};
use proof::fenced::Fenced;

use crate::check::{Lay, Trial, mat_mut, mat_ref};

#[test]
fn no_kernel_leaves_its_operands() {
    let shapes = [
        (1, 1, 1),
        (1, 37, 19),
        (37, 1, 130),
        (3, 40, 133),
        (5, 7, 3),
        (6, 16, 8),
        (13, 37, 19),
        (12, 32, 256),
        (17, 70, 33),
        (8, 40, 257),
        (26, 9, 12),
    ];
    for shape @ (m, n, k) in shapes {
        for lays in [
            [Lay::Rows(0); 3],
            [Lay::Cols(0); 3],
            [Lay::Rows(0), Lay::Cols(0), Lay::Rows(0)],
            [Lay::Rows(1), Lay::Cols(1), Lay::Rows(2)],
            [Lay::Apart; 3],
        ] {
            for at_end in [true, false] {
                let trial = Trial::new(shape, lays).factors(1.0, 0.5);
                let c_len = lays[2].strides(m, n).2;
                let [a_len, b_len] = [lays[0].strides(m, k).2, lays[1].strides(k, n).2];
                let mut fences = [Fenced::of::<f32>(a_len), Fenced::of::<f32>(b_len), Fenced::of::<f32>(c_len)];
                let [fa, fb, fc] = &mut fences;
                let (a, b) = (fa.elements::<f32>(a_len, at_end), fb.elements::<f32>(b_len, at_end));
                for kernel in kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel)) {
                    let c = mat_mut(fc.elements::<f32>(c_len, at_end), m, n, lays[2]);
                    let operands = Operands::new(mat_ref(a, m, k, lays[0]), mat_ref(b, k, n, lays[1]), c);
                    kernel.load(&trial.case, operands).unwrap().run();
                }
            }
        }
    }
}

/// 16-bit types have loads and stores of their own.
#[test]
fn no_kernel_leaves_its_halves() {
    for shape @ (m, n, k) in [(1, 37, 19), (37, 1, 130), (3, 40, 133), (13, 37, 19), (12, 64, 256), (8, 40, 257)] {
        for lays in [[Lay::Rows(0); 3], [Lay::Cols(0); 3], [Lay::Rows(0), Lay::Cols(0), Lay::Rows(0)]] {
            let trial = Trial::new(shape, lays).factors(1.0, 0.5);
            let mut fences = [Fenced::of::<f32>(m * k), Fenced::of::<f32>(k * n), Fenced::of::<f32>(m * n)];
            let [fa, fb, fc] = &mut fences;
            let (a, b) = (fa.elements::<bf16>(m * k, true), fb.elements::<f16>(k * n, true));
            for kernel in kernels().into_iter().chain(paths().into_iter().map(|(_, kernel)| kernel)) {
                let c = mat_mut(fc.elements::<f16>(m * n, true), m, n, lays[2]);
                let operands = Operands::new(mat_ref(a, m, k, lays[0]), mat_ref(b, k, n, lays[1]), c);
                kernel.load(&trial.case, operands).unwrap().run();
            }
        }
    }
}
