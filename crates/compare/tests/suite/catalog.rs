//! Listing: difficult ids must be reported exactly, and programs without benchmarks must give a reason.

use std::path::PathBuf;

use compare::bench::{End, RawId};
use compare::build::{Built, Skipped, Target};
use compare::comparison::{Catalog, ProblemKind};
use compare::console::Console;
use serde_json::{Value, json};

use crate::fake::{Fake, LONG, SHORT, key, raw, scripted};

/// Ids that have broken other tools, among them two pairs with the same full text.
fn hard_ids() -> Vec<String> {
    let long = format!("long|{}|{}", "x".repeat(90), "y".repeat(90));
    let plain = [
        "a/b|c|-",
        "a|b/c|-",
        "a|b|c",
        "twice|f|1",
        "twice|f|1",
        "twice|f|10",
        "-leading|--dash|-x",
        "spaces in|it  twice| ends ",
        "what?|a:b|C:\\d.*[x]{2}(y)^$+",
        "Größe|naïve|日本 🦀",
        "&~#|\"quoted\"|'single'",
        "new\nline|tab\t|-",
        "lone|-|-",
        "value only|-|7",
        "lone/and its child|-|-",
        "case|F|-",
        "case|f|-",
    ];
    plain.iter().map(|id| (*id).to_owned()).chain([long]).collect()
}

fn hard_script(version: (u8, u8, u8)) -> Value {
    let bench = |(at, parts): (usize, &String)| json!({"id": scripted(parts), "times": vec![1e6 + at as f64; 20]});
    json!({"benches": hard_ids().iter().enumerate().map(bench).collect::<Vec<_>>(), "version": version})
}

#[test]
fn hard_ids_are_listed_exactly_and_in_order() {
    for version in [(0, 3, 6), (0, 5, 1), (0, 8, 2)] {
        let run = Fake::new(&hard_script(version)).list(LONG);
        let expected: Vec<RawId> = hard_ids().iter().map(|parts| raw(parts)).collect();
        assert_eq!((run.end, run.samples.len()), (End::Success, 0), "listing measures nothing");
        assert_eq!(run.listed, expected);
    }
}

#[test]
fn each_hard_id_selects_itself_and_its_namesakes_only() {
    let fake = Fake::new(&hard_script((0, 8, 2)));
    let ids = hard_ids();
    for parts in &ids {
        let id = raw(parts).full();
        let run = fake.measure(&id, LONG);
        let namesakes: Vec<RawId> = ids.iter().map(|parts| raw(parts)).filter(|raw| raw.full() == id).collect();
        let measured: Vec<RawId> = run.samples.iter().map(|samples| samples.id.clone()).collect();
        assert_eq!(measured, namesakes, "{id}: {}", run.tail);
    }
}

fn target(name: &str, fake: &Fake) -> Target {
    let (package, source) = ("p".to_owned(), String::new());
    Target { package, name: name.to_owned(), source, program: fake.program.clone(), link: None }
}

fn list(targets: Vec<Target>, timeout: std::time::Duration, fake: &Fake) -> Catalog {
    let skipped = vec![Skipped { package: "p".into(), name: "off".into(), reason: "needs --features x".into() }];
    let built = Built { targets, skipped, rustc: "rustc".into(), workspace: PathBuf::new(), notes: Vec::new() };
    Catalog::list("head", &built, &fake.scratch, timeout, &Console::silent()).unwrap()
}

#[test]
fn keys_are_unique_and_find_their_bench() {
    let fake = Fake::new(&hard_script((0, 8, 2)));
    let catalog = list(vec![target("t", &fake), target("other", &fake)], LONG, &fake);
    assert_eq!(catalog.benches.len(), 2 * hard_ids().len());
    for listed in &catalog.benches {
        assert!(std::ptr::eq(catalog.find(&listed.key).unwrap(), listed), "{:?} is found at another place", listed.key);
    }
    assert!(catalog.find(&key("twice|f|1", 1)).is_some() && catalog.find(&key("twice|f|1", 2)).is_none());
    assert!(catalog.find(&key("a/b|c|-", 0)).is_some() && catalog.find(&key("a|b|c", 0)).is_some());
    assert_eq!(key("twice|f|1", 1).to_string(), "twice/f/1 #2");
    assert_eq!(catalog.versions.len(), 2);
}

/// Programs without benchmarks are between two that have some; each is named with its reason.
#[test]
fn programs_that_cannot_be_listed_are_problems_and_the_others_are_listed() {
    use ProblemKind::{Failed, Skipped, TimedOut};
    let good = Fake::new(&json!({"benches": [{"id": scripted("g|f")}]}));
    let faulty = [
        (json!([["start", {"exit": 0}]]), Failed, "ended without connecting"),
        (json!([["start", "hang"]]), TimedOut, "its set-up before criterion starts did not end within 4 s (--timeout)"),
        (json!([["greeted", "hang"]]), TimedOut, "listing its benchmarks did not end within 4 s"),
        (json!([["end", "panic"]]), Failed, "listing its benchmarks failed (exit status: 101)"),
        (json!([["greeted", "garbage"]]), Failed, "not CBOR"),
        (json!([["greeted", "close"]]), Skipped, "it has no benchmarks"),
    ]
    .map(|(mishaps, kind, reason)| {
        (Fake::new(&json!({"benches": [{"id": scripted("g|f")}], "mishaps": mishaps})), kind, reason)
    });
    let mut targets = vec![target("first", &good)];
    targets.extend(faulty.iter().enumerate().map(|(at, (fake, ..))| target(&format!("faulty{at}"), fake)));
    targets.push(target("last", &good));
    let catalog = list(targets, SHORT, &good);
    let listed: Vec<&str> = catalog.benches.iter().map(|listed| listed.key.target.as_str()).collect();
    assert_eq!(listed, ["first", "last"]);
    assert_eq!(catalog.benches[1].target, 1 + faulty.len());
    let problem = |name: &str| catalog.problems.iter().find(|problem| problem.target == name).unwrap();
    assert_eq!((problem("off").kind, problem("off").reason.as_str()), (Skipped, "needs --features x"));
    for (at, (fake, kind, reason)) in faulty.iter().enumerate() {
        let found = problem(&format!("faulty{at}"));
        assert_eq!(found.kind, *kind, "{found:?}");
        assert!(found.reason.contains(reason), "{found:?}, not {reason}");
        fake.assert_no_process_is_left();
    }
    assert!(problem("faulty3").reason.contains("panicked on purpose"), "the last lines are shown");
}

#[test]
fn a_program_that_ignores_the_filter_is_still_listed() {
    let fake =
        Fake::new(&json!({"benches": [{"id": scripted("g|f")}, {"id": scripted("g|h")}], "ignores_filter": true}));
    assert_eq!(list(vec![target("t", &fake)], LONG, &fake).benches.len(), 2);
}

/// Tiers and places come from the rows that a proved bench writes; a torn row, and one of another schema, do not count.
#[test]
fn rows_give_tiers_and_places() {
    let row = json!({"schema": 1, "state": "declared", "group": "g", "function": "f", "value": null, "tier": 3,
        "source": {"file": "benches/t.rs", "line": 12}, "proof": null, "ran": {}, "work": {}, "ceiling": null,
        "rate_per_s": null, "allocations": null, "peak_rss_bytes": null});
    let torn = r#"{"schema": 1, "state": "declared", "group": "g", "function": "h", "tier": 2"#;
    let fake = Fake::new(&json!({"benches": [{"id": scripted("g|f")}, {"id": scripted("g|h")}],
        "rows": [row.to_string(), "no JSON", torn]}));
    let catalog = list(vec![target("t", &fake)], LONG, &fake);
    assert_eq!((catalog.benches[0].tier, catalog.benches[0].source.as_ref().unwrap().line), (3, 12));
    assert_eq!((catalog.benches[1].tier, catalog.benches[1].source.as_ref()), (1, None));
}
