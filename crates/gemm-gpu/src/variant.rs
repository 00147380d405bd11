//! The ways to compute a dense product.

use std::fmt;
use std::str::FromStr;

use gpu::Capabilities;

use crate::{epilogue::Epilogue, matrix::ElementType};

/// A way to compute a dense product, with its sizes. Its text names it, as bench ids do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Variant {
    /// Tiles of registers, on any adapter.
    Tile {
        /// Terms of a slice: 8 or 16.
        bk: u32,
        /// Slices in workgroup memory: 1 or 2.
        stages: u32,
    },
    /// Cooperative matrices of 16 x 16, 64 x 64 elements of C a subgroup.
    Coop {
        /// Subgroups of a workgroup, along m and along n.
        subgroups: (u32, u32),
        /// Terms of a slice: 16 or 32.
        bk: u32,
        /// Slices in workgroup memory: 1 or 2.
        stages: u32,
    },
    /// A few rows against weights that are stored column by column.
    Gemv {
        /// Invocations of a workgroup.
        group: u32,
        /// Rows of weights of a workgroup: 1, 2 or 4.
        rows: u32,
    },
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tile { bk, stages } => write!(f, "wgpu-tile-128x128x{bk}-s{stages}"),
            Self::Coop { subgroups: (m, n), bk, stages } => {
                write!(f, "wgpu-coop-{}x{}x{bk}-s{stages}", 64 * m, 64 * n)
            }
            Self::Gemv { group, rows } => write!(f, "wgpu-gemv-{group}-r{rows}"),
        }
    }
}

impl Variant {
    /// All variants that are compiled by anyone, the safe choice of each kind first.
    pub const ALL: [Self; 20] = [
        Self::Tile { bk: 8, stages: 2 },
        Self::Tile { bk: 16, stages: 1 },
        Self::Tile { bk: 16, stages: 2 },
        Self::Tile { bk: 8, stages: 1 },
        Self::Coop { subgroups: (2, 2), bk: 32, stages: 2 },
        Self::Coop { subgroups: (2, 2), bk: 32, stages: 1 },
        Self::Coop { subgroups: (2, 2), bk: 16, stages: 2 },
        Self::Coop { subgroups: (2, 4), bk: 32, stages: 1 },
        Self::Coop { subgroups: (2, 4), bk: 16, stages: 2 },
        Self::Coop { subgroups: (4, 2), bk: 32, stages: 1 },
        Self::Coop { subgroups: (4, 2), bk: 16, stages: 2 },
        Self::Gemv { group: 128, rows: 2 },
        Self::Gemv { group: 128, rows: 4 },
        Self::Gemv { group: 128, rows: 1 },
        Self::Gemv { group: 64, rows: 1 },
        Self::Gemv { group: 64, rows: 2 },
        Self::Gemv { group: 64, rows: 4 },
        Self::Gemv { group: 32, rows: 2 },
        Self::Gemv { group: 256, rows: 2 },
        Self::Gemv { group: 256, rows: 4 },
    ];

    /// The name of the kernel, without sizes.
    pub const fn kernel(&self) -> &'static str {
        match self {
            Self::Tile { .. } => "wgpu-tile",
            Self::Coop { .. } => "wgpu-coop",
            Self::Gemv { .. } => "wgpu-gemv",
        }
    }

    /// Rows and columns of C of a workgroup, and terms of a slice.
    pub const fn tile(&self) -> (u32, u32, u32) {
        match *self {
            Self::Tile { bk, .. } => (128, 128, bk),
            Self::Coop { subgroups: (m, n), bk, .. } => (64 * m, 64 * n, bk),
            // All rows of A, of which there are at most 16.
            Self::Gemv { rows, .. } => (16, rows, 1),
        }
    }

    /// What is missing for m rows of this type, with B by columns or not, on a device that can do this; `None` where
    /// nothing is.
    pub fn missing(&self, on: &Capabilities, ty: ElementType, m: usize, by_columns: bool) -> Option<&'static str> {
        let fits = |bytes: u32, invocations: u32| (bytes <= on.workgroup_bytes, invocations <= on.workgroup_size);
        let ((has_memory, has_invocations), other) = match *self {
            Self::Tile { bk, stages } => (fits(stages * bk * 2 * 33 * 16, 256), None),
            Self::Coop { subgroups: (sm, sn), bk, stages } => {
                let rows = if by_columns { 64 * (sm + sn) } else { 64 * sm };
                let slice = rows * (bk / 8 + 1) + if by_columns { 0 } else { bk * (8 * sn + 1) };
                let other = match (on.coop_16(), ty) {
                    (false, _) => Some("the device has no cooperative matrices of 16 x 16 f16 with sums of f32"),
                    (_, ElementType::F16) => None,
                    _ => Some("cooperative matrices are of f16"),
                };
                (fits(stages * slice * 16, sm * sn * on.fixed_subgroup().unwrap_or(32)), other)
            }
            Self::Gemv { group, .. } => {
                let other = match (m, by_columns) {
                    (_, false) => Some("B is stored row by row"),
                    (0..=16, _) => None,
                    _ => Some("more than 16 rows"),
                };
                (fits(16 * group, group), other)
            }
        };
        other.or(match (has_memory, has_invocations) {
            (false, _) => Some("workgroups of the device share too little memory"),
            (_, false) => Some("workgroups of the device are too small"),
            _ => None,
        })
    }

    /// What is missing for an epilogue, or for a batch of so many products.
    pub(crate) fn missing_for(&self, epilogue: &Epilogue<'_>, batch: usize) -> Option<&'static str> {
        match self {
            Self::Tile { .. } => None,
            _ if !epilogue.is_none() => Some("only wgpu-tile has epilogues"),
            _ if batch > 1 => Some("only wgpu-tile multiplies batches"),
            _ => None,
        }
    }
}

impl FromStr for Variant {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|variant| variant.to_string() == name).ok_or(())
    }
}
