//! Cases as pairs: all outputs kept ("full") beside projections ("opt").

use record::stats;
use scenario::{CellResult, PEAK_HEAP, Results};

use super::super::cases;

/// One case with all outputs kept ("full") and with projections ("opt"), medians over seeds.
pub(super) struct Pair {
    pub(super) dims: String,
    pub(super) case: String,
    /// An earlier case that is the same input under another name.
    pub(super) alias: Option<&'static str>,
    pub(super) batch: usize,
    pub(super) frames: usize,
    pub(super) pixels: usize,
    pub(super) full: Figures,
    pub(super) opt: Figures,
    /// Logarithm of the time of full over that of opt, for each pair of processes of each seed.
    pub(super) logs: Vec<f64>,
    /// Whether both reported the same hash of what the heads read, for every seed. Unequal hashes are faults, so they
    /// are no pair.
    pub(super) has_equal_output: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Figures {
    pub(super) seconds: f64,
    pub(super) frames_per_s: f64,
    pub(super) peak: f64,
    pub(super) kept: f64,
    pub(super) weights: f64,
    pub(super) transient: f64,
    pub(super) model_error: f64,
}

impl Pair {
    pub(super) fn images(&self) -> usize {
        self.batch * self.frames
    }

    pub(super) fn label(&self) -> String {
        let dims = if self.dims == "toy" { String::new() } else { format!("{} ", self.dims) };
        let alias = self.alias.map_or_else(String::new, |alias| format!(" (= {alias})"));
        format!("{dims}{}{alias}", self.case)
    }

    /// The median of the time of full over that of opt.
    pub(super) fn speedup(&self) -> f64 {
        stats::median(&self.logs).map_or(f64::NAN, f64::exp)
    }

    /// Positive where opt needs less.
    pub(super) fn peak_reduction(&self) -> f64 {
        100.0 * (1.0 - self.opt.peak / self.full.peak)
    }

    pub(super) fn kept_reduction(&self) -> f64 {
        100.0 * (1.0 - self.opt.kept / self.full.kept)
    }
}

/// Cases for which both variants were measured, in the order of the matrix.
pub(super) fn pairs(results: &Results<'_>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for dims in results.values("dims") {
        for case in results.values("case") {
            let Ok(shape) = cases::shape(case) else { continue };
            let seeds = results.values("seed");
            let of = |keep: &str, seed: &str| measured_cell(results, [dims, case, keep, seed]);
            let both: Vec<_> =
                seeds.iter().filter_map(|seed| Some((of("all", seed)?, of("projected", seed)?))).collect();
            let fulls: Vec<Figures> = both.iter().filter_map(|(full, _)| measured(full)).collect();
            let opts: Vec<Figures> = both.iter().filter_map(|(_, opt)| measured(opt)).collect();
            let logs: Vec<f64> = both.iter().flat_map(|(full, opt)| full.log_ratios(opt, "run_s")).collect();
            let (Some(full), Some(opt), false) = (middle(&fulls), middle(&opts), logs.is_empty()) else { continue };
            let is_equal = |(full, opt): &(&CellResult<'_>, &CellResult<'_>)| {
                full.output_hash().is_some() && full.output_hash() == opt.output_hash()
            };
            pairs.push(Pair {
                dims: dims.to_owned(),
                case: case.to_owned(),
                alias: cases::alias(case),
                batch: shape.batch,
                frames: shape.frames,
                pixels: shape.width,
                full,
                opt,
                logs,
                has_equal_output: both.iter().all(is_equal),
            });
        }
    }
    pairs
}

/// Logarithms of the time of a case over that of the same input under its other name, for every variant that was
/// measured under both: nothing but noise.
pub(super) fn noise(results: &Results<'_>) -> Vec<f64> {
    let cells = results.cells().iter();
    let of = |result: &CellResult<'_>| {
        let alias = cases::alias(result.cell.get("case")?)?;
        Some(result.log_ratios(results.measured(&result.cell.with("case", alias))?, "run_s"))
    };
    cells.filter_map(of).flatten().collect()
}

fn measured_cell<'r, 'a>(results: &'r Results<'a>, wanted: [&str; 4]) -> Option<&'r CellResult<'a>> {
    let wanted = ["dims", "case", "keep", "seed"].into_iter().zip(wanted);
    results.cells().iter().find(|result| {
        !result.records.is_empty() && wanted.clone().all(|(axis, value)| result.cell.get(axis) == Some(value))
    })
}

fn measured(result: &CellResult<'_>) -> Option<Figures> {
    Some(Figures {
        seconds: result.median("run_s")?,
        frames_per_s: result.median("frames_per_s")?,
        peak: result.median(PEAK_HEAP)?,
        kept: result.median("kept_bytes")?,
        weights: result.median("weights_bytes")?,
        transient: result.median("transient_bytes")?,
        model_error: result.median("model_error_ratio")?,
    })
}

/// The median of every figure.
fn middle(all: &[Figures]) -> Option<Figures> {
    let of = |figure: fn(&Figures) -> f64| stats::median(&all.iter().map(figure).collect::<Vec<f64>>());
    Some(Figures {
        seconds: of(|all| all.seconds)?,
        frames_per_s: of(|all| all.frames_per_s)?,
        peak: of(|all| all.peak)?,
        kept: of(|all| all.kept)?,
        weights: of(|all| all.weights)?,
        transient: of(|all| all.transient)?,
        model_error: of(|all| all.model_error)?,
    })
}
