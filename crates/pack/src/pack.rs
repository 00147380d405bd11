//! `cargo xtask pack WHAT`: builds, and writes a folder that is measured elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use compare::cli;
use compare::command;
use compare::comparison::Invocation;
use compare::exit::Exit;
use peers::Choice;
use record::Unit;

use crate::folder::{Folder, MOST_BYTES};
use crate::kind;
use crate::manifest::{Manifest, SCHEMA};

/// `pack`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: Packable,
}

/// What can be packed.
#[derive(Debug, Clone, clap::Subcommand)]
pub(crate) enum Packable {
    /// Our kernels beside other people's code, as `peers` times them
    ///
    /// Peers in Python run with the Python of the other machine; compiled ones travel along. One that cannot becomes
    /// rows with the reason.
    Peers {
        /// The op, as in `peers/OP.toml`
        op: String,
        #[command(flatten)]
        choice: Choice,
    },
    /// Two revisions, as `compare` compares them; `import` logs the entry
    ///
    /// Both sides are built and linked again here. On the other machine they are proved and timed, block by block.
    Compare(Box<cli::Compare>),
    /// The cells of a scenario, as `run` runs them
    Scenario {
        /// The scenario, as in `benches/scenarios/NAME.toml`
        name: String,
        #[command(flatten)]
        choice: scenarios::Choice,
        /// Take the loader of Vulkan drivers of this machine along
        #[arg(long)]
        with_loader: bool,
    },
    /// The benchmarks of a package by themselves, as a baseline table
    ///
    /// The programs say on the other machine which benchmarks they have there, so that kernels for a device are found
    /// where the device is.
    Bench {
        /// The package
        package: String,
        /// Only benchmarks whose id matches this regular expression
        #[arg(long, value_name = "RE")]
        filter: Option<String>,
        /// Take the loader of Vulkan drivers of this machine along
        #[arg(long)]
        with_loader: bool,
    },
}

impl Packable {
    /// Begin of the pack's name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Peers { op, .. } => format!("peers-{op}"),
            Self::Compare(_) => "compare".to_owned(),
            Self::Scenario { name, .. } => format!("scenario-{name}"),
            Self::Bench { package, .. } => format!("bench-{package}"),
        }
    }
}

/// Runs `pack`.
///
/// # Errors
/// What is packed does not build, or is too large.
pub fn pack(invocation: &Invocation, root: &Path, arguments: &Arguments) -> Result<Exit> {
    let commit = head(root)?;
    let name = format!("{}-{}", arguments.what.name(), commit.chars().take(10).collect::<String>());
    let path = root.join("target/pack").join(&name);
    write(invocation, root, &arguments.what, (&name, &path, MOST_BYTES))?;
    invocation.console.print(&path.strip_prefix(root).unwrap_or(&path).display().to_string())?;
    let next = format!("copy the folder to the other machine, and there: {name}/run --limit 240s");
    invocation.console.note(&next);
    Ok(Exit::Fine)
}

/// Builds what is packed, and writes the pack of this name to `path`, at most so many bytes; what was there is removed.
pub(crate) fn write(
    invocation: &Invocation,
    root: &Path,
    what: &Packable,
    (name, path, most): (&str, &Path, u64),
) -> Result<()> {
    let commit = head(root)?;
    let mut folder = Folder::new(path, most)?;
    let (what, plan) = match what {
        Packable::Peers { op, choice } => kind::peers::pack(invocation, root, (op, choice), &mut folder)?,
        Packable::Compare(arguments) => kind::compare::pack(invocation, root, arguments, &mut folder)?,
        Packable::Scenario { name, choice, with_loader } => {
            kind::scenario::pack(invocation, root, (name, choice), *with_loader, &mut folder)?
        }
        Packable::Bench { package, filter, with_loader } => {
            kind::bench::pack(root, (package, filter.as_deref()), *with_loader, &mut folder)?
        }
    };
    folder.put(&run_program(invocation, root)?, "run", true)?;
    let flags = invocation.variable("RUSTFLAGS").map(|flags| flags.to_string_lossy().into_owned());
    let manifest = Manifest {
        schema: SCHEMA,
        name: name.to_owned(),
        created_at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        revisions: what.revisions(&commit),
        toolchain: command::stdout_of(command::in_directory("rustc", root).arg("--version"))?.trim().to_owned(),
        flags: format!("profile release, RUSTFLAGS {}", flags.as_deref().unwrap_or("not set")),
        target: target(),
        glibc: folder.glibc(),
        what,
        plan,
        files: Vec::new(),
    };
    let (units, glibc) = (manifest.plan.len(), manifest.glibc.clone());
    let size = folder.finish(manifest)?;
    let glibc = glibc.map_or_else(String::new, |glibc| format!(", for glibc {glibc} or newer"));
    invocation.console.note(&format!("{units} units, {}{glibc}", Unit::Bytes.show(size as f64)));
    Ok(())
}

/// The commit that is checked out.
fn head(root: &Path) -> Result<String> {
    Ok(command::stdout_of(command::git_in(root).args(["rev-parse", "HEAD"]))?.trim().to_owned())
}

/// Architecture and operating system of this program.
pub(crate) fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// Builds the program `run`: where the target is installed, a static one, which starts on any Linux.
fn run_program(invocation: &Invocation, root: &Path) -> Result<PathBuf> {
    let progress = invocation.console.spinner("building run");
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let arguments = ["build", "--package", "pack", "--bin", "run", "--profile", "pack-run"];
    let is_static = cfg!(target_os = "linux") && has_target(root, &triple);
    let built = if is_static {
        peers::program_of(root, "run", &[&arguments[..], &["--target", &triple]].concat())
    } else {
        let add = format!("`rustup target add {triple}` gives one that starts on any Linux");
        invocation.console.note(&format!("the program `run` is linked against the C library of this machine; {add}"));
        peers::program_of(root, "run", &arguments)
    };
    progress.finish();
    built.context("failed to build the program `run`")
}

/// Whether the standard library of a target is installed.
fn has_target(root: &Path, triple: &str) -> bool {
    let directory =
        command::stdout_of(command::in_directory("rustc", root).args(["--print", "target-libdir", "--target", triple]));
    directory.is_ok_and(|directory| Path::new(directory.trim()).is_dir())
}
