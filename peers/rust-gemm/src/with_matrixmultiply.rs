//! `matrixmultiply`, which `ndarray` calls: f32, at most four threads.

use std::num::NonZeroUsize;
use std::path::Path;

use peer::{Case, Description, Load, Ran, Refusal};

use crate::operands::Product;

pub(crate) struct Implementation {
    threads: NonZeroUsize,
}

impl Implementation {
    pub(crate) fn new(threads: NonZeroUsize) -> Self {
        // SAFETY: no other thread runs yet. The crate reads the variable at its first product.
        unsafe { std::env::set_var("MATMUL_NUM_THREADS", threads.to_string()) };
        Self { threads }
    }
}

impl peer::Implementation for Implementation {
    fn describe(&mut self) -> Result<Description, String> {
        let settings = format!("feature threading, MATMUL_NUM_THREADS={}", self.threads);
        Ok(Description::new("matrixmultiply", "0.3.11", settings))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let product = Product::of(case)?;
        if product.element != "f32" {
            return Err(Refusal::Unsupported(format!("no products of {}", product.element)));
        }
        product.load::<f32>(inputs, Ran::by("matrixmultiply", "sgemm"), |product, a, b, c| {
            let &Product { m, n, k, .. } = product;
            let ((rsb, csb), (rsa, rsc)) = (product.b_strides(), (k as isize, n as isize));
            let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
            // SAFETY: the slices hold m x k, k x n and m x n elements with these strides.
            unsafe { matrixmultiply::sgemm(m, k, n, 1.0, a, rsa, 1, b, rsb, csb, 0.0, c, rsc, 1) }
        })
    }
}
