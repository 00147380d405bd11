//! The named cases of reading volumes: one home for what benches, peers and tests read.
//!
//! A name is `VOLUME-PACKING[-big][-scaled]-MAKE[-BY]`. `brain` and `ct` are phantoms with the extents of scanners,
//! `ct4` has half the extent along each axis, `ct128` fewer slices.

use op::{NamedCase, ParamError, Parameters, Params};

use crate::{Endian, Kind, Pack};

/// The parameters of a case: a file, and what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Phantom in the file.
    pub kind: Kind,
    /// Its extents.
    pub shape: [usize; 3],
    /// How the file is packed.
    pub packing: Packing,
    /// Its byte order.
    pub endian: Endian,
    /// Whether it has a slope and an intercept ([`SCALE`]).
    pub is_scaled: bool,
    /// Whether the file is already in the order that is asked for.
    pub is_turned: bool,
    /// What is made.
    pub make: Make,
    /// The way to it.
    pub by: By,
}

/// Slope and intercept of scaled files: numbers that an MR scanner might write.
pub const SCALE: (f64, f64) = (0.5, -24.0);

/// Edge of a patch, which lies in the middle.
pub const PATCH: usize = 64;

/// How the file of a case is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Not packed.
    Plain,
    /// One gzip member of level 1.
    Gzip1,
    /// One gzip member of level 6.
    Gzip6,
    /// BGZF of level 6.
    Bgzf,
    /// Mgzip of level 6, in members of 1 MiB.
    Mgzip,
}

impl Packing {
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Plain, "plain"),
        (Self::Gzip1, "gzip1"),
        (Self::Gzip6, "gzip6"),
        (Self::Bgzf, "bgzf"),
        (Self::Mgzip, "mgzip"),
    ];

    /// As the writer takes it.
    pub const fn pack(self) -> Pack {
        match self {
            Self::Plain => Pack::Plain,
            Self::Gzip1 => Pack::Gzip { level: 1 },
            Self::Gzip6 => Pack::Gzip { level: 6 },
            Self::Bgzf => Pack::Bgzf { level: 6 },
            Self::Mgzip => Pack::Mgzip { level: 6, bytes: 1 << 20 },
        }
    }

    const fn in_names(self) -> &'static str {
        match self {
            Self::Plain => "nii",
            Self::Gzip1 => "gz1",
            Self::Gzip6 => "gz6",
            Self::Bgzf => "bgzf",
            Self::Mgzip => "mgzip",
        }
    }
}

/// What is made of a file. Voxels are scaled, and x is fastest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// All voxels as f32.
    F32,
    /// All voxels as f16.
    F16,
    /// All voxels as bf16.
    Bf16,
    /// f32 in the order RAS.
    Ras,
    /// f32 in the order PSR.
    Psr,
    /// Exact statistics of all voxels.
    Stats,
    /// f32 and exact statistics, in one pass.
    F32AndStats,
    /// f32, clipped to percentiles and normalized.
    Zscore,
    /// f32 of a cube of [`PATCH`] voxels in the middle.
    Patch,
    /// The same patch, from the whole volume.
    PatchOfWhole,
    /// f32 of the first slice along z.
    Slice,
    /// f32 of the first eight slices along z.
    Slices8,
    /// Extents and affine, without a voxel.
    Header,
    /// f32, and an access-point index.
    Index,
    /// The unpacked bytes, by libdeflate alone: a lower bound.
    Inflated,
}

impl Make {
    const WORDS: [(Self, &'static str); 15] = [
        (Self::F32, "f32"),
        (Self::F16, "f16"),
        (Self::Bf16, "bf16"),
        (Self::Ras, "ras"),
        (Self::Psr, "psr"),
        (Self::Stats, "stats"),
        (Self::F32AndStats, "f32-stats"),
        (Self::Zscore, "zscore"),
        (Self::Patch, "patch"),
        (Self::PatchOfWhole, "patch-whole"),
        (Self::Slice, "slice"),
        (Self::Slices8, "slices8"),
        (Self::Header, "header"),
        (Self::Index, "build-index"),
        (Self::Inflated, "inflate"),
    ];
}

/// The way from a file to what is made. Other programs can ignore it: the result is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// What suits the file and the use.
    Any,
    /// The file is mapped.
    Map,
    /// An access-point index that was built before.
    Index,
    /// An uncompressed sidecar.
    Sidecar,
    /// A sidecar that is mapped once, for all patches.
    SidecarKept,
}

impl By {
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Any, "any"),
        (Self::Map, "map"),
        (Self::Index, "index"),
        (Self::Sidecar, "sidecar"),
        (Self::SidecarKept, "sidecar-kept"),
    ];
}

const ENDIANS: [(Endian, &str); 2] = [(Endian::Little, "little"), (Endian::Big, "big")];

/// The word that stands for a value.
fn word<T: PartialEq>(words: &[(T, &'static str)], value: &T) -> &'static str {
    words.iter().find(|(known, _)| known == value).map_or("", |&(_, word)| word)
}

impl Parameters for Reading {
    fn to_params(&self) -> Params {
        let [x, y, z] = self.shape;
        let params = Params::new().with("kind", self.kind.name()).with("x", x).with("y", y).with("z", z);
        let params = params.with("pack", word(&Packing::WORDS, &self.packing));
        let params = params.with("endian", word(&ENDIANS, &self.endian)).with("scale", usize::from(self.is_scaled));
        let params = params.with("make", word(&Make::WORDS, &self.make));
        let params = if self.is_turned { params.with("turned", "before") } else { params };
        if self.by == By::Any { params } else { params.with("by", word(&By::WORDS, &self.by)) }
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        let has = |name: &str| params.get(name).is_some();
        Ok(Self {
            kind: params.one_of("kind", Kind::ALL.map(|kind| (kind, kind.name())))?,
            shape: [params.number("x")?, params.number("y")?, params.number("z")?],
            packing: params.one_of("pack", Packing::WORDS)?,
            endian: params.one_of("endian", ENDIANS)?,
            is_scaled: params.number("scale")? != 0,
            is_turned: has("turned") && params.one_of("turned", [(true, "before")])?,
            make: params.one_of("make", Make::WORDS)?,
            by: if has("by") { params.one_of("by", By::WORDS)? } else { By::Any },
        })
    }
}

/// A volume's name in cases, its phantom and its extents.
type Volume = (&'static str, Kind, [usize; 3]);

const BRAIN: Volume = ("brain", Kind::Brain, [240, 240, 155]);
const CT: Volume = ("ct", Kind::Ct, [512, 512, 150]);
const WHOLE_CT: Volume = ("ct", Kind::Ct, [512, 512, 300]);
/// So that the setup of benches does not take minutes.
const CT4: Volume = ("ct4", Kind::Ct, [256, 256, 150]);
const CT128: Volume = ("ct128", Kind::Ct, [512, 512, 128]);

/// A little-endian case; the name says the rest.
fn case((volume, kind, shape): Volume, packing: Packing, is_scaled: bool, make: Make, by: By) -> NamedCase<Reading> {
    let scaled = if is_scaled { "-scaled" } else { "" };
    let mut name = format!("{volume}-{}{scaled}-{}", packing.in_names(), word(&Make::WORDS, &make));
    if by != By::Any {
        name += &format!("-{}", word(&By::WORDS, &by));
    }
    let endian = Endian::Little;
    NamedCase::computed(name, Reading { kind, shape, packing, endian, is_scaled, is_turned: false, make, by })
}

/// The case with a big-endian file.
fn big(case: NamedCase<Reading>) -> NamedCase<Reading> {
    let name = case.name.replacen("-nii", "-nii-big", 1);
    NamedCase { name: name.into(), params: Reading { endian: Endian::Big, ..case.params }, ..case }
}

/// All named cases. Tiers are those of our own kernel.
pub fn cases() -> Vec<NamedCase<Reading>> {
    let mut cases = compared();
    cases.extend(measured());
    cases
}

/// Cases that other programs take part in. Two of them are measured by benches as well.
fn compared() -> Vec<NamedCase<Reading>> {
    use Packing::{Bgzf, Gzip1, Gzip6, Mgzip, Plain};
    let plain = |volume, packing, make| case(volume, packing, false, make, By::Any).tier(0);
    let mut cases = vec![
        plain(BRAIN, Gzip6, Make::F32),
        case(BRAIN, Gzip6, true, Make::F32, By::Any),
        plain(CT, Gzip1, Make::F32),
        plain(CT, Gzip6, Make::F32),
        plain(CT, Bgzf, Make::F32).threads(&[1, 2]),
        plain(CT, Mgzip, Make::F32).threads(&[1, 2]),
        plain(BRAIN, Plain, Make::F32),
        case(BRAIN, Plain, true, Make::F32, By::Any),
        plain(CT, Plain, Make::F32),
        big(plain(CT, Plain, Make::F32)),
        plain(BRAIN, Plain, Make::Ras),
        plain(BRAIN, Plain, Make::Psr),
        plain(BRAIN, Plain, Make::Stats),
        plain(WHOLE_CT, Gzip6, Make::Patch),
    ];
    let ways = [By::Index, By::Sidecar, By::SidecarKept];
    cases.extend(ways.map(|by| case(WHOLE_CT, Gzip6, false, Make::Patch, by).tier(0)));
    cases.extend([Bgzf, Plain].map(|packing| plain(WHOLE_CT, packing, Make::Patch)));
    // Small requests. Their names have the parameter's word for the packing.
    for (packing, make) in [Plain, Gzip6, Bgzf].into_iter().flat_map(|p| [Make::Header, Make::Slice].map(|m| (p, m))) {
        let name = format!("ct-{}-{}", word(&Packing::WORDS, &packing), word(&Make::WORDS, &make));
        cases.push(NamedCase { name: name.into(), ..plain(CT, packing, make) });
    }
    cases
}

/// Cases of benches alone.
fn measured() -> Vec<NamedCase<Reading>> {
    use Packing::{Bgzf, Gzip6, Plain};
    let mapped = |make, tier| case(BRAIN, Plain, true, make, By::Map).tier(tier);
    let wide = |packing, make, by, tier| case(CT128, packing, true, make, by).tier(tier);
    vec![
        mapped(Make::F32, 1),
        big(mapped(Make::F32, 1)),
        mapped(Make::F16, 2),
        mapped(Make::Bf16, 2),
        mapped(Make::Ras, 2),
        mapped(Make::Psr, 1),
        mapped(Make::F32AndStats, 1),
        mapped(Make::Zscore, 2),
        case(CT4, Gzip6, true, Make::F32, By::Any),
        case(CT4, Bgzf, true, Make::F32, By::Any).threads(&[1, 2]),
        case(CT4, Gzip6, true, Make::F32, By::Index).tier(2).threads(&[1, 2]),
        // Without an index, everything before the region's end is unpacked.
        wide(Gzip6, Make::Patch, By::Any, 2),
        wide(Gzip6, Make::Patch, By::Index, 1),
        wide(Bgzf, Make::Patch, By::Any, 2),
        wide(Plain, Make::Patch, By::Any, 2),
        wide(Plain, Make::Patch, By::Map, 1),
        wide(Gzip6, Make::Slices8, By::Any, 3),
        case(BRAIN, Gzip6, true, Make::Header, By::Any).tier(2),
        case(BRAIN, Gzip6, true, Make::Index, By::Any).tier(3),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let cases = cases();
        assert_eq!(op::check_table(&cases), Ok(()));
        assert_eq!((compared().len(), cases.len()), (25, 44));
        let own = Reading { is_turned: true, make: Make::Inflated, ..cases[0].params };
        assert_eq!(Reading::from_params(&own.to_params()), Ok(own));
    }
}
