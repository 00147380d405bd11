//! Every kernel over a table of shapes, layouts and factors, and over random ones; and kernels that must not pass.

use gemm::{Case, ElementType, GemmError, GemmOp, Input, Kernel, Operands, Output, PackedB, Path, kernels};
use op::{Loaded, Ran};
use proptest::prelude::*;

use crate::check::{INPUT_LAYS, LAYS, Lay, Trial, on_path};

/// 0, 1, around the vectors (8, 16), the tiles (6, 12 rows; 16, 32 columns) and one block of k (256).
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
fn every_path_is_right_on_every_shape() {
    for shape in SHAPES {
        for b in [Lay::Rows(0), Lay::Cols(0)] {
            let lays = [Lay::Rows(0), b, Lay::Rows(0)];
            Trial::new(shape, lays).check_all_paths();
            Trial::new(shape, lays).factors(0.5, -1.0).check_all_paths();
            Trial::new(shape, lays).packed().factors(0.5, -1.0).check_all_kernels();
        }
    }
}

#[test]
fn every_path_is_right_with_every_type() {
    for shape in SHAPES.into_iter().step_by(2) {
        for a in ElementType::ALL {
            for b in ElementType::ALL {
                let trial = Trial::new(shape, [Lay::Rows(1), Lay::Rows(0), Lay::Rows(0)]).types(a, b);
                trial.check_all_paths();
                trial.packed().check_all_kernels();
                Trial::new(shape, [Lay::Cols(0), Lay::Cols(2), Lay::Cols(0)]).types(a, b).check_all_paths();
            }
        }
    }
}

/// Some product of the table takes each path, so that no test of a path is empty.
#[test]
fn every_path_is_tested() {
    for path in [Path::Dot, Path::Axpy, Path::Direct, Path::PackedA, Path::Packed] {
        for kernel in on_path(path) {
            let is_taken = |lay| {
                let trial = |&shape| Trial::new(shape, [Lay::Rows(0), lay, Lay::Rows(0)]);
                SHAPES.iter().map(trial).any(|trial| trial.path(kernel.as_ref()).starts_with(path.name()))
            };
            assert!(is_taken(Lay::Rows(0)) || is_taken(Lay::Cols(0)), "{path} of {}", kernel.name());
        }
    }
}

#[test]
fn every_kernel_is_right_on_every_layout() {
    for shape in [(13, 37, 21), (29, 18, 140), (1, 70, 9), (40, 1, 30)] {
        for a in INPUT_LAYS {
            for b in INPUT_LAYS {
                Trial::new(shape, [a, b, Lay::Rows(2)]).factors(-1.0, 0.5).check_all_paths();
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

/// Small products skip the choice of a path. They have the bits of the path that would be chosen.
#[test]
fn small_products_have_the_bits_of_their_path() {
    for shape in [(3, 3, 1), (8, 8, 8), (16, 16, 16), (12, 33, 5), (13, 48, 64), (48, 48, 48), (64, 40, 7), (5, 64, 64)]
    {
        for lays in [[Lay::Rows(0); 3], [Lay::Cols(0), Lay::Rows(3), Lay::Rows(1)], [Lay::RowsUp; 3]] {
            let trial = || Trial::new(shape, lays).factors(0.5, -1.0);
            for path in on_path(Path::Direct) {
                let kernel = kernels().into_iter().find(|kernel| kernel.name() == path.name()).unwrap();
                let ((forced, _), (chosen, ran)) = (trial().run(path.as_ref()), trial().run(kernel.as_ref()));
                assert!(
                    forced.iter().map(|x| x.to_bits()).eq(chosen.iter().map(|x| x.to_bits())),
                    "{shape:?} {lays:?}"
                );
                assert_eq!((ran.path.as_str(), ran.threads), ("direct", 1), "{shape:?} {lays:?}");
            }
            trial().check_all_paths();
        }
    }
}

/// Several blocks of k and of columns, and several panels of rows.
#[test]
fn every_kernel_is_right_on_a_large_product() {
    Trial::new((277, 1100, 531), [Lay::Rows(1), Lay::Rows(0), Lay::Rows(0)]).factors(1.0, 0.5).check_all_kernels();
    Trial::new((150, 530, 300), [Lay::Cols(0); 3]).check_all_kernels();
}

/// Few rows, with several chunks of columns, and several blocks of k in dot products.
#[test]
fn every_path_is_right_on_few_rows() {
    for (m, n, k) in [(16, 1100, 531), (9, 600, 1030), (3, 1060, 333), (16, 37, 2500), (5, 40, 1500)] {
        for b in [Lay::Rows(0), Lay::Cols(0)] {
            Trial::new((m, n, k), [Lay::Rows(0), b, Lay::Rows(0)]).factors(0.5, 1.0).check_all_paths();
        }
        let trial = Trial::new((n, m, k), [Lay::Rows(3), Lay::Cols(0), Lay::Rows(0)])
            .types(ElementType::Bf16, ElementType::F16);
        trial.check_all_paths();
    }
}

/// An extent up to 257: half of them small, where the choice among paths changes.
fn extent() -> impl Strategy<Value = usize> {
    prop_oneof![0..=20usize, 0..=257usize]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn every_path_is_right_on_random_cases(
        shape in (extent(), extent(), extent()),
        inputs in proptest::array::uniform2(0..INPUT_LAYS.len()),
        output in 0..LAYS.len(),
        types in (0..ElementType::ALL.len(), 0..ElementType::ALL.len()),
        factors in (0..FACTORS.len(), 0..FACTORS.len()),
        threads in 1..5usize,
    ) {
        let lays = [INPUT_LAYS[inputs[0]], INPUT_LAYS[inputs[1]], LAYS[output]];
        let trial = Trial::new(shape, lays).factors(FACTORS[factors.0], FACTORS[factors.1]);
        let trial = trial.types(ElementType::ALL[types.0], ElementType::ALL[types.1]).threads(threads);
        trial.check_all_paths();
        trial.packed().check_all_kernels();
    }
}

/// The right result, tampered with.
struct Wrong(fn(&mut Output<'_>));

impl op::Kernel<GemmOp> for Wrong {
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

impl Kernel for Wrong {
    fn pack(&self, b: Input<'_>) -> Result<PackedB, GemmError> {
        PackedB::new(b)
    }
}

struct LoadedWrong<'a> {
    tamper: fn(&mut Output<'_>),
    case: Case,
    operands: Operands<'a>,
}

impl Loaded for LoadedWrong<'_> {
    fn run(&mut self) {
        let Operands { a, b, ref mut c, epilogue } = self.operands;
        let reference = kernels().swap_remove(0);
        let operands = Operands { a, b, c: c.reborrow(), epilogue };
        reference.load(&self.case, operands).expect("the case fits").run();
        (self.tamper)(c);
    }

    fn ran(&self) -> Ran {
        Ran::new("wrong", "")
    }
}

fn at(c: &Output<'_>, i: usize, j: usize) -> f32 {
    c.as_input().get(i, j).expect("an element of the test's C")
}

#[test]
fn the_check_rejects_wrong_kernels() {
    let trial = Trial::new((13, 37, 21), [Lay::Rows(0), Lay::Rows(0), Lay::Rows(3)]);
    trial.check(&Wrong(|_| {})).expect("untouched, it is right");
    let wrong: [fn(&mut Output<'_>); 6] = [
        // Two outputs swapped.
        |c| {
            let (x, y) = (at(c, 3, 5), at(c, 3, 6));
            c.set(3, 5, y);
            c.set(3, 6, x);
        },
        // Off by a little: 21 terms of order 1 are right to some 1e-6.
        |c| c.set(12, 36, at(c, 12, 36) + 1e-4),
        // Not a number.
        |c| c.set(0, 0, f32::NAN),
        // Not written.
        |c| c.set(7, 7, f32::from_bits(0x7fc0_dead)),
        // A row computed from another.
        |c| (0..37).for_each(|j| c.set(5, j, at(c, 4, j))),
        // Two rows swapped.
        |c| {
            for j in 0..37 {
                let (x, y) = (at(c, 0, j), at(c, 1, j));
                c.set(0, j, y);
                c.set(1, j, x);
            }
        },
    ];
    for (number, tamper) in wrong.into_iter().enumerate() {
        assert!(trial.check(&Wrong(tamper)).is_err(), "tampering {number} passed");
    }
}
