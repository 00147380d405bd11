//! The epilogue: what happens to each element of C before it is stored, while it is in the level-1 cache. It costs no
//! second pass over C.

use std::ops::Range;

use crate::{
    error::GemmError,
    matrix::{Batch, Input},
};

/// C <- act(alpha A B + beta C + bias) + residual. Every part is optional. In a batch, bias and activation are the same
/// for every product, and the residual is one matrix for all or a batch of its own.
///
/// ```
/// use gemm::{Activation, Epilogue, MatRef};
///
/// let (bias, skipped) = ([0.5, -0.5], [1.0_f32, 2.0]);
/// let layer = Epilogue::new().bias_per_column(&bias).activation(Activation::Gelu);
/// let block = Epilogue::new().residual(MatRef::from_row_major(&skipped, 1, 2)?);
/// # let _ = (layer, block);
/// # Ok::<(), gemm::LayoutError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    pub(crate) bias: Option<Bias<'a>>,
    pub(crate) activation: Activation,
    residual: Option<Batch<'a>>,
}

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// x Phi(x) with the normal distribution function: the exact GELU, not the approximation by tanh.
    Gelu,
    /// max(x, 0)^2
    SquaredRelu,
    /// tanh(x)
    Tanh,
}

impl Activation {
    /// All of them.
    pub const ALL: [Activation; 4] =
        [Activation::Identity, Activation::Gelu, Activation::SquaredRelu, Activation::Tanh];

    /// The name: `identity`, `gelu`, `squared-relu`, `tanh`.
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Identity => "identity",
            Activation::Gelu => "gelu",
            Activation::SquaredRelu => "squared-relu",
            Activation::Tanh => "tanh",
        }
    }
}

/// Numbers to add, the same along the other axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bias<'a> {
    PerRow(&'a [f32]),
    PerColumn(&'a [f32]),
}

impl<'a> Epilogue<'a> {
    /// No epilogue.
    pub const NONE: Epilogue<'static> = Epilogue { bias: None, activation: Activation::Identity, residual: None };

    /// No epilogue, to start from.
    pub const fn new() -> Self {
        Self::NONE
    }

    /// Adds `bias[j]` to element (i, j); `bias` has n numbers. Replaces any earlier bias.
    #[must_use]
    pub const fn bias_per_column(self, bias: &'a [f32]) -> Self {
        Self { bias: Some(Bias::PerColumn(bias)), ..self }
    }

    /// Adds `bias[i]` to element (i, j); `bias` has m numbers. Replaces any earlier bias.
    #[must_use]
    pub const fn bias_per_row(self, bias: &'a [f32]) -> Self {
        Self { bias: Some(Bias::PerRow(bias)), ..self }
    }

    /// Applies a function, after the bias.
    #[must_use]
    pub const fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Adds an m x n matrix, or one of a batch to each product, after the activation.
    #[must_use]
    pub fn residual(self, residual: impl Into<Batch<'a>>) -> Self {
        Self { residual: Some(residual.into()), ..self }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.bias.is_none() && self.activation == Activation::Identity && self.residual.is_none()
    }

    /// Whether it reads anything but the output.
    pub(crate) fn has_operands(&self) -> bool {
        self.bias.is_some() || self.residual.is_some()
    }

    /// The residual of the product that this is the epilogue of; of the first, in a batch.
    pub(crate) fn residual_matrix(&self) -> Option<Input<'a>> {
        self.residual.map(|residual| residual.first)
    }

    /// How many residuals; `None` for no residual, or one for all.
    pub(crate) fn residual_count(&self) -> Option<usize> {
        self.residual.and_then(|residual| residual.count())
    }

    /// The epilogue of product `index` of a batch.
    pub(crate) fn get(&self, index: usize) -> Self {
        Self { residual: self.residual.map(|residual| residual.get(index).into()), ..*self }
    }

    /// Checks that bias and residual have the extents of an m x n output.
    pub(crate) fn check(&self, m: usize, n: usize) -> Result<(), GemmError> {
        let (got, need) = match self.bias {
            None => (0, 0),
            Some(Bias::PerRow(bias)) => (bias.len(), m),
            Some(Bias::PerColumn(bias)) => (bias.len(), n),
        };
        if got != need {
            return Err(GemmError::BiasLength { got, need });
        }
        match self.residual_matrix() {
            Some(residual) if (residual.rows(), residual.cols()) != (m, n) => {
                Err(GemmError::ResidualShape { got: (residual.rows(), residual.cols()), need: (m, n) })
            }
            _ => Ok(()),
        }
    }

    /// The epilogue of the transposed output.
    pub(crate) fn t(self) -> Self {
        let bias = self.bias.map(|bias| match bias {
            Bias::PerRow(bias) => Bias::PerColumn(bias),
            Bias::PerColumn(bias) => Bias::PerRow(bias),
        });
        Self { bias, residual: self.residual.map(|residual| residual.map(Input::t)), ..self }
    }

    /// The epilogue of a part of the output.
    pub(crate) fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let bias = self.bias.map(|bias| match bias {
            Bias::PerRow(bias) => Bias::PerRow(&bias[rows.clone()]),
            Bias::PerColumn(bias) => Bias::PerColumn(&bias[cols.clone()]),
        });
        let residual = self.residual.map(|residual| residual.map(|matrix| matrix.part(rows, cols)));
        Self { bias, residual, ..self }
    }
}
