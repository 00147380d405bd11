//! Counts tests in cargo's output.

use std::fmt;
use std::ops::AddAssign;

/// Numbers of tests; a step without tests counts as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

impl Count {
    /// The count of a step in which these tests were found. A step without tests is one test itself, and so is a
    /// failure that no test accounts for: a build that failed, a test program that died.
    pub(super) fn of_step(self, is_success: bool) -> Self {
        match (is_success, self) {
            (true, Count { passed: 0, failed: 0 }) => Count { passed: 1, failed: 0 },
            _ => self.of_part(is_success),
        }
    }

    /// The count of a part of a step, which may have no tests. A failure that no test accounts for is one.
    pub(super) fn of_part(self, is_success: bool) -> Self {
        match (is_success, self) {
            (false, Count { passed, failed: 0 }) => Count { passed, failed: 1 },
            _ => self,
        }
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Counts nothing, for steps that are one test.
pub(super) fn nothing(_: &str) -> Count {
    Count::default()
}

/// The sum of libtest's summaries: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
pub(super) fn tests(output: &str) -> Count {
    let mut total = Count::default();
    for summary in output.lines().filter_map(|line| line.trim_start().strip_prefix("test result:")) {
        let figure = |word: &str| {
            let before = summary.split(['.', ';']).find_map(|part| part.trim().strip_suffix(word));
            before.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        total += Count { passed: figure("passed"), failed: figure("failed") };
    }
    total
}

/// The summary of Python's unittest: `Ran 47 tests in 5.7s`, then `OK (skipped=2)` or `FAILED (failures=1, errors=2)`.
pub(super) fn unittest(output: &str) -> Count {
    let mut lines = output.lines().rev();
    let verdict = lines.by_ref().find(|line| line.starts_with("OK") || line.starts_with("FAILED")).unwrap_or_default();
    let summary = lines.find_map(|line| line.strip_prefix("Ran ")).unwrap_or_default();
    let ran: usize = summary.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let figure = |word: &str| {
        let parts = verdict.split(['(', ',', ')']);
        let of = |part: &str| part.trim().strip_prefix(word)?.strip_prefix('=')?.parse::<usize>().ok();
        parts.filter_map(of).sum::<usize>()
    };
    let failed = figure("failures") + figure("errors") + figure("unexpected successes");
    // Parts of a test fail one by one.
    Count { passed: ran.saturating_sub(failed + figure("skipped")), failed }
}

/// Benches that criterion ran once: it prints `Testing ID`, then `Success` if the bench returned.
pub(super) fn benches(output: &str) -> Count {
    Count { passed: output.lines().filter(|line| line.trim() == "Success").count(), failed: 0 }
}

/// What tests said that they left out, past the harness, which hides what a passing test prints: lines that begin with
/// `NOT TESTED`.
pub(super) fn left_out(errors: &str) -> Vec<String> {
    errors.lines().filter(|line| line.starts_with("NOT TESTED")).map(str::to_owned).collect()
}

/// Lines that are shown of a failed test's output.
const FAILURE_LINES: usize = 10;

/// The first lines of the output of each failed test, under its name.
pub(super) fn failures(output: &str) -> String {
    let (mut shown, mut left) = (Vec::new(), 0);
    for line in output.lines() {
        if line.starts_with("---- ") && line.ends_with(" ----") {
            left = FAILURE_LINES;
        } else if line == "failures:" {
            left = 0;
        }
        if left > 0 && !line.trim().is_empty() {
            shown.push(line);
            left -= 1;
        }
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\nrunning 3 tests\ntest a ... ok\ntest b::c ... FAILED\n\ntest result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\n\
        running 1 test\n\ntest result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.00s\n";

    #[test]
    fn summaries_are_added_up() {
        assert_eq!(tests(OUTPUT), Count { passed: 12, failed: 1 });
    }

    #[test]
    fn tests_of_python_are_counted() {
        let output = |end: &str| {
            format!("....s\nFAILED to start, says a test\nRan 0 files\n-----\nRan 47 tests in 5.678s\n\n{end}\n")
        };
        for (end, passed, failed) in [
            ("OK", 47, 0),
            ("OK (skipped=2)", 45, 0),
            ("FAILED (failures=1, errors=2, skipped=3)", 41, 3),
            ("FAILED (errors=50)", 0, 50),
        ] {
            assert_eq!(unittest(&output(end)), Count { passed, failed }, "{end}");
        }
        assert_eq!(unittest("No module named unittest\n").of_step(false), Count { passed: 0, failed: 1 });
    }

    #[test]
    fn failures_are_shown_from_their_beginning() {
        let long = "more\n".repeat(20);
        let output = format!(
            "test b ... FAILED\n\nfailures:\n\n---- b stdout ----\n\nleft: 1\n{long}\n---- c stdout ----\nright: 2\n\nfailures:\n    b\n    c\n"
        );
        let shown = failures(&output);
        assert!(
            shown.starts_with("---- b stdout ----\nleft: 1\nmore\n")
                && shown.ends_with("more\n---- c stdout ----\nright: 2"),
            "{shown}"
        );
        assert_eq!(shown.lines().count(), FAILURE_LINES + 2);
        assert_eq!(failures("test a ... ok\n"), "");
    }

    #[test]
    fn what_was_left_out_is_said() {
        let errors = "   Compiling a\n\nNOT TESTED: jobs of Slurm; sbatch is missing\nwarning: NOT TESTED here\n";
        assert_eq!(left_out(errors), ["NOT TESTED: jobs of Slurm; sbatch is missing"]);
    }

    #[test]
    fn benches_count_when_they_returned() {
        let output = "Testing gemm/a\nSuccess\n\nTesting gemm/b\nthread 'main' panicked\n";
        assert_eq!(benches(output), Count { passed: 1, failed: 0 });
        assert_eq!(benches(output).of_step(false), Count { passed: 1, failed: 1 });
    }

    #[test]
    fn a_failure_is_never_counted_away() {
        let count = |passed, failed| Count { passed, failed };
        assert_eq!(count(0, 0).of_step(true), count(1, 0));
        assert_eq!(count(0, 0).of_step(false), count(0, 1));
        assert_eq!(count(5, 0).of_step(true), count(5, 0));
        assert_eq!(count(5, 0).of_step(false), count(5, 1));
        assert_eq!(count(5, 2).of_step(false), count(5, 2));
        assert_eq!(count(0, 0).of_part(true), count(0, 0), "a program without tests");
        assert_eq!(count(3, 0).of_part(false), count(3, 1), "a program that died behind its tests");
    }
}
