//! What identifies a benchmark across revisions.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::protocol::RawId;

/// Identity of a benchmark across revisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Package.
    pub package: String,
    /// Bench target.
    pub target: String,
    /// Criterion's three parts.
    pub raw: RawId,
    /// 0 for the first benchmark of the target with these parts, 1 for the second …
    pub occurrence: u32,
}

impl Key {
    /// The id that criterion's filter is matched against.
    pub fn id(&self) -> String {
        self.raw.full()
    }
}

/// Longest id that a table shows in full; the middle of a longer one is cut out.
const LONGEST_SHOWN: usize = 100;

/// An id for display: control characters are escaped, so that no terminal interprets them, and the width is limited for
/// tables. Stored data keep the id unchanged.
pub fn shown(id: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    let clean: Vec<char> = id.chars().map(escape).collect::<String>().chars().collect();
    if clean.len() <= LONGEST_SHOWN {
        return clean.into_iter().collect();
    }
    let half = LONGEST_SHOWN / 2;
    let (first, last) = (&clean[..half], &clean[clean.len() - half + 1..]);
    first.iter().chain(&['…']).chain(last).collect()
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())?;
        if self.occurrence > 0 { write!(f, " #{}", self.occurrence + 1) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn ids_are_shown_without_control_characters_and_not_too_wide() {
        assert_eq!(shown("g/f/ä 🦀"), "g/f/ä 🦀");
        assert_eq!(shown("a\u{1b}[2J\nb\tc"), "a\\u{1b}[2J\\nb\\tc");
        let long = shown(&format!("first/{}/last", "x".repeat(300)));
        assert!(long.chars().count() == 100 && long.starts_with("first/") && long.ends_with("/last"), "{long}");
    }
}
