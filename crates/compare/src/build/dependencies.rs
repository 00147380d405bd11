//! Which dependencies differ between two lock files. A changed dependency is easily mistaken for a change of the
//! project's code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Most differences that are named.
const NAMED: usize = 8;

/// A remark on the packages whose versions differ between the `Cargo.lock` of two workspaces; `None` if none do, or if
/// either file cannot be read as one.
pub fn difference(base: &Path, head: &Path) -> Option<String> {
    let read = |workspace: &Path| packages(&fs::read_to_string(workspace.join("Cargo.lock")).ok()?);
    let (base, head) = (read(base)?, read(head)?);
    let gone = base.difference(&head).map(|package| format!("-{package}"));
    let new = head.difference(&base).map(|package| format!("+{package}"));
    let all: Vec<String> = gone.chain(new).collect();
    if all.is_empty() {
        return None;
    }
    let rest = all.len().saturating_sub(NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    Some(format!("dependencies differ between the sides: {}{more}", all[..all.len() - rest].join(", ")))
}

/// "name version" of every package that has a source, such as a registry.
fn packages(lock: &str) -> Option<BTreeSet<String>> {
    let table: toml::Table = lock.parse().ok()?;
    let list = table.get("package")?.as_array()?;
    let named = |package: &toml::Value| {
        package.get("source")?;
        Some(format!("{} {}", package.get("name")?.as_str()?, package.get("version")?.as_str()?))
    };
    Some(list.iter().filter_map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_versions_are_compared_and_our_own_are_not() {
        let lock = |version: &str, own: &str| {
            let directory = tempfile::tempdir().unwrap();
            let text = format!(
                "version = 4\n[[package]]\nname = \"x\"\nversion = \"{version}\"\nsource = \"registry\"\n\
                 [[package]]\nname = \"us\"\nversion = \"{own}\"\n"
            );
            fs::write(directory.path().join("Cargo.lock"), text).unwrap();
            directory
        };
        let (a, b, c) = (lock("1.0.0", "0.1.0"), lock("1.0.0", "0.2.0"), lock("1.0.1", "0.1.0"));
        assert_eq!(difference(a.path(), b.path()), None);
        assert_eq!(
            difference(a.path(), c.path()).unwrap(),
            "dependencies differ between the sides: -x 1.0.0, +x 1.0.1"
        );
        assert_eq!(difference(a.path(), Path::new("/nonexistent")), None);
    }
}
