//! Any bytes as blocks of any type: every kernel gives the same numbers, swapping bytes twice restores the row, and a
//! row that is not whole blocks is refused. The first byte selects the type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quant::{Endian, GgmlType, Kernel, first_non_finite, first_non_finite_in, kernels, swap_bytes};

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let ty = GgmlType::ALL[usize::from(first) % GgmlType::ALL.len()];
    let (blocks, rest) = (bytes.len() / ty.block_bytes(), bytes.len() % ty.block_bytes());
    assert_eq!(first_non_finite(ty, bytes).is_err(), rest != 0);
    let row = &bytes[..bytes.len() - rest];
    let not_finite = first_non_finite(ty, row).expect("whole blocks");
    let mut expected = vec![0.0; blocks * ty.block_len()];
    let outcome = Kernel::SCALAR.dequantize(ty, row, &mut expected);
    for kernel in kernels() {
        let mut out = vec![1.0; expected.len()];
        assert_eq!(kernel.dequantize(ty, row, &mut out), outcome);
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(outcome.is_err() || out.iter().zip(&expected).all(same), "{ty} by {}", kernel.name());
    }
    let mut swapped = row.to_vec();
    if swap_bytes(ty, &mut swapped).is_ok() {
        assert_eq!(first_non_finite_in(ty, &swapped, Endian::Big), Ok(not_finite), "{ty}");
        swap_bytes(ty, &mut swapped).expect("it succeeded before");
        assert!(swapped == row, "{ty}");
    }
});
