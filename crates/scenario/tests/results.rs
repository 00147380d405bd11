//! From rows to a report.

use record::{CeilingSample, CellRecord, Direction, Metric, MetricCeiling, Proof, Table, Unit};
use scenario::{Figure, Matrix, Provenance, Report, Results, ResultsError, Row};

const MATRIX: &str = "title = 'Copies'\nprimary = 'copy_s'\nruns = 3\nlimit_s = 1\n[[axis]]\nname = 'by'\nvalues = ['loop', 'memcpy']\n\
    [[axis]]\nname = 'kib'\nvalues = [1, 2]\n[smoke]\n[full]\n";

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
    assert!(Results::new(&matrix, &rows).is_ok(), "an interrupted run goes on with another seed");
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
