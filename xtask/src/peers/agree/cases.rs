//! The cases of `peers/OP.toml`, shown once by everybody.

use std::fs;
use std::path::Path;

use anyhow::Result;
use compare::comparison::Invocation;

use super::super::build::Contestant;
use super::super::matrix::Matrix;
use super::super::row::Outcome;
use super::super::session::PeerSession;
use super::super::stage::Stage;
use super::finding::{Difference, Finding, LeftOut, Topic};

/// A finding for each peer: how many results are ours.
pub(super) fn compared(
    context: &Invocation,
    matrix: &Matrix,
    (ours, peers): (&Contestant, &[Contestant]),
    scratch: &Path,
) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = peers.iter().map(absent).collect();
    let progress = context.console.bar("case by case", matrix.cases.len() as u64, "cases");
    for &threads in &matrix.threads {
        let mut own = PeerSession::new(ours);
        let mut sessions: Vec<PeerSession<'_>> = peers.iter().map(PeerSession::new).collect();
        // Once is enough: results do not depend on the number of threads, or it shows where only the larger number is allowed.
        for case in matrix.cases.iter().filter(|case| matrix.threads_of(case).first() == Some(&threads)) {
            context.interrupt.check()?;
            progress.say(&case.id);
            let directory = scratch.join("case");
            fs::create_dir_all(&directory)?;
            let stage = Stage { matrix, threads, scratch: &directory };
            stage.ours(&mut own, case)?;
            for (place, peer) in matrix.peers.iter().enumerate() {
                let finding = &mut findings[place];
                let Some(params) = peer.params(case) else { continue };
                // Our own program in another way is no witness.
                if peer.own.is_some() || finding.failure.is_some() {
                    continue;
                }
                let shown = stage.peer(&mut sessions[place], peer, case, &params)?;
                finding.version.clone_from(&sessions[place].version);
                finding.take(&case.id, shown.err());
                sessions[place].unload();
            }
            own.unload();
            fs::remove_dir_all(&directory)?;
            progress.step();
        }
    }
    progress.finish();
    findings.retain(|finding| finding.failure.is_some() || !finding.topics[0].is_empty());
    Ok(findings)
}

/// Nothing yet.
fn absent(contestant: &Contestant) -> Finding {
    let topic = Topic { what: "results of cases".to_owned(), agreed: 0, differed: Vec::new(), left_out: Vec::new() };
    let failure = contestant.unavailable.clone();
    Finding { with: contestant.name.clone(), version: String::new(), topics: vec![topic], failure }
}

impl Finding {
    /// One case: how it ended, if not with our result.
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
    fn every_end_of_a_case_is_counted_where_it_belongs() {
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
