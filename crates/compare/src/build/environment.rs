//! The environment of builds and benches.
//!
//! Under `cargo xtask` and `cargo assay`, cargo and rustup put variables into the environment that belong to *this*
//! call. `RUSTUP_TOOLCHAIN` would override the pin of the workspace under comparison, `LD_LIBRARY_PATH` points at our
//! toolchain, and `RUSTFLAGS` replaces the flags of the workspace's own configuration. These variables are removed on
//! both sides. Variables that a user sets to change what is measured stay: profiles, library paths outside the
//! toolchain, a toolchain that the user requested. The report names both the variables in force and those that were
//! removed. Variables for reaching a registry stay, too (`CARGO_HOME`, `CARGO_HTTP_*`, `CARGO_NET_*`,
//! `CARGO_REGISTRIES_*` …).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use cargo_metadata::{Message, Package};

use crate::command;

/// Variables that are removed whatever set them.
const REMOVED: [&str; 17] = [
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
];
/// Prefixes of variables that are removed.
const REMOVED_PREFIXES: [&str; 5] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_FEATURE_", "ASSAY_"];
/// Flags that a user may have set on purpose: the report notes that they are not used.
const FLAGS: [&str; 3] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"];
/// Other variables of this kind.
const UNUSED: [&str; 3] = ["CARGO_BUILD_TARGET", "RUSTC", "RUSTC_WORKSPACE_WRAPPER"];
/// The variable with the loader's search path for dynamic libraries.
const LIBRARY_PATH: &str = if cfg!(target_os = "macos") { "DYLD_FALLBACK_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
/// Prefix of the variables of profiles.
const PROFILE: &str = "CARGO_PROFILE_";

fn is_removed(key: &str) -> bool {
    REMOVED.contains(&key)
        || command::GIT_LOCAL_VARIABLES.contains(&key)
        || REMOVED_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// `variables` without those that belong to another workspace.
pub fn cleaned(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let kept = variables.into_iter().filter(|(key, _)| !is_removed(&key.to_string_lossy()));
    let cut = |(key, value): (OsString, OsString)| {
        let value = if key == LIBRARY_PATH { users_libraries(&value)? } else { value };
        Some((key, value))
    };
    kept.filter_map(cut).collect()
}

/// The directories that are neither a toolchain's nor those of a cargo that started us; `None` if none is left.
fn users_libraries(value: &OsStr) -> Option<OsString> {
    let is_cargos = |path: &PathBuf| {
        let has = |name: &str| path.iter().any(|part| part == name);
        has("toolchains") || has("rustlib") || has("target") && (has("debug") || has("release"))
    };
    let own: Vec<PathBuf> =
        std::env::split_paths(value).filter(|path| !path.as_os_str().is_empty() && !is_cargos(path)).collect();
    if own.is_empty() { None } else { std::env::join_paths(own).ok() }
}

/// Notes for the user on variables that change what is measured: those that were removed, and those that are in force.
pub fn notes(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let note = |(key, value): (OsString, OsString)| {
        let (name, shown) = (key.to_string_lossy(), value.to_string_lossy());
        if value.is_empty() {
            return None;
        }
        if FLAGS.contains(&&*name) {
            return Some(format!(
                "{name} in the environment is not used: put the flags into the workspace's .cargo/config.toml"
            ));
        }
        if UNUSED.contains(&&*name) {
            return Some(format!("{name}={shown} in the environment is not used"));
        }
        if name.starts_with(PROFILE) {
            return Some(format!("{name}={shown} of the environment is in force on both sides"));
        }
        let libraries = users_libraries(&value).filter(|_| key == LIBRARY_PATH)?;
        Some(format!("{name}={} of the environment is in force on both sides", libraries.to_string_lossy()))
    };
    variables.into_iter().filter_map(note).collect()
}

/// Whether `asked` (a value of `RUSTUP_TOOLCHAIN`) differs from the toolchain that the workspace in `root` selects by
/// itself. If so, the user requested it, by `cargo +NAME` or in the environment. Rustup sets the variable, too, but to
/// the workspace's own toolchain.
pub fn asked_toolchain(root: &Path, environment: &[(OsString, OsString)], asked: &Path) -> bool {
    let version = |extra: Option<&Path>| {
        let mut rustc = command::in_directory("rustc", root);
        rustc.env_clear().envs(environment.iter().map(|(key, value)| (key, value))).arg("-vV");
        rustc.envs(extra.map(|asked| ("RUSTUP_TOOLCHAIN", asked)));
        command::stdout_of(&mut rustc).ok()
    };
    let with = version(Some(asked));
    with.is_some() && with != version(None)
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
    let users: Option<&OsString> = base.iter().find(|(key, _)| key == LIBRARY_PATH).map(|(_, value)| value);
    let users = users.map(std::env::split_paths).into_iter().flatten();
    if let Ok(joined) = std::env::join_paths(library_path.iter().cloned().chain(users)) {
        environment.retain(|(key, _)| key != LIBRARY_PATH);
        environment.push((LIBRARY_PATH.into(), joined));
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
    fn variables_of_another_workspace_are_removed_and_others_kept() {
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
        let expected = ["PATH", "HOME", "CARGO_HOME", "CARGO_REGISTRIES_X_INDEX", "CARGO_HTTP_PROXY", "RUSTUP_HOME"];
        assert_eq!(keys[..6], expected);
        assert_eq!(keys[6..], ["CARGO_PROFILE_RELEASE_LTO", "LD_LIBRARY_PATH"], "they change what is measured");
    }

    #[test]
    fn library_paths_of_the_user_are_kept_and_those_of_cargo_removed() {
        let of = |value: &str| users_libraries(OsStr::new(value)).map(|value| value.into_string().unwrap());
        let cargos = "/r/toolchains/stable/lib:/w/target/debug/deps:/w/target/debug";
        assert_eq!(of(cargos), None);
        assert_eq!(of(&format!("{cargos}:/opt/blas/lib::/opt/cuda")).unwrap(), "/opt/blas/lib:/opt/cuda");
    }

    #[test]
    fn flags_set_on_purpose_are_mentioned() {
        assert_eq!(notes(pairs(&["PATH", "RUSTFLAGS", "RUSTC"])).len(), 2);
        let in_force = notes(pairs(&["CARGO_PROFILE_BENCH_LTO", "LD_LIBRARY_PATH"]));
        assert!(
            in_force.len() == 2 && in_force.iter().all(|note| note.contains("in force on both sides")),
            "{in_force:?}"
        );
        assert!(notes(vec![("RUSTFLAGS".into(), OsString::new())]).is_empty());
    }
}
