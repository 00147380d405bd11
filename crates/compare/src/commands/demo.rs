//! `demo`: a slowdown planted in a small workspace of its own is caught, explained and undone.
//!
//! The workspace is written into a temporary directory and has two benchmarks of criterion. Each step says in plain
//! words what it does and then runs the very `compare` that a user would run. Nothing is left: neither the workspace
//! nor its slots in the user's cache directory, and the user's own tree is never looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use super::compare::compared;
use crate::cli::{Compare, Demo};
use crate::command::{self, Interrupt};
use crate::comparison::{Invocation, Outcome};
use crate::exit::{Exit, usage};
use crate::judge::Verdict;
use crate::repo::Git;
use crate::report::{Entry, text};
use crate::slot::Slots;

const MANIFEST: &str = r#"[package]
name = "demo"
version = "0.1.0"
edition = "2021"

[lib]
bench = false

[dev-dependencies]
criterion = { version = "0.8.2", default-features = false, features = ["cargo_bench_support"] }

[[bench]]
name = "text"
harness = false

[workspace]
"#;

const LIBRARY: &str = "\
//! Two functions about text.

/// How many words there are.
pub fn words(text: &str) -> usize {
    text.split_ascii_whitespace().count()
}

/// How many digits there are.
pub fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}
";

/// What is planted: a refactoring that reads as well as before, and collects what it only has to count.
const PLANTED: [&str; 2] = [
    "    text.split_ascii_whitespace().count()\n",
    "    let words: Vec<&str> = text.split_ascii_whitespace().collect();\n    words.len()\n",
];

const BENCH: &str = r#"use std::hint::black_box;

use criterion::{criterion_group, criterion_main, Criterion};

fn text(c: &mut Criterion) {
    let text = "in 1969 three people flew to the moon and back ".repeat(500);
    c.bench_function("words", |b| b.iter(|| demo::words(black_box(&text))));
    c.bench_function("digits", |b| b.iter(|| demo::digits(black_box(&text))));
}

criterion_group!(benches, text);
criterion_main!(benches);
"#;

/// Title of the demonstration's log.
const TITLE: &str = "Counting words";

/// A `compare` as a user types it.
#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    compare: Compare,
}

/// Runs the command.
pub fn demo(invocation: &Invocation, arguments: &Demo) -> Result<Exit> {
    let started = Instant::now();
    let say = |text: &str| invocation.console.print(text);
    let stage = Stage::set(invocation)?;
    say(&format!(
        "A small workspace with two benchmarks is in {}.\nYour own files are not touched{}.\n",
        stage.directory().display(),
        if arguments.keep { "" } else { ", and nothing is left behind" }
    ))?;
    say("1. Record the state as it is. (The first time, criterion is built for it.)")?;
    stage.compare("as it is", &[])?;
    say(&format!("\n2. Plant a slowdown that looks harmless:\n\n{}", stage.plant()?))?;
    say("\n   Compare: both states are built and measured now, in turns, in fresh processes.\n")?;
    let caught = stage.compare("collect the words first", &[])?;
    say(&explained(&caught))?;
    say("\n3. Undo it, and compare with the recorded state.\n")?;
    stage.undo()?;
    let undone = stage.compare("undo it", &["--base", "HEAD", "--no-log"])?;
    let is =
        |entry: &Entry, id: &str, verdict: Verdict| entry.rows.iter().any(|row| row.id == id && row.verdict == verdict);
    let restored = undone.rows.iter().all(|row| row.verdict == Verdict::Same);
    say(if restored { "\nBoth sides are the same again." } else { "\nThe two sides are not proven to be the same." })?;
    if arguments.keep {
        let kept = stage.keep();
        say(&format!("The workspace stays in {} with its log, BENCHMARKS.md.", kept.display()))?;
    }
    say(&format!(
        "\nMeasuring the change took {}; all of this took {}.\n\
         In your own workspace: {} gate --base main, or {} compare --help.",
        text::minutes(caught.measured_s),
        text::minutes(started.elapsed().as_secs_f64()),
        invocation.called,
        invocation.called
    ))?;
    Ok(if is(&caught, "words", Verdict::Slower) && restored { Exit::Fine } else { Exit::NoVerdict })
}

/// What the table says, in words.
fn explained(entry: &Entry) -> String {
    let row = entry.rows.iter().find(|row| row.id == "words");
    let Some(row) = row.filter(|row| row.verdict == Verdict::Slower) else {
        return "\nThe slowdown was not proven this time: the machine is too busy for so short a comparison. \
            Nothing is called\nslower without proof; try again when less else is running."
            .to_owned();
    };
    format!(
        "\nCaught: the time of `words` changed by {} ({}), and even the near end of that interval is beyond\n\
         the margin. `digits`, which nobody changed, is not called slower. A gate ends with exit code {} here.\n\
         The reason stands in the change above: it allocates a list to count what it could count at once.",
        row.shown_effect(),
        row.shown_interval(),
        Exit::Regression.code()
    )
}

/// The workspace of the demonstration. Dropped, it takes everything with it.
struct Stage {
    invocation: Invocation,
    directory: Option<tempfile::TempDir>,
    slots: PathBuf,
}

impl Stage {
    fn set(invocation: &Invocation) -> Result<Self> {
        let directory =
            tempfile::Builder::new().prefix("assay-demo-").tempdir().context("failed to make a temporary directory")?;
        let root = directory.path().canonicalize().context("the temporary directory is gone")?;
        for (name, text) in
            [("Cargo.toml", MANIFEST), ("src/lib.rs", LIBRARY), ("benches/text.rs", BENCH), (".gitignore", "/target\n")]
        {
            let path = root.join(name);
            path.parent()
                .map_or(Ok(()), fs::create_dir_all)
                .context("failed to make a directory of the demonstration")?;
            fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        lock_dependencies(&root)?;
        git(&root, &["init", "--quiet", "--initial-branch=main"])?;
        git(&root, &["add", "-A"])?;
        git(&root, &["commit", "--quiet", "--no-verify", "-m", "count words and digits"])?;
        let slots = Slots::open(&invocation.cache()?, &Git::discover(&root)?)?.root().to_owned();
        let invocation = Invocation {
            variables: invocation.variables.clone(),
            directory: root,
            called: invocation.called.clone(),
            console: crate::console::Console::standard(),
            interrupt: Interrupt::clone(&invocation.interrupt),
        };
        Ok(Self { invocation, directory: Some(directory), slots })
    }

    fn directory(&self) -> &Path {
        &self.invocation.directory
    }

    /// Compares as a user would.
    fn compare(&self, change: &str, more: &[&str]) -> Result<Entry> {
        let words = ["compare", "--title", TITLE, "--change", change, "--one-link", "--wait", "10s"];
        let line =
            Line::try_parse_from(words.iter().chain(more)).context("the demonstration's own command is wrong")?;
        match compared(&self.invocation, &line.compare)? {
            Outcome::Measured(entry) => Ok(*entry),
            Outcome::Planned(_) => bail!("the demonstration's own command is a dry run"),
        }
    }

    /// Plants the slowdown; returns the change as git shows it.
    fn plant(&self) -> Result<String> {
        let path = self.directory().join("src/lib.rs");
        fs::write(&path, LIBRARY.replace(PLANTED[0], PLANTED[1])).context("failed to plant the slowdown")?;
        let change = git(self.directory(), &["diff", "--no-color", "--unified=1", "src/lib.rs"])?;
        let lines = change.lines().skip_while(|line| !line.starts_with("@@")).skip(1);
        Ok(lines.map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n"))
    }

    fn undo(&self) -> Result<()> {
        fs::write(self.directory().join("src/lib.rs"), LIBRARY).context("failed to undo the change")
    }

    /// Leaves the workspace where it is.
    fn keep(mut self) -> PathBuf {
        self.directory.take().map_or_else(PathBuf::new, tempfile::TempDir::keep)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The workspace goes with its directory; a slot that cannot be removed is only disk space in a cache.
        let _ = fs::remove_dir_all(&self.slots);
    }
}

/// Writes Cargo.lock, from the registry or, without a network, from what cargo has already.
fn lock_dependencies(root: &Path) -> Result<()> {
    let lock = |more: &[&str]| command::run(command::in_directory("cargo", root).arg("generate-lockfile").args(more));
    if lock(&[]).is_ok() {
        return Ok(());
    }
    let offline = lock(&["--offline"]);
    offline.map(drop).map_err(|error| {
        usage(format!("the demonstration needs criterion from the registry, which cargo cannot reach:\n{error:#}"))
    })
}

/// Git in the demonstration's repository, under a name of its own and without the user's hooks and signatures.
fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let own = [
        "user.name=Demonstration",
        "user.email=demonstration@example.invalid",
        "commit.gpgsign=false",
        "core.hooksPath=/dev/null",
    ];
    let mut command = command::git_in(root);
    for setting in own {
        command.args(["-c", setting]);
    }
    command::stdout_of(command.args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planted_change_is_one_of_the_library() {
        assert_eq!(LIBRARY.matches(PLANTED[0]).count(), 1);
    }

    #[test]
    fn the_commands_of_the_demonstration_parse() {
        for more in [&[][..], &["--base", "HEAD", "--no-log"]] {
            let words = ["compare", "--title", TITLE, "--change", "c", "--one-link", "--wait", "10s"];
            Line::try_parse_from(words.iter().chain(more)).unwrap();
        }
    }

    #[test]
    fn what_is_not_proven_is_not_claimed() {
        let mut entry = crate::report::example_entry();
        assert!(explained(&entry).contains("not proven"));
        entry.rows[0].id = "words".into();
        let said = explained(&entry);
        assert!(said.contains("+12.7 %") && said.contains("exit code 3"), "{said}");
    }
}
