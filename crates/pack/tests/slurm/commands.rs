//! `run NAME --slurm` and `compare --slurm` as a user calls them, from the build to what is kept, in a small workspace
//! of a scripted `assay` and a scripted benchmark.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use compare::cli;
use compare::comparison::Invocation;
use compare::exit;
use pack::slurm::{self, OrSlurm};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// A cell that takes no time, and a report that counts rows. The cell `own` also says what the user's file holds.
const ASSAY: &str = r##"
use std::{env, fs};

fn main() {
    let words: Vec<String> = env::args().collect();
    if words[1] == "report" {
        let rows = fs::read_to_string(&words[4]).unwrap();
        println!("report of {} rows, {} with the user's text", rows.lines().count(), rows.matches("the user's text").count());
        if let Some(out) = words.get(6) {
            fs::write(format!("{out}/scenario-{}.md", words[2]), "report").unwrap();
        }
        return;
    }
    let own = env::var("ASSAY_OWN_PATH").map(|path| fs::read_to_string(path).unwrap()).unwrap_or_default();
    let metric = r#"{"name":"work_s","value":0.5,"unit":"seconds","direction":"lower_is_better","n":1,"low":null,"high":null}"#;
    let (scenario, cell) = (&words[2], &words[3]);
    let ran = format!(r#""ran":{{"own":"{own}"}}"#);
    fs::write(&words[5], format!(r#"{{"schema":1,"scenario":"{scenario}","cell":"{cell}",{ran},"metrics":[{metric}]}}"#)).unwrap();
}
"##;

/// Becomes the real `run`, which finds its pack by its own path: so it is copied into the pack first.
const RUN: &str = r#"
use std::{env, fs, os::unix::process::CommandExt, process};

fn main() {
    let real = env::current_exe().unwrap().with_file_name("run-program");
    if !real.exists() {
        let part = real.with_file_name(format!("run-program-{}", process::id()));
        fs::copy(PROGRAM, &part).unwrap();
        fs::rename(&part, &real).unwrap();
    }
    panic!("{}", process::Command::new(real).args(env::args_os().skip(1)).exec());
}
"#;

/// The bench becomes the scripted benchmark of `compare`'s own tests, with the script that the library holds.
const BENCH: &str = r#"
use std::os::unix::process::CommandExt;

fn main() {
    // The name by which the tool knows a criterion program.
    let _ = std::hint::black_box("CARGO_CRITERION_PORT");
    let mut fake = std::process::Command::new(PROGRAM);
    // The name by which it was started tells the layout.
    fake.arg0(std::env::args_os().next().unwrap()).args(std::env::args_os().skip(1));
    panic!("{}", fake.env("FAKE_BENCH", tiny::SCRIPT).exec());
}
"#;

const MANIFEST: &str = "[workspace]\nmembers = [\"assay\", \"pack\", \"tiny\"]\nresolver = \"3\"\n\
    [profile.pack-run]\ninherits = \"release\"\n[profile.bench]\nopt-level = 0\n";

const TINY: &str = "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[lib]\nbench = false\n\
    [[bench]]\nname = \"t\"\nharness = false\n";

const MATRIX: &str = "title = 'Fake'\nprimary = 'work_s'\nruns = 2\nlimit_s = 60\n[[axis]]\nname = 'a'\n\
    values = ['x', 'y', 'own']\n[smoke]\n[default]\na = ['x', 'y']\n[full]\n";

/// Name of the child's test, and the variable by which it finds its work.
const CHILD: (&str, &str) = ("commands::calls_a_command_in_a_process_of_its_own", "ASSAY_TEST_SLURM_COMMAND");

#[derive(Debug, clap::Parser)]
#[expect(clippy::large_enum_variant, reason = "one value per process")]
enum Line {
    Run(OrSlurm<scenarios::Arguments>),
    Compare(OrSlurm<cli::Compare>),
}

/// Not a test by itself: a command of `cargo xtask`, in a directory and with variables of its own.
#[test]
#[ignore = "started by the other test"]
fn calls_a_command_in_a_process_of_its_own() {
    let Ok(words) = std::env::var(CHILD.1) else { return };
    let invocation = Invocation::of_process("cargo xtask").unwrap();
    let root = invocation.directory.clone();
    let result = match Line::parse_from(["x"].into_iter().chain(words.split('\n'))) {
        Line::Run(arguments) => slurm::run(&invocation, &root, &arguments),
        Line::Compare(arguments) => slurm::compare(&invocation, &root, &arguments),
    };
    match result {
        Ok(exit) => invocation.console.error(&format!("ENDED {}", exit.code())),
        Err(error) => invocation.console.error(&format!("ENDED {} {error:#}", exit::of_error(&error).code())),
    }
}

/// A workspace in a repository of its own, which all nodes of the cluster see.
struct Workspace<'a> {
    cluster: &'a Cluster,
    root: PathBuf,
}

impl<'a> Workspace<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let workspace = Self { cluster, root: cluster.file("workspace") };
        let package = |name: &str| format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
        // As cargo writes it: another text would be uncommitted work after the first build.
        let locked = |name: &str| format!("\n[[package]]\nname = \"{name}\"\nversion = \"0.1.0\"\n");
        let lock =
            "# This file is automatically @generated by Cargo.\n# It is not intended for manual editing.\nversion = 4\n"
                .to_owned() + &["assay", "pack", "tiny"].map(locked).concat();
        let program = |text: &str, path: &Path| text.replace("PROGRAM", &format!("{path:?}"));
        for (path, text) in [
            ("Cargo.toml", MANIFEST.to_owned()),
            ("Cargo.lock", lock),
            (".gitignore", "/target\n".to_owned()),
            ("assay/Cargo.toml", package("assay")),
            ("assay/src/main.rs", ASSAY.to_owned()),
            ("pack/Cargo.toml", package("pack") + "[[bin]]\nname = \"run\"\npath = \"run.rs\"\n"),
            ("pack/run.rs", program(RUN, Path::new(env!("CARGO_BIN_EXE_run")))),
            ("tiny/Cargo.toml", TINY.to_owned()),
            ("tiny/benches/t.rs", program(BENCH, &fake_bench())),
            ("benches/scenarios/fake.toml", MATRIX.to_owned()),
        ] {
            workspace.write(path, &text);
        }
        workspace.script(1e6);
        workspace.git(&["init", "-q"]);
        workspace.commit();
        workspace
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The benchmark that changes takes so many nanoseconds.
    fn script(&self, ns: f64) {
        let bench = |name: &str, ns: f64| json!({"id": ["g", name, null], "times": vec![ns; 10]});
        let script = json!({"benches": [bench("changed", ns), bench("same", 1e6)]});
        self.write("tiny/src/lib.rs", &format!("pub const SCRIPT: &str = r##\"{script}\"##;\n"));
    }

    fn git(&self, words: &[&str]) {
        let mut git = compare::command::git_in(&self.root);
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(words);
        compare::command::run(&mut git).unwrap();
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "state"]);
    }

    /// What a command prints, and what it says beside.
    fn call(&self, words: &[&str]) -> (String, String) {
        let mut command = self.cluster.command(std::env::current_exe().unwrap().to_str().unwrap());
        command.args(["--ignored", "--exact", CHILD.0, "--nocapture"]).env(CHILD.1, words.join("\n"));
        command
            .current_dir(&self.root)
            .env("XDG_CACHE_HOME", self.cluster.file("cache"))
            .env_remove("CARGO_TARGET_DIR");
        let output = command.output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).into()
    }

    /// Files below `baselines/` whose names end so.
    fn kept(&self, end: &str) -> Vec<PathBuf> {
        let classes = fs::read_dir(self.root.join("baselines")).into_iter().flatten().flatten();
        let files = classes.flat_map(|class| fs::read_dir(class.path()).into_iter().flatten().flatten());
        files.map(|file| file.path()).filter(|path| path.to_string_lossy().ends_with(end)).collect()
    }
}

/// The scripted benchmark, an example of `compare`, with the features that the tests of the workspace give it.
fn fake_bench() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let arguments = ["build", "--package", "xtask", "--package", "compare", "--example", "fake_bench"];
    peers::programs_of(&root, "example", &arguments).unwrap().remove(0).1
}

/// A scenario is built, measured and kept; the report of a part is shown, and a file of the user's travels along.
pub(crate) fn a_scenario_is_measured_and_kept(cluster: &Cluster) {
    let workspace = Workspace::new(cluster);
    let (report, said) = workspace.call(&["run", "fake", "--slurm", "--poll", "0.2s"]);
    assert!(said.contains("ENDED 0") && said.contains("submitted 2 tasks as job"), "{said}");
    assert!(report.contains("report of 4 rows"), "{report}");
    let rows = fs::read_to_string(&workspace.kept("scenario-fake.jsonl")[0]).unwrap();
    assert_eq!(rows.lines().count(), 4);
    assert_eq!(workspace.kept("scenario-fake.md").len(), 1);

    // What is kept does not make another state, and what is measured is not measured again.
    let (report, said) = workspace.call(&["run", "fake", "--slurm", "--poll", "0.2s"]);
    assert!(said.contains("going on with the job in") && !said.contains("submitted"), "{said}");
    assert!(report.contains("report of 4 rows"), "{report}");

    let own = cluster.file("users.txt");
    fs::write(&own, "the user's text").unwrap();
    let setting = format!("a={}", own.display());
    let (report, said) = workspace.call(&["run", "fake", "--set", &setting, "--slurm", "--poll", "0.2s"]);
    assert!(said.contains("ENDED 0") && report.contains("report of 2 rows, 2 with the user's text"), "{report}{said}");
}

/// A comparison is logged as at home, or printed as JSON, with the exit code of a regression.
pub(crate) fn a_comparison_is_measured_and_logged(cluster: &Cluster) {
    let workspace = Workspace { cluster, root: cluster.file("workspace") };
    workspace.script(1.2e6);
    let fixed = ["compare", "--base", "HEAD", "-p", "tiny", "--wait", "0s", "--slurm", "--poll", "0.2s"];
    let (report, said) = workspace.call(&[&fixed[..], &["--title", "T", "--change", "c"]].concat());
    assert!(said.contains("ENDED 3") && said.contains("submitted 2 tasks as job"), "{said}");
    assert!(report.contains("changed   | SLOWER  |     +20.0 %"), "{report}");
    let log = fs::read_to_string(workspace.root.join("BENCHMARKS.md")).unwrap();
    assert!(
        log.contains("## T") && log.contains("measured by Slurm, each benchmark on one node; nodes: node"),
        "{log}"
    );
    assert_eq!(fs::read_dir(workspace.root.join("target/slurm")).unwrap().count(), 2, "its folder is removed");

    let (printed, said) = workspace.call(&[&fixed[..], &["--no-log", "--json"]].concat());
    assert!(said.contains("ENDED 3"), "{said}");
    let json = &printed[printed.find('{').unwrap()..=printed.rfind('}').unwrap()];
    let entry: Value = serde_json::from_str(json).unwrap();
    let verdict = |id: &str| {
        let row = entry["rows"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
        row["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!((verdict("g/changed"), verdict("g/same")), ("SLOWER".to_owned(), "SAME".to_owned()), "{json}");
    assert_eq!(entry["exit"], 3);
}
