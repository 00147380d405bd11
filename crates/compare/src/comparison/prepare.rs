//! Prepares the sides for measuring: checks them out, builds them, lists their benchmarks.

use std::path::Path;

use anyhow::Result;

use super::catalog::{Catalog, Listed, ProblemKind};
use super::options::{Options, Revisions};
use super::paired::{PairedBenches, Pairing, problem_row};
use super::pilot::pilot;
use super::project::{Invocation, Project};
use crate::bench::ScratchDir;
use crate::build::{self, Built, Wanted};
use crate::measure::{BenchPair, Sampler, Variant};
use crate::repo::Snapshot;
use crate::report::Fault;
use crate::slot::{Alignment, Slot, Slots};

/// One side in its slot.
pub(super) struct Prepared {
    pub(super) slot: Slot,
    pub(super) built: Built,
    pub(super) catalog: Catalog,
}

/// Every side in its slot.
pub(super) struct Sides {
    /// In the order of the revisions; empty if the head is measured alone.
    pub(super) bases: Vec<Prepared>,
    pub(super) head: Prepared,
}

/// Checks out, builds and lists every side, the head first. An error of `check`, which sees the head, ends it there.
pub(super) fn prepare(
    invocation: &Invocation,
    project: &Project,
    revisions: &Revisions,
    options: &Options,
    (slots, scratch): (&Slots, &ScratchDir),
    check: &mut dyn FnMut(&Prepared) -> Result<()>,
) -> Result<Sides> {
    let surroundings = project.surroundings(invocation, Alignment::Lines);
    let lock = project.root.join("Cargo.lock");
    let build_side = |side: &str, slot: Slot, lock: Option<&Path>| -> Result<Prepared> {
        invocation.interrupt.check()?;
        let built = build::build(side, &slot, &project.relative, &options.wanted, lock, &surroundings)?;
        let catalog = Catalog::list(side, &built, scratch, options.timeout, &invocation.console)?;
        Ok(Prepared { slot, built, catalog })
    };
    let own_lock = lock.exists().then_some(lock.as_path());
    let Some(first) = &revisions.base else {
        let head = build_side(build::HEAD, slots.check_out_one(&project.git, &revisions.head)?, own_lock)?;
        check(&head)?;
        return Ok(Sides { bases: Vec::new(), head });
    };
    let commits: Vec<&str> =
        [first, &revisions.head].into_iter().chain(&revisions.others).map(|side| &*side.commit).collect();
    let mut assigned = slots.assign(&commits);
    let head_slot = assigned.remove(1);
    head_slot.check_out(&project.git, &revisions.head.commit, &assigned[0])?;
    let head = build_side(build::HEAD, head_slot, own_lock)?;
    check(&head)?;
    let mut bases = Vec::new();
    for (base, slot) in revisions.bases().zip(assigned) {
        // Not earlier: a new slot reuses the dependencies that the head has built.
        slot.check_out(&project.git, &base.commit, &head.slot)?;
        // A base without its own lock file uses the head's resolution: the dependencies are not what is compared.
        let resolved = head.built.workspace.join("Cargo.lock");
        let side = if revisions.others.is_empty() { "base".to_owned() } else { format!("base {}", base.name()) };
        bases.push(build_side(&side, slot, Some(&resolved))?);
    }
    Ok(Sides { bases, head })
}

/// Pairs the benchmarks of the head with those of each base, or lists those of the head alone.
pub(super) fn pair_sides(
    project: &Project,
    revisions: &Revisions,
    sides: &Sides,
    wanted: &dyn Fn(&Listed) -> bool,
) -> Result<Vec<PairedBenches>> {
    if sides.bases.is_empty() {
        return Ok(vec![alone(&sides.head, wanted)]);
    }
    let pair = |(base, revision)| pair_with(project, (revision, &revisions.head), (base, &sides.head), wanted);
    sides.bases.iter().zip(revisions.bases()).map(pair).collect()
}

fn pair_with(
    project: &Project,
    (revision, head_revision): (&Snapshot, &Snapshot),
    (base, head): (&Prepared, &Prepared),
    wanted: &dyn Fn(&Listed) -> bool,
) -> Result<PairedBenches> {
    let changed = project.git.changed_paths(&revision.commit, &head_revision.commit)?;
    let pairing = Pairing {
        base: (&base.built, &base.catalog),
        head: (&head.built, &head.catalog),
        slots: [base.slot.directory(), head.slot.directory()],
        changed: &changed,
        own: &project.own_paths(),
    };
    let mut paired = pairing.pair(wanted)?;
    paired.notes.extend(build::difference(&base.built.workspace, &head.built.workspace));
    Ok(paired)
}

/// The benchmarks of a head without a base.
fn alone(head: &Prepared, wanted: &dyn Fn(&Listed) -> bool) -> PairedBenches {
    let pair = |listed: &Listed| {
        let variant = Variant {
            target: head.built.targets[listed.target].clone(),
            version: head.catalog.versions.get(&listed.target).copied(),
            seed_offset: 0,
            inject: None,
        };
        BenchPair {
            key: listed.key.clone(),
            tier: listed.tier,
            source: listed.source.clone(),
            base: variant.clone(),
            head: variant,
            is_control: false,
            single_threaded: false,
            process_s: 0.0,
        }
    };
    let rows = head
        .catalog
        .problems
        .iter()
        .map(|problem| problem_row(problem, (problem.kind != ProblemKind::Skipped).then_some(Fault::Head)))
        .collect();
    PairedBenches {
        identical: head.catalog.benches.iter().filter(|listed| wanted(listed)).map(pair).collect(),
        rows,
        ..PairedBenches::default()
    }
}

/// Builds one revision and pilots its benchmarks against themselves, for self-tests.
#[expect(clippy::too_many_arguments, reason = "a self-test says everything that a comparison derives")]
pub fn pilot_one_side(
    invocation: &Invocation,
    project: &Project,
    slots: &Slots,
    head: &Snapshot,
    wanted: &Wanted,
    sampler: &Sampler<'_>,
    is_wanted: &dyn Fn(&str, u8) -> bool,
    alignment: Alignment,
) -> Result<Vec<BenchPair>> {
    let slot = slots.check_out_one(&project.git, head)?;
    let lock = project.root.join("Cargo.lock");
    let lock = lock.exists().then_some(lock.as_path());
    let built = build::build(
        build::HEAD,
        &slot,
        &project.relative,
        wanted,
        lock,
        &project.surroundings(invocation, alignment),
    )?;
    let catalog = Catalog::list(build::HEAD, &built, sampler.scratch, sampler.timeout, &invocation.console)?;
    let prepared = Prepared { slot, built, catalog };
    let paired = alone(&prepared, &|listed| is_wanted(&listed.key.id(), listed.tier));
    let piloted = pilot(sampler, paired.identical, false, &invocation.console)?;
    for row in piloted.failed {
        invocation.console.note(&format!("{}: {}: {}", row.id, row.verdict, row.why));
    }
    Ok(piloted.passed.into_iter().map(|pilot| pilot.pair).collect())
}
