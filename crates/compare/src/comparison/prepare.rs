//! Prepares both sides for measuring: checks them out, builds them, lists their benchmarks.

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

/// Checks out, builds and lists one or both sides.
pub(super) fn prepare(
    invocation: &Invocation,
    project: &Project,
    revisions: &Revisions,
    options: &Options,
    slots: &Slots,
    scratch: &ScratchDir,
) -> Result<(Option<Prepared>, Prepared)> {
    let surroundings = project.surroundings(invocation, Alignment::Lines);
    let lock = project.root.join("Cargo.lock");
    let build_side = |side: &str, slot: Slot, lock: Option<&Path>| -> Result<Prepared> {
        invocation.interrupt.check()?;
        let built = build::build(side, &slot, &project.relative, &options.wanted, lock, &surroundings)?;
        let catalog = Catalog::list(side, &built, scratch, options.timeout, &invocation.console)?;
        Ok(Prepared { slot, built, catalog })
    };
    let own_lock = lock.exists().then_some(lock.as_path());
    match &revisions.base {
        None => Ok((None, build_side(build::HEAD, slots.check_out_one(&project.git, &revisions.head)?, own_lock)?)),
        Some(base) => {
            let (base_slot, head_slot) = slots.assign(base, &revisions.head);
            head_slot.check_out(&project.git, &revisions.head.commit, &base_slot)?;
            let head = build_side(build::HEAD, head_slot, own_lock)?;
            // Not earlier: a new slot reuses the dependencies that the head has built.
            base_slot.check_out(&project.git, &base.commit, &head.slot)?;
            // A base without its own lock file uses the head's resolution: the dependencies are not what is compared.
            let resolved = head.built.workspace.join("Cargo.lock");
            let base = build_side("base", base_slot, Some(&resolved))?;
            Ok((Some(base), head))
        }
    }
}

/// Pairs the benchmarks of both sides, or lists those of the head alone.
pub(super) fn pair_sides(
    project: &Project,
    revisions: &Revisions,
    base: Option<&Prepared>,
    head: &Prepared,
    wanted: &dyn Fn(&Listed) -> bool,
) -> Result<PairedBenches> {
    let (Some(base), Some(revision)) = (base, &revisions.base) else { return Ok(alone(head, wanted)) };
    let changed = project.git.changed_paths(&revision.commit, &revisions.head.commit)?;
    let directories = [base, head].map(|side| side.slot.tree().parent().map(Path::to_owned).unwrap_or_default());
    let pairing = Pairing {
        base: (&base.built, &base.catalog),
        head: (&head.built, &head.catalog),
        slots: [&directories[0], &directories[1]],
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
    let piloted = pilot(sampler, paired.identical, &invocation.console)?;
    for row in piloted.failed {
        invocation.console.note(&format!("{}: {}: {}", row.id, row.verdict, row.why));
    }
    Ok(piloted.passed.into_iter().map(|pilot| pilot.pair).collect())
}
