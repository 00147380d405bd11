//! Hostile files: for every rule of the format one file just inside and one just outside, and the shapes of known attacks.
//!
//! They are for tests of any reader of GGUF, not of this one alone: `assay gguf corpus` writes them to a directory. The rules are
//! those of llama.cpp's loader; the attacks are named by their CVE.

mod attacks;
mod metadata;
mod mutate;
mod preamble;
mod raw;
mod tensors;

pub use mutate::Mutator;

/// A file, and what a reader has to make of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is special about it, as a file name: `tensor-name-64-bytes`.
    pub name: String,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What a reader that follows llama.cpp says.
    pub verdict: Verdict,
}

/// What a reader has to make of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It breaks no rule.
    Accepted,
    /// It breaks a rule; the name of the variant of [`Error`](crate::Error) that says so.
    Refused(&'static str),
    /// llama.cpp refuses it, the specification does not: accepted with [`Options::LENIENT`](crate::Options::LENIENT), and otherwise
    /// refused by this variant.
    OnRequest(&'static str),
}

/// All files.
pub fn cases() -> Vec<Case> {
    let mut cases = preamble::cases();
    cases.extend(metadata::cases());
    cases.extend(tensors::cases());
    cases.extend(attacks::cases());
    cases
}

fn accepted(name: impl Into<String>, bytes: Vec<u8>) -> Case {
    Case { name: name.into(), bytes, verdict: Verdict::Accepted }
}

fn refused(name: impl Into<String>, variant: &'static str, bytes: Vec<u8>) -> Case {
    Case { name: name.into(), bytes, verdict: Verdict::Refused(variant) }
}
