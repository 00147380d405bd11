//! The kernels of this crate, as tests, benches and callers with a choice see them: one list.

#[cfg(target_arch = "x86_64")]
use machine::isa::Avx2;
use machine::isa::Isa;

#[cfg(target_arch = "x86_64")]
use crate::avx2;
use crate::{GgmlType, QuantError, scalar};

/// Code that converts rows, for one instruction set. Types that it has no code of its own for are converted by the portable
/// code, with the same result to the bit.
#[derive(Debug, Clone, Copy)]
pub struct Kernel(Token);

#[derive(Debug, Clone, Copy)]
enum Token {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

/// The kernels that this machine runs, the portable one first, the fastest last.
pub fn kernels() -> Vec<Kernel> {
    let mut list = vec![Kernel(Token::Scalar)];
    #[cfg(target_arch = "x86_64")]
    list.extend(Avx2::new().map(|token| Kernel(Token::Avx2(token))));
    list
}

impl Kernel {
    /// The portable kernel.
    pub const SCALAR: Kernel = Kernel(Token::Scalar);

    /// The fastest kernel of this machine.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(token) = Avx2::new() {
            return Kernel(Token::Avx2(token));
        }
        Self::SCALAR
    }

    /// Its name, as bench ids spell it: `cpu-scalar` or `cpu-avx2`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Token::Scalar => "cpu-scalar",
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) => "cpu-avx2",
        }
    }

    /// The instruction set of the code that dequantizes this type; `None` if there is none.
    pub fn dequantizes(self, ty: GgmlType) -> Option<Isa> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) if avx2::DEQUANTIZED.contains(&ty) => Some(Isa::Avx2),
            _ => scalar::has(ty).then_some(Isa::Scalar),
        }
    }

    /// The instruction set of the code that quantizes to this type; `None` if there is none.
    pub fn quantizes(self, ty: GgmlType) -> Option<Isa> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(_) if avx2::QUANTIZED.contains(&ty) => Some(Isa::Avx2),
            _ => scalar::has(ty).then_some(Isa::Scalar),
        }
    }

    /// As [`crate::dequantize`], by this kernel.
    ///
    /// # Errors
    /// As [`crate::dequantize`].
    pub fn dequantize(self, ty: GgmlType, bytes: &[u8], out: &mut [f32]) -> Result<(), QuantError> {
        check(ty, out.len(), bytes.len())?;
        let is_done = match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) => avx2::dequantize(token, ty, bytes, out) || scalar::dequantize(ty, bytes, out),
            Token::Scalar => scalar::dequantize(ty, bytes, out),
        };
        if is_done { Ok(()) } else { Err(QuantError::Unsupported { ty }) }
    }

    /// As [`crate::quantize`], by this kernel.
    ///
    /// # Errors
    /// As [`crate::quantize`].
    pub fn quantize(self, ty: GgmlType, x: &[f32], bytes: &mut [u8]) -> Result<(), QuantError> {
        check(ty, x.len(), bytes.len())?;
        let is_done = match self.0 {
            #[cfg(target_arch = "x86_64")]
            Token::Avx2(token) => avx2::quantize(token, ty, x, bytes) || scalar::quantize(ty, x, bytes),
            Token::Scalar => scalar::quantize(ty, x, bytes),
        };
        if is_done { Ok(()) } else { Err(QuantError::Unsupported { ty }) }
    }
}

/// `len` numbers are whole blocks, and `got` bytes are theirs.
fn check(ty: GgmlType, len: usize, got: usize) -> Result<(), QuantError> {
    let need = ty.row_bytes(len)?;
    if got == need { Ok(()) } else { Err(QuantError::Bytes { ty, got, need }) }
}
