//! From rows to a report.

use record::{CeilingSample, CellRecord, Direction, Metric, MetricCeiling, Proof, Table, Unit};
use scenario::{Figure, Matrix, Provenance, Report, Results, ResultsError, Row, disagreements};

const MATRIX: &str = "title = 'Copies'\nprimary = 'copy_s'\nruns = 3\nlimit_s = 1\n\
    [[axis]]\nname = 'by'\nvalues = ['loop', 'memcpy']\n[[axis]]\nname = 'kib'\nvalues = [1, 2]\n[smoke]\n[full]\n";

fn made() -> Provenance {
    Provenance {
        revision: "1a2b".into(),
        label: "1a2b first".into(),
        dirty: true,
        matrix: "m".into(),
        program: "p".into(),
        machine: "class-1".into(),
        processor: "a processor".into(),
        toolchain: "rustc 1".into(),
        seed: 9,
    }
}

fn row(cell: &str, run: u32, seconds: f64) -> Row {
    let metric = |name: &str, value, unit, direction| Metric {
        name: name.into(),
        value: Some(value),
        unit,
        direction,
        n: 1,
        low: None,
        high: None,
    };
    let ceiling = CeilingSample {
        name: "read".into(),
        unit: Unit::BytesPerSecond,
        bursts_per_s: 2.0 / seconds,
        best_per_s: 4.0 / seconds,
        n: 2,
    };
    let mut record = CellRecord::empty("copy", cell);
    record.metrics = vec![
        metric("copy_s", seconds, Unit::Seconds, Direction::LowerIsBetter),
        metric("copy_bytes_per_s", 1.0 / seconds, Unit::BytesPerSecond, Direction::HigherIsBetter),
        metric("peak_rss_bytes", 2048.0, Unit::Bytes, Direction::LowerIsBetter),
    ];
    record.ceilings = vec![MetricCeiling { metric: "copy_bytes_per_s".into(), ceiling }];
    record.ran.insert("isa".into(), "avx2".into());
    record.ran.insert("by".into(), if cell.contains("loop") { "loop" } else { "libc" }.into());
    record.proof = Some(Proof {
        method: "hash".into(),
        error: Some(0.0),
        tolerance: 0.0,
        worst_index: None,
        checked: 16,
        input_hash: "0".into(),
        output_hash: None,
        same_as: None,
        failure: None,
    });
    let began = "2026-11-26T15:00:00Z".to_owned();
    Row { schema: 1, run, place: run, began, process_s: 0.1, made: made(), record }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for run in 1..=3 {
        // Both drift alike, so that paired ratios are steadier than the times.
        let drift = f64::from(run);
        rows.push(row("by=memcpy,kib=1", run, 0.002 * drift));
        rows.push(row("by=loop,kib=1", run, 0.004 * drift));
    }
    let mut failed = row("by=loop,kib=2", 1, 1.0);
    failed.record.error = Some("killed\nlast words".into());
    rows.push(failed);
    rows
}

#[test]
fn rows_are_sorted_by_the_matrix_and_summed_over_processes() {
    let (matrix, rows) = (Matrix::parse(MATRIX).unwrap(), rows());
    let results = Results::new(&matrix, &rows).unwrap();
    let order: Vec<String> = results.cells().iter().map(|result| result.cell.to_string()).collect();
    assert_eq!(order, ["by=loop,kib=1", "by=loop,kib=2", "by=memcpy,kib=1"]);
    let [slow, failed, fast] = results.cells() else { panic!("three cells") };
    let time = fast.metric("copy_s").unwrap();
    assert_eq!((time.value, time.low, time.high, time.n), (Some(0.004), Some(0.002), Some(0.006), 3));
    let ratio = slow.ratio(fast, "copy_s").unwrap();
    assert!([ratio.value, ratio.low, ratio.high].iter().all(|x| (x.unwrap() - 2.0).abs() < 1e-12), "{ratio:?}");
    assert_eq!(fast.share_of_ceiling("copy_bytes_per_s"), Some(0.5));
    assert_eq!((fast.ran("isa").as_deref(), fast.ran("none")), (Some("avx2"), None));
    assert_eq!((failed.records.len(), failed.faults.len()), (0, 1));
    assert!(results.measured(&failed.cell).is_none() && results.cell(&failed.cell).is_some());
    assert!(slow.ratio(failed, "copy_s").is_none(), "no pair, no ratio");
    assert_eq!(results.values("kib"), ["1", "2"]);
}

/// The matrix, with a promise that both ways to copy give the same bits.
fn promising() -> Matrix {
    Matrix::parse(&format!("{MATRIX}[[same]]\naxis = 'by'\nvalues = ['loop', 'memcpy']\n")).unwrap()
}

fn with_hashes(hash: impl Fn(&Row) -> Option<&'static str>) -> Vec<Row> {
    let mut rows = rows();
    for row in &mut rows {
        let hash = hash(row).map(str::to_owned);
        row.record.proof.as_mut().unwrap().output_hash = hash;
    }
    rows
}

#[test]
fn outputs_that_break_a_promise_are_faults_of_both_sides() {
    let matrix = promising();
    let equal = with_hashes(|_| Some("a"));
    assert!(disagreements(&matrix, &equal).is_empty());
    let results = Results::new(&matrix, &equal).unwrap();
    assert_eq!((results.cells()[0].records.len(), results.cells()[0].output_hash()), (3, Some("a")));

    // One process of one cell differs: nobody knows which is right.
    let unequal = with_hashes(|row| Some(if row.run == 2 && row.record.cell.contains("loop") { "b" } else { "a" }));
    let found = disagreements(&matrix, &unequal);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found[&0].contains("by=loop,kib=1`, process 2, is b"), "{}", found[&0]);
    let results = Results::new(&matrix, &unequal).unwrap();
    let of = |cell: &str| results.cell(&cell.parse().unwrap()).unwrap();
    for cell in ["by=loop,kib=1", "by=memcpy,kib=1"] {
        assert_eq!((of(cell).records.len(), of(cell).faults.len(), of(cell).output_hash()), (0, 3, None));
    }
    let text = Report::plain(&results).markdown("copy", &results);
    assert!(text.contains("the matrix promises the same bits"), "{text}");
    // Without the promise they are numbers.
    assert!(disagreements(&Matrix::parse(MATRIX).unwrap(), &unequal).is_empty());
}

#[test]
fn a_hash_that_is_missing_is_not_equal_to_another_that_is_missing() {
    let (matrix, rows) = (promising(), with_hashes(|_| None));
    let results = Results::new(&matrix, &rows).unwrap();
    assert_eq!(results.cells()[0].output_hash(), None);
    let some = with_hashes(|row| (row.run > 1).then_some("a"));
    assert_eq!(Results::new(&matrix, &some).unwrap().cells()[0].output_hash(), None, "one process has none");
}

#[test]
fn logs_of_pairs_can_be_pooled() {
    let (matrix, rows) = (Matrix::parse(MATRIX).unwrap(), rows());
    let results = Results::new(&matrix, &rows).unwrap();
    let [slow, failed, fast] = results.cells() else { panic!("three cells") };
    let logs = slow.log_ratios(fast, "copy_s");
    assert!(logs.len() == 3 && logs.iter().all(|log| (log - 2.0_f64.ln()).abs() < 1e-12), "{logs:?}");
    assert!(slow.log_ratios(failed, "copy_s").is_empty());
}

#[test]
fn one_process_has_no_spread_and_what_was_not_measured_is_none() {
    let (matrix, rows) = (Matrix::parse(MATRIX).unwrap(), rows());
    let results = Results::new(&matrix, &rows[..1]).unwrap();
    let time = results.cells()[0].metric("copy_s").unwrap();
    assert_eq!((time.low, time.high, time.n), (None, None, 1));
    assert!(results.cells()[0].metric("peak_heap_bytes").is_none());
}

#[test]
fn rows_of_two_states_are_not_mixed() {
    let matrix = Matrix::parse(MATRIX).unwrap();
    assert_eq!(Results::new(&matrix, &[]).unwrap_err(), ResultsError::Empty);
    for change in [
        |made: &mut Provenance| made.revision = "x".into(),
        |made: &mut Provenance| made.matrix = "x".into(),
        |made: &mut Provenance| made.program = "x".into(),
        |made: &mut Provenance| made.machine = "x".into(),
        |made: &mut Provenance| made.toolchain = "x".into(),
    ] {
        let mut rows = rows();
        change(&mut rows[2].made);
        assert!(matches!(Results::new(&matrix, &rows), Err(ResultsError::Mixed { .. })));
    }
    let mut rows = rows();
    rows[2].made.seed = 10;
    let results = Results::new(&matrix, &rows).unwrap();
    assert_eq!(results.seeds, [9, 10], "an interrupted run goes on with another seed");
    let text = Report::plain(&results).markdown("copy", &results);
    assert!(text.contains("(seed 9, then 10)"), "{text}");
}

#[test]
fn the_report_says_what_was_measured_what_ran_and_what_failed() {
    let (matrix, rows) = (Matrix::parse(MATRIX).unwrap(), rows());
    let results = Results::new(&matrix, &rows).unwrap();
    let figure = Figure { name: "times".into(), title: "Times".into(), svg: String::new() };
    let report = Report { figures: vec![figure], body: "## More\n\nWords.\n".into(), ..Report::plain(&results) };
    let text = report.markdown("copy", &results);
    for part in [
        "# Copies\n",
        "1a2b first (uncommitted work)",
        "class `class-1`",
        "4.000 ms (2.000 ms .. 6.000 ms)",
        "2.000 KiB",
        "50 %",
        "hash: 0.00e0 of 0.00e0, 16 checked",
        "![Times](scenario-copy-times.svg)",
        "## More\n\nWords.",
        "All cells: isa: avx2.",
        "| by=memcpy,kib=1 | libc |",
        "- `by=loop,kib=2`, process 1: killed\n  last words",
        "seed 9",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let empty = Report { summary: Table::new([("x", record::Align::Left)]), ..Report::default() };
    assert!(!empty.markdown("copy", &results).contains("## More"));
}

#[test]
fn rows_read_back_what_was_written() {
    for row in rows() {
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }
}
