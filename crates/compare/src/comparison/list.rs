//! The benchmarks of the head with what a process of each costs, for `--list`.

use std::time::Instant;

use anyhow::Result;

use super::catalog::{Catalog, Problem, target_name};
use super::known::Known;
use super::options::{Options, Revisions};
use super::prepare::prepare;
use super::project::{Invocation, Project};
use super::unmatched::{KnownIds, unmatched_list};
use crate::bench::{ScratchDir, Settings};
use crate::measure::Sampler;
use crate::policy::Policy;
use crate::slot::Slots;

/// What `--list` prints.
#[derive(Debug)]
pub struct Listing {
    /// The benchmarks that the options select, in the order of the programs.
    pub items: Vec<Item>,
    /// Targets that offer none.
    pub problems: Vec<Problem>,
    /// Remarks on the settings in force.
    pub settings: Vec<String>,
}

/// One benchmark.
#[derive(Debug)]
pub struct Item {
    /// Package.
    pub package: String,
    /// Bench target.
    pub target: String,
    /// Full id, with `#2` … for repeated ones.
    pub id: String,
    /// Tier.
    pub tier: u8,
    /// What a process costs.
    pub cost: Cost,
}

/// What a process of a benchmark costs, and how that is known.
#[derive(Debug, PartialEq)]
pub enum Cost {
    /// Seconds, measured by an earlier run at this time, UTC.
    Earlier(f64, String),
    /// Seconds, measured by one process now.
    Now(f64),
    /// Not known: the reason.
    Unknown(String),
}

impl Cost {
    /// Wall time of a process, if known. Seconds.
    pub fn seconds(&self) -> Option<f64> {
        match self {
            Cost::Earlier(seconds, _) | Cost::Now(seconds) => Some(*seconds),
            Cost::Unknown(_) => None,
        }
    }
}

/// Builds the head, lists its benchmarks, and runs one process of each whose cost no earlier run measured.
pub fn list(
    invocation: &Invocation,
    project: &Project,
    head: &Revisions,
    options: &Options,
    policy: &Policy,
) -> Result<Listing> {
    let slots = Slots::open(&invocation.cache()?, &project.git)?;
    let scratch = ScratchDir::new(slots.root(), invocation.interrupt.clone())?;
    let mut known = Known::read(slots.root());
    let sides = prepare(invocation, project, head, options, (&slots, &scratch), &mut |_| Ok(()))?;
    let (built, catalog): (_, &Catalog) = (&sides.head.built, &sides.head.catalog);
    if options.wanted.scenario.is_none() {
        for state in KnownIds::of(project, head, options, &known)?.states() {
            known.remember(state.clone(), built, catalog);
        }
    }
    let until = Instant::now().checked_add(std::time::Duration::from_secs_f64(options.budget_s));
    let sampler = Sampler { scratch: &scratch, timeout: options.timeout, settings: Settings::STANDARD, until };
    let selected: Vec<_> =
        catalog.benches.iter().filter(|listed| options.takes(&listed.key.id(), listed.tier)).collect();
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let progress = invocation.console.bar("what a process costs", selected.len() as u64, "benchmarks");
    let mut items = Vec::new();
    for listed in selected {
        let (package, target, id) = (&listed.key.package, &listed.key.target, listed.key.to_string());
        progress.say(&id);
        let excluded = policy.exclusion(&id, &target_name(package, target), &today);
        let excluded = excluded.map(|why| format!("excluded in assay.toml: {why}"));
        let earlier = known.cost(package, target, &id).map(|cost| Cost::Earlier(cost.process_s, cost.at.clone()));
        let cost = match excluded.map(Cost::Unknown).or(earlier) {
            Some(cost) => cost,
            None => {
                let version = catalog.versions.get(&listed.target).copied();
                match sampler.sample(&built.targets[listed.target].program, &listed.key, version, None)? {
                    Ok(sample) => {
                        known.remember_cost(&listed.key, sample.process_s, sample.measurement_s);
                        Cost::Now(sample.process_s)
                    }
                    Err(trouble) => Cost::Unknown(trouble.reason),
                }
            }
        };
        progress.step();
        items.push(Item { package: package.clone(), target: target.clone(), id, tier: listed.tier, cost });
    }
    progress.finish();
    // What is not kept is only not known next time.
    let _ = known.write(slots.root());
    if items.is_empty() && !catalog.benches.is_empty() {
        return Err(unmatched_list(options, catalog));
    }
    let settings = policy.settings.remarks(&|id| items.iter().any(|item| item.id == id));
    Ok(Listing { items, problems: catalog.problems.clone(), settings })
}
