//! Bench glue, end to end.

fn main() {}
