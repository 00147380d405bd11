//! The workspace as `cargo metadata` reports it, and which of its bench targets are wanted.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package, PackageId, Target};

use super::{Skipped, Wanted};
use crate::command;
use crate::exit::usage;
use crate::nearest::did_you_mean;

/// A workspace's packages.
#[derive(Debug)]
pub struct Workspace(Metadata);

/// The bench targets to build.
#[derive(Debug)]
pub struct Selected {
    /// Package and target, in the order of the workspace.
    pub targets: Vec<(Package, Target)>,
    /// Wanted targets whose features are off.
    pub skipped: Vec<Skipped>,
}

impl Workspace {
    /// Reads the workspace in `directory`.
    pub fn read(directory: &Path, environment: &[(OsString, OsString)]) -> Result<Self> {
        let mut command = MetadataCommand::new().cargo_path("cargo").no_deps().current_dir(directory).cargo_command();
        command.env_clear().envs(environment.iter().map(|(key, value)| (key, value)));
        let text = command::stdout_of(&mut command)?;
        let line = text.lines().find(|line| line.starts_with('{')).context("cargo metadata printed no JSON")?;
        Ok(Self(MetadataCommand::parse(line).context("failed to understand cargo metadata")?))
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        self.0.workspace_root.as_std_path()
    }

    /// The manifests of the workspace and of its packages.
    pub fn manifests(&self) -> Vec<PathBuf> {
        let packages =
            self.0.workspace_packages().into_iter().map(|package| package.manifest_path.as_std_path().to_owned());
        let mut manifests: Vec<PathBuf> = packages.chain([self.root().join("Cargo.toml")]).collect();
        manifests.sort();
        manifests.dedup();
        manifests
    }

    /// Rejects names that this workspace does not have. Only the head is checked: the base may lack what is new.
    pub fn check(&self, wanted: &Wanted) -> Result<()> {
        let members: Vec<&Package> = self.0.workspace_packages();
        for name in &wanted.packages {
            if !members.iter().any(|package| package.name.as_str() == name) {
                let known: Vec<&str> = members.iter().map(|package| package.name.as_str()).collect();
                let meant = did_you_mean(name, known.iter().copied());
                return Err(usage(format!(
                    "no package `{name}` in this workspace{meant}; it has: {}",
                    known.join(", ")
                )));
            }
        }
        let known = members.iter().flat_map(|package| &package.targets).filter(|target| target.is_bench());
        let known: BTreeSet<&str> = known.map(|target| target.name.as_str()).collect();
        if let Some(name) = wanted.benches.iter().find(|name| !known.contains(name.as_str())) {
            let known: Vec<&str> = known.into_iter().collect();
            let meant = did_you_mean(name, known.iter().copied());
            return Err(usage(format!(
                "no bench target `{name}` in this workspace{meant}; it has: {}",
                known.join(", ")
            )));
        }
        Ok(())
    }

    /// The bench targets that `wanted` names and that this compiler can build. A stable compiler (not `nightly`)
    /// rejects targets that ask for unstable features, and then the whole build would fail.
    pub fn select(self, wanted: &Wanted, nightly: bool) -> Selected {
        let members: Vec<&Package> = self.0.workspace_packages();
        let mut selected = Selected { targets: Vec::new(), skipped: Vec::new() };
        for package in members {
            if !wanted.packages.is_empty() && !wanted.packages.contains(&package.name.to_string()) {
                continue;
            }
            let enabled = enabled_features(&package.features, wanted.features.as_deref());
            for target in package.targets.iter().filter(|target| wanted.takes(target)) {
                let missing: Vec<&str> =
                    target.required_features.iter().map(String::as_str).filter(|f| !enabled.contains(*f)).collect();
                let unstable = !nightly && asks_for_unstable_features(target.src_path.as_std_path());
                if missing.is_empty() && !unstable {
                    selected.targets.push((package.clone(), target.clone()));
                } else {
                    let reason = if unstable {
                        "needs a nightly compiler: it asks for unstable features".to_owned()
                    } else {
                        format!("needs --features {}", missing.join(","))
                    };
                    selected.skipped.push(Skipped {
                        package: package.name.to_string(),
                        name: target.name.clone(),
                        reason,
                    });
                }
            }
        }
        selected
    }
}

impl Selected {
    /// The arguments of one cargo call per package, which build these targets and nothing else. A single call would
    /// request every name in every package, including names whose features are missing. A package is selected by its
    /// manifest, because its name may also be that of a dependency.
    pub fn calls(&self, wanted: &Wanted) -> Vec<(&str, Vec<String>)> {
        let mut packages: Vec<&Package> = Vec::new();
        for (package, _) in &self.targets {
            if !packages.iter().any(|known| known.id == package.id) {
                packages.push(package);
            }
        }
        let kind = if wanted.scenario.is_some() { "--bin" } else { "--bench" };
        let calls = packages.into_iter().map(|package| {
            let mut arguments = vec!["--manifest-path".to_owned(), package.manifest_path.to_string()];
            let own = self.targets.iter().filter(|(of, _)| of.id == package.id);
            arguments.extend(own.flat_map(|(_, target)| [kind.to_owned(), target.name.clone()]));
            let features = asked_of(package, wanted.features.as_deref());
            if !features.is_empty() {
                arguments.extend(["--features".to_owned(), features.join(",")]);
            }
            (package.name.as_str(), arguments)
        });
        calls.collect()
    }

    /// The package and target of an artifact, if it is one of these.
    pub fn find(&self, package: &PackageId, target: &str) -> Option<(&Package, &Target)> {
        let found = self.targets.iter().find(|(p, t)| p.id == *package && t.name == target)?;
        Some((&found.0, &found.1))
    }
}

/// Whether a source file begins with `#![feature(…)]`, as `#[bench]` functions need it.
fn asks_for_unstable_features(source: &Path) -> bool {
    let text = std::fs::read_to_string(source).unwrap_or_default();
    text.lines().any(|line| line.trim_start().starts_with("#![feature("))
}

/// The requested features that `package` has: `name`, or `package/name` for this package.
fn asked_of(package: &Package, asked: Option<&str>) -> Vec<String> {
    let words = asked.unwrap_or_default().split([',', ' ']).filter(|word| !word.is_empty());
    let own = words.filter_map(|word| match word.split_once('/') {
        Some((of, name)) if of == package.name.as_str() => Some(name),
        Some(_) => None,
        None => Some(word),
    });
    own.filter(|name| package.features.contains_key(*name)).map(str::to_owned).collect()
}

/// Closure of the default and the requested features. `--features` may be separated by commas or spaces and may name a
/// package (`package/feature`), whose last part counts here.
fn enabled_features(
    features: &std::collections::BTreeMap<String, Vec<String>>,
    asked: Option<&str>,
) -> BTreeSet<String> {
    let asked = asked.unwrap_or_default();
    let mut open: Vec<String> = asked
        .split([',', ' '])
        .filter(|name| !name.is_empty())
        .map(|name| name.rsplit('/').next().unwrap_or(name).to_owned())
        .collect();
    open.push("default".to_owned());
    let mut enabled = BTreeSet::new();
    let map: HashMap<&str, &Vec<String>> = features.iter().map(|(name, enables)| (name.as_str(), enables)).collect();
    while let Some(name) = open.pop() {
        if let Some(enables) = map.get(name.as_str())
            && enabled.insert(name.clone())
        {
            open.extend(enables.iter().cloned());
        }
    }
    enabled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_closed_over_what_they_enable() {
        let features = [("default", vec!["a"]), ("a", vec!["b", "dep:x"]), ("b", vec![]), ("c", vec![])]
            .into_iter()
            .map(|(name, enables)| (name.to_owned(), enables.into_iter().map(str::to_owned).collect()))
            .collect();
        let names = |asked| enabled_features(&features, asked).into_iter().collect::<Vec<_>>();
        assert_eq!(names(None), ["a", "b", "default"]);
        assert_eq!(names(Some("pkg/c")), ["a", "b", "c", "default"]);
    }
}
