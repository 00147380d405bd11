//! Opening a device, and errors that none of its calls loses.

use std::collections::HashMap;
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::time::Duration;

use wgpu::{ErrorFilter, Features, Limits};

use crate::{
    Capabilities, Clock, CoopElement, CoopShape, Counts, GpuError, Identity, Kernel, Kind, Unavailable, translate,
};

/// Which adapter to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// A discrete GPU, else an integrated or virtual one, else a software adapter.
    #[default]
    Best,
    /// The same, but never a software adapter.
    Hardware,
    /// A software adapter.
    Software,
    /// The first whose name contains this, in any case of letters.
    Named(String),
}

impl Choice {
    /// Smaller is better; `None` for an adapter that does not fit.
    fn rank(&self, identity: &Identity) -> Option<u8> {
        let rank = match identity.kind {
            Kind::Discrete => 0,
            Kind::Integrated => 1,
            Kind::Virtual => 2,
            Kind::Other => 3,
            Kind::Software => 4,
        };
        let fits = match self {
            Self::Best => true,
            Self::Hardware => !identity.is_software(),
            Self::Software => identity.is_software(),
            Self::Named(name) => identity.name.to_lowercase().contains(&name.to_lowercase()),
        };
        fits.then_some(rank)
    }

    fn wanted(&self) -> String {
        match self {
            Self::Best => "any".to_owned(),
            Self::Hardware => "hardware".to_owned(),
            Self::Software => "software".to_owned(),
            Self::Named(name) => name.clone(),
        }
    }
}

/// An open device. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Wgpu(Arc<Shared>);

/// What a device and its buffers share.
#[derive(Debug)]
pub(crate) struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    identity: Identity,
    capabilities: Capabilities,
    features: Features,
    limits: Limits,
    clock: OnceLock<Clock>,
    cache: OnceLock<wgpu::PipelineCache>,
    /// Whether trusted kernels are checked all the same.
    checks_all: AtomicBool,
    /// Whether kernels without cooperative matrices are translated by this crate, too.
    translates_all: AtomicBool,
    /// By their text and whether they are checked.
    pub(crate) kernels: Mutex<HashMap<(String, bool), Kernel>>,
    counts: Mutex<Counts>,
    ids: AtomicU64,
    state: Arc<State>,
}

/// What wgpu reports from outside a call.
#[derive(Debug, Default)]
struct State {
    lost: OnceLock<String>,
    uncaptured: Mutex<Vec<String>>,
}

impl Shared {
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// A panic elsewhere leaves numbers that are still numbers.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a submission may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked for where the adapter has it. Nothing here is required.
const WANTED: Features = Features::SHADER_F16
    .union(Features::SUBGROUP)
    .union(Features::TIMESTAMP_QUERY)
    .union(Features::PIPELINE_CACHE)
    .union(Features::PASSTHROUGH_SHADERS)
    .union(Features::EXPERIMENTAL_COOPERATIVE_MATRIX);

impl Wgpu {
    /// Opens the adapter that fits best, and checks its clock.
    ///
    /// # Errors
    /// [`Unavailable`]: a reason, never a panic; a machine without any driver is one of them.
    pub fn open(choice: &Choice) -> Result<Self, Unavailable> {
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = backends;
        // Validation layers are for the tests of wgpu; the environment is not read.
        descriptor.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(descriptor);
        let adapters = pollster::block_on(instance.enumerate_adapters(backends));
        let found: Vec<(Identity, wgpu::Adapter)> =
            adapters.into_iter().map(|adapter| (Identity::of(&adapter.get_info()), adapter)).collect();
        if found.is_empty() {
            return Err(Unavailable::NoAdapter);
        }
        let names = found.iter().map(|(identity, _)| identity.name.clone()).collect();
        let ranked = found
            .into_iter()
            .filter_map(|(identity, adapter)| choice.rank(&identity).map(|rank| (rank, identity, adapter)));
        let (_, identity, adapter) = ranked
            .min_by_key(|(rank, ..)| *rank)
            .ok_or_else(|| Unavailable::NoneFits { wanted: choice.wanted(), found: names })?;
        Self::of(identity, &adapter)
    }

    fn of(identity: Identity, adapter: &wgpu::Adapter) -> Result<Self, Unavailable> {
        if !adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
            return Err(Unavailable::Lacks { adapter: identity.name, what: "compute shaders" });
        }
        let features = adapter.features() & WANTED;
        let limits = limits(&adapter.limits());
        let descriptor = wgpu::DeviceDescriptor {
            label: None,
            required_features: features,
            required_limits: limits.clone(),
            // SAFETY: the experimental features asked for are cooperative matrices, and modules that the device takes
            // as they are. Kernels with the former are proved before each use for timing, and only adapters that report
            // their shapes are given them; the latter are naga's translation of validated texts.
            experimental_features: unsafe { wgpu::ExperimentalFeatures::enabled() },
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Unavailable::Refused { adapter: identity.name.clone(), reason: error.to_string() })?;
        let state = Arc::new(State::default());
        let uncaptured = Arc::clone(&state);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&uncaptured.uncaptured).push(error.to_string());
        }));
        let lost = Arc::clone(&state);
        device.set_device_lost_callback(move |reason, message| {
            let _ = lost.lost.set(format!("{reason:?}: {message}"));
        });
        let shared = Shared {
            capabilities: capabilities(adapter, features, &limits),
            device,
            queue,
            identity,
            features,
            limits,
            clock: OnceLock::new(),
            cache: OnceLock::new(),
            checks_all: AtomicBool::new(false),
            translates_all: AtomicBool::new(false),
            kernels: Mutex::default(),
            counts: Mutex::default(),
            ids: AtomicU64::new(0),
            state,
        };
        let gpu = Self(Arc::new(shared));
        let clock = Clock::check(&gpu);
        let _ = gpu.0.clock.set(clock);
        // What the check did is not what the caller does.
        *lock(&gpu.0.counts) = Counts::default();
        Ok(gpu)
    }

    /// What it is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What it can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// The clock that [`time`](Self::time) uses.
    pub fn clock(&self) -> &Clock {
        self.0.clock.get().unwrap_or(&Clock::Unchecked)
    }

    /// wgpu's features that were asked for and given.
    pub fn features(&self) -> Features {
        self.0.features
    }

    /// wgpu's limits that were asked for and given.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        lock(&self.0.counts).clone()
    }

    /// wgpu's own device.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// wgpu's own queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// From now on compiles every kernel with the checks that trusted ones go without: what tests do before they trust
    /// one. Kernels that were compiled before stay as they are.
    pub fn check_every_kernel(&self) {
        self.0.checks_all.store(true, Ordering::Relaxed);
    }

    /// Whether a kernel is compiled with checks.
    pub(crate) fn checks(&self, is_trusted: bool) -> bool {
        !is_trusted || self.0.checks_all.load(Ordering::Relaxed)
    }

    /// From now on gives a Vulkan device every kernel as it is given those with cooperative matrices: as SPIR-V of this
    /// crate, which wgpu passes on. What tests do on adapters that have none. Kernels that were compiled before stay as
    /// they are.
    pub fn translate_every_kernel(&self) {
        self.0.translates_all.store(true, Ordering::Relaxed);
    }

    /// Whether a text is translated by this crate.
    pub(crate) fn translates(&self, wgsl: &str) -> bool {
        let passes_on = self.identity().api == "vulkan" && self.features().contains(Features::PASSTHROUGH_SHADERS);
        passes_on && (translate::is_needed(wgsl) || self.0.translates_all.load(Ordering::Relaxed))
    }

    /// Takes the compiler's results for later pipelines from this cache. The first call counts; it says whether this
    /// one was it.
    pub fn set_pipeline_cache(&self, cache: wgpu::PipelineCache) -> bool {
        self.0.cache.set(cache).is_ok()
    }

    /// The cache that [`set_pipeline_cache`](Self::set_pipeline_cache) was given.
    pub fn pipeline_cache(&self) -> Option<&wgpu::PipelineCache> {
        self.0.cache.get()
    }

    /// Waits until everything that was submitted is done.
    ///
    /// # Errors
    /// [`GpuError::Lost`], [`GpuError::Timeout`], and what was reported since the last call.
    pub fn wait(&self) -> Result<(), GpuError> {
        let polled = self.device().poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) });
        self.check()?;
        match polled {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => Err(GpuError::Timeout { seconds: PATIENCE.as_secs() }),
            Err(error) => Err(GpuError::Validation { doing: "wait", message: error.to_string() }),
        }
    }

    /// Runs `f` and returns the error that it caused, if any.
    ///
    /// # Errors
    /// The first of: a lost device, no memory, validation, an internal error of the driver.
    pub fn scoped<R>(&self, doing: &'static str, f: impl FnOnce() -> R) -> Result<R, GpuError> {
        let internal = self.device().push_error_scope(ErrorFilter::Internal);
        let memory = self.device().push_error_scope(ErrorFilter::OutOfMemory);
        let validation = self.device().push_error_scope(ErrorFilter::Validation);
        let result = f();
        // In the opposite order; the futures are complete at once where there is no browser.
        let errors = [validation, memory, internal].map(|scope| pollster::block_on(scope.pop()));
        if errors.iter().any(Option::is_some) {
            // What a lost device reports first is what follows from it.
            let _ = self.device().poll(wgpu::PollType::Poll);
        }
        self.check()?;
        match errors.into_iter().flatten().next() {
            None => Ok(result),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(GpuError::OutOfMemory { label: doing.to_owned(), bytes: 0 }),
            Some(error) => Err(GpuError::Validation { doing, message: error.to_string() }),
        }
    }

    /// What was reported from outside a call.
    fn check(&self) -> Result<(), GpuError> {
        if let Some(reason) = self.0.state.lost.get() {
            return Err(GpuError::Lost { reason: reason.clone() });
        }
        let messages = std::mem::take(&mut *lock(&self.0.state.uncaptured));
        if messages.is_empty() {
            return Ok(());
        }
        Err(GpuError::Validation { doing: "earlier work", message: messages.join("; ") })
    }
}

/// The limits that kernels use, as large as the adapter has them; the others as wgpu sets them by default.
fn limits(of: &Limits) -> Limits {
    let defaults = Limits::downlevel_defaults().using_resolution(of.clone());
    Limits {
        max_buffer_size: of.max_buffer_size,
        max_storage_buffer_binding_size: of.max_storage_buffer_binding_size,
        max_storage_buffers_per_shader_stage: of.max_storage_buffers_per_shader_stage.min(16),
        max_compute_workgroup_storage_size: of.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: of.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: of.max_compute_workgroup_size_x,
        max_compute_workgroups_per_dimension: of.max_compute_workgroups_per_dimension,
        min_storage_buffer_offset_alignment: of.min_storage_buffer_offset_alignment,
        ..defaults
    }
}

fn capabilities(adapter: &wgpu::Adapter, features: Features, limits: &Limits) -> Capabilities {
    let info = adapter.get_info();
    let element = |ty: wgpu::CooperativeScalarType| match ty {
        wgpu::CooperativeScalarType::F16 => CoopElement::F16,
        wgpu::CooperativeScalarType::F32 => CoopElement::F32,
        _ => CoopElement::Other,
    };
    let shape = |of: wgpu::CooperativeMatrixProperties| CoopShape {
        m: of.m_size,
        n: of.n_size,
        k: of.k_size,
        ab: element(of.ab_type),
        c: element(of.cr_type),
    };
    let has_coop = features.contains(Features::EXPERIMENTAL_COOPERATIVE_MATRIX)
        // Without, their memory accesses could not be completed (translate.rs).
        && (info.backend != wgpu::Backend::Vulkan || features.contains(Features::PASSTHROUGH_SHADERS));
    let coop = if has_coop { adapter.cooperative_matrix_properties().into_iter().map(shape).collect() } else { vec![] };
    Capabilities {
        f16: features.contains(Features::SHADER_F16),
        subgroups: features.contains(Features::SUBGROUP),
        subgroup_size: (info.subgroup_min_size, info.subgroup_max_size),
        coop,
        pipeline_cache: features.contains(Features::PIPELINE_CACHE),
        buffer_bytes: limits.max_buffer_size,
        // Whole vectors.
        binding_bytes: limits.max_storage_buffer_binding_size / 16 * 16,
        binding_align: u64::from(limits.min_storage_buffer_offset_alignment),
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        workgroup_size: limits.max_compute_invocations_per_workgroup,
        grid_axis: limits.max_compute_workgroups_per_dimension,
    }
}
