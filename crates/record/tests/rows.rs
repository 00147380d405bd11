//! Rows on disk, readable units, tables.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use record::jsonl::{self, Error};
use record::*;

fn row() -> BenchRow {
    BenchRow {
        schema: SCHEMA,
        state: State::Proved,
        group: "gemm/gemm/f32".into(),
        function: Some("m512-n512-k512/resident/t1".into()),
        value: Some("cpu-avx2".into()),
        tier: 1,
        source: Some(SourceLine { file: "benches/gemm.rs".into(), line: 42 }),
        proof: Some(Proof {
            method: "freivalds".into(),
            error: Some(0.25),
            tolerance: 3.0,
            worst_index: Some(7),
            checked: 100,
            input_hash: "0123456789abcdef".into(),
            output_hash: None,
            same_as: None,
            failure: None,
        }),
        ran: BTreeMap::from([("isa".into(), "avx2".into())]),
        work: Work { flops: Some(2.0 * 512.0_f64.powi(3)), ..Work::default() },
        ceiling: Some(CeilingSample {
            name: "fma f32 avx2 t1".into(),
            unit: Unit::FlopPerSecond,
            bursts_per_s: 100e9,
            best_per_s: 104e9,
            n: 12,
        }),
        rate_per_s: Some(80e9),
        allocations: Some(Allocations::default()),
        peak_rss_bytes: None,
    }
}

/// The exact line of schema 1. Old files stay readable only if every change gets a new schema number.
#[test]
fn schema_1_line() {
    let line = serde_json::to_string(&row()).unwrap();
    assert_eq!(line, include_str!("bench_row_schema_1.jsonl").trim_end());
    assert_eq!(serde_json::from_str::<BenchRow>(&line).unwrap(), row());
}

#[test]
fn id_and_share() {
    let mut row = row();
    assert_eq!(row.id(), "gemm/gemm/f32/m512-n512-k512/resident/t1/cpu-avx2");
    assert_eq!(row.share_of_ceiling(), Some(0.8));
    assert_eq!(row.impossible_share(), None);
    row.rate_per_s = Some(1.03 * 104e9);
    assert_eq!(row.impossible_share(), None, "at the limit");
    row.rate_per_s = Some(1.5 * 104e9);
    assert_eq!(row.impossible_share(), Some(1.5));
    row.value = None;
    row.rate_per_s = None;
    assert_eq!(row.id(), "gemm/gemm/f32/m512-n512-k512/resident/t1");
    assert_eq!(row.share_of_ceiling(), None);
}

#[test]
fn append_then_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    jsonl::append(&path, &row()).unwrap();
    jsonl::append(&path, &row()).unwrap();
    let lines = jsonl::read::<BenchRow>(&path, SCHEMA).unwrap();
    assert_eq!(lines, jsonl::Lines { rows: vec![row(), row()], torn: None });
}

#[test]
fn a_truncated_last_line_is_reported_and_blocks_appending() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    jsonl::append(&path, &row()).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &whole[..40]].concat()).unwrap();
    let lines = jsonl::read::<BenchRow>(&path, SCHEMA).unwrap();
    assert_eq!((lines.rows.len(), lines.torn), (1, Some(2)));
    assert!(matches!(jsonl::append(&path, &row()), Err(Error::Torn { line: 2, .. })));
    // A complete row without its newline is valid, and the newline is added.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(jsonl::read::<BenchRow>(&path, SCHEMA).unwrap().torn, None);
    jsonl::append(&path, &row()).unwrap();
    assert_eq!(jsonl::read::<BenchRow>(&path, SCHEMA).unwrap().rows.len(), 2);
}

#[test]
fn broken_rows_name_their_line() {
    let path = std::path::Path::new("x.jsonl");
    let good = serde_json::to_string(&row()).unwrap();
    let cases = [
        (format!("{good}\nnot json\n{good}\n"), "x.jsonl:2: not a row"),
        (
            format!("{good}\n\n{}\n", good.replace("\"schema\":1", "\"schema\":2")),
            "x.jsonl:3: schema 2, this build reads 1 to 1",
        ),
        (good.replace("\"schema\":1,", ""), "x.jsonl:1: schema missing"),
        (good.replace("\"schema\":1", "\"schema\":0"), "x.jsonl:1: schema 0"),
        (good.replace("\"tier\":1", "\"tier\":-1"), "x.jsonl:1: not a row"),
        ("[1]\n".into(), "x.jsonl:1: schema missing"),
    ];
    for (text, expected) in cases {
        let message = jsonl::parse::<BenchRow>(text.as_bytes(), path, SCHEMA).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }
    let empty = jsonl::parse::<BenchRow>(b"\n  \n", path, SCHEMA).unwrap();
    assert!(empty.rows.is_empty() && empty.torn.is_none());
    assert!(matches!(jsonl::read::<BenchRow>(std::path::Path::new("/nonexistent/x"), 1), Err(Error::Io { .. })));
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    jsonl::write(&path, &[row()]).unwrap();
    jsonl::write(&path, &[row(), row(), row()]).unwrap();
    assert_eq!(jsonl::read::<BenchRow>(&path, SCHEMA).unwrap().rows.len(), 3);
    assert!(jsonl::write(&path, &[BTreeMap::from([(vec![1], 1)])]).is_err());
    assert_eq!(jsonl::read::<BenchRow>(&path, SCHEMA).unwrap().rows.len(), 3);
    assert!(jsonl::write(&folder.path().join("absent/log.jsonl"), &[row()]).is_err());
    assert!(jsonl::write(folder.path(), &[row()]).is_err(), "a folder stands there");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["log.jsonl"], "no temporary file stays behind");
}

#[test]
fn not_measured_is_null() {
    let metric = Metric {
        name: "peak_vram_bytes".into(),
        value: None,
        unit: Unit::Bytes,
        direction: Direction::LowerIsBetter,
        n: 0,
        low: None,
        high: None,
    };
    let line = serde_json::to_string(&metric).unwrap();
    assert!(line.contains("\"value\":null"), "{line}");
    assert_eq!(serde_json::from_str::<Metric>(&line).unwrap(), metric);
    assert_eq!(format!("{metric:>5}"), "  n/a");
    assert_eq!(Metric { value: Some(0.0), ..metric }.to_string(), "0 B");
}

#[test]
fn units_for_people() {
    let cases = [
        (Unit::Seconds, 1.5e-9, "1.500 ns"),
        (Unit::Seconds, 9.9996e-3, "10.00 ms"),
        (Unit::Seconds, 0.000_999_96, "1.000 ms"),
        (Unit::Seconds, 0.000_999_9, "999.9 µs"),
        (Unit::Seconds, 61.0, "61.00 s"),
        (Unit::Seconds, 0.0, "0 s"),
        (Unit::Seconds, 2e-13, "0.0002000 ns"),
        (Unit::Seconds, -2e-3, "-2.000 ms"),
        (Unit::Bytes, 1023.0, "1023 B"),
        (Unit::Bytes, 4.0 * 1024.0 * 1024.0, "4.000 MiB"),
        (Unit::BytesPerSecond, 12.5e9, "12.50 GB/s"),
        (Unit::FlopPerSecond, 103.8e9, "103.8 GFLOP/s"),
        (Unit::FlopPerSecond, 2.5e15, "2500 TFLOP/s"),
        (Unit::ElementsPerSecond, 1234.0, "1.234 kelements/s"),
        (Unit::Count, 1_234_567.0, "1,234,567"),
        (Unit::Count, -999.0, "-999"),
        (Unit::Count, 0.5, "0.5000"),
        (Unit::Ratio, 1.0, "1.000"),
        (Unit::Ratio, 12345.0, "12345"),
        (Unit::Instructions, 960_364.0, "960,364 instructions"),
        (Unit::Ratio, f64::NAN, "NaN"),
        (Unit::Seconds, f64::INFINITY, "inf s"),
    ];
    for (unit, value, expected) in cases {
        assert_eq!(unit.show(value), expected);
    }
}

#[test]
fn tables_escape_and_align() {
    let mut table = Table::new([("a|b", Align::Left), ("n", Align::Right)]);
    table.row(["one\r\ntwo | three", "1"]).row(["µs"]).row(["x", "2", "extra"]);
    let expected = "\
| a\\|b             |    n |       |
| :--------------- | ---: | :---- |
| one two \\| three |    1 |       |
| µs               |      |       |
| x                |    2 | extra |
";
    assert_eq!(table.to_string(), expected);
    assert_eq!(Table::default().to_string(), "");
    assert!(Table::new([("x", Align::Left)]).is_empty());
}

proptest! {
    /// Numbers are read back exactly, to the last bit.
    #[test]
    fn numbers_are_read_back_exactly(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
        let written = BenchRow { rate_per_s: Some(value), ..row() };
        let line = serde_json::to_vec(&written).unwrap();
        let read = jsonl::parse::<BenchRow>(&line, std::path::Path::new("x"), SCHEMA).unwrap();
        prop_assert_eq!(read.rows[0].rate_per_s.map(f64::to_bits), Some(value.to_bits()));
    }

    #[test]
    fn every_line_of_a_table_is_equally_wide(cells in prop::collection::vec(prop::collection::vec("[ -~µ\n\r|]{0,12}", 0..5), 0..8)) {
        let mut table = Table::new([("first", Align::Left), ("second", Align::Right)]);
        let rows = cells.len();
        for row in cells {
            table.row(row);
        }
        let text = table.to_string();
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        prop_assert_eq!(widths.len(), rows + 2);
        prop_assert!(widths.windows(2).all(|w| w[0] == w[1]), "{}", text);
    }

    #[test]
    fn showing_never_panics(value in prop::num::f64::ANY) {
        for unit in [Unit::Seconds, Unit::Bytes, Unit::BytesPerSecond, Unit::Flop, Unit::FlopPerSecond, Unit::Count, Unit::Ratio] {
            prop_assert!(!unit.show(value).is_empty());
        }
    }
}
