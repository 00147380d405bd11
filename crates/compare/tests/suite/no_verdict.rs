//! Runs that must not decide: a gate whose control finds a difference, one on a disturbed machine, and a benchmark that
//! varies too much.

use serde_json::{Value, json};

use crate::fake::scripted;
use crate::workspace::branched;

fn bench(fields: &Value) -> Value {
    let mut bench = json!({"id": scripted("g|f"), "times": vec![1e6; 10]});
    bench.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"benches": [bench]})
}

/// Layouts of controls have numbers from 4000 on: the benchmark is slower in those alone, so a control is not the same
/// as itself.
#[test]
fn a_gate_whose_null_control_fires_gives_no_verdict() {
    let mut script = bench(&json!({"slow_from_layout": 4000}));
    let wrong = json!({"schema": 1, "state": "failed", "group": "g", "function": "wrong", "value": null, "tier": 1,
        "source": null, "ran": {}, "work": {}, "ceiling": null, "rate_per_s": null, "allocations": null,
        "peak_rss_bytes": null,
        "proof": {"method": "norm", "error": 1.0, "tolerance": 0.1, "worst_index": 3, "checked": 1, "input_hash": "0",
            "output_hash": null, "failure": "element 3 is 1.5"}});
    script["benches"].as_array_mut().unwrap().push(json!({"id": scripted("g|wrong"), "times": vec![1e6; 10]}));
    script["rows"] = json!([wrong.to_string()]);
    let workspace = branched(&script);
    let right = ["gate", "--base", "main", "--filter", "^g/f$"];
    let ran = workspace.assay(&right).expect(4, &["NO VERDICT", "control"]);
    assert!(ran.stdout.contains("g/f"), "{}", ran.stdout);
    // A wrong output is wrong however the controls turn out.
    let json = workspace.assay(&["gate", "--base", "main", "--format", "json"]).expect(5, &[]).json();
    assert_eq!((&json["exit"], json["contaminated"].as_str().is_some()), (&json!(5), true), "{json}");
}

/// Of two series of twelve blocks, those after the first few are preempted: far more than a quarter of all.
#[test]
fn a_gate_on_a_disturbed_machine_gives_no_verdict() {
    let workspace = branched(&bench(&json!({"preempted_from": 30})));
    let ran = workspace.assay(&["gate", "--base", "main", "--one-link"]);
    ran.expect(4, &["NO VERDICT", "ran on a disturbed machine"]);
}
