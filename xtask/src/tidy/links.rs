//! Every relative link in a Markdown file has a target.

use super::Violation;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.ending(&[".md"]) {
        let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for (at, line) in file.text.lines().enumerate() {
            for target in targets(line) {
                let path = resolved(directory, target.split('#').next().unwrap_or_default());
                let leads =
                    |known: &str| known == path || known.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'));
                if !path.is_empty() && !tree.files.iter().any(|file| leads(&file.path)) {
                    violations.push(Violation::new(&file.path, at + 1, format!("the link to {target} has no target")));
                }
            }
        }
    }
    violations
}

/// Targets of the Markdown links in a line that are relative paths.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let ends = line.match_indices("](").filter_map(|(at, open)| line[at + open.len()..].split(')').next());
    ends.filter(|target| !target.contains("://") && !target.contains(' ') && !target.starts_with('#'))
}

/// `path` as seen from `directory`, without `.` and `..`.
fn resolved(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nothing_is_caught() {
        let text = "[a](b.md) [b](../README.md#map) [c](https://x.y/z) [d](#here)\n[e](c.md) and [f](../src)\n";
        let found = check(&Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", ""), ("src/lib.rs", "")]));
        assert_eq!(
            found.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["docs/a.md:2: the link to c.md has no target"]
        );
    }
}
