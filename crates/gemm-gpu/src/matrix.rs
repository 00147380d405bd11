//! Matrices on a device.

use bytemuck::Pod;
use gpu::{Buffer, Wgpu};
use half::{bf16, f16};

use crate::GemmGpuError;

/// A type of numbers that matrices on a device have.
pub trait Element: Pod {
    /// The type.
    const TYPE: ElementType;
}

pub use element::ElementType;

mod element {
    /// The type of a matrix's numbers.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum ElementType {
        /// f32
        F32,
        /// f16, summed in f32
        F16,
        /// bf16, summed in f32
        Bf16,
    }

    impl ElementType {
        /// Bytes of a number.
        pub const fn bytes(self) -> usize {
            match self {
                Self::F32 => 4,
                Self::F16 | Self::Bf16 => 2,
            }
        }

        /// The name: `f32`, `f16`, `bf16`.
        pub const fn name(self) -> &'static str {
            match self {
                Self::F32 => "f32",
                Self::F16 => "f16",
                Self::Bf16 => "bf16",
            }
        }
    }
}

impl Element for f32 {
    const TYPE: ElementType = ElementType::F32;
}

impl Element for f16 {
    const TYPE: ElementType = ElementType::F16;
}

impl Element for bf16 {
    const TYPE: ElementType = ElementType::Bf16;
}

/// Rows of numbers on a device. Each row is padded with zeros to a multiple of 16 numbers.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub(crate) buffer: Buffer,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) ty: ElementType,
}

/// Numbers of a row are padded to a multiple of this: fragments of cooperative matrices end within the padding.
pub(crate) const PAD: usize = 16;

impl Matrix {
    /// Sends `rows` x `cols` numbers, row by row without gaps.
    ///
    /// # Errors
    /// [`GemmGpuError::Shape`] for another number of elements; errors of the device.
    pub fn upload<T: Element>(gpu: &Wgpu, numbers: &[T], rows: usize, cols: usize) -> Result<Self, GemmGpuError> {
        let need = extent(rows, cols)?;
        if numbers.len() != need {
            return Err(GemmGpuError::Shape { what: "numbers of a matrix", got: numbers.len(), need });
        }
        let matrix = Self::zeros(gpu, T::TYPE, rows, cols)?;
        if cols == matrix.ld() && (rows * size_of_val(&numbers[..cols])).is_multiple_of(4) {
            gpu.write(&matrix.buffer, 0, bytemuck::cast_slice(numbers))?;
        } else if cols > 0 {
            let mut padded = vec![T::zeroed(); rows * matrix.ld()];
            for (to, from) in padded.chunks_exact_mut(matrix.ld()).zip(numbers.chunks_exact(cols)) {
                to[..cols].copy_from_slice(from);
            }
            gpu.write(&matrix.buffer, 0, bytemuck::cast_slice(&padded))?;
        }
        Ok(matrix)
    }

    /// `rows` x `cols` zeros.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn zeros(gpu: &Wgpu, ty: ElementType, rows: usize, cols: usize) -> Result<Self, GemmGpuError> {
        // Rows are padded too, so that fragments may end beyond the last one.
        let padded = extent(rows.next_multiple_of(PAD), cols.next_multiple_of(PAD))?;
        let buffer = gpu.zeros("matrix", (padded * ty.bytes()) as u64)?;
        Ok(Self { buffer, rows, cols, ty })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Numbers from row to row.
    pub fn ld(&self) -> usize {
        self.cols.next_multiple_of(PAD)
    }

    /// The type of its numbers.
    pub fn element_type(&self) -> ElementType {
        self.ty
    }

    /// Its memory on the device.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Fetches a matrix of f32, row by row without gaps.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn read(&self, gpu: &Wgpu) -> Result<Vec<f32>, GemmGpuError> {
        if self.cols == 0 {
            return Ok(Vec::new());
        }
        let padded: Vec<f32> = gpu.read_as(&self.buffer, 0, (self.rows * self.ld()) as u64)?;
        Ok(padded.chunks_exact(self.ld()).flat_map(|row| &row[..self.cols]).copied().collect())
    }
}

/// Numbers of a matrix; kernels count them in 32 bits.
fn extent(rows: usize, cols: usize) -> Result<usize, GemmGpuError> {
    let most = u32::MAX as usize;
    let count = rows.saturating_mul(cols);
    if count > most {
        return Err(GemmGpuError::TooLarge { what: "the number of elements of a matrix", got: count, most });
    }
    Ok(count)
}
