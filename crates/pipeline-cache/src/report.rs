//! What a cache did, so that one that does nothing is seen.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use crate::folder::FolderError;

/// Whether there is a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Files are read from this folder and written to it.
    Active {
        /// Where.
        folder: PathBuf,
    },
    /// Nothing is read or written.
    Disabled(Disabled),
}

/// Why there is no cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disabled {
    /// The program or its user wants none.
    #[error("not asked for")]
    NotAsked,
    /// The folder is not used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// What the driver did with its own cache object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DriverBlob {
    /// Nothing yet.
    #[default]
    NotAsked,
    /// The device cannot have such an object, so nothing of it is kept.
    Unsupported {
        /// Which interface or feature is missing.
        reason: String,
    },
    /// The driver's answer holds no pipelines: it keeps none, whatever it was given.
    Empty {
        /// Bytes of the answer.
        bytes: u64,
    },
    /// The driver gave a blob that holds something.
    Filled {
        /// Its bytes.
        bytes: u64,
    },
}

/// What a cache has done since it was opened. Every program that uses one can print it, and a benchmark asserts it.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheReport {
    /// Whether there is a cache.
    pub state: State,
    /// Files that were used.
    pub hits: u64,
    /// Files that were not there.
    pub misses: u64,
    /// Files that were there and were not used, by [`Reject::name`](crate::Reject::name).
    pub rejects: BTreeMap<&'static str, u64>,
    /// Bytes of payload used.
    pub loaded_bytes: u64,
    /// Bytes of payload written.
    pub saved_bytes: u64,
    /// Writes that were spared because nothing had changed.
    pub unchanged: u64,
    /// Writes that failed or were not made: a full disk, another writer, a payload over its limit.
    pub not_saved: u64,
    /// Bytes removed to keep to the limit of the folder.
    pub evicted_bytes: u64,
    /// What the driver did.
    pub driver_blob: DriverBlob,
    /// Pipelines created.
    pub pipelines_created: u64,
    /// Time in which they were created, in seconds, summed over pipelines.
    pub create_s: f64,
    /// From the first submission to its end, in seconds: some drivers compile only then.
    pub first_dispatch_s: Option<f64>,
}

impl CacheReport {
    pub(crate) fn of(state: State) -> Self {
        Self {
            state,
            hits: 0,
            misses: 0,
            rejects: BTreeMap::new(),
            loaded_bytes: 0,
            saved_bytes: 0,
            unchanged: 0,
            not_saved: 0,
            evicted_bytes: 0,
            driver_blob: DriverBlob::default(),
            pipelines_created: 0,
            create_s: 0.0,
            first_dispatch_s: None,
        }
    }
}

impl fmt::Display for DriverBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("no driver blob"),
            Self::Unsupported { reason } => write!(f, "no driver blob ({reason})"),
            Self::Empty { bytes } => write!(f, "driver returns an empty blob ({bytes} bytes)"),
            Self::Filled { bytes } => write!(f, "driver blob {bytes} bytes"),
        }
    }
}

impl fmt::Display for CacheReport {
    /// One line: `pipeline cache active in …: 1 hit, 0 misses, …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Disabled(reason) => write!(f, "pipeline cache disabled: {reason}")?,
            State::Active { folder } => {
                let Self { hits, misses, loaded_bytes, saved_bytes, .. } = self;
                write!(f, "pipeline cache active in {}: {hits} hits, {misses} misses", folder.display())?;
                for (reason, count) in &self.rejects {
                    write!(f, ", {count} rejected ({reason})")?;
                }
                write!(f, ", {loaded_bytes} bytes loaded, {saved_bytes} saved")?;
                for (count, what) in [(self.not_saved, "writes failed"), (self.evicted_bytes, "bytes evicted")] {
                    if count > 0 {
                        write!(f, ", {count} {what}")?;
                    }
                }
                write!(f, ", {}", self.driver_blob)?;
            }
        }
        write!(f, "; {} pipelines created in {:.1} ms", self.pipelines_created, 1e3 * self.create_s)?;
        match self.first_dispatch_s {
            Some(seconds) => write!(f, ", first dispatch {:.1} ms", 1e3 * seconds),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_does_nothing_says_so() {
        let disabled = CacheReport::of(State::Disabled(Disabled::NotAsked));
        assert_eq!(disabled.to_string(), "pipeline cache disabled: not asked for; 0 pipelines created in 0.0 ms");
        let mut empty = CacheReport::of(State::Active { folder: "/c".into() });
        empty.driver_blob = DriverBlob::Empty { bytes: 96 };
        empty.rejects.insert("checksum", 1);
        (empty.not_saved, empty.first_dispatch_s) = (2, Some(0.25));
        let expected = "pipeline cache active in /c: 0 hits, 0 misses, 1 rejected (checksum), 0 bytes loaded, 0 saved, \
                        2 writes failed, driver returns an empty blob (96 bytes); 0 pipelines created in 0.0 ms, first \
                        dispatch 250.0 ms";
        assert_eq!(empty.to_string(), expected);
    }
}
