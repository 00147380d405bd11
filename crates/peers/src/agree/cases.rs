//! Runs every case once with every implementation and compares the results.

use std::fs;
use std::path::Path;

use anyhow::Result;
use compare::comparison::Invocation;

use super::finding::{Difference, Finding, LeftOut, Topic};
use crate::build::Program;
use crate::row::Outcome;
use crate::session::PeerSession;
use crate::suite::Suite;
use crate::verify::Verifier;

/// A finding for each peer: how many results agree with ours.
pub(crate) fn compared(
    invocation: &Invocation,
    suite: &Suite,
    (ours, peers): (&Program, &[Program]),
    scratch: &Path,
) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = peers.iter().map(empty).collect();
    let progress = invocation.console.bar("case by case", suite.cases.len() as u64, "cases");
    let directory = scratch.join("cases");
    fs::create_dir_all(&directory)?;
    for &threads in &suite.threads {
        let mut own = PeerSession::new(ours);
        let mut sessions: Vec<PeerSession<'_>> = peers.iter().map(PeerSession::new).collect();
        // Each case runs once, with its smallest number of threads: results must not depend on it.
        for case in suite.cases.iter().filter(|case| suite.threads_of(case).first() == Some(&threads)) {
            invocation.interrupt.check()?;
            progress.say(&case.id);
            let verifier = Verifier { suite, threads, scratch: &directory };
            verifier.ours(&mut own, case)?;
            for (place, peer) in suite.peers.iter().enumerate() {
                let finding = &mut findings[place];
                let Some(params) = peer.params(case) else { continue };
                // Our own code is no independent evidence.
                if peer.is_ours() || finding.failure.is_some() {
                    continue;
                }
                let verified = verifier.peer(&mut sessions[place], peer, case, &params)?;
                finding.version.clone_from(&sessions[place].version);
                finding.take(&case.id, verified.err());
                sessions[place].unload();
            }
            own.unload();
            // What our side shares between cases stays.
            verifier.forget(&case.id);
            progress.step();
        }
    }
    progress.finish();
    fs::remove_dir_all(&directory)?;
    findings.retain(|finding| finding.failure.is_some() || !finding.topics[0].is_empty());
    Ok(findings)
}

/// A finding without comparisons.
fn empty(program: &Program) -> Finding {
    let topic = Topic { what: "results of cases".to_owned(), agreed: 0, differed: Vec::new(), left_out: Vec::new() };
    let failure = program.unavailable.clone();
    Finding { with: program.name.clone(), version: String::new(), topics: vec![topic], failure }
}

impl Finding {
    /// Counts one case; `outcome` is `None` if the results agree.
    fn take(&mut self, case: &str, outcome: Option<Outcome>) {
        let topic = &mut self.topics[0];
        let how = match outcome {
            None => {
                topic.agreed += 1;
                return;
            }
            Some(Outcome::Unavailable { why }) => {
                self.failure = Some(why);
                return;
            }
            Some(Outcome::Unsupported { why }) => {
                match topic.left_out.iter_mut().find(|known| known.why == why) {
                    Some(known) => known.n += 1,
                    None => topic.left_out.push(LeftOut { why, n: 1 }),
                }
                return;
            }
            Some(other) => other.why().replace('\n', " "),
        };
        topic.differed.push(Difference { name: case.to_owned(), how });
    }
}

impl Topic {
    fn is_empty(&self) -> bool {
        self.agreed == 0 && self.differed.is_empty() && self.left_out.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_of_a_case_is_counted() {
        let topic = Topic { what: String::new(), agreed: 0, differed: Vec::new(), left_out: Vec::new() };
        let mut finding = Finding { with: String::new(), version: String::new(), topics: vec![topic], failure: None };
        let unsupported = || Some(Outcome::Unsupported { why: "no such type".to_owned() });
        for (case, outcome) in [
            ("a", None),
            ("b", unsupported()),
            ("c", unsupported()),
            ("d", Some(Outcome::Disagrees { how: "line 5".to_owned() })),
            ("e", Some(Outcome::Error { why: "refused\nby it".to_owned() })),
        ] {
            finding.take(case, outcome);
        }
        let topic = &finding.topics[0];
        assert_eq!((topic.agreed, &topic.left_out[..]), (1, &[LeftOut { why: "no such type".to_owned(), n: 2 }][..]));
        let lines: Vec<_> = topic.differed.iter().map(Difference::line).collect();
        assert_eq!(lines, ["d: line 5", "e: refused by it"]);
        finding.take("f", Some(Outcome::Unavailable { why: "no libz".to_owned() }));
        assert_eq!(finding.failure.as_deref(), Some("no libz"));
    }
}
