//! Several products with one A have the bits of products of their own.

use gemm::{
    Activation, Epilogue, Gemm, GemmError, Int8Weights, MatMut, MatRef, PackedB, QMatRef, Rhs, SharedA, Term, Threads,
};
use proof::input::normal;
use quant::{GgmlType, quantize};
use rayon::ThreadPoolBuilder;

fn blocks(ty: GgmlType, seed: u64, n: usize, k: usize) -> Vec<u8> {
    let mut bytes = vec![0; n * ty.row_bytes(k).unwrap()];
    quantize(ty, &normal(seed, n * k), &mut bytes).unwrap();
    bytes
}

#[test]
fn products_with_one_a_have_the_bits_of_their_own() {
    use GgmlType::{Q4_0, Q4_K, Q6_K, Q8_0};
    let k = 512;
    let weights = [(Q4_K, 300), (Q6_K, 33), (Q4_K, 1), (Q8_0, 700), (Q4_0, 64)];
    let bytes = weights.map(|(ty, n)| blocks(ty, n as u64, n, k));
    let floats = normal(9, 40 * k);
    let plain = MatRef::from_col_major(&floats, k, 40).unwrap();
    let (packed, int8) = (PackedB::new(plain).unwrap(), Int8Weights::round(plain).unwrap());
    let bias = normal(10, 300);
    let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for m in [1, 4, 5, 6, 17] {
        let a = normal(m as u64, m * k);
        let a = MatRef::from_row_major(&a, m, k).unwrap();
        let view = |i: usize| QMatRef::from_bytes(weights[i].0, &bytes[i], weights[i].1, k).unwrap();
        let rhs: [(Rhs<'_>, usize); 8] = [
            (view(0).into(), 300),
            (view(1).into(), 33),
            (plain.into(), 40),
            (view(2).into(), 1),
            (view(3).into(), 700),
            ((&packed).into(), 40),
            (view(4).into(), 64),
            ((&int8).into(), 40),
        ];
        let before = |n: usize| normal(7, m * n);
        let epilogue = |i: usize| match i {
            0 => Epilogue::new().bias_per_column(&bias).activation(Activation::SquaredRelu),
            _ => Epilogue::new(),
        };
        let expected: Vec<Vec<f32>> = rhs
            .iter()
            .enumerate()
            .map(|(i, &(b, n))| {
                let mut c = before(n);
                let out = MatMut::from_row_major(&mut c, m, n).unwrap();
                Gemm::new(a, gemm::RhsBatch::from(b)).alpha(0.5).beta(-1.0).epilogue(epilogue(i)).run(out).unwrap();
                c
            })
            .collect();
        for threads in [1, 2, 3, 7, 64] {
            let mut outputs: Vec<Vec<f32>> = rhs.iter().map(|&(_, n)| before(n)).collect();
            pool.install(|| {
                let mut rows = outputs.iter_mut();
                let terms = std::array::from_fn::<_, 8, _>(|i| {
                    let (b, n) = rhs[i];
                    let c = MatMut::from_row_major(rows.next().unwrap(), m, n).unwrap();
                    Term::new(b, c).alpha(0.5).beta(-1.0).epilogue(epilogue(i))
                });
                let worked = SharedA::new(a).threads(Threads::new(threads).unwrap()).run(terms).unwrap();
                assert!((1..=threads).contains(&worked));
            });
            assert_eq!(outputs, expected, "m{m}, {threads} threads");
        }
    }
}

#[test]
fn a_term_that_does_not_fit_changes_nothing() {
    let (a, w) = (normal(1, 32), blocks(GgmlType::Q8_0, 2, 4, 32));
    let a = MatRef::from_row_major(&a, 1, 32).unwrap();
    let w = QMatRef::from_bytes(GgmlType::Q8_0, &w, 4, 32).unwrap();
    let (mut good, mut bad) = ([7.0_f32; 4], [7.0_f32; 5]);
    let terms = [
        Term::new(w, MatMut::from_row_major(&mut good, 1, 4).unwrap()),
        Term::new(w, MatMut::from_row_major(&mut bad, 1, 5).unwrap()),
    ];
    let refusal = SharedA::new(a).run(terms).unwrap_err();
    assert_eq!(refusal, GemmError::ShapeMismatch { a: (1, 32), b: (32, 4), c: (1, 5) });
    assert_eq!((good, bad), ([7.0; 4], [7.0; 5]));
    assert_eq!(SharedA::new(a).run([]).unwrap(), 1);
    // Nothing to do, and nothing but scaling.
    let (mut none, mut scaled) = ([0.0_f32; 0], [2.0_f32; 4]);
    let empty = QMatRef::from_bytes(GgmlType::Q8_0, &[], 0, 32).unwrap();
    SharedA::new(a)
        .run([
            Term::new(empty, MatMut::from_row_major(&mut none, 1, 0).unwrap()),
            Term::new(w, MatMut::from_row_major(&mut scaled, 1, 4).unwrap()).alpha(0.0).beta(3.0),
        ])
        .unwrap();
    assert_eq!(scaled, [6.0; 4]);
}
