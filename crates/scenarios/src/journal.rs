//! The rows of a run, on disk from the moment that their process ended.
//!
//! The journal lies in the tool's cache directory, for each clone, machine class and scenario. It holds rows of one
//! state: the same revision and uncommitted work, program, matrix, compiler and machine class. Rows of another state
//! are not used, and dropped when rows of this one are added. A row with an error does not count as finished. Lines
//! that are no rows are not used either, and named with their numbers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use record::{SCHEMA, jsonl};
use scenario::{Cell, Provenance, Row};

/// The rows of one state.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    rows: Vec<Row>,
}

/// Path of a journal.
pub(crate) fn path(cache: &Path, root: &Path, (class, name): (&str, &str)) -> PathBuf {
    let clone = scenario::hash(root.as_os_str().as_encoded_bytes());
    cache.join("scenarios").join(clone).join(class).join(format!("{name}.jsonl"))
}

impl Journal {
    /// Reads what there is of the state `made`, without rows of other states. Also says which lines are no rows: half a
    /// row at the end, where a run was killed, or foreign bytes.
    pub(crate) fn open(path: &Path, made: &Provenance) -> Result<(Self, Vec<jsonl::Error>)> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.with_context(|| format!("failed to read {}", path.display()))?,
        };
        let mut journal = Self { path: path.to_owned(), rows: Vec::new() };
        let mut faults = Vec::new();
        for row in jsonl::each::<Row>(&bytes, path, SCHEMA) {
            match row {
                Ok(row) if row.made.is_same_state(made) => journal.put(row),
                Ok(_) => {}
                Err(fault) => faults.push(fault),
            }
        }
        Ok((journal, faults))
    }

    /// Makes the file hold these rows and no others, before rows are added.
    pub(crate) fn begin(&self) -> Result<()> {
        let directory = self.path.parent().context("the journal has no directory")?;
        fs::create_dir_all(directory).with_context(|| format!("failed to make {}", directory.display()))?;
        jsonl::write(&self.path, &self.rows).map_err(|error| anyhow!("{error}; is the disk full?"))
    }

    /// Every row, the newest of each process of a cell.
    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows of these cells, up to a number of processes.
    pub(crate) fn of(&self, cells: &[Cell], runs: u32) -> Vec<&Row> {
        let names: Vec<String> = cells.iter().map(Cell::to_string).collect();
        self.rows.iter().filter(|row| row.run <= runs && names.contains(&row.record.cell)).collect()
    }

    /// How many processes of these cells are finished.
    pub(crate) fn count(&self, cells: &[Cell], runs: u32) -> usize {
        self.of(cells, runs).iter().filter(|row| row.is_measured()).count()
    }

    /// Whether a process of a cell has numbers.
    pub(crate) fn is_finished(&self, cell: &Cell, run: u32) -> bool {
        let cell = cell.to_string();
        self.rows.iter().any(|row| row.run == run && row.record.cell == cell && row.is_measured())
    }

    /// Drops the rows of these cells.
    pub(crate) fn forget(&mut self, cells: &[Cell]) {
        let names: Vec<String> = cells.iter().map(Cell::to_string).collect();
        self.rows.retain(|row| !names.contains(&row.record.cell));
    }

    /// Adds a row; it is in the file when this returns.
    pub(crate) fn add(&mut self, row: Row) -> Result<()> {
        let appended = jsonl::append(&self.path, &row);
        self.put(row);
        // A run that filled the disk leaves half a row; the others are whole.
        appended.map_err(|error| {
            anyhow!("{error}; is the disk full? The rows before are kept: run the same command to continue")
        })
    }

    fn put(&mut self, row: Row) {
        self.rows.retain(|old| (old.run, &old.record.cell) != (row.run, &row.record.cell));
        self.rows.push(row);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use record::CellRecord;

    use super::*;

    pub(crate) fn made() -> Provenance {
        Provenance {
            revision: "1a".into(),
            label: "1a first".into(),
            dirty: false,
            matrix: "m".into(),
            program: "p".into(),
            machine: "c".into(),
            processor: "a processor".into(),
            toolchain: "rustc".into(),
            seed: 1,
        }
    }

    pub(crate) fn row(cell: &str, run: u32) -> Row {
        let record = CellRecord::empty("s", cell);
        let began = "2026-11-26T15:00:00Z".to_owned();
        Row { schema: SCHEMA, run, place: 1, began, process_s: 1.0, made: made(), record }
    }

    fn cell(text: &str) -> Cell {
        text.parse().unwrap()
    }

    fn open(path: &Path, made: &Provenance) -> Journal {
        let (journal, faults) = Journal::open(path, made).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        journal
    }

    pub(crate) fn begun(path: &Path) -> Journal {
        let journal = open(path, &made());
        journal.begin().unwrap();
        journal
    }

    #[test]
    fn a_journal_goes_on_and_the_newest_row_of_a_process_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = path(directory.path(), Path::new("/w"), ("c", "s"));
        let mut journal = begun(&path);
        let mut failed = row("a=2", 1);
        failed.record.error = Some("killed".into());
        for row in [row("a=1", 1), row("a=1", 2), failed] {
            journal.add(row).unwrap();
        }
        let mut journal = open(&path, &Provenance { seed: 2, label: "x".into(), ..made() });
        let cells = [cell("a=1"), cell("a=2")];
        assert_eq!((journal.rows().len(), journal.count(&cells, 2)), (3, 2));
        assert!(journal.is_finished(&cells[0], 2) && !journal.is_finished(&cells[0], 3));
        assert!(!journal.is_finished(&cells[1], 1), "an error is not finished");
        journal.add(row("a=2", 1)).unwrap();
        assert_eq!((journal.rows().len(), journal.of(&cells, 1).len()), (3, 2));
        journal.forget(&cells[..1]);
        journal.begin().unwrap();
        assert_eq!(open(&path, &made()).rows().len(), 1);
    }

    #[test]
    fn rows_of_another_state_are_not_used() {
        for change in [
            |made: &mut Provenance| made.revision = "x".into(),
            |made: &mut Provenance| made.matrix = "x".into(),
            |made: &mut Provenance| made.program = "x".into(),
            |made: &mut Provenance| made.machine = "x".into(),
            |made: &mut Provenance| made.toolchain = "x".into(),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("j.jsonl");
            begun(&path).add(row("a=1", 1)).unwrap();
            let mut other = made();
            change(&mut other);
            let journal = open(&path, &other);
            assert!(!journal.is_finished(&cell("a=1"), 1));
            assert!(open(&path, &made()).is_finished(&cell("a=1"), 1), "looking changes nothing");
            journal.begin().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "");
        }
    }

    /// Lines that are no rows cost the rows beside them nothing, and are named.
    #[test]
    fn half_a_row_and_foreign_bytes_do_not_stop_a_run_and_are_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("j.jsonl");
        let mut journal = begun(&path);
        journal.add(row("a=1", 1)).unwrap();
        journal.add(row("a=1", 2)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let [first, second] = text.lines().collect::<Vec<_>>()[..] else { panic!("two rows") };
        let newer = second.replacen("\"schema\":", "\"schema\":9", 1);
        let damaged = format!("{first}\nnonsense\n{newer}\n{second}\n{}", &first[..first.len() / 2]);
        fs::write(&path, damaged).unwrap();
        let (journal, faults) = Journal::open(&path, &made()).unwrap();
        assert_eq!(journal.rows().len(), 2);
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(said.len() == 3 && said[0].contains("j.jsonl:2: not a row"), "{said:?}");
        assert!(said[1].contains("j.jsonl:3: schema 9") && said[2].contains("j.jsonl:5: "), "{said:?}");
        journal.begin().unwrap();
        assert_eq!(open(&path, &made()).rows().len(), 2);
        assert!(Journal::open(directory.path(), &made()).is_err(), "what cannot be read is no empty journal");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_named() {
        // Every write to this device fails for lack of space.
        let mut journal = Journal { path: "/dev/full".into(), rows: Vec::new() };
        let error = journal.add(row("a=1", 1)).unwrap_err().to_string();
        assert!(error.contains("is the disk full?"), "{error}");
    }
}
