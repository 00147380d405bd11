//! The counts for people.

use record::{Align, Table};

use super::finding::{Difference, Finding, Topic};
use super::judge::Judged;

/// How many differences without a reason are written down for each program; there may be thousands.
const SHOWN: usize = 100;

/// All that is known at the end.
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
            "# {title}: agreement with independent programs\n\nMade by `cargo xtask agree {op}`: {made}. The counts belong to no \
             machine.\n\n\
             Each count is of comparisons of one kind. A difference is *listed* if `peers/{op}.toml` gives a reason for it, and \
             *open* if not. *Left out* is what the other program cannot do or cannot tell.\n\n{}",
            self.counts()
        );
        text += &format!("\n## Versions\n\n{}", self.versions());
        for (heading, part) in [
            ("Differences that are listed", self.listed()),
            ("Left out", self.left_out()),
            ("Open differences", self.open()),
        ] {
            if !part.is_empty() {
                text += &format!("\n## {heading}\n\n{part}");
            }
        }
        text
    }

    /// A line for everybody: all topics together. What README shows.
    pub(crate) fn totals(&self) -> String {
        let mut table = table([]);
        for finding in self.findings {
            let of_all = finding.topics.iter().map(|topic| self.numbers(topic));
            let sums = of_all.fold([0; 4], |sums, numbers| [0, 1, 2, 3].map(|at| sums[at] + numbers[at]));
            table.row([finding.with.clone()].into_iter().chain(sums.map(|n| n.to_string())));
        }
        table.to_string()
    }

    /// A line for everybody and everything that was compared.
    fn counts(&self) -> String {
        let mut table = table([("compared", Align::Left)]);
        for finding in self.findings {
            if finding.failure.is_some() {
                table.row([finding.with.as_str(), "not here", "-", "-", "-", "-"]);
                continue;
            }
            for topic in &finding.topics {
                let words = [finding.with.clone(), topic.what.clone()];
                table.row(words.into_iter().chain(self.numbers(topic).map(|n| n.to_string())));
            }
        }
        table.to_string()
    }

    /// How many agree, are listed, are open, are left out.
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
                None => " It was not met this time.\n".to_owned(),
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
    fn what_agrees_is_counted_and_what_differs_is_named() {
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
        assert!(report.totals().contains("| one  |     7 |      1 |    1 |        3 |"), "{}", report.totals());
        for part in [
            "- one, 1: it is one-eyed. For example `big: refused`.\n",
            "- one, 0: it is one-eyed. It was not met this time.\n",
            "- one, files, 3: no such type\n",
            "## Open differences\n\n- one, odd: refused\n",
            "| two  | no cmake |",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
