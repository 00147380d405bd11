//! The entry for programs.

use serde_json::{Value, json as value};

use super::entry::{Against, Entry};
use super::row::Row;

/// `{schema, base, head, rows: [{package, target, id, verdict, effect, ci, n, margin, proof, metrics}], exit}` and what
/// else the entry holds; with several bases, `others` has base and rows of all but the first. Effects are ratios minus
/// one; a number that was not measured is null.
pub fn json(entry: &Entry) -> Value {
    let mut value = value!({
        "schema": entry.schema,
        "id": entry.id,
        "title": entry.title,
        "change": entry.change,
        "at": entry.at,
        "machine_class": entry.machine_class,
        "base": entry.base,
        "head": entry.head,
        "method": entry.method,
        "rows": entry.rows.iter().map(row).collect::<Vec<_>>(),
        "notes": entry.notes,
        "contaminated": entry.contaminated,
        "measured_s": entry.measured_s,
        "command": entry.command,
        "exit": entry.exit().code(),
    });
    // Comparisons with one base, which all but a few are, have no such key.
    if !entry.others.is_empty() {
        let against = |against: &Against| {
            let rows: Vec<_> = against.rows.iter().map(row).collect();
            value!({"base": against.base, "rows": rows})
        };
        value["others"] = entry.others.iter().map(against).collect();
    }
    value
}

fn row(row: &Row) -> Value {
    value!({
        "package": row.package,
        "target": row.target,
        "id": row.id,
        "tier": row.tier,
        "verdict": row.verdict,
        "why": row.why,
        "effect": row.effect,
        "ci": row.ci,
        "n": row.n,
        "margin": row.margin,
        "p": row.p,
        "advisory": row.advisory,
        "accepted": row.accepted,
        "proof": row.head.as_ref().or(row.base.as_ref()).and_then(|side| side.proof.as_ref()),
        "base": row.base,
        "after": row.head,
        "metrics": row.metrics,
        "source": row.source,
        "blocks": row.blocks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_keys_are_there() {
        let value = json(&super::super::entry::tests::example());
        for key in ["schema", "base", "head", "rows", "exit"] {
            assert!(value.get(key).is_some(), "{key}");
        }
        let first = &value["rows"][0];
        for key in ["package", "target", "id", "verdict", "effect", "ci", "n", "margin", "proof", "metrics"] {
            assert!(first.get(key).is_some(), "{key}");
        }
        assert_eq!(first["verdict"], "SLOWER");
        assert!(value["rows"][3]["effect"].is_null(), "not measured is null");
        assert_eq!(value["exit"], 5);
    }
}
