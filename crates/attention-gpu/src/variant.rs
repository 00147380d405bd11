//! The variants of the kernels: shapes of tiles, and what each needs.

use std::{fmt, str::FromStr};

use attention::{ElementType, cases::Problem};
use gpu::Capabilities;

/// One way to compute a problem. Each can be forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Variant {
    /// `kernels/attention/tile.wgsl`.
    Tile {
        /// Queries of a workgroup.
        rows: u32,
        /// Keys at a time.
        keys: u32,
        /// Elements of the head at a time, in the first product.
        depth: u32,
        /// Values at a time, in the second product.
        keys_v: u32,
        /// Vectors of four rows of a thread, 1 or 2.
        tall: u32,
    },
    /// `kernels/attention/coop.wgsl`.
    Coop {
        /// Subgroups of a workgroup.
        subgroups: u32,
        /// Blocks of 16 queries of a subgroup, 1 or 2.
        blocks: u32,
    },
    /// `kernels/attention/decode.wgsl` and `merge.wgsl`.
    Decode {
        /// Invocations of a workgroup, and keys at a time.
        threads: u32,
        /// Keys of a workgroup.
        part: u32,
        /// Vectors of four rows of a workgroup, 1 or 2.
        groups: u32,
    },
}

const fn tile(rows: u32, keys: u32, depth: u32, keys_v: u32, tall: u32) -> Variant {
    Variant::Tile { rows, keys, depth, keys_v, tall }
}

const fn decode(threads: u32, part: u32, groups: u32) -> Variant {
    Variant::Decode { threads, part, groups }
}

/// All variants with their names. Of each kind, the first that a device can run is chosen where none is forced.
pub static VARIANTS: [(&str, Variant); 17] = [
    ("wgpu-coop-4x2", Variant::Coop { subgroups: 4, blocks: 2 }),
    ("wgpu-coop-8x1", Variant::Coop { subgroups: 8, blocks: 1 }),
    ("wgpu-coop-4x1", Variant::Coop { subgroups: 4, blocks: 1 }),
    ("wgpu-coop-2x2", Variant::Coop { subgroups: 2, blocks: 2 }),
    ("wgpu-coop-2x1", Variant::Coop { subgroups: 2, blocks: 1 }),
    ("wgpu-tile-128x64", tile(128, 64, 16, 16, 2)),
    ("wgpu-tile-64x64", tile(64, 64, 32, 16, 1)),
    ("wgpu-tile-64x64-tall", tile(64, 64, 16, 16, 2)),
    ("wgpu-tile-128x32-tall", tile(128, 32, 16, 16, 2)),
    ("wgpu-tile-64x32", tile(64, 32, 32, 16, 1)),
    ("wgpu-tile-32x64", tile(32, 64, 16, 8, 1)),
    ("wgpu-decode-64x256x2", decode(64, 256, 2)),
    ("wgpu-decode-64x256", decode(64, 256, 1)),
    ("wgpu-decode-128x512x2", decode(128, 512, 2)),
    ("wgpu-decode-128x512", decode(128, 512, 1)),
    ("wgpu-decode-32x256x2", decode(32, 256, 2)),
    ("wgpu-decode-32x256", decode(32, 256, 1)),
];

/// The variant of this name.
pub fn by_name(name: &str) -> Option<Variant> {
    VARIANTS.iter().find(|(known, _)| *known == name).map(|(_, variant)| *variant)
}

/// The most elements of a head.
pub(crate) const MOST_HEAD_DIM: usize = 128;
/// The lanes of a subgroup that `coop.wgsl` is written for.
const LANES: u32 = 32;

impl Variant {
    /// Its name in [`VARIANTS`].
    pub fn name(self) -> &'static str {
        VARIANTS.iter().find(|(_, variant)| *variant == self).map_or("none", |(name, _)| name)
    }

    /// Whether keys are split among workgroups, for few queries.
    pub fn is_decode(self) -> bool {
        matches!(self, Self::Decode { .. })
    }

    /// Queries of a workgroup.
    pub(crate) fn rows(self) -> u32 {
        match self {
            Self::Tile { rows, .. } => rows,
            Self::Coop { subgroups, blocks } => 16 * subgroups * blocks,
            Self::Decode { groups, .. } => 4 * groups,
        }
    }

    /// Invocations of a workgroup.
    fn threads(self) -> u32 {
        match self {
            Self::Tile { rows, keys, tall, .. } => rows / 4 / tall * (keys / 4),
            Self::Coop { subgroups, .. } => LANES * subgroups,
            Self::Decode { threads, .. } => threads,
        }
    }

    /// Bytes of workgroup memory, as the kernels declare it.
    pub(crate) fn workgroup_bytes(self, element: ElementType, head_dim: u32) -> u32 {
        const VECTOR: u32 = 16;
        let quad = 4 * element.bytes() as u32;
        let quads = head_dim / 4;
        match self {
            Self::Tile { rows, keys, depth, keys_v, .. } => {
                let chunks = depth * rows / 4 + (depth * keys / 4).max(keys_v * quads);
                VECTOR * (chunks + (keys * rows / 4).max(rows / 4 * (keys / 4 + 1)))
            }
            Self::Coop { subgroups, blocks } => {
                let rows = 16 * subgroups * blocks;
                2 * 32 * 8 * (head_of(head_dim) / 4 + 2) + rows * (16 * 9 + 8 * 10) + 4
            }
            Self::Decode { threads, part, groups } => {
                let vectors = head_dim * groups + groups * part + threads + 4 * threads;
                VECTOR * vectors + threads * (quads | 1) * quad
            }
        }
    }

    /// Why this device cannot run it on this problem; `None` if it can.
    pub fn lacks(self, problem: &Problem, has: &Capabilities) -> Option<String> {
        let head_dim = problem.shape.head_dim as u32;
        let bytes = self.workgroup_bytes(problem.element, head_dim);
        if bytes > has.workgroup_bytes {
            return Some(format!("needs {bytes} bytes of workgroup memory of {}", has.workgroup_bytes));
        }
        if self.threads() > has.workgroup_size {
            return Some(format!("needs workgroups of {} of at most {}", self.threads(), has.workgroup_size));
        }
        match self {
            Self::Tile { keys, .. } if head_dim > 2 * keys => Some(format!("head_dim is more than {}", 2 * keys)),
            Self::Decode { threads, .. } if head_dim > 4 * threads => {
                Some(format!("head_dim is more than {}", 4 * threads))
            }
            Self::Coop { .. } if problem.element != ElementType::F16 => Some("is of f16 alone".to_owned()),
            Self::Coop { .. } if !has.coop_16() => Some("no cooperative matrices of 16 x 16 x 16".to_owned()),
            Self::Coop { .. } if has.fixed_subgroup() != Some(LANES) => Some("subgroups are not of 32".to_owned()),
            _ => None,
        }
    }
}

/// `head_dim` as `coop.wgsl` pads it.
pub(crate) fn head_of(head_dim: u32) -> u32 {
    if head_dim <= 64 { 64 } else { 128 }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Variant {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        by_name(name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for (name, variant) in VARIANTS {
            assert_eq!((by_name(name), variant.name()), (Some(variant), name));
        }
        assert_eq!(by_name("wgpu-tile-1x1"), None);
    }

    #[test]
    fn constants_keep_the_rules_that_kernels_state() {
        for (name, variant) in VARIANTS {
            match variant {
                Variant::Tile { rows, keys, depth, keys_v, tall } => {
                    assert!(rows % (4 * tall) == 0 && keys % 4 == 0 && depth % 4 == 0 && keys % keys_v == 0, "{name}");
                }
                Variant::Decode { threads, part, groups } => {
                    assert!(part % threads == 0 && (1..=2).contains(&groups), "{name}");
                }
                Variant::Coop { blocks, .. } => assert!((1..=2).contains(&blocks), "{name}"),
            }
            assert!(variant.threads() <= 256, "{name}");
            assert!(variant.workgroup_bytes(ElementType::F16, 64) <= 48 << 10, "{name}");
        }
    }
}
