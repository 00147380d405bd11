//! Programs of the contestants, built as their users would build them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use compare::command;
use compare::comparison::Context;

use super::matrix::{Matrix, Peer};

/// A program that can be started, or the reason why not.
#[derive(Clone, Debug)]
pub(super) struct Contestant {
    pub(super) name: String,
    directory: PathBuf,
    command: Vec<String>,
    env: Vec<(String, String)>,
    /// Why it cannot be had.
    pub(super) unavailable: Option<String>,
}

impl Contestant {
    /// The command that starts it with `threads` threads.
    pub(super) fn command(&self, threads: usize) -> Command {
        let program = Path::new(&self.command[0]);
        // A relative path with a directory means one below the contestant's, whatever the working directory is.
        let program = if program.components().count() > 1 { self.directory.join(program) } else { program.to_owned() };
        let mut command = Command::new(program);
        command.args(&self.command[1..]).args(["--threads", &threads.to_string()]).current_dir(&self.directory);
        command.envs(self.env.iter().map(|(key, value)| (key, value.replace("{threads}", &threads.to_string()))));
        command
    }
}

/// Our side.
pub(super) fn ours(context: &Context, root: &Path, op: &str) -> Result<Contestant> {
    let progress = context.console.spinner("building assay");
    let mut cargo = command::in_directory("cargo", root);
    cargo.args(["build", "--release", "--package", "assay", "--message-format=json-render-diagnostics"]);
    let messages = command::stdout_of(cargo.stderr(Stdio::inherit()))?;
    progress.finish();
    let program = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
        .context("cargo built assay, but named no program")?;
    let command = vec![program, "peer".to_owned(), op.to_owned()];
    Ok(Contestant { name: "assay".to_owned(), directory: root.to_owned(), command, env: Vec::new(), unavailable: None })
}

/// All peers of the file; one that cannot be built stays, with the reason.
pub(super) fn peers(context: &Context, root: &Path, matrix: &Matrix, ours: &Contestant) -> Result<Vec<Contestant>> {
    let mut contestants = Vec::new();
    let mut built: Vec<(PathBuf, &[String], Option<String>)> = Vec::new();
    for peer in &matrix.peers {
        context.interrupt.check()?;
        if peer.own.is_some() {
            contestants.push(Contestant { name: peer.name.clone(), ..ours.clone() });
            continue;
        }
        let directory = root.join("peers").join(&peer.dir);
        // Several peers may live in one program; it is built once.
        let known = built.iter().find(|(place, how, _)| *place == directory && *how == peer.build);
        let unavailable = match known {
            Some((_, _, failure)) if peer.requirements.is_none() => failure.clone(),
            _ => {
                let progress = context.console.spinner(&format!("building {}", peer.name));
                let failure = build(peer, &directory).err().map(|error| format!("{error:#}"));
                progress.finish();
                built.push((directory.clone(), &peer.build, failure.clone()));
                failure
            }
        };
        if let Some(why) = &unavailable {
            context.console.note(&format!("{} cannot be had: {why}", peer.name));
        }
        // The rest is about this machine and its paths; it is told above, and is no part of a table.
        let unavailable = unavailable.map(|why| why.lines().next().unwrap_or_default().to_owned());
        let env = peer.env.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let command = peer.command.clone();
        contestants.push(Contestant { name: peer.name.clone(), directory, command, env, unavailable });
    }
    Ok(contestants)
}

fn build(peer: &Peer, directory: &Path) -> Result<()> {
    if let Some(requirements) = &peer.requirements {
        if !directory.join(".venv/bin/python").exists() {
            command::run(command::in_directory("python3", directory).args(["-m", "venv", ".venv"]))?;
        }
        let pip = directory.join(".venv/bin/python");
        let mut pip = command::in_directory(&pip.to_string_lossy(), directory);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements]);
        command::run(&mut pip)?;
    }
    if let Some((program, arguments)) = peer.build.split_first() {
        command::run(command::in_directory(program, directory).args(arguments))?;
    }
    Ok(())
}
