//! `doctor`: what this machine is, how much of a number it can be trusted with, and what is missing.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use machine::ceiling::{Burst, FmaLoop, Level, ReadLoop};
use machine::isa::Isa;
use machine::{Fingerprint, noise};
use record::{Align, Table, Unit, stats};

use crate::build::{Wanted, Workspace};
use crate::cli::Doctor;
use crate::command;
use crate::comparison::{Invocation, Project};
use crate::exit::Exit;

/// Length of a burst of a ceiling.
const BURST: Duration = Duration::from_millis(5);
/// How long the machine is watched.
const WATCH: Duration = Duration::from_secs(2);

/// Runs the command.
pub fn doctor(invocation: &Invocation, arguments: &Doctor) -> Result<Exit> {
    let fingerprint = Fingerprint::collect();
    invocation.console.print(&format!("Machine class {}\n", fingerprint.class()))?;
    invocation.console.print(&machine_table(&fingerprint).to_string())?;
    invocation.console.note("measuring ceilings …");
    invocation.console.print(&format!("Ceilings (bursts of 5 ms; median of 9)\n\n{}", ceilings()))?;
    invocation.console.print(&format!("Noise over {} s\n\n{}", WATCH.as_secs(), noise_table()))?;
    let project = Project::open(invocation, arguments.manifest_path.as_deref());
    invocation.console.print(&format!("Features\n\n{}", features(&project)))?;
    if let Ok(project) = &project {
        let workspace = Workspace::read(&project.root, &project.environment)?;
        invocation.console.print(&format!("Benches of this workspace\n\n{}", benches(workspace)))?;
    }
    Ok(Exit::Fine)
}

/// Every bench target with the criterion that its package asks for, and whether it can be compared, as far as that is
/// known without building it.
fn benches(workspace: Workspace) -> Table {
    let selected = workspace.select(&Wanted::default(), false);
    let mut table = Table::new([("bench target", Align::Left), ("criterion", Align::Left), ("compared", Align::Left)]);
    for (package, target) in &selected.targets {
        let criterion = package.dependencies.iter().find(|dependency| dependency.name == "criterion");
        let (version, state) = match criterion {
            Some(dependency) => (dependency.req.to_string(), "yes"),
            None => ("-".to_owned(), "if another package brings criterion (0.3 to 0.8); else SKIPPED"),
        };
        table.row([format!("{}/{}", package.name, target.name), version, state.to_owned()]);
    }
    for skipped in &selected.skipped {
        table.row([format!("{}/{}", skipped.package, skipped.name), "-".to_owned(), format!("no: {}", skipped.reason)]);
    }
    if table.is_empty() {
        table.row(["none".to_owned(), "-".to_owned(), "there is nothing to compare".to_owned()]);
    }
    table
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

/// Median of nine bursts of each ceiling, with one thread and with all.
fn ceilings() -> Table {
    let all = machine::threads::available();
    let mut table = Table::new([
        ("ceiling".to_owned(), Align::Left),
        ("1 thread".to_owned(), Align::Right),
        (format!("{all} threads"), Align::Right),
        ("scaling".to_owned(), Align::Right),
    ]);
    let mut row = |name: String, unit: Unit, of: &dyn Fn(usize) -> Option<f64>| {
        let (one, many) = (of(1), of(all));
        let show = |rate: Option<f64>| rate.map_or_else(|| "not here".to_owned(), |rate| unit.show(rate));
        let scaling = one.zip(many).map_or_else(String::new, |(one, many)| format!("{:.2}", many / one));
        table.row([name, show(one), show(many), scaling]);
    };
    let median = |bursts: &mut dyn FnMut() -> Burst| stats::median(&[(); 9].map(|()| bursts().per_s()));
    for isa in Isa::supported() {
        row(format!("multiply-add f32, {isa}"), Unit::FlopPerSecond, &|threads| {
            let mut fma = FmaLoop::new(isa, threads).ok()?;
            median(&mut || fma.burst(BURST))
        });
    }
    for level in Level::ALL {
        row(format!("read {level}"), Unit::BytesPerSecond, &|threads| {
            let mut read = ReadLoop::new(level, threads).ok()?;
            median(&mut || read.burst(BURST))
        });
    }
    table
}

fn noise_table() -> Table {
    let before = noise::Sample::take();
    std::thread::sleep(WATCH);
    let noise = noise::Sample::take().since(&before);
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

fn features(project: &Result<Project>) -> Table {
    let mut table = Table::new([("for", Align::Left), ("needs", Align::Left), ("found", Align::Left)]);
    let version = |program: &str| {
        let output =
            command::output_of(Command::new(program).arg("--version")).ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
    };
    let mut row = |purpose: &str, program: &str, cure: &str| {
        table.row([purpose.to_owned(), program.to_owned(), version(program).unwrap_or_else(|| format!("no; {cure}"))]);
    };
    row("comparing revisions", "git", "Debian: apt-get install git");
    row("building", "cargo", "see https://rustup.rs");
    row("linking (and linking again with other layouts)", "cc", "Debian: apt-get install gcc");
    row("counting instructions", "valgrind", "Debian: apt-get install valgrind");
    let found = match project {
        Ok(project) => match project.git.is_shallow() {
            Ok(true) => "shallow clone; get the history: git fetch --unshallow".to_owned(),
            _ => format!("workspace {}", project.root.display()),
        },
        Err(error) => format!("no; {error}"),
    };
    table.row(["finding the revision of the last entry".to_owned(), "a git work tree with history".to_owned(), found]);
    table
}
