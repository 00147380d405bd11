//! Rows of every type through every kernel: bits, errors, numbers that are not finite.

mod agreement;
mod byte_order;
mod errors;
mod golden;
mod layout;
mod not_finite;
mod precision;

use quant::GgmlType;

/// Types that this crate computes with.
const COMPUTED: [GgmlType; 17] = [
    GgmlType::F32,
    GgmlType::F16,
    GgmlType::BF16,
    GgmlType::Q4_0,
    GgmlType::Q4_1,
    GgmlType::Q5_0,
    GgmlType::Q5_1,
    GgmlType::Q8_0,
    GgmlType::Q8_1,
    GgmlType::Q2_K,
    GgmlType::Q3_K,
    GgmlType::Q4_K,
    GgmlType::Q5_K,
    GgmlType::Q6_K,
    GgmlType::Q8_K,
    GgmlType::IQ4_NL,
    GgmlType::MXFP4,
];

/// The bits of numbers, with one NaN for all.
fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// `ASSAY_REQUIRE=cpu-avx2` turns a kernel that this machine lacks into a failure.
#[test]
fn required_kernels_are_present() {
    let required = std::env::var("ASSAY_REQUIRE").unwrap_or_default();
    let present: Vec<_> = quant::kernels().iter().map(|kernel| kernel.name()).collect();
    // AVX-512 has no code of its own here: the AVX2 code runs.
    for name in required.split(',').map(str::trim).filter(|name| name.starts_with("cpu-") && *name != "cpu-avx512") {
        assert!(present.contains(&name), "{name} is required, but this machine has {present:?}");
    }
    assert_eq!(present.first(), Some(&"cpu-scalar"));
    assert_eq!(present.last(), Some(&quant::Kernel::best().name()));
}
