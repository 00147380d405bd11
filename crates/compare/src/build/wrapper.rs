//! The compiler and linker scripts of a slot (`rustc.sh`, `linker.sh`): installed, and chained to what is configured.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::config::Config;
use crate::slot::{Alignment, Slot};

/// Names of linker drivers that the linker script can replace: rustc chooses the linker's arguments by its name.
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
    pub(super) fn install(slot: &Slot, config: &Config) -> Result<Self> {
        let directory = slot.wrapper();
        let linkers = directory.join("linkers");
        fs::create_dir_all(&linkers).with_context(|| format!("failed to make {}", linkers.display()))?;
        let rustc = directory.join("rustc.sh");
        write_script(&rustc, include_str!("rustc.sh"))?;
        for driver in DRIVERS {
            write_script(&linkers.join(driver), include_str!("linker.sh"))?;
        }
        Ok(Self { rustc, linkers, chain: config.wrapper() })
    }

    /// Makes `cargo` build through the scripts. On systems other than Unix it builds without them.
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
