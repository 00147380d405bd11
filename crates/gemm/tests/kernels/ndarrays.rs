//! `ndarray` views as operands, and back.

use gemm::{Gemm, MatMut, MatRef, PackedB, Threads, gemm, gemv};
use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, s};
use proof::input::normal;

fn array(seed: u64, rows: usize, cols: usize) -> Array2<f32> {
    Array2::from_shape_vec((rows, cols), normal(seed, rows * cols)).unwrap()
}

fn close(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> bool {
    x.dim() == y.dim() && x.iter().zip(y).all(|(x, y)| (x - y).abs() < 1e-4)
}

#[test]
fn views_are_operands_whatever_their_strides() {
    let (a, b) = (array(1, 20, 30), array(2, 30, 40));
    let mut c = Array2::zeros((20, 40));
    gemm(Threads::SERIAL, 1.0, a.view(), b.view(), 0.0, c.view_mut()).unwrap();
    assert!(close(c.view(), a.dot(&b).view()));
    // Every second row backward, the transpose, and a row repeated.
    let mut wide = Array2::zeros((40, 10));
    let rows = a.slice(s![..;-2, ..]);
    gemm(Threads::SERIAL, 1.0, b.t(), rows.t(), 0.0, wide.view_mut()).unwrap();
    assert!(close(wide.view(), b.t().dot(&rows.t()).view()));
    let row = a.row(3);
    let repeated = row.broadcast((5, 30)).unwrap();
    let mut c = Array2::from_elem((5, 80), 7.0);
    let packed = PackedB::new(b.view()).unwrap();
    gemm(Threads::SERIAL, 1.0, repeated, &packed, 0.0, c.slice_mut(s![.., ..;2])).unwrap();
    assert!(close(c.slice(s![.., ..;2]), repeated.dot(&b).view()));
    assert!(c.slice(s![.., 1..;2]).iter().all(|&c| c == 7.0));
    let mut y = vec![0.0_f32; 20];
    gemv(Threads::SERIAL, 1.0, a.view(), &normal(3, 30), 0.0, &mut y).unwrap();
}

#[test]
fn arrays_of_three_axes_are_batches() {
    let a = Array3::from_shape_vec((4, 6, 5), normal(1, 120)).unwrap();
    let b = Array3::from_shape_vec((4, 7, 5), normal(2, 140)).unwrap();
    let mut c = Array3::zeros((6, 4, 7));
    // The second axis of the output counts its matrices.
    let out = c.view_mut().permuted_axes([1, 0, 2]);
    let weights = b.view().permuted_axes([0, 2, 1]);
    Gemm::new(a.view(), weights).run(out).unwrap();
    for i in 0..4 {
        let expected = a.index_axis(Axis(0), i).dot(&b.index_axis(Axis(0), i).t());
        assert!(close(c.index_axis(Axis(1), i), expected.view()), "{i}");
    }
}

#[test]
fn views_convert_both_ways() {
    let mut x: Vec<f32> = (0..40).map(|x| x as f32).collect();
    for (rs, cs) in [(5, 1), (1, 4), (-5, 1), (5, -1), (-5, -2), (0, 1), (9, 2)] {
        let matrix = MatRef::with_strides(&x, 4, 3, rs, cs).unwrap();
        let view: ArrayView2<'_, f32> = matrix.into();
        assert_eq!(view.dim(), (4, 3));
        let again = MatRef::from(view);
        for (i, j) in (0..5).flat_map(|i| (0..4).map(move |j| (i, j))) {
            assert_eq!(view.get((i, j)), matrix.get(i, j), "{rs} {cs}");
            assert_eq!(again.get(i, j), matrix.get(i, j), "{rs} {cs}");
        }
    }
    let matrix = MatMut::with_strides(&mut x, 4, 3, -5, 1).unwrap();
    let mut view: ArrayViewMut2<'_, f32> = matrix.into();
    view[(0, 2)] = -1.0;
    assert_eq!(x[17], -1.0);
    let empty: ArrayView2<'_, f32> = MatRef::with_strides(&x, 0, 3, -5, 1).unwrap().into();
    assert_eq!(empty.dim(), (0, 3));
}
