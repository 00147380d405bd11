//! The compiler and linker scripts of a slot (`rustc.sh`, `linker.sh`): installed, and chained to what is configured.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::slot::{Alignment, Slot};

/// The names of linker drivers that the linker script can stand in for: rustc tells how to call a linker by its name.
const DRIVERS: [&str; 3] = ["cc", "gcc", "clang"];

/// The installed scripts.
#[derive(Debug)]
pub(super) struct Wrapper {
    rustc: PathBuf,
    linkers: PathBuf,
    chain: Option<OsString>,
}

impl Wrapper {
    /// Writes the scripts beside the slot's tree and finds the wrapper that they must chain to.
    pub(super) fn install(slot: &Slot, workspace: &Path, environment: &[(OsString, OsString)]) -> Result<Self> {
        let directory = slot.wrapper();
        let linkers = directory.join("linkers");
        fs::create_dir_all(&linkers).with_context(|| format!("failed to make {}", linkers.display()))?;
        let rustc = directory.join("rustc.sh");
        write_script(&rustc, include_str!("rustc.sh"))?;
        for driver in DRIVERS {
            write_script(&linkers.join(driver), include_str!("linker.sh"))?;
        }
        Ok(Self { rustc, linkers, chain: configured_wrapper(workspace, environment) })
    }

    /// Makes `cargo` build through the scripts. Elsewhere than on Unix it builds plainly.
    pub(super) fn apply(&self, cargo: &mut Command, alignment: Alignment) {
        if cfg!(unix) {
            cargo.env("ASSAY_ALIGN", if alignment == Alignment::Lines { "1" } else { "0" });
            cargo.env("RUSTC_WRAPPER", &self.rustc).env("ASSAY_LINKERS", &self.linkers);
            if let Some(chain) = &self.chain {
                cargo.env("ASSAY_CHAIN", chain);
            }
        }
    }
}

/// Writes an executable script, only if it changed: cargo looks at the wrapper's modification time.
fn write_script(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|existing| existing == text) {
        return Ok(());
    }
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// `build.rustc-wrapper` as cargo would find it: the environment first, then the config files from the workspace
/// upwards, then cargo's home.
fn configured_wrapper(workspace: &Path, environment: &[(OsString, OsString)]) -> Option<OsString> {
    let variable = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    for name in ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"] {
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            return Some(value);
        }
    }
    let home = variable("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cargo")));
    let above = workspace.ancestors().map(|directory| directory.join(".cargo"));
    above.chain(home).find_map(|directory| wrapper_in(&directory))
}

fn wrapper_in(directory: &Path) -> Option<OsString> {
    let text = ["config.toml", "config"].iter().find_map(|name| fs::read_to_string(directory.join(name)).ok())?;
    let table: toml::Table = text.parse().ok()?;
    let name = table.get("build")?.get("rustc-wrapper")?.as_str()?.to_owned();
    // A name with a slash is relative to the directory that holds `.cargo`.
    let relative = name.contains('/') && !Path::new(&name).is_absolute();
    Some(if relative { directory.parent()?.join(name).into_os_string() } else { OsStr::new(&name).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_own_wrapper_stays_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = directory.path().join("w/deep");
        fs::create_dir_all(workspace.join(".cargo")).unwrap();
        fs::create_dir_all(directory.path().join("w/.cargo")).unwrap();
        fs::write(directory.path().join("w/.cargo/config.toml"), "[build]\nrustc-wrapper = \"tools/wrap\"\n").unwrap();
        let found = configured_wrapper(&workspace, &[]).unwrap();
        assert_eq!(found, directory.path().join("w/tools/wrap").into_os_string());
        fs::write(workspace.join(".cargo/config.toml"), "[build]\nrustc-wrapper = \"sccache\"\n").unwrap();
        assert_eq!(configured_wrapper(&workspace, &[]).unwrap(), "sccache");
        let environment = [("CARGO_BUILD_RUSTC_WRAPPER".into(), "other".into())];
        assert_eq!(configured_wrapper(&workspace, &environment).unwrap(), "other");
    }
}
