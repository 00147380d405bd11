//! Both sides brought to where they can be measured: checked out, built, listed.

use std::path::Path;

use anyhow::Result;

use super::field::{Field, Pairing, problem_row};
use super::pilot::pilot;
use super::place::{Context, Place};
use super::run::{Options, Revisions};
use crate::bench::{Catalog, Listed, Yard};
use crate::build::{self, Alignment, Built, Wanted};
use crate::measure::{Contest, Entrant, Sampler};
use crate::repo::Snapshot;
use crate::report::Fault;
use crate::slot::{Slot, Slots};

/// One side in its slot.
pub(super) struct Prepared {
    pub(super) slot: Slot,
    pub(super) built: Built,
    pub(super) catalog: Catalog,
}

/// Checks out, builds and lists one or both sides.
pub(super) fn prepare(
    context: &Context,
    place: &Place,
    revisions: &Revisions,
    options: &Options,
    slots: &Slots,
    yard: &Yard,
) -> Result<(Option<Prepared>, Prepared)> {
    let surroundings = place.surroundings(context, Alignment::Lines);
    let lock = place.root.join("Cargo.lock");
    let build_side = |side: &str, slot: Slot, lock: Option<&Path>| -> Result<Prepared> {
        context.interrupt.check()?;
        let built = build::build(side, &slot, &place.relative, &options.wanted, lock, &surroundings)?;
        let catalog = Catalog::list(side, &built, yard, options.timeout, &context.console)?;
        Ok(Prepared { slot, built, catalog })
    };
    let own_lock = lock.exists().then_some(lock.as_path());
    match &revisions.base {
        None => Ok((None, build_side(build::HEAD, slots.check_out_one(&place.git, &revisions.head)?, own_lock)?)),
        Some(base) => {
            let (base_slot, head_slot) = slots.check_out(&place.git, base, &revisions.head)?;
            let head = build_side(build::HEAD, head_slot, own_lock)?;
            // Without a lock file of its own the base takes the head's resolution: the dependencies are not the question.
            let resolved = head.built.workspace.join("Cargo.lock");
            let base = build_side("base", base_slot, Some(&resolved))?;
            Ok((Some(base), head))
        }
    }
}

/// Meets both sides, or lists the head alone.
pub(super) fn field_of(
    place: &Place,
    revisions: &Revisions,
    base: Option<&Prepared>,
    head: &Prepared,
    wanted: &dyn Fn(&Listed) -> bool,
) -> Result<Field> {
    let (Some(base), Some(revision)) = (base, &revisions.base) else { return Ok(alone(head, wanted)) };
    let changed = place.git.changed_paths(&revision.commit, &revisions.head.commit)?;
    let directories = [base, head].map(|side| side.slot.tree().parent().map(Path::to_owned).unwrap_or_default());
    let pairing = Pairing {
        base: (&base.built, &base.catalog),
        head: (&head.built, &head.catalog),
        slots: [&directories[0], &directories[1]],
        changed: &changed,
        own: &place.own_paths(),
    };
    let mut field = pairing.meet(wanted)?;
    field.notes.extend(build::difference(&base.built.workspace, &head.built.workspace));
    Ok(field)
}

/// The field of a head without a base.
fn alone(head: &Prepared, wanted: &dyn Fn(&Listed) -> bool) -> Field {
    let contest = |listed: &Listed| {
        let entrant = Entrant {
            target: head.built.targets[listed.target].clone(),
            version: head.catalog.versions.get(&listed.target).copied(),
            seed_offset: 0,
            inject: None,
        };
        Contest {
            key: listed.key.clone(),
            tier: listed.tier,
            source: listed.source.clone(),
            base: entrant.clone(),
            head: entrant,
            single_threaded: false,
            process_s: 0.0,
        }
    };
    let rows = head.catalog.problems.iter().map(|problem| problem_row(problem, Fault::Target)).collect();
    Field {
        identical: head.catalog.benches.iter().filter(|listed| wanted(listed)).map(contest).collect(),
        rows,
        ..Field::default()
    }
}

/// Builds one revision and pilots its benchmarks against themselves, for self-tests.
#[expect(clippy::too_many_arguments, reason = "a self-test says everything that a comparison derives")]
pub fn pilot_one_side(
    context: &Context,
    place: &Place,
    slots: &Slots,
    head: &Snapshot,
    wanted: &Wanted,
    sampler: &Sampler<'_>,
    is_wanted: &dyn Fn(&str, u8) -> bool,
    alignment: Alignment,
) -> Result<Vec<Contest>> {
    let slot = slots.check_out_one(&place.git, head)?;
    let lock = place.root.join("Cargo.lock");
    let lock = lock.exists().then_some(lock.as_path());
    let built =
        build::build(build::HEAD, &slot, &place.relative, wanted, lock, &place.surroundings(context, alignment))?;
    let catalog = Catalog::list(build::HEAD, &built, sampler.yard, sampler.timeout, &context.console)?;
    let prepared = Prepared { slot, built, catalog };
    let field = alone(&prepared, &|listed| is_wanted(&listed.key.id(), listed.tier));
    let (passed, failed) = pilot(sampler, field.identical, &context.console)?;
    for row in failed {
        context.console.note(&format!("{}: {}: {}", row.id, row.verdict, row.why));
    }
    Ok(passed.into_iter().map(|pilot| pilot.contest).collect())
}
