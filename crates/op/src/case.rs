//! Named cases: one table per op, which bench rows, peers, examples and tests read.

use std::{borrow::Cow, collections::BTreeSet};

use machine::cache::Caches;
use serde::{Deserialize, Serialize};

use crate::{ParamError, Parameters, Params};

/// One named problem of an op.
///
/// ```
/// use op::{NamedCase, ParamError, Parameters, Params};
///
/// #[derive(Debug, Clone, PartialEq)]
/// struct Dot {
///     len: usize,
/// }
///
/// impl Parameters for Dot {
///     fn to_params(&self) -> Params {
///         Params::new().with("len", self.len)
///     }
///     fn from_params(params: &Params) -> Result<Self, ParamError> {
///         Ok(Self { len: params.number("len")? })
///     }
/// }
///
/// static CASES: [NamedCase<Dot>; 2] = [
///     NamedCase::new("short", Dot { len: 64 }),
///     NamedCase::new("long", Dot { len: 1 << 20 }).tier(2).streamed().threads(&[1, 2]),
/// ];
///
/// op::check_table(&CASES)?;
/// # Ok::<(), op::TableError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NamedCase<P> {
    /// Unique in its table: letters, digits and `._/-`.
    pub name: Cow<'static, str>,
    /// The problem, in the op's own types.
    pub params: P,
    /// 1 for the dozen that a comparison measures by default; 2 and 3 for breadth; 0 for cases of tests and peers
    /// alone.
    pub tier: u8,
    /// Where the operands are before each run.
    pub regime: Regime,
    /// Numbers of threads that it is timed with, each at least 1.
    pub threads: &'static [usize],
}

impl<P> NamedCase<P> {
    /// A case of tier 1 that is resident and runs on one thread.
    pub const fn new(name: &'static str, params: P) -> Self {
        Self { name: Cow::Borrowed(name), params, tier: 1, regime: Regime::Resident, threads: &[1] }
    }

    /// As [`new`](Self::new), for a table that is computed.
    pub const fn computed(name: String, params: P) -> Self {
        Self { name: Cow::Owned(name), params, tier: 1, regime: Regime::Resident, threads: &[1] }
    }

    /// With another [`tier`](Self::tier).
    #[must_use]
    pub const fn tier(mut self, tier: u8) -> Self {
        self.tier = tier;
        self
    }

    /// With operands that come from main memory in each run.
    #[must_use]
    pub const fn streamed(mut self) -> Self {
        self.regime = Regime::Streamed;
        self
    }

    /// With other numbers of [`threads`](Self::threads).
    #[must_use]
    pub const fn threads(mut self, threads: &'static [usize]) -> Self {
        self.threads = threads;
        self
    }
}

impl<P: Parameters> NamedCase<P> {
    /// The case for those who do not know the op's types.
    pub fn row(&self) -> CaseRow {
        CaseRow {
            name: self.name.clone().into_owned(),
            params: self.params.to_params(),
            tier: self.tier,
            regime: self.regime,
            threads: self.threads.to_vec(),
        }
    }
}

/// A [`NamedCase`] as names and values. `assay peer OP` answers a `cases` request with a list of these:
///
/// ```
/// use op::CaseRow;
/// let params = r#"{"k":512,"m":512,"n":512,"type":"f32"}"#;
/// let json = format!(r#"{{"name":"f32-512","params":{params},"tier":1,"regime":"resident","threads":[1,2]}}"#);
/// let row: CaseRow = serde_json::from_str(&json)?;
/// assert_eq!(row.params.number("m"), Ok(512));
/// assert_eq!(serde_json::to_string(&row)?, json);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRow {
    /// Unique in its table.
    pub name: String,
    /// The problem.
    pub params: Params,
    /// As [`NamedCase::tier`].
    pub tier: u8,
    /// Where the operands are before each run.
    pub regime: Regime,
    /// Numbers of threads that it is timed with.
    pub threads: Vec<usize>,
}

/// Where the operands of a case are before each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Regime {
    /// Where the run before left them: in a cache, if they fit.
    Resident,
    /// In main memory: each run takes the next of several copies, on distinct pages, that no cache holds together.
    Streamed,
}

impl Regime {
    /// The word in a bench id: `resident` or `streamed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resident => "resident",
            Self::Streamed => "streamed",
        }
    }

    /// How many copies of an operand of `bytes` bytes the runs rotate over: one, or so many that all copies but the one
    /// just used exceed four times the last-level cache.
    pub fn copies(self, bytes: usize) -> usize {
        match self {
            Self::Resident => 1,
            Self::Streamed => 1 + (4 * Caches::detect().last_level_total_bytes()).div_ceil(bytes.max(1)),
        }
    }
}

impl std::fmt::Display for Regime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What is wrong with a table of cases.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Two cases have one name.
    #[error("two cases are called `{name}`")]
    Twice {
        /// The name.
        name: String,
    },
    /// A name is empty or has other characters than letters, digits and `._/-`.
    #[error("`{name}` is no name of a case: letters, digits and `._/-` are allowed")]
    Name {
        /// The name.
        name: String,
    },
    /// A tier above 3.
    #[error("case `{name}` has tier {tier}; 0 to 3 are allowed")]
    Tier {
        /// Name of the case.
        name: String,
        /// Its tier.
        tier: u8,
    },
    /// No number of threads, or a number that is 0.
    #[error("case `{name}` needs numbers of threads, each at least 1")]
    Threads {
        /// Name of the case.
        name: String,
    },
    /// The op cannot read parameters that it wrote.
    #[error("case `{name}`: {error}")]
    Params {
        /// Name of the case.
        name: String,
        /// The parameter.
        error: ParamError,
    },
    /// The op reads other parameters than it wrote: one that is not written, or not read, is lost on the way to a peer.
    #[error("case `{name}` changes when its parameters are written and read")]
    Changed {
        /// Name of the case.
        name: String,
    },
}

/// Checks a whole table; each op's tests call it.
///
/// # Errors
/// The first [`TableError`] in the order of the table.
pub fn check_table<P: Parameters + PartialEq>(cases: &[NamedCase<P>]) -> Result<(), TableError> {
    let mut names = BTreeSet::new();
    for case in cases {
        let name = || case.name.clone().into_owned();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        if case.name.is_empty() || !case.name.chars().all(is_allowed) {
            return Err(TableError::Name { name: name() });
        }
        if !names.insert(&case.name) {
            return Err(TableError::Twice { name: name() });
        }
        if case.tier > 3 {
            return Err(TableError::Tier { name: name(), tier: case.tier });
        }
        if case.threads.is_empty() || case.threads.contains(&0) {
            return Err(TableError::Threads { name: name() });
        }
        let read = P::from_params(&case.params.to_params());
        let read = read.map_err(|error| TableError::Params { name: name(), error })?;
        if read != case.params {
            return Err(TableError::Changed { name: name() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes both fields but reads only one.
    #[derive(Debug, Clone, PartialEq)]
    struct Lossy {
        kept: usize,
        lost: usize,
    }

    impl Parameters for Lossy {
        fn to_params(&self) -> Params {
            Params::new().with("kept", self.kept).with("lost", self.lost)
        }

        fn from_params(params: &Params) -> Result<Self, ParamError> {
            Ok(Self { kept: params.number("kept")?, lost: 0 })
        }
    }

    fn case(name: &'static str) -> NamedCase<Lossy> {
        NamedCase::new(name, Lossy { kept: 1, lost: 0 })
    }

    #[test]
    fn every_fault_of_a_table_is_named() {
        assert_eq!(check_table(&[case("a"), case("b/c-1.x_y").tier(0).threads(&[1, 2])]), Ok(()));
        let says = |cases: &[NamedCase<Lossy>]| check_table(cases).unwrap_err().to_string();
        assert_eq!(says(&[case("a"), case("a")]), "two cases are called `a`");
        assert_eq!(says(&[case("a b")]), "`a b` is no name of a case: letters, digits and `._/-` are allowed");
        assert_eq!(says(&[case("")]), "`` is no name of a case: letters, digits and `._/-` are allowed");
        assert_eq!(says(&[case("a").tier(4)]), "case `a` has tier 4; 0 to 3 are allowed");
        for threads in [&[] as &[usize], &[1, 0]] {
            assert_eq!(says(&[case("a").threads(threads)]), "case `a` needs numbers of threads, each at least 1");
        }
        let lost = NamedCase::computed("a".to_owned(), Lossy { kept: 1, lost: 2 });
        assert_eq!(says(&[lost]), "case `a` changes when its parameters are written and read");
    }

    #[test]
    fn a_table_of_untyped_cases_is_a_table() {
        let params = Params::new().with("type", "f32");
        let cases = [NamedCase::new("a", params.clone()).streamed()];
        assert_eq!(check_table(&cases), Ok(()));
        let row = cases[0].row();
        assert_eq!((row.regime, row.regime.to_string(), row.params), (Regime::Streamed, "streamed".to_owned(), params));
    }

    #[test]
    fn streamed_copies_exceed_every_cache_without_the_one_in_use() {
        let limit = 4 * Caches::detect().last_level_total_bytes();
        for bytes in [1 << 20, 64 << 20, limit] {
            let copies = Regime::Streamed.copies(bytes);
            assert!((copies - 1) * bytes >= limit && (copies - 2) * bytes < limit);
        }
        assert_eq!(Regime::Resident.copies(5), 1);
        assert!(Regime::Streamed.copies(0) > 1);
    }
}
