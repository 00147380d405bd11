//! Cells of the sweep in processes of their own: what is kept decides about memory, and about no bit of the result.

use std::process::Command;

use record::CellRecord;

fn record(keep: &str, seed: u32) -> CellRecord {
    let directory = tempfile::tempdir().unwrap();
    let cell = format!("dims=toy,case=small_2frames,keep={keep},seed={seed}");
    let mut assay = Command::new(env!("CARGO_BIN_EXE_assay"));
    let output = assay.args(["cell", "multiview", &cell, "--out", "record"]).current_dir(&directory).output().unwrap();
    assert!(output.status.success(), "{cell}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(directory.path().join("record")).unwrap()).unwrap()
}

#[test]
fn variants_differ_in_memory_and_in_nothing_else() {
    let [all, captured, projected, halves] =
        ["all", "captured", "projected", "projected-f16"].map(|keep| record(keep, 1));
    let result = |record: &CellRecord| record.proof.as_ref().unwrap().output_hash.clone().unwrap();
    assert_eq!(result(&all), result(&captured));
    assert_eq!(result(&all), result(&projected));
    assert_ne!(result(&all), result(&halves), "f16 is rounded");
    assert_ne!(result(&projected), result(&record("projected", 2)), "other weights");

    let bytes = |record: &CellRecord, name: &str| record.value(name).unwrap();
    assert_eq!(bytes(&all, "kept_bytes"), 6.0 * bytes(&captured, "kept_bytes"));
    let peaks = [&all, &captured, &projected, &halves].map(|record| bytes(record, "peak_heap_bytes"));
    assert!(peaks.is_sorted_by(|more, less| more > less), "{peaks:?}");
    for record in [&all, &captured, &projected, &halves] {
        assert!(bytes(record, "model_error_ratio") <= 0.01);
        let proof = record.proof.as_ref().unwrap();
        assert!(proof.is_right() && proof.method == "f64, 2 x 112 px, as timed", "{proof:?}");
        assert!(bytes(record, "transient_bytes") > 0.0 && bytes(record, "frames_per_s") > 0.0);
    }
}
