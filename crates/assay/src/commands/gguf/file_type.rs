//! Names of `general.file_type`: what a file was quantized to, as llama.cpp's `llama_ftype` numbers it.

/// Number and name, in the order of the numbers. Numbers that llama.cpp has taken back are absent.
const NAMES: [(u64, &str); 36] = [
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (38, "MXFP4_MOE"),
    (39, "NVFP4"),
    (40, "Q1_0"),
    (41, "Q2_0"),
];

/// Set in the number where a loader guessed the type from the tensors.
const GUESSED: u64 = 1024;

/// The name of a file type: `Q4_K_M`; `None` for a number without a name.
pub(super) fn name(number: u64) -> Option<String> {
    let plain = number & !GUESSED;
    let at = NAMES.binary_search_by_key(&plain, |(number, _)| *number).ok()?;
    let suffix = if number == plain { "" } else { ", guessed" };
    Some(format!("{}{suffix}", NAMES[at].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        assert!(NAMES.is_sorted());
        assert_eq!(name(15).as_deref(), Some("Q4_K_M"));
        assert_eq!(name(1024 + 15).as_deref(), Some("Q4_K_M, guessed"));
        // Taken back by llama.cpp, and not given.
        assert_eq!((name(33), name(1000)), (None, None));
    }
}
