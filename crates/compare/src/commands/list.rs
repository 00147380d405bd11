//! `compare --list` and `gate --list`: the benchmarks that there are, and what each costs.

use anyhow::Result;
use record::{Align, Table};
use serde_json::json;

use crate::comparison::{Cost, Invocation, Item, Listing, Options, Project, Revisions, list};
use crate::exit::Exit;
use crate::policy::Policy;
use crate::repo::Snapshot;
use crate::report::{SCHEMA, count, plain, text::minutes};

/// Prints the list.
pub(super) fn print(
    invocation: &Invocation,
    project: &Project,
    head: Snapshot,
    options: &Options,
    policy: &Policy,
) -> Result<Exit> {
    let label = head.label.clone();
    let listing = list(invocation, project, &Revisions { base: None, others: Vec::new(), head }, options, policy)?;
    let text =
        if options.json { serde_json::to_string_pretty(&value(&listing, &label))? } else { table(&listing, &label) };
    invocation.console.print(&text)?;
    Ok(Exit::Fine)
}

fn table(listing: &Listing, label: &str) -> String {
    let mut table = Table::new([
        ("benchmark", Align::Left),
        ("target", Align::Left),
        ("tier", Align::Right),
        ("one process", Align::Right),
        ("measured", Align::Left),
    ]);
    for Item { package, target, id, tier, cost } in &listing.items {
        let seconds = cost.seconds().map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
        let how = match cost {
            Cost::Earlier(_, at) => format!("{at} UTC, by an earlier run"),
            Cost::Now(_) => "now, by one process".to_owned(),
            Cost::Unknown(why) => format!("no: {}", plain(why)),
        };
        table.row([plain(id), format!("{package}/{target}"), tier.to_string(), seconds, how]);
    }
    let total: f64 = listing.items.iter().filter_map(|item| item.cost.seconds()).sum();
    let n = listing.items.len();
    let mut text = format!("Benchmarks of {}\n\n", plain(label));
    if n > 0 {
        text += &format!("{table}\n");
    }
    text +=
        &format!("{}; a block of each takes about {} (four processes)", count(n, "benchmark"), minutes(4.0 * total));
    for remark in &listing.settings {
        text += &format!("\n{}", plain(remark));
    }
    for problem in &listing.problems {
        text += &format!("\nno benchmarks: {}/{}: {}", problem.package, problem.target, plain(&problem.reason));
    }
    text
}

fn value(listing: &Listing, label: &str) -> serde_json::Value {
    let item = |Item { package, target, id, tier, cost }: &Item| {
        let (from, at, why) = match cost {
            Cost::Earlier(_, at) => (Some("earlier run"), Some(at), None),
            Cost::Now(_) => (Some("one process now"), None, None),
            Cost::Unknown(why) => (None, None, Some(why)),
        };
        json!({"package": package, "target": target, "id": id, "tier": tier, "process_s": cost.seconds(),
            "measured_by": from, "measured_at": at, "why": why})
    };
    let problems = listing.problems.iter();
    json!({
        "schema": SCHEMA,
        "head": label,
        "settings": listing.settings,
        "benchmarks": listing.items.iter().map(item).collect::<Vec<_>>(),
        "problems": problems.map(|problem| json!({"package": problem.package, "target": problem.target,
            "why": problem.reason})).collect::<Vec<_>>(),
    })
}
