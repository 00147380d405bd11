//! What the driver compiled, kept on disk, on whatever adapter there is. Mesa's software driver keeps nothing, and that
//! is reported.

use std::sync::Arc;

use gpu::{Choice, Source, Wgpu};
use pipeline_cache::{Cache, CacheReport, Disabled, DriverBlob, Layer, Limits, Stored};

/// Says so even where the test harness hides what a test that passes prints.
fn skipped(why: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("\nSKIPPED: {why}\n").as_bytes()).unwrap();
}

/// A device of its own: a device takes one cache.
fn device() -> Option<Wgpu> {
    match Wgpu::open(&Choice::Best) {
        Ok(gpu) if gpu.capabilities().pipeline_cache => Some(gpu),
        Ok(gpu) => {
            skipped(&format!("{} keeps no pipelines", gpu.identity()));
            None
        }
        Err(error) => {
            let is_required = std::env::var("ASSAY_REQUIRE").is_ok_and(|list| list.split(',').any(|x| x == "wgpu"));
            assert!(!is_required, "{error}");
            skipped(&error.to_string());
            None
        }
    }
}

fn source(step: u32) -> Source {
    let text = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) i: vec3<u32>) { x[i.x] += STEP; }";
    Source::new("add", text).constant("STEP", step)
}

/// Compiles in a fresh device with this cache; what became of the driver's blob.
fn compile(cache: &Arc<Cache>, sources: &[Source]) -> Option<(Stored, CacheReport)> {
    let gpu = device()?;
    let pipelines = gpu.keep_pipelines(Arc::clone(cache), sources);
    for source in sources {
        pipelines.create(|_| gpu.kernel(source)).unwrap();
    }
    Some((pipelines.save(), cache.report()))
}

#[test]
fn a_driver_blob_is_kept_or_reported_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Arc::new(Cache::open(folder.path(), Limits::default()));
    let sources = [source(1), source(2)];
    let Some((stored, cold)) = compile(&open(), &sources) else { return };
    assert_eq!((cold.pipelines_created, cold.misses), (2, 1));
    assert!(cold.create_s > 0.0);
    match cold.driver_blob {
        DriverBlob::Empty { bytes } => {
            assert_eq!((stored, bytes), (Stored::Nothing, 96));
            assert!(cold.to_string().contains("driver returns an empty blob"), "{cold}");
        }
        DriverBlob::Filled { bytes } => {
            assert_eq!(stored, Stored::Written { bytes });
            let (_, warm) = compile(&open(), &sources).unwrap();
            assert_eq!((warm.hits, warm.loaded_bytes), (1, bytes));
            let (_, other) = compile(&open(), &sources[..1]).unwrap();
            assert_eq!((other.hits, other.misses), (0, 1), "other sources have another key");
        }
        other => panic!("{other:?}"),
    }
}

/// wgpu compares the device in its own header, and reports another one as an error.
#[test]
fn a_blob_of_another_device_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let Some(gpu) = device() else { return };
    let cache = Arc::new(Cache::open(folder.path(), Limits::default()));
    let key = gpu.key_of([&source(1)]);
    let descriptor = wgpu::PipelineCacheDescriptor { label: None, data: None, fallback: true };
    // SAFETY: there is no data.
    let mut blob = unsafe { gpu.device().create_pipeline_cache(&descriptor) }.get_data().unwrap();
    // Within the key of the adapter.
    blob[20] ^= 0xff;
    cache.store(Layer::DriverBlob, &key, &blob);
    let (_, report) = compile(&cache, &[source(1)]).unwrap();
    assert_eq!(report.rejects.get("driver_reject"), Some(&1), "{report}");
    assert_eq!(report.pipelines_created, 1, "it goes on cold");
}

#[test]
fn a_disabled_cache_changes_nothing_and_says_why() {
    let cache = Arc::new(Cache::disabled(Disabled::NotAsked));
    let Some((stored, report)) = compile(&cache, &[source(1)]) else { return };
    assert_eq!(stored, Stored::Disabled);
    assert!(report.to_string().starts_with("pipeline cache disabled: not asked for; 1 pipelines created"), "{report}");
}
