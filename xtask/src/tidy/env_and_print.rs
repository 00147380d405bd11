//! Libraries neither print nor read the environment: input is an argument, output is a value.

use super::Violation;
use super::tree::{Manifest, Tree};

/// Library files that read the environment, and why.
const MAY_READ: [(&str, &str); 2] = [
    ("crates/proof/src/bench.rs", "its `main` is the main function of every bench program"),
    ("crates/compare/src/comparison/project.rs", "`Invocation::of_process` is what a binary's main calls"),
];

/// Library files that use the standard streams, and why.
const MAY_PRINT: &[(&str, &str)] = &[
    ("crates/proof/src/bench.rs", "its `main` is the main function of every bench program, and ends with a table"),
    ("crates/compare/src/console.rs", "a binary makes a `Console`; the library only writes to it"),
    (
        "crates/peer/src/serve.rs",
        "`serve` is the whole main loop of an implementation's process, which answers on stdout",
    ),
];

const READING: [&str; 4] = ["env::var(", "env::vars(", "env::var_os(", "env::vars_os("];
const PRINTING: [&str; 7] = ["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout(", "io::stderr("];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let members = tree.members();
    let mut violations = Vec::new();
    let mut used: Vec<&str> = Vec::new();
    for (file, source) in tree.sources().filter(|(file, _)| is_library(tree, &members, &file.path)) {
        for (number, line) in source.numbered().filter(|(_, line)| !line.is_test) {
            for (list, tokens, message) in [
                (
                    &MAY_READ[..],
                    &READING[..],
                    "a library does not read the environment: read the variable in `main` and pass it as an argument",
                ),
                (MAY_PRINT, &PRINTING[..], "a library does not print: return the text, print it in a binary"),
            ] {
                if !tokens.iter().any(|token| has_token(&line.code, token)) {
                    continue;
                }
                match list.iter().find(|(path, _)| *path == file.path) {
                    Some((path, _)) => used.push(path),
                    None => violations.push(Violation::new(&file.path, number, message)),
                }
            }
        }
    }
    // A file that was moved leaves its exception behind.
    let has_crate = |path: &str| members.iter().any(|member| path.starts_with(&format!("{}/", member.directory())));
    for (path, _) in MAY_READ.iter().chain(MAY_PRINT).filter(|(path, _)| !used.contains(path) && has_crate(path)) {
        let message = format!("{path} no longer needs its exception: remove it");
        violations.push(Violation::new("xtask/src/tidy/env_and_print.rs", 1, message));
    }
    violations
}

/// Whether a file belongs to a library: below `src/` of a member with a `lib.rs`, and not the root of a binary.
fn is_library(tree: &Tree, members: &[Manifest<'_>], path: &str) -> bool {
    members.iter().any(|member| {
        let below = path.strip_prefix(member.directory()).and_then(|rest| rest.strip_prefix("/src/"));
        let has_library = tree.file(&format!("{}/src/lib.rs", member.directory())).is_some();
        has_library && below.is_some_and(|rest| rest != "main.rs" && !rest.starts_with("bin/"))
    })
}

/// Whether `code` contains `token`, other than as the end of a longer word.
fn has_token(code: &str, token: &str) -> bool {
    code.match_indices(token).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: (&str, &str) = ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n");

    fn messages(path: &str, text: &str) -> Vec<String> {
        let files = [MANIFEST, ("crates/a/src/lib.rs", ""), (path, text)];
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn libraries_neither_read_the_environment_nor_print() {
        let text =
            "fn f() {\n  let v = std::env::var(\"X\");\n  println!(\"{v:?}\"); // println!\n  std::io::stdout();\n}\n";
        let found = messages("crates/a/src/deep/b.rs", text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("crates/a/src/deep/b.rs:2: a library does not read"));
        assert!(found[1].starts_with("crates/a/src/deep/b.rs:3: a library does not print"));
    }

    #[test]
    fn binaries_tests_and_words_that_only_look_alike_may() {
        let text = "fn f() { println!(\"{:?}\", std::env::var(\"X\")); }\n";
        for path in ["crates/a/src/main.rs", "crates/a/src/bin/t.rs", "crates/a/tests/t.rs", "xtask/src/main.rs"] {
            assert_eq!(messages(path, text), Vec::<String>::new(), "{path}");
        }
        assert_eq!(
            messages("crates/a/src/b.rs", &format!("#[cfg(test)]\nmod tests {{\n{text}}}\n")),
            Vec::<String>::new()
        );
        assert_eq!(messages("crates/a/src/b.rs", "fn f() { pretty_print!(\"println!\"); }\n"), Vec::<String>::new());
    }

    #[test]
    fn an_exception_that_nothing_needs_is_caught() {
        let files = [("crates/proof/Cargo.toml", ""), ("crates/proof/src/lib.rs", "")];
        for file in [&[("crates/proof/src/bench.rs", "fn f() {}\n")][..], &[]] {
            let found = check(&Tree::of(&[&files, file].concat()));
            assert!(found[0].message.contains("no longer needs its exception"), "{found:?}");
        }
    }
}
