//! Names: the project's nouns only, and no name that only compares with another thing.

use super::Violation;
use super::source::{Source, words};
use super::tree::Tree;

/// Words that are not used in names, each with an alternative.
const FORBIDDEN: [(&str, &str); 7] = [
    ("engine", "name the kernel, or what it does"),
    ("runner", "name what runs: a process, a kernel, a cell"),
    ("provider", "name what is given"),
    ("strategy", "name the kernel, the path or the rule; a generator of test cases is named for its cases"),
    ("manager", "name what it holds"),
    ("helper", "name what it does"),
    ("util", "name what it does"),
];

/// Last words that say that there is another version, but not how it differs.
const COMPARING: [&str; 4] = ["opt", "new", "old", "fast"];

/// Keywords before an item's name.
const DEFINING: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "type", "mod", "const", "static"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in tree.ending(&[".rs", ".wgsl", ".cu", ".py", ".sh", ".toml"]) {
        for part in file.path.split('/') {
            let stem = part.split('.').next().unwrap_or(part);
            violations.extend(fault(stem).map(|fault| Violation::new(&file.path, 1, format!("`{stem}`: {fault}"))));
        }
    }
    for (file, source) in tree.sources() {
        for (line, name) in items(source) {
            violations.extend(fault(name).map(|fault| Violation::new(&file.path, line, format!("`{name}`: {fault}"))));
        }
    }
    violations
}

/// The names of items, with their lines. Names of tests are sentences and are not checked.
fn items(source: &Source) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_test = false;
    for (number, line) in source.numbered() {
        let all: Vec<&str> = words(&line.code).collect();
        for (at, word) in all.iter().enumerate().filter(|(_, word)| DEFINING.contains(word)) {
            let name = all[at + 1..].iter().find(|next| !DEFINING.contains(next) && **next != "mut");
            found.extend(name.filter(|_| !(is_test && *word == "fn")).map(|name| (number, *name)));
        }
        if !all.is_empty() {
            is_test = line.code.trim_start().starts_with("#[") && (is_test || all.contains(&"test"));
        }
    }
    found
}

/// What is wrong with a name.
fn fault(name: &str) -> Option<String> {
    let words = split(name);
    for word in &words {
        let singular =
            word.strip_suffix("ies").map_or_else(|| word.trim_end_matches('s').to_owned(), |stem| format!("{stem}y"));
        if let Some((forbidden, mend)) = FORBIDDEN.iter().find(|(forbidden, _)| singular == *forbidden) {
            return Some(format!("\"{forbidden}\" is not a noun of this project: {mend}"));
        }
    }
    let (last, before) = words.split_last()?;
    let is_version =
        last.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()));
    let asks = before.first().is_some_and(|first| matches!(first.as_str(), "is" | "has" | "was"));
    if !before.is_empty() && !asks && (is_version || COMPARING.contains(&last.as_str())) {
        return Some(format!(
            "\"{last}\" says that there is another version, not how it differs: name the technique, delete the slower one"
        ));
    }
    None
}

/// The words of `snake_case`, `kebab-case` and `CamelCase`, in lower case.
fn split(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            words.push(String::new());
        } else {
            if words.is_empty() || (c.is_uppercase() && after_lower) {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        after_lower = c.is_lowercase() || c.is_numeric();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_nouns_are_caught_in_files_and_items() {
        let tree = Tree::of(&[
            ("crates/a/src/utils.rs", ""),
            ("crates/a/src/lib.rs", "use proptest::test_runner::TestRunner;\nstruct GemmEngine;\nfn strategies() {}\n"),
        ]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/utils.rs:1: `utils`"));
        assert!(found[1].starts_with("crates/a/src/lib.rs:2: `GemmEngine`"));
        assert!(found[2].starts_with("crates/a/src/lib.rs:3: `strategies`: \"strategy\""));
    }

    #[test]
    fn names_that_only_compare_are_caught() {
        for name in ["gemv_v2", "pack_opt", "pack_fast", "TileNew", "READ_OLD", "gemv-v10"] {
            assert!(fault(name).is_some(), "{name}");
        }
        for name in ["new", "is_new", "nifti_v2_header", "adopt", "breakfast", "threshold", "V2", "Envelope", "news"] {
            assert_eq!(fault(name), None, "{name}");
        }
    }

    #[test]
    fn tests_may_be_sentences() {
        let source =
            |attribute: &str| Source::parse(&format!("{attribute}\n#[ignore]\nfn what_was_old_is_new() {{}}\n"));
        let caught = |source: &Source| items(source).iter().filter(|(_, name)| fault(name).is_some()).count();
        assert_eq!(caught(&source("#[test]")), 0);
        assert_eq!(caught(&source("#[inline]")), 1);
    }
}
