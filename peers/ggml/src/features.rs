//! What ggml was compiled with, and whether this processor could do more.

use std::ffi::c_int;

use llama_cpp_sys_2 as sys;

/// By the names of ggml's own report.
const FEATURES: [(&str, unsafe extern "C" fn() -> c_int); 11] = [
    ("AVX2", sys::ggml_cpu_has_avx2),
    ("FMA", sys::ggml_cpu_has_fma),
    ("F16C", sys::ggml_cpu_has_f16c),
    ("BMI2", sys::ggml_cpu_has_bmi2),
    ("AVX_VNNI", sys::ggml_cpu_has_avx_vnni),
    ("AVX512", sys::ggml_cpu_has_avx512),
    ("AVX512_VBMI", sys::ggml_cpu_has_avx512_vbmi),
    ("AVX512_VNNI", sys::ggml_cpu_has_avx512_vnni),
    ("AVX512_BF16", sys::ggml_cpu_has_avx512_bf16),
    ("AMX_INT8", sys::ggml_cpu_has_amx_int8),
    ("LLAMAFILE", sys::ggml_cpu_has_llamafile),
];

/// What was compiled in. The error names what this processor has and the build leaves unused.
pub fn compiled() -> Result<Vec<&'static str>, String> {
    // SAFETY: the functions take nothing and return a number.
    let compiled = FEATURES.into_iter().filter(|(_, has)| unsafe { has() } == 1);
    let compiled: Vec<&str> = compiled.map(|(name, _)| name).collect();
    match unused(&compiled) {
        Some(unused) => {
            Err(format!("ggml was built without {unused}, which this processor has: build it for this processor"))
        }
        None => Ok(compiled),
    }
}

/// An instruction set of this processor that ggml has code for and was built without.
fn unused(compiled: &[&str]) -> Option<&'static str> {
    let here = [
        ("AVX2", is_x86_feature_detected!("avx2")),
        ("FMA", is_x86_feature_detected!("fma")),
        ("F16C", is_x86_feature_detected!("f16c")),
        ("AVX512", is_x86_feature_detected!("avx512bw")),
        ("AVX512_VNNI", is_x86_feature_detected!("avx512vnni")),
        ("AVX512_BF16", is_x86_feature_detected!("avx512bf16")),
        ("LLAMAFILE", true),
    ];
    here.into_iter().find(|(name, is_here)| *is_here && !compiled.contains(name)).map(|(name, _)| name)
}
