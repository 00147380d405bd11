//! What voxels are converted to.

use half::{bf16, f16};

use super::kernel::Path;

/// A type that voxels can be converted to: `f32`, [`struct@f16`] or [`bf16`].
pub trait Output: Copy + Default + Send + Sync + bytemuck::Pod + sealed::Pack {
    /// Name, as NumPy or PyTorch spell it.
    const NAME: &'static str;
}

pub(crate) mod sealed {
    /// How a block of f32 becomes this type.
    pub trait Pack: Sized {
        /// The block itself, where it is filled in place.
        fn in_place(dst: &mut [Self]) -> Option<&mut [f32]>;

        #[doc(hidden)]
        fn pack(path: super::super::kernel::Path, block: &[f32], dst: &mut [Self]);
    }
}

impl Output for f32 {
    const NAME: &'static str = "float32";
}

impl sealed::Pack for f32 {
    fn in_place(dst: &mut [Self]) -> Option<&mut [f32]> {
        Some(dst)
    }

    fn pack(_: Path, block: &[f32], dst: &mut [Self]) {
        dst.copy_from_slice(block);
    }
}

impl Output for f16 {
    /// Rounded to nearest, ties to even; beyond 65504 to infinity. Integers above 2048 are not exact.
    const NAME: &'static str = "float16";
}

impl sealed::Pack for f16 {
    fn in_place(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }

    fn pack(path: Path, block: &[f32], dst: &mut [Self]) {
        match path {
            Path::Scalar => super::scalar::pack_f16(block, dst),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2(token) => super::avx2::pack_f16(token, block, dst),
        }
    }
}

impl Output for bf16 {
    /// Rounded to nearest, ties to even. Integers above 256 are not exact.
    const NAME: &'static str = "bfloat16";
}

impl sealed::Pack for bf16 {
    fn in_place(_: &mut [Self]) -> Option<&mut [f32]> {
        None
    }

    fn pack(path: Path, block: &[f32], dst: &mut [Self]) {
        match path {
            Path::Scalar => super::scalar::pack_bf16(block, dst),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2(token) => super::avx2::pack_bf16(token, block, dst),
        }
    }
}
