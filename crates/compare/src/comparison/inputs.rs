//! Which changed files a benchmark may read at run time.

/// Files that no benchmark reads, in any directory: documentation, licenses, the log, and files for people and services
/// only. For compiled sources, the compiled code is compared instead.
fn is_harmless(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let compiled =
        matches!(extension, Some("rs")) || matches!(name, "Cargo.toml" | "Cargo.lock" | "rust-toolchain.toml");
    let for_people = matches!(extension, Some("md" | "adoc" | "rst"))
        || name.starts_with("LICENSE")
        || name.starts_with("COPYING")
        || matches!(
            name,
            ".gitignore" | ".gitattributes" | "rustfmt.toml" | "clippy.toml" | "CODEOWNERS" | "assay.toml"
        );
    let for_services = [".github/", ".gitlab/", ".ci/", ".circleci/"].iter().any(|prefix| path.starts_with(prefix));
    compiled || for_people || for_services
}

/// The changed files that the benches of the package in `package` (a directory relative to the top of the work tree, ""
/// for the top itself) may read: those below it, and those that are in no package of `packages`.
pub(super) fn read_by<'a>(changed: &'a [String], package: &str, packages: &[String], own: &[String]) -> Vec<&'a str> {
    let below = |path: &str, directory: &str| {
        directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
    };
    let is_own = |path: &str| own.iter().any(|own| path == own || below(path, own));
    changed
        .iter()
        .map(String::as_str)
        .filter(|path| !is_harmless(path) && !is_own(path))
        .filter(|path| below(path, package) || !packages.iter().any(|other| !other.is_empty() && below(path, other)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changed: &[&str], package: &str) -> usize {
        let changed: Vec<String> = changed.iter().map(|path| (*path).to_owned()).collect();
        let packages = ["crates/a".to_owned(), "crates/b".to_owned(), String::new()];
        read_by(&changed, package, &packages, &["BENCHMARKS.md".to_owned(), "baselines".to_owned()]).len()
    }

    #[test]
    fn sources_and_documents_are_not_run_time_inputs() {
        assert_eq!(
            read(
                &[
                    "crates/a/src/lib.rs",
                    "README.md",
                    "LICENSE-MIT",
                    ".github/workflows/x.yml",
                    "baselines/m/log.jsonl"
                ],
                "crates/a"
            ),
            0
        );
    }

    #[test]
    fn fixtures_belong_to_their_package_and_shared_files_to_all() {
        assert_eq!(read(&["crates/a/data/x.bin"], "crates/a"), 1);
        assert_eq!(read(&["crates/a/data/x.bin"], "crates/b"), 0);
        assert_eq!(read(&["crates/ab/data/x.bin"], "crates/a"), 1, "outside every package: may be read by all");
        assert_eq!(read(&["kernels/gemm.wgsl"], "crates/b"), 1);
    }
}
