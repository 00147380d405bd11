//! Kernels on an adapter: right, within bounds, the same each time, with exactly the dispatches that were planned.
//!
//! A software adapter does. Without any, the tests say SKIPPED, or fail where `ASSAY_REQUIRE` names `wgpu`.

mod tuned;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use attention_gpu::{
    Attention, AttentionGpuError, ElementType, Mask, Problem, Shape, Tensor, Tensors, VARIANTS, Variant, by_name,
};
use gpu::{Buffer, Choice, Wgpu};
use proof::{
    attention::{Exact, Rounding, Row, check_rows},
    elements::Elements,
    input::normal,
    with_elements,
};

use ElementType::{Bf16, F16, F32};

/// Says so even where the test harness hides what a test that passes prints.
fn skipped(why: &dyn std::fmt::Display) {
    std::io::Write::write_all(&mut std::io::stderr(), format!("\nSKIPPED: {why}\n").as_bytes()).unwrap();
}

/// The device, shared by all tests: opening one, and compiling for it, takes seconds. One test at a time uses it, so
/// that counts are those of the test. The first checks every index, the second trusts the kernels.
fn attention() -> Option<MutexGuard<'static, [Attention; 2]>> {
    static SHARED: OnceLock<Option<Mutex<[Attention; 2]>>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| match Wgpu::open(&Choice::Best) {
        Ok(gpu) => Some(Mutex::new([Attention::checked(&gpu), Attention::new(&gpu)])),
        Err(error) => {
            let is_required = std::env::var("ASSAY_REQUIRE").is_ok_and(|list| list.split(',').any(|x| x == "wgpu"));
            assert!(!is_required, "{error}");
            skipped(&error);
            None
        }
    });
    // A test that failed leaves a device that works.
    shared.as_ref().map(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner))
}

fn problem(element: ElementType, shape: [usize; 6], mask: Mask, lengths: &[usize]) -> Problem {
    let [batch, queries, keys, heads, kv_heads, head_dim] = shape;
    let shape = Shape { batch, queries, keys, heads, kv_heads, head_dim, value_dim: head_dim };
    Problem { shape, element, mask, lengths: lengths.to_vec().into() }
}

fn bytes_of(elements: &Elements) -> Vec<u8> {
    with_elements!(elements, x => x.iter().flat_map(|x| x.to_bits().to_le_bytes()).collect())
}

/// Inputs of a problem on the device, and an output between guard bytes.
struct Case {
    problem: Problem,
    qkv: [Elements; 3],
    buffers: [Buffer; 3],
    out: Buffer,
    guard: u64,
    out_bytes: usize,
}

const GUARD: u8 = 0xa5;
/// A NaN in all types, for what is not written.
const POISON: u8 = 0xff;

impl Case {
    fn new(gpu: &Wgpu, problem: Problem) -> Self {
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, .. } = problem.shape;
        let rows = [queries * heads, keys * kv_heads, keys * kv_heads].map(|rows| batch * rows * head_dim);
        let seeds = [1, 2, 3];
        let qkv = [0, 1, 2].map(|i| Elements::new(&normal(seeds[i], rows[i]), problem.element));
        let buffers = [0, 1, 2].map(|i| gpu.upload("operand", &bytes_of(&qkv[i])).unwrap());
        let guard = gpu.capabilities().binding_align.max(256);
        let out_bytes = rows[0] * problem.element.bytes();
        let out = gpu.upload("out", &Self::untouched(guard, out_bytes)).unwrap();
        Self { problem, qkv, buffers, out, guard, out_bytes }
    }

    fn untouched(guard: u64, out_bytes: usize) -> Vec<u8> {
        let guards = vec![GUARD; guard as usize];
        [&guards[..], &vec![POISON; out_bytes], &guards].concat()
    }

    fn tensors(&self) -> Tensors<'_> {
        let [q, k, v] = self.buffers.each_ref().map(Tensor::from);
        Tensors { q, k, v, out: Tensor { buffer: &self.out, offset: self.guard } }
    }

    /// Runs a variant and returns the bytes of the output, after a look at the guards.
    fn run(&self, attention: &Attention, variant: Option<Variant>) -> Result<Vec<u8>, AttentionGpuError> {
        let prepared = attention.prepare(&self.problem, variant, &self.tensors())?;
        let gpu = attention.gpu();
        gpu.write(&self.out, 0, &Self::untouched(self.guard, self.out_bytes))?;
        gpu.run(&prepared.steps())?;
        let all = gpu.read(&self.out, 0, self.guard * 2 + self.out_bytes as u64)?;
        let (before, rest) = all.split_at(self.guard as usize);
        let (out, after) = rest.split_at(self.out_bytes);
        assert!(before.iter().chain(after).all(|byte| *byte == GUARD), "{variant:?} wrote beside the output");
        Ok(out.to_vec())
    }

    fn floats(&self, bytes: &[u8]) -> Vec<f32> {
        let widened = |pair: &[u8], is_f16: bool| {
            let bits = u16::from_le_bytes([pair[0], pair[1]]);
            if is_f16 { half::f16::from_bits(bits).to_f32() } else { f32::from_bits(u32::from(bits) << 16) }
        };
        match self.problem.element {
            F32 => bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect(),
            of => bytes.chunks_exact(2).map(|pair| widened(pair, of == F16)).collect(),
        }
    }

    /// All rows in f64.
    fn exact(&self) -> Vec<Exact> {
        self.exact_with(0.0)
    }

    /// The same, where weights may be wrong by a share.
    fn exact_with(&self, weight: f64) -> Vec<Exact> {
        let Shape { batch, queries, keys, heads, kv_heads, head_dim, .. } = self.problem.shape;
        let [q, k, v] = self.qkv.each_ref().map(Elements::floats);
        let bounds = self.problem.bounds();
        let mut rows = Vec::new();
        for row in 0..batch * queries * heads {
            let (token, head) = (row / heads, row % heads);
            let (batch, query) = (token / queries.max(1), token % queries.max(1));
            let kv_row = |key: usize| (batch * keys + key) * kv_heads + head / (heads / kv_heads);
            // Where its sequence begins and ends, and its position there.
            let (first, last, position) = match &bounds {
                Some(bounds) => {
                    let at = bounds.partition_point(|&bound| bound <= token);
                    (bounds[at - 1], bounds[at], (token - bounds[at - 1]) as i64)
                }
                None => (0, keys, query as i64 + keys as i64 - queries as i64),
            };
            let (left, right) = match self.problem.mask {
                Mask::None => (i64::MAX / 4, i64::MAX / 4),
                Mask::Causal => (i64::MAX / 4, 0),
                Mask::Window { left, right } => (left as i64, right as i64),
            };
            let end = (position + right + 1).clamp(0, (last - first) as i64) as usize;
            let begin = (position - left).clamp(0, end as i64) as usize;
            let row = Row {
                head_dim,
                value_dim: head_dim,
                scale: f64::from(1.0 / (head_dim as f32).sqrt()),
                q: &|d| f64::from(q[row * head_dim + d]),
                k: &|key, d| f64::from(k[kv_row(key) * head_dim + d]),
                v: &|key, d| f64::from(v[kv_row(key) * head_dim + d]),
                term: &|_| 0.0,
                keys: first + begin..first + end,
                rounding: Rounding { weight, ..Rounding::of_output(self.problem.element) },
            };
            rows.push(row.exact());
        }
        rows
    }
}

/// Checks one problem by several variants: first with wgpu's checks, then without, with the same bits.
fn assert_right(problem: Problem, variants: &[&str]) {
    let Some(shared) = attention() else { return };
    let [checked, trusted] = &*shared;
    let case = Case::new(checked.gpu(), problem);
    let exact = case.exact();
    for name in variants {
        let variant = by_name(name).unwrap();
        let out = case.run(checked, Some(variant)).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Err(mismatch) = check_rows(&case.floats(&out), &exact) {
            panic!("{name}, {:?}: {mismatch}", case.problem);
        }
        assert_eq!(case.run(trusted, Some(variant)).unwrap(), out, "{name}: checks change the result");
    }
}

const TILES: [&str; 3] = ["wgpu-tile-64x64", "wgpu-tile-64x64-tall", "wgpu-tile-32x64"];
const WINDOW: Mask = Mask::Window { left: 9, right: 3 };

#[test]
fn tiles_are_right_for_odd_shapes_and_masks() {
    for (shape, mask) in [
        ([1, 65, 67, 2, 1, 32], Mask::None),
        ([2, 66, 70, 1, 1, 32], Mask::Causal),
        ([1, 130, 61, 1, 1, 32], Mask::Causal),
        ([1, 40, 100, 2, 2, 32], WINDOW),
        ([1, 1, 1, 1, 1, 32], Mask::None),
        ([1, 3, 0, 1, 1, 32], Mask::None),
    ] {
        assert_right(problem(F32, shape, mask, &[]), &TILES);
    }
    assert_right(problem(F32, [1, 99, 99, 2, 1, 32], Mask::Causal, &[33, 0, 1, 65]), &TILES);
}

#[test]
fn tiles_are_right_for_all_types_and_heads() {
    for (element, head_dim, variants) in [
        (F16, 128, &["wgpu-tile-64x64"][..]),
        (Bf16, 80, &["wgpu-tile-32x64"]),
        (F16, 64, &["wgpu-tile-128x32-tall", "wgpu-tile-64x32"]),
        (F32, 4, &["wgpu-tile-64x32"]),
    ] {
        assert_right(problem(element, [1, 33, 70, 2, 1, head_dim], Mask::Causal, &[]), variants);
    }
}

#[test]
fn decoding_is_right_for_odd_shapes_and_masks() {
    let both = ["wgpu-decode-64x256", "wgpu-decode-32x256x2"];
    for (shape, mask) in [
        ([2, 1, 600, 8, 2, 32], Mask::None),
        ([1, 3, 257, 6, 2, 32], Mask::Causal),
        ([1, 5, 300, 3, 3, 32], WINDOW),
        ([1, 4, 1, 2, 1, 32], Mask::Causal),
        ([1, 1, 0, 1, 1, 32], Mask::None),
    ] {
        assert_right(problem(F32, shape, mask, &[]), &both);
    }
    assert_right(problem(F32, [1, 9, 9, 2, 1, 32], Mask::None, &[4, 0, 5]), &both);
    assert_right(problem(F16, [1, 1, 530, 8, 2, 128], Mask::None, &[]), &["wgpu-decode-64x256"]);
    assert_right(problem(Bf16, [1, 2, 300, 4, 1, 80], Mask::Causal, &[]), &["wgpu-decode-64x256x2"]);
}

/// Half a unit in the last place of f16, to which cooperative matrices round weights.
const F16_WEIGHT_ERROR: f64 = 1.0 / 2048.0;

/// On cooperative matrices where the adapter has them. Else they are emulated; all around them is what runs on a card.
#[test]
fn cooperative_matrices_are_right() {
    let Some(shared) = attention() else { return };
    let gpu = shared[0].gpu();
    let has_them = gpu.capabilities().coop_16();
    let Some(attention) = (if has_them { Some(Attention::checked(gpu)) } else { Attention::emulated(gpu) }) else {
        return;
    };
    // Two kernels, each for odd shapes and all masks: an emulated one takes long to compile.
    let mut all = vec![
        ("wgpu-coop-2x2", [2, 35, 70, 2, 1, 64], Mask::Causal),
        ("wgpu-coop-2x2", [1, 70, 100, 1, 1, 64], WINDOW),
        ("wgpu-coop-2x2", [1, 3, 0, 1, 1, 64], Mask::None),
        ("wgpu-coop-2x1", [1, 35, 40, 2, 2, 80], Mask::None),
        ("wgpu-coop-2x1", [1, 34, 40, 1, 1, 80], Mask::Causal),
    ];
    if has_them {
        let names = VARIANTS.iter().filter(|(_, variant)| matches!(variant, Variant::Coop { .. }));
        all.extend(names.map(|(name, _)| (*name, [1, 300, 333, 4, 2, 128], Mask::Causal)));
    }
    // Scores that grow along the keys: m is raised again and again, and o is scaled.
    let mut case = Case::new(gpu, problem(F16, [1, 33, 300, 1, 1, 64], Mask::Causal, &[]));
    let rising: Vec<f32> = (0..300 * 64).map(|at| 40.0 * ((at / 64) as f32 / 300.0 - 0.5) + (at % 3) as f32).collect();
    let rows: Vec<f32> = (0..33 * 64).map(|at| 0.02 * (at / 64) as f32).collect();
    for (i, values) in [rows, rising].iter().enumerate() {
        case.qkv[i] = Elements::new(values, F16);
        case.buffers[i] = gpu.upload("operand", &bytes_of(&case.qkv[i])).unwrap();
    }
    assert_coop(&attention, "wgpu-coop-2x2", &case);
}

fn assert_coop(attention: &Attention, name: &str, case: &Case) {
    let out = case.run(attention, by_name(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let exact = case.exact_with(F16_WEIGHT_ERROR);
    if let Err(mismatch) = check_rows(&case.floats(&out), &exact) {
        panic!("{name}, {:?}: {mismatch}", case.problem);
    }
    assert_eq!(case.run(attention, by_name(name)).unwrap(), out, "{name}");
}

/// Scores that grow along the keys, so that every tile raises the largest one; and scores far beyond exp's range.
#[test]
fn rising_and_huge_scores_are_right() {
    let Some(shared) = attention() else { return };
    let checked = &shared[0];
    for (factor, variants) in [(3.0, [TILES[0], "wgpu-decode-64x256"]), (300.0, [TILES[0], "wgpu-decode-64x256"])] {
        let mut case = Case::new(checked.gpu(), problem(F32, [1, 2, 300, 1, 1, 32], Mask::None, &[]));
        let rising: Vec<f32> = (0..300 * 32).map(|at| factor * (at / 32) as f32 / 300.0).collect();
        let ones = vec![1.0; 2 * 32];
        case.qkv[0] = Elements::new(&ones, F32);
        case.qkv[1] = Elements::new(&rising, F32);
        case.buffers[0] = checked.gpu().upload("operand", &bytes_of(&case.qkv[0])).unwrap();
        case.buffers[1] = checked.gpu().upload("operand", &bytes_of(&case.qkv[1])).unwrap();
        for name in variants {
            let out = case.run(checked, by_name(name)).unwrap();
            check_rows(&case.floats(&out), &case.exact()).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// A tensor is given in parts where a binding is small, and the bits do not change.
#[test]
fn tensors_larger_than_a_binding_are_split() {
    let Some(shared) = attention() else { return };
    let checked = &shared[0];
    let mut has = checked.capabilities().clone();
    // A sequence of 70 tokens has 8960 bytes of K.
    has.binding_bytes = 10 << 10;
    let small = Attention::checked(checked.gpu()).assuming(has);
    for name in [TILES[0], "wgpu-decode-64x256"] {
        let case = Case::new(checked.gpu(), problem(F32, [3, 7, 70, 2, 1, 32], Mask::Causal, &[]));
        let whole = case.run(checked, by_name(name)).unwrap();
        let before = checked.gpu().counts();
        assert_eq!(case.run(&small, by_name(name)).unwrap(), whole, "{name}");
        let done = checked.gpu().counts().since(&before);
        let of_each = if name == TILES[0] { 1 } else { 2 };
        assert_eq!(done.dispatches, 3 * of_each, "{name}: one sequence at a time");
    }
    let case = Case::new(checked.gpu(), problem(F32, [1, 7, 170, 2, 1, 32], Mask::Causal, &[]));
    let refused = case.run(&small, by_name(TILES[0]));
    assert!(matches!(refused, Err(AttentionGpuError::Binding { tensor: "K", .. })), "{refused:?}");
}

/// More workgroups than an axis of a grid has: a second axis takes the rest, and its last row is not full.
#[test]
fn grids_of_two_axes_are_right() {
    let Some(shared) = attention() else { return };
    let checked = &shared[0];
    let mut has = checked.capabilities().clone();
    has.grid_axis = 3;
    let narrow = Attention::checked(checked.gpu()).assuming(has);
    for name in [TILES[0], "wgpu-decode-64x256"] {
        let case = Case::new(checked.gpu(), problem(F32, [5, 2, 260, 2, 1, 32], Mask::None, &[]));
        let expected = case.run(checked, by_name(name)).unwrap();
        assert_eq!(case.run(&narrow, by_name(name)).unwrap(), expected, "{name}");
    }
}

#[test]
fn results_are_the_same_each_time_and_counts_are_as_planned() {
    let Some(shared) = attention() else { return };
    let trusted = &shared[1];
    let gpu = trusted.gpu();
    for (name, dispatches, barriers) in [(TILES[0], 1, 0), ("wgpu-decode-64x256", 2, 1)] {
        let case = Case::new(gpu, problem(F32, [1, 4, 300, 2, 2, 32], Mask::Causal, &[]));
        let first = case.run(trusted, by_name(name)).unwrap();
        let prepared = trusted.prepare(&case.problem, by_name(name), &case.tensors()).unwrap();
        let before = gpu.counts();
        gpu.run(&prepared.steps()).unwrap();
        let done = gpu.counts().since(&before);
        assert_eq!((done.dispatches, done.barriers, done.passes), (dispatches, barriers, 1), "{name}");
        assert_eq!((done.pipelines, done.bind_groups, done.uploaded_bytes), (0, 0, 0), "{name}");
        // A thousand runs, of which some are looked at.
        let many: Vec<_> = (0..100).flat_map(|_| prepared.steps()).collect();
        for _ in 0..10 {
            gpu.run(&many).unwrap();
            let out = gpu.read(&case.out, case.guard, case.out_bytes as u64).unwrap();
            assert_eq!(out, first, "{name}");
        }
    }
}

#[test]
fn the_variant_follows_from_problem_and_device() {
    let Some(shared) = attention() else { return };
    let trusted = &shared[1];
    let chosen = |shape: [usize; 6]| {
        let case = Case::new(trusted.gpu(), problem(F32, shape, Mask::None, &[]));
        let before = trusted.gpu().counts().pipelines;
        let prepared = trusted.prepare(&case.problem, None, &case.tensors()).unwrap();
        let again = trusted.prepare(&case.problem, None, &case.tensors()).unwrap();
        assert!(trusted.gpu().counts().pipelines - before <= 2, "a kernel is compiled once");
        assert_eq!(prepared.variant(), again.variant());
        prepared.variant()
    };
    assert!(chosen([1, 1, 100, 4, 1, 32]).is_decode());
    assert!(!chosen([1, 20, 20, 1, 1, 32]).is_decode());
}

#[test]
fn what_does_not_fit_is_an_error_with_values() {
    let Some(shared) = attention() else { return };
    let checked = &shared[0];
    let refused = |element, shape, lengths: &[usize], variant: Option<&str>| {
        let case = Case::new(checked.gpu(), problem(element, shape, Mask::None, lengths));
        case.run(checked, variant.and_then(by_name)).unwrap_err()
    };
    use AttentionGpuError::{HeadDim, HeadGroups, Lengths, Variant};
    assert!(matches!(refused(F32, [1, 2, 2, 1, 1, 6], &[], None), HeadDim { head_dim: 6, .. }));
    assert!(matches!(refused(F32, [1, 2, 2, 1, 1, 132], &[], None), HeadDim { head_dim: 132, most: 128, .. }));
    assert!(matches!(refused(F32, [1, 2, 2, 3, 2, 8], &[], None), HeadGroups { heads: 3, kv_heads: 2 }));
    assert!(matches!(refused(F32, [1, 3, 3, 1, 1, 8], &[1, 1], None), Lengths { got: 2, .. }));
    assert!(matches!(refused(F32, [1, 2, 2, 1, 1, 8], &[], Some("wgpu-coop-4x2")), Variant { .. }));
    assert!(matches!(refused(F16, [1, 2, 2, 1, 1, 128], &[], Some("wgpu-tile-64x32")), Variant { .. }));
    let case = Case::new(checked.gpu(), problem(F32, [1, 2, 2, 1, 1, 8], Mask::None, &[]));
    let larger = problem(F32, [1, 2, 3, 1, 1, 8], Mask::None, &[]);
    let refused = checked.prepare(&larger, None, &case.tensors()).unwrap_err();
    assert!(matches!(refused, AttentionGpuError::Tensor { tensor: "K", need: 96, size: 64, .. }), "{refused:?}");
}

/// A problem without output runs nothing.
#[test]
fn nothing_is_done_for_nothing() {
    let Some(shared) = attention() else { return };
    let checked = &shared[0];
    for shape in [[0, 2, 2, 1, 1, 8], [1, 0, 2, 1, 1, 8], [1, 2, 2, 0, 0, 8], [1, 2, 2, 1, 1, 0]] {
        let case = Case::new(checked.gpu(), problem(F32, shape, Mask::None, &[]));
        let prepared = checked.prepare(&case.problem, None, &case.tensors()).unwrap();
        assert!(prepared.steps().is_empty(), "{shape:?}");
        assert!(case.run(checked, None).unwrap().is_empty());
    }
}
