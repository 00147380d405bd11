//! A driver's own cache of pipelines, loaded from disk and written back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    cache::{Cache, Stored},
    entry::Layer,
    key::Key,
    reject::Reject,
    report::DriverBlob,
};

/// A blob of this many bytes or fewer holds nothing: it is the 64 bytes of wgpu's header and the 32 of Vulkan's.
const EMPTY_BLOB: usize = 96;

/// The cache object of a GPU interface, as [`Pipelines`] needs it.
pub trait Driver {
    /// Makes the object, of a blob that an earlier one gave, or empty.
    ///
    /// # Errors
    /// What the interface says where it refuses the blob, or where it has no such objects.
    fn create(&mut self, blob: Option<&[u8]>) -> Result<(), String>;

    /// The object's content now; `None` if the interface gives none.
    fn data(&self) -> Option<Vec<u8>>;
}

/// A driver's cache object, tied to a file.
///
/// Of two processes that write the same key the last one wins, and the other's additions are lost: interfaces offer no
/// way to merge blobs. That costs a compilation later, and nothing else.
#[derive(Debug)]
pub struct Pipelines<D> {
    cache: Arc<Cache>,
    key: Key,
    /// `None` if the driver has no such object.
    driver: Option<D>,
    /// Pipelines created since the last write.
    unsaved: AtomicU64,
}

impl<D: Driver> Pipelines<D> {
    /// Loads the blob of this key into `driver`. A blob that the driver refuses is set aside, and the object is empty.
    /// Without a cache there is no object: compilation then is what it would be without this crate.
    pub fn open(cache: Arc<Cache>, key: Key, mut driver: D) -> Self {
        let mut made = None;
        if cache.is_active() {
            let blob = cache.load(Layer::DriverBlob, &key);
            made = Some(driver.create(blob.as_deref()));
            if let (Some(Err(message)), Some(_)) = (&made, &blob) {
                let message = message.clone();
                cache.reject(Layer::DriverBlob, &key, &Reject::Driver { message });
                made = Some(driver.create(None));
            }
        }
        let driver = match made {
            Some(Ok(())) => Some(driver),
            Some(Err(reason)) => {
                cache.note(|report| report.driver_blob = DriverBlob::Unsupported { reason });
                None
            }
            None => None,
        };
        Self { cache, key, driver, unsaved: AtomicU64::new(0) }
    }

    /// No object, because this device has none; the report says so. Counts pipelines all the same.
    pub fn unsupported(cache: Arc<Cache>, key: Key, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        cache.note(|report| report.driver_blob = DriverBlob::Unsupported { reason });
        Self { cache, key, driver: None, unsaved: AtomicU64::new(0) }
    }

    /// The driver's object, to create pipelines with; `None` if there is none.
    pub fn driver(&self) -> Option<&D> {
        self.driver.as_ref()
    }

    /// The cache behind it.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// What its files depend on; also the key of the tuning choices of this device.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Creates a pipeline and counts it, with the time it took.
    pub fn create<T>(&self, create: impl FnOnce(Option<&D>) -> T) -> T {
        let start = Instant::now();
        let created = create(self.driver.as_ref());
        let elapsed = start.elapsed();
        self.unsaved.fetch_add(1, Relaxed);
        self.cache.note(|report| {
            report.pipelines_created += 1;
            report.create_s += elapsed.as_secs_f64();
        });
        created
    }

    /// Notes how long the first submission took; later calls change nothing.
    pub fn note_first_dispatch(&self, elapsed: Duration) {
        self.cache.note(|report| {
            report.first_dispatch_s.get_or_insert(elapsed.as_secs_f64());
        });
    }

    /// Writes the driver's blob, if pipelines were created since the last time and it holds something. For the end of a
    /// program, or of its start-up; not for each pipeline: a blob is fetched and written as a whole.
    pub fn save(&self) -> Stored {
        let Some(driver) = &self.driver else { return Stored::Disabled };
        let unsaved = self.unsaved.load(Relaxed);
        if unsaved == 0 {
            return Stored::Nothing;
        }
        let blob = driver.data().unwrap_or_default();
        let bytes = blob.len() as u64;
        let is_empty = blob.len() <= EMPTY_BLOB;
        let seen = if is_empty { DriverBlob::Empty { bytes } } else { DriverBlob::Filled { bytes } };
        self.cache.note(|report| report.driver_blob = seen);
        let stored = if is_empty { Stored::Nothing } else { self.cache.store(Layer::DriverBlob, &self.key, &blob) };
        if matches!(stored, Stored::Written { .. } | Stored::Unchanged | Stored::Nothing) {
            self.unsaved.fetch_sub(unsaved, Relaxed);
        }
        stored
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::{CacheReport, Disabled, Limits};

    /// A driver whose blob is the names of its pipelines, and that accepts only what begins with its own name.
    #[derive(Debug, Default)]
    struct Fake {
        blob: RefCell<Vec<u8>>,
        is_refusing: bool,
    }

    impl Driver for Fake {
        fn create(&mut self, blob: Option<&[u8]>) -> Result<(), String> {
            let has_name = blob.is_none_or(|blob| blob.starts_with(b"fake"));
            let blob = blob.unwrap_or(b"fake");
            *self.blob.borrow_mut() = blob.to_vec();
            if self.is_refusing || !has_name { Err("not mine".to_owned()) } else { Ok(()) }
        }

        fn data(&self) -> Option<Vec<u8>> {
            Some(self.blob.borrow().clone())
        }
    }

    /// Compiles a pipeline that adds `bytes` to the blob.
    fn compile(pipelines: &Pipelines<Fake>, bytes: usize) {
        pipelines.create(|driver| {
            if let Some(fake) = driver {
                fake.blob.borrow_mut().extend(vec![7; bytes]);
            }
        });
    }

    fn open(folder: &std::path::Path) -> Pipelines<Fake> {
        let cache = Arc::new(Cache::open(folder, Limits::default()));
        Pipelines::open(cache, Key::new().with("device", 1), Fake::default())
    }

    fn report(pipelines: &Pipelines<Fake>) -> CacheReport {
        pipelines.cache().report()
    }

    #[test]
    fn a_blob_is_written_once_and_loaded_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let cold = open(folder.path());
        assert_eq!(cold.save(), Stored::Nothing, "no pipeline, no write");
        compile(&cold, 200);
        assert_eq!(cold.save(), Stored::Written { bytes: 204 });
        assert_eq!(cold.save(), Stored::Nothing);
        cold.note_first_dispatch(Duration::from_millis(3));
        cold.note_first_dispatch(Duration::from_millis(9));
        let was = report(&cold);
        assert_eq!((was.hits, was.misses, was.saved_bytes, was.pipelines_created), (0, 1, 204, 1));
        assert_eq!((was.driver_blob, was.first_dispatch_s), (DriverBlob::Filled { bytes: 204 }, Some(0.003)));

        let warm = open(folder.path());
        assert_eq!(warm.driver().unwrap().blob.borrow().len(), 204);
        compile(&warm, 0);
        assert_eq!(warm.save(), Stored::Unchanged);
        let was = report(&warm);
        assert_eq!((was.hits, was.loaded_bytes, was.saved_bytes, was.unchanged), (1, 204, 0, 1));
        compile(&warm, 10);
        assert_eq!(warm.save(), Stored::Written { bytes: 214 });
    }

    #[test]
    fn a_driver_that_keeps_nothing_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let pipelines = open(folder.path());
        compile(&pipelines, EMPTY_BLOB - 4);
        assert_eq!(pipelines.save(), Stored::Nothing);
        assert_eq!(report(&pipelines).driver_blob, DriverBlob::Empty { bytes: 96 });
        assert!(report(&pipelines).to_string().contains("driver returns an empty blob"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_refused_blob_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), Limits::default());
        let key = Key::new().with("device", 1);
        cache.store(Layer::DriverBlob, &key, &[9; 300]);
        let pipelines = open(folder.path());
        assert_eq!(report(&pipelines).rejects.get("driver_reject"), Some(&1));
        assert_eq!(pipelines.driver().unwrap().blob.borrow().as_slice(), b"fake", "it goes on cold");
        assert_eq!(cache.load(Layer::DriverBlob, &key), None);
        compile(&pipelines, 200);
        assert_eq!(pipelines.save(), Stored::Written { bytes: 204 });
    }

    #[test]
    fn without_a_cache_there_is_no_object_and_nothing_fails() {
        let folder = tempfile::tempdir().unwrap();
        let disabled = Arc::new(Cache::disabled(Disabled::NotAsked));
        let off = Pipelines::open(disabled, Key::new(), Fake::default());
        let cache = || Arc::new(Cache::open(folder.path(), Limits::default()));
        let refusing = Fake { is_refusing: true, ..Fake::default() };
        let without = Pipelines::open(cache(), Key::new(), refusing);
        let missing = Pipelines::unsupported(cache(), Key::new(), "no PIPELINE_CACHE");
        for pipelines in [&off, &without, &missing] {
            assert!(pipelines.driver().is_none());
            compile(pipelines, 200);
            assert_eq!(pipelines.save(), Stored::Disabled);
            assert_eq!(report(pipelines).pipelines_created, 1);
        }
        assert_eq!(report(&without).driver_blob, DriverBlob::Unsupported { reason: "not mine".to_owned() });
        assert!(report(&missing).to_string().contains("no driver blob (no PIPELINE_CACHE)"));
        assert!(report(&off).to_string().starts_with("pipeline cache disabled: not asked for"));
    }
}
