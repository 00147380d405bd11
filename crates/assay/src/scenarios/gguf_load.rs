//! Loading a model from a GGUF file, from the path to weights that can be read at the speed of memory.
//!
//! A cell writes a file of random words, brings the page cache into the state that it names, and times in a fresh
//! process: open and check the file, bring its data in, read every word of every tensor once. Their sum is compared
//! with the sum of what was written, before the timing and again of what was timed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use chart::{Bar, BarKind, TimePanel, Times};
use gguf::{File, Options, Writer};
use machine::cache::Caches;
use machine::ceiling::Level;
use op::Threads;
use op::random::SplitMix64;
use quant::GgmlType;
use record::{Align, Proof, Table};
use scenario::{Bursts, Cell, Figure, Measured, PEAK_RSS, Report, Results, Unproved, with_spread};

use super::{Scenario, cold};
use crate::commands::gguf::map;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "gguf-load", matrix: include_str!("../../../../benches/scenarios/gguf-load.toml"), run, report };

const TENSORS: u64 = 16;
const SEED: u64 = 7;

/// How a file gets into memory.
#[derive(Clone, Copy, PartialEq)]
enum Access {
    /// Mapped; the first use brings pages in.
    Map,
    /// Mapped; all pages are asked for at once.
    PageIn,
    /// Copied into memory of the process.
    Read,
}

fn run(cell: &Cell, mut unproved: Unproved) -> Result<Measured> {
    let access = match cell.text("access")? {
        "map" => Access::Map,
        "page-in" => Access::PageIn,
        _ => Access::Read,
    };
    let is_cold = cell.text("cache")? == "cold";
    let bytes = cell.parse::<u64>("size_mib")? << 20;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("model.gguf");
    let expected = write(&path, bytes)?;

    let found = load(&path, access)?;
    unproved.ran("access", found.by).ran("threads", 1);
    let mut measured = unproved.prove(same_sum(found.sum, expected, bytes))?;

    let cached = if is_cold { cold::evict(&path)? } else { cold::cached_share(&path)? };
    measured.ran("cached_before", format!("{:.0} %", 100.0 * cached));
    ensure!(is_cold || cached >= 1.0, "the page cache holds only {:.0} % of the file: memory is short", 100.0 * cached);

    let mut ceiling = Bursts::read(limit(bytes), 1);
    // A small machine has no room for the loop; the row then has no ceiling.
    let has_ceiling = ceiling.burst().is_ok();
    measured.memory_from_here();
    let timed = load(&path, access)?;
    measured.memory_to_here();
    measured.output(format!("{:016x}", timed.sum));
    measured.seconds("open_s", timed.open_s).seconds("first_use_s", timed.first_use_s);
    if let Some(page_in_s) = timed.page_in_s {
        measured.seconds("page_in_s", page_in_s);
    }
    let load_s = timed.open_s + timed.page_in_s.unwrap_or(0.0) + timed.first_use_s;
    measured.seconds("load_s", load_s);
    if has_ceiling
        && ceiling.burst().is_ok()
        && let Some(sample) = ceiling.sample()
    {
        measured.rate_under("load_bytes_per_s", bytes as f64 / load_s, sample);
    }
    Ok(measured)
}

/// The level whose reads bound a load: main memory only where no cache can hold a good part of the file, which was
/// written and read just before.
fn limit(bytes: u64) -> Level {
    if bytes > 4 * Caches::detect().last_level_total_bytes() as u64 { Level::Memory } else { Level::L2 }
}

/// What one load took and found.
struct Load {
    open_s: f64,
    /// `None` if the pages were not asked for.
    page_in_s: Option<f64>,
    first_use_s: f64,
    /// Sum of all words of all tensors.
    sum: u64,
    /// How the data came in, as reported by the code that did it.
    by: String,
}

fn load(path: &Path, access: Access) -> Result<Load> {
    let begin = Instant::now();
    let file =
        if access == Access::Read { File::read(path, Options::default())? } else { map(path, Options::default())? };
    let open_s = begin.elapsed().as_secs_f64();
    let mut by = if file.is_mapped() { "mmap" } else { "read" }.to_owned();
    let mut page_in_s = None;
    if access == Access::PageIn {
        let begin = Instant::now();
        by = format!("{by}, {}", file.page_in(Threads::SERIAL)?.by);
        page_in_s = Some(begin.elapsed().as_secs_f64());
    }
    let begin = Instant::now();
    let mut sum = 0_u64;
    for tensor in file.tensors() {
        sum = words(file.data(&tensor)?).fold(sum, u64::wrapping_add);
    }
    Ok(Load { open_s, page_in_s, first_use_s: begin.elapsed().as_secs_f64(), sum, by })
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word))
}

/// Writes a file with so many bytes of data and returns the sum of its words.
fn write(path: &Path, bytes: u64) -> Result<u64> {
    let mut writer = Writer::new();
    writer.key("general.architecture", "none".into());
    for number in 0..TENSORS {
        writer.tensor(format!("blk.{number}.weight"), &[bytes / TENSORS], GgmlType::I8);
    }
    let (mut random, mut sum) = (SplitMix64::new(SEED), 0_u64);
    writer.create(path, |tensor, out| {
        let mut block = Vec::with_capacity(1 << 16);
        let mut left = tensor.bytes() / 8;
        while left > 0 {
            block.clear();
            for _ in 0..left.min(1 << 13) {
                let word = random.bits();
                sum = sum.wrapping_add(word);
                block.extend(word.to_le_bytes());
            }
            left -= block.len() as u64 / 8;
            out.write_all(&block)?;
        }
        Ok(())
    })?;
    Ok(sum)
}

fn same_sum(found: u64, expected: u64, bytes: u64) -> Proof {
    let is_same = found == expected;
    Proof {
        method: "sum of words".to_owned(),
        error: Some(if is_same { 0.0 } else { 1.0 }),
        tolerance: 0.0,
        worst_index: None,
        checked: bytes / 8,
        input_hash: format!("{:016x}", SEED ^ bytes),
        output_hash: Some(format!("{found:016x}")),
        same_as: None,
        failure: (!is_same)
            .then(|| format!("the words of the file add up to {found:016x}, {expected:016x} were written")),
    }
}

/// Times by access, one panel a size and state of the cache.
fn report(results: &Results<'_>) -> Report {
    let columns =
        results.values("access").into_iter().flat_map(|access| [access.to_owned(), format!("{access}, peak")]);
    let head = [("cache".to_owned(), Align::Left), ("MiB".to_owned(), Align::Right)];
    let mut summary = Table::new(head.into_iter().chain(columns.map(|column| (column, Align::Right))));
    let mut panels = Vec::new();
    for (cache, size) in pairs(results) {
        let cells = || results.cells().iter().filter(|result| at(&result.cell) == (cache, size));
        let mut row = vec![cache.to_owned(), size.to_owned()];
        let mut bars = Vec::new();
        for access in results.values("access") {
            let result = cells().find(|result| result.cell.get("access") == Some(access));
            let load = result.and_then(|result| result.metric("load_s"));
            let peak = result.and_then(|result| result.metric(PEAK_RSS));
            row.push(with_spread(load.as_ref()));
            row.push(peak.map_or_else(|| "-".to_owned(), |peak| peak.to_string()));
            if let Some((time, load)) = load.as_ref().and_then(|load| Some((load.value?, load))) {
                let interval = load.low.zip(load.high).map(|(low, high)| [low, high]);
                bars.push(Bar {
                    name: access.to_owned(),
                    time,
                    interval,
                    shown: load.to_string(),
                    kind: BarKind::Ours,
                });
            }
        }
        summary.row(row);
        panels.push(TimePanel { title: format!("{size} MiB, {cache}"), bars });
    }
    let subtitle = format!("time from the path to all words read, one thread; class {}", results.made.machine);
    let title = results.matrix.title.clone();
    let svg = Times { title: title.clone(), subtitle, panels }.svg();
    Report { summary, body: String::new(), figures: vec![Figure { name: "times".to_owned(), title, svg }] }
}

fn at(cell: &Cell) -> (&str, &str) {
    (cell.get("cache").unwrap_or_default(), cell.get("size_mib").unwrap_or_default())
}

/// State of the cache and size of every panel.
fn pairs<'a>(results: &'a Results<'_>) -> Vec<(&'a str, &'a str)> {
    let sizes = results.values("size_mib");
    let of = |cache| sizes.iter().map(move |size| (cache, *size));
    results
        .values("cache")
        .into_iter()
        .flat_map(of)
        .filter(|pair| results.cells().iter().any(|result| at(&result.cell) == *pair && !result.records.is_empty()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_sum_is_a_failed_proof() {
        assert!(Unproved::default().prove(same_sum(1, 1, 8)).is_ok());
        let wrong = Unproved::default().prove(same_sum(1, 2, 8)).unwrap_err();
        assert!(wrong.to_string().contains("add up to"), "{wrong}");
    }

    #[test]
    fn a_file_that_a_cache_may_hold_is_not_bound_by_main_memory() {
        assert_eq!((limit(4 << 20), limit(1 << 50)), (Level::L2, Level::Memory));
    }

    #[test]
    fn every_access_reads_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        let expected = write(&path, 1 << 20).unwrap();
        for access in [Access::Map, Access::PageIn, Access::Read] {
            assert_eq!(load(&path, access).unwrap().sum, expected);
        }
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_ne!(load(&path, Access::Read).unwrap().sum, expected);
    }
}
