//! A BLAS library as a peer: f32.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use peer::{Case, Closures, Description, Load, Ran, Refusal, Rotation};

use crate::library::{Blas, Known};

pub(crate) struct Implementation {
    known: &'static Known,
    threads: NonZeroUsize,
    blas: Result<Blas, String>,
}

impl Implementation {
    pub(crate) fn new(known: &'static Known, threads: NonZeroUsize) -> Self {
        Self { known, threads, blas: known.open(threads) }
    }
}

impl peer::Implementation for Implementation {
    fn describe(&mut self) -> Result<Description, String> {
        let blas = self.blas.as_ref().map_err(Clone::clone)?;
        let mut settings = format!("{} threads of its own", self.threads);
        if let (true, Ok(kind)) = (self.known.name.starts_with("openblas"), std::env::var("OPENBLAS_CORETYPE")) {
            settings += &format!(", OPENBLAS_CORETYPE={kind}");
        }
        Ok(Description::new(self.known.name, blas.version.trim(), settings))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let blas = self.blas.as_ref().map_err(|why| Refusal::Error(why.clone()))?;
        let (m, n, k) = (case.number("m")?, case.number("n")?, case.number("k")?);
        if case.text("type")? != "f32" {
            return Err(Refusal::Unsupported(format!("no products of {}", case.text("type")?)));
        }
        let by_columns = case.text("b")? == "columns";
        let (a, b) = (peer::read_f32(&inputs.join("a"))?, peer::read_f32(&inputs.join("b"))?);
        if a.len() != m * k || b.len() != k * n {
            return Err(Refusal::Error(format!("{} and {} elements for {m} x {n} x {k}", a.len(), b.len())));
        }
        let mut b = Rotation::copied(b, case.regime.copies(4 * k * n));
        let c = Rc::new(RefCell::new(vec![f32::NAN; m * n]));
        let result = c.clone();
        let run = move || blas.product((m, n, k), by_columns, &a, b.take(), &mut c.borrow_mut());
        let output = move || result.borrow().iter().flat_map(|c| c.to_le_bytes()).collect();
        let (flops, bytes) = (2 * m * n * k, 4 * (m * k + k * n + m * n));
        let ran = Ran::by(self.known.name, if m == 1 { "sgemv" } else { "sgemm" });
        Ok(Closures::boxed(Ran { flops: flops as u64, bytes: bytes as u64, ..ran }, run, output))
    }
}
