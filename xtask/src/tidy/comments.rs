//! Comments: they keep to the width of code, SAFETY comments belong to unsafe code, commented-out code is deleted, and
//! no path is of one machine.

use super::Violation;
use super::source::{Line, Source, words};
use super::tree::{File, Tree};

/// Lines of code that may stand between a SAFETY comment and its `unsafe`.
const SAFETY_REACH: usize = 4;

/// Columns of a line, as in rustfmt.toml.
const WIDTH: usize = 120;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (file, source) in tree.sources() {
        violations.extend(stray_safety(file, source));
        violations.extend(dead_code(file, source));
        violations.extend(wide(file));
    }
    violations.extend(tree.files.iter().flat_map(|file| paths_home(file, &tree.root)));
    violations
}

/// Clippy demands a SAFETY comment at `unsafe`; this rule forbids one elsewhere.
fn stray_safety(file: &File, source: &Source) -> Vec<Violation> {
    let is_about_unsafe = |at: usize| {
        let code = source.lines[at..].iter().filter(|line| !line.code.trim().is_empty());
        code.take(SAFETY_REACH).any(|line| words(&line.code).any(|word| word == "unsafe"))
    };
    let strays = source.numbered().filter(|(number, line)| is_safety(line) && !is_about_unsafe(number - 1));
    strays
        .map(|(number, _)| {
            Violation::new(&file.path, number, "a SAFETY comment belongs to unsafe code only: use a plain comment")
        })
        .collect()
}

fn is_safety(line: &Line) -> bool {
    line.comment.trim_start_matches(['/', '*', '!', ' ']).starts_with("SAFETY:") && !is_documentation(&line.comment)
}

fn is_documentation(comment: &str) -> bool {
    comment.starts_with("///") || comment.starts_with("//!")
}

/// Comments wider than [`WIDTH`], which rustfmt leaves alone. Rows of tables, and code of examples, cannot be broken.
fn wide(file: &File) -> Vec<Violation> {
    let mut is_example = false;
    let mut violations = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let Some(text) = line.trim_start().strip_prefix("//") else {
            is_example = false;
            continue;
        };
        let text = text.trim_start_matches(['/', '!']).trim_start();
        is_example ^= text.starts_with("```");
        let columns = line.chars().count();
        if columns > WIDTH && !is_example && !text.starts_with('|') {
            let message = format!("a comment of {columns} columns, at most {WIDTH}: break the line");
            violations.push(Violation::new(&file.path, at + 1, message));
        }
    }
    violations
}

/// Comments that are code; one violation for consecutive lines.
fn dead_code(file: &File, source: &Source) -> Vec<Violation> {
    let is_code = |line: &Line| {
        let is_alone =
            line.code.trim().is_empty() && line.comment.starts_with("//") && !is_documentation(&line.comment);
        is_alone && looks_like_code(line.comment.trim_start_matches('/').trim())
    };
    let mut violations = Vec::new();
    let mut last = None;
    for (number, _) in source.numbered().filter(|(_, line)| is_code(line)) {
        if last != Some(number - 1) {
            violations.push(Violation::new(&file.path, number, "commented-out code: delete it, git keeps it"));
        }
        last = Some(number);
    }
    violations
}

fn looks_like_code(text: &str) -> bool {
    const BEGINNINGS: [&str; 15] = [
        "let ", "pub ", "use ", "fn ", "mod ", "impl ", "struct ", "return ", "assert", "println!", "for ", "if ",
        "while ", "match ", "#[",
    ];
    let begins = BEGINNINGS.iter().any(|beginning| text.starts_with(beginning));
    let is_statement = text.ends_with(';') && (text.contains('=') || text.contains('(') || text.contains("::"));
    let opens = text.ends_with('{') && text.len() > 1;
    begins && (is_statement || opens || (text.starts_with("#[") && text.ends_with(']')))
}

/// A path into a home directory or to this checkout does not exist on another machine.
fn paths_home(file: &File, root: &str) -> Vec<Violation> {
    // Put together here, so that this file does not violate its own rule.
    let homes = ["/home", "/Users", "/root"].map(|home| format!("{home}/"));
    let leads_home = |line: &str| {
        homes.iter().any(|home| {
            let begins =
                |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
            let goes_on = |at: usize| line[at + home.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '.');
            line.match_indices(home).any(|(at, _)| begins(at) && goes_on(at))
        }) || (root.matches('/').count() > 1 && line.contains(root))
    };
    let lines = file.text.lines().enumerate().filter(|(_, line)| leads_home(line));
    lines
        .map(|(at, _)| {
            Violation::new(&file.path, at + 1, "an absolute path of one machine: make it relative, or use $HOME")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(&Tree::of(&[("a.rs", text)])).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn safety_comments_without_unsafe_code_are_caught() {
        assert_eq!(lines("// SAFETY: the index is below the length\nlet x = y.unwrap();\n"), [1]);
        assert_eq!(lines("// SAFETY: checked\n// above\nlet x =\n    unsafe { y() };\n"), [0; 0]);
        assert_eq!(lines("// SAFETY: it is Send\nunsafe impl Send for X {}\n"), [0; 0]);
        assert_eq!(lines("let s = \"// SAFETY: no\";\n"), [0; 0]);
    }

    #[test]
    fn commented_out_code_is_caught_and_prose_is_not() {
        assert_eq!(
            lines("fn f() {\n    // let x = pack(a, b);\n    // run(x);\n    // if x.is_empty() {\n}\n"),
            [2, 4]
        );
        assert_eq!(lines("// #[inline(always)]\n// use crate::tile::Tile;\n"), [1]);
        assert_eq!(
            lines(
                "// let the reader see; use plain words (they last)\n// for m = 1; the rest follows\n/// let x = 1;\n"
            ),
            [0; 0]
        );
    }

    #[test]
    fn wide_comments_are_caught_and_tables_are_not() {
        let long = "word ".repeat(30);
        let found = |text: String| check(&Tree::of(&[("crates/a/src/lib.rs", &text)])).len();
        assert_eq!(found(format!("/// {long}\nfn f() {{}}\n")), 1);
        assert_eq!(found(format!("fn f() {{\n    // {long}\n}}\n")), 1);
        assert_eq!(found(format!("/// | {long} |\nfn f() {{}}\n")), 0);
        assert_eq!(found(format!("/// ```\n/// {long}\n/// ```\n/// {long}\nfn f() {{}}\n")), 1);
        assert_eq!(found(format!("/// {}\nfn f() {{}}\n", "é".repeat(110))), 0);
    }

    #[test]
    fn paths_home_are_caught() {
        let home = |path: &str| format!("read \"{path}\"\n");
        assert_eq!(lines(&home(&["/home", "/someone/x"].concat())), [1]);
        assert_eq!(lines(&home(&["/root", "/.cache"].concat())), [1]);
        assert_eq!(lines(&home(&["$X/home", "/someone"].concat())), [0; 0]);
        assert_eq!(lines(&home("/home")), [0; 0]);
        let mut tree = Tree::of(&[("a.md", "see /srv/checkout/assay/target\n")]);
        tree.root = "/srv/checkout/assay".to_owned();
        assert_eq!(check(&tree).len(), 1);
    }
}
