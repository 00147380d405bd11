//! What a proved bench process writes about itself: one JSON line per bench id.
//!
//! Criterion reports times alone. These rows add which kernel ran, how its output was proved right, how much work an
//! iteration is, and which ceiling was measured in the same process. `proof::bench` writes them, `compare` joins them
//! to criterion's times by the id's three parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of [`BenchRow`] that this build writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// One bench id in one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchRow {
    /// Version of this layout, [`SCHEMA`] when written.
    pub schema: u32,
    /// The last step that it reached.
    pub state: State,
    /// First part of criterion's id, exactly.
    pub group: String,
    /// Second part of criterion's id, exactly.
    pub function: Option<String>,
    /// Third part of criterion's id, exactly; the kernel, in our benches.
    pub value: Option<String>,
    /// 1: measured by default; 2 and 3: breadth, on request.
    pub tier: u8,
    /// Where the bench is declared.
    pub source: Option<SourceLine>,
    /// Figures of the check that preceded the timing; `None` in a declared row.
    pub proof: Option<Proof>,
    /// What ran, as reported by the code that ran: kernel, isa, path, tile, threads.
    pub ran: BTreeMap<String, String>,
    /// Work of one iteration.
    pub work: Work,
    /// The ceiling, measured in this process around the timing.
    pub ceiling: Option<CeilingSample>,
    /// The work's own rate in this process, in the ceiling's unit, from the batches that criterion recorded.
    pub rate_per_s: Option<f64>,
    /// Heap allocations of one iteration in the steady state.
    pub allocations: Option<Allocations>,
    /// Largest resident set of the process so far (VmHWM), read after the timing.
    pub peak_rss_bytes: Option<u64>,
}

impl BenchRow {
    /// Criterion's full id: the parts that exist, joined by `/`.
    pub fn id(&self) -> String {
        let mut id = self.group.clone();
        for part in [&self.function, &self.value].into_iter().flatten() {
            id.push('/');
            id.push_str(part);
        }
        id
    }

    /// `rate_per_s` over the ceiling's median burst: the paired share of this process. `None` when either is missing.
    pub fn share_of_ceiling(&self) -> Option<f64> {
        let bursts = self.ceiling.as_ref()?.bursts_per_s;
        (bursts > 0.0).then_some(self.rate_per_s? / bursts)
    }

    /// `rate_per_s` over the ceiling's best burst, where that exceeds [`IMPOSSIBLE_SHARE`]: an error of the bench or of
    /// the ceiling, not a triumph.
    pub fn impossible_share(&self) -> Option<f64> {
        impossible_share(self.rate_per_s?, self.ceiling.as_ref()?.best_per_s)
    }
}

/// A rate above this share of the best that its ceiling showed cannot be true: the work is not done, or the ceiling is
/// wrong. The 3 % are for a kernel that runs while the machine is at its best.
pub const IMPOSSIBLE_SHARE: f64 = 1.03;

/// `rate_per_s` over `best_per_s` where that exceeds [`IMPOSSIBLE_SHARE`]; `None` also where no ceiling was measured.
pub fn impossible_share(rate_per_s: f64, best_per_s: f64) -> Option<f64> {
    let share = rate_per_s / best_per_s;
    (best_per_s > 0.0 && share > IMPOSSIBLE_SHARE).then_some(share)
}

/// The last step that a bench id reached in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Listed; not run so far.
    Declared,
    /// The output was proved right before it was timed.
    Proved,
    /// Output wrong; never timed.
    Failed,
}

/// File and line of a bench declaration, for annotations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// Path as the compiler was given it, relative to the workspace root.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
}

/// The figures of a check of outputs against something of higher precision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What was done, in words: `freivalds 2 + 512 samples + edges`, `norm`, `hash`.
    pub method: String,
    /// Largest error found, in units of the method; `None` when it was not a finite number.
    pub error: Option<f64>,
    /// Largest error accepted, in the same units.
    pub tolerance: f64,
    /// Flat index of the worst element, where the method has one.
    pub worst_index: Option<u64>,
    /// How many output elements were compared one by one.
    pub checked: u64,
    /// Hash of the inputs, 16 hexadecimal digits.
    pub input_hash: String,
    /// Hash of the output, where its bits are contractual (decoders).
    pub output_hash: Option<String>,
    /// What a matrix of cells promises of the output: the cell whose output has the same bits and stands for all of
    /// them, so that [`unequal`](crate::unequal) hashes are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Why the check failed: index, got, expected, tolerance. `None` when it passed.
    pub failure: Option<String>,
}

impl Proof {
    /// A proof by `method`, which accepts errors up to `tolerance`, without hashes and without elements that were
    /// compared one by one.
    pub fn new(method: impl Into<String>, error: Option<f64>, tolerance: f64) -> Self {
        Self {
            method: method.into(),
            error,
            tolerance,
            worst_index: None,
            checked: 0,
            input_hash: String::new(),
            output_hash: None,
            same_as: None,
            failure: None,
        }
    }

    /// Whether the check passed: it gives no failure, and its error is a number within the tolerance.
    pub fn is_right(&self) -> bool {
        // False for NaN, and for no number at all.
        self.failure.is_none() && self.error.is_some_and(|error| error <= self.tolerance)
    }

    /// Why the check did not pass.
    pub fn fault(&self) -> Option<&str> {
        let unsaid = || (!self.is_right()).then_some("the error of the proof exceeds its tolerance");
        self.failure.as_deref().or_else(unsaid)
    }
}

/// Work of one iteration; `None` where the notion does not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Floating-point operations, a multiply-add counting as two.
    pub flops: Option<f64>,
    /// Bytes that must move between memory and the core: inputs read once, outputs written once.
    pub bytes: Option<f64>,
    /// Elements (voxels, tokens, rows).
    pub elements: Option<f64>,
}

/// A ceiling measured in short bursts right before and right after the timing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CeilingSample {
    /// What was measured, with everything that identifies it: `fma f32 avx2 t1`.
    pub name: String,
    /// Unit of the rates.
    pub unit: crate::Unit,
    /// Median of the bursts, in units per second.
    pub bursts_per_s: f64,
    /// Best burst.
    pub best_per_s: f64,
    /// Number of bursts.
    pub n: u64,
}

/// Heap allocations of one iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocations {
    /// Calls that allocated or grew a block.
    pub count: u64,
    /// Bytes that those calls asked for.
    pub bytes: u64,
}
