//! Every failure of a benchmark process gives the right [`End`] and leaves no process behind.

use compare::bench::{CriterionVersion, End, Selection, Settings};
use serde_json::{Value, json};

use crate::fake::{Fake, LONG, SHORT, failure, scripted};

/// One benchmark, `g/f`.
fn one(mishaps: &Value) -> Value {
    json!({"benches": [{"id": scripted("g|f"), "bytes": 64}], "mishaps": mishaps})
}

/// Measures `g/f` of a program with this mishap.
fn after(stage: &str, mishap: &Value, timeout: std::time::Duration) -> compare::bench::Run {
    Fake::new(&one(&json!([[stage, mishap]]))).measure("g/f", timeout)
}

#[test]
fn a_run_without_mishap_succeeds() {
    let run = Fake::new(&one(&json!([]))).measure("g/f", LONG);
    assert_eq!((run.end, run.samples.len()), (End::Success, 1));
    assert_eq!((run.samples[0].unit.as_str(), run.samples[0].times.len()), ("ns", 20));
    assert_eq!(run.samples[0].throughput, Some(compare::bench::Throughput::Bytes(64.0)));
    assert!(run.counters.is_some(), "memory is read while the process lives");
}

#[test]
fn a_program_that_ends_before_its_greeting_is_not_criterion() {
    assert_eq!(after("connected", &json!({"exit": 0}), LONG).end, End::NotCriterion);
    assert_eq!(after("start", &json!({"exit": 0}), LONG).end, End::NotConnected, "it has criterion in it");
    for mishap in [json!({"exit": 0}), json!("hang")] {
        let mut stranger = one(&json!([["greeted", mishap]]));
        stranger["greeting"] = json!("HTTP/1.1 400 Bad Request\r\n\r\n");
        assert_eq!(Fake::new(&stranger).measure("g/f", LONG).end, End::NotCriterion, "{mishap}");
    }
}

#[test]
fn a_program_that_hangs_before_it_connects_is_killed() {
    assert_eq!(after("start", &json!("hang"), SHORT).end, End::TimedOut);
}

#[test]
fn a_panic_at_any_stage_is_a_failure_that_shows_the_message() {
    for (stage, samples) in
        [("start", 0), ("connected", 0), ("greeted", 0), ("measuring", 0), ("measured", 1), ("end", 1)]
    {
        let run = after(stage, &json!("panic"), LONG);
        assert_eq!(failure(&run), "exit status: 101", "{stage}");
        assert_eq!(run.samples.len(), samples, "{stage}");
        assert!(run.tail.contains("panicked on purpose"), "{stage}: {}", run.tail);
    }
    assert_eq!(failure(&after("measuring", &json!({"exit": 7}), LONG)), "exit status: 7");
    assert!(failure(&after("measuring", &json!("abort"), LONG)).contains("signal: 6"));
}

#[test]
fn a_hang_after_connecting_is_killed_at_the_limit() {
    let cases = [
        ("connected", "hang", 0),
        ("greeted", "hang", 0),
        ("measuring", "hang", 0),
        ("measuring", "close_and_hang", 0),
        ("measured", "hang", 1),
        ("end", "hang", 1),
    ];
    std::thread::scope(|scope| {
        for (stage, mishap, samples) in cases {
            scope.spawn(move || {
                let run = after(stage, &json!(mishap), SHORT);
                assert_eq!((run.end, run.samples.len()), (End::TimedOut, samples), "{mishap} when {stage}");
            });
        }
    });
}

#[test]
fn an_early_end_is_no_failure_and_gives_no_samples() {
    for stage in ["greeted", "measuring"] {
        let run = after(stage, &json!("close"), LONG);
        assert_eq!((run.end, run.samples.len()), (End::Success, 0), "{stage}");
    }
}

/// The program waits for an answer to its message: only the tool can end this, and it must not wait for the limit.
#[test]
fn a_broken_message_is_a_failure_at_once() {
    for (mishap, complaint) in [
        ("lie", "a message of 4294967295 bytes"),
        ("half", "protocol error"),
        ("garbage", "not CBOR"),
        ("nested", "not CBOR"),
        ("bomb", "not CBOR"),
    ] {
        for stage in ["greeted", "measuring", "measured"] {
            let run = after(stage, &json!(mishap), LONG);
            assert!(failure(&run).contains(complaint), "{mishap} when {stage}: {:?}", run.end);
        }
    }
}

#[test]
fn megabytes_of_output_do_not_block_and_only_the_end_is_kept() {
    let run = after("measuring", &json!("flood"), LONG);
    assert_eq!((run.end, run.samples.len()), (End::Success, 1));
    assert!(!run.tail.is_empty() && run.tail.len() <= 16 << 10, "{} bytes", run.tail.len());
}

/// `Fake::measure` looks for the grandchild's process id.
#[test]
fn what_a_benchmark_starts_dies_with_it() {
    for ending in [json!("close"), json!("panic"), json!("flood")] {
        let fake = Fake::new(&one(&json!([["measuring", "grandchild"], ["end", ending]])));
        fake.measure("g/f", LONG);
        assert!(fake.diary().iter().any(|line| line["grandchild"].is_u64()));
    }
    let fake = Fake::new(&one(&json!([["measuring", "grandchild"], ["measuring", "hang"]])));
    assert_eq!(fake.measure("g/f", SHORT).end, End::TimedOut);
    assert!(fake.diary().iter().any(|line| line["grandchild"].is_u64()));
}

#[test]
fn unknown_messages_and_single_bytes_are_handled() {
    let script =
        json!({"benches": [{"id": scripted("g|f")}, {"id": scripted("g|h")}], "has_news": true, "dribbles": true});
    let run = Fake::new(&script).measure("g/h", LONG);
    assert_eq!((run.end, run.listed.len(), run.samples.len()), (End::Success, 2, 1));
}

#[test]
fn each_version_of_criterion_gets_arguments_that_it_accepts() {
    for (version, warm_up) in [((0, 3, 6), "1"), ((0, 5, 1), "0.03"), ((0, 8, 2), "0.03")] {
        let fake = Fake::new(&json!({"benches": [{"id": scripted("g|f")}], "version": version}));
        let known = CriterionVersion(version.0, version.1, version.2);
        assert_eq!(fake.list(LONG).version, Some(known));
        let selection = Selection::Measure { id: "g/f", settings: Settings::STANDARD, version: Some(known) };
        assert_eq!(fake.run(&selection, LONG).end, End::Success);
        let arguments = &fake.diary()[1]["arguments"];
        assert_eq!(
            (&arguments[0], &arguments[1], &arguments[2]),
            (&json!("--bench"), &json!("--warm-up-time"), &json!(warm_up))
        );
    }
}

#[test]
fn a_program_sees_its_own_environment_and_directory_and_nothing_of_ours() {
    let fake = Fake::new(&one(&json!([])));
    let selection = Selection::Measure { id: "g/f", settings: Settings::STANDARD, version: None };
    fake.scratch.run(&fake.program, &selection, &[("ASSAY_INJECT", "g/f=+5%")], LONG).unwrap();
    let diary = fake.diary();
    let variables = diary[0]["variables"].as_array().unwrap();
    let mut names: Vec<&str> = variables.iter().map(|pair| pair[0].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["ASSAY_INJECT", "ASSAY_ROWS", "CARGO_CRITERION_PORT", "CRITERION_HOME", "FAKE_BENCH"]);
    assert_eq!(diary[0]["directory"], json!(fake.directory().canonicalize().unwrap()));
}

#[test]
fn a_scratch_directory_leaves_no_files() {
    let fake = Fake::new(&one(&json!([["start", "flood"]])));
    fake.measure("g/f", LONG);
    let (directory, scratch) = (fake.directory().to_owned(), fake.scratch);
    drop(scratch);
    let left: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["diary"]);
}
