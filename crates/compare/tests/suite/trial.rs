//! From processes to verdicts: with scripted times the whole trial has one right answer.

use std::time::Duration;

use compare::bench::Settings;
use compare::build::Target;
use compare::comparison::{Candidate, Judged, MeasureContext, Pilot, Piloted, Plan, Trial, pilot, trial};
use compare::console::Console;
use compare::exit::Exit;
use compare::judge::{Margins, SCREEN_BLOCKS, Verdict, blocks_for, confirming_blocks};
use compare::measure::{BenchPair, Links, Sampler, Side, Variant};
use compare::report::Fault;
use serde_json::{Value, json};

use crate::fake::{Fake, LONG, key, scripted};

/// Two programs with the same benchmarks.
struct Sides {
    base: Fake,
    head: Fake,
    names: Vec<String>,
}

impl Sides {
    /// `benches` are a name, and the fields of each side's benchmark of that name besides its id.
    fn new(benches: &[(&str, Value, Value)]) -> Self {
        let side = |pick: fn(&(&str, Value, Value)) -> Value| {
            let bench = |entry: &(&str, Value, Value)| {
                let mut bench = json!({"id": scripted(&format!("g|{}", entry.0))});
                bench.as_object_mut().unwrap().extend(pick(entry).as_object().unwrap().clone());
                bench
            };
            Fake::new(&json!({"benches": benches.iter().map(bench).collect::<Vec<_>>()}))
        };
        let names = benches.iter().map(|(name, ..)| (*name).to_owned()).collect();
        Self { base: side(|entry| entry.1.clone()), head: side(|entry| entry.2.clone()), names }
    }

    fn pairs(&self) -> Vec<BenchPair> {
        let variant = |fake: &Fake| Variant {
            target: Target {
                package: "p".into(),
                name: "t".into(),
                source: String::new(),
                program: fake.program.clone(),
                link: None,
            },
            version: None,
            seed_offset: 0,
            inject: None,
        };
        let pair = |name: &String| BenchPair {
            is_control: false,
            single_threaded: true,
            process_s: 0.0,
            key: key(&format!("g|{name}"), 0),
            tier: 1,
            source: None,
            base: variant(&self.base),
            head: variant(&self.head),
        };
        self.names.iter().map(pair).collect()
    }

    fn sampler(&self) -> Sampler<'_> {
        Sampler { scratch: &self.base.scratch, timeout: LONG, settings: Settings::STANDARD, until: None }
    }

    fn trial(&self, one_stage: bool) -> Trial {
        self.trial_within(one_stage, f64::INFINITY)
    }

    fn trial_within(&self, one_stage: bool, budget_s: f64) -> Trial {
        self.trial_of(&self.pairs(), &self.sampler(), one_stage, budget_s)
    }

    fn trial_of(&self, pairs: &[BenchPair], sampler: &Sampler<'_>, one_stage: bool, budget_s: f64) -> Trial {
        self.trial_of_columns(&[pairs], sampler, one_stage, budget_s)
    }

    /// Several bases, each with its pairs.
    fn trial_of_columns(
        &self,
        columns: &[&[BenchPair]],
        sampler: &Sampler<'_>,
        one_stage: bool,
        budget_s: f64,
    ) -> Trial {
        let (links, console) = (Links::new(&[]), Console::silent());
        let standard = MeasureContext::new(sampler, &links, false, 7, &console);
        let means = MeasureContext { canary_part: Duration::ZERO, ..standard };
        let margin = Margins::default().of("any", false, None);
        let pairs = columns.iter().enumerate().flat_map(|(column, pairs)| pairs.iter().map(move |pair| (pair, column)));
        let family: Vec<_> = pairs.map(|(pair, column)| Candidate { pair, margin, column }).collect();
        let kept = (0..family.len()).collect();
        let plan = Plan { kept, dropped: Vec::new(), one_stage, blocks: 12, seconds: 1.0, budget_s };
        let trial = trial(&means, &family, &plan).unwrap();
        self.base.assert_no_process_is_left();
        self.head.assert_no_process_is_left();
        trial
    }
}

fn times(ns: f64) -> Value {
    json!({"times": vec![ns; 10]})
}

fn verdicts(trial: &Trial) -> Vec<Verdict> {
    trial.judged.iter().map(|judged| judged.finding.verdict).collect()
}

#[test]
fn scripted_times_give_their_exact_effects_and_verdicts() {
    let sides = Sides::new(&[
        ("slower", times(1e6), times(1.25e6)),
        ("faster", times(1e6), times(0.8e6)),
        ("same", times(1e6), times(1.01e6)),
        ("inside", times(1e6), times(1.04e6)),
    ]);
    let trial = sides.trial(true);
    assert_eq!(verdicts(&trial), [Verdict::Slower, Verdict::Faster, Verdict::Same, Verdict::Same]);
    for (judged, ratio) in trial.judged.iter().zip([1.25_f64, 0.8, 1.01, 1.04]) {
        let estimate = judged.finding.estimate.unwrap();
        assert!((estimate.effect - ratio.ln()).abs() < 1e-9, "{estimate:?} is not the log of {ratio}");
        assert_eq!((estimate.n, judged.family), (12, 4));
        assert_eq!((judged.samples(Side::Base).len(), judged.samples(Side::Head).len()), (24, 24));
    }
    assert_eq!((trial.method.links, trial.method.blocks, trial.method.screen_blocks), (1, 12, None));
}

#[test]
fn a_screen_selects_what_moved_and_fresh_blocks_confirm_it() {
    let mut benches = vec![("moved", times(1e6), times(1.2e6)), ("gained", times(1e6), times(0.8e6))];
    benches.extend(["a", "b", "c", "d"].map(|name| (name, times(1e6), times(1.02e6))));
    let trial = Sides::new(&benches).trial(false);
    assert_eq!(verdicts(&trial)[..2], [Verdict::Slower, Verdict::Faster]);
    assert_eq!(verdicts(&trial)[2..], [Verdict::NotFlagged; 4]);
    assert_eq!((trial.method.family, trial.method.screen_blocks), (2, Some(SCREEN_BLOCKS)));
    assert_eq!((trial.counted, trial.missing), (6 * SCREEN_BLOCKS + 2 * confirming_blocks(2), 0), "of both stages");
    for judged in &trial.judged[..2] {
        assert_eq!(judged.screen.as_ref().unwrap().blocks.len(), SCREEN_BLOCKS);
        assert_eq!(
            judged.series.blocks.len(),
            confirming_blocks(2),
            "the screen's blocks are not among those that test"
        );
        assert_eq!(judged.finding.estimate.unwrap().n, confirming_blocks(2));
    }
}

/// If little time is left, a confirmation runs the fewest blocks that can still prove something, and never fewer.
#[test]
fn a_confirmation_stays_within_the_budget() {
    let mut benches = vec![("moved", times(1e6), times(1.2e6))];
    benches.extend(["a", "b", "c", "d"].map(|name| (name, times(1e6), times(1.02e6))));
    let sides = Sides::new(&benches);
    for (budget_s, blocks) in [(0.0, blocks_for(1)), (1e9, confirming_blocks(1))] {
        let trial = sides.trial_within(false, budget_s);
        assert_eq!(verdicts(&trial)[0], Verdict::Slower);
        assert_eq!((trial.judged[0].series.blocks.len(), trial.method.blocks), (blocks, blocks));
    }
}

/// Controls compare a benchmark with itself: they do not make a shift global, however many of them moved.
#[test]
fn controls_are_not_counted_into_a_global_shift() {
    let moved = (0..5).map(|at| (format!("moved{at}"), 1.2e6));
    let still = (0..7).map(|at| (format!("still{at}"), 1e6));
    let names: Vec<(String, f64)> = moved.chain(still).collect();
    let benches: Vec<_> = names.iter().map(|(name, head)| (name.as_str(), times(1e6), times(*head))).collect();
    let sides = Sides::new(&benches);
    // Decided by the screen, so the fewest blocks confirm.
    let shifts = sides.trial_within(false, 0.0).global;
    assert!(shifts.len() == 1 && shifts[0].1.contains("5 of 12 benchmarks moved"), "{shifts:?}");
    let mut pairs = sides.pairs();
    pairs[..2].iter_mut().for_each(|pair| pair.is_control = true);
    assert_eq!(sides.trial_of(&pairs, &sides.sampler(), false, 0.0).global, [], "3 of 10 moved");
}

/// An old base from which everything differs, more than the regression does, must not take its place in the
/// confirmation.
#[test]
fn a_shift_against_one_base_hides_no_regression_against_another() {
    let names: Vec<String> = (0..12).map(|at| format!("f{at}")).collect();
    let benches: Vec<_> =
        names.iter().map(|name| (name.as_str(), times(1e6), times(if name == "f3" { 1.25e6 } else { 1e6 }))).collect();
    let sides = Sides::new(&benches);
    let old = Sides::new(&names.iter().map(|name| (name.as_str(), times(5e5), json!({}))).collect::<Vec<_>>());
    let quiet = sides.pairs();
    let mut different = sides.pairs();
    different.iter_mut().zip(old.pairs()).for_each(|(pair, old)| pair.base = old.base);
    let trial = sides.trial_of_columns(&[&quiet, &different], &sides.sampler(), false, 0.0);
    let (first, second) = trial.judged.split_at(12);
    let with = |judged: &[Judged], verdict| judged.iter().filter(|judged| judged.finding.verdict == verdict).count();
    assert_eq!(first[3].finding.verdict, Verdict::Slower);
    assert_eq!((with(first, Verdict::Slower), with(first, Verdict::NotFlagged)), (1, 11));
    assert_eq!((with(second, Verdict::Slower), with(second, Verdict::NotFlagged)), (10, 2), "the ten that moved most");
    assert_eq!(trial.method.family, 11, "one family of all that is confirmed");
    let columns: Vec<usize> = trial.global.iter().map(|(column, _)| *column).collect();
    assert!(columns == [1] && trial.global[0].1.contains("12 of 12 benchmarks moved"), "{:?}", trial.global);
}

/// When the budget ends, blocks are missing and nothing is claimed.
#[test]
fn blocks_beyond_the_budget_are_missing() {
    let slow = |ns: f64| json!({"times": vec![ns; 10], "takes_s": 0.1});
    let sides = Sides::new(&[("slower", slow(1e6), slow(1.25e6))]);
    let until = Some(std::time::Instant::now() + Duration::from_secs(2));
    let trial = sides.trial_of(&sides.pairs(), &Sampler { until, ..sides.sampler() }, true, f64::INFINITY);
    assert_eq!(verdicts(&trial), [Verdict::Inconclusive]);
    assert!(trial.missing > 0 && trial.counted + trial.missing == 12, "{} and {}", trial.counted, trial.missing);
    assert!(trial.judged[0].trouble().is_none());
}

/// The pilot runs each side once. A benchmark that fails there is never timed, and the side at fault decides the exit
/// code.
#[test]
fn the_pilot_turns_trouble_into_rows() {
    let panic = || json!({"mishap": "panic"});
    let sides = Sides::new(&[
        ("fine", times(1e6), times(1e6)),
        ("head", times(1e6), panic()),
        ("base", panic(), times(1e6)),
        ("both", panic(), panic()),
        ("unit", times(1e6), json!({"unit": "cycles"})),
        ("zero", times(1e6), times(0.0)),
    ]);
    let Piloted { passed, failed: rows, .. } =
        pilot(&sides.sampler(), sides.pairs(), false, &Console::silent()).unwrap();
    let passed: Vec<String> = passed.iter().map(|pilot: &Pilot| pilot.pair.key.id()).collect();
    assert_eq!(passed, ["g/fine"]);
    let expected = [
        ("g/head", Some(Fault::Head), Exit::Invalid, "panicked on purpose"),
        ("g/base", Some(Fault::Base), Exit::Fine, "on the base"),
        ("g/both", Some(Fault::Both), Exit::Fine, "on both sides"),
        ("g/unit", None, Exit::Invalid, "the base measures in ns and the head in cycles"),
        ("g/zero", Some(Fault::Head), Exit::Invalid, "took no time"),
    ];
    assert_eq!(rows.len(), expected.len());
    for (row, (id, fault, exit, why)) in rows.iter().zip(expected) {
        assert_eq!((row.id.as_str(), row.verdict, row.fault, row.exit()), (id, Verdict::Invalid, fault, exit));
        assert!(row.why.contains(why), "{id}: {}", row.why);
    }
}

/// A ratio of times on different data would look like a result.
#[test]
fn sides_that_work_on_other_inputs_are_not_compared() {
    let fake = |input_hash: &str| {
        let row = json!({"schema": 1, "state": "proved", "group": "g", "function": "f", "value": null, "tier": 1,
            "source": null,
            "proof": {"method": "hash", "error": 0.0, "tolerance": 0.0, "worst_index": null, "checked": 1,
                "input_hash": input_hash, "output_hash": null, "failure": null},
            "ran": {}, "work": {}, "ceiling": null, "rate_per_s": null, "allocations": null, "peak_rss_bytes": null});
        Fake::new(&json!({"benches": [{"id": scripted("g|f"), "times": vec![1e6; 10]}], "rows": [row.to_string()]}))
    };
    for (head, verdicts) in [("aa", vec![]), ("bb", vec![Verdict::Invalid])] {
        let sides = Sides { base: fake("aa"), head: fake(head), names: vec!["f".to_owned()] };
        let Piloted { passed, failed: rows, .. } =
            pilot(&sides.sampler(), sides.pairs(), false, &Console::silent()).unwrap();
        assert_eq!(passed.len(), 1 - verdicts.len());
        assert_eq!(rows.iter().map(|row| row.verdict).collect::<Vec<_>>(), verdicts);
        assert!(rows.iter().all(|row| row.why.contains("different inputs") && row.exit() == Exit::Invalid));
    }
}

/// A broken model is often the fastest one.
#[test]
fn sides_whose_outputs_differ_in_quality_are_compared_only_if_that_is_accepted() {
    let fake = |hash: &str| {
        let row = json!({"schema": 1, "state": "proved", "group": "g", "function": "f", "value": null, "tier": 1,
            "source": null, "proof": null, "ran": {"quality_hash": hash}, "work": {}, "ceiling": null,
            "rate_per_s": null, "allocations": null, "peak_rss_bytes": null});
        Fake::new(&json!({"benches": [{"id": scripted("g|f"), "times": vec![1e6; 10]}], "rows": [row.to_string()]}))
    };
    for (head, accepted, is_compared) in [("aa", false, true), ("bb", false, false), ("bb", true, true)] {
        let sides = Sides { base: fake("aa"), head: fake(head), names: vec!["f".to_owned()] };
        let piloted = pilot(&sides.sampler(), sides.pairs(), accepted, &Console::silent()).unwrap();
        assert_eq!((piloted.passed.len(), piloted.failed.len()), (usize::from(is_compared), usize::from(!is_compared)));
        assert!(piloted.failed.iter().all(|row| row.why.contains("quality") && row.exit() == Exit::Invalid));
    }
}

#[test]
fn trouble_in_a_trial_ends_one_pair_and_affects_no_other() {
    let broken = json!({"mishap": "panic"});
    let sides = Sides::new(&[("broken", times(1e6), broken), ("slower", times(1e6), times(1.25e6))]);
    for one_stage in [true, false] {
        let trial = sides.trial(one_stage);
        assert_eq!(verdicts(&trial), [Verdict::Invalid, Verdict::Slower]);
        let (side, trouble) = trial.judged[0].trouble().unwrap();
        assert_eq!(*side, Side::Head);
        assert!(trouble.reason.contains("panicked on purpose"));
    }
}
