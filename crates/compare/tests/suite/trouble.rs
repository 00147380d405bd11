//! A failure on both sides, or one that the machine caused, neither counts as a result nor fails a change that did not
//! cause it.

use serde_json::{Value, json};

use crate::fake::{UNSTEADY, assert_no_process_is_left, scripted, wait_until};
use crate::tools::Tools;
use crate::workspace::{Ran, Started, Workspace, branched, turn, verdicts};

fn bench(name: &str, fields: Value) -> Value {
    let mut bench = json!({"id": scripted(&format!("g|{name}")), "times": vec![1e6; 10]});
    bench.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    bench
}

fn gate(workspace: &Workspace, more: &[&str]) -> Ran {
    workspace.assay(&[&["gate", "--base", "main", "--timeout", "4s", "--one-link"], more].concat())
}

const COMPARE: [&str; 8] = ["compare", "--title", "T", "--change", "c", "--base", "main", "--no-log"];

#[test]
fn a_run_that_can_measure_nothing_is_never_green() {
    // Every process of the last one hangs, so that its limit may be short.
    for (mishaps, limit, said) in [
        (json!([["start", "panic"]]), "4s", "panicked on purpose"),
        (json!([["start", {"exit": 0}]]), "4s", "ended without connecting"),
        (json!([["start", "hang"]]), "1s", "set-up before criterion starts did not end within 1 s"),
    ] {
        let workspace = branched(&json!({"benches": [bench("f", json!({}))], "mishaps": mishaps}));
        gate(&workspace, &["--timeout", limit])
            .expect(5, &["(tiny/t)", "on both sides", said, "nothing could be measured"]);
        gate(&workspace, &["--timeout", limit, "--dry-run"]).expect(5, &["nothing can be measured", said]);
        workspace.assay(&[&COMPARE[..], &["--timeout", limit]].concat()).expect(5, &["on both sides", said]);
        let plan = workspace.assay(&[&COMPARE[..], &["--timeout", limit, "--dry-run", "--json"]].concat());
        assert!(plan.expect(5, &[]).json()["problems"][0]["why"].as_str().unwrap().contains(said));
        // A filter that only the missing benchmarks could match does not avoid this.
        gate(&workspace, &["--timeout", limit, "--filter", "^nothing$"]).expect(5, &[said]);
    }
}

#[test]
fn trouble_on_both_sides_is_reported_fails_nothing_and_can_be_excluded() {
    let workspace = branched(&json!({"benches": [
        bench("fine", json!({})),
        bench("panics", json!({"mishap": "panic"})),
        bench("hangs", json!({"mishap": "hang"})),
    ]}));
    let entry = gate(&workspace, &["--format", "json"]).json();
    let expected = [("fine", "SAME"), ("hangs", "TIMEOUT"), ("panics", "INVALID")];
    assert_eq!(verdicts(&entry), expected.map(|(name, verdict)| (format!("g/{name}"), verdict.to_owned())).into());
    for row in entry["rows"].as_array().unwrap().iter().filter(|row| row["id"] != "g/fine") {
        assert!(row["why"].as_str().unwrap().starts_with("on both sides: "), "{row}");
    }
    assert!(entry["exit"] == 0 || entry["contaminated"].is_string(), "{entry}");

    let processes = workspace.measuring_processes();
    let decision = "{ reason = \"needs a server\", until = \"9999-01-01\" }";
    let excluded =
        format!("[excluded]\n\"g/hangs\" = {decision}\n\"g/panics\" = {decision}\n\"g/fine\" = {decision}\n");
    workspace.write("assay.toml", &excluded);
    gate(&workspace, &[]).expect(2, &["no benchmark to measure", "needs a server"]);
    assert_eq!(workspace.measuring_processes(), processes, "what is excluded does not run");
    workspace.write("assay.toml", &excluded.replace("9999", "2020"));
    let ran = workspace.assay(&[&COMPARE[..], &["--timeout", "4s", "--filter", "panics"]].concat());
    ran.expect(5, &["ran out on 2020-01-01", "on both sides: "]);
}

/// Bench targets of other kinds are not a mistake of the change, and the tool does not measure them.
#[test]
fn a_target_without_criterion_is_skipped_with_its_reason() {
    let workspace = Workspace::new(&json!({"benches": [bench("f", json!({}))]}));
    let mut manifest = workspace.read("Cargo.toml");
    for (name, harness, text) in [
        ("plain", false, "fn main() { println!(\"my own numbers\"); }\n"),
        ("strict", false, "fn main() { if std::env::args().count() > 1 { std::process::exit(2) } }\n"),
        ("libtest", true, "#[test]\nfn works() {}\n"),
        (
            "nightly",
            true,
            "#![feature(test)]\nextern crate test;\n#[bench]\nfn b(b: &mut test::Bencher) { b.iter(|| 1) }\n",
        ),
        ("gated", false, "fn main() {}\n"),
    ] {
        let features = if name == "gated" { "required-features = [\"extra\"]\n" } else { "" };
        manifest += &format!("\n[[bench]]\nname = \"{name}\"\nharness = {harness}\n{features}");
        workspace.write(&format!("benches/{name}.rs"), text);
    }
    workspace.write("Cargo.toml", &format!("{manifest}\n[features]\nextra = []\n"));
    workspace.commit("other benches");
    workspace.commit("work");
    let expected = [
        ("(tiny/gated)", "SKIPPED", "needs --features extra"),
        ("(tiny/libtest)", "SKIPPED", "libtest"),
        ("(tiny/nightly)", "SKIPPED", "nightly compiler"),
        ("(tiny/plain)", "SKIPPED", "my own numbers"),
        ("(tiny/strict)", "SKIPPED", "not criterion"),
        ("g/f", "SAME", "identical"),
    ];
    let entry = workspace.assay(&["gate", "--base", "HEAD~1", "--format", "json"]).expect(0, &[]).json();
    assert_eq!(verdicts(&entry), expected.map(|(id, verdict, _)| (id.to_owned(), verdict.to_owned())).into());
    for row in entry["rows"].as_array().unwrap() {
        let (_, _, why) = expected.iter().find(|(id, ..)| row["id"] == *id).unwrap();
        assert!(row["why"].as_str().unwrap().contains(why), "{row}");
    }
    let alone = workspace.assay(&["gate", "--base", "HEAD~1", "--bench", "plain"]);
    alone.expect(2, &["no benchmark to measure", "SKIPPED: (tiny/plain): not criterion"]);
}

/// A process that was preempted while it warmed up has batches of a few iterations, and is measured again. A benchmark
/// whose batches are all that short is INVALID before anything is timed.
#[test]
fn a_disturbed_process_is_measured_again_and_only_the_pilot_calls_a_benchmark_too_fast() {
    // Measuring processes 0 and 1 are the pilot; 4 to 7 are all attempts of one, whose block is measured again.
    let disturbed = json!({"disturbed": [0, 3, 4, 5, 6, 7, 9, 20]});
    let workspace = branched(&json!({"benches": [bench("f", disturbed)]}));
    let compare = [&COMPARE[..], &["--one-link", "--json"]].concat();
    let entry = workspace.assay(&compare).expect(0, &[]).json();
    assert_eq!((&entry["rows"][0]["verdict"], &entry["rows"][0]["n"]), (&json!("SAME"), &json!(12)), "{entry}");
    assert!(entry["method"]["discarded"].as_u64().unwrap() >= 1);
    let workspace = branched(&json!({"benches": [bench("fast", json!({"times": [150.0, 150.0]}))]}));
    workspace
        .assay(&compare)
        .expect(5, &["INVALID", "too fast to classify", "in each of 4 processes", "on both sides"]);
    assert_eq!(workspace.measuring_processes(), 8);
}

/// A benchmark's own settings do not extend the budget: benchmarks that do not fit are dropped with a reason.
#[test]
fn a_budget_is_a_bound() {
    let workspace = branched(&json!({"benches": [
        bench("short", json!({})), bench("long", json!({"measurement_s": 10, "takes_s": 0.6})),
    ]}));
    let entry =
        workspace.assay(&[&COMPARE[..], &["--one-link", "--json", "--budget", "20s"]].concat()).expect(0, &[]).json();
    assert_eq!(verdicts(&entry), [("g/short".to_owned(), "SAME".to_owned())].into());
    let notes = entry["notes"].to_string();
    assert!(notes.contains("dropped for the budget: g/long") && notes.contains("its group sets 10 s"), "{notes}");
    let alone = workspace.assay(&[&COMPARE[..], &["--one-link", "--budget", "20s", "--filter", "long"]].concat());
    alone.expect(2, &["no benchmark fits the budget of 20 s", "its group sets 10 s"]);
}

/// A fake valgrind that starts a process which keeps its output open, and then counts or hangs.
fn valgrind(tools: &Tools, then: &str) {
    tools.file(
        "valgrind",
        &format!(
            "[ \"$1\" = --version ] && {{ echo '{{\"asked\": true}}' >>\"$diary\"; exit 0; }}\nsleep 1000 &\n\
             echo \"{{\\\"grandchild\\\": $!}}\" >>\"$diary\"\n{then}"
        ),
    );
}

#[test]
fn counting_instructions_neither_waits_for_strays_nor_outlives_an_interrupt() {
    let workspace = branched(&json!({"benches": [bench("f", json!({})), bench("h", json!({}))]}));
    let arguments = ["compare", "--title", "T", "--change", "c", "--base", "main", "--one-link", "--instructions"];
    let tools = Tools::new(&workspace);
    let counts = "case \"$*\" in *~*) n=1000000;; *) n=1001000;; esac\necho \"==1== Collected : $n\" >&2";
    valgrind(&tools, counts);
    let ran = workspace.run(tools.first(workspace.command(&[&arguments[..], &["--json", "--no-log"]].concat())));
    let entry = ran.expect(0, &[]).json();
    let why = entry["rows"][0]["why"].as_str().unwrap();
    assert!(why.contains("instructions") && why.contains("(+0.0 %)"), "{why}");
    let diary = tools.diary();
    let (asked, strays): (Vec<Value>, Vec<Value>) = diary.into_iter().partition(|line| line["asked"] == true);
    assert_eq!(strays.len(), 16, "of each benchmark, two counts of two runs of each side");
    assert_eq!(asked.len(), 1, "whether there is a valgrind is asked once");
    assert_no_process_is_left(&strays);

    valgrind(&tools, "sleep 1000");
    for signal in ["-INT", "-TERM"] {
        tools.forget();
        {
            let _turn = turn();
            let started = Started::new(tools.first(workspace.command(&arguments)));
            wait_until("instructions are counted", || tools.diary().iter().any(|line| line["grandchild"].is_u64()));
            started.signal(signal);
            started.finish().expect(1, &["interrupted: nothing was logged"]);
        }
        assert_no_process_is_left(&tools.diary());
        assert!(!workspace.root().join("BENCHMARKS.md").exists());
    }
}

/// If the clock does not decide, the count of instructions stands beside the verdict, and does not change it.
#[test]
fn an_undecided_row_shows_its_instructions() {
    let workspace = branched(&json!({"benches": [bench("f", json!({}))]}));
    let unsteady = json!({"benches": [bench("f", json!({"factors": UNSTEADY}))]});
    workspace.write("src/lib.rs", &format!("{}pub const OTHER: u32 = 1;\n", workspace.library(&unsteady)));
    workspace.commit("unsteady");
    let tools = Tools::new(&workspace);
    // One iteration of the benchmark has 1 000 000 instructions on the base, and 1 % more on the head.
    tools.file(
        "valgrind",
        "[ \"$1\" = --version ] && exit 0\nn=5000000\ncase \"$*\" in *~*) ;; */a/*) n=6000000 ;; *) n=6010000 ;; esac\n\
         echo \"==1== Collected : $n\" >&2",
    );
    let compare = [&COMPARE[..], &["--one-link", "--seed", "1"]].concat();
    let ran = workspace.run(tools.first(workspace.command(&compare)));
    let ran = ran.expect(0, &["The benchmark is inconclusive"]);
    let said = [
        "1,000,000 instructions before, 1,010,000 instructions after (+1.0 %)",
        "1,010,000 instructions before, 1,000,000",
    ];
    assert!(said.iter().any(|said| ran.stdout.contains(said)), "{}", ran.stdout);
}
