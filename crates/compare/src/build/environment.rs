//! The environment of builds and benches.
//!
//! Under `cargo xtask`, cargo and rustup put variables into the environment that belong to *this* workspace:
//! `RUSTUP_TOOLCHAIN` would override the pin of the workspace under comparison, `RUSTFLAGS` deletes the flags of its
//! own configuration, `LD_LIBRARY_PATH` points at our toolchain. They are taken out, on both sides alike. What says
//! how to reach a registry (`CARGO_HOME`, `CARGO_HTTP_*`, `CARGO_NET_*`, `CARGO_REGISTRIES_*` …) stays.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use cargo_metadata::{Message, Package};

use crate::command;

/// Variables that are taken out wherever they come from.
const REMOVED: [&str; 18] = [
    "CARGO",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_CRITERION_PORT",
    "CRITERION_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "RUSTFLAGS",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "LD_LIBRARY_PATH",
];
/// Variables that are taken out by how they begin.
const REMOVED_PREFIXES: [&str; 6] =
    ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_PROFILE_", "CARGO_FEATURE_", "ASSAY_"];
/// Variables that a user may have set on purpose, and must be told are not used.
const WORTH_A_NOTE: [&str; 3] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"];

fn is_removed(key: &str) -> bool {
    REMOVED.contains(&key)
        || command::GIT_LOCAL_VARIABLES.contains(&key)
        || REMOVED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// `variables` without those that belong to another workspace.
pub fn cleaned(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    variables.into_iter().filter(|(key, _)| !is_removed(&key.to_string_lossy())).collect()
}

/// What the user should know about the variables that were taken out.
pub fn notes(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let set = |(key, value): (OsString, OsString)| {
        let key = key.into_string().ok()?;
        (WORTH_A_NOTE.contains(&key.as_str()) && !value.is_empty()).then(|| {
            format!("{key} in the environment is not used: put the flags into the workspace's .cargo/config.toml")
        })
    };
    variables.into_iter().filter_map(set).collect()
}

/// What `cargo bench` adds for a bench of `package`: the package's own variables, its build script's, and where to
/// find dynamic libraries.
pub(super) fn of_bench(
    base: &[(OsString, OsString)],
    package: &Package,
    scripts: &[Message],
    library_path: &[PathBuf],
) -> Vec<(OsString, OsString)> {
    let mut environment = base.to_vec();
    let mut set = |key: &str, value: &OsStr| environment.push((key.into(), value.to_owned()));
    let version = &package.version;
    let authors = package.authors.join(":");
    let manifest_dir = package.manifest_path.parent().map_or("", |path| path.as_str());
    let (major, minor, patch) = (version.major.to_string(), version.minor.to_string(), version.patch.to_string());
    let full = version.to_string();
    let rust_version = package.rust_version.as_ref().map(ToString::to_string).unwrap_or_default();
    let path =
        |path: &Option<cargo_metadata::camino::Utf8PathBuf>| path.as_ref().map(ToString::to_string).unwrap_or_default();
    for (key, value) in [
        ("CARGO", "cargo"),
        ("CARGO_MANIFEST_DIR", manifest_dir),
        ("CARGO_MANIFEST_PATH", package.manifest_path.as_str()),
        ("CARGO_PKG_NAME", package.name.as_str()),
        ("CARGO_PKG_VERSION", &full),
        ("CARGO_PKG_VERSION_MAJOR", &major),
        ("CARGO_PKG_VERSION_MINOR", &minor),
        ("CARGO_PKG_VERSION_PATCH", &patch),
        ("CARGO_PKG_VERSION_PRE", version.pre.as_str()),
        ("CARGO_PKG_AUTHORS", &authors),
        ("CARGO_PKG_DESCRIPTION", package.description.as_deref().unwrap_or_default()),
        ("CARGO_PKG_HOMEPAGE", package.homepage.as_deref().unwrap_or_default()),
        ("CARGO_PKG_REPOSITORY", package.repository.as_deref().unwrap_or_default()),
        ("CARGO_PKG_LICENSE", package.license.as_deref().unwrap_or_default()),
        ("CARGO_PKG_LICENSE_FILE", &path(&package.license_file)),
        ("CARGO_PKG_README", &path(&package.readme)),
        ("CARGO_PKG_RUST_VERSION", &rust_version),
    ] {
        set(key, OsStr::new(value));
    }
    for message in scripts {
        if let Message::BuildScriptExecuted(script) = message
            && script.package_id == package.id
        {
            set("OUT_DIR", script.out_dir.as_os_str());
            for (key, value) in &script.env {
                set(key, OsStr::new(value));
            }
        }
    }
    if let Ok(joined) = std::env::join_paths(library_path) {
        set(if cfg!(target_os = "macos") { "DYLD_FALLBACK_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" }, &joined);
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(keys: &[&str]) -> Vec<(OsString, OsString)> {
        keys.iter().map(|key| ((*key).into(), "x".into())).collect()
    }

    #[test]
    fn what_belongs_to_another_workspace_goes_and_the_rest_stays() {
        let kept = cleaned(pairs(&[
            "PATH",
            "HOME",
            "CARGO_HOME",
            "CARGO_REGISTRIES_X_INDEX",
            "CARGO_HTTP_PROXY",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "CARGO",
            "CARGO_MANIFEST_DIR",
            "CARGO_PKG_NAME",
            "CARGO_PROFILE_RELEASE_LTO",
            "LD_LIBRARY_PATH",
            "ASSAY_ROWS",
            "GIT_DIR",
            "GIT_INDEX_FILE",
        ]));
        let keys: Vec<_> = kept.iter().map(|(key, _)| key.to_str().unwrap()).collect();
        assert_eq!(keys, ["PATH", "HOME", "CARGO_HOME", "CARGO_REGISTRIES_X_INDEX", "CARGO_HTTP_PROXY", "RUSTUP_HOME"]);
    }

    #[test]
    fn flags_set_on_purpose_are_mentioned() {
        assert_eq!(notes(pairs(&["PATH", "RUSTFLAGS"])).len(), 1);
        assert!(notes(vec![("RUSTFLAGS".into(), OsString::new())]).is_empty());
    }
}
