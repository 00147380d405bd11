//! For whom a bench program runs: a tool that records it, or a person who reads its output.

use std::collections::HashSet;

/// Options of criterion that take a value as the next argument; what follows one is no filter.
const WITH_VALUE: [&str; 16] = [
    "-c",
    "--color",
    "-s",
    "--save-baseline",
    "-b",
    "--baseline",
    "--baseline-lenient",
    "--load-baseline",
    "--format",
    "--sample-size",
    "--warm-up-time",
    "--measurement-time",
    "--nresamples",
    "--noise-threshold",
    "--confidence-level",
    "--significance-level",
];
/// The same, of the modes that time nothing or draw.
const WITH_VALUE_ELSE: [&str; 3] = ["--profile-time", "--plotting-backend", "--output-format"];
/// Options under which nothing is measured.
const NOT_MEASURING: [&str; 3] = ["--test", "--list", "--profile-time"];

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// A tool, or a run that measures nothing: every bench that criterion's filter selects, no table.
    Tool,
    /// A person who named a filter: every bench that it selects.
    Filtering,
    /// A person who did not: the cases of tier 1, all their kernels.
    Default,
}

impl Audience {
    /// Of a process with these arguments, the program's name left out; `is_recorded` says whether a tool reads rows or
    /// times.
    pub(super) fn of(arguments: impl Iterator<Item = String>, is_recorded: bool) -> Self {
        let (mut is_bench, mut is_measuring, mut has_filter) = (false, true, false);
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let name = argument.split('=').next().unwrap_or_default();
            is_bench |= name == "--bench";
            is_measuring &= !NOT_MEASURING.contains(&name);
            if !argument.starts_with('-') {
                has_filter = true;
            } else if WITH_VALUE.contains(&&*argument) || WITH_VALUE_ELSE.contains(&&*argument) {
                arguments.next();
            }
        }
        match (is_bench && is_measuring && !is_recorded, has_filter) {
            (false, _) => Self::Tool,
            (true, true) => Self::Filtering,
            (true, false) => Self::Default,
        }
    }

    /// Whether a person reads the output.
    pub(super) fn is_person(self) -> bool {
        self != Self::Tool
    }
}

/// The cases (first and second part of an id) of which some kernel is of tier 1, and how many benches they and the
/// others have.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    first_tier: HashSet<(String, String)>,
    declared: Vec<(String, String)>,
}

impl Catalog {
    pub(super) fn declare(&mut self, group: &str, function: &str, tier: u8) {
        let case = (group.to_owned(), function.to_owned());
        if tier <= 1 {
            self.first_tier.insert(case.clone());
        }
        self.declared.push(case);
    }

    pub(super) fn has(&self, group: &str, function: &str) -> bool {
        self.first_tier.contains(&(group.to_owned(), function.to_owned()))
    }

    /// How many benches are of other cases.
    pub(super) fn left_out(&self) -> usize {
        self.declared.iter().filter(|case| !self.first_tier.contains(case)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &str, is_recorded: bool) -> Audience {
        Audience::of(arguments.split_whitespace().map(str::to_owned), is_recorded)
    }

    #[test]
    fn a_person_is_one_who_measures_and_records_nothing() {
        assert_eq!(of("--bench", false), Audience::Default);
        assert_eq!(of("--bench", true), Audience::Tool);
        for arguments in
            ["", "--test", "--bench --test", "--bench --list", "--bench --profile-time 5", "--bench --profile-time=5"]
        {
            assert_eq!(of(arguments, false), Audience::Tool, "{arguments}");
        }
    }

    #[test]
    fn values_of_options_are_no_filter() {
        for arguments in
            ["--bench --warm-up-time 0.1", "--color never --bench", "-b main --bench", "--bench --sample-size=10"]
        {
            assert_eq!(of(arguments, false), Audience::Default, "{arguments}");
        }
        for arguments in ["--bench f32", "f32 --bench --warm-up-time 0.1", "--bench --exact a/b/c", "--bench ."] {
            assert_eq!(of(arguments, false), Audience::Filtering, "{arguments}");
        }
    }

    #[test]
    fn a_case_of_tier_1_brings_all_its_kernels() {
        let mut catalog = Catalog::default();
        for (function, tier) in [("n1", 2), ("n1", 1), ("n2", 2), ("n2", 3), ("n3", 1)] {
            catalog.declare("g", function, tier);
        }
        assert_eq!(["n1", "n2", "n3"].map(|function| catalog.has("g", function)), [true, false, true]);
        assert!(!catalog.has("h", "n1"));
        assert_eq!(catalog.left_out(), 2);
    }
}
