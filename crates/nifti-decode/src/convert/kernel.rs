//! Which loops run, chosen once per volume.

use std::fmt;

#[cfg(target_arch = "x86_64")]
use machine::isa::Avx2;
use machine::isa::Isa;

#[cfg(target_arch = "x86_64")]
use super::avx2;
use super::{
    BLOCK, Fill, Map, Output, Stored,
    fill::{Arithmetic, Double, Normalized, Single, Unscaled},
    scalar, with_stored,
};
use crate::{Datatype, Endian, NiftiError};

/// Outputs above this are written around the caches: what fits them is better found there by who reads it next.
const STREAM_BYTES: usize = 24 << 20;

/// An instruction set with the proof that this machine has it.
#[derive(Debug, Clone, Copy)]
pub enum Path {
    /// The target's baseline.
    Scalar,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Path {
    /// The path for `isa`: the widest one if it is `None`, the scalar one where the machine lacks it.
    pub(crate) fn new(isa: Option<Isa>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if isa != Some(Isa::Scalar)
            && let Some(token) = Avx2::new()
        {
            return Self::Avx2(token);
        }
        Self::Scalar
    }

    pub(crate) fn isa(self) -> Isa {
        match self {
            Self::Scalar => Isa::Scalar,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Isa::Avx2,
        }
    }
}

/// What a conversion runs, or ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Instruction set of the loops.
    pub isa: Isa,
    /// What happens to a number: `unscaled`, `single`, `double` or `normalized`.
    pub arithmetic: &'static str,
    /// Whether bytes are swapped.
    pub is_swapped: bool,
    /// Whether the output goes around the caches.
    pub is_streamed: bool,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.isa, self.arithmetic)?;
        f.write_str(if self.is_swapped { " swapped" } else { "" })?;
        f.write_str(if self.is_streamed { " streamed" } else { "" })
    }
}

/// Voxels on their way, in the first-level cache. Made once for all runs of a conversion: clearing them for each run took a tenth
/// of its time.
pub(crate) struct Blocks<D> {
    filled: [f32; BLOCK],
    converted: [D; BLOCK],
}

impl<D: Output> Blocks<D> {
    pub(crate) fn new() -> Self {
        Self { filled: [0.0; BLOCK], converted: [D::default(); BLOCK] }
    }
}

/// A conversion of stored voxels, ready to run.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    fill: Fill,
    map: Map,
    path: Path,
    voxel_bytes: usize,
    choice: Choice,
}

impl Kernel {
    /// The conversion of `datatype` by `map` to `out_bytes` bytes in all.
    pub(crate) fn new<D: Output>(
        datatype: Datatype,
        endian: Endian,
        map: Map,
        path: Path,
        n_voxels: usize,
    ) -> Result<Self, NiftiError> {
        let is_swapped = endian.is_swapped() && datatype.unit_bytes() > 1;
        let chosen = with_stored!(datatype, |S| if is_swapped {
            choose::<S, true>(&map, path)
        } else {
            choose::<S, false>(&map, path)
        });
        let Some((fill, arithmetic)) = chosen else { return Err(NiftiError::NotReal { datatype, to: D::NAME }) };
        let is_streamed = path.isa() != Isa::Scalar && n_voxels.saturating_mul(size_of::<D>()) > STREAM_BYTES;
        let choice = Choice { isa: path.isa(), arithmetic, is_swapped, is_streamed };
        Ok(Self { fill, map, path, voxel_bytes: datatype.bytes(), choice })
    }

    pub(crate) fn choice(&self) -> Choice {
        self.choice
    }

    /// Converts a run of voxels; `src` has the bytes of `dst.len()` of them. Goes around the caches if the whole output does.
    pub(crate) fn run<D: Output>(&self, src: &[u8], dst: &mut [D], blocks: &mut Blocks<D>) {
        match self.path {
            #[cfg(target_arch = "x86_64")]
            Path::Avx2(token) if self.choice.is_streamed && dst.len() >= 64 => {
                self.run_streamed(token, src, dst, blocks);
            }
            _ => self.run_cached(src, dst, &mut blocks.filled),
        }
    }

    /// As [`run`](Self::run), always through the caches.
    fn run_cached<D: Output>(&self, src: &[u8], dst: &mut [D], filled: &mut [f32; BLOCK]) {
        if let Some(dst) = D::in_place(dst) {
            (self.fill)(&self.map, src, dst);
            return;
        }
        for (src, dst) in src.chunks(BLOCK * self.voxel_bytes).zip(dst.chunks_mut(BLOCK)) {
            let filled = &mut filled[..dst.len()];
            (self.fill)(&self.map, src, filled);
            D::pack(self.path, filled, dst);
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn run_streamed<D: Output>(&self, token: Avx2, src: &[u8], dst: &mut [D], blocks: &mut Blocks<D>) {
        for (src, dst) in src.chunks(BLOCK * self.voxel_bytes).zip(dst.chunks_mut(BLOCK)) {
            let converted = &mut blocks.converted[..dst.len()];
            self.run_cached(src, converted, &mut blocks.filled);
            avx2::stream(token, bytemuck::cast_slice(converted), bytemuck::cast_slice_mut(dst));
        }
    }

    /// Makes streamed stores visible to other threads. Once, at the end.
    pub(crate) fn finish(&self) {
        #[cfg(target_arch = "x86_64")]
        if let Path::Avx2(token) = self.path {
            avx2::fence(token);
        }
    }
}

fn choose<S: Stored, const SWAP: bool>(map: &Map, path: Path) -> (Fill, &'static str) {
    if map.is_normalized() {
        (of::<S, Normalized, SWAP>(path), "normalized")
    } else if !map.is_scaled() {
        (of::<S, Unscaled, SWAP>(path), "unscaled")
    } else if S::IS_SMALL && map.is_single() {
        (of::<S, Single, SWAP>(path), "single")
    } else {
        (of::<S, Double, SWAP>(path), "double")
    }
}

fn of<S: Stored, A: Arithmetic, const SWAP: bool>(path: Path) -> Fill {
    match path {
        Path::Scalar => scalar::fill::<S, A, SWAP>,
        #[cfg(target_arch = "x86_64")]
        Path::Avx2(_) => avx2::fill::<S, A, SWAP>,
    }
}
