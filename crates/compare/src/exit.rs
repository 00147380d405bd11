//! Exit codes, and the one place that decides which wins when several apply.

use std::fmt;

/// What a command tells the shell. The numbers are an interface: scripts and CI test them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Nothing was proven worse.
    Fine = 0,
    /// The tool or a build failed; nothing is known about the code.
    Failure = 1,
    /// The command was used wrongly, or the workspace is in a state that the user must change first.
    Usage = 2,
    /// At least one regression is proven.
    Regression = 3,
    /// Gate only: the run was contaminated or its null control fired, so it gives no verdict.
    NoVerdict = 4,
    /// An output is wrong, or a benchmark that the base has is missing.
    Invalid = 5,
}

impl Exit {
    /// The number given to the operating system.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Rank when several apply: a failed tool hides everything, wrong output outranks slow output,
    /// and a proven regression outranks the lack of a verdict elsewhere.
    fn rank(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::NoVerdict => 1,
            Exit::Regression => 2,
            Exit::Invalid => 3,
            Exit::Failure => 4,
            Exit::Usage => 5,
        }
    }

    /// The graver of two.
    #[must_use]
    pub fn max(self, other: Exit) -> Exit {
        if other.rank() > self.rank() { other } else { self }
    }
}

/// An error that the user can mend: it ends the command with [`Exit::Usage`] instead of [`Exit::Failure`].
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Builds a [`Usage`] error from a message.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// The exit code that an error ends with.
pub fn of_error(error: &anyhow::Error) -> Exit {
    if error.chain().any(|cause| cause.is::<Usage>()) { Exit::Usage } else { Exit::Failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_usage_failure_invalid_regression_no_verdict_fine() {
        let order = [Exit::Usage, Exit::Failure, Exit::Invalid, Exit::Regression, Exit::NoVerdict, Exit::Fine];
        for (i, &strong) in order.iter().enumerate() {
            for &weak in &order[i..] {
                assert_eq!(strong.max(weak), strong);
                assert_eq!(weak.max(strong), strong);
            }
        }
    }

    #[test]
    fn codes_are_the_documented_numbers() {
        let codes = [Exit::Fine, Exit::Failure, Exit::Usage, Exit::Regression, Exit::NoVerdict, Exit::Invalid];
        assert_eq!(codes.map(Exit::code), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_usage_error_keeps_its_code_under_context() {
        let error = usage("no git").context("while opening the workspace");
        assert_eq!(of_error(&error), Exit::Usage);
        assert_eq!(of_error(&anyhow::anyhow!("disk full")), Exit::Failure);
    }
}
