//! Runs a checker: a program that compares by itself.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use compare::child::{self, Group};
use compare::command;
use compare::comparison::Invocation;

use super::declared::Agreement;
use super::finding::{Counts, Finding};
use crate::build::command_in;

/// Interval between two looks at whether it has ended.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs it. Whatever goes wrong becomes part of the finding; the only error is an interrupt.
pub(crate) fn run(
    invocation: &Invocation,
    root: &Path,
    agreement: &Agreement,
    assay: &str,
    scratch: &Path,
) -> Result<Finding> {
    let directory = root.join("peers").join(&agreement.dir);
    let answer = output(invocation, agreement, &directory, assay, scratch).and_then(|text| Counts::of_output(&text));
    invocation.interrupt.check()?;
    let with = agreement.name.clone();
    Ok(match answer {
        Ok(Counts { versions, topics }) => Finding { with, version: versions, topics, failure: None },
        Err(error) => {
            invocation.console.note(&format!("{with}: {error:#}"));
            // The rest names paths of this machine.
            let why = error.to_string().lines().next().unwrap_or_default().to_owned();
            Finding { with, version: String::new(), topics: Vec::new(), failure: Some(why) }
        }
    })
}

/// Its standard output, once it has ended with success.
fn output(
    invocation: &Invocation,
    agreement: &Agreement,
    directory: &Path,
    assay: &str,
    scratch: &Path,
) -> Result<String> {
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let mut command = command_in(directory, &agreement.words(assay, scratch));
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    child::die_with_parent(&mut command);
    let mut group = Group::spawn(&mut command)?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = group.status()? {
            break status;
        }
        invocation.interrupt.check()?;
        if start.elapsed().as_secs_f64() > agreement.limit_s {
            bail!("it did not end within `limit_s` = {} s", agreement.limit_s);
        }
        std::thread::sleep(PAUSE);
    };
    if !status.success() {
        bail!("it failed ({status})\n{}", command::tail(&written(&mut stderr)?));
    }
    String::from_utf8(written(&mut stdout)?).context("its output is not UTF-8")
}

fn written(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
