//! Path dependencies outside the repository, such as a crate of a sibling checkout.
//!
//! A slot does not hold them, and a relative path would lead elsewhere from there. So the manifests in the slot get the
//! absolute path of what the user's own work tree uses. Both sides then build the same files, as they are now: what is
//! outside has no revisions to compare. Where a path leads is decided in the user's work tree. One that leaves it and
//! comes back, such as `../repository/other`, names a crate of the repository: in a slot it is that slot's own.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use toml::de::{DeTable, DeValue};

use crate::exit::usage;

/// Tables of a manifest whose entries may have a `path` of a dependency.
const TABLES: [&str; 5] = ["dependencies", "dev-dependencies", "build-dependencies", "patch", "replace"];

/// Makes the `manifests` of a slot's `tree` refer to what lies outside as the work tree in `top` does. Adds a remark on
/// each such dependency. Returns whether a manifest was changed.
pub(super) fn refer_outside(
    tree: &Path,
    top: &Path,
    manifests: &[PathBuf],
    remarks: &mut BTreeSet<String>,
) -> Result<bool> {
    let mut is_changed = false;
    for manifest in manifests {
        let text = fs::read_to_string(manifest).with_context(|| format!("failed to read {}", manifest.display()))?;
        let (Ok(table), Some(directory)) = (DeTable::parse(&text), manifest.parent()) else { continue };
        let Ok(below) = directory.strip_prefix(tree) else { continue };
        let mut paths = Vec::new();
        collect(table.get_ref(), false, "", &mut paths);
        let mut written = text.clone();
        // From the end, so that earlier spans stay valid.
        paths.sort_by_key(|(_, _, span)| std::cmp::Reverse(span.start));
        for (name, path, span) in paths {
            let in_slot = normal(&directory.join(&path));
            if Path::new(&path).is_absolute() && in_slot.starts_with(tree) {
                continue;
            }
            let real = normal(&top.join(below).join(&path));
            if let Some(inside) = inside(&real, top) {
                let own = tree.join(inside);
                if own != in_slot {
                    written.replace_range(span, &toml_string(&own.to_string_lossy()));
                }
                continue;
            }
            if !real.join("Cargo.toml").exists() {
                return Err(usage(format!(
                    "{} needs {name} at {}, which is outside the repository and not there. Put it there, move it into \
                     the repository, or depend on it by version or git",
                    below.join("Cargo.toml").display(),
                    real.display()
                )));
            }
            let quoted = toml_string(&real.to_string_lossy());
            written.replace_range(span, &quoted);
            remarks.insert(format!(
                "{name} at {} is outside the repository: every side uses it as it is now, so its changes are not \
                 compared",
                real.display()
            ));
        }
        if written != text {
            // A directory of the tree may be a link, too.
            if !directory.canonicalize().is_ok_and(|directory| directory.starts_with(tree)) {
                return Err(usage(format!(
                    "{} lies behind a link out of the repository, and depends on a path that only your work tree has: \
                     depend on it by version or git",
                    below.join("Cargo.toml").display()
                )));
            }
            // Replaced, not written into: a manifest that is a link must not change the file that it leads to.
            whole_file::replace(manifest, written.as_bytes())
                .with_context(|| format!("failed to write {}", manifest.display()))?;
            is_changed = true;
        }
    }
    Ok(is_changed)
}

/// `path` relative to the work tree in `top`, if it is in there, by its name or by where its links lead.
fn inside(path: &Path, top: &Path) -> Option<PathBuf> {
    let by_name = path.strip_prefix(top).ok().map(Path::to_owned);
    by_name.or_else(|| Some(path.canonicalize().ok()?.strip_prefix(top.canonicalize().ok()?).ok()?.to_owned()))
}

/// Every `path` of a dependency: the dependency's name, the path, and where the string stands.
fn collect(table: &DeTable<'_>, inside: bool, name: &str, paths: &mut Vec<(String, String, Range<usize>)>) {
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Table(inner) => {
                // A target's `cfg(…)`, a workspace and a patched source are tables around those of dependencies.
                collect(inner, inside || TABLES.contains(&key), key, paths);
            }
            DeValue::String(path) if inside && key == "path" => {
                paths.push((name.to_owned(), path.to_string(), value.span()));
            }
            _ => {}
        }
    }
}

/// `path` without `.` and `..`, as cargo reads it: links are not followed.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

/// A TOML string with this content.
fn toml_string(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", c as u32),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"us\"\n\n\
        [[bench]]\nname = \"b\"\npath = \"../../../not/a/dependency.rs\"\n\
        [dependencies]\nfar = { path = \"../../far\", version = \"1\" }\nnear = { path = \"../near\" }\n\
        [target.'cfg(unix)'.dev-dependencies.other]\npath = '../../far'\n";

    /// A tree `slot/tree` and a work tree `work/repo`, each with the package `us`; `work/far` exists.
    fn trees() -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let at = |path: &str| root.join(path);
        for path in ["slot/tree/us", "work/repo/us", "work/far"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("work/far/Cargo.toml"), "").unwrap();
        let manifest = at("slot/tree/us/Cargo.toml");
        fs::write(&manifest, MANIFEST).unwrap();
        let (tree, top) = (at("slot/tree"), at("work/repo"));
        (directory, tree, top, manifest)
    }

    #[test]
    fn only_dependencies_outside_get_the_path_of_the_work_tree() {
        let (directory, tree, top, manifest) = trees();
        let refer = || {
            let mut remarks = BTreeSet::new();
            let is_changed = refer_outside(&tree, &top, std::slice::from_ref(&manifest), &mut remarks).unwrap();
            (is_changed, remarks)
        };
        let (is_changed, remarks) = refer();
        assert!(is_changed);
        let far = directory.path().join("work/far");
        let text = fs::read_to_string(&manifest).unwrap();
        let expected =
            MANIFEST.replace("\"../../far\"", &format!("{far:?}")).replace("'../../far'", &format!("{far:?}"));
        assert_eq!(text, expected);
        assert_eq!(remarks.len(), 2);
        assert!(remarks.iter().all(|remark| remark.contains("every side uses it as it is now")), "{remarks:?}");
        let again = refer();
        assert_eq!((again, fs::read_to_string(&manifest).unwrap()), ((false, remarks), text), "it is only reported");
    }

    /// In the slot, `../repo` is beside the tree, where nothing is; `../tree` is the slot's own tree by accident.
    #[test]
    fn a_path_that_leads_out_and_back_is_the_slots_own_and_no_remark() {
        let (directory, tree, top, manifest) = trees();
        let at = |path: &str| directory.path().join(path);
        for path in ["work/repo/near", "work/tree/far", "slot/tree/far"] {
            fs::create_dir_all(at(path)).unwrap();
            fs::write(at(path).join("Cargo.toml"), "").unwrap();
        }
        let text = format!(
            "[dependencies]\nback = {{ path = \"../../repo/near\" }}\nnear = {{ path = \"../near\" }}\n\
             absolute = {{ path = {:?} }}\nbeside = {{ path = \"../../tree/far\" }}\n",
            at("work/repo/near")
        );
        fs::write(&manifest, &text).unwrap();
        let mut remarks = BTreeSet::new();
        let manifests = std::slice::from_ref(&manifest);
        assert!(refer_outside(&tree, &top, manifests, &mut remarks).unwrap());
        let (own, beside) = (format!("{:?}", tree.join("near")), format!("{:?}", at("work/tree/far")));
        let expected = text
            .replace("\"../../repo/near\"", &own)
            .replace(&format!("{:?}", at("work/repo/near")), &own)
            .replace("\"../../tree/far\"", &beside);
        assert_eq!(fs::read_to_string(&manifest).unwrap(), expected);
        assert!(remarks.len() == 1 && remarks.first().unwrap().starts_with("beside at "), "{remarks:?}");
        assert!(!refer_outside(&tree, &top, manifests, &mut remarks).unwrap(), "nothing is left to change");
    }

    #[test]
    #[cfg(unix)]
    fn nothing_outside_the_slot_is_written_through_a_link() {
        use std::os::unix::fs::symlink;
        let (directory, tree, top, manifest) = trees();
        let users = directory.path().join("users.toml");
        fs::rename(&manifest, &users).unwrap();
        symlink(&users, &manifest).unwrap();
        assert!(refer_outside(&tree, &top, std::slice::from_ref(&manifest), &mut BTreeSet::new()).unwrap());
        assert_eq!(fs::read_to_string(&users).unwrap(), MANIFEST);
        assert!(fs::read_to_string(&manifest).unwrap().contains("work/far"), "the slot has a file of its own");
        let elsewhere = directory.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("Cargo.toml"), MANIFEST).unwrap();
        fs::create_dir(top.join("linked")).unwrap();
        symlink(&elsewhere, tree.join("linked")).unwrap();
        let linked = [tree.join("linked/Cargo.toml")];
        let error = refer_outside(&tree, &top, &linked, &mut BTreeSet::new()).unwrap_err();
        assert!(error.to_string().contains("linked/Cargo.toml lies behind a link"), "{error}");
        assert_eq!(fs::read_to_string(elsewhere.join("Cargo.toml")).unwrap(), MANIFEST);
    }

    #[test]
    fn a_dependency_that_is_not_there_is_named_with_what_to_do() {
        let (directory, tree, top, manifest) = trees();
        fs::remove_dir_all(directory.path().join("work/far")).unwrap();
        let error = refer_outside(&tree, &top, &[manifest], &mut BTreeSet::new()).unwrap_err();
        assert_eq!(crate::exit::of_error(&error), crate::exit::Exit::Usage);
        assert!(
            error.to_string().contains("us/Cargo.toml needs") && error.to_string().contains("not there"),
            "{error}"
        );
    }
}
