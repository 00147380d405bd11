//! The list of kernels: one for each instruction set that this crate has code for.

use simd::{Dispatch, InstructionSet, Isa, Portable};

#[cfg(target_arch = "x86_64")]
use crate::avx2;
use crate::{GgmlType, QuantError, scalar};

/// The instruction sets with code here, the widest last.
const CODE: [Isa; 2] = [Isa::Scalar, Isa::Avx2];

/// Converts rows with one instruction set. Types without code for it are converted by the portable code, with the same
/// bits.
#[derive(Debug, Clone, Copy)]
pub struct Kernel(InstructionSet);

/// The kernels that this machine can run, the portable one first, the fastest last.
pub fn kernels() -> Vec<Kernel> {
    InstructionSet::supported_of(&CODE).into_iter().map(Kernel).collect()
}

impl Kernel {
    /// The portable kernel.
    pub const SCALAR: Kernel = Kernel(InstructionSet::Portable(Portable));

    /// The fastest kernel of this machine.
    pub fn best() -> Self {
        Kernel(InstructionSet::best_of(&CODE))
    }

    /// Its name, as bench ids spell it: `cpu-scalar` or `cpu-avx2`.
    pub fn name(self) -> &'static str {
        self.0.kernel_name()
    }

    /// The instruction set of the code that dequantizes this type; `None` if there is none.
    pub fn dequantizes(self, ty: GgmlType) -> Option<Isa> {
        self.isa_for(ty, DEQUANTIZED_WITH_AVX2)
    }

    /// The instruction set of the code that quantizes to this type; `None` if there is none.
    pub fn quantizes(self, ty: GgmlType) -> Option<Isa> {
        self.isa_for(ty, QUANTIZED_WITH_AVX2)
    }

    fn isa_for(self, ty: GgmlType, with_avx2: &[GgmlType]) -> Option<Isa> {
        match self.0.isa() {
            Isa::Avx2 if with_avx2.contains(&ty) => Some(Isa::Avx2),
            _ => scalar::has(ty).then_some(Isa::Scalar),
        }
    }

    /// Like [`crate::dequantize`], with this kernel.
    ///
    /// # Errors
    /// As [`crate::dequantize`].
    pub fn dequantize(self, ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> Result<(), QuantError> {
        check(ty, out.len(), bytes.len())?;
        let is_done = self.0.dispatch(Dequantize { ty, bytes, out });
        if is_done { Ok(()) } else { Err(QuantError::Unsupported { ty }) }
    }

    /// Like [`crate::quantize`], with this kernel.
    ///
    /// # Errors
    /// As [`crate::quantize`].
    pub fn quantize(self, ty: GgmlType, x: &[f32], bytes: &mut [u8]) -> Result<(), QuantError> {
        check(ty, x.len(), bytes.len())?;
        let is_done = self.0.dispatch(Quantize { ty, x, bytes });
        if is_done { Ok(()) } else { Err(QuantError::Unsupported { ty }) }
    }
}

#[cfg(target_arch = "x86_64")]
use avx2::{DEQUANTIZED as DEQUANTIZED_WITH_AVX2, QUANTIZED as QUANTIZED_WITH_AVX2};

#[cfg(not(target_arch = "x86_64"))]
const DEQUANTIZED_WITH_AVX2: &[GgmlType] = &[];
#[cfg(not(target_arch = "x86_64"))]
const QUANTIZED_WITH_AVX2: &[GgmlType] = &[];

/// A row to be dequantized, whose length was checked. The result is `false` if the type cannot be converted.
struct Dequantize<'a> {
    ty: GgmlType,
    bytes: &'a [u8],
    out: &'a mut [f32],
}

impl Dispatch for Dequantize<'_> {
    type Output = bool;

    fn portable(self, _: Portable) -> bool {
        scalar::dequantize(self.ty, self.bytes, self.out)
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(self, token: simd::Avx2) -> bool {
        let Self { ty, bytes, out } = self;
        avx2::dequantize(token, ty, bytes, out) || scalar::dequantize(ty, bytes, out)
    }
}

/// A row to be quantized, whose length was checked. The result is `false` if the type cannot be converted.
struct Quantize<'a> {
    ty: GgmlType,
    x: &'a [f32],
    bytes: &'a mut [u8],
}

impl Dispatch for Quantize<'_> {
    type Output = bool;

    fn portable(self, _: Portable) -> bool {
        scalar::quantize(self.ty, self.x, self.bytes)
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(self, token: simd::Avx2) -> bool {
        let Self { ty, x, bytes } = self;
        avx2::quantize(token, ty, x, bytes) || scalar::quantize(ty, x, bytes)
    }
}

/// Checks that `len` numbers are whole blocks and that `got` is the size of those blocks.
fn check(ty: GgmlType, len: usize, got: usize) -> Result<(), QuantError> {
    let need = ty.row_bytes(len)?;
    if got == need { Ok(()) } else { Err(QuantError::Bytes { ty, got, need }) }
}
