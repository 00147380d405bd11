//! What every kernel of every op offers to tests and benches.
//!
//! Each op crate has a `Kernel` trait of its own, with its own cases and operands; loading a kernel gives a [`Loaded`].

use std::{
    collections::BTreeMap,
    hint::black_box,
    time::{Duration, Instant},
};

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
    /// The words of this report for a record: `kernel`, `isa`, `path`, `tile` and `threads`, the empty ones left out.
    /// `flops` and `bytes` are figures and go to the record's work.
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

/// A kernel with its operands in place: everything that depends on the weights alone has happened, everything that depends on
/// the activations happens in [`run`](Self::run).
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

    /// Puts back what a run consumes (C where beta is not 0, recurrent state), so that the next run sees what the first saw.
    fn reset(&mut self) {}

    /// Copies the output of the last run to `out`, in the op's output layout. Does nothing where the output already lies with
    /// the caller.
    fn read(&mut self, out: &mut [f32]);

    /// What ran. Complete after the first run.
    fn ran(&self) -> Ran;
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
            let isa = "scalar".to_owned();
            Ran { kernel: "count", isa, path: String::new(), tile: String::new(), threads: 1, flops: 1, bytes: 4 }
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
    }
}
