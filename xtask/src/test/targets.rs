//! `cargo check` for platforms on which Assay is not measured, so that their `cfg` branches compile.
//!
//! Nothing is linked or run. Build scripts of dependencies ask for a C compiler of the platform; a script that writes
//! an empty file answers (`.ci/no-c-compiler`), because `cargo check` never reads what it wrote.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use compare::command;

use super::Cargo;

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

/// The step that checks the workspace; the target is one of its [`variables`].
pub(super) const fn step(target: &'static str) -> Cargo {
    Cargo { name: target, arguments: &["check", "--workspace"], count: super::count::nothing }
}

/// Variables of the step: the target, and the stand-in for its C compiler.
pub(super) fn variables(root: &Path, target: &str) -> Vec<(String, OsString)> {
    let stand_in = root.join(".ci/no-c-compiler").into_os_string();
    let name = target.replace('-', "_");
    vec![
        ("CARGO_BUILD_TARGET".to_owned(), target.into()),
        (format!("CC_{name}"), stand_in.clone()),
        (format!("AR_{name}"), stand_in),
        // Without it, the `cc` crate runs xcrun, which only macOS has.
        ("SDKROOT".to_owned(), root.into()),
    ]
}
