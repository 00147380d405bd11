//! ggml's ids of the types that it shares with us.

use llama_cpp_sys_2 as sys;

/// The id of a type by ggml's name for it.
pub(crate) fn type_id(name: &str) -> Option<sys::ggml_type> {
    Some(match name {
        "F32" => sys::GGML_TYPE_F32,
        "F16" => sys::GGML_TYPE_F16,
        "BF16" => sys::GGML_TYPE_BF16,
        "Q4_0" => sys::GGML_TYPE_Q4_0,
        "Q4_1" => sys::GGML_TYPE_Q4_1,
        "Q5_0" => sys::GGML_TYPE_Q5_0,
        "Q5_1" => sys::GGML_TYPE_Q5_1,
        "Q8_0" => sys::GGML_TYPE_Q8_0,
        "Q8_1" => sys::GGML_TYPE_Q8_1,
        "Q2_K" => sys::GGML_TYPE_Q2_K,
        "Q3_K" => sys::GGML_TYPE_Q3_K,
        "Q4_K" => sys::GGML_TYPE_Q4_K,
        "Q5_K" => sys::GGML_TYPE_Q5_K,
        "Q6_K" => sys::GGML_TYPE_Q6_K,
        "Q8_K" => sys::GGML_TYPE_Q8_K,
        "IQ4_NL" => sys::GGML_TYPE_IQ4_NL,
        "MXFP4" => sys::GGML_TYPE_MXFP4,
        _ => return None,
    })
}
