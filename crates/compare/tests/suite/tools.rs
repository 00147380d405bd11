//! Scripted programs that stand in front of the real ones on the PATH.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::workspace::Workspace;

/// A directory of scripts, and the diary that they write.
pub(crate) struct Tools {
    directory: PathBuf,
    diary: PathBuf,
}

impl Tools {
    /// No scripts yet, beside the tool's cache.
    pub(crate) fn new(workspace: &Workspace) -> Self {
        Self::at(workspace.cache().with_file_name("tools"))
    }

    /// Those that every command of a workspace finds before the real programs.
    pub(crate) fn stand_ins(workspace: &Workspace) -> Self {
        Self::at(workspace.cache().with_file_name("stand-ins"))
    }

    fn at(directory: PathBuf) -> Self {
        fs::create_dir_all(&directory).unwrap();
        Self { diary: directory.join("diary"), directory }
    }

    /// Puts a shell script in front of `program`, which it becomes afterwards. The script finds the diary's path in
    /// `$diary`.
    pub(crate) fn script(&self, program: &str, script: &str) {
        self.file(program, &format!("{script}\nexec {:?} \"$@\"", real(program)));
    }

    /// Puts a shell script in place of `program`.
    pub(crate) fn file(&self, program: &str, script: &str) {
        let path = self.directory.join(program);
        fs::write(&path, format!("#!/bin/sh\ndiary={:?}\n{script}\n", self.diary)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A script that hangs, and starts a process that hangs, where the words of the call match a pattern of `case`.
    pub(crate) fn hang(&self, program: &str, pattern: &str) {
        self.script(
            program,
            &format!(
                "case \" $* \" in\n{pattern})\n    sleep 1000 &\n    \
                 echo \"{{\\\"pid\\\": $$, \\\"grandchild\\\": $!}}\" \
                 >>\"$diary\"\n    while :; do sleep 1; done ;;\nesac"
            ),
        );
    }

    /// Removes a script: the real program is found again.
    pub(crate) fn remove(&self, program: &str) {
        fs::remove_file(self.directory.join(program)).unwrap();
    }

    /// Makes `command` find the scripts before what its PATH finds already.
    pub(crate) fn first(&self, mut command: Command) -> Command {
        let own = command.get_envs().find_map(|(name, value)| (name == "PATH").then_some(value?.to_owned()));
        let old = own.unwrap_or_else(|| env::var_os("PATH").unwrap());
        let all = std::iter::once(self.directory.clone()).chain(env::split_paths(&old));
        let path: OsString = env::join_paths(all).unwrap();
        command.env("PATH", path);
        command
    }

    /// What the scripts wrote.
    pub(crate) fn diary(&self) -> Vec<Value> {
        crate::fake::read_diary(&self.diary)
    }

    /// Forgets what the scripts wrote.
    pub(crate) fn forget(&self) {
        fs::remove_file(&self.diary).unwrap();
    }
}

/// The program that the PATH of the tests finds.
fn real(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap();
    let found = env::split_paths(&path).map(|directory| directory.join(program)).find(|path| is_file(path));
    found.unwrap_or_else(|| panic!("no {program} on the PATH"))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
