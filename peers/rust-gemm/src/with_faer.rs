//! `faer`: f32.

use std::num::NonZeroUsize;
use std::path::Path;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use peer::{Case, Description, Load, Ran, Refusal};

use crate::operands::Product;

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
        Ok(Description::new("faer", "0.24", format!("{:?}", par(self.threads))))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let (product, par) = (Product::of(case)?, par(self.threads));
        if product.element != "f32" {
            return Err(Refusal::Unsupported(format!("no products of {}", product.element)));
        }
        product.load::<f32>(inputs, Ran::by("faer", format!("matmul, {par:?}")), move |product, a, b, c| {
            let &Product { m, n, k, by_columns, .. } = product;
            let a = MatRef::from_row_major_slice(a, m, k);
            let b = match by_columns {
                true => MatRef::from_column_major_slice(b, k, n),
                false => MatRef::from_row_major_slice(b, k, n),
            };
            matmul(MatMut::from_row_major_slice_mut(c, m, n), Accum::Replace, a, b, 1.0, par);
        })
    }
}

fn par(threads: NonZeroUsize) -> Par {
    if threads.get() == 1 { Par::Seq } else { Par::rayon(threads.get()) }
}
