//! What becomes of the sums of a dense product.

use gemm::Activation;

use crate::{ElementType, GemmGpuError, Matrix};

/// C <- activation(alpha A B + bias) + residual, while the sums are in registers.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// The factor of A B.
    pub alpha: f32,
    /// What is added to it.
    pub bias: Bias<'a>,
    /// The function of the sum.
    pub activation: Activation,
    /// What is added to its result: a matrix of f32 with the shape of C.
    pub residual: Option<&'a Matrix>,
}

/// A number for each row or column of C, as one row of f32.
#[derive(Debug, Clone, Copy, Default)]
pub enum Bias<'a> {
    /// Nothing is added.
    #[default]
    None,
    /// m numbers.
    PerRow(&'a Matrix),
    /// n numbers.
    PerColumn(&'a Matrix),
}

impl Default for Epilogue<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<'a> Epilogue<'a> {
    /// C is A B.
    pub const NONE: Epilogue<'static> =
        Epilogue { alpha: 1.0, bias: Bias::None, activation: Activation::Identity, residual: None };

    /// Whether C is A B.
    pub(crate) fn is_none(&self) -> bool {
        self.alpha == 1.0 && self.constants() == Some((0, 0, false))
    }

    /// The constants BIAS, ACTIVATION and RESIDUAL of the kernel; `None` for a function that it does not have.
    pub(crate) fn constants(&self) -> Option<(u32, u32, bool)> {
        let bias = match self.bias {
            Bias::None => 0,
            Bias::PerRow(_) => 1,
            Bias::PerColumn(_) => 2,
        };
        let activation = match self.activation {
            Activation::Identity => 0,
            Activation::Gelu => 1,
            Activation::SquaredRelu => 2,
            Activation::Tanh => 3,
            _ => return None,
        };
        Some((bias, activation, self.residual.is_some()))
    }

    /// The numbers of the bias, and whether they belong to rows.
    pub(crate) fn bias(&self) -> Option<(&'a Matrix, bool)> {
        match self.bias {
            Bias::None => None,
            Bias::PerRow(bias) => Some((bias, true)),
            Bias::PerColumn(bias) => Some((bias, false)),
        }
    }

    /// Checks the operands against a product of m x n, `batch` times.
    pub(crate) fn check(&self, (m, n): (usize, usize), batch: usize) -> Result<(), GemmGpuError> {
        if let Some((bias, is_per_row)) = self.bias() {
            let need = if is_per_row { m } else { n };
            if (bias.rows, bias.cols, bias.ty) != (1, need, ElementType::F32) {
                return Err(GemmGpuError::Shape { what: "numbers of the bias, a row of f32", got: bias.cols, need });
            }
        }
        match self.residual {
            Some(residual) if (residual.rows, residual.cols, residual.ty) != (batch * m, n, ElementType::F32) => {
                let got = residual.rows * residual.cols;
                Err(GemmGpuError::Shape { what: "numbers of the residual, of f32 as C", got, need: batch * m * n })
            }
            _ => Ok(()),
        }
    }
}
