//! Sizes: limits on the lines of files and functions, and on the bytes of any file.

use super::Violation;
use super::tree::{File, Tree};

/// Of any file, text or not: the largest is a trained model of 2.5 MiB, which may have 4.
const FILE_BYTES: u64 = 4 << 20;
const FILE_LINES: usize = 400;
/// For a Rust file that gives a reason in its first lines: `// Long because …`.
const REASONED_FILE_LINES: usize = 700;
const REASON: &str = "// Long because ";
const REASON_WITHIN: usize = 30;
const SHADER_LINES: usize = 250;
const FUNCTION_LINES: usize = 70;
/// Files whose functions may be long: a micro-kernel is one step, however many registers it uses.
const KERNELS: [&str; 5] = ["scalar", "avx2", "avx512", "amx", "neon"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations: Vec<Violation> = tree.sizes.iter().filter_map(large_file).collect();
    for file in tree.ending(&[".wgsl", ".cu"]) {
        let lines = file.text.lines().count();
        if lines > SHADER_LINES {
            let message = format!(
                "{lines} lines; a shader has at most {SHADER_LINES}: split it, or share through kernels/shared/"
            );
            violations.push(Violation::new(&file.path, SHADER_LINES + 1, message));
        }
    }
    for (file, source) in tree.sources() {
        violations.extend(long_file(file));
        if is_kernel(&file.path) {
            continue;
        }
        for function in source.functions().into_iter().filter(|function| function.length > FUNCTION_LINES) {
            let message = format!(
                "`{}` has {} lines; a function outside kernel files has at most {FUNCTION_LINES}: name its steps",
                function.name, function.length
            );
            violations.push(Violation::new(&file.path, function.line, message));
        }
    }
    violations
}

fn large_file((path, bytes): &(String, u64)) -> Option<Violation> {
    let message = format!(
        "{bytes} bytes, at most {FILE_BYTES}: what a build makes is listed in .gitignore, and data is made by a program"
    );
    (*bytes > FILE_BYTES).then(|| Violation::new(path, 1, message))
}

fn long_file(file: &File) -> Option<Violation> {
    let lines = file.text.lines().count();
    let mut first = file.text.lines().take(REASON_WITHIN);
    let limit = if first.any(|line| line.strip_prefix(REASON).is_some_and(|why| why.len() > 10)) {
        REASONED_FILE_LINES
    } else {
        FILE_LINES
    };
    let mend = format!(
        "split it by what changes together, or write `{REASON}…` into its first {REASON_WITHIN} lines (then {REASONED_FILE_LINES})"
    );
    (lines > limit).then(|| Violation::new(&file.path, limit + 1, format!("{lines} lines, at most {limit}: {mend}")))
}

fn is_kernel(path: &str) -> bool {
    let parts: Vec<&str> = path.split(['/', '.']).collect();
    !parts.contains(&"tests") && parts.iter().any(|part| KERNELS.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn long_files_need_a_reason_and_end_somewhere() {
        let lines = |n: usize| "\n".repeat(n);
        assert_eq!(count("a.rs", &lines(400)), 0);
        assert_eq!(count("a.rs", &lines(401)), 1);
        let reasoned = |n: usize| format!("//! Text.\n// Long because the table stands in one place.\n{}", lines(n));
        assert_eq!((count("a.rs", &reasoned(690)), count("a.rs", &reasoned(700))), (0, 1));
        assert_eq!(count("a.rs", &format!("// Long because \n{}", lines(401))), 1, "a reason has words");
        assert_eq!((count("a.wgsl", &lines(250)), count("a.wgsl", &lines(251)), count("a.cu", &lines(251))), (0, 1, 1));
    }

    #[test]
    fn large_files_are_caught_whatever_they_hold() {
        let large = |bytes| check(&Tree::of(&[]).with_size("a/native.so", bytes)).len();
        assert_eq!((large(FILE_BYTES), large(FILE_BYTES + 1)), (0, 1));
    }

    #[test]
    fn long_functions_are_caught_outside_kernels() {
        let function = |n: usize| format!("fn f() {{\n{}}}\n", "    step();\n".repeat(n));
        assert_eq!(count("crates/a/src/lib.rs", &function(68)), 0);
        assert_eq!(count("crates/a/src/lib.rs", &function(69)), 1);
        assert_eq!(count("crates/a/src/avx2.rs", &function(69)), 0);
        assert_eq!(count("crates/a/src/avx512/tile.rs", &function(69)), 0);
        assert_eq!(count("crates/a/tests/avx2.rs", &function(69)), 1);
    }
}
