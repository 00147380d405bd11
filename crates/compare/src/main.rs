//! `cargo assay`: compare, gate, log and doctor for any Cargo workspace with criterion benches.
fn main() {}
