//! Any numbers as blocks of any type: every kernel gives the same bytes, and a block with a NaN or an infinity is
//! found. The first byte selects the type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quant::{GgmlType, Kernel, dequantize, first_non_finite, kernels};

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let ty = GgmlType::ALL[usize::from(first) % GgmlType::ALL.len()];
    let mut x: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let mut row = vec![0; x.len().div_ceil(ty.block_len()) * ty.block_bytes()];
    if !x.len().is_multiple_of(ty.block_len()) {
        assert!(Kernel::SCALAR.quantize(ty, &x, &mut row).is_err());
        x.resize(x.len().next_multiple_of(ty.block_len()), 0.25);
    }
    let outcome = Kernel::SCALAR.quantize(ty, &x, &mut row);
    for kernel in kernels() {
        let mut bytes = vec![0xaa; row.len()];
        assert_eq!(kernel.quantize(ty, &x, &mut bytes), outcome);
        assert!(outcome.is_err() || bytes == row, "{ty} by {}", kernel.name());
    }
    if outcome.is_err() {
        return;
    }
    let not_finite = x.chunks_exact(ty.block_len()).position(|block| block.iter().any(|x| !x.is_finite()));
    let found = first_non_finite(ty, &row).expect("whole blocks");
    // A scale can also overflow for finite numbers.
    assert!(not_finite.is_none() || found.is_some_and(|found| Some(found) <= not_finite), "{ty}: {not_finite:?}, {found:?}");
    dequantize(ty, &row, &mut x).expect("a quantized row can be dequantized");
});
