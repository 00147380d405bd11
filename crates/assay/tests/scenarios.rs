//! The commands of scenarios, as a tool or a batch scheduler calls them.

use std::path::Path;
use std::process::{Command, Output};

use record::CellRecord;
use scenario::{Provenance, Row};

const CELL: &str = "access=read,cache=warm,size_mib=4";

fn assay(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assay")).args(arguments).current_dir(directory).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn cells_are_listed_by_level_and_restricted_by_axis() {
    let here = Path::new(".");
    let list = |arguments: &[&str]| stdout(&assay(&[&["cells"], arguments].concat(), here));
    assert!(list(&[]).lines().any(|name| name == "gguf-load"));
    let smoke = list(&["gguf-load", "--smoke"]);
    assert!(smoke.lines().any(|cell| cell == CELL), "{smoke}");
    assert_eq!(list(&["gguf-load", "--smoke", "--own", "--set", "access=read"]), format!("{CELL}\n"));
    assert!(list(&["gguf-load", "--full"]).lines().count() > list(&["gguf-load"]).lines().count());
    for (arguments, part) in [
        (&["cells", "nothing"][..], "there is no scenario `nothing`"),
        (&["cells", "gguf-load", "--set", "size=4"], "there is no axis `size`"),
        (&["cells", "gguf-load", "--set", "size_mib=4"], "of [smoke] do"),
    ] {
        let output = assay(arguments, here);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(part), "{}", stderr(&output));
    }
    assert_eq!(assay(&["cells", "gguf-load", "--set", "nonsense"], here).status.code(), Some(2));
}

#[test]
fn a_cell_leaves_one_record_and_its_report_can_be_made() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    // A record of an earlier run is replaced.
    std::fs::write(here.join("record.json"), "old").unwrap();
    stdout(&assay(&["cell", "gguf-load", CELL, "--out", "record.json"], here));
    assert_eq!(std::fs::read_dir(here).unwrap().count(), 1, "nothing but the record");
    let record: CellRecord = serde_json::from_slice(&std::fs::read(here.join("record.json")).unwrap()).unwrap();
    assert_eq!((record.scenario.as_str(), record.cell.as_str(), record.fault()), ("gguf-load", CELL, None));
    assert!(record.cost().is_some() && record.proof.is_some() && record.ran["access"] == "read");
    let heap = record.value("peak_heap_bytes").unwrap();
    assert!((4..8).contains(&(heap as u64 >> 20)), "the file is copied once: {heap}");

    let (made, began) = (Provenance { label: "revision 1a".into(), ..Provenance::default() }, String::new());
    let row = Row { schema: 1, run: 1, place: 1, began, process_s: 1.0, made, record };
    std::fs::write(here.join("rows.jsonl"), serde_json::to_string(&row).unwrap() + "\n").unwrap();
    let text = stdout(&assay(&["report", "gguf-load", "--rows", "rows.jsonl", "--out", "."], here));
    assert!(text.contains("# Loading a GGUF file") && text.contains("revision 1a") && text.contains(CELL), "{text}");
    assert_eq!(std::fs::read_to_string(here.join("scenario-gguf-load.md")).unwrap(), text);
    let figure = std::fs::read_to_string(here.join("scenario-gguf-load-times.svg")).unwrap();
    assert!(figure.starts_with("<svg ") && figure.contains("4 MiB, warm"));
}

#[test]
fn what_is_no_cell_or_cannot_be_written_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for cell in ["access=read", "access=read,cache=warm,size_mib=5", "../x", ""] {
        let output = assay(&["cell", "gguf-load", cell, "--out", "record.json"], here);
        assert_eq!(output.status.code(), Some(1), "{cell}: {}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(here).unwrap().count(), 0);
    let output = assay(&["cell", "gguf-load", CELL, "--out", "missing/record.json"], here);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("failed to write"), "{}", stderr(&output));
    for (rows, part) in [(None, "cargo xtask run gguf-load"), (Some(""), "no rows"), (Some("{}\n"), "schema missing")] {
        std::fs::write(here.join("rows.jsonl"), rows.unwrap_or_default()).unwrap();
        let path = if rows.is_some() { "rows.jsonl" } else { "none.jsonl" };
        let output = assay(&["report", "gguf-load", "--rows", path], here);
        assert!(output.status.code() == Some(1) && stderr(&output).contains(part), "{}", stderr(&output));
    }
}

/// Reports and figures below `baselines/` that are not what `assay report` makes of the rows beside them.
fn stale(root: &Path) -> Vec<String> {
    let mut stale = Vec::new();
    for class in std::fs::read_dir(root.join("baselines")).unwrap().flatten().map(|entry| entry.path()) {
        for path in std::fs::read_dir(&class).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(name) = name.strip_prefix("scenario-").and_then(|name| name.strip_suffix(".jsonl")) else {
                continue;
            };
            let made = tempfile::tempdir().unwrap();
            let arguments = ["report", name, "--rows", path.to_str().unwrap(), "--out", made.path().to_str().unwrap()];
            stdout(&assay(&arguments, root));
            for file in std::fs::read_dir(made.path()).unwrap().flatten() {
                let kept = class.join(file.file_name());
                if std::fs::read(&kept).ok() != std::fs::read(file.path()).ok() {
                    stale.push(kept.display().to_string());
                }
            }
        }
    }
    stale
}

#[test]
fn what_is_kept_is_what_its_rows_say() {
    let directory = tempfile::tempdir().unwrap();
    let class = directory.path().join("baselines/a-class");
    std::fs::create_dir_all(&class).unwrap();
    let mut record = CellRecord::empty("gguf-load", CELL);
    record.ran.insert("access".into(), "read".into());
    let row =
        Row { schema: 1, run: 1, place: 1, began: String::new(), process_s: 1.0, made: Provenance::default(), record };
    let rows = class.join("scenario-gguf-load.jsonl");
    std::fs::write(&rows, serde_json::to_string(&row).unwrap() + "\n").unwrap();
    assert_eq!(stale(directory.path()).len(), 2, "report and figure are missing");
    let (rows, out) = (rows.to_str().unwrap(), class.to_str().unwrap());
    stdout(&assay(&["report", "gguf-load", "--rows", rows, "--out", out], directory.path()));
    assert_eq!(stale(directory.path()), [] as [String; 0]);
    std::fs::write(class.join("scenario-gguf-load.md"), "faster").unwrap();
    assert_eq!(stale(directory.path()).len(), 1);

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let stale = stale(root);
    assert!(stale.is_empty(), "`cargo xtask run NAME` writes these again: {stale:?}");
}
