//! A process gives a number or a reason, never a wrong number.

use compare::measure::{Sample, Sampler, Trouble, TroubleKind};
use serde_json::{Value, json};

use crate::fake::{Fake, LONG, SHORT, key, scripted};

fn sample(fake: &Fake, parts: &str, occurrence: u32, timeout: std::time::Duration) -> Result<Sample, Trouble> {
    let sampler =
        Sampler { scratch: &fake.scratch, timeout, settings: compare::bench::Settings::STANDARD, until: None };
    let result = sampler.sample(&fake.program, &key(parts, occurrence), None, None).unwrap();
    fake.assert_no_process_is_left();
    result
}

/// The result of a benchmark `g/f` with these fields.
fn sample_of(fields: &Value) -> Result<Sample, Trouble> {
    let mut bench = json!({"id": scripted("g|f")});
    bench.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    sample(&Fake::new(&json!({"benches": [bench]})), "g|f", 0, LONG)
}

#[test]
fn broken_times_are_invalid_with_their_reason() {
    for (fields, reason) in [
        (json!({"times": [1e6, 0.0, 1e6]}), "took no time"),
        (json!({"times": [0.0]}), "took no time"),
        (json!({"times": [1e6, null]}), "took no time"),
        (json!({"times": [1e6, -1.0]}), "took no time"),
        (json!({"times": []}), "no samples"),
        (json!({"times": [1e6, 1e6], "iters": [1.0]}), "no samples"),
        (json!({"times": [1e6, 1e6], "iters": [0.0, 0.0]}), "without iterations"),
        (json!({"mishap": {"exit": 0}}), "ended without a result"),
        (json!({"mishap": "panic"}), "panicked on purpose"),
        (json!({"mishap": "garbage"}), "protocol error"),
    ] {
        let trouble = sample_of(&fields).expect_err(&fields.to_string());
        assert_eq!(trouble.kind, TroubleKind::Invalid, "{fields}");
        assert!(trouble.reason.contains(reason), "{fields}: {}", trouble.reason);
    }
}

#[test]
fn the_number_is_the_median_time_of_an_iteration_in_the_benchs_own_unit() {
    let plain = sample_of(&json!({"times": [4e6, 9e6, 2e6], "iters": [2.0, 3.0, 1.0]})).unwrap();
    assert_eq!((plain.time, plain.unit.as_str(), plain.batches.len()), (2e6, "ns", 3));
    let cycles = sample_of(&json!({"times": [150.0], "unit": "cycles", "bytes": 8})).unwrap();
    assert_eq!((cycles.time, cycles.unit.as_str()), (150.0, "cycles"), "only nanoseconds can be too few");
    assert!(cycles.peak_rss_bytes.is_some_and(|bytes| bytes > 1 << 16));
}

#[test]
fn namesakes_and_ignored_filters_do_not_mix_numbers_up() {
    let bench = |(parts, time): (&str, f64)| json!({"id": scripted(parts), "times": vec![time; 10]});
    let benches = [("a/b|c|-", 1e6), ("a|b/c|-", 2e6), ("a|b|c", 3e6), ("a|b|c", 4e6), ("a|b|c1", 5e6)].map(bench);
    for ignores_filter in [false, true] {
        let fake = Fake::new(&json!({"benches": benches, "ignores_filter": ignores_filter}));
        for (parts, occurrence, time) in
            [("a/b|c|-", 0, 1e6), ("a|b/c|-", 0, 2e6), ("a|b|c", 0, 3e6), ("a|b|c", 1, 4e6), ("a|b|c1", 0, 5e6)]
        {
            assert_eq!(sample(&fake, parts, occurrence, LONG).unwrap().time, time, "{parts} #{occurrence}");
        }
        assert!(sample(&fake, "a|b|c", 2, LONG).unwrap_err().reason.contains("without a result"));
    }
}

#[test]
fn a_hang_is_a_timeout_and_a_failure_after_measuring_voids_the_number() {
    let script = |stage, mishap| json!({"benches": [{"id": scripted("g|f")}], "mishaps": [[stage, mishap]]});
    std::thread::scope(|scope| {
        for stage in ["measuring", "measured", "end"] {
            scope.spawn(move || {
                let hung = sample(&Fake::new(&script(stage, "hang")), "g|f", 0, SHORT).unwrap_err();
                assert_eq!(hung.kind, TroubleKind::Timeout, "{stage}: {}", hung.reason);
                assert!(hung.reason.contains("--timeout"), "{}", hung.reason);
                let failed = sample(&Fake::new(&script(stage, "panic")), "g|f", 0, LONG).unwrap_err();
                assert_eq!(failed.kind, TroubleKind::Invalid);
                assert!(failed.reason.contains("exit status: 101"), "{}", failed.reason);
            });
        }
    });
}

fn row(function: &str, state: &str, failure: Option<&str>) -> String {
    json!({"schema": 1, "state": state, "group": "g", "function": function, "value": null, "tier": 1, "source": null,
        "proof": {"method": "hash", "error": null, "tolerance": 0.0, "worst_index": null, "checked": 1,
            "input_hash": "0", "output_hash": null, "failure": failure},
        "ran": {"kernel": "k"}, "work": {}, "ceiling": null, "rate_per_s": null, "allocations": null,
        "peak_rss_bytes": 4096})
    .to_string()
}

#[test]
fn a_wrong_output_gives_no_number_even_if_it_was_timed() {
    let fake = |rows: &[String]| Fake::new(&json!({"benches": [{"id": scripted("g|f")}], "rows": rows}));
    let wrong = fake(&[row("f", "failed", Some("element 3 is 1.5"))]);
    assert_eq!(sample(&wrong, "g|f", 0, LONG).unwrap_err().reason, "wrong output: element 3 is 1.5");
    let proved = fake(&[row("h", "failed", Some("another's")), row("f", "declared", None), row("f", "proved", None)]);
    let sample = sample(&proved, "g|f", 0, LONG).unwrap();
    assert_eq!(sample.row.unwrap().ran["kernel"], "k");
    assert_eq!(sample.peak_rss_bytes, Some(4096), "the bench's own figure counts");
}
