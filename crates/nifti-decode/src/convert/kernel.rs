//! Which loops run, chosen once per volume.

use std::fmt;

use simd::{InstructionSet, Isa};

use super::{
    BLOCK, Fill, Losses, Map, Output, Stored,
    fill::{Double, Filled, Normalized, Single, Unscaled, fill},
    scan::Scan,
    stream, with_stored,
};
use crate::{Datatype, Endian, NiftiError};

/// Outputs above this size are written with non-temporal stores. Smaller ones stay in the caches for whoever reads them
/// next.
const STREAM_BYTES: usize = 24 << 20;

/// The loops that a conversion runs, or ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Instruction set of the loops.
    pub isa: Isa,
    /// What happens to a number: `unscaled`, `single`, `double` or `normalized`.
    pub arithmetic: &'static str,
    /// Whether bytes are swapped.
    pub is_swapped: bool,
    /// Whether the output is written with non-temporal stores.
    pub is_streamed: bool,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.isa, self.arithmetic)?;
        f.write_str(if self.is_swapped { " swapped" } else { "" })?;
        f.write_str(if self.is_streamed { " streamed" } else { "" })
    }
}

/// Blocks of voxels between the stored and the converted ones, in L1. Allocated once for all runs of a conversion:
/// clearing them for each run took a tenth of its time.
pub(crate) struct Blocks<D> {
    intermediate: Intermediate,
    converted: [D; BLOCK],
}

/// A block of numbers that the output is made from, or is compared with.
pub struct Intermediate {
    pub(super) single: [f32; BLOCK],
    /// Empty until it is needed: most conversions are made from `single`, and moving it would cost more than they do on
    /// a small region.
    wide: Vec<u64>,
}

impl Intermediate {
    pub(super) fn new() -> Self {
        Self { single: [0.0; BLOCK], wide: Vec::new() }
    }

    fn wide(&mut self) -> &mut [u64] {
        if self.wide.is_empty() {
            self.wide.resize(BLOCK, 0);
        }
        &mut self.wide
    }

    pub(super) fn doubles(&mut self) -> &mut [f64] {
        bytemuck::cast_slice_mut(self.wide())
    }

    pub(super) fn wholes(&mut self) -> &mut [i64] {
        bytemuck::cast_slice_mut(self.wide())
    }
}

impl<D: Output> Blocks<D> {
    pub(crate) fn new() -> Self {
        Self { intermediate: Intermediate::new(), converted: [D::default(); BLOCK] }
    }
}

/// What is converted: the stored type and order, and the numbers.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub(super) datatype: Datatype,
    pub(super) is_swapped: bool,
    pub(super) map: Map,
    pub(super) simd: InstructionSet,
}

/// A conversion of stored voxels, ready to run.
pub(crate) struct Kernel<D: Output> {
    fills: D::Fills,
    scan: Option<Scan>,
    source: Source,
    voxel_bytes: usize,
    choice: Choice,
}

impl<D: Output> Kernel<D> {
    /// The conversion of `n_voxels` voxels of `datatype` by `map`.
    pub(crate) fn new(
        datatype: Datatype,
        endian: Endian,
        map: Map,
        simd: InstructionSet,
        n_voxels: usize,
    ) -> Result<Self, NiftiError> {
        let is_swapped = endian.is_swapped() && datatype.unit_bytes() > 1;
        let source = Source { datatype, is_swapped, map, simd };
        let not_real = NiftiError::NotReal { datatype, to: D::NAME };
        let Some((fills, arithmetic)) = D::fills(&source) else { return Err(not_real) };
        let is_streamed = simd.isa() != Isa::Scalar && n_voxels.saturating_mul(size_of::<D>()) > STREAM_BYTES;
        let choice = Choice { isa: simd.isa(), arithmetic, is_swapped, is_streamed };
        let scan = D::FORMAT.and_then(|format| Scan::new(&source, format));
        Ok(Self { fills, scan, source, voxel_bytes: datatype.bytes(), choice })
    }

    pub(crate) fn choice(&self) -> Choice {
        self.choice
    }

    /// Converts a run of voxels; `src` has the bytes of `dst.len()` of them. Uses non-temporal stores if the whole
    /// output does. `first` is the index of the run in the output, for `losses`.
    pub(crate) fn run(&self, src: &[u8], dst: &mut [D], blocks: &mut Blocks<D>, (first, losses): (usize, &mut Losses)) {
        if self.choice.is_streamed && dst.len() >= 64 {
            return self.run_streamed(src, dst, blocks, (first, losses));
        }
        let step = if D::IS_IN_PLACE && self.scan.is_none() { dst.len().max(1) } else { BLOCK };
        for (i, (src, dst)) in src.chunks(step * self.voxel_bytes).zip(dst.chunks_mut(step)).enumerate() {
            self.convert(src, dst, &mut blocks.intermediate, (first + i * step, losses));
        }
    }

    fn run_streamed(&self, src: &[u8], dst: &mut [D], blocks: &mut Blocks<D>, (first, losses): (usize, &mut Losses)) {
        for (i, (src, dst)) in src.chunks(BLOCK * self.voxel_bytes).zip(dst.chunks_mut(BLOCK)).enumerate() {
            let converted = &mut blocks.converted[..dst.len()];
            self.convert(src, converted, &mut blocks.intermediate, (first + i * BLOCK, losses));
            stream::copy(self.source.simd, bytemuck::cast_slice(converted), bytemuck::cast_slice_mut(dst));
        }
    }

    /// Converts a block.
    fn convert(
        &self,
        src: &[u8],
        dst: &mut [D],
        intermediate: &mut Intermediate,
        (first, losses): (usize, &mut Losses),
    ) {
        D::convert(&self.fills, &self.source, src, dst, intermediate, (first, losses));
        if let Some(scan) = &self.scan {
            scan.run(&self.source, src, dst.len(), intermediate, (first, losses));
        }
    }

    /// Makes non-temporal stores visible to other threads. Once, at the end.
    pub(crate) fn finish(&self) {
        stream::fence(self.source.simd);
    }
}

/// The loop that fills blocks with the values of `source`, and the name of its arithmetic; `None` for types that are
/// not real.
pub(super) fn choose<T: Filled>(source: &Source) -> Option<(Fill<T>, &'static str)> {
    let Source { datatype, is_swapped, map, .. } = source;
    let (fill, arithmetic) = with_stored!(*datatype, |S| if *is_swapped {
        choose_arithmetic::<S, T, true>(map)
    } else {
        choose_arithmetic::<S, T, false>(map)
    })?;
    let swapped = match arithmetic {
        "unscaled" if *is_swapped => T::swapped_words(*datatype, false),
        "single" if *is_swapped => T::swapped_words(*datatype, true),
        _ => None,
    };
    Some((swapped.unwrap_or(fill), arithmetic))
}

/// The loop that fills blocks with numbers as they are stored.
pub(super) fn unscaled<T: Filled>(source: &Source) -> Option<Fill<T>> {
    let Source { datatype, is_swapped, .. } = source;
    with_stored!(*datatype, |S| if *is_swapped {
        fill::<S, T, Unscaled, true>
    } else {
        fill::<S, T, Unscaled, false> as Fill<T>
    })
}

fn choose_arithmetic<S: Stored, T: Filled, const SWAP: bool>(map: &Map) -> (Fill<T>, &'static str) {
    if map.is_normalized() {
        (fill::<S, T, Normalized, SWAP>, "normalized")
    } else if !map.is_scaled() {
        (fill::<S, T, Unscaled, SWAP>, "unscaled")
    } else if T::IS_SINGLE && S::IS_SMALL && map.is_single() {
        (fill::<S, T, Single, SWAP>, "single")
    } else {
        (fill::<S, T, Double, SWAP>, "double")
    }
}
