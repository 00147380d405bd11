//! Products by the variant that a [`Tuner`] chooses.
//!
//! A class of products is the type, n and k, the layout of B, and m, rounded up to a power of two above 16. Whoever
//! wants a certain variant names it to [`Product::of`] or [`BlockProduct::new`] instead.

use gpu::Tuner;

use crate::{
    Activations, BlockProduct, BlockVariant, Blocks, GemmGpuError, Matrix, Product, Variant, product::Operands,
};

impl Product {
    /// A product by the best variant.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn tuned(tuner: &Tuner, operands: Operands<'_>) -> Result<Self, GemmGpuError> {
        let Operands { a, b, batch, epilogue, .. } = operands;
        let (of_b, by_columns) = b.matrix();
        let m = a.rows() / batch.max(1);
        let fits = |variant: &Variant| {
            let missing = variant.missing(tuner.gpu().capabilities(), a.element_type(), m, by_columns);
            missing.or_else(|| variant.missing_for(&epilogue, batch)).is_none()
        };
        // A few rows are first of all the business of their own kernel.
        let (few, many): (Vec<_>, Vec<_>) =
            Variant::ALL.into_iter().filter(fits).partition(|variant| matches!(variant, Variant::Gemv { .. }));
        let (rows, k) = (of_b.rows() / batch.max(1), a.cols());
        let (n, layout) = if by_columns { (rows, "columns") } else { (of_b.cols(), "rows") };
        let (op, class) =
            (format!("gemm/{}", a.element_type().name()), format!("m{}-n{n}-k{k}-{layout}-x{batch}", class_of(m)));
        let chosen = tuner.choose(&op, &class, &[few, many].concat(), |variant| {
            let alone = Self::of(tuner.gpu(), variant, Operands { c: None, ..operands })?;
            Ok::<_, GemmGpuError>(tuner.measured(&alone.steps())?)
        })?;
        // Without a candidate, the error of the safest variant tells what is wrong.
        Self::of(tuner.gpu(), chosen.unwrap_or(Variant::ALL[0]), operands)
    }
}

impl BlockProduct {
    /// A product with blocks by the best variant.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn tuned(tuner: &Tuner, a: &Activations, b: &Blocks, c: Option<&Matrix>) -> Result<Self, GemmGpuError> {
        Self::new(tuner.gpu(), BlockVariant::tuned(tuner, a, b)?, a, b, c)
    }
}

impl BlockVariant {
    /// The best variant for blocks and so many rows of activations. What becomes of the sums changes nothing in it.
    ///
    /// # Errors
    /// As [`BlockProduct::new`].
    pub fn tuned(tuner: &Tuner, a: &Activations, b: &Blocks) -> Result<Self, GemmGpuError> {
        let class = format!("m{}-n{}-k{}-{}", class_of(a.rows()), b.rows(), b.terms(), b.layout().name());
        let op = format!("gemm/{}", b.ggml_type().name().to_lowercase());
        let candidates: Vec<Self> = Self::ALL.into_iter().filter(|variant| variant.is_for(b.ggml_type())).collect();
        let chosen = tuner.choose(&op, &class, &candidates, |variant| {
            let product = BlockProduct::new(tuner.gpu(), variant, a, b, None)?;
            Ok::<_, GemmGpuError>(tuner.measured(&product.steps())?)
        })?;
        Ok(chosen.unwrap_or(Self::ALL[0]))
    }
}

/// m of a class.
fn class_of(m: usize) -> usize {
    if m <= 16 { m } else { m.checked_next_power_of_two().unwrap_or(m) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_tell_few_rows_apart() {
        assert_eq!([0, 1, 3, 16, 17, 4096, 4097].map(class_of), [0, 1, 3, 16, 32, 4096, 8192]);
        assert_eq!(class_of(usize::MAX), usize::MAX);
    }
}
