//! Hostile files: for every rule of the container, one file that just meets it and one that just breaks it; and the
//! patterns of known attacks.
//!
//! They can test any GGUF reader: `assay gguf corpus` writes them to a directory. The rules are those that llama.cpp
//! checks of the container; attacks are named by their CVE.
//!
//! [`cases`] are single files, [`sets`] are models in several files. They are built field by field, because the writer
//! would refuse most of them.

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

/// A file, and the verdict that a reader should reach.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it tests, as a file name: `tensor-name-64-bytes`.
    pub name: String,
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The verdict of a reader that follows llama.cpp.
    pub verdict: Verdict,
    /// The first block of its only tensor whose scale is NaN or infinite. No rule of the container forbids it, but a
    /// check of the values must find it.
    pub not_finite: Option<usize>,
}

/// The verdict about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It breaks no rule.
    Accepted,
    /// It breaks a rule: the name of the variant of [`Rule`](crate::Rule).
    Refused(&'static str),
    /// llama.cpp refuses it, but the specification allows it: accepted with
    /// [`Options::LENIENT`](crate::Options::LENIENT), otherwise refused by this rule.
    OnRequest(&'static str),
}

/// All single files.
pub fn cases() -> Vec<Case> {
    let mut cases = distinct();
    cases.extend(cuts::cases());
    cases
}

/// The files that are not a prefix of another one.
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
