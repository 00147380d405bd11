//! What a comparison with one peer or checker found.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// The result of comparing with one peer or checker.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) with: String,
    /// Versions as it reports them; empty if it never ran.
    pub(crate) version: String,
    pub(crate) topics: Vec<Topic>,
    /// Why it is not available, or did not finish.
    pub(crate) failure: Option<String>,
}

/// Comparisons of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topic {
    /// What is compared, in words.
    pub(crate) what: String,
    /// How many comparisons agreed.
    pub(crate) agreed: u64,
    /// Those that did not.
    pub(crate) differed: Vec<Difference>,
    /// Those that could not be made.
    #[serde(default)]
    pub(crate) left_out: Vec<LeftOut>,
}

/// One comparison that did not agree.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Difference {
    /// What was compared.
    pub(crate) name: String,
    /// What each side has.
    pub(crate) how: String,
}

/// Comparisons that could not be made.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeftOut {
    pub(crate) why: String,
    /// How many.
    pub(crate) n: u64,
}

/// The last line of a checker's output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    /// Of everybody who is compared with us.
    pub(crate) versions: String,
    pub(crate) topics: Vec<Topic>,
}

impl Counts {
    /// Parses it. A topic in which nothing was compared is an error: it would agree whatever our code does.
    pub(crate) fn of_output(output: &str) -> Result<Self> {
        let line = output.lines().rev().find(|line| !line.trim().is_empty()).context("it printed nothing")?;
        let counts: Self =
            serde_json::from_str(line).with_context(|| format!("its last line has no counts: {line}"))?;
        ensure!(!counts.topics.is_empty(), "its last line has no topic");
        for topic in &counts.topics {
            ensure!(topic.agreed > 0 || !topic.differed.is_empty(), "{}: nothing was compared", topic.what);
        }
        Ok(counts)
    }
}

impl Difference {
    /// The line that patterns of known differences match.
    pub(crate) fn line(&self) -> String {
        format!("{}: {}", self.name, self.how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"versions": "x 1.0", "topics": [{"what": "voxels", "agreed": 5, "differed": [{"name": "a", "how": "b"}],
        "left_out": [{"why": "no such type", "n": 2}]}]}"#;

    #[test]
    fn the_last_line_has_the_counts() {
        let counts = Counts::of_output(&format!("file by file\n{}\n\n", LINE.replace('\n', ""))).unwrap();
        let topic = &counts.topics[0];
        assert_eq!((counts.versions.as_str(), topic.agreed, topic.left_out[0].n), ("x 1.0", 5, 2));
        assert_eq!(topic.differed[0].line(), "a: b");
    }

    #[test]
    fn output_without_counts_is_refused() {
        let line = LINE.replace('\n', "");
        let nothing = r#"{"versions": "", "topics": [{"what": "voxels", "agreed": 0, "differed": []}]}"#;
        for (output, word) in [
            ("", "printed nothing"),
            ("5 agree", "no counts"),
            (r#"{"versions": "", "topics": []}"#, "no topic"),
            (nothing, "nothing was compared"),
            (&line.replace("agreed", "agree"), "no counts"),
        ] {
            let error = format!("{:#}", Counts::of_output(output).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }
}
