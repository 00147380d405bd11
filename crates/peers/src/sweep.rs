//! Sweeps all cases with one number of threads, set by set: load, verify, then time bursts in random order.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use compare::comparison::Invocation;
use compare::console::Progress;
use compare::measure::Random;
use machine::ceiling::{Dot8Loop, FmaLoop, Level, ReadLoop, TileLoop, TileNumbers};
use machine::isa::Isa;
use record::stats;
use serde_json::json;

use crate::build::Program;
use crate::ceiling::Ceiling;
use crate::resume::Finished;
use crate::row::{OurSamples, PeerSamples, Row};
use crate::session::PeerSession;
use crate::suite::{Case, Suite};
use crate::verify::Verifier;
use crate::{ENOUGH, ROUNDS};

/// All cases with one number of threads.
pub(crate) struct Sweep<'a> {
    verifier: Verifier<'a>,
    ceilings: Vec<CeilingLoop>,
    random: Random,
    cases: Vec<(&'a Case, OurSamples, Vec<PeerSamples>)>,
}

/// The loop that measures a ceiling.
enum CeilingLoop {
    Fma(FmaLoop),
    Dot8(Dot8Loop),
    Tiles(TileLoop),
    Memory(ReadLoop),
    /// Over so many bytes.
    Reads(u64, ReadLoop),
}

impl CeilingLoop {
    /// `None` where there is nothing to measure. `bytes` are those that the case moves, if our side reports them.
    fn new(ceiling: Ceiling, bytes: Option<u64>, threads: usize) -> Result<Option<Self>> {
        Ok(match (ceiling, bytes) {
            (Ceiling::None, _) | (Ceiling::Reads, None) => None,
            (Ceiling::Fma, _) => Some(Self::Fma(FmaLoop::new(Isa::best(), threads)?)),
            (Ceiling::Dot8, _) => Some(Self::Dot8(Dot8Loop::new(Isa::best(), threads)?)),
            (Ceiling::Tiles, _) => Some(Self::Tiles(TileLoop::new(TileNumbers::Bf16, threads)?)),
            (Ceiling::Memory, _) => Some(Self::Memory(ReadLoop::new(Level::Memory, threads)?)),
            (Ceiling::Reads, Some(bytes)) => {
                Some(Self::Reads(bytes, ReadLoop::repeated(usize::try_from(bytes)?, threads)?))
            }
        })
    }

    /// Whether it measures this.
    fn is_of(&self, ceiling: Ceiling, bytes: Option<u64>) -> bool {
        match self {
            Self::Fma(_) => ceiling == Ceiling::Fma,
            Self::Dot8(_) => ceiling == Ceiling::Dot8,
            Self::Tiles(_) => ceiling == Ceiling::Tiles,
            Self::Memory(_) => ceiling == Ceiling::Memory,
            Self::Reads(of, _) => ceiling == Ceiling::Reads && bytes == Some(*of),
        }
    }

    fn per_s(&mut self, length: Duration) -> f64 {
        match self {
            Self::Fma(fma) => fma.burst(length).per_s(),
            Self::Dot8(dot) => dot.burst(length).per_s(),
            Self::Tiles(tiles) => tiles.burst(length).per_s(),
            Self::Memory(read) | Self::Reads(_, read) => read.burst(length).per_s(),
        }
    }
}

/// What a burst measures.
#[derive(Clone, Copy)]
enum Burst {
    Ceiling,
    Session(usize),
}

/// Sessions of all implementations, ours first; each starts its process when it is first needed.
pub(crate) fn sessions<'p>((ours, peers): (&'p Program, &'p [Program])) -> Vec<PeerSession<'p>> {
    std::iter::once(ours).chain(peers).map(PeerSession::new).collect()
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(suite: &'a Suite, threads: NonZeroUsize, scratch: &'a Path) -> Result<Self> {
        let cases = || suite.cases.iter().filter(|case| suite.threads_of(case).contains(&threads));
        let random = Random::new(threads.get() as u64);
        Ok(Self {
            verifier: Verifier { suite, threads, scratch },
            ceilings: Vec::new(),
            random,
            cases: cases().map(|case| (case, OurSamples::default(), Vec::new())).collect(),
        })
    }

    /// One set: fresh processes of all implementations, through all cases.
    pub(crate) fn set(
        &mut self,
        invocation: &Invocation,
        programs: (&Program, &[Program]),
        set: usize,
        progress: &Progress,
    ) -> Result<()> {
        let mut sessions = sessions(programs);
        for at in 0..self.cases.len() {
            progress.say(&format!("{} on {}, set {}", self.cases[at].0.id, self.verifier.threads, set + 1));
            self.visit(invocation, &mut sessions, at)?;
            progress.step();
        }
        Ok(())
    }

    /// What a run of the same state has finished, to go on behind it.
    pub(crate) fn resume(&mut self, mut finished: Finished) {
        // Not the orders of the sets before.
        self.random = Random::new((finished.sets as u64) << 32 | self.verifier.threads.get() as u64);
        for (case, ours, peers) in &mut self.cases {
            if let Some(samples) = finished.cases.remove(&case.id) {
                (*ours, *peers) = samples;
            }
        }
    }

    /// What is finished behind so many sets.
    pub(crate) fn finished(&self, sets: usize) -> Finished {
        let samples = |(case, ours, peers): &(&Case, OurSamples, Vec<PeerSamples>)| {
            (case.id.clone(), (ours.clone(), peers.clone()))
        };
        Finished { sets, cases: self.cases.iter().map(samples).collect() }
    }

    /// The place of a case.
    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        self.cases.iter().position(|(case, ..)| case.id == id)
    }

    /// Removes the inputs of a case.
    pub(crate) fn forget(&self, at: usize) {
        self.verifier.forget(&self.cases[at].0.id);
    }

    /// A case in the processes of one set.
    pub(crate) fn visit(&mut self, invocation: &Invocation, sessions: &mut [PeerSession<'_>], at: usize) -> Result<()> {
        let case = self.cases[at].0;
        if self.cases[at].2.is_empty() {
            let samples = |(place, session): (usize, &PeerSession<'_>)| PeerSamples {
                has_case: self.verifier.suite.peers[place].params(case).is_some(),
                ..PeerSamples::new(&session.program.name, session.program.unavailable.clone())
            };
            self.cases[at].2 = sessions[1..].iter().enumerate().map(samples).collect();
        }
        let loaded = self.load(sessions, at)?;
        self.rounds(invocation, sessions, at, &loaded)
    }

    /// Rows of all cases.
    pub(crate) fn rows(mut self) -> Vec<Row> {
        (0..self.cases.len()).flat_map(|at| self.take(at)).collect()
    }

    /// Rows of one case, whose samples are gone then.
    pub(crate) fn take(&mut self, at: usize) -> Vec<Row> {
        let threads = self.verifier.threads.get();
        let (case, ours, peers) = &mut self.cases[at];
        let (ours, peers) = (std::mem::take(ours), std::mem::take(peers));
        let peers = peers.into_iter().filter(|peer| peer.has_case);
        peers.map(|peer| Row::new(&case.id, threads, &ours, peer)).collect()
    }

    /// Loads the case in every session and verifies the results. Gives the sessions that may be timed; ours is the
    /// first.
    fn load(&mut self, sessions: &mut [PeerSession<'_>], at: usize) -> Result<Vec<usize>> {
        let (case, ours, peers) = &mut self.cases[at];
        let verifier = self.verifier;
        ours.set_about(&verifier.ours(&mut sessions[0], case)?);
        let mut loaded = vec![0];
        for (place, samples) in peers.iter_mut().enumerate() {
            let session = &mut sessions[place + 1];
            let peer = &verifier.suite.peers[place];
            let (None, Some(params)) = (&samples.outcome, peer.params(case)) else { continue };
            let verified = verifier.peer(session, peer, case, &params)?;
            samples.version.clone_from(&session.version);
            match verified {
                Ok(about) => {
                    samples.set_about(&about);
                    loaded.push(place + 1);
                }
                Err(outcome) => samples.outcome = Some(outcome),
            }
        }
        Ok(loaded)
    }

    /// Which of the loops measures this ceiling; it is built where there is none. One loop of reads is kept.
    fn ceiling(&mut self, ceiling: Ceiling, bytes: Option<u64>) -> Result<Option<usize>> {
        if let Some(known) = self.ceilings.iter().position(|measured| measured.is_of(ceiling, bytes)) {
            return Ok(Some(known));
        }
        let threads = self.verifier.threads.get();
        let Some(measured) = CeilingLoop::new(ceiling, bytes, threads)? else { return Ok(None) };
        if ceiling == Ceiling::Reads {
            self.ceilings.retain(|other| !matches!(other, CeilingLoop::Reads(..)));
        }
        self.ceilings.push(measured);
        Ok(Some(self.ceilings.len() - 1))
    }

    /// Rounds of bursts of the sessions that loaded the case, as [`counts`] says.
    fn rounds(
        &mut self,
        invocation: &Invocation,
        sessions: &mut [PeerSession<'_>],
        at: usize,
        loaded: &[usize],
    ) -> Result<()> {
        let length = Duration::from_secs_f64(self.verifier.suite.burst_s);
        let mut bursts: Vec<Burst> = loaded.iter().map(|&session| Burst::Session(session)).collect();
        let ceiling = self.verifier.suite.ceiling_of(self.cases[at].0);
        let measured = self.ceiling(ceiling, self.cases[at].1.bytes())?;
        bursts.extend(measured.map(|_| Burst::Ceiling));
        let mut logs = vec![Vec::new(); sessions.len()];
        // A round of long calls counts as the first one, and the buffers of a ceiling were last read long ago.
        if let Some(measured) = measured {
            self.ceilings[measured].per_s(length);
        }
        let begin = Instant::now();
        for round in 0..=ROUNDS {
            invocation.interrupt.check()?;
            self.random.shuffle(&mut bursts);
            let (mut times, mut ceiling_per_s) = (vec![None; sessions.len()], None);
            for burst in &bursts {
                match *burst {
                    Burst::Ceiling => {
                        ceiling_per_s = measured.map(|measured| self.ceilings[measured].per_s(length));
                    }
                    Burst::Session(place) => times[place] = time(&mut sessions[place], length)?,
                }
            }
            let elapsed = begin.elapsed();
            if !counts(round, elapsed) {
                continue;
            }
            let (_, ours, peers) = &mut self.cases[at];
            let our_time = times[0].context("our side ended while it was timed")?;
            ours.round(our_time, ceiling, ceiling_per_s);
            for (place, samples) in peers.iter_mut().enumerate() {
                if let Some(time) = times[place + 1] {
                    samples.times_s.push(time);
                    logs[place + 1].push((time / our_time).ln());
                }
            }
            if elapsed >= ENOUGH {
                break;
            }
        }
        for &place in loaded {
            sessions[place].unload();
            if place > 0 {
                self.cases[at].2[place - 1].sets.extend(stats::median(&logs[place]));
            }
        }
        Ok(())
    }
}

/// Whether a round counts, after so long. The first one warms up, but for calls so long that the run whose result was
/// compared has done that.
fn counts(round: usize, elapsed: Duration) -> bool {
    round > 0 || elapsed >= ENOUGH
}

/// Seconds per iteration over a burst; `None` if the process ended.
fn time(session: &mut PeerSession<'_>, length: Duration) -> Result<Option<f64>> {
    let Ok(answer) = session.ask(&json!({"do": "time", "seconds": length.as_secs_f64()})) else {
        return Ok(None);
    };
    let (iterations, elapsed) = (answer["ok"]["iterations"].as_f64(), answer["ok"]["elapsed_s"].as_f64());
    let time = elapsed.zip(iterations).map(|(elapsed, iterations)| elapsed / iterations);
    ensure!(time.is_none_or(|time| time > 0.0), "{} took no time for a burst: {answer}", session.program.name);
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_warms_up_unless_it_is_enough() {
        assert!(!counts(0, Duration::from_secs(1)));
        assert!(counts(0, ENOUGH));
        assert!(counts(1, Duration::from_secs(1)));
    }
}
