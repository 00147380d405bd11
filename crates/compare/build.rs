//! Tells a release build which commit it is built from, for `--version`.
//!
//! A development build is not told: every commit would rebuild all that links this crate.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let directory = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let is_release = std::env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    let found = if is_release { revision(Path::new(&directory)) } else { None };
    for path in found.iter().flat_map(|(_, paths)| paths) {
        println!("cargo::rerun-if-changed={path}");
    }
    let text = found.map_or_else(String::new, |(text, _)| text);
    println!("cargo::rustc-env=ASSAY_REVISION={text}");
}

/// "; commit 0123456789", with what changed since, and the files that change with it: git's own and every file that it
/// tracks, so that an edit makes it say so. `None` if git does not know the crate in `directory`: a copy inside another
/// repository has no commit of its own.
pub(crate) fn revision(directory: &Path) -> Option<(String, Vec<String>)> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(directory).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim_end().to_owned())
    };
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let dirty = if changed.is_empty() { "" } else { " with uncommitted changes" };
    let own = ["HEAD", "index", "logs/HEAD"];
    let own = own.iter().filter_map(|name| git(&["rev-parse", "--path-format=absolute", "--git-path", name]));
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let tracked = git(&["ls-files", "-z", "--full-name", ":/"])?;
    let tracked = tracked.split('\0').filter(|path| !path.is_empty() && !path.contains('\n'));
    let paths = own.chain(tracked.map(|path| format!("{top}/{path}"))).collect();
    Some((format!("; commit {commit}{dirty}"), paths))
}
