//! A device from opening to reading back, on whatever adapter there is; software adapters are enough.

use gpu::{Binding, Choice, Clock, GpuError, Source, Step, Unavailable, Wgpu, ceiling};

/// The device that the tests share; `None` where there is no adapter at all.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn device() -> Option<&'static Wgpu> {
    static DEVICE: std::sync::OnceLock<Option<Wgpu>> = std::sync::OnceLock::new();
    let opened = || match Wgpu::open(&Choice::Best) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            let is_required = std::env::var("ASSAY_REQUIRE").is_ok_and(|list| list.split(',').any(|x| x == "wgpu"));
            assert!(!is_required, "{error}");
            eprintln!("SKIPPED: {error}");
            None
        }
    };
    DEVICE.get_or_init(opened).as_ref()
}

const ADD: &str = "@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) i: vec3<u32>) { y[i.x] = x[i.x] + STEP; }";

/// Counts are of a device, so everything that asserts them is one test.
#[test]
fn a_chain_of_dispatches_is_one_pass_with_a_barrier_between_dependents() {
    let Some(gpu) = device() else { return };
    // A device of its own: others would count too.
    let gpu = Wgpu::open(&Choice::Named(gpu.identity().name.clone())).unwrap();
    let x = gpu.upload("x", bytemuck::cast_slice(&[1_u32, 2, 3, 4])).unwrap();
    let (y, z) = (gpu.zeros("y", 16).unwrap(), gpu.zeros("z", 16).unwrap());
    let kernel = gpu.kernel(&Source::new("add", ADD).constant("STEP", 10)).unwrap();
    let first = kernel.bind(&gpu, &[(0, Binding::read(&x)), (1, Binding::write(&y))]).unwrap();
    let second = kernel.bind(&gpu, &[(0, Binding::read(&y)), (1, Binding::write(&z))]).unwrap();
    let before = gpu.counts();
    let chain = [Step::new(&kernel, &first, [1, 1, 1]), Step::new(&kernel, &second, [1, 1, 1])];
    gpu.run(&chain).unwrap();
    assert_eq!(gpu.read_as::<u32>(&z, 0, 4).unwrap(), [21, 22, 23, 24]);
    let counts = gpu.counts().since(&before);
    assert_eq!((counts.dispatches, counts.barriers, counts.passes, counts.submissions), (2, 1, 1, 2));
    assert_eq!((counts.pipelines, counts.bind_groups, counts.buffers, counts.read_bytes), (0, 0, 1, 16));
    assert_eq!(counts.live_bytes, 48);
    assert_eq!(counts.by_label.keys().copied().collect::<Vec<_>>(), ["x", "y", "z"]);

    // A result comes back in the submission that computes it, again and again into the same memory.
    let readback = gpu.readback(12).unwrap();
    let before = gpu.counts();
    for first in [1_u32, 7] {
        gpu.write(&x, 0, bytemuck::bytes_of(&first)).unwrap();
        let found = gpu.run_and_read(&chain, (&z, 0, 8), &readback).unwrap();
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, u32>(&found), [first + 20, 22]);
    }
    assert!(gpu.run_and_read(&[], (&z, 4, 0), &readback).unwrap().is_empty());
    let counts = gpu.counts().since(&before);
    assert_eq!((counts.dispatches, counts.submissions, counts.buffers, counts.read_bytes), (4, 3, 0, 16));
    for (offset, bytes) in [(12, 8), (2, 4), (0, 20)] {
        let error = gpu.run_and_read(&chain, (&z, offset, bytes), &readback).unwrap_err();
        assert!(matches!(error, GpuError::Range { .. }), "{error}");
    }
    drop(readback);

    // Rounds depend on the ones before; independent dispatches do not.
    let before = gpu.counts();
    gpu.time(&chain, 3).unwrap();
    assert_eq!(gpu.counts().since(&before).dispatches, 6);
    let before = gpu.counts();
    let third = kernel.bind(&gpu, &[(0, Binding::read(&x)), (1, Binding::write(&z))]).unwrap();
    gpu.run(&[Step::new(&kernel, &first, [1, 1, 1]), Step::new(&kernel, &third, [1, 1, 1])]).unwrap();
    assert_eq!(gpu.counts().since(&before).barriers, 0);

    drop((x, y, z, first, second, third));
    assert_eq!(gpu.counts().live_bytes, 0);
    assert!(gpu.counts().peak_bytes >= 64);
}

#[test]
fn errors_are_values_and_the_device_goes_on() {
    let Some(gpu) = device() else { return };
    let wrong = gpu.kernel(&Source::new("wrong", "@compute @workgroup_size(1) fn main() { nothing(); }")).unwrap_err();
    assert!(matches!(&wrong, GpuError::Kernel { kernel: "wrong", message } if message.contains("nothing")), "{wrong}");

    let x = gpu.zeros("x", 16).unwrap();
    assert!(matches!(gpu.read(&x, 0, 32), Err(GpuError::Range { size: 16, .. })));
    assert!(matches!(gpu.read(&x, 2, 4), Err(GpuError::Range { .. })));
    assert!(matches!(gpu.write(&x, 12, &[0; 8]), Err(GpuError::Range { .. })));
    assert!(matches!(gpu.zeros("all", u64::MAX), Err(GpuError::BufferSize { .. })));

    let kernel = gpu.kernel(&Source::new("add", ADD).constant("STEP", 1)).unwrap();
    // One operand is missing.
    assert!(matches!(kernel.bind(gpu, &[(0, Binding::read(&x))]), Err(GpuError::Validation { .. })));
    let y = gpu.zeros("y", 16).unwrap();
    let bound = kernel.bind(gpu, &[(0, Binding::read(&x)), (1, Binding::write(&y))]).unwrap();
    let axis = gpu.capabilities().grid_axis + 1;
    assert!(matches!(gpu.run(&[Step::new(&kernel, &bound, [axis, 1, 1])]), Err(GpuError::Grid { .. })));
    gpu.run(&[Step::new(&kernel, &bound, [0, 1, 1])]).unwrap();
    assert_eq!(gpu.read_as::<u32>(&y, 0, 4).unwrap(), [0; 4]);
    gpu.run(&[Step::new(&kernel, &bound, [1, 1, 1])]).unwrap();
    assert_eq!(gpu.read_as::<u16>(&y, 1, 5).unwrap(), [0, 1, 0, 1, 0]);
}

#[test]
fn a_lost_device_is_an_error() {
    let Some(gpu) = device() else { return };
    let gpu = Wgpu::open(&Choice::Named(gpu.identity().name.clone())).unwrap();
    gpu.device().destroy();
    let lost = gpu.zeros("x", 16).and_then(|x| gpu.read(&x, 0, 16)).unwrap_err();
    assert!(matches!(lost, GpuError::Lost { .. }), "{lost}");
}

#[test]
fn an_adapter_that_does_not_exist_is_named() {
    let Some(_) = device() else { return };
    let error = Wgpu::open(&Choice::Named("no such adapter".into())).unwrap_err();
    assert!(matches!(error, Unavailable::NoneFits { .. }), "{error}");
}

#[test]
fn a_software_adapter_has_no_clock_and_every_ceiling_runs() {
    let Some(gpu) = device() else { return };
    if gpu.identity().is_software() {
        assert!(matches!(gpu.clock(), Clock::Wall { .. }));
    }
    for which in ceiling::Ceiling::ALL {
        if let Some(found) = ceiling::Loop::new(gpu, which).unwrap() {
            assert!(found.burst(gpu, std::time::Duration::ZERO).unwrap() > 0.0, "{which:?}");
        } else {
            assert_eq!(which, ceiling::Ceiling::Coop, "only cooperative matrices may be missing");
        }
    }
}

/// Cooperative matrices run on few adapters, but every machine can validate their kernel.
#[test]
fn ceilings_validate() {
    for text in [
        include_str!("../../../kernels/ceiling/read.wgsl"),
        include_str!("../../../kernels/ceiling/copy.wgsl"),
        include_str!("../../../kernels/ceiling/fma.wgsl"),
        include_str!("../../../kernels/ceiling/coop.wgsl"),
    ] {
        Source::new("ceiling", text).spirv().unwrap_or_else(|e| panic!("{e}"));
    }
}

/// What adapters with cooperative matrices do for their kernels alone: bindings with gaps and unused ones find their
/// operands, memory of a workgroup is exchanged, and a dispatch waits for the one before.
#[test]
fn kernels_that_are_translated_here_compute_the_same() {
    const REVERSE: &str = "@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> unused: array<u32>;
@group(0) @binding(3) var<uniform> step: vec4<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<u32>;
var<workgroup> all: array<u32, 64>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
    all[i] = x[i] + step.x;
    workgroupBarrier();
    y[i] = all[63u - i];
}";
    let Some(gpu) = device() else { return };
    let x: Vec<u32> = (0..64).collect();
    let mut found = Vec::new();
    for is_translated in [false, true] {
        let gpu = Wgpu::open(&Choice::Named(gpu.identity().name.clone())).unwrap();
        if is_translated {
            gpu.translate_every_kernel();
        }
        let from = gpu.upload("x", bytemuck::cast_slice(&x)).unwrap();
        let step = gpu.uniform("step", &[5, 0, 0, 0]).unwrap();
        let (y, z) = (gpu.zeros("y", 256).unwrap(), gpu.zeros("z", 256).unwrap());
        let kernel = gpu.kernel(&Source::new("reverse", REVERSE)).unwrap();
        let bind = |from, to| {
            kernel.bind(&gpu, &[(0, Binding::read(from)), (3, Binding::read(&step)), (7, Binding::write(to))]).unwrap()
        };
        let (first, second) = (bind(&from, &y), bind(&y, &z));
        gpu.run(&[Step::new(&kernel, &first, [1, 1, 1]), Step::new(&kernel, &second, [1, 1, 1])]).unwrap();
        found.push((gpu.read_as::<u32>(&y, 0, 64).unwrap(), gpu.read_as::<u32>(&z, 0, 64).unwrap()));
        let error = gpu.kernel(&Source::new("broken", "fn main() {")).unwrap_err();
        assert!(matches!(error, GpuError::Kernel { kernel: "broken", .. }), "{error}");
    }
    assert_eq!(found[0], ((5..69).rev().collect(), (10..74).collect()));
    assert_eq!(found[0], found[1]);
}
