//! Other machines and repositories: no user setting is dropped silently, and unusual paths do not stop a comparison.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fake::scripted;
use crate::tools::Tools;
use crate::workspace::{Started, Workspace, turn, verdicts};

fn script() -> Value {
    json!({"benches": [{"id": scripted("g|f")}]})
}

const FIRST: [&str; 6] = ["compare", "--title", "T", "--change", "c", "--json"];

#[test]
fn user_settings_for_benches_apply_or_are_reported_as_unused() {
    let workspace = Workspace::new(&script());
    let config = "[env]\nFROM_CONFIG = \"yes\"\n[target.'cfg(all())']\nrunner = \"nice -n 5\"\n";
    workspace.write(".cargo/config.toml", config);
    workspace.commit("configuration");
    let mut command = workspace.command(&FIRST);
    command
        .env("LD_LIBRARY_PATH", "/opt/blas/lib")
        .env("CARGO_PROFILE_BENCH_DEBUG", "1")
        .env("RUSTFLAGS", "-Cdebuginfo=0");
    let entry = workspace.run(command).expect(0, &[]).json();
    let notes = entry["notes"].to_string();
    for said in [
        "the runner `nice -n 5` of cargo's configuration is not used",
        "LD_LIBRARY_PATH=/opt/blas/lib of the environment is in force on both sides",
        "CARGO_PROFILE_BENCH_DEBUG=1 of the environment is in force on both sides",
        "RUSTFLAGS in the environment is not used",
    ] {
        assert!(notes.contains(said), "no {said:?} in {notes}");
    }
    let diary = workspace.diary();
    let variables = diary.iter().find_map(|line| line["variables"].as_array()).unwrap();
    let variable = |name: &str| variables.iter().find(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap());
    assert_eq!(variable("FROM_CONFIG"), Some("yes"));
    assert!(variable("LD_LIBRARY_PATH").unwrap().ends_with(":/opt/blas/lib"));
}

#[test]
fn paths_may_contain_line_breaks_and_a_compiler_wrapper_spaces() {
    let mut workspace = Workspace::new(&script());
    workspace.rename("two\nlines of it");
    workspace.write("a tool/wrap.sh", "#!/bin/sh\nexec \"$@\"\n");
    let wrapper = workspace.root().join("a tool/wrap.sh");
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    workspace.write(".cargo/config.toml", "[build]\nrustc-wrapper = \"a tool/wrap.sh\"\n");
    workspace.commit("odd paths");
    let first = workspace.assay(&FIRST).expect(0, &[]).json();
    assert_eq!(verdicts(&first), [("g/f".to_owned(), "NEW".to_owned())].into());
    workspace.script(&json!({"benches": [{"id": scripted("g|f"), "times": vec![1.25e6; 10]}]}));
    let second = workspace.assay(&[&FIRST[..], &["--no-log"]].concat()).expect(3, &[]).json();
    assert_eq!(verdicts(&second)["g/f"], "SLOWER");
}

#[test]
fn a_path_dependency_outside_the_repository_is_the_same_on_both_sides_and_reported() {
    let workspace = Workspace::new(&script());
    let outside = workspace.cache().with_file_name("outside");
    fs::create_dir_all(outside.join("src")).unwrap();
    fs::write(outside.join("Cargo.toml"), "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nedition = \"2021\"\n")
        .unwrap();
    fs::write(outside.join("src/lib.rs"), "pub const VALUE: u32 = 1;\n").unwrap();
    let manifest = workspace.read("Cargo.toml");
    workspace.write("Cargo.toml", &format!("{manifest}\n[dependencies]\noutside = {{ path = \"../outside\" }}\n"));
    workspace.write(
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"outside\"\nversion = \"0.1.0\"\n\n\
        [[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\ndependencies = [\n \"outside\",\n]\n",
    );
    let library = |ns: f64| {
        let script = json!({"benches": [{"id": scripted("g|f"), "times": vec![ns; 10]}]});
        workspace.write("src/lib.rs", &format!("pub use outside::VALUE;\n{}", workspace.library(&script)));
    };
    library(1e6);
    workspace.commit("a crate beside the repository");
    library(1.25e6);
    let compare = ["compare", "--base", "HEAD", "--no-log", "--one-link", "--json"];
    let entry = workspace.assay(&compare).expect(3, &[]).json();
    let notes = entry["notes"].to_string();
    assert!(notes.contains("outside at ") && notes.contains("every side uses it as it is now"), "{notes}");
    fs::remove_dir_all(&outside).unwrap();
    workspace.assay(&compare).expect(2, &["Cargo.toml needs outside at", "not there"]);
}

/// Two runs on one repository whose caches, and so the machine's locks, differ: the later one waits for the log.
#[test]
fn runs_with_different_caches_do_not_lose_an_entry() {
    let workspace = Workspace::new(&script());
    let _turn = turn();
    let arguments = |title: &str| ["compare", "--title", title, "--change", "c", "--one-link"].map(str::to_owned);
    let start = |title: &str, cache: &Path| {
        let arguments = arguments(title);
        let mut command = workspace.command(&arguments.each_ref().map(String::as_str));
        command.env("XDG_CACHE_HOME", cache);
        Started::new(command)
    };
    let other: PathBuf = workspace.cache().with_file_name("other cache");
    let started = [start("One", &workspace.cache()), start("Two", &other)];
    for run in started {
        run.finish().expect(0, &["logged"]);
    }
    drop(_turn);
    workspace.assay(&["log", "check"]).expect(0, &["2 entries agree"]);
}

/// An external dependency is compiled for the head and reused by the base.
#[test]
fn the_base_reuses_dependencies_that_the_head_built() {
    let workspace = Workspace::new(&script());
    let checksum = "0".repeat(64);
    // Outside the repository, like cargo's own copies of registry packages.
    let vendor = workspace.cache().with_file_name("vendor");
    fs::create_dir_all(vendor.join("far/src")).unwrap();
    let file = |name: &str, text: &str| fs::write(vendor.join("far").join(name), text).unwrap();
    file("Cargo.toml", "[package]\nname = \"far\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
    file("src/lib.rs", "pub fn far() {}\n");
    file(".cargo-checksum.json", &json!({"files": {}, "package": checksum}).to_string());
    let source =
        format!("[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = {vendor:?}\n");
    workspace.write(".cargo/config.toml", &source);
    let manifest = workspace.read("Cargo.toml");
    workspace.write("Cargo.toml", &format!("{manifest}\n[dependencies]\nfar = \"1\"\n"));
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let lock = format!(
        "version = 4\n\n[[package]]\nname = \"far\"\nversion = \"1.0.0\"\nsource = \"{registry}\"\n\
         checksum = \"{checksum}\"\n\n[[package]]\nname = \"tiny\"\nversion = \"0.1.0\"\n\
         dependencies = [\n \"far\",\n]\n"
    );
    workspace.write("Cargo.lock", &lock);
    workspace.commit("a dependency");
    workspace.script(&json!({"benches": [{"id": scripted("g|f"), "times": vec![1.25e6; 10]}]}));
    let arguments = ["compare", "--title", "T", "--change", "c", "--base", "HEAD", "--one-link", "--no-log"];
    workspace.assay(&arguments).expect(3, &["SLOWER"]);
    let slots = fs::read_dir(workspace.cache().join("assay")).unwrap().map(|entry| entry.unwrap().path());
    let root = slots.into_iter().find(|path| path.is_dir()).unwrap();
    let built = |slot: &str| {
        let deps =
            fs::read_dir(root.join(slot).join("target/release/deps")).unwrap().map(|entry| entry.unwrap().path());
        let library = deps.into_iter().find(|path| path.to_string_lossy().contains("libfar-")).unwrap();
        (library.file_name().unwrap().to_owned(), library.metadata().unwrap().modified().unwrap())
    };
    assert_eq!(built("a"), built("b"), "the base compiled the dependency again");
}

/// `cargo +NAME assay` sets this variable, as a user may. Where it names the workspace's own toolchain, rustup set it.
#[test]
fn a_toolchain_that_the_user_asks_for_builds_both_sides() {
    let workspace = Workspace::new(&script());
    workspace.script(&json!({"benches": [{"id": scripted("g|f"), "times": vec![1.25e6; 10]}]}));
    let tools = Tools::new(&workspace);
    // The proxies choose by the variable; the compiler behind them is the same, under another name.
    tools.script(
        "rustc",
        "toolchain=$RUSTUP_TOOLCHAIN\nunset RUSTUP_TOOLCHAIN\ncase \"$toolchain $*\" in\n\
         fancy\\ -vV | fancy\\ --version)\n    \
         \"$0\" \"$@\" | sed '1s/$/ (fancy)/'\n    exit ;;\nesac",
    );
    tools.script(
        "cargo",
        "echo \"{\\\"toolchain\\\": \\\"$RUSTUP_TOOLCHAIN\\\", \\\"call\\\": \\\"$1\\\", \
         \\\"in\\\": \\\"$PWD\\\"}\" >>\"$diary\"\nunset RUSTUP_TOOLCHAIN",
    );
    let compare = |toolchain: &str| {
        let arguments =
            ["compare", "--title", "T", "--change", "c", "--base", "HEAD", "--no-log", "--one-link", "--json"];
        let mut command = tools.first(workspace.command(&arguments));
        command.env("RUSTUP_TOOLCHAIN", toolchain);
        let entry = workspace.run(command).expect(3, &[]).json();
        let builds = tools.diary().into_iter().filter(|line| line["call"] == "bench");
        let builds: Vec<(String, bool)> = builds
            .map(|line| {
                (line["toolchain"].as_str().unwrap().to_owned(), line["in"].as_str().unwrap().ends_with("/a/tree"))
            })
            .collect();
        tools.forget();
        (entry["notes"].to_string(), builds)
    };
    let (notes, builds) = compare("fancy");
    assert!(notes.contains("both sides are built with the toolchain fancy, as asked"), "{notes}");
    assert!(builds.iter().all(|(toolchain, _)| toolchain == "fancy"), "{builds:?}");
    assert!([true, false].iter().all(|side| builds.iter().any(|(_, is_a)| is_a == side)), "{builds:?}");
    let (notes, builds) = compare("the-workspaces-own");
    assert!(!notes.contains("toolchain"), "{notes}");
    assert!(builds.len() == 2 && builds.iter().all(|(toolchain, _)| toolchain.is_empty()), "{builds:?}");
}
