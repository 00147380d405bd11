//! The criterion glue: declares a bench, proves it, lets criterion time it, and writes a row that explains the time.
//!
//! ```no_run
//! use op::{Loaded, Ran};
//! use proof::bench::{Bench, Ceiling, Subject};
//! use proof::{compare, input};
//! use record::Work;
//!
//! #[global_allocator]
//! static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;
//!
//! /// y <- 2 x.
//! struct Double {
//!     x: Vec<f32>,
//!     y: Vec<f32>,
//! }
//!
//! impl Loaded for Double {
//!     fn run(&mut self) {
//!         self.y.iter_mut().zip(&self.x).for_each(|(y, x)| *y = 2.0 * x);
//!     }
//!     fn ran(&self) -> Ran {
//!         Ran::new("cpu-scalar", "scalar")
//!     }
//! }
//!
//! impl Subject for Double {
//!     fn prove(&mut self) -> record::Proof {
//!         self.y.fill(f32::NAN);
//!         self.run();
//!         let expected: Vec<f64> = self.x.iter().map(|&x| 2.0 * f64::from(x)).collect();
//!         compare::proof(compare::check(&self.y, &expected, |_| 0.0), input::hash(&[&self.x]))
//!     }
//! }
//!
//! fn main() {
//!     proof::bench::main(|suite| {
//!         let bench = Bench {
//!             group: "scale/double/f32".into(),
//!             function: "n4096/resident/t1".into(),
//!             value: "cpu-scalar".into(),
//!             tier: 1,
//!             work: Work { flops: Some(4096.0), bytes: Some(2.0 * 4.0 * 4096.0), elements: None },
//!             ceiling: Ceiling::Fma { isa: machine::isa::Isa::Scalar, threads: 1 },
//!         };
//!         suite.bench(bench, || Box::new(Double { x: input::normal(1, 4096), y: vec![0.0; 4096] }));
//!     });
//! }
//! ```
//!
//! What happens to one id, in this order:
//!
//! 1. It is declared: with rows asked for, a `declared` row is appended, whether or not criterion's filter selects the
//!    id. A run whose filter matches nothing therefore lists every id with its tier.
//! 2. If criterion selects it, `setup` runs, once, and [`Subject::prove`] after it. A failed proof appends a `failed`
//!    row and panics: wrong code is never timed.
//! 3. Criterion warms up and measures through [`Loaded::time`]. Bursts of the ceiling, each as long as one call of the
//!    kernel (0.1 to 20 ms), some 12 ms in all, run after the first warm-up call and once more when criterion is done,
//!    so that the kernel's share of the ceiling is a pair of figures from one process.
//! 4. A `proved` row is appended.
//!
//! Which batches count: criterion converts the time of every batch that it records, and of no warm-up batch, to a
//! number through its `Measurement`. The glue supplies that `Measurement`, so `rate_per_s` and `allocations` come from
//! exactly the batches in criterion's sample: the median time per iteration, and the smallest number of allocations per
//! iteration (rounded down; what only some batches do is not the steady state). Fewer than two such batches, as under
//! `--test` or `--profile-time`, are no measurement: rate, ceiling and allocations stay `None`.
//!
//! Three environment variables, read here because this is the `main` of every bench binary:
//!
//! - `ASSAY_ROWS=FILE`: append rows to this file. Without it nothing is written, and a person who measures gets a table
//!   instead.
//! - `ASSAY_INJECT=ID=+5%` (several separated by `;`, `*` for every id): spin for that share of each batch's time and
//!   count the spin as part of it. A calibrated slowdown, to test that a comparison finds it.
//! - `ASSAY_REPEAT=N`: run every batch N times as long as criterion asked. Under `--test` the difference between two
//!   such runs is made of iterations alone, without start-up and proof: that is how instructions are counted. Times
//!   mean nothing then.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use machine::isa::Isa;
use op::Loaded;
use record::{BenchRow, Proof, SCHEMA, SourceLine, State, Unit, Work, jsonl};

mod audience;
mod batches;
mod ceilings;
mod ids;
mod inject;
mod rates;
mod summary;

use audience::{Audience, Catalog};
use batches::{Batches, Recorder};
use ceilings::Ceilings;
pub use ceilings::{Ceiling, Given};
use ids::Ids;
use inject::Injection;
use summary::Line;

const WARM_UP: Duration = Duration::from_millis(500);
const MEASUREMENT: Duration = Duration::from_secs(1);
const SAMPLE_SIZE: usize = 20;

/// A loaded kernel that can prove its output: what a bench times. [`Loaded::ran`] is asked after the proof and after
/// the timing.
pub trait Subject: Loaded {
    /// Runs the kernel and checks its output against something of higher precision; costs no more than the timed work
    /// and 0.3 s. A wrong output is reported in [`Proof::failure`]; [`compare::proof`](crate::compare::proof) makes one
    /// from the outcome of a check.
    fn prove(&mut self) -> Proof;
}

/// The instruction set in a kernel's name, `cpu-avx2` for one; that of portable code for any other name.
pub fn isa_of(kernel: &str) -> Isa {
    let isa = kernel.strip_prefix("cpu-").and_then(|isa| isa.split('-').next());
    isa.and_then(|isa| isa.parse().ok()).unwrap_or(Isa::Scalar)
}

/// The declaration of one bench.
#[derive(Clone, Debug)]
pub struct Bench {
    /// First part of criterion's id: crate, op and type. At most 64 bytes, as the other two; the whole id at most 100.
    pub group: String,
    /// Second part: shape, regime and threads.
    pub function: String,
    /// Third part: the kernel.
    pub value: String,
    /// 1 for the dozen that a comparison measures by default; 2 and 3 for breadth.
    pub tier: u8,
    /// Work of one iteration. Criterion shows its rate: in the ceiling's unit, else FLOP/s, B/s or elements/s.
    pub work: Work,
    /// The limit to measure beside it.
    pub ceiling: Ceiling,
}

/// The benches of one binary.
pub struct Suite {
    criterion: Criterion<Recorder>,
    batches: Rc<RefCell<Batches>>,
    ids: Ids,
    ceilings: Ceilings,
    injection: Injection,
    repeat: u64,
    rows: Option<PathBuf>,
    /// What criterion's elements are in the bench at hand.
    unit: Rc<Cell<Unit>>,
    audience: Audience,
    /// What is declared; only where a person gave no filter.
    catalog: Catalog,
    /// Whether benches are only entered into the catalog.
    is_listing: bool,
    /// What was measured, for the table; only for a person.
    lines: Vec<Line>,
}

/// Runs the benches that `register` declares: the whole `main` of a bench binary. Takes criterion's command line.
///
/// Defaults: 0.5 s of warm-up, 1 s of measurement, 20 samples; the command line overrides them.
///
/// A person who gives no filter gets the cases that have a kernel of tier 1, with all their kernels: a minute or two. A
/// filter gets every bench that it matches, so `cargo bench -p OP -- .` runs all. After the last bench a person sees a
/// table of all of them. Tools see every id: nothing is left out where `ASSAY_ROWS` or `CARGO_CRITERION_PORT` is set,
/// nor under `--test` and `--list`. `register` is called once more, beforehand, where cases are left out; it declares
/// the same benches each time.
///
/// # Panics
/// When a proof fails, when rows cannot be written, when `ASSAY_INJECT` or `ASSAY_REPEAT` cannot be read, and as
/// [`Suite::bench`] does. After the table, when a rate exceeds the best burst of its ceiling by more than 3 %: such a
/// figure is an error. (A tool applies the same rule to all its processes together.)
#[expect(clippy::print_stdout, reason = "it is the main function of programs that report to a person")]
pub fn main(mut register: impl FnMut(&mut Suite)) {
    let rows = std::env::var_os("ASSAY_ROWS").filter(|path| !path.is_empty()).map(PathBuf::from);
    let wanted = std::env::var("ASSAY_INJECT").unwrap_or_default();
    let injection = wanted.parse().unwrap_or_else(|e| panic!("ASSAY_INJECT={wanted}: {e}"));
    let repeat =
        std::env::var("ASSAY_REPEAT").map_or(1, |n| n.parse().unwrap_or_else(|e| panic!("ASSAY_REPEAT={n}: {e}")));
    let batches = Rc::<RefCell<Batches>>::default();
    let unit = Rc::new(Cell::new(Unit::ElementsPerSecond));
    let criterion = Criterion::default()
        .warm_up_time(WARM_UP)
        .measurement_time(MEASUREMENT)
        .sample_size(SAMPLE_SIZE)
        .with_measurement(Recorder::new(Rc::clone(&batches), Rc::clone(&unit)))
        .configure_from_args();
    let is_recorded = rows.is_some() || std::env::var_os("CARGO_CRITERION_PORT").is_some();
    let mut suite = Suite {
        criterion,
        batches,
        ids: Ids::default(),
        ceilings: Ceilings::default(),
        injection,
        repeat,
        rows,
        unit,
        audience: Audience::of(std::env::args().skip(1), is_recorded),
        catalog: Catalog::default(),
        is_listing: false,
        lines: Vec::new(),
    };
    if suite.audience == Audience::Default {
        suite.is_listing = true;
        register(&mut suite);
        suite.is_listing = false;
    }
    register(&mut suite);
    suite.criterion.final_summary();
    if !suite.lines.is_empty() {
        println!("{}", summary::text(&suite.lines, suite.catalog.left_out()));
    }
    if let Some(impossible) = summary::impossible(&suite.lines) {
        panic!("{impossible}");
    }
}

impl Suite {
    /// Declares a bench; proves and times it if criterion selects its id. `setup` makes its inputs and runs at most
    /// once.
    ///
    /// # Panics
    /// When a part of the id exceeds 64 bytes or is empty, the whole exceeds 100 bytes, or the id or its directory is
    /// taken; when the proof fails; when a row cannot be written.
    #[track_caller]
    pub fn bench<'a>(&mut self, bench: Bench, setup: impl FnOnce() -> Box<dyn Subject + 'a>) {
        if self.is_listing {
            return self.catalog.declare(&bench.group, &bench.function, bench.tier);
        }
        if self.audience == Audience::Default && !self.catalog.has(&bench.group, &bench.function) {
            return;
        }
        if let Err(refused) = self.ids.declare(&bench.group, &bench.function, &bench.value) {
            panic!("{refused}");
        }
        let mut row = declared(&bench, Location::caller());
        self.append(&row);
        let id = row.id();
        let (slowdown, repeat) = (self.injection.share(&id), self.repeat);
        self.batches.borrow_mut().clear();
        self.ceilings.clear();

        let needs_ceiling = self.rows.is_some() || self.audience.is_person();
        let Self { criterion, batches, ceilings, rows, .. } = self;
        let (mut setup, mut subject) = (Some(setup), None);
        let mut group = criterion.benchmark_group(&bench.group);
        if let Some(amount) = rates::amount(&bench.work, bench.ceiling.unit()) {
            self.unit.set(amount.1);
            group.throughput(rates::throughput(amount));
        }
        // Called once per batch: doubling batches of warm-up, then the samples.
        group.bench_function(BenchmarkId::new(&bench.function, &bench.value), |bencher| {
            if let Some(setup) = setup.take() {
                subject = Some(proved(setup(), &id, &mut row, rows.as_ref()));
            } else if needs_ceiling {
                // After one call, so that a run of one call (`--test`) does not pay for a ceiling, and its length is
                // known.
                ceilings.before(bench.ceiling, batches.borrow().first_call());
            }
            let Some(subject) = &mut subject else { return };
            bencher.iter_custom(|iters| batches.borrow_mut().run(subject.as_mut(), iters * repeat, slowdown));
        });
        if let Some(subject) = subject {
            let batches = self.batches.borrow();
            row.state = State::Proved;
            row.ran = subject.ran().fields();
            if batches.is_measured() {
                row.allocations = batches.allocations();
                row.ceiling = ceilings.after();
                let (amount, seconds) = (rates::amount(&row.work, bench.ceiling.unit()), batches.seconds());
                let of_ceiling = amount.filter(|(_, unit)| bench.ceiling.unit() == Some(*unit));
                row.rate_per_s = of_ceiling.zip(seconds).map(|((amount, _), seconds)| amount / seconds);
            }
            row.peak_rss_bytes = ceilings.peak_rss_bytes();
            group.finish();
            append(rows.as_ref(), &row);
            if let Some(seconds) = batches.seconds().filter(|_| self.audience.is_person() && batches.is_measured()) {
                self.lines.push(Line { row, seconds });
            }
        }
    }

    fn append(&self, row: &BenchRow) {
        append(self.rows.as_ref(), row);
    }
}

/// Proves `subject` and notes the figures in `row`; does not return from a failed proof.
fn proved<'a>(
    mut subject: Box<dyn Subject + 'a>,
    id: &str,
    row: &mut BenchRow,
    rows: Option<&PathBuf>,
) -> Box<dyn Subject + 'a> {
    let proof = subject.prove();
    let failure = proof.failure.clone();
    row.proof = Some(proof);
    if let Some(failure) = failure {
        let ran = subject.ran();
        row.state = State::Failed;
        row.ran = ran.fields();
        append(rows, row);
        panic!("{id}: the output of kernel {} ({}) is wrong; not timed. {failure}", ran.kernel, ran.isa);
    }
    subject
}

fn declared(bench: &Bench, at: &Location<'_>) -> BenchRow {
    BenchRow {
        schema: SCHEMA,
        state: State::Declared,
        group: bench.group.clone(),
        function: Some(bench.function.clone()),
        value: Some(bench.value.clone()),
        tier: bench.tier,
        source: Some(SourceLine { file: normalized(at.file()), line: at.line() }),
        proof: None,
        ran: Default::default(),
        work: bench.work,
        ceiling: None,
        rate_per_s: None,
        allocations: None,
        peak_rss_bytes: None,
    }
}

fn append(rows: Option<&PathBuf>, row: &BenchRow) {
    let Some(path) = rows else { return };
    if let Err(e) = jsonl::append(path, row) {
        panic!("ASSAY_ROWS: {e}");
    }
}

/// `crates/gemm/../../benches/gemm.rs`, as a bench outside its crate is compiled, is `benches/gemm.rs`.
fn normalized(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| !last.is_empty() && *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_components_are_resolved() {
        assert_eq!(normalized("crates/gemm/../../benches/gemm.rs"), "benches/gemm.rs");
        assert_eq!(normalized("benches/./gemm.rs"), "benches/gemm.rs");
        assert_eq!(normalized("/abs/../x.rs"), "/x.rs");
        assert_eq!(normalized("../../x.rs"), "../../x.rs");
    }
}
