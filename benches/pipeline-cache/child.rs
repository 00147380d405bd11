//! The process that is measured: opens the device, creates pipelines, runs each once, reports.

use std::{path::Path, sync::Arc, time::Instant};

use attention_gpu::{Attention, ElementType, Mask, OnDevice, Operands, Problem, Shape, VARIANTS, Variant};
use gpu::{Choice, Wgpu};
use op::Loaded;
use pipeline_cache::{Cache, CacheReport, Disabled, DriverBlob, Limits};
use proof::{
    attention::{Rounding, Row, check_rows},
    elements::Elements,
    input::normal,
    with_elements,
};

/// Tells the program that it is the child; the folder of the cache follows, or `-` for none.
pub(super) const ARGUMENT: &str = "--measured-child";

const QUERIES: usize = 5;
const KEYS: usize = 20;

fn problem(element: ElementType, head_dim: usize) -> Problem {
    let shape = Shape { batch: 1, queries: QUERIES, keys: KEYS, heads: 1, kv_heads: 1, head_dim, value_dim: head_dim };
    Problem { shape, element, mask: Mask::None, lengths: [].as_slice().into() }
}

/// The pipelines: all that this device can run; of a software adapter, which takes long to compile, one.
fn chosen(attention: &Attention) -> Vec<(Problem, Variant)> {
    let is_software = attention.gpu().identity().is_software();
    let mut all = Vec::new();
    for element in [ElementType::F16, ElementType::F32] {
        for head_dim in [64, 128] {
            let problem = problem(element, head_dim);
            for (_, variant) in VARIANTS {
                if variant.lacks(&problem, attention.capabilities()).is_none() {
                    all.push((problem.clone(), variant));
                }
            }
        }
    }
    if is_software {
        let is_first = |problem: &Problem| problem.shape.head_dim == 64 && problem.element == ElementType::F32;
        all.retain(|(problem, variant)| is_first(problem) && variant.name() == "wgpu-tile-64x32");
    }
    all
}

/// One line: what was measured, tab by tab, as `cell` reads it; or why nothing was.
pub(super) fn run(folder: Option<&Path>) -> String {
    measured(folder).unwrap_or_else(|error| format!("failed\t{error}"))
}

fn measured(folder: Option<&Path>) -> Result<String, Box<dyn std::error::Error>> {
    let gpu = Wgpu::open(&Choice::Best)?;
    let attention = Attention::new(&gpu);
    let cache = Arc::new(match folder {
        Some(folder) => Cache::open(folder, Limits::default()),
        None => Cache::disabled(Disabled::NotAsked),
    });
    let sources = attention_gpu::sources(&[64, 128]);
    let pipelines = gpu.keep_pipelines(Arc::clone(&cache), &sources);
    let chosen = chosen(&attention);
    for (problem, variant) in &chosen {
        pipelines.create(|_| attention.compile(problem, *variant))?;
    }
    let mut loaded = Vec::new();
    for (problem, variant) in &chosen {
        let tensor = |seed, rows: usize| Elements::new(&normal(seed, rows * problem.shape.head_dim), problem.element);
        let qkv = [(1, QUERIES), (2, KEYS), (3, KEYS)].map(|(seed, rows)| tensor(seed, rows));
        let [q, k, v] = qkv.each_ref().map(|x| with_elements!(x, x => bytemuck::cast_slice::<_, u8>(&x[..])));
        let on_device = OnDevice::new(&attention, problem, Some(*variant), Operands { q, k, v, copies: 1 })?;
        loaded.push((on_device, qkv, problem));
    }
    gpu.wait()?;
    let start = Instant::now();
    for (on_device, ..) in &mut loaded {
        on_device.run();
    }
    pipelines.note_first_dispatch(start.elapsed());
    for (on_device, qkv, problem) in &mut loaded {
        check(on_device, qkv, problem)?;
    }
    pipelines.save();
    Ok(line(&cache.report()))
}

/// Compares all rows with rows in f64.
fn check(on_device: &mut OnDevice, qkv: &[Elements; 3], problem: &Problem) -> Result<(), Box<dyn std::error::Error>> {
    let head_dim = problem.shape.head_dim;
    let [q, k, v] = qkv.each_ref().map(Elements::floats);
    let exact: Vec<_> = (0..QUERIES)
        .map(|row| {
            let row = Row {
                head_dim,
                value_dim: head_dim,
                scale: f64::from(1.0 / (head_dim as f32).sqrt()),
                q: &|d| f64::from(q[row * head_dim + d]),
                k: &|key, d| f64::from(k[key * head_dim + d]),
                v: &|key, d| f64::from(v[key * head_dim + d]),
                term: &|_| 0.0,
                keys: 0..KEYS,
                // Of f16, which cooperative matrices round weights to.
                rounding: Rounding { weight: 1.0 / 2048.0, ..Rounding::of_output(problem.element) },
            };
            row.exact()
        })
        .collect();
    let mut out = vec![f32::NAN; QUERIES * head_dim];
    on_device.read(&mut out);
    check_rows(&out, &exact).map_err(|mismatch| format!("{}: {mismatch}", on_device.ran().kernel))?;
    Ok(())
}

fn line(report: &CacheReport) -> String {
    let blob = match report.driver_blob {
        DriverBlob::Filled { .. } => "filled",
        DriverBlob::Empty { .. } => "empty",
        _ => "none",
    };
    let rejects: u64 = report.rejects.values().sum();
    let CacheReport { create_s, hits, misses, loaded_bytes, saved_bytes, pipelines_created, .. } = report;
    let first_s = report.first_dispatch_s.unwrap_or(f64::NAN);
    format!(
        "measured\t{create_s}\t{first_s}\t{hits}\t{misses}\t{rejects}\t{loaded_bytes}\t{saved_bytes}\t{pipelines_created}\t{blob}\t{report}"
    )
}
