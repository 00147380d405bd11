//! `cargo check` for platforms on which Assay is not measured, so that their `cfg` branches compile.
//!
//! Nothing is linked or run. Build scripts of dependencies ask for a C compiler of the platform; a script that writes
//! an empty file answers (`.ci/no-c-compiler`), because `cargo check` never reads what it wrote.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use compare::command;

use super::{Cargo, count};

/// The platforms. `rustup target add` installs one.
pub(super) const TARGETS: [&str; 3] = ["aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Whether the standard library of `target` is installed.
pub(super) fn is_installed(root: &Path, target: &str) -> bool {
    let mut rustc: Command = command::in_directory("rustc", root);
    rustc.args(["--print", "target-libdir", "--target", target]);
    let Ok(output) = command::output_of(&mut rustc) else {
        return false;
    };
    output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
}

/// The step that checks the workspace for all of `targets` at once: programs of the host, which cargo runs meanwhile,
/// are built once, and the end of one target's check runs beside the beginning of the next one's.
pub(super) fn step(targets: &[&'static str]) -> Cargo {
    let selected = targets.iter().flat_map(|target| ["--target", target]);
    let arguments: Vec<&'static str> = ["check", "--workspace"].into_iter().chain(selected).collect();
    Cargo { name: "other platforms", arguments: arguments.into(), count: count::nothing }
}

/// Variables of the step: for each target, the stand-in for its C compiler, and that a warning is an error.
pub(super) fn variables(root: &Path, targets: &[&str]) -> Vec<(String, OsString)> {
    let stand_in = root.join(".ci/no-c-compiler").into_os_string();
    // Without it, the `cc` crate runs xcrun, which only macOS has.
    let mut variables = vec![("SDKROOT".to_owned(), root.into())];
    for target in targets {
        let name = target.replace('-', "_");
        variables.push((format!("CC_{name}"), stand_in.clone()));
        variables.push((format!("AR_{name}"), stand_in.clone()));
        variables.push((format!("CARGO_TARGET_{}_RUSTFLAGS", name.to_uppercase()), "-Dwarnings".into()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_targets_are_checked_in_one_call_where_a_warning_is_an_error() {
        let step = step(&TARGETS[..2]);
        assert_eq!(
            step.arguments.join(" "),
            "check --workspace --target aarch64-unknown-linux-gnu --target aarch64-apple-darwin"
        );
        let variables = variables(Path::new("/w"), &TARGETS);
        for (name, value) in [
            ("CC_aarch64_unknown_linux_gnu", "/w/.ci/no-c-compiler"),
            ("AR_x86_64_pc_windows_msvc", "/w/.ci/no-c-compiler"),
            ("CARGO_TARGET_AARCH64_APPLE_DARWIN_RUSTFLAGS", "-Dwarnings"),
        ] {
            assert!(variables.contains(&(name.to_owned(), value.into())), "{name}");
        }
    }
}
