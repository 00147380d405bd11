//! Hostile files: for every rule of the format one file just inside and one just outside, and the shapes of known attacks.
//!
//! They are for tests of any reader of GGUF, not of this one alone: `assay gguf corpus` writes them to a directory. The rules are
//! those of llama.cpp's loader; the attacks are named by their CVE.
//!
//! [`cases`] are single files, [`sets`] are models in several. Each is made here, field by field where the reader would refuse it.

mod attacks;
mod cuts;
mod metadata;
mod mutate;
mod preamble;
mod raw;
mod sets;
mod tensors;
mod twin;
mod values;

pub use mutate::Mutator;
pub use sets::{Set, sets};

/// A file, and what a reader has to make of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is special about it, as a file name: `tensor-name-64-bytes`.
    pub name: String,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What a reader that follows llama.cpp says.
    pub verdict: Verdict,
    /// The first block of its only tensor whose scale is NaN or infinite. No rule of the format forbids one; who looks at values
    /// has to find it.
    pub not_finite: Option<usize>,
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

/// All single files.
pub fn cases() -> Vec<Case> {
    let mut cases = distinct();
    cases.extend(cuts::cases());
    cases
}

/// The files that are not a part of another.
fn distinct() -> Vec<Case> {
    let mut cases = preamble::cases();
    cases.extend(metadata::cases());
    cases.extend(tensors::cases());
    cases.extend(values::cases());
    cases.extend(attacks::cases());
    cases
}

fn accepted(name: impl Into<String>, bytes: Vec<u8>) -> Case {
    Case { name: name.into(), bytes, verdict: Verdict::Accepted, not_finite: None }
}

fn refused(name: impl Into<String>, variant: &'static str, bytes: Vec<u8>) -> Case {
    Case { verdict: Verdict::Refused(variant), ..accepted(name, bytes) }
}

fn on_request(name: impl Into<String>, variant: &'static str, bytes: Vec<u8>) -> Case {
    Case { verdict: Verdict::OnRequest(variant), ..accepted(name, bytes) }
}
