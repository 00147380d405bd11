//! The commands themselves: each turns its arguments into calls and its result into words and an exit code.

mod benches;
mod bisect;
mod bisect_answer;
mod clean;
mod compare;
mod demo;
mod doctor;
mod full;
mod gate;
mod layout;
mod list;
mod log;
mod pages;
mod selftest;
mod sought;

pub use bisect::bisect;
pub use clean::clean;
pub use compare::{compare, import_entry, packed_comparison};
pub use demo::demo;
pub use doctor::{describe_machine, doctor};
pub use gate::gate;
pub use log::log;
pub use selftest::selftest;

use anyhow::Result;
use clap::Args;
use regex_lite::Regex;

use crate::build::Wanted;
use crate::cli::{Command, Compare, Scope};
use crate::comparison::Invocation;
use crate::exit::{self, Exit, usage};

/// Runs a command and says what the process ends with. Errors are shown here.
pub fn execute<C: Args + AsRef<Compare>>(invocation: &Invocation, command: &Command<C>) -> Exit {
    let result = match command {
        Command::Compare(arguments) => compare(invocation, arguments.as_ref()),
        Command::Gate(arguments) => gate(invocation, arguments),
        Command::Bisect(arguments) => bisect(invocation, arguments),
        Command::Log(arguments) => log(invocation, arguments),
        Command::Clean(arguments) => clean(invocation, arguments),
        Command::Demo(arguments) => demo(invocation, arguments),
        Command::Doctor(arguments) => doctor(invocation, arguments),
        Command::Selftest(arguments) => selftest(invocation, arguments),
    };
    result.unwrap_or_else(|error| match full::disk(invocation, &error) {
        Some(advice) => {
            invocation.console.error(&format!("error: {advice}"));
            Exit::Failure
        }
        None => {
            invocation.console.error(&format!("error: {error:#}"));
            exit::of_error(&error)
        }
    })
}

/// Prints a report, in color where the reader's terminal takes it.
fn report(invocation: &Invocation, text: &str) -> Result<()> {
    let is_dumb = invocation.variable("TERM").is_some_and(|term| term.as_os_str() == "dumb");
    invocation.console.report(text, invocation.variable("NO_COLOR").is_none() && !is_dumb)
}

/// What a scope asks to build.
fn wanted(scope: &Scope) -> Wanted {
    Wanted {
        packages: scope.package.clone(),
        benches: scope.bench.clone(),
        features: scope.features.clone(),
        scenario: None,
    }
}

/// The regular expression of `--filter`.
fn filter(scope: &Scope) -> Result<Option<Regex>> {
    let parse = |text: &String| Regex::new(text).map_err(|error| usage(format!("--filter: {error}")));
    scope.filter.as_ref().map(parse).transpose()
}

/// The regular expressions of `--exclude`.
fn exclude(scope: &Scope) -> Result<Vec<Regex>> {
    let parse = |text: &String| Regex::new(text).map_err(|error| usage(format!("--exclude: {error}")));
    scope.exclude.iter().map(parse).collect()
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// The words of a scope that differ from the defaults, for the command that repeats a run.
fn scope_words(scope: &Scope) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |name: &str, value: &str| words.extend([name.to_owned(), quoted(value)]);
    scope.package.iter().for_each(|value| add("-p", value));
    scope.bench.iter().for_each(|value| add("--bench", value));
    scope.filter.iter().for_each(|value| add("--filter", value));
    scope.exclude.iter().for_each(|value| add("--exclude", value));
    scope.features.iter().for_each(|value| add("--features", value));
    scope.tier.iter().for_each(|value| add("--tier", &value.to_string()));
    if scope.timeout.as_secs() != 60 {
        words.extend(["--timeout".to_owned(), format!("{}s", scope.timeout.as_secs_f64())]);
    }
    if scope.one_link {
        words.push("--one-link".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("gemm/f32"), "gemm/f32");
        assert_eq!(quoted("it's a | b"), "'it'\\''s a | b'");
        assert_eq!(quoted(""), "''");
    }
}
