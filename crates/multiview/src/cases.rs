//! The named cases of this op: one home for the rows that peers and tests use.
//!
//! A name is `DIMENSIONS-sFRAMES-PIXELS-KEEP`: `toy-s4-518-projected`.

use op::{NamedCase, ParamError, Parameters, Params};

use crate::{
    config::{Config, Shape},
    kept::Keep,
};

/// A run: a model with weights of a seed, on one sequence of square images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Dimensions of the model: [`Config::TOY`], [`Config::HEADS_OF_64`] or [`Config::VGGT`].
    pub config: Config,
    /// Images.
    pub frames: usize,
    /// Pixels of a row and of a column.
    pub pixels: usize,
    /// What is kept.
    pub keep: Keep,
    /// Seed of the weights.
    pub seed: u64,
}

const DIMENSIONS: [(Config, &str); 3] =
    [(Config::TOY, "toy"), (Config::HEADS_OF_64, "heads-of-64"), (Config::VGGT, "vggt")];

impl Run {
    /// Its input.
    pub fn shape(&self) -> Shape {
        Shape::square(self.frames, self.pixels)
    }

    fn dimensions(&self) -> &'static str {
        DIMENSIONS.iter().find(|(config, _)| *config == self.config).map_or("other", |(_, name)| name)
    }
}

impl Parameters for Run {
    fn to_params(&self) -> Params {
        Params::new()
            .with("dimensions", self.dimensions())
            .with("frames", self.frames)
            .with("pixels", self.pixels)
            .with("keep", self.keep.name())
            .with("seed", self.seed)
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        Ok(Self {
            config: params.one_of("dimensions", DIMENSIONS)?,
            frames: params.number("frames")?,
            pixels: params.number("pixels")?,
            keep: params.one_of("keep", Keep::ALL.map(|keep| (keep, keep.name())))?,
            seed: params.number("seed")? as u64,
        })
    }
}

/// All named cases.
pub fn cases() -> Vec<NamedCase<Run>> {
    let case = |config: Config, frames: usize, pixels: usize, keep: Keep, seed: u64| {
        let run = Run { config, frames, pixels, keep, seed };
        let name = format!("{}-s{frames}-{pixels}-{keep}", run.dimensions());
        let name = if seed == 1 { name } else { format!("{name}-seed{seed}") };
        NamedCase::computed(name, run).tier(0).threads(&[1, 2])
    };
    let mut cases = Vec::new();
    for keep in [Keep::All, Keep::Projected] {
        cases.extend([2, 4, 8].map(|frames| case(Config::TOY, frames, 518, keep, 1)));
        cases.push(case(Config::TOY, 4, 224, keep, 1));
        cases.push(case(Config::HEADS_OF_64, 2, 224, keep, 1));
        cases.extend([1, 2].map(|seed| case(Config::TOY, 3, 112, keep, seed)));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let cases = cases();
        assert_eq!(op::check_table(&cases), Ok(()));
        for case in &cases {
            assert_eq!(case.params.shape().check(&case.params.config), Ok(()));
            assert_eq!(Run::from_params(&case.params.to_params()), Ok(case.params));
        }
    }
}
