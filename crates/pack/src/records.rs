//! Records: one file for each finished unit. Its first line is the record, its second line the checksum of the first.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use machine::noise::Noise;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::checksum;
use crate::manifest::Manifest;

/// Where records lie below the directory of a run.
const DIRECTORY: &str = "records";

/// What all units together say, where that is more than each of them.
pub(crate) const CONCLUSION: &str = "conclusion.json";

/// Begins the second line.
const SUM: &str = "sha256 ";

/// What one unit gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of the format: [`SCHEMA`](crate::manifest::SCHEMA).
    pub schema: u32,
    /// Identity of the pack: the checksum of its manifest.
    pub pack: String,
    /// Name of the unit.
    pub unit: String,
    /// Machine class.
    pub class: String,
    /// The machine, in words.
    pub machine: String,
    /// When it began, in UTC.
    pub began: String,
    /// How long it took.
    pub seconds: f64,
    /// What else happened meanwhile.
    pub noise: Noise,
    /// What was measured; null if it failed.
    pub result: Value,
    /// Why it failed; the unit is measured again by the next run.
    pub error: Option<String>,
}

/// The units of a run, beside its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Identity of the pack.
    pack: String,
    /// Names of the units, in order of importance.
    pub(crate) units: Vec<String>,
}

impl Plan {
    const FILE: &str = "plan.json";

    /// Writes the plan of a run into the directory `out`; one that is there must be the same.
    pub(crate) fn keep(out: &Path, pack: &str, units: &[String]) -> Result<()> {
        let plan = Self { pack: pack.to_owned(), units: units.to_vec() };
        let path = out.join(Self::FILE);
        if path.exists() {
            let is_same = Self::parse(&path)? == plan;
            ensure!(is_same, "{} is of another pack, or other benchmarks run now: use another --out", path.display());
            return Ok(());
        }
        whole_file::replace(&path, serde_json::to_string_pretty(&plan)?.as_bytes())
            .with_context(|| format!("failed to write {}; is the disk full?", path.display()))
    }

    fn parse(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
    }

    /// The plan of a directory of records, which fits its manifest.
    pub(crate) fn read(directory: &Path, manifest: &Manifest, pack: &str) -> Result<Self> {
        let plan = Self::parse(&directory.join(Self::FILE))?;
        let (of, path) = (plan.pack == pack, directory.join(Self::FILE));
        ensure!(of, "{} belongs to another pack than the manifest beside it", path.display());
        let fits = manifest.what.finds_units() || plan.units == manifest.plan;
        ensure!(fits, "{} differs from the plan of its pack", path.display());
        Ok(plan)
    }
}

/// The record of a unit, by its place in the plan.
pub(crate) fn path(out: &Path, place: usize, unit: &str) -> PathBuf {
    let name = unit.replace(|sign: char| !sign.is_ascii_alphanumeric() && !matches!(sign, '-' | '.'), "_");
    // Names of files have at most 255 bytes.
    let name: String = name.chars().take(120).collect();
    out.join(DIRECTORY).join(format!("{place:04}-{name}.json"))
}

/// Writes a record; it appears whole.
pub(crate) fn write(path: &Path, record: &Record) -> Result<()> {
    let directory = path.parent().context("the record has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
    let line = serde_json::to_string(record)?;
    let text = format!("{line}\n{SUM}{}\n", checksum::of(line.as_bytes()));
    whole_file::replace(path, text.as_bytes())
        .with_context(|| format!("failed to write {}; is the disk full?", path.display()))
}

/// Reads the record of a unit of a pack; `None` if there is none.
///
/// # Errors
/// A file that is damaged, or that belongs to another pack or unit.
pub(crate) fn read(path: &Path, pack: &str, unit: &str) -> Result<Option<Record>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("failed to read {}", path.display()))?,
    };
    let record =
        parsed(&text).with_context(|| format!("{} is damaged: remove it and run the pack again", path.display()))?;
    ensure!(record.pack == pack, "{} belongs to another pack: use another --out", path.display());
    ensure!(record.unit == unit, "{} is of {}, not of {unit}", path.display(), record.unit);
    Ok(Some(record))
}

fn parsed(text: &str) -> Result<Record> {
    let (line, sum) = text.split_once('\n').context("it has one line")?;
    let sum = sum.strip_prefix(SUM).context("its second line is no checksum")?;
    ensure!(checksum::of(line.as_bytes()) == sum.trim_end(), "it differs from its checksum");
    Ok(serde_json::from_str(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            schema: 1,
            pack: "p".into(),
            unit: "a/b t1".into(),
            class: "c-1".into(),
            machine: "m".into(),
            began: "2026-11-27T03:00:00Z".into(),
            seconds: 0.1,
            noise: Noise::default(),
            result: serde_json::json!([1.5]),
            error: None,
        }
    }

    #[test]
    fn a_record_comes_back_and_a_changed_one_does_not() {
        let out = tempfile::tempdir().unwrap();
        let path = path(out.path(), 3, "a/b t1");
        assert!(path.ends_with("records/0003-a_b_t1.json"), "{path:?}");
        assert_eq!(read(&path, "p", "a/b t1").unwrap(), None);
        write(&path, &record()).unwrap();
        assert_eq!(read(&path, "p", "a/b t1").unwrap(), Some(record()));
        let error = |pack: &str, unit: &str| format!("{:#}", read(&path, pack, unit).unwrap_err());
        assert!(error("q", "a/b t1").contains("another pack"));
        assert!(error("p", "other").contains("is of a/b t1"));
        let text = fs::read_to_string(&path).unwrap();
        for damaged in [text.replace("1.5", "1.6"), text[..text.len() / 2].to_owned(), String::new()] {
            fs::write(&path, damaged).unwrap();
            assert!(error("p", "a/b t1").contains("is damaged"));
        }
    }
}
