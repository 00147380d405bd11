//! `peers/OP.toml` fits the tables of cases that this program reports.

use std::path::Path;

#[test]
fn every_file_of_peers_fits_our_tables_of_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let ops = peers::ops(root).unwrap();
    assert!(ops.contains(&"gemm".to_owned()), "{ops:?}");
    for op in ops {
        let cases = peers::check_suite(root, &op, Path::new(env!("CARGO_BIN_EXE_assay")));
        assert!(cases.unwrap_or_else(|error| panic!("{op}: {error:#}")) > 0, "{op}");
    }
}
