//! Sets and rounds: everyone loads the case, everyone shows its result, then short bursts in random order.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use compare::comparison::Context;
use compare::console::Progress;
use compare::measure::Random;
use machine::ceiling::{FmaLoop, Level, ReadLoop};
use machine::isa::Isa;
use record::stats;
use serde_json::{Value, json};

use super::ROUNDS;
use super::agree;
use super::build::Contestant;
use super::matrix::{Case, Ceiling, Matrix};
use super::process::Process;
use super::row::{Ours, Outcome, Row, Standing};

/// All cases of one number of threads.
pub(super) struct Contest<'a> {
    matrix: &'a Matrix,
    threads: NonZeroUsize,
    scratch: &'a Path,
    ceilings: Vec<(Ceiling, Loop)>,
    random: Random,
    cases: Vec<(&'a Case, Ours, Vec<Standing>)>,
}

/// A ceiling's loop.
enum Loop {
    Fma(FmaLoop),
    Memory(ReadLoop),
}

impl Loop {
    fn new(ceiling: Ceiling, threads: usize) -> Result<Option<Self>> {
        Ok(match ceiling {
            Ceiling::None => None,
            Ceiling::Fma => Some(Self::Fma(FmaLoop::new(Isa::best(), threads)?)),
            Ceiling::Memory => Some(Self::Memory(ReadLoop::new(Level::Memory, threads)?)),
        })
    }

    fn per_s(&mut self, length: Duration) -> f64 {
        match self {
            Self::Fma(fma) => fma.burst(length).per_s(),
            Self::Memory(read) => read.burst(length).per_s(),
        }
    }
}

/// A contestant of one set: its program, and its process once it runs.
struct Seat<'a> {
    contestant: &'a Contestant,
    process: Option<Process>,
    version: String,
}

/// Who works next in a round.
#[derive(Clone, Copy)]
enum Turn {
    Ceiling,
    Seat(usize),
}

impl<'a> Contest<'a> {
    pub(super) fn new(matrix: &'a Matrix, threads: NonZeroUsize, scratch: &'a Path) -> Result<Self> {
        let cases = || matrix.cases.iter().filter(|case| matrix.threads_of(case).contains(&threads));
        let mut ceilings: Vec<(Ceiling, Loop)> = Vec::new();
        for ceiling in cases().map(|case| matrix.ceiling_of(case)) {
            if ceilings.iter().all(|(known, _)| *known != ceiling) {
                ceilings.extend(Loop::new(ceiling, threads.get())?.map(|looped| (ceiling, looped)));
            }
        }
        let random = Random::new(threads.get() as u64);
        Ok(Self {
            matrix,
            threads,
            scratch,
            ceilings,
            random,
            cases: cases().map(|case| (case, Ours::default(), Vec::new())).collect(),
        })
    }

    /// One set: fresh processes of all, through all cases.
    pub(super) fn set(
        &mut self,
        context: &Context,
        (ours, peers): (&Contestant, &[Contestant]),
        set: usize,
        progress: &Progress,
    ) -> Result<()> {
        let everyone = std::iter::once(ours).chain(peers);
        let mut seats: Vec<Seat<'_>> =
            everyone.map(|contestant| Seat { contestant, process: None, version: String::new() }).collect();
        for at in 0..self.cases.len() {
            let case = self.cases[at].0;
            progress.say(&format!("{} on {}, set {}", case.id, self.threads, set + 1));
            if self.cases[at].2.is_empty() {
                let takes_part = |place: usize| self.matrix.peers[place].params(case).is_some();
                let standing = |(place, peer): (usize, &Contestant)| Standing {
                    takes_part: takes_part(place),
                    ..Standing::new(&peer.name, peer.unavailable.clone())
                };
                self.cases[at].2 = peers.iter().enumerate().map(standing).collect();
            }
            let loaded = self.load(&mut seats, at)?;
            self.rounds(context, &mut seats, at, &loaded)?;
            progress.step();
        }
        Ok(())
    }

    /// Rows of all cases.
    pub(super) fn rows(self) -> Vec<Row> {
        let threads = self.threads.get();
        let rows = self.cases.into_iter().flat_map(move |(case, ours, standings)| {
            let standings = standings.into_iter().filter(|standing| standing.takes_part);
            standings.map(move |standing| Row::new(&case.id, threads, &ours, standing))
        });
        rows.collect()
    }

    /// Everyone loads the case and shows its result. Gives the seats that may be timed; ours is the first.
    fn load(&mut self, seats: &mut [Seat<'_>], at: usize) -> Result<Vec<usize>> {
        let (case, ours, standings) = &mut self.cases[at];
        let inputs = self.scratch.join(file_name(&case.id));
        let result = |name: &str| self.scratch.join(format!("result-{}", file_name(name)));
        let start = |seat: &mut Seat<'_>| start(seat, self.matrix, self.threads);
        start(&mut seats[0])??;
        write_inputs(&mut seats[0], &case.id, &case.params, &inputs)?;
        let request = |params: &toml::Table, inputs: &Path, output: PathBuf| json!({"do": "load", "case": case.id, "params": params, "inputs": inputs, "output": output});
        let about = accept(ask(&mut seats[0], &request(&case.params, &inputs, result("ours")))?);
        ours.set_about(&about.map_err(|(_, why)| anyhow!("{}: our side failed: {why}", case.id))?);
        let mut loaded = vec![0];
        for (place, standing) in standings.iter_mut().enumerate() {
            let seat = &mut seats[place + 1];
            let peer = &self.matrix.peers[place];
            let (None, Some(params)) = (&standing.outcome, peer.params(case)) else { continue };
            let shown = match start(seat)? {
                Err(why) => Err(Outcome::Unavailable { why: format!("{why:#}") }),
                // Other parameters may mean other inputs, which our program makes itself.
                Ok(()) if peer.own.is_some() => {
                    let inputs = self.scratch.join(file_name(&format!("{} {}", case.id, peer.name)));
                    write_inputs(seat, &case.id, &params, &inputs)?;
                    show(seat, &request(&params, &inputs, result("peer")), standing)
                }
                Ok(()) => show(seat, &request(&params, &inputs, result("peer")), standing),
            };
            standing.version.clone_from(&seat.version);
            let agreed =
                shown.and_then(|()| match agree::difference(&result("ours"), &result("peer"), case.tolerance) {
                    Ok(None) => Ok(()),
                    Ok(Some(how)) => Err(Outcome::Disagrees { how }),
                    Err(error) => Err(Outcome::Error { why: format!("{error:#}") }),
                });
            match agreed {
                Ok(()) => loaded.push(place + 1),
                Err(outcome) => {
                    // Whatever it has loaded is not asked for again.
                    if matches!(outcome, Outcome::Disagrees { .. }) {
                        unload(seat);
                    }
                    standing.outcome = Some(outcome);
                }
            }
        }
        let _ = fs::remove_file(result("peer"));
        Ok(loaded)
    }

    /// Bursts of those who loaded the case, after one that is not counted.
    fn rounds(&mut self, context: &Context, seats: &mut [Seat<'_>], at: usize, loaded: &[usize]) -> Result<()> {
        let length = Duration::from_secs_f64(self.matrix.burst_s);
        let mut turns: Vec<Turn> = loaded.iter().map(|&seat| Turn::Seat(seat)).collect();
        let ceiling = self.matrix.ceiling_of(self.cases[at].0);
        turns.extend(self.ceilings.iter().any(|(kind, _)| *kind == ceiling).then_some(Turn::Ceiling));
        let mut logs = vec![Vec::new(); seats.len()];
        for round in 0..=ROUNDS {
            context.interrupt.check()?;
            self.random.shuffle(&mut turns);
            let (mut times, mut limit) = (vec![None; seats.len()], None);
            for turn in &turns {
                match *turn {
                    Turn::Ceiling => {
                        let looped = self.ceilings.iter_mut().find(|(kind, _)| *kind == ceiling);
                        limit = looped.map(|(_, looped)| looped.per_s(length));
                    }
                    Turn::Seat(place) => times[place] = burst(&mut seats[place], self.matrix.burst_s)?,
                }
            }
            if round == 0 {
                continue;
            }
            let (_, ours, standings) = &mut self.cases[at];
            let own = times[0].context("our side ended while it was timed")?;
            ours.round(own, ceiling, limit);
            for (place, standing) in standings.iter_mut().enumerate() {
                if let Some(time) = times[place + 1] {
                    standing.times_s.push(time);
                    logs[place + 1].push((time / own).ln());
                }
            }
        }
        for &place in loaded {
            unload(&mut seats[place]);
            if place > 0 {
                self.cases[at].2[place - 1].sets.extend(stats::median(&logs[place]));
            }
        }
        Ok(())
    }
}

/// Has a contestant of ours write the inputs of a case, unless they are there.
fn write_inputs(seat: &mut Seat<'_>, case: &str, params: &toml::Table, inputs: &Path) -> Result<()> {
    if inputs.exists() {
        return Ok(());
    }
    fs::create_dir_all(inputs).with_context(|| format!("failed to make {}", inputs.display()))?;
    let request = json!({"do": "inputs", "case": case, "params": params, "dir": inputs});
    accept(ask(seat, &request)?).map_err(|(_, why)| anyhow!("{case}: our side wrote no inputs: {why}")).map(drop)
}

/// Starts a seat's process unless it runs. The outer error is ours, the inner one the contestant's.
fn start(seat: &mut Seat<'_>, matrix: &Matrix, threads: NonZeroUsize) -> Result<Result<()>> {
    if seat.process.is_some() {
        return Ok(Ok(()));
    }
    // One thread stays on one processor, the same for all: a wandering thread takes cold caches along.
    let processor = if threads.get() == 1 { machine::threads::allowed_cpus().last().copied() } else { None };
    let limit = Duration::from_secs_f64(matrix.limit_s);
    let mut process = match Process::start(seat.contestant.command(threads.get()), limit, processor) {
        Ok(process) => process,
        Err(error) => return Ok(Err(error)),
    };
    let described = process.ask(&json!({"do": "describe"})).and_then(|about| {
        ensure!(about["unavailable"].is_null(), "{}", text(&about, "unavailable"));
        Ok(format!("{} ({})", text(&about, "version"), text(&about, "settings")))
    });
    Ok(described.map(|version| {
        seat.version = version;
        seat.process = Some(process);
    }))
}

/// Asks; a process that is lost leaves its seat.
fn ask(seat: &mut Seat<'_>, request: &Value) -> Result<Value> {
    let process = seat.process.as_mut().context("it does not run")?;
    let answer = process.ask(request);
    if answer.is_err() {
        seat.process = None;
    }
    answer
}

/// The `ok` of an answer, or what was refused and why.
fn accept(answer: Value) -> Result<Value, (&'static str, String)> {
    for refusal in ["unsupported", "error"] {
        if !answer[refusal].is_null() {
            return Err((refusal, text(&answer, refusal)));
        }
    }
    Ok(answer["ok"].clone())
}

fn show(seat: &mut Seat<'_>, request: &Value, standing: &mut Standing) -> Result<(), Outcome> {
    let answer = ask(seat, request).map_err(|error| Outcome::Error { why: format!("{error:#}") })?;
    let about = accept(answer).map_err(|(what, why)| match what {
        "unsupported" => Outcome::Unsupported { why },
        _ => Outcome::Error { why },
    })?;
    standing.ran = text(&about, "ran");
    standing.prepare_s = about["prepare_s"].as_f64();
    Ok(())
}

/// Seconds per iteration; `None` if the contestant is lost.
fn burst(seat: &mut Seat<'_>, seconds: f64) -> Result<Option<f64>> {
    let Ok(answer) = ask(seat, &json!({"do": "time", "seconds": seconds})) else {
        return Ok(None);
    };
    let (iterations, elapsed) = (answer["ok"]["iterations"].as_f64(), answer["ok"]["elapsed_s"].as_f64());
    let time = elapsed.zip(iterations).map(|(elapsed, iterations)| elapsed / iterations);
    ensure!(time.is_none_or(|time| time > 0.0), "{} took no time for a burst: {answer}", seat.contestant.name);
    Ok(time)
}

fn unload(seat: &mut Seat<'_>) {
    // One that does not answer has left its seat, and is started again for the next case.
    let _ = ask(seat, &json!({"do": "unload"}));
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn file_name(id: &str) -> String {
    id.replace(|sign: char| !sign.is_ascii_alphanumeric() && sign != '-', "_")
}
