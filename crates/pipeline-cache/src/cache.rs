//! The cache: what is loaded, what is written, and what is counted.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use crate::{
    entry::{self, Layer},
    folder::Folder,
    key::Key,
    reject::Reject,
    report::{CacheReport, Disabled, State},
};

/// How much a cache may hold. A driver's blob cannot be trimmed: one over its limit is dropped, and built again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one payload.
    pub payload_bytes: u64,
    /// Bytes of all files together. What was used longest ago goes first.
    pub total_bytes: u64,
}

impl Default for Limits {
    /// 64 MiB and 256 MiB.
    fn default() -> Self {
        Self { payload_bytes: 64 << 20, total_bytes: 256 << 20 }
    }
}

/// What became of a payload that was to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// It is on the disk.
    Written {
        /// Bytes of the payload.
        bytes: u64,
    },
    /// It is there already.
    Unchanged,
    /// There is nothing to keep: the driver's blob is empty, or no pipeline was created.
    Nothing,
    /// There is no cache.
    Disabled,
    /// It is larger than a payload, or its key than a header, may be. An older file of the key is gone.
    TooLarge {
        /// Bytes of the payload.
        bytes: u64,
    },
    /// Another process is writing. Its file is as good.
    Busy,
    /// The system refused; an older file is still there.
    Failed {
        /// What it said.
        message: String,
    },
}

/// Files that outlive the process, one for each [`Layer`] and [`Key`]. Shared by all threads of a program.
#[derive(Debug)]
pub struct Cache {
    /// `None` if it is disabled.
    folder: Option<Folder>,
    limits: Limits,
    report: Mutex<CacheReport>,
}

impl Cache {
    /// The cache in this folder, which is made if it is missing, with mode 0700. [`folder_of_user`] finds the usual
    /// one.
    ///
    /// Never fails: a folder that cannot be made, or that others may write to, gives a disabled cache with the reason
    /// in its [`report`](Self::report).
    ///
    /// [`folder_of_user`]: crate::folder_of_user
    pub fn open(folder: &Path, limits: Limits) -> Self {
        match Folder::open(folder) {
            Ok(folder) => {
                let state = State::Active { folder: folder.path().to_owned() };
                Self::with(Some(folder), limits, state)
            }
            Err(error) => Self::disabled(error.into()),
        }
    }

    /// No cache. It counts all the same, so that a benchmark can compare.
    pub fn disabled(reason: Disabled) -> Self {
        Self::with(None, Limits::default(), State::Disabled(reason))
    }

    fn with(folder: Option<Folder>, limits: Limits, state: State) -> Self {
        Self { folder, limits, report: Mutex::new(CacheReport::of(state)) }
    }

    /// What it has done so far.
    pub fn report(&self) -> CacheReport {
        self.counts().clone()
    }

    /// Whether anything is read and written.
    pub fn is_active(&self) -> bool {
        self.folder.is_some()
    }

    /// The payload of a key. `None` if there is none, or it was refused: why is in the [`report`](Self::report).
    pub fn load(&self, layer: Layer, key: &Key) -> Option<Vec<u8>> {
        let folder = self.folder.as_ref()?;
        let read = folder.read(&entry::file_name(layer, key), self.limits.payload_bytes);
        let payload = read.and_then(|bytes| {
            let Some(mut bytes) = bytes else { return Ok(None) };
            let header = bytes.len() - entry::decode(&bytes, layer, key)?.len();
            bytes.drain(..header);
            Ok(Some(bytes))
        });
        match payload {
            Ok(Some(payload)) => {
                let mut counts = self.counts();
                counts.hits += 1;
                counts.loaded_bytes += payload.len() as u64;
                Some(payload)
            }
            Ok(None) => {
                self.counts().misses += 1;
                None
            }
            Err(why) => {
                self.reject(layer, key, &why);
                None
            }
        }
    }

    /// Counts a file as refused and sets it aside. [`load`](Self::load) does so by itself; a caller does where only it
    /// can tell, such as a driver that refuses its blob.
    pub fn reject(&self, layer: Layer, key: &Key, why: &Reject) {
        let Some(folder) = &self.folder else { return };
        folder.set_aside(&entry::file_name(layer, key), why);
        *self.counts().rejects.entry(why.name()).or_default() += 1;
    }

    /// Writes the payload of a key, unless it is there already.
    pub fn store(&self, layer: Layer, key: &Key, payload: &[u8]) -> Stored {
        self.update(layer, key, |_| payload.to_vec())
    }

    /// Writes what `payload` makes of the payload that is on the disk now, which another process may have written.
    /// Writers take turns; one that would have to wait long gives up ([`Stored::Busy`]).
    pub fn update(&self, layer: Layer, key: &Key, payload: impl FnOnce(Option<&[u8]>) -> Vec<u8>) -> Stored {
        let Some(folder) = &self.folder else { return Stored::Disabled };
        let stored = self.update_in(folder, layer, key, payload);
        let mut counts = self.counts();
        match &stored {
            Stored::Written { bytes } => counts.saved_bytes += bytes,
            Stored::Unchanged => counts.unchanged += 1,
            _ => counts.not_saved += 1,
        }
        stored
    }

    fn update_in(
        &self,
        folder: &Folder,
        layer: Layer,
        key: &Key,
        payload: impl FnOnce(Option<&[u8]>) -> Vec<u8>,
    ) -> Stored {
        let failed = |error: std::io::Error| Stored::Failed { message: error.to_string() };
        // Held to the end.
        let _lock = match folder.lock() {
            Ok(Some(lock)) => lock,
            Ok(None) => return Stored::Busy,
            Err(error) => return failed(error),
        };
        let name = entry::file_name(layer, key);
        let there = folder.read(&name, self.limits.payload_bytes).ok().flatten();
        let there = there.as_deref().and_then(|bytes| entry::decode(bytes, layer, key).ok());
        let payload = payload(there);
        if there == Some(&payload) {
            return Stored::Unchanged;
        }
        let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (bytes, file) = (payload.len() as u64, entry::encode(layer, key, &payload, created));
        let is_too_large = bytes > self.limits.payload_bytes || file.len() as u64 > self.limits.total_bytes;
        if is_too_large || file.len() - payload.len() > entry::MOST_HEADER {
            folder.set_aside(&name, &Reject::TooLarge { got: bytes, most: self.limits.payload_bytes });
            return Stored::TooLarge { bytes };
        }
        if let Err(error) = folder.write(&name, &file) {
            return failed(error);
        }
        let evicted = folder.trim(self.limits.total_bytes, &name);
        self.counts().evicted_bytes += evicted;
        Stored::Written { bytes }
    }

    pub(crate) fn note(&self, change: impl FnOnce(&mut CacheReport)) {
        change(&mut self.counts());
    }

    fn counts(&self) -> MutexGuard<'_, CacheReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
