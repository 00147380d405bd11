//! What `bisect` found, for people and for programs.

use std::fmt;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use crate::exit::Exit;
use crate::report::{Row, plain};

/// A commit with its short id and subject.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Named {
    pub(super) commit: String,
    pub(super) label: String,
}

/// A commit that was judged, and why it was judged so.
#[derive(Debug, Serialize)]
pub(super) struct Taken {
    #[serde(flatten)]
    pub(super) commit: Named,
    pub(super) step: &'static str,
    pub(super) why: String,
}

/// What the search cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Tally {
    /// Commits that were checked out and built. A commit that a slot still held is not built again.
    pub(super) builds: usize,
    /// Processes behind the verdicts; pilots, which say what a process costs, are not among them.
    pub(super) processes: usize,
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether fresh blocks found the same change between `before` and the last suspect.
    pub(super) is_confirmed: bool,
    /// Why the confirmation must not decide, if the machine was too disturbed.
    pub(super) disturbed: Option<String>,
    /// Remarks of all comparisons.
    pub(super) notes: Vec<String>,
    /// The last commit that is as before.
    pub(super) before: Named,
    /// The commits of which one brought the change, oldest first; more than one if some could not be judged.
    pub(super) suspects: Vec<Named>,
    /// The benchmark between `before` and the last suspect, on fresh blocks.
    pub(super) row: Row,
    /// In the order in which they were taken.
    pub(super) steps: Vec<Taken>,
    pub(super) tally: Tally,
}

/// The effect and its interval.
pub(super) fn said(row: &Row) -> String {
    format!("{} {} (95 % interval {})", row.verdict, row.shown_effect(), row.shown_interval())
}

impl Answer {
    pub(super) fn exit(&self) -> Exit {
        let is_decided = self.is_confirmed && self.disturbed.is_none();
        if is_decided && self.suspects.len() == 1 { Exit::Fine } else { Exit::NoVerdict }
    }

    /// `{schema, confirmed, before, suspects, id, verdict, effect, ci, n, steps, notes, builds, processes, exit}`;
    /// effects are ratios minus one.
    pub(super) fn json(&self) -> Result<String> {
        let value = json!({
            "schema": 1,
            "confirmed": self.is_confirmed && self.disturbed.is_none(),
            "before": self.before,
            "suspects": self.suspects,
            "id": self.row.id,
            "verdict": self.row.verdict,
            "effect": self.row.effect,
            "ci": self.row.ci,
            "n": self.row.n,
            "steps": self.steps,
            "notes": self.notes,
            "builds": self.tally.builds,
            "processes": self.tally.processes,
            "exit": self.exit().code(),
        });
        Ok(serde_json::to_string_pretty(&value)?)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (row, Tally { builds, processes }) = (&self.row, self.tally);
        let labels: Vec<&str> = self.suspects.iter().map(|suspect| suspect.label.as_str()).collect();
        let last = labels.last().copied().unwrap_or_default();
        if let Some(why) = &self.disturbed {
            writeln!(f, "not confirmed: {why}; run it again")?;
        }
        if !self.is_confirmed {
            writeln!(
                f,
                "not confirmed: between {} and {last} it is {}; the change may have come in several steps",
                self.before.label,
                said(row)
            )?;
        } else {
            let head = match (labels.len(), &self.disturbed) {
                (1, None) => "the commit is",
                (1, Some(_)) => "the search led to",
                (_, None) => "one of these commits, which could not be distinguished",
                (_, Some(_)) => "the search led to one of these commits, which could not be distinguished",
            };
            writeln!(f, "\n{head}:\n  {}", labels.join("\n  "))?;
            writeln!(f, "{}: {}, on {} fresh blocks", row.shown_id(), said(row), row.n)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {}", plain(note)))?;
        write!(f, "{builds} builds, {processes} measured processes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Key, RawId};
    use crate::judge::Verdict;

    fn answer(is_confirmed: bool, suspects: &[&str]) -> Answer {
        let raw = RawId { group: "g".into(), function: None, value: None };
        let key = Key { package: "p".into(), target: "t".into(), raw, occurrence: 0 };
        let named = |label: &str| Named { commit: label.repeat(20), label: label.to_owned() };
        Answer {
            is_confirmed,
            disturbed: None,
            notes: vec!["each side was linked once".into()],
            before: named("a1 before"),
            suspects: suspects.iter().map(|label| named(label)).collect(),
            row: Row { effect: Some(0.12), ci: Some([0.1, 0.14]), n: 24, ..Row::new(&key, 1, Verdict::Slower, "") },
            steps: vec![Taken { commit: named("c3 step"), step: "changed", why: "SLOWER".into() }],
            tally: Tally { builds: 9, processes: 480 },
        }
    }

    #[test]
    fn one_confirmed_commit_is_named_with_its_interval_and_its_cost() {
        let answer = answer(true, &["b2 culprit"]);
        let text = answer.to_string();
        for said in [
            "the commit is:\n  b2 culprit",
            "SLOWER +12.0 % (95 % interval +10.0 % .. +14.0 %), on 24 fresh",
            "note: each side was linked once\n9 builds, 480",
        ] {
            assert!(text.contains(said), "{text}");
        }
        let value: serde_json::Value = serde_json::from_str(&answer.json().unwrap()).unwrap();
        assert_eq!(
            (&value["exit"], &value["suspects"][0]["label"], &value["ci"][1]),
            (&json!(0), &json!("b2 culprit"), &json!(0.14))
        );
        assert_eq!(value["notes"], json!(["each side was linked once"]));
        assert_eq!((&value["steps"][0]["step"], &value["steps"][0]["label"]), (&json!("changed"), &json!("c3 step")));
    }

    #[test]
    fn a_confirmation_on_a_disturbed_machine_is_no_verdict() {
        let disturbed = Some("40 of 48 blocks ran on a disturbed machine".to_owned());
        let answer = Answer { disturbed, ..answer(true, &["b2 culprit"]) };
        assert_eq!(answer.exit(), Exit::NoVerdict);
        let text = answer.to_string();
        assert!(text.contains("not confirmed: 40 of 48 blocks") && !text.contains("the commit is"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&answer.json().unwrap()).unwrap();
        assert_eq!((&value["exit"], &value["confirmed"]), (&json!(4), &json!(false)));
    }

    #[test]
    fn several_suspects_and_an_unconfirmed_change_are_no_verdict() {
        let several = answer(true, &["b2 x", "b3 y"]);
        assert!(
            several.to_string().contains("one of these commits, which could not be distinguished:\n  b2 x\n  b3 y")
        );
        let unconfirmed = answer(false, &["b2 culprit"]);
        assert!(unconfirmed.to_string().contains("between a1 before and b2 culprit it is SLOWER"));
        assert_eq!([several.exit(), unconfirmed.exit()], [Exit::NoVerdict; 2]);
    }
}
