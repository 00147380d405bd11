//! What is done to an element of C before it is stored, while it is still in the nearest cache: no second pass over C.

use std::ops::Range;

use crate::{error::GemmError, operand::Input};

/// C <- act(alpha A B + beta C + bias) + residual. Every part may be absent.
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
    pub(crate) residual: Option<Input<'a>>,
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

/// Numbers to add, repeated along the other axis.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bias<'a> {
    PerRow(&'a [f32]),
    PerColumn(&'a [f32]),
}

impl<'a> Epilogue<'a> {
    /// Nothing is done.
    pub const NONE: Epilogue<'static> = Epilogue { bias: None, activation: Activation::Identity, residual: None };

    /// Nothing is done.
    pub const fn new() -> Self {
        Self::NONE
    }

    /// Adds `bias[j]` to element (i, j); `bias` has n numbers. It replaces a bias given before.
    #[must_use]
    pub const fn bias_per_column(self, bias: &'a [f32]) -> Self {
        Self { bias: Some(Bias::PerColumn(bias)), ..self }
    }

    /// Adds `bias[i]` to element (i, j); `bias` has m numbers. It replaces a bias given before.
    #[must_use]
    pub const fn bias_per_row(self, bias: &'a [f32]) -> Self {
        Self { bias: Some(Bias::PerRow(bias)), ..self }
    }

    /// Applies a function, after the bias.
    #[must_use]
    pub const fn activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Adds an m x n matrix, after the activation.
    #[must_use]
    pub fn residual(self, residual: impl Into<Input<'a>>) -> Self {
        Self { residual: Some(residual.into()), ..self }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.bias.is_none() && self.activation == Activation::Identity && self.residual.is_none()
    }

    /// Whether bias and residual have the extents of an m x n output.
    pub(crate) fn check(&self, m: usize, n: usize) -> Result<(), GemmError> {
        let (got, need) = match self.bias {
            None => (0, 0),
            Some(Bias::PerRow(bias)) => (bias.len(), m),
            Some(Bias::PerColumn(bias)) => (bias.len(), n),
        };
        if got != need {
            return Err(GemmError::BiasLength { got, need });
        }
        match self.residual {
            Some(residual) if (residual.rows(), residual.cols()) != (m, n) => {
                Err(GemmError::ResidualShape { got: (residual.rows(), residual.cols()), need: (m, n) })
            }
            _ => Ok(()),
        }
    }

    /// What belongs to the transposed output.
    pub(crate) fn t(self) -> Self {
        let bias = self.bias.map(|bias| match bias {
            Bias::PerRow(bias) => Bias::PerColumn(bias),
            Bias::PerColumn(bias) => Bias::PerRow(bias),
        });
        Self { bias, residual: self.residual.map(Input::t), ..self }
    }

    /// What belongs to a part of the output.
    pub(crate) fn part(self, rows: Range<usize>, cols: Range<usize>) -> Self {
        let bias = self.bias.map(|bias| match bias {
            Bias::PerRow(bias) => Bias::PerRow(&bias[rows.clone()]),
            Bias::PerColumn(bias) => Bias::PerColumn(&bias[cols.clone()]),
        });
        Self { bias, residual: self.residual.map(|residual| residual.part(rows, cols)), ..self }
    }
}
