//! `doctor`: what this machine is, how much of a number it can be trusted with, and what is missing.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use machine::Fingerprint;
use machine::ceiling::{Burst, FmaLoop, Level, ReadLoop};
use machine::isa::Isa;
use machine::noise::{self, Noise};
use record::{Align, Table, Unit, stats};
use serde::Serialize;
use serde_json::json;

use super::benches;
use crate::cli::Doctor;
use crate::command::{self, Interrupt};
use crate::comparison::{Invocation, Project};
use crate::exit::Exit;
use crate::report::SCHEMA;

/// Length of a burst of a ceiling.
const BURST: Duration = Duration::from_millis(5);
/// How long the machine is watched.
const WATCH: Duration = Duration::from_secs(2);
/// How often it looks meanwhile whether a signal came.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the command.
pub fn doctor(invocation: &Invocation, arguments: &Doctor) -> Result<Exit> {
    let console = &invocation.console;
    let fingerprint = Fingerprint::collect();
    let mut measured = None;
    if arguments.json {
        console.note("measuring ceilings …");
        measured = Some((ceilings(&invocation.interrupt)?, watch(&invocation.interrupt)?));
    } else {
        describe_machine(invocation, &fingerprint)?;
    }
    let project = Project::open(invocation, arguments.manifest_path.as_deref());
    let features = features(&project);
    // What an interrupted program could not tell is not missing.
    invocation.interrupt.check()?;
    let benches = project.as_ref().ok().map(|project| benches::benches(invocation, project)).transpose()?;
    if let Some((ceilings, noise)) = measured {
        let value = json!({
            "schema": SCHEMA,
            "machine_class": fingerprint.class(),
            "fingerprint": fingerprint,
            "instruction_sets": Isa::supported().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "ceilings": ceilings,
            "noise": {"steal_share": noise.steal_share, "pressure_share": noise.psi_share, "load": noise.load},
            "features": features,
            "benches": benches,
        });
        console.print(&serde_json::to_string_pretty(&value)?)?;
        return Ok(Exit::Fine);
    }
    console.print(&format!("Features\n\n{}", feature_table(&features)))?;
    benches.map_or(Ok(()), |benches| console.print(&benches.text()))?;
    Ok(Exit::Fine)
}

/// Says what the machine is: class, facts, ceilings and noise. Takes about three seconds.
pub fn describe_machine(invocation: &Invocation, fingerprint: &Fingerprint) -> Result<()> {
    let console = &invocation.console;
    console.print(&format!("Machine class {}\n", fingerprint.class()))?;
    console.print(&machine_table(fingerprint).to_string())?;
    console.note("measuring ceilings …");
    console.print(&ceilings_text(&ceilings(&invocation.interrupt)?))?;
    console.print(&noise_text(&watch(&invocation.interrupt)?))
}

fn ceilings_text(ceilings: &[Ceiling]) -> String {
    format!("Ceilings (bursts of 5 ms; median of 9)\n\n{}", ceiling_table(ceilings))
}

fn noise_text(noise: &Noise) -> String {
    format!("Noise over {} s\n\n{}", WATCH.as_secs(), noise_table(noise))
}

fn machine_table(fingerprint: &Fingerprint) -> Table {
    let mut table = Table::new([("machine", Align::Left), ("", Align::Left)]);
    let hidden = || "hidden".to_owned();
    let processor = &fingerprint.processor;
    table.row(["processor".to_owned(), processor.brand.clone().unwrap_or_else(hidden)]);
    table.row(["threads".to_owned(), fingerprint.allowed_threads.to_string()]);
    table.row(["hypervisor".to_owned(), fingerprint.hypervisor.clone().unwrap_or_else(hidden)]);
    table.row([
        "instruction sets".to_owned(),
        Isa::supported().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    ]);
    if let Some(caches) = &fingerprint.caches {
        let show = |bytes: usize| Unit::Bytes.show(bytes as f64);
        table.row([
            "caches".to_owned(),
            format!("L1d {}, L2 {}, L3 {}", show(caches.l1d_bytes), show(caches.l2_bytes), show(caches.l3_bytes)),
        ]);
    }
    table.row([
        "memory".to_owned(),
        fingerprint.memory_bytes.map_or_else(hidden, |bytes| Unit::Bytes.show(bytes as f64)),
    ]);
    table.row(["kernel".to_owned(), fingerprint.kernel.clone().unwrap_or_else(hidden)]);
    table.row(["governor".to_owned(), fingerprint.governor.clone().unwrap_or_else(hidden)]);
    table.row(["huge pages".to_owned(), fingerprint.huge_pages.clone().unwrap_or_else(hidden)]);
    table
}

/// One ceiling; rates are `None` where it cannot be measured.
#[derive(Debug, Serialize)]
struct Ceiling {
    name: String,
    unit: Unit,
    one_thread_per_s: Option<f64>,
    all_threads_per_s: Option<f64>,
}

/// Median of nine bursts of each ceiling, with one thread and with all.
fn ceilings(interrupt: &Interrupt) -> Result<Vec<Ceiling>> {
    let all = machine::threads::available();
    let median = |bursts: &mut dyn FnMut() -> Burst| stats::median(&[(); 9].map(|()| bursts().per_s()));
    let ceiling = |name: String, unit: Unit, of: &dyn Fn(usize) -> Option<f64>| {
        interrupt.check()?;
        Ok(Ceiling { name, unit, one_thread_per_s: of(1), all_threads_per_s: of(all) })
    };
    let fma = Isa::supported().into_iter().map(|isa| {
        ceiling(format!("multiply-add f32, {isa}"), Unit::FlopPerSecond, &|threads| {
            let mut fma = FmaLoop::new(isa, threads).ok()?;
            median(&mut || fma.burst(BURST))
        })
    });
    let read = Level::ALL.into_iter().map(|level| {
        ceiling(format!("read {level}"), Unit::BytesPerSecond, &|threads| {
            let mut read = ReadLoop::new(level, threads).ok()?;
            median(&mut || read.burst(BURST))
        })
    });
    fma.chain(read).collect()
}

fn ceiling_table(ceilings: &[Ceiling]) -> Table {
    let mut table = Table::new([
        ("ceiling".to_owned(), Align::Left),
        ("1 thread".to_owned(), Align::Right),
        (format!("{} threads", machine::threads::available()), Align::Right),
        ("scaling".to_owned(), Align::Right),
    ]);
    for Ceiling { name, unit, one_thread_per_s: one, all_threads_per_s: many } in ceilings {
        let show = |rate: &Option<f64>| rate.map_or_else(|| "not here".to_owned(), |rate| unit.show(rate));
        let scaling = one.zip(*many).map_or_else(String::new, |(one, many)| format!("{:.2}", many / one));
        table.row([name.clone(), show(one), show(many), scaling]);
    }
    table
}

/// Watches the machine.
fn watch(interrupt: &Interrupt) -> Result<Noise> {
    let before = noise::Sample::take();
    let until = Instant::now() + WATCH;
    while Instant::now() < until {
        interrupt.check()?;
        std::thread::sleep(LOOK);
    }
    Ok(noise::Sample::take().since(&before))
}

fn noise_table(noise: &Noise) -> Table {
    let percent =
        |share: Option<f64>| share.map_or_else(|| "hidden".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let mut table = Table::new([("noise", Align::Left), ("now", Align::Right), ("fit to measure", Align::Left)]);
    let fit = |is_fit: bool| if is_fit { "yes".to_owned() } else { "no: wait, or expect INCONCLUSIVE".to_owned() };
    table.row(["stolen time".to_owned(), percent(noise.steal_share), fit(noise.steal_share.is_none_or(|s| s < 0.05))]);
    table.row(["processor pressure".to_owned(), percent(noise.psi_share), String::new()]);
    let load = noise.load.map_or_else(|| "hidden".to_owned(), |load| format!("{load:.2}"));
    let threads = machine::threads::available() as f64;
    table.row(["load".to_owned(), load, fit(noise.load.is_none_or(|load| load < threads))]);
    table
}

/// Something that the tool needs.
#[derive(Debug, Serialize)]
struct Feature {
    #[serde(rename = "for")]
    purpose: &'static str,
    needs: &'static str,
    is_found: bool,
    /// What was found, or how to get it.
    says: String,
}

fn features(project: &Result<Project>) -> Vec<Feature> {
    let version = |program: &str| {
        let output =
            command::output_of(Command::new(program).arg("--version")).ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
    };
    let program = |purpose, needs, cure: &str| {
        let found = version(needs);
        Feature { purpose, needs, is_found: found.is_some(), says: found.unwrap_or_else(|| cure.to_owned()) }
    };
    let mut features = vec![
        program("comparing revisions", "git", "Debian: apt-get install git"),
        program("building", "cargo", "see https://rustup.rs"),
        program("linking (and linking again with other layouts)", "cc", "Debian: apt-get install gcc"),
        program("counting instructions", "valgrind", "Debian: apt-get install valgrind"),
    ];
    let (is_found, says) = match project {
        Ok(project) if project.git.is_shallow().unwrap_or(false) => {
            (false, "shallow clone; get the history: git fetch --unshallow".to_owned())
        }
        Ok(project) => (true, format!("workspace {}", project.root.display())),
        Err(error) => (false, error.to_string()),
    };
    let (purpose, needs) = ("finding the revision of the last entry", "a git work tree with history");
    features.push(Feature { purpose, needs, is_found, says });
    features
}

fn feature_table(features: &[Feature]) -> Table {
    let mut table = Table::new([("for", Align::Left), ("needs", Align::Left), ("found", Align::Left)]);
    for Feature { purpose, needs, is_found, says } in features {
        let found = if *is_found { says.clone() } else { format!("no; {says}") };
        table.row([(*purpose).to_owned(), (*needs).to_owned(), found]);
    }
    table
}
