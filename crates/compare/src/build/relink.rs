//! The same compiled code, linked again with another layout.
//!
//! One binary is one draw from the space of layouts, and layout alone can move a benchmark by several percent: a hot
//! loop straddles a boundary, two branches share a predictor entry. So each side is linked several times with random
//! padding between sections (LLD's `--randomize-section-padding`, which moves every function against every other
//! without destroying locality as shuffling would), and each block of a comparison draws its own pair of links.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::disk;

/// The recorded link of one program.
#[derive(Clone, Debug)]
pub struct Link {
    output: PathBuf,
    words: Vec<String>,
    directory: PathBuf,
}

impl Link {
    /// Reads the record that the linker script wrote next to `executable`, if it ran: the directory, then the words of
    /// the command. Each is ended by a zero byte, because paths may contain every other byte.
    pub fn recorded(executable: &Path) -> Option<Self> {
        let mut record = executable.as_os_str().to_owned();
        record.push(".link/command");
        let text = std::fs::read_to_string(Path::new(&record)).ok()?;
        let (directory, words) = text.split_once('\0')?;
        let words: Vec<String> = words.split_terminator('\0').map(str::to_owned).collect();
        let ours = words.iter().any(|word| Path::new(word) == executable);
        ours.then(|| Self { output: executable.to_owned(), words, directory: directory.into() })
    }

    /// Links into `output` with the layout of `seed`; seed 0 is the plain layout.
    ///
    /// # Errors
    /// If the linker fails, with its last lines; its call, of which a message shows the beginning, and all that it said
    /// are in a file beside `output` then. [`disk::DiskFull`] if that is the reason.
    pub fn link(
        &self,
        seed: u64,
        output: &Path,
        environment: &[(std::ffi::OsString, std::ffi::OsString)],
    ) -> Result<()> {
        let program = self.words.first().context("the record of the link is empty")?;
        let mut command = Command::new(program);
        command.current_dir(&self.directory).env_clear().envs(environment.iter().map(|(key, value)| (key, value)));
        for word in &self.words[1..] {
            if Path::new(word) == self.output {
                command.arg(output)
            } else {
                command.arg(word)
            };
        }
        if seed != 0 {
            command.arg(format!("-Wl,--randomize-section-padding={seed}"));
        }
        let done = command::output_of(&mut command)?;
        if done.status.success() {
            return Ok(());
        }
        let said = format!("{}\n{}", done.status, String::from_utf8_lossy(&done.stderr));
        let log = format!("{}\n{said}", command::whole(&command));
        let kept = command::keep_log(&output.with_extension("log"), &log)
            .map_or_else(String::new, |path| format!("\nall of it: {}", path.display()));
        let (shown, last) = (command::shown(&command), command::tail(&done.stderr));
        let failed = anyhow::anyhow!("`{shown}` failed ({})\n{last}{kept}", done.status);
        Err(match disk::full(&said, output) {
            Some(full) => failed.context(full),
            None => failed,
        })
    }
}
