//! Renders the counts as Markdown.

use record::{Align, Table};

use super::finding::{Difference, Finding, Topic};
use super::judge::Judged;

/// Open differences that are printed for each peer; there may be thousands.
const SHOWN: usize = 100;

/// All findings of a run.
pub(crate) struct Report<'a> {
    pub(crate) title: &'a str,
    pub(crate) op: &'a str,
    pub(crate) findings: &'a [Finding],
    pub(crate) judged: &'a Judged<'a>,
    /// Revision and day.
    pub(crate) made: String,
}

impl Report<'_> {
    pub(crate) fn markdown(&self) -> String {
        let Self { title, op, made, .. } = self;
        let mut text = format!(
            "# {title}: agreement with independent programs\n\nMade by `cargo xtask agree {op}`: {made}. The counts do not depend \
             on the machine.\n\n\
             Each line counts comparisons of one kind. A difference is *listed* if `peers/{op}.toml` gives its reason, else *open*. \
             *Left out* is what the other program does not support.\n\n{}",
            self.counts()
        );
        text += &format!("\n## Versions\n\n{}", self.versions());
        for (heading, part) in
            [("Listed differences", self.listed()), ("Left out", self.left_out()), ("Open differences", self.open())]
        {
            if !part.is_empty() {
                text += &format!("\n## {heading}\n\n{part}");
            }
        }
        text
    }

    /// A line for each peer and kind of comparison.
    fn counts(&self) -> String {
        let mut table = table([("compared", Align::Left)]);
        for finding in self.findings {
            if finding.failure.is_some() {
                table.row([finding.with.as_str(), "not available", "-", "-", "-", "-"]);
                continue;
            }
            for topic in &finding.topics {
                let names = [finding.with.clone(), topic.what.clone()];
                table.row(names.into_iter().chain(self.numbers(topic).map(|n| n.to_string())));
            }
        }
        table.to_string()
    }

    /// Numbers of comparisons that agree, are listed, are open, are left out.
    fn numbers(&self, topic: &Topic) -> [u64; 4] {
        let is_open =
            |difference: &&Difference| self.judged.unexplained.iter().any(|(_, open)| std::ptr::eq(*open, *difference));
        let open = topic.differed.iter().filter(is_open).count() as u64;
        let left_out = topic.left_out.iter().map(|left_out| left_out.n).sum();
        [topic.agreed, topic.differed.len() as u64 - open, open, left_out]
    }

    fn versions(&self) -> String {
        let mut table = Table::new([("with", Align::Left), ("version", Align::Left)]);
        for finding in self.findings {
            let version = finding.failure.as_ref().unwrap_or(&finding.version);
            table.row([&finding.with, version]);
        }
        table.to_string()
    }

    fn listed(&self) -> String {
        let mut text = String::new();
        for (known, differences) in &self.judged.explained {
            let n = differences.len();
            text += &format!("- {}, {n}: {}", known.with, known.reason);
            text += &match differences.first() {
                Some(first) => format!(" For example `{}`.\n", first.line().replace('`', "'")),
                None => " It did not occur in this run.\n".to_owned(),
            };
        }
        text
    }

    fn left_out(&self) -> String {
        let mut text = String::new();
        for finding in self.findings {
            for topic in &finding.topics {
                for left_out in &topic.left_out {
                    text += &format!("- {}, {}, {}: {}\n", finding.with, topic.what, left_out.n, left_out.why);
                }
            }
        }
        text
    }

    fn open(&self) -> String {
        let mut text = String::new();
        for finding in self.findings {
            let is_its = |(of, _): &&(&Finding, _)| of.with == finding.with;
            let open: Vec<_> = self.judged.unexplained.iter().filter(is_its).collect();
            for (_, difference) in open.iter().take(SHOWN) {
                text += &format!("- {}, {}\n", finding.with, difference.line());
            }
            if open.len() > SHOWN {
                text += &format!("- {}, and {} more\n", finding.with, open.len() - SHOWN);
            }
        }
        text
    }
}

fn table<const N: usize>(columns: [(&str, Align); N]) -> Table {
    let numbers = ["agree", "listed", "open", "left out"].map(|name| (name, Align::Right));
    Table::new([("with", Align::Left)].into_iter().chain(columns).chain(numbers))
}

#[cfg(test)]
mod tests {
    use super::super::declared::Known;
    use super::super::finding::LeftOut;
    use super::super::judge::judge;
    use super::*;

    #[test]
    fn agreement_is_counted_and_differences_are_named() {
        let difference = |name: &str| Difference { name: name.to_owned(), how: "refused".to_owned() };
        let topic = Topic {
            what: "files".to_owned(),
            agreed: 7,
            differed: vec![difference("big"), difference("odd")],
            left_out: vec![LeftOut { why: "no such type".to_owned(), n: 3 }],
        };
        let findings = [
            Finding { with: "one".to_owned(), version: "1.0".to_owned(), topics: vec![topic], failure: None },
            Finding {
                with: "two".to_owned(),
                version: String::new(),
                topics: Vec::new(),
                failure: Some("no cmake".to_owned()),
            },
        ];
        let known = ["^big", "^huge"].map(|differs| Known {
            with: "one".to_owned(),
            differs: differs.to_owned(),
            reason: "it is one-eyed.".to_owned(),
        });
        let judged = judge(&findings, &known).unwrap();
        let report = Report { title: "Sums", op: "sum", findings: &findings, judged: &judged, made: "now".to_owned() };
        let text = report.markdown();
        let counts: Vec<&str> = text.lines().filter(|line| line.starts_with("| one ")).collect();
        let cells: Vec<&str> = counts[0].split('|').map(str::trim).collect();
        assert_eq!(cells[1..7], ["one", "files", "7", "1", "1", "3"]);
        for part in [
            "- one, 1: it is one-eyed. For example `big: refused`.\n",
            "- one, 0: it is one-eyed. It did not occur in this run.\n",
            "- one, files, 3: no such type\n",
            "## Open differences\n\n- one, odd: refused\n",
            "| two  | no cmake |",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
