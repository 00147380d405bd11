//! Every kernel over a table of shapes, layouts and factors, and over random ones; and kernels that must not pass.

use gemm::{Case, GemmError, Kernel, MatMut, Operands, kernels};
use machine::kernel::{Loaded, Ran};
use proptest::prelude::*;

use crate::check::{LAYS, Lay, Trial};

/// 0, 1, around the vectors (8, 16), the tiles (6, 12 rows; 16, 32 columns) and one stretch of k (256).
const SHAPES: [(usize, usize, usize); 27] = [
    (0, 3, 4),
    (3, 0, 4),
    (3, 4, 0),
    (1, 1, 1),
    (1, 16, 5),
    (1, 33, 9),
    (17, 1, 8),
    (2, 7, 3),
    (5, 15, 4),
    (6, 16, 8),
    (7, 17, 9),
    (11, 31, 16),
    (12, 32, 17),
    (13, 33, 1),
    (14, 40, 12),
    (23, 47, 31),
    (24, 48, 32),
    (25, 64, 33),
    (8, 200, 70),
    (64, 8, 70),
    (3, 100, 255),
    (40, 50, 256),
    (26, 65, 257),
    (50, 35, 300),
    (96, 96, 96),
    (30, 300, 40),
    (130, 20, 520),
];

const FACTORS: [f32; 4] = [0.0, 1.0, -1.0, 0.5];

#[test]
fn every_kernel_is_right_on_every_shape() {
    for shape in SHAPES {
        Trial::new(shape, [Lay::Rows(0); 3]).check_all_kernels();
        Trial::new(shape, [Lay::Rows(0); 3]).factors(0.5, -1.0).check_all_kernels();
    }
}

#[test]
fn every_kernel_is_right_on_every_layout() {
    for shape in [(13, 37, 21), (29, 18, 40), (5, 70, 9)] {
        for a in LAYS {
            for b in LAYS {
                Trial::new(shape, [a, b, Lay::Rows(2)]).factors(-1.0, 0.5).check_all_kernels();
            }
            for c in LAYS {
                Trial::new(shape, [a, Lay::Rows(0), c]).check_all_kernels();
                Trial::new(shape, [Lay::Cols(1), a, c]).factors(1.0, 1.0).check_all_kernels();
            }
        }
    }
}

#[test]
fn every_kernel_is_right_with_every_factor() {
    for shape in [(13, 37, 21), (4, 16, 0), (20, 40, 300)] {
        for alpha in FACTORS {
            for beta in FACTORS {
                for lay in [Lay::Rows(0), Lay::Cols(1), Lay::Apart] {
                    Trial::new(shape, [Lay::Rows(0), Lay::Rows(0), lay]).factors(alpha, beta).check_all_kernels();
                }
            }
        }
    }
}

/// Several stretches of k, blocks of columns and panels of rows.
#[test]
fn every_kernel_is_right_on_a_large_product() {
    Trial::new((277, 1100, 531), [Lay::Rows(1), Lay::Rows(0), Lay::Rows(0)]).factors(1.0, 0.5).check_all_kernels();
    Trial::new((150, 530, 300), [Lay::Cols(0); 3]).check_all_kernels();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn every_kernel_is_right_on_random_cases(
        shape in (0..=130usize, 0..=130usize, 0..=130usize),
        lays in proptest::array::uniform3(0..LAYS.len()),
        factors in (0..FACTORS.len(), 0..FACTORS.len()),
        threads in 1..5usize,
    ) {
        let trial = Trial::new(shape, lays.map(|at| LAYS[at])).factors(FACTORS[factors.0], FACTORS[factors.1]);
        trial.threads(threads).check_all_kernels();
    }
}

/// Right, and then tampered with.
struct Wrong(fn(&mut MatMut<'_, f32>));

impl Kernel for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn supports(&self, _: &Case) -> bool {
        true
    }

    fn load<'a>(&'a self, case: &Case, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, GemmError> {
        Ok(Box::new(LoadedWrong { tamper: self.0, case: *case, operands }))
    }
}

struct LoadedWrong<'a> {
    tamper: fn(&mut MatMut<'_, f32>),
    case: Case,
    operands: Operands<'a>,
}

impl Loaded for LoadedWrong<'_> {
    fn run(&mut self) {
        let Operands { a, b, ref mut c } = self.operands;
        let reference = kernels().swap_remove(0);
        let operands = Operands { a, b, c: c.reborrow() };
        reference.load(&self.case, operands).expect("the case fits").run();
        (self.tamper)(c);
    }

    fn read(&mut self, _: &mut [f32]) {}

    fn ran(&self) -> Ran {
        let word = String::new;
        Ran { kernel: "wrong", isa: word(), path: word(), tile: word(), threads: 1, flops: 0, bytes: 0 }
    }
}

fn at<'a>(c: &'a mut MatMut<'_, f32>, i: usize, j: usize) -> &'a mut f32 {
    c.get_mut(i, j).expect("an element of the test's C")
}

#[test]
fn the_check_rejects_wrong_kernels() {
    let trial = Trial::new((13, 37, 21), [Lay::Rows(0), Lay::Rows(0), Lay::Rows(3)]);
    trial.check(&Wrong(|_| {})).expect("untouched, it is right");
    let wrong: [fn(&mut MatMut<'_, f32>); 6] = [
        // Two outputs swapped.
        |c| (*at(c, 3, 5), *at(c, 3, 6)) = (*at(c, 3, 6), *at(c, 3, 5)),
        // Off by a little: 21 terms of order 1 are right to some 1e-6.
        |c| *at(c, 12, 36) += 1e-4,
        // Not a number.
        |c| *at(c, 0, 0) = f32::NAN,
        // Not written.
        |c| *at(c, 7, 7) = f32::from_bits(0x7fc0_dead),
        // A gap between rows written. Tests may: it lies in the same buffer.
        |c| {
            let end = at(c, 2, 36) as *mut f32;
            // SAFETY: three unused elements follow each row but the last.
            unsafe { *end.add(1) = 0.0 }
        },
        // A row computed from another.
        |c| (0..37).for_each(|j| *at(c, 5, j) = *at(c, 4, j)),
    ];
    for (number, tamper) in wrong.into_iter().enumerate() {
        assert!(trial.check(&Wrong(tamper)).is_err(), "tampering {number} passed");
    }
}
