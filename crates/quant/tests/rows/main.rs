//! Tests of rows of every type with every kernel: bits, errors, numbers that are not finite.

mod agreement;
mod byte_order;
mod errors;
mod golden;
mod layout;
mod not_finite;
mod precision;

use quant::GgmlType;

/// Types that this crate can convert, in the order of their ids except for BF16.
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

/// The types of the named cases are those with a kernel, without F32, which needs no conversion.
#[test]
fn every_type_with_a_kernel_has_cases() {
    for &ty in GgmlType::ALL {
        let has_kernel = quant::Kernel::SCALAR.dequantizes(ty).is_some();
        assert_eq!(COMPUTED.contains(&ty), has_kernel, "{ty}");
        assert_eq!(quant::cases::TYPES.contains(&ty), has_kernel && ty != GgmlType::F32, "{ty}");
    }
}

/// The bits of numbers, with all NaNs replaced by one.
fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// `ASSAY_REQUIRE=cpu-avx2` turns a kernel that this machine lacks into a failure.
#[test]
fn required_kernels_are_present() {
    let required = std::env::var("ASSAY_REQUIRE").unwrap_or_default();
    let present: Vec<_> = quant::kernels().iter().map(|kernel| kernel.name()).collect();
    // There is no AVX-512 code here: the AVX2 code runs.
    for name in required.split(',').map(str::trim).filter(|name| name.starts_with("cpu-") && *name != "cpu-avx512") {
        assert!(present.contains(&name), "{name} is required, but this machine has {present:?}");
    }
    assert_eq!(present.first(), Some(&"cpu-scalar"));
    assert_eq!(present.last(), Some(&quant::Kernel::best().name()));
}
