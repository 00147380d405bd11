//! The kernels of an op as tests, benches and peers see them.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    hint::black_box,
    time::{Duration, Instant},
};

/// An operation: what its kernels compute, on what, and how they refuse. A type without values stands for it:
///
/// ```
/// use std::convert::Infallible;
///
/// use op::{Kernel, Loaded, Op, Ran};
///
/// /// y <- 2 x, for any number of elements.
/// struct Double;
///
/// struct Operands<'a> {
///     x: &'a [f32],
///     y: &'a mut [f32],
/// }
///
/// impl Op for Double {
///     type Case = usize;
///     type Operands<'a> = Operands<'a>;
///     type Error = Infallible;
/// }
///
/// struct Scalar;
///
/// impl Kernel<Double> for Scalar {
///     fn name(&self) -> &'static str {
///         "cpu-scalar"
///     }
///     fn supports(&self, _len: &usize) -> bool {
///         true
///     }
///     fn load<'a>(&'a self, _len: &usize, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, Infallible> {
///         Ok(Box::new(operands))
///     }
/// }
///
/// impl Loaded for Operands<'_> {
///     fn run(&mut self) {
///         self.y.iter_mut().zip(self.x).for_each(|(y, x)| *y = 2.0 * x);
///     }
///     fn ran(&self) -> Ran {
///         Ran { flops: self.x.len() as u64, bytes: 8 * self.x.len() as u64, ..Ran::new("cpu-scalar", "scalar") }
///     }
/// }
///
/// let kernels: Vec<Box<dyn Kernel<Double>>> = vec![Box::new(Scalar)];
/// let mut y = [0.0; 2];
/// for kernel in &kernels {
///     kernel.load(&2, Operands { x: &[1.0, 2.0], y: &mut y })?.run();
/// }
/// assert_eq!(y, [2.0, 4.0]);
/// # Ok::<(), Infallible>(())
/// ```
pub trait Op: 'static {
    /// One problem without its data: shape, types, factors, threads.
    type Case;
    /// The data of a problem. Outputs are borrowed from the caller, who may guard and poison them.
    type Operands<'a>;
    /// Why a kernel refuses a case or its operands.
    type Error: Error;
}

/// One implementation of an op. The trait is thin: the kernel proper is a plain function on slices, which models call
/// directly.
pub trait Kernel<O: Op>: Send + Sync {
    /// Its name, as bench ids spell it: `reference`, `cpu-scalar`, `cpu-avx2`, `wgpu-tiled`; or `auto` for the public
    /// function that chooses among kernels.
    fn name(&self) -> &'static str;

    /// Whether it computes this case.
    fn supports(&self, case: &O::Case) -> bool;

    /// Takes the operands and does all that depends on the weights alone (packing, upload). Not timed.
    ///
    /// # Errors
    /// Where the operands do not fit the case, or memory for them is refused.
    fn load<'a>(&'a self, case: &O::Case, operands: O::Operands<'a>) -> Result<Box<dyn Loaded + 'a>, O::Error>;
}

/// A kernel with its operands in place: everything that depends on the weights alone has happened, everything that
/// depends on the activations happens in [`run`](Self::run).
pub trait Loaded {
    /// The timed work. The result is complete on return.
    fn run(&mut self);

    /// Time of `iters` runs in a row, after one [`reset`](Self::reset) outside the clock.
    ///
    /// Override it where the clock is not the host's (GPU timestamps), or where state must be reset before each run.
    fn time(&mut self, iters: u64) -> Duration {
        self.reset();
        let start = Instant::now();
        for _ in 0..iters {
            self.run();
            // `run` may be inlined here; without this, writes that the next iteration repeats could be dropped.
            black_box(&mut *self);
        }
        start.elapsed()
    }

    /// Restores what a run consumes (C where beta is not 0, recurrent state), so that the next run sees what the first
    /// saw.
    fn reset(&mut self) {}

    /// Copies the output of the last run to `out`, in the op's output layout. Override it where the output lies
    /// elsewhere than in the caller's memory (a GPU buffer); a poisoned `out` shows where that was forgotten.
    fn read(&mut self, out: &mut [f32]) {
        let _ = out;
    }

    /// What ran. Complete after the first run.
    fn ran(&self) -> Ran;
}

/// What ran, as reported by the code that ran it; never the label that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Name of the kernel, such as `cpu-avx2`. A function that chooses among kernels reports its choice.
    pub kernel: &'static str,
    /// Instruction set, or GPU adapter, or name of the foreign library that decided for itself.
    pub isa: String,
    /// Path through the kernel, where it has several (`packed`, `direct`, `gemv`); empty where it has one.
    pub path: String,
    /// Tile sizes, where the kernel has tiles (`mr6 nr16 kc256`); else empty.
    pub tile: String,
    /// Threads that worked, the caller's included.
    pub threads: usize,
    /// Floating-point operations of one [`Loaded::run`]; a multiply-add is 2. 0 for work that has none.
    pub flops: u64,
    /// Bytes that one [`Loaded::run`] must move at least: stored operands read once, output written once.
    pub bytes: u64,
}

impl Ran {
    /// One thread, one path, no tiles, no work counted. The rest by struct update: `Ran { bytes, ..Ran::new("auto",
    /// "avx2") }`.
    pub fn new(kernel: &'static str, isa: impl Into<String>) -> Self {
        Self { kernel, isa: isa.into(), path: String::new(), tile: String::new(), threads: 1, flops: 0, bytes: 0 }
    }

    /// As [`new`](Self::new), with a path: for a library that names no instruction set.
    pub fn by(kernel: &'static str, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::new(kernel, "") }
    }

    /// The text fields for a record: `kernel`, `isa`, `path`, `tile` and `threads`, the empty ones left out. `flops`
    /// and `bytes` go to the record's work.
    pub fn fields(&self) -> BTreeMap<String, String> {
        let threads = self.threads.to_string();
        [
            ("kernel", self.kernel),
            ("isa", &*self.isa),
            ("path", &*self.path),
            ("tile", &*self.tile),
            ("threads", &*threads),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }
}

impl fmt::Display for Ran {
    /// `cpu-avx2, avx2, packed, mr6 nr16 kc256, 2 threads`; what is empty is left out, and so is one thread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kernel)?;
        for part in [&self.isa, &self.path, &self.tile].into_iter().filter(|part| !part.is_empty()) {
            write!(f, ", {part}")?;
        }
        if self.threads > 1 { write!(f, ", {} threads", self.threads) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel that adds 1 to its state.
    struct Count {
        state: f32,
        resets: u32,
    }

    impl Loaded for Count {
        fn run(&mut self) {
            self.state += 1.0;
        }

        fn reset(&mut self) {
            self.state = 0.0;
            self.resets += 1;
        }

        fn read(&mut self, out: &mut [f32]) {
            out.fill(self.state);
        }

        fn ran(&self) -> Ran {
            Ran { flops: 1, bytes: 4, ..Ran::new("count", "scalar") }
        }
    }

    #[test]
    fn time_resets_once_and_runs_every_iteration() {
        let mut loaded: Box<dyn Loaded> = Box::new(Count { state: 7.0, resets: 0 });
        loaded.time(5);
        let mut out = [f32::NAN; 2];
        loaded.read(&mut out);
        assert_eq!(out, [5.0; 2]);

        let mut count = Count { state: 7.0, resets: 0 };
        count.time(3);
        assert_eq!((count.state, count.resets), (3.0, 1));
    }

    #[test]
    fn fields_leave_out_what_a_kernel_does_not_have() {
        let fields = Count { state: 0.0, resets: 0 }.ran().fields();
        let fields: Vec<_> = fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(fields, [("isa", "scalar"), ("kernel", "count"), ("threads", "1")]);
        assert_eq!(Ran::by("faer", "matmul").to_string(), "faer, matmul");
        assert_eq!(Ran { threads: 2, ..Ran::new("count", "avx2") }.to_string(), "count, avx2, 2 threads");
    }
}
