//! The registry crate `gemm`: f32 and f16.

use std::num::NonZeroUsize;
use std::path::Path;

use gemm::{Parallelism, f16, gemm};
use peer::{Case, Description, Load, Ran, Refusal};

use crate::operands::{Number, Product};

pub(crate) struct Implementation {
    threads: NonZeroUsize,
}

impl Implementation {
    pub(crate) fn new(threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

impl peer::Implementation for Implementation {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("gemm", "0.19", format!("{:?}", parallelism(self.threads))))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let (product, parallelism) = (Product::of(case)?, parallelism(self.threads));
        let ran = Ran::by("gemm", format!("{parallelism:?}"));
        match product.element.as_str() {
            "f32" => product.load::<f32>(inputs, ran, move |p, a, b, c| multiply(p, a, b, c, 0.0, 1.0, parallelism)),
            "f16" => product
                .load::<f16>(inputs, ran, move |p, a, b, c| multiply(p, a, b, c, f16::ZERO, f16::ONE, parallelism)),
            other => Err(Refusal::Unsupported(format!("no products of {other}"))),
        }
    }
}

fn parallelism(threads: NonZeroUsize) -> Parallelism {
    if threads.get() == 1 { Parallelism::None } else { Parallelism::Rayon(threads.get()) }
}

/// In this crate alpha scales the old C and beta the product.
fn multiply<T: Number>(product: &Product, a: &[T], b: &[T], c: &mut [T], zero: T, one: T, parallelism: Parallelism) {
    let &Product { m, n, k, .. } = product;
    let ((rsb, csb), (rsa, rsc)) = (product.b_strides(), (k as isize, n as isize));
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    // SAFETY: the slices hold m x k, k x n and m x n elements with these strides.
    unsafe {
        gemm(m, n, k, c, 1, rsc, false, a, 1, rsa, b, csb, rsb, zero, one, false, false, false, parallelism);
    }
}
