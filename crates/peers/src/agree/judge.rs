//! Matches differences with the known ones.

use anyhow::Result;

use super::declared::Known;
use super::finding::{Difference, Finding};
use crate::suite::pattern;

/// All differences, explained or not.
#[derive(Debug)]
pub(crate) struct Judged<'a> {
    /// For each known difference, those that it explains.
    pub(crate) explained: Vec<(&'a Known, Vec<&'a Difference>)>,
    /// Those without a reason, with their finding.
    pub(crate) unexplained: Vec<(&'a Finding, &'a Difference)>,
}

/// Finds the reason of every difference: the first known one that matches.
pub(crate) fn judge<'a>(findings: &'a [Finding], known: &'a [Known]) -> Result<Judged<'a>> {
    let patterns: Vec<_> = known.iter().map(|known| pattern(&known.differs)).collect::<Result<_>>()?;
    let mut explained: Vec<_> = known.iter().map(|known| (known, Vec::new())).collect();
    let mut unexplained = Vec::new();
    for finding in findings {
        for difference in finding.topics.iter().flat_map(|topic| &topic.differed) {
            let line = difference.line();
            let is_this = |at: &usize| known[*at].with == finding.with && patterns[*at].is_match(&line);
            match (0..known.len()).find(is_this) {
                Some(at) => explained[at].1.push(difference),
                None => unexplained.push((finding, difference)),
            }
        }
    }
    Ok(Judged { explained, unexplained })
}

impl Judged<'_> {
    /// Whether every difference has a reason and every peer and checker ran.
    pub(crate) fn is_fine(&self, findings: &[Finding]) -> bool {
        self.unexplained.is_empty() && findings.iter().all(|finding| finding.failure.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agree::finding::Topic;

    fn finding(with: &str, names: &[&str]) -> Finding {
        let differed =
            names.iter().map(|name| Difference { name: (*name).to_owned(), how: "5 instead of 6".to_owned() });
        let topic = Topic { what: "values".to_owned(), agreed: 3, differed: differed.collect(), left_out: Vec::new() };
        Finding { with: with.to_owned(), version: String::new(), topics: vec![topic], failure: None }
    }

    fn known(with: &str, differs: &str) -> Known {
        Known { with: with.to_owned(), differs: differs.to_owned(), reason: "it rounds".to_owned() }
    }

    #[test]
    fn a_listed_difference_is_explained_and_others_are_not() {
        let findings = [finding("one", &["a-1", "b"]), finding("two", &["a-1"])];
        let known = [known("one", "^a-.*instead"), known("one", "^a"), known("two", "nothing like it")];
        let judged = judge(&findings, &known).unwrap();
        assert_eq!(judged.explained.iter().map(|(_, differences)| differences.len()).collect::<Vec<_>>(), [1, 0, 0]);
        let left: Vec<_> = judged.unexplained.iter().map(|(of, what)| (of.with.as_str(), what.name.as_str())).collect();
        assert_eq!(left, [("one", "b"), ("two", "a-1")], "a reason counts for whom it is listed");
        assert!(!judged.is_fine(&findings));
    }

    #[test]
    fn a_missing_peer_is_no_agreement() {
        let mut findings = [finding("one", &["a"]), finding("two", &[])];
        let known = [known("one", ".")];
        assert!(judge(&findings, &known).unwrap().is_fine(&findings));
        findings[1].failure = Some("not installed".to_owned());
        assert!(!judge(&findings, &known).unwrap().is_fine(&findings));
    }
}
