//! Settings in cargo's configuration files for programs that we start in cargo's place.
//!
//! `cargo bench` would set the variables of `[env]` for a bench and start it through `runner`. We start benches
//! ourselves. We set the variables, but we leave out a runner and report it: it would run between us and the process
//! that we measure.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The configuration files of a workspace, the nearest first.
#[derive(Debug)]
pub(super) struct Config {
    /// Directory of the file, and its content.
    files: Vec<(PathBuf, toml::Table)>,
    environment: Vec<(OsString, OsString)>,
}

impl Config {
    /// Reads the files that cargo would find from `workspace` upwards and in its home.
    pub(super) fn read(workspace: &Path, environment: &[(OsString, OsString)]) -> Self {
        let variable = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let home = variable("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(home).join(".cargo")));
        let mut directories: Vec<PathBuf> = workspace.ancestors().map(|directory| directory.join(".cargo")).collect();
        directories.extend(home.filter(|home| !directories.contains(home)));
        let files = directories.into_iter().filter_map(|directory| {
            let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
            let table = ["config.toml", "config"].into_iter().find_map(read)?.parse().ok()?;
            Some((directory, table))
        });
        Self { files: files.collect(), environment: environment.to_vec() }
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// `build.rustc-wrapper`: the environment first, then the files.
    pub(super) fn wrapper(&self) -> Option<OsString> {
        let set = ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"].into_iter().find_map(|name| self.variable(name));
        set.cloned().or_else(|| {
            self.files.iter().find_map(|(directory, table)| {
                let name = table.get("build")?.get("rustc-wrapper")?.as_str()?;
                // A name with a slash is relative to the directory that holds `.cargo`.
                let relative = name.contains('/') && !Path::new(name).is_absolute();
                let path = if relative { directory.parent()?.join(name).into_os_string() } else { name.into() };
                Some(path)
            })
        })
    }

    /// The variables of `[env]` that cargo would add to the environment of a bench.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(OsString, OsString)> = Vec::new();
        for (directory, table) in &self.files {
            let entries = table.get("env").and_then(toml::Value::as_table).into_iter().flatten();
            for (name, entry) in entries {
                let flag = |key: &str| entry.get(key).and_then(toml::Value::as_bool).unwrap_or(false);
                let text = entry.as_str().or_else(|| entry.get("value")?.as_str());
                let known = variables.iter().any(|(key, _)| key.as_os_str() == OsStr::new(name));
                let set = self.environment.iter().any(|(key, _)| key.as_os_str() == OsStr::new(name));
                let (Some(text), false, true) = (text, known, !set || flag("force")) else { continue };
                let value = match directory.parent().filter(|_| flag("relative")) {
                    Some(parent) => parent.join(text).into_os_string(),
                    None => text.into(),
                };
                variables.push((name.into(), value));
            }
        }
        variables
    }

    /// The configured runner, through which cargo would start benches on this machine.
    pub(super) fn started_through(&self) -> Option<String> {
        let here = |target: &str| {
            target.starts_with("cfg(")
                || (target.starts_with(std::env::consts::ARCH) && target.contains(std::env::consts::OS))
        };
        let is_runner = |key: &str| key.starts_with("CARGO_TARGET_") && key.ends_with("_RUNNER");
        let set = self.environment.iter().find(|(key, value)| is_runner(&key.to_string_lossy()) && !value.is_empty());
        set.map(|(_, value)| value.to_string_lossy().into_owned()).or_else(|| {
            self.files.iter().find_map(|(_, table)| {
                let targets = table.get("target")?.as_table()?;
                let runner =
                    targets.iter().filter(|(name, _)| here(name)).find_map(|(_, target)| target.get("runner"))?;
                let words =
                    runner.as_array().map(|words| words.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>());
                words.map(|words| words.join(" ")).or_else(|| runner.as_str().map(str::to_owned))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace `w/deep` below a directory `w`, each with a configuration.
    fn config(upper: &str, lower: &str, environment: &[(&str, &str)]) -> (tempfile::TempDir, Config) {
        let directory = tempfile::tempdir().unwrap();
        let workspace = directory.path().join("w/deep");
        for (at, text) in [(directory.path().join("w"), upper), (workspace.clone(), lower)] {
            fs::create_dir_all(at.join(".cargo")).unwrap();
            fs::write(at.join(".cargo/config.toml"), text).unwrap();
        }
        let environment: Vec<_> = environment.iter().map(|(key, value)| (key.into(), value.into())).collect();
        let config = Config::read(&workspace, &environment);
        (directory, config)
    }

    #[test]
    fn the_projects_own_wrapper_is_kept() {
        let upper = "[build]\nrustc-wrapper = \"tools/wrap it\"\n";
        let (directory, found) = config(upper, "", &[]);
        assert_eq!(found.wrapper().unwrap(), directory.path().join("w/tools/wrap it").into_os_string());
        let lower = "[build]\nrustc-wrapper = \"sccache\"\n";
        assert_eq!(config(upper, lower, &[]).1.wrapper().unwrap(), "sccache");
        let set = [("CARGO_BUILD_RUSTC_WRAPPER", "other")];
        assert_eq!(config(upper, lower, &set).1.wrapper().unwrap(), "other");
    }

    #[test]
    fn variables_of_the_configuration_follow_cargos_rules() {
        let upper = "[env]\nA = \"upper\"\nB = { value = \"data\", relative = true }\n";
        let lower = "[env]\nA = \"lower\"\nSET = \"no\"\nFORCED = { value = \"yes\", force = true }\n";
        let (directory, found) = config(upper, lower, &[("SET", "kept"), ("FORCED", "replaced")]);
        let mut variables = found.variables();
        variables.sort();
        let data = directory.path().join("w/data").into_os_string();
        assert_eq!(variables, [("A".into(), "lower".into()), ("B".into(), data), ("FORCED".into(), "yes".into())]);
    }

    #[test]
    fn a_runner_is_found_for_this_machine_only() {
        let here =
            format!("[target.{}-unknown-{}-gnu]\nrunner = \"nice\"\n", std::env::consts::ARCH, std::env::consts::OS);
        assert_eq!(config(&here, "", &[]).1.started_through().as_deref(), Some("nice"));
        assert_eq!(config("[target.other-unknown-none]\nrunner = \"x\"\n", "", &[]).1.started_through(), None);
        let any = "[target.'cfg(all())']\nrunner = [\"a\", \"b\"]\n";
        assert_eq!(config(any, "", &[]).1.started_through().as_deref(), Some("a b"));
        let set = [("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "taskset")];
        assert_eq!(config("", "", &set).1.started_through().as_deref(), Some("taskset"));
    }
}
