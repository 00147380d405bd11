//! End-to-end tests of the bench glue. This binary is also a bench binary: it runs itself as a bench on subjects whose
//! behavior is known, and checks rows, exit codes and criterion's own files. No test asserts a speed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use machine::isa::Isa;
use op::{Loaded, Ran};
use proof::bench::{Bench, Ceiling, Subject, Suite};
use proof::compare::{check, proof};
use record::{Allocations, BenchRow, Proof, SCHEMA, State, Unit, Work, jsonl};

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// Makes this binary run as a bench.
const AS_BENCH: &str = "GLUE_AS_BENCH";
const GROUP: &str = "proof/fake/f32";
const TICK: Duration = Duration::from_micros(1);

fn main() {
    if std::env::var_os(AS_BENCH).is_some() {
        return proof::bench::main(declare);
    }
    a_filter_that_matches_nothing_lists_everything();
    a_right_kernel_is_timed_and_described();
    allocations_are_those_of_one_iteration();
    a_wrong_kernel_is_not_timed();
    a_smoke_run_proves_and_measures_nothing();
    an_injected_slowdown_is_in_the_times();
    an_unknown_ceiling_stays_unmeasured();
    mistakes_are_named();
    an_interactive_run_shows_a_table_of_the_first_tier_and_its_rivals();
    an_interactive_filter_selects_from_every_tier();
    a_rate_above_its_ceiling_is_an_error();
}

/// Reports exactly one tick per iteration, and really takes at least as long.
struct Fake {
    kernel: &'static str,
    output: f32,
    bytes_per_iteration: usize,
}

impl Subject for Fake {
    fn prove(&mut self) -> Proof {
        proof(check(&[self.output], &[1.0], |_| 0.25), "0123456789abcdef".into())
    }
}

impl Loaded for Fake {
    fn run(&mut self) {
        self.time(1);
    }

    fn time(&mut self, iters: u64) -> Duration {
        let time = TICK * iters as u32;
        let start = Instant::now();
        if self.bytes_per_iteration > 0 {
            (0..iters).for_each(|_| drop(std::hint::black_box(vec![1_u8; self.bytes_per_iteration])));
        }
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
        time
    }

    fn ran(&self) -> Ran {
        Ran { flops: 1000, ..Ran::new(self.kernel, "scalar") }
    }
}

/// The cases of an unfiltered run: one with rivals, and one that is only for breadth.
fn declare_cases(suite: &mut Suite) {
    let flops = if std::env::var_os("GLUE_IMPOSSIBLE").is_some() { 1e12 } else { 1000.0 };
    for (function, value, tier) in
        [("n1/resident/t1", "first", 1), ("n1/resident/t1", "rival", 2), ("n2/resident/t1", "breadth", 2)]
    {
        let bench = Bench {
            group: GROUP.into(),
            function: function.into(),
            value: value.into(),
            tier,
            work: Work { flops: Some(flops), ..Work::default() },
            ceiling: Ceiling::Fma { isa: Isa::Scalar, threads: 1 },
        };
        suite.bench(bench, || Box::new(Fake { kernel: value, output: 1.125, bytes_per_iteration: 0 }));
    }
}

fn declare(suite: &mut Suite) {
    if std::env::var_os("GLUE_CASES").is_some() {
        return declare_cases(suite);
    }
    let work = Work { flops: Some(1000.0), ..Work::default() };
    let bench = |value: &str, tier, ceiling| Bench {
        group: GROUP.into(),
        function: "n1/resident/t1".into(),
        value: value.into(),
        tier,
        work,
        ceiling,
    };
    let fma = Ceiling::Fma { isa: Isa::Scalar, threads: 1 };
    let fake = |kernel, output, bytes_per_iteration| {
        move || -> Box<dyn Subject> { Box::new(Fake { kernel, output, bytes_per_iteration }) }
    };
    suite.bench(bench("right", 1, fma), fake("right", 1.125, 0));
    suite.bench(bench("allocating", 2, Ceiling::None), fake("allocating", 1.0, 100));
    suite.bench(bench("wrong", 2, fma), fake("wrong", 1.5, 0));
    // An impossible spin loop: it needs at least one thread.
    suite.bench(bench("unlimited", 3, Ceiling::Fma { isa: Isa::Scalar, threads: 0 }), fake("unlimited", 1.0, 0));
    suite.bench(bench("lazy", 3, Ceiling::None), || panic!("the set-up of a bench that was not selected ran"));
    if std::env::var_os("GLUE_TWICE").is_some() {
        suite.bench(bench("right", 1, fma), fake("right", 1.0, 0));
    }
}

/// One run of the bench.
struct Run {
    folder: tempfile::TempDir,
    output: Output,
}

impl Run {
    fn new(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--warm-up-time",
                "0.005",
                "--measurement-time",
                "0.02",
                "--sample-size",
                "10",
                "--nresamples",
                "2000",
            ])
            .args(arguments)
            .env(AS_BENCH, "1")
            .env("ASSAY_ROWS", folder.path().join("rows.jsonl"))
            .env("CRITERION_HOME", folder.path().join("criterion"))
            .env_remove("ASSAY_INJECT")
            .env_remove("CARGO_CRITERION_PORT")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        Self { folder, output }
    }

    /// A measuring run of one kernel; the others are filtered out.
    fn of(kernel: &str, environment: &[(&str, &str)]) -> Self {
        Self::new(&["--bench", &format!("^{}$", id(kernel))], environment)
    }

    fn rows(&self) -> Vec<BenchRow> {
        let lines = jsonl::read(&self.folder.path().join("rows.jsonl"), SCHEMA).unwrap();
        assert_eq!(lines.torn, None);
        lines.rows
    }

    /// The rows of one kernel.
    fn rows_of(&self, kernel: &str) -> Vec<BenchRow> {
        self.rows().into_iter().filter(|row| row.id() == id(kernel)).collect()
    }

    /// Seconds per iteration of each sample, from criterion's own file; `None` when it kept none.
    fn samples(&self, kernel: &str) -> Option<Vec<f64>> {
        let parts = [GROUP.replace('/', "_"), "n1_resident_t1".into(), kernel.into(), "new/sample.json".into()];
        let path: PathBuf = parts.iter().fold(self.folder.path().join("criterion"), |path, part| path.join(part));
        let sample: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).unwrap();
        let numbers =
            |key: &str| sample[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
        Some(numbers("times").iter().zip(numbers("iters")).map(|(ns, iters)| ns * 1e-9 / iters).collect())
    }

    fn succeeded(self) -> Self {
        assert!(self.output.status.success(), "{}", self.errors());
        self
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }
}

fn id(kernel: &str) -> String {
    format!("{GROUP}/n1/resident/t1/{kernel}")
}

fn a_filter_that_matches_nothing_lists_everything() {
    let run = Run::new(&["--bench", "^nothing$"], &[]).succeeded();
    let rows = run.rows();
    let listed: Vec<_> = rows.iter().map(|row| (row.value.as_deref().unwrap(), row.tier)).collect();
    assert_eq!(listed, [("right", 1), ("allocating", 2), ("wrong", 2), ("unlimited", 3), ("lazy", 3)]);
    for row in &rows {
        assert_eq!(
            (row.state, row.group.as_str(), row.function.as_deref()),
            (State::Declared, GROUP, Some("n1/resident/t1"))
        );
        let source = row.source.as_ref().unwrap();
        assert!(Path::new(&source.file).ends_with("tests/glue.rs") && source.line > 0, "{source:?}");
        assert!(row.proof.is_none() && row.rate_per_s.is_none() && row.ceiling.is_none());
    }
    assert!(rows[0].source != rows[1].source, "each declaration has a line of its own");
}

fn a_right_kernel_is_timed_and_described() {
    let run = Run::of("right", &[]).succeeded();
    let rows = run.rows_of("right");
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [State::Declared, State::Proved]);
    let row = &rows[1];
    let proof = row.proof.as_ref().unwrap();
    assert_eq!((proof.error, proof.tolerance, proof.checked, &proof.failure), (Some(0.125), 0.25, 1, &None));
    assert_eq!(row.ran["kernel"], "right");
    assert_eq!(row.ran["isa"], "scalar");
    assert_eq!(row.allocations, Some(Allocations::default()));
    let ceiling = row.ceiling.as_ref().unwrap();
    assert_eq!((ceiling.name.as_str(), ceiling.unit), ("fma f32 scalar t1", Unit::FlopPerSecond));
    // Bursts of 0.1 ms, 12 ms before the timing and as much after it.
    assert_eq!(ceiling.n, 240);
    assert!(ceiling.bursts_per_s > 0.0 && ceiling.bursts_per_s <= ceiling.best_per_s);
    // The subject reports a tick per iteration, in every batch.
    let samples = run.samples("right").unwrap();
    assert!(samples.len() == 10 && samples.iter().all(|s| (s / 1e-6 - 1.0).abs() < 1e-9), "{samples:?}");
    assert!((row.rate_per_s.unwrap() / 1e9 - 1.0).abs() < 1e-9);
    if cfg!(target_os = "linux") {
        assert!(row.peak_rss_bytes.unwrap() > 0);
    }
}

fn allocations_are_those_of_one_iteration() {
    let run = Run::of("allocating", &[]).succeeded();
    let row = &run.rows_of("allocating")[1];
    assert_eq!(row.allocations, Some(Allocations { count: 1, bytes: 100 }));
    assert_eq!((&row.ceiling, row.rate_per_s), (&None, None));
}

fn a_wrong_kernel_is_not_timed() {
    for arguments in [["--bench", "wrong"], ["--test", "wrong"]] {
        let run = Run::new(&arguments, &[]);
        assert_eq!(run.output.status.code(), Some(101), "{}", run.errors());
        let message = "kernel wrong (scalar) is wrong; not timed. \
            element-wise: element 0: got 1.5e0, expected 1e0, error 5e-1 is not within 2.5e-1";
        assert!(run.errors().contains(message), "{}", run.errors());
        assert!(run.errors().contains(&id("wrong")));
        let rows = run.rows_of("wrong");
        assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [State::Declared, State::Failed]);
        let failed = rows[1].proof.as_ref().unwrap();
        assert_eq!((failed.error, failed.worst_index), (Some(0.5), Some(0)));
        assert!(failed.failure.is_some() && rows[1].rate_per_s.is_none());
        assert_eq!(rows[1].ran["kernel"], "wrong");
        assert_eq!(run.samples("wrong"), None);
    }
}

fn a_smoke_run_proves_and_measures_nothing() {
    let run = Run::new(&["--test", "right"], &[]).succeeded();
    let row = &run.rows_of("right")[1];
    assert_eq!(row.state, State::Proved);
    assert!(row.proof.is_some());
    assert_eq!((row.rate_per_s, &row.ceiling, row.allocations), (None, &None, None));
}

fn an_injected_slowdown_is_in_the_times() {
    let injected = format!("{}=+50%", id("right"));
    let run = Run::of("right", &[("ASSAY_INJECT", &injected)]).succeeded();
    let samples = run.samples("right").unwrap();
    // The spin takes at least its share of the subject's own tick. Machine noise can make it longer.
    assert!(samples.iter().all(|s| *s >= 1.5e-6 * (1.0 - 1e-9)), "{samples:?}");
    // The row's rate is computed from exactly these samples.
    let median = record::stats::median(&samples).unwrap();
    let rate = run.rows_of("right")[1].rate_per_s.unwrap();
    assert!((rate * median / 1000.0 - 1.0).abs() < 1e-9, "{rate} {median}");
    // A slowdown for another id has no effect here.
    let run = Run::of("allocating", &[("ASSAY_INJECT", &injected)]).succeeded();
    assert!(run.samples("allocating").unwrap().iter().all(|s| (s / 1e-6 - 1.0).abs() < 1e-9));
}

fn an_unknown_ceiling_stays_unmeasured() {
    let run = Run::of("unlimited", &[]).succeeded();
    let row = &run.rows_of("unlimited")[1];
    assert_eq!(row.ceiling, None);
    assert!(row.rate_per_s.is_some());
}

/// A run that records no rows.
fn interactive_run(filter: &[&str], environment: &[(&str, &str)]) -> Run {
    let environment = [&[("ASSAY_ROWS", ""), ("GLUE_CASES", "1")], environment].concat();
    Run::new(&[&["--bench"], filter].concat(), &environment)
}

fn an_interactive_run_shows_a_table_of_the_first_tier_and_its_rivals() {
    let run = interactive_run(&[], &[]).succeeded();
    let shown = String::from_utf8_lossy(&run.output.stdout).into_owned();
    // Criterion's own lines: 1000 operations in a tick of 1 µs.
    assert_eq!(shown.matches("thrpt:  [1.0000 GFLOP/s 1.0000 GFLOP/s 1.0000 GFLOP/s]").count(), 2, "{shown}");
    let table: Vec<&str> = shown.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(table.len(), 4, "{shown}");
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(cells(table[0])[1..9], ["case", "kernel", "time", "vs best", "rate", "of ceiling", "proof", "what ran"]);
    let lines = [cells(table[2]), cells(table[3])];
    // Both report a tick, and whichever is first names the case.
    assert_eq!((&*lines[0][1], &*lines[1][1]), ("n1/resident/t1", ""));
    let mut kernels = lines.each_ref().map(|line| line[2].clone());
    kernels.sort();
    assert_eq!(kernels, ["first", "rival"]);
    for line in &lines {
        assert_eq!((&*line[3], &*line[4], &*line[5]), ("1.000 µs", "1.00", "1.000 GFLOP/s"));
        assert!(line[6].ends_with(" %"), "{shown}");
        assert_eq!((&*line[7], &*line[8]), ("50.0 % of tolerance", "scalar, t1"));
    }
    assert!(shown.contains("\nceiling fma f32 scalar t1: "), "{shown}");
    assert!(
        shown.contains("\nNot run: 1 benches of cases beyond tier 1. A filter selects them; `-- .` runs all.\n"),
        "{shown}"
    );
    assert!(!shown.contains("breadth"), "{shown}");
    // A tool that lists, tests or records gets everything and no table.
    let listed = interactive_run(&["--list"], &[]).succeeded();
    assert_eq!(String::from_utf8_lossy(&listed.output.stdout).matches(": benchmark").count(), 3);
    let tested = interactive_run(&["--test"], &[]).succeeded();
    let tested = String::from_utf8_lossy(&tested.output.stdout).into_owned();
    assert!(tested.contains("breadth") && !tested.contains("| case"), "{tested}");
    let recorded = Run::new(&["--bench"], &[("GLUE_CASES", "1")]).succeeded();
    assert_eq!(recorded.rows().iter().filter(|row| row.state == State::Proved).count(), 3);
    assert!(!String::from_utf8_lossy(&recorded.output.stdout).contains("| case"));
}

fn an_interactive_filter_selects_from_every_tier() {
    let run = interactive_run(&["n2"], &[]).succeeded();
    let shown = String::from_utf8_lossy(&run.output.stdout).into_owned();
    assert!(shown.contains("| n2/resident/t1 | breadth |") && !shown.contains("first"), "{shown}");
    assert!(!shown.contains("Not run"), "{shown}");
}

fn a_rate_above_its_ceiling_is_an_error() {
    let run = interactive_run(&[], &[("GLUE_IMPOSSIBLE", "1")]);
    assert_eq!(run.output.status.code(), Some(101));
    let shown = String::from_utf8_lossy(&run.output.stdout).into_owned();
    assert_eq!(shown.matches(" % impossible |").count(), 2, "{shown}");
    assert!(run.errors().contains("more than 103 % of the ceiling's best burst: "), "{}", run.errors());
    assert!(run.errors().contains(&id("first")), "{}", run.errors());
}

fn mistakes_are_named() {
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("ASSAY_INJECT", "right")], "ASSAY_INJECT=right: `right` is not of the form ID=+5%"),
        (&[("ASSAY_ROWS", "/nonexistent/rows.jsonl")], "ASSAY_ROWS: /nonexistent/rows.jsonl: "),
        (&[("GLUE_TWICE", "1")], "bench id proof/fake/f32/n1/resident/t1/right is declared twice"),
    ];
    for (environment, message) in cases {
        let run = Run::new(&["--bench", "^nothing$"], environment);
        assert_eq!(run.output.status.code(), Some(101));
        assert!(run.errors().contains(message), "{}", run.errors());
    }
    // If no file is requested, there are no rows and no error.
    let run = Run::new(&["--test", "right"], &[("ASSAY_ROWS", "")]).succeeded();
    assert!(!run.folder.path().join("rows.jsonl").exists());
}
