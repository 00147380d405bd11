//! ggml's `ggml_mul_mat` on weights as models store them: `matmul dot|tiled|repack|amx --threads N`.
//!
//! ggml has several code paths for one product, and llama.cpp takes them by where the weights lie and by how many rows
//! there are. Each is a peer of its own, in a process of its own, because ggml reads `GGML_CPU_TILED_MM` once:
//!
//! | variant | weights | products |
//! |---|---|---|
//! | `dot` | as stored | one row by one column (`vec_dot`); some types by llamafile's tiles |
//! | `tiled` | as stored | of 8 rows and more, K-quants are unpacked tile by tile; else as `dot` |
//! | `repack` | rearranged once, in `CPU_REPACK` buffers | panels of 8 rows of weights |
//! | `amx` | rearranged once, in `AMX` buffers | tile registers |
//!
//! The library must be compiled for this very processor (`-C target-cpu=native` makes its build do so); a build that
//! leaves instructions of this processor unused refuses to run.

#[path = "../features.rs"]
mod features;
mod products;
#[path = "../types.rs"]
mod types;

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

use products::{Operands, Products, ThreadPool};
use types::type_id;

/// Which of ggml's code paths.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Variant {
    Dot,
    Tiled,
    Repack,
    Amx,
}

impl Variant {
    const WORDS: [(Self, &'static str); 4] =
        [(Self::Dot, "dot"), (Self::Tiled, "tiled"), (Self::Repack, "repack"), (Self::Amx, "amx")];

    fn of(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(_, name)| *name == word).map(|(variant, _)| variant)
    }

    /// Name of the type of the buffers that hold the weights, as ggml calls it.
    fn buffers(self) -> &'static str {
        match self {
            Self::Dot | Self::Tiled => "CPU",
            Self::Repack => "CPU_REPACK",
            Self::Amx => "AMX",
        }
    }
}

struct Ggml {
    variant: Variant,
    threads: usize,
    pool: ThreadPool,
}

impl Implementation for Ggml {
    fn describe(&mut self) -> Result<Description, String> {
        let compiled = features::compiled()?;
        if products::buffer_type(self.variant.buffers()).is_none() {
            return Err(format!("ggml has no {} buffers on this processor", self.variant.buffers()));
        }
        let (threads, buffers) = (self.threads, self.variant.buffers());
        let settings = format!("weights in {buffers} buffers, a thread pool of {threads}; {}", compiled.join(" "));
        Ok(Description::new("ggml", "llama-cpp-sys-2 0.1.161", settings))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let name = case.text("type")?.to_uppercase();
        if case.text("b")? != "columns" {
            return Err(Refusal::Unsupported("ggml's weights are stored by columns".to_owned()));
        }
        let ty = type_id(&name).ok_or_else(|| Refusal::Unsupported(format!("ggml has no type {name}")))?;
        let (m, n, k) = (case.number("m")?, case.number("n")?, case.number("k")?);
        let (x, weights) = (std::fs::read(inputs.join("a"))?, std::fs::read(inputs.join("b"))?);
        let operands = Operands { ty, extents: (m, n, k), x: &x, weights: &weights };
        let copies = case.regime.copies(weights.len());
        let mut products = Products::new(operands, self.variant.buffers(), copies, &self.pool)?;
        let ran = Ran {
            isa: self.variant.buffers().to_owned(),
            threads: self.threads,
            flops: (2 * m * n * k) as u64,
            bytes: (x.len() + weights.len() + 4 * m * n) as u64,
            ..Ran::by("ggml", products.path())
        };
        // Pages and buffers are touched before anything is timed.
        (0..copies).for_each(|_| products.multiply());
        let products = Rc::new(RefCell::new(products));
        let shown = products.clone();
        let output = move || shown.borrow().result().iter().flat_map(|y| y.to_le_bytes()).collect();
        Ok(Closures::boxed(ran, move || products.borrow_mut().multiply(), output))
    }
}

fn main() -> io::Result<()> {
    let word = std::env::args().nth(1).unwrap_or_default();
    let Some(variant) = Variant::of(&word) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no variant is called {word:?}")));
    };
    if variant == Variant::Dot {
        // SAFETY: no other thread runs yet. The library reads it with the first product.
        unsafe { std::env::set_var("GGML_CPU_TILED_MM", "0") };
    }
    let threads = peer::threads_argument().get();
    let pool = ThreadPool::new(threads).ok_or_else(|| io::Error::other("ggml started no threads"))?;
    peer::serve(&mut Ggml { variant, threads, pool })
}
