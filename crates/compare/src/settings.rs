//! `[settings]` of `assay.toml`: what a comparison in this workspace does unless the command line says otherwise.
//!
//! ```toml
//! [settings]
//! budget = "3m"
//! filter = "^parse/"
//! features = "simd"
//! margin = { ratio = 0.08, reason = "the hosts are shared" }   # a margin of at most 0.03 needs no reason
//! exclude = [{ filter = "^io/", reason = "needs a server" }]
//!
//! [settings.margins]
//! "parse/large" = { ratio = 0.1, reason = "depends on the page cache" }
//! ```
//!
//! A margin above the usual one and an exclusion need a reason. The entry repeats the reasons, and names every setting
//! that is in force. An exclusion is for ids; it never covers a target that fails. An option of the command line
//! replaces the setting of the same name.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use anyhow::Result;
use regex_lite::Regex;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::cli::{self, Scope};
use crate::exit::usage;
use crate::judge::DEFAULT_MARGIN;

/// The smallest and the largest margin that can be set.
const MARGINS: std::ops::RangeInclusive<f64> = 0.005..=1.0;

/// The table as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Written {
    budget: Option<Spanned<String>>,
    filter: Option<Spanned<String>>,
    features: Option<String>,
    margin: Option<Spanned<SetMargin>>,
    margins: BTreeMap<String, Spanned<SetMargin>>,
    exclude: Vec<Spanned<Exclusion>>,
}

/// `0.02`, or `{ ratio = 0.08, reason = "…" }`.
#[derive(Clone, Debug)]
struct SetMargin {
    ratio: f64,
    reason: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclusion {
    filter: String,
    #[serde(default)]
    reason: String,
}

impl<'de> Deserialize<'de> for SetMargin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            ratio: f64,
            #[serde(default)]
            reason: String,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SetMargin;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a ratio such as 0.02, or { ratio = 0.08, reason = \"…\" }")
            }

            fn visit_f64<E: serde::de::Error>(self, ratio: f64) -> Result<SetMargin, E> {
                Ok(SetMargin { ratio, reason: String::new() })
            }

            fn visit_i64<E: serde::de::Error>(self, ratio: i64) -> Result<SetMargin, E> {
                self.visit_f64(ratio as f64)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SetMargin, A::Error> {
                let Table { ratio, reason } = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SetMargin { ratio, reason })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The settings, checked.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    budget: Option<(Duration, String)>,
    filter: Option<String>,
    features: Option<String>,
    margin: Option<SetMargin>,
    margins: BTreeMap<String, SetMargin>,
    exclude: Vec<(Regex, Exclusion)>,
    /// Names and values of the settings that are in force beside the command line.
    in_force: Vec<String>,
}

/// A usage error about the part of `text` at `span`: the line's number, the line, and what is wrong.
pub(crate) fn error_at(text: &str, span: Range<usize>, wrong: &str) -> anyhow::Error {
    let before = &text[..span.start.min(text.len())];
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    usage(format!("line {number}: {wrong}\n  {line}"))
}

impl Written {
    /// Checks the settings, whose whole file is `text`.
    pub(crate) fn checked(self, text: &str) -> Result<Settings> {
        let budget = self.budget.map(|budget| {
            let time = cli::duration(budget.get_ref()).map_err(|wrong| error_at(text, budget.span(), &wrong))?;
            Ok::<_, anyhow::Error>((time, budget.into_inner()))
        });
        let regex = |written: &str, span: Range<usize>| {
            Regex::new(written).map_err(|wrong| error_at(text, span, &format!("not a regular expression: {wrong}")))
        };
        if let Some(filter) = &self.filter {
            regex(filter.get_ref(), filter.span())?;
        }
        let margin = |set: Spanned<SetMargin>| {
            let SetMargin { ratio, reason } = set.get_ref();
            if !MARGINS.contains(ratio) {
                let wrong = format!("a margin is a ratio between {} and {}", MARGINS.start(), MARGINS.end());
                return Err(error_at(text, set.span(), &wrong));
            }
            if *ratio > DEFAULT_MARGIN && reason.trim().is_empty() {
                let wrong =
                    format!("a margin above {DEFAULT_MARGIN} needs a reason: {{ ratio = {ratio}, reason = \"…\" }}");
                return Err(error_at(text, set.span(), &wrong));
            }
            Ok(set.into_inner())
        };
        let exclude = self.exclude.into_iter().map(|exclusion| {
            let span = exclusion.span();
            if exclusion.get_ref().reason.trim().is_empty() {
                return Err(error_at(text, span, "an exclusion needs a reason: { filter = \"…\", reason = \"…\" }"));
            }
            let exclusion = exclusion.into_inner();
            Ok((regex(&exclusion.filter, span)?, exclusion))
        });
        Ok(Settings {
            budget: budget.transpose()?,
            filter: self.filter.map(Spanned::into_inner),
            features: self.features,
            margin: self.margin.map(margin).transpose()?,
            margins: self.margins.into_iter().map(|(id, set)| Ok((id, margin(set)?))).collect::<Result<_>>()?,
            exclude: exclude.collect::<Result<_>>()?,
            in_force: Vec::new(),
        })
    }
}

impl Settings {
    /// The scope and the budget of a run: what the command line says, else what the settings say, else `default`.
    pub fn under(&mut self, scope: &Scope, budget: Option<Duration>, default: Duration) -> (Scope, Duration) {
        let mut scope = scope.clone();
        let mut fill = |name: &str, given: &mut Option<String>, set: &Option<String>| {
            if given.is_none() && set.is_some() {
                given.clone_from(set);
                self.in_force.extend(set.iter().map(|value| format!("{name} = {value:?}")));
            }
        };
        fill("filter", &mut scope.filter, &self.filter);
        fill("features", &mut scope.features, &self.features);
        if !scope.exclude.is_empty() {
            self.exclude.clear();
        }
        let set = self.budget.as_ref().filter(|_| budget.is_none());
        self.in_force.extend(set.map(|(_, written)| format!("budget = {written:?}")));
        let budget = budget.or(set.map(|(budget, _)| *budget)).unwrap_or(default);
        (scope, budget)
    }

    /// The margin that is set for a benchmark, as a ratio.
    pub fn margin(&self, id: &str) -> Option<f64> {
        self.margins.get(id).or(self.margin.as_ref()).map(|set| set.ratio)
    }

    /// Why a benchmark is not run, if a setting excludes it.
    pub fn exclusion(&self, id: &str) -> Option<&str> {
        self.exclude.iter().find(|(filter, _)| filter.is_match(id)).map(|(_, exclusion)| exclusion.reason.as_str())
    }

    /// What an entry says about the settings that the run was made under. `has` says whether the run had a benchmark.
    pub fn remarks(&self, has: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut remarks = Vec::new();
        if !self.in_force.is_empty() {
            remarks.push(format!("settings of assay.toml: {}", self.in_force.join(", ")));
        }
        let shown = |set: &SetMargin| {
            let why = if set.reason.is_empty() { String::new() } else { format!(" ({})", set.reason.trim()) };
            format!("{:.1} %{why}", 100.0 * set.ratio)
        };
        remarks.extend(self.margin.iter().map(|set| format!("assay.toml sets the margin to {}", shown(set))));
        for (id, set) in &self.margins {
            remarks.push(if has(id) {
                format!("assay.toml sets the margin of {id} to {}", shown(set))
            } else {
                format!("the margin of {id} in [settings.margins] matches no benchmark of this run")
            });
        }
        let excluded = |(_, Exclusion { filter, reason }): &(Regex, Exclusion)| {
            format!("assay.toml excludes ids that match `{filter}` ({})", reason.trim())
        };
        remarks.extend(self.exclude.iter().map(excluded));
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn parsed(text: &str) -> Result<Settings> {
        toml::from_str::<Written>(text).map_err(|error| usage(error.to_string()))?.checked(text)
    }

    fn scope(words: &[&str]) -> Scope {
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            scope: Scope,
        }
        Line::try_parse_from([&["x"], words].concat()).unwrap().scope
    }

    const TEXT: &str = "budget = \"3m\"\nfilter = \"^parse/\"\nfeatures = \"simd\"\n\
        margin = { ratio = 0.08, reason = \"shared hosts\" }\n\
        exclude = [{ filter = \"^parse/io\", reason = \"needs a server\" }]\n\
        [margins]\n\"parse/a\" = 0.02\n\"parse/b\" = { ratio = 0.1, reason = \"page cache\" }\n";

    #[test]
    fn settings_apply_where_the_command_line_says_nothing() {
        let default = Duration::from_secs(300);
        let mut settings = parsed(TEXT).unwrap();
        let (scope_, budget) = settings.under(&scope(&[]), None, default);
        assert_eq!((scope_.filter.as_deref(), scope_.features.as_deref()), (Some("^parse/"), Some("simd")));
        assert_eq!(budget, Duration::from_secs(180));
        assert_eq!(["parse/a", "parse/b", "parse/c"].map(|id| settings.margin(id)), [0.02, 0.1, 0.08].map(Some));
        assert_eq!(settings.exclusion("parse/io/x"), Some("needs a server"));
        let remarks = settings.remarks(&|id| id == "parse/b").join("\n");
        for said in [
            "filter = \"^parse/\", features = \"simd\", budget = \"3m\"",
            "the margin to 8.0 % (shared hosts)",
            "the margin of parse/b to 10.0 % (page cache)",
            "the margin of parse/a in [settings.margins] matches no benchmark",
            "excludes ids that match `^parse/io` (needs a server)",
        ] {
            assert!(remarks.contains(said), "no {said:?} in {remarks}");
        }
    }

    #[test]
    fn the_command_line_replaces_a_setting() {
        let mut settings = parsed(TEXT).unwrap();
        let given = scope(&["--filter", "x", "--features", "f", "--exclude", "y"]);
        let (scope, budget) = settings.under(&given, Some(Duration::from_secs(9)), Duration::MAX);
        assert_eq!((scope.filter.as_deref(), scope.features.as_deref()), (Some("x"), Some("f")));
        assert_eq!((budget, settings.exclusion("parse/io")), (Duration::from_secs(9), None));
        assert!(!settings.remarks(&|_| true).join("\n").contains("budget"), "what is replaced is not reported");
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_line() {
        for (text, said) in [
            ("\nbugdet = \"3m\"", &["line 2", "unknown field `bugdet`"][..]),
            ("margin = 0.02\n[margins]\n\"a\" = 0.08", &["line 3: a margin above 0.03 needs a reason", "\"a\" = 0.08"]),
            ("margin = { ratio = 0.08 }", &["line 1: a margin above 0.03 needs a reason"]),
            ("margin = { ratio = 0.08, why = \"x\" }", &["line 1", "unknown field `why`"]),
            ("margin = 8", &["line 1: a margin is a ratio between"]),
            ("margin = \"wide\"", &["line 1", "a ratio such as 0.02"]),
            ("\n\nexclude = [{ filter = \"x\" }]", &["line 3: an exclusion needs a reason"]),
            ("exclude = [{ filter = \"(\", reason = \"r\" }]", &["line 1: not a regular expression"]),
            ("budget = \"soon\"", &["line 1", "`soon` is not a time"]),
            ("filter = \"(\"", &["line 1: not a regular expression"]),
        ] {
            let error = parsed(text).unwrap_err();
            assert_eq!(crate::exit::of_error(&error), crate::exit::Exit::Usage);
            for said in said {
                assert!(error.to_string().contains(said), "{text}: {error}");
            }
        }
    }
}
