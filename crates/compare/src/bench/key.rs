//! What identifies a benchmark across revisions.

use std::fmt;

use super::protocol::RawId;

/// Identity of a benchmark across revisions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// The id as criterion filters by it.
    pub fn id(&self) -> String {
        self.raw.full()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())?;
        if self.occurrence > 0 { write!(f, " #{}", self.occurrence + 1) } else { Ok(()) }
    }
}
