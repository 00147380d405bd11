//! What `doctor` says of a workspace's bench targets, without building them: what the manifests and `Cargo.lock` say,
//! and what earlier runs found out.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use record::{Align, Table};
use serde::Serialize;

use crate::bench::Settings;
use crate::build::{Wanted, Workspace};
use crate::comparison::{Invocation, Known, KnownTarget, Plan, Project};
use crate::report::{plain, text::minutes};
use crate::slot::Slots;

/// Bench targets, and what a comparison with all defaults would cost.
#[derive(Debug, Serialize)]
pub(super) struct Benches {
    targets: Vec<TargetReport>,
    default_run: DefaultRun,
}

/// One bench target.
#[derive(Debug, Default, Serialize)]
struct TargetReport {
    package: String,
    target: String,
    /// Whether it is measured; `None` if nobody has built it yet.
    measured: Option<bool>,
    /// Why it is not, or when that will be known.
    why: Option<String>,
    /// "own main" or "libtest".
    harness: &'static str,
    /// Version of criterion, and how it is known.
    criterion: Option<String>,
    /// Benchmarks, if it was listed.
    benchmarks: Option<usize>,
    /// Least and most wall time of a process. Seconds.
    process_s: Option<[f64; 2]>,
    /// Measurement times that groups set themselves, in which case the tool cannot shorten them. Seconds.
    group_times_s: Vec<f64>,
}

/// What `compare` without options would take.
#[derive(Debug, Serialize)]
struct DefaultRun {
    /// Benchmarks of tier 1 whose cost is known.
    benchmarks: usize,
    /// Those whose cost is not known.
    unknown: usize,
    /// Estimated measurement without builds. Seconds.
    seconds: Option<f64>,
    /// The same in words.
    says: String,
}

/// Reports on the workspace of `project`.
pub(super) fn benches(invocation: &Invocation, project: &Project) -> Result<Benches> {
    let known = Known::read(&Slots::directory(&invocation.cache()?, &project.git));
    let list = known.newest(&project.relative);
    let selected = Workspace::read(&project.root, &project.environment)?.select(&Wanted::default(), false);
    let locked = locked_criterion(&project.root);
    let mut targets = Vec::new();
    for (package, target) in &selected.targets {
        let asks = package.dependencies.iter().find(|dependency| dependency.name == "criterion");
        let found = list.as_ref().and_then(|list| {
            list.targets
                .iter()
                .find(|known| (&*known.package, &*known.target) == (package.name.as_str(), &*target.name))
        });
        let own_main = has_own_main(package.manifest_path.as_std_path(), &target.name);
        let mut report = TargetReport {
            package: package.name.to_string(),
            target: target.name.clone(),
            harness: if own_main { "own main" } else { "libtest" },
            criterion: asks.map(|asks| match locked.iter().find(|version| asks.req.matches(version)) {
                Some(version) => format!("{version} (Cargo.lock)"),
                None => format!("{} (asked for)", asks.req),
            }),
            ..TargetReport::default()
        };
        match found {
            Some(KnownTarget { criterion, problem, .. }) => {
                report.measured = Some(problem.is_none());
                report.why.clone_from(problem);
                if let Some((major, minor, patch)) = criterion {
                    report.criterion = Some(format!("{major}.{minor}.{patch} (reported)"));
                }
            }
            None if !own_main => {
                report.measured = Some(false);
                report.why = Some("a criterion bench says `harness = false` in its [[bench]] table".to_owned());
            }
            None => report.why = Some("known after a first `compare --list`".to_owned()),
        }
        targets.push(report);
    }
    for skipped in selected.skipped {
        let (measured, why) = (Some(false), Some(skipped.reason));
        let report =
            TargetReport { package: skipped.package, target: skipped.name, measured, why, ..Default::default() };
        targets.push(TargetReport { harness: "-", ..report });
    }
    let default_run = add_costs(&known, &project.relative, &mut targets);
    Ok(Benches { targets, default_run })
}

/// Adds what earlier runs measured, and sums it up.
fn add_costs(known: &Known, workspace: &Path, targets: &mut [TargetReport]) -> DefaultRun {
    let mut costs = Vec::new();
    let mut unknown = 0;
    for bench in known.newest(workspace).into_iter().flat_map(|list| list.benches) {
        let at = targets.iter().position(|target| (&target.package, &target.target) == (&bench.package, &bench.target));
        let Some(at) = at else { continue };
        let report = &mut targets[at];
        *report.benchmarks.get_or_insert(0) += 1;
        match known.cost(&bench.package, &bench.target, &bench.id) {
            Some(cost) => {
                let [least, most] = report.process_s.unwrap_or([cost.process_s; 2]);
                report.process_s = Some([least.min(cost.process_s), most.max(cost.process_s)]);
                let own = cost.measurement_s.filter(|own| *own > 2.0 * Settings::STANDARD.measurement_s);
                report.group_times_s.extend(own.filter(|own| !report.group_times_s.contains(own)));
                if bench.tier == 1 {
                    costs.push((bench.tier, cost.process_s, at));
                }
            }
            None => unknown += usize::from(bench.tier == 1),
        }
    }
    let benchmarks = costs.len();
    let plan = Plan::estimate(&costs, super::compare::BUDGET.as_secs_f64());
    let rest = if unknown > 0 { format!(" (the cost of {unknown} more is not known)") } else { String::new() };
    let says = if benchmarks == 0 {
        "what a run costs is known after a first `compare --list`".to_owned()
    } else {
        format!("{plan}{rest}; two builds come before it")
    };
    DefaultRun { benchmarks, unknown, seconds: (benchmarks > 0).then_some(plan.seconds), says }
}

impl Benches {
    /// As text.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new([
            ("bench target", Align::Left),
            ("harness", Align::Left),
            ("criterion", Align::Left),
            ("benchmarks", Align::Right),
            ("one process", Align::Right),
            ("measured", Align::Left),
        ]);
        let dash = || "-".to_owned();
        for target in &self.targets {
            let word = match target.measured {
                Some(true) => "yes",
                Some(false) => "no",
                None => "not known",
            };
            let why = target.why.as_ref().map_or_else(String::new, |why| format!(": {}", plain(why)));
            let cost = |[least, most]: [f64; 2]| {
                if most - least < 0.05 { format!("{most:.2} s") } else { format!("{least:.2} .. {most:.2} s") }
            };
            table.row([
                format!("{}/{}", target.package, target.target),
                target.harness.to_owned(),
                target.criterion.clone().unwrap_or_else(dash),
                target.benchmarks.map_or_else(dash, |n| n.to_string()),
                target.process_s.map_or_else(dash, cost),
                format!("{word}{why}"),
            ]);
        }
        if table.is_empty() {
            table.row(["none".to_owned(), dash(), dash(), dash(), dash(), "there is nothing to compare".to_owned()]);
        }
        let mut text = format!("Benches of this workspace\n\n{table}\n");
        for target in self.targets.iter().filter(|target| !target.group_times_s.is_empty()) {
            let times: Vec<String> = target.group_times_s.iter().map(|s| minutes(*s)).collect();
            text += &format!(
                "{}/{}: groups set a measurement time of their own ({}): set it on `Criterion`, where the command line \
                 outweighs it\n",
                target.package,
                target.target,
                times.join(", ")
            );
        }
        text += &format!("A `compare` with all defaults: {}\n", self.default_run.says);
        text
    }
}

/// Whether the manifest gives the target `harness = false`.
fn has_own_main(manifest: &Path, target: &str) -> bool {
    let table: Option<toml::Table> = fs::read_to_string(manifest).ok().and_then(|text| text.parse().ok());
    let benches = table.as_ref().and_then(|table| table.get("bench")?.as_array());
    let is_it = |bench: &&toml::Value| bench.get("name").and_then(toml::Value::as_str) == Some(target);
    let found = benches.and_then(|benches| benches.iter().find(is_it));
    found.and_then(|bench| bench.get("harness")?.as_bool()) == Some(false)
}

/// The versions of criterion in the lock file.
fn locked_criterion(root: &Path) -> Vec<cargo_metadata::semver::Version> {
    let table: Option<toml::Table> =
        fs::read_to_string(root.join("Cargo.lock")).ok().and_then(|text| text.parse().ok());
    let packages = table.as_ref().and_then(|table| table.get("package")?.as_array()).into_iter().flatten();
    let fields = packages.filter_map(|package| {
        let fields: HashMap<&str, &str> =
            package.as_table()?.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect();
        (fields.get("name") == Some(&"criterion")).then(|| fields.get("version")?.parse().ok())?
    });
    fields.collect()
}
