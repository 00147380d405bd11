//! A request to a process: which benchmarks to measure, and for how long.

use std::ffi::OsString;

use super::protocol::CriterionVersion;

/// How long a process measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Warm-up, excluded from the samples. Seconds.
    pub warm_up_s: f64,
    /// Aim of the measurement. Seconds.
    pub measurement_s: f64,
    /// Number of samples, at least 10.
    pub samples: u32,
}

impl Settings {
    /// The default of a comparison: about 0.2 s per process, start-up, proof and ceilings included. docs/method.md has
    /// the table of block spreads by which it was chosen.
    pub const STANDARD: Settings = Settings { warm_up_s: 0.03, measurement_s: 0.1, samples: 20 };

    /// As arguments of a criterion binary. criterion 0.3 reads whole seconds only.
    fn arguments(self, version: Option<CriterionVersion>) -> Vec<OsString> {
        let whole = version.is_some_and(CriterionVersion::counts_whole_seconds);
        let seconds = |s: f64| if whole { format!("{}", s.ceil().max(1.0)) } else { format!("{s}") };
        ["--warm-up-time", &seconds(self.warm_up_s), "--measurement-time", &seconds(self.measurement_s)]
            .into_iter()
            .chain(["--sample-size", &self.samples.to_string()])
            .map(OsString::from)
            .collect()
    }
}

/// Which benchmarks of the program are wanted.
#[derive(Clone, Debug)]
pub enum Selection<'a> {
    /// None: every benchmark is only listed.
    List,
    /// Measure the one with this full id.
    Measure {
        /// Full id, `group/function/value`.
        id: &'a str,
        /// How long.
        settings: Settings,
        /// Criterion's version, where known from listing.
        version: Option<CriterionVersion>,
    },
}

/// The arguments of a criterion binary.
pub(super) fn arguments(selection: &Selection<'_>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--bench".into()];
    let filter = match selection {
        Selection::List => "^assay lists and matches nothing$".to_owned(),
        Selection::Measure { id, settings, version } => {
            arguments.extend(settings.arguments(*version));
            // An anchored regular expression is the one exact filter that every criterion since 0.3 understands.
            format!("^(?:{})$", regex_lite::escape(id))
        }
    };
    arguments.push("--".into());
    arguments.push(filter.into());
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_for_criterion_0_3() {
        let settings = Settings::STANDARD;
        assert_eq!(settings.arguments(Some(CriterionVersion(0, 3, 6)))[1], "1");
        assert_eq!(settings.arguments(Some(CriterionVersion(0, 8, 2)))[1], "0.03");
    }

    #[test]
    fn odd_ids_become_one_anchored_literal_filter() {
        let selection = Selection::Measure { id: "-a b/c:?[x]|y", settings: Settings::STANDARD, version: None };
        let arguments = arguments(&selection);
        let filter = arguments.last().unwrap().to_str().unwrap();
        assert_eq!(arguments[arguments.len() - 2], "--");
        let regex = regex_lite::Regex::new(filter).unwrap();
        assert!(regex.is_match("-a b/c:?[x]|y"));
        assert!(!regex.is_match("-a b/c:?[x]|yz") && !regex.is_match("y"));
    }
}
