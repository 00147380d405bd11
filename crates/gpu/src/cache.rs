//! What the driver compiled, kept between processes: wgpu's cache object as `pipeline-cache` takes it.

use std::sync::Arc;

use pipeline_cache::{Cache, DeviceKey, Digest, Driver, Key, Pipelines};

use crate::{Source, Wgpu};

/// Version of wgpu that this crate is built with: blobs of another are not read.
const INTERFACE: &str = "wgpu 30.0";

/// The cache object of a device.
#[derive(Debug)]
pub struct DriverCache {
    gpu: Wgpu,
    object: Option<wgpu::PipelineCache>,
}

impl Driver for DriverCache {
    /// wgpu checks the header of a blob, and reports a foreign one through an error scope even where it may fall back
    /// to an empty object.
    fn create(&mut self, blob: Option<&[u8]>) -> Result<(), String> {
        let object = self.gpu.scoped("pipeline cache", || {
            // SAFETY: the blob is what an object of the same device, driver and wgpu gave: `pipeline-cache` has
            // compared the key and a checksum, and accepts no file that another user may have written.
            unsafe {
                self.gpu.device().create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                    label: None,
                    data: blob,
                    fallback: true,
                })
            }
        });
        self.object = Some(object.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn data(&self) -> Option<Vec<u8>> {
        self.object.as_ref()?.get_data()
    }
}

impl Wgpu {
    /// Compiles kernels with what an earlier process left in `cache`, from now on. [`Pipelines::save`] leaves it for
    /// the next. `sources` are all kernels that the program may compile: with another text, the key is another.
    ///
    /// Where the device has no cache object (Metal, Direct3D 12), or `cache` is disabled, kernels are compiled as they
    /// would be without, and the report of the cache says why.
    pub fn keep_pipelines<'a>(
        &self,
        cache: Arc<Cache>,
        sources: impl IntoIterator<Item = &'a Source>,
    ) -> Pipelines<DriverCache> {
        let key = self.key_of(sources);
        if !self.capabilities().pipeline_cache {
            return Pipelines::unsupported(cache, key, "the device has no PIPELINE_CACHE");
        }
        let pipelines = Pipelines::open(cache, key, DriverCache { gpu: self.clone(), object: None });
        if let Some(object) = pipelines.driver().and_then(|driver| driver.object.clone()) {
            self.set_pipeline_cache(object);
        }
        pipelines
    }

    /// What compiled kernels, and choices among them, depend on.
    pub fn key_of<'a>(&self, sources: impl IntoIterator<Item = &'a Source>) -> Key {
        let (identity, features) = (self.identity(), format!("{:?}", self.features()));
        let limits = format!("{:?} subgroups {:?}", self.limits(), self.capabilities().subgroup_size);
        let texts: Vec<String> =
            sources.into_iter().map(|source| format!("{} {}", source.is_trusted(), source.wgsl())).collect();
        Key::from(DeviceKey {
            interface: INTERFACE,
            translation: "wgpu's checks, or none where a source is trusted; cooperative matrices by translate.rs, 1",
            backend: identity.api,
            vendor: identity.pci.0,
            device: identity.pci.1,
            device_type: &format!("{:?}", identity.kind),
            adapter: &identity.name,
            driver: &identity.driver,
            features: &features,
            limits: &limits,
            sources: Digest::of_texts(texts.iter().map(String::as_str)),
        })
    }
}
