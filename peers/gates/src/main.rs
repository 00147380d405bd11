//! `cargo run --release --manifest-path peers/gates/Cargo.toml`: other gates beside ours, on the same code in the same
//! hour.
//!
//! 1. Install every tool at its pinned version (`tools`).
//! 2. For each comparison, draw its two sides (`pair`): nothing changes, or some benchmarks become slower. Run every
//!    tool on them, one after the other in random order, and read its verdicts.
//! 3. Append a line for every rule as soon as its tool is done (`record`), and render the page (`page`). What is kept
//!    is not run again, so a run can be stopped and go on later.

mod page;
mod pair;
mod process;
mod random;
mod record;
mod subject;
mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Parser;
use machine::Fingerprint;

use pair::{Kind, Pair};
use random::Random;
use record::{Finding, Record, SCHEMA};
use tools::{Tool, Workplace};

/// Compare gates on the same code: false alarms, detections, minutes
#[derive(Debug, Parser)]
struct Line {
    /// Comparisons in which nothing changes
    #[arg(long, default_value_t = 10)]
    comparisons: u32,
    /// Comparisons in which some benchmarks become slower
    #[arg(long, default_value_t = 10)]
    slowed_comparisons: u32,
    /// Sizes of the slowdowns in percent, in turns
    #[arg(long, value_delimiter = ',', default_value = "5,8,10")]
    planted: Vec<u32>,
    /// Benchmarks of the 20 that become slower
    #[arg(long, default_value_t = 6)]
    slowed: usize,
    /// Measurement time of our own gate [default: its default]
    #[arg(long, value_parser = minutes)]
    budget: Option<Duration>,
    /// Only these tools (repeatable)
    #[arg(long)]
    tool: Vec<String>,
    /// Seed of the pairs and of the order of the tools
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to install, build and run [default: assay-gates in the user's cache directory]
    #[arg(long)]
    work: Option<PathBuf>,
    /// Measure next to nothing, to see whether every tool runs; the lines stay in the work directory
    #[arg(long)]
    quick: bool,
    /// Only write the page again
    #[arg(long)]
    render: bool,
}

impl Line {
    /// What is asked of a tool beyond its documented use.
    fn settings(&self, tool: &str) -> String {
        let budget = self.budget.filter(|_| tool == "assay").map(|budget| format!("--budget {}s", budget.as_secs()));
        let quick = self.quick.then(|| "quick".to_owned());
        quick.into_iter().chain(budget).collect::<Vec<_>>().join(", ")
    }
}

fn main() -> Result<()> {
    let line = Line::parse();
    let assay = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let root = line.work.clone().map_or_else(cache, Ok)?;
    fs::create_dir_all(&root).with_context(|| format!("failed to make {}", root.display()))?;
    let place = Workplace { root: root.canonicalize()?, assay, budget: line.budget, quick: line.quick };
    let class = Fingerprint::collect().class();
    let baselines = if line.quick { place.root.join("quick") } else { place.assay.join("baselines") };
    let store = Store { directory: baselines.join(&class), class };
    if !line.render {
        measure(&line, &place, &store)?;
    }
    println!("{}", store.render()?);
    Ok(())
}

/// Runs what is not kept yet.
fn measure(line: &Line, place: &Workplace, store: &Store) -> Result<()> {
    let mut tools = tools::all();
    if let Some(unknown) = line.tool.iter().find(|name| tools.iter().all(|tool| tool.name() != **name)) {
        bail!("--tool {unknown}: there are {}", tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", "));
    }
    tools.retain(|tool| line.tool.is_empty() || line.tool.iter().any(|name| name == tool.name()));
    let known = store.read()?;
    let is_kept = |tool: &str, pair: (Kind, u32)| {
        let is_same = |of: &&Record| of.tool == tool && of.pair == Some(pair) && of.seed == line.seed;
        known.iter().filter(is_same).any(|of| of.settings == line.settings(tool))
    };
    tools.retain(|tool| {
        eprintln!("installing {}", tool.name());
        let Err(error) = tool.install(place) else { return true };
        eprintln!("  failed: {error:#}");
        keep(line, place, store, tool.as_ref(), None, (0.0, jiff::Timestamp::now(), Err(error)));
        false
    });
    for (kind, number) in plan(line.comparisons, line.slowed_comparisons) {
        let pair = Pair::draw(line.seed, kind, number, line.slowed, &line.planted);
        let mut order: Vec<&Box<dyn Tool>> = tools.iter().collect();
        Random::new(&[line.seed, kind as u64, number.into(), 1]).shuffle(&mut order);
        order.retain(|tool| !is_kept(tool.name(), (kind, number)));
        for tool in order {
            eprintln!("{} {number}: {}", kind.name(), tool.name());
            let (at, started) = (jiff::Timestamp::now(), Instant::now());
            let findings = tool.compare(place, &pair);
            keep(line, place, store, tool.as_ref(), Some(&pair), (started.elapsed().as_secs_f64(), at, findings));
            store.render()?;
        }
    }
    Ok(())
}

/// Both kinds in turns, so that a run that is stopped has about as many of each.
fn plan(unchanged: u32, slowed: u32) -> Vec<(Kind, u32)> {
    let both = |number| [(Kind::Unchanged, number, unchanged), (Kind::Slowed, number, slowed)];
    let all = (0..unchanged.max(slowed)).flat_map(both);
    all.filter(|(_, number, of)| number < of).map(|(kind, number, _)| (kind, number)).collect()
}

/// Appends a line for each rule, or one for the failure. A disk that is full ends the run.
fn keep(
    line: &Line,
    place: &Workplace,
    store: &Store,
    tool: &dyn Tool,
    pair: Option<&Pair>,
    (seconds, at, findings): (f64, jiff::Timestamp, Result<Vec<Finding>>),
) {
    let record = Record {
        schema: SCHEMA,
        at: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        subject: subject::identity(),
        seed: line.seed,
        pair: pair.map(|pair| (pair.kind, pair.number)),
        slowdowns: pair.map_or_else(BTreeMap::new, |pair| {
            pair.slowdowns.iter().map(|(id, size)| ((*id).to_owned(), *size)).collect()
        }),
        tool: tool.name().to_owned(),
        version: tool.version(place).unwrap_or_else(|_| "unknown".to_owned()),
        settings: line.settings(tool.name()),
        seconds,
        finding: None,
        error: None,
    };
    let records: Vec<Record> = match findings {
        Ok(findings) => {
            findings.into_iter().map(|finding| Record { finding: Some(finding), ..record.clone() }).collect()
        }
        Err(error) => {
            eprintln!("  failed: {error:#}");
            vec![Record { error: Some(format!("{error:#}")), ..record }]
        }
    };
    for record in &records {
        if let Some(finding) = &record.finding {
            let called = finding.benchmarks.values().filter(|says| **says != record::Says::Nothing).count();
            eprintln!("  {:.1} min, {}: {called} called changed", seconds / 60.0, finding.rule);
        }
        if let Err(error) = store.append(record) {
            eprintln!("error: {error:#}");
            std::process::exit(1);
        }
    }
}

/// What is kept for this machine class.
struct Store {
    directory: PathBuf,
    class: String,
}

impl Store {
    fn path(&self) -> PathBuf {
        self.directory.join("gates.jsonl")
    }

    /// The lines of the present subject: another one is another measurement.
    fn read(&self) -> Result<Vec<Record>> {
        if !self.path().is_file() {
            return Ok(Vec::new());
        }
        let subject = subject::identity();
        let lines = ::record::jsonl::read::<Record>(&self.path(), SCHEMA)?;
        Ok(lines.rows.into_iter().filter(|record| record.subject == subject).collect())
    }

    fn append(&self, record: &Record) -> Result<()> {
        fs::create_dir_all(&self.directory).context("failed to make the directory of the machine class")?;
        ::record::jsonl::append(&self.path(), record).context("failed to keep a line; is the disk full?")
    }

    /// Writes the page, and gives it.
    fn render(&self) -> Result<String> {
        let records = self.read()?;
        if records.is_empty() {
            bail!("nothing is kept for machine class {} yet", self.class);
        }
        let page = page::page(&self.class, &records);
        let path = self.directory.join("gates.md");
        ::record::jsonl::replace_file(&path, page.as_bytes())
            .with_context(|| format!("failed to write {}", path.display()))?;
        Ok(page)
    }
}

fn cache() -> Result<PathBuf> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")));
    Ok(cache.ok_or_else(|| anyhow!("no cache directory: HOME is not set; see --work"))?.join("assay-gates"))
}

/// "5m".
fn minutes(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('m').and_then(|number| number.parse::<f64>().ok());
    number
        .filter(|minutes| *minutes > 0.0 && minutes.is_finite())
        .map(|minutes| Duration::from_secs_f64(60.0 * minutes))
        .ok_or_else(|| format!("`{text}` is not a time such as 5m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_take_turns_until_one_is_used_up() {
        let names = |unchanged, slowed| -> Vec<String> {
            plan(unchanged, slowed).into_iter().map(|(kind, number)| format!("{} {number}", kind.name())).collect()
        };
        assert_eq!(names(2, 1), ["unchanged 0", "slowed 0", "unchanged 1"]);
        assert_eq!(names(0, 2), ["slowed 0", "slowed 1"]);
    }

    #[test]
    fn the_documented_line_parses() {
        let line = "gates --comparisons 10 --planted 5,8,10 --budget 5m --tool tango --tool assay --seed 2 --quick";
        let line = Line::try_parse_from(line.split(' ')).unwrap();
        assert_eq!((&line.planted[..], line.budget.map(|of| of.as_secs())), (&[5, 8, 10][..], Some(300)));
        assert_eq!([line.settings("assay"), line.settings("tango")], ["quick, --budget 300s", "quick"]);
        assert!(Line::try_parse_from(["gates", "--budget", "5"]).is_err());
    }
}
