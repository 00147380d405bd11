//! A stage: the same number of blocks for a set of pairs, interleaved round by round.

use anyhow::Result;
use machine::ceiling::Canary;
use serde::{Deserialize, Serialize};

use super::block::{self, Block, Norm, Outcome, SideTrouble};
use super::links::Links;
use super::pair::BenchPair;
use super::random::Random;
use super::sample::Sampler;
use crate::console::Progress;

/// How many blocks, in how many layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Blocks per pair. Fixed before the first one runs: looking at p and adding blocks would invalidate the test.
    pub blocks: usize,
    /// Layouts per side from which the blocks draw; 1 is the plain link alone.
    pub links: usize,
    /// The first of these layouts: a confirmation draws other layouts than the screen before it.
    pub first_link: u64,
}

/// Bounds on blocks that are measured again because the machine was disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most this share of a stage's blocks, in percent.
    pub discard_percent: usize,
}

/// All blocks of one pair in one stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Series {
    /// Blocks that count.
    pub blocks: Vec<Block>,
    /// How many were measured again.
    pub discarded: usize,
    /// How many count although the machine was disturbed, because the bound was reached.
    pub disturbed: usize,
    /// How many of the planned blocks are missing, because a process could not be timed or the budget ended.
    pub missing: usize,
    /// What ended the series early.
    pub trouble: Option<SideTrouble>,
}

impl Limits {
    /// How many of `blocks` may be measured again.
    pub fn spare(self, blocks: usize) -> usize {
        (blocks * self.discard_percent).div_ceil(100)
    }
}

impl Series {
    /// Adds what another series of the same pair has.
    pub fn extend(&mut self, other: Series) {
        self.blocks.extend(other.blocks);
        self.discarded += other.discarded;
        self.disturbed += other.disturbed;
        self.missing += other.missing;
        self.trouble = self.trouble.take().or(other.trouble);
    }

    /// The log ratios, which the statistics use.
    pub fn effects(&self) -> Vec<f64> {
        self.blocks.iter().map(|block| block.d).collect()
    }
}

/// Runs a stage, with a canary if the machine has room for one. Every round visits every pair once, in a fresh random
/// order, so that machine noise of one period is spread over all pairs.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct of these would only rename them")]
pub fn run_stage(
    sampler: &Sampler<'_>,
    links: &Links,
    pairs: &[&BenchPair],
    stage: Stage,
    limits: Limits,
    canary: &mut Option<Canary>,
    random: &mut Random,
    progress: &Progress,
) -> Result<Vec<Series>> {
    let mut series = vec![Series::default(); pairs.len()];
    let layouts = layouts(pairs.len(), stage, random);
    let mut spare = limits.spare(pairs.len() * stage.blocks);
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    for round in 0..stage.blocks {
        random.shuffle(&mut order);
        for &at in &order {
            if series[at].trouble.is_some() {
                (0..4).for_each(|_| progress.step());
                continue;
            }
            progress.say(&pairs[at].key.id());
            let seeds = (layouts[at].0[round], layouts[at].1[round]);
            run_block(sampler, links, pairs[at], seeds, &mut series[at], &mut spare, canary, random, progress)?;
        }
    }
    Ok(series)
}

/// Adds a block in these layouts to the series of a pair. A disturbed one is measured again while `spare` lasts.
#[expect(clippy::too_many_arguments, reason = "a struct of these would only rename them")]
pub fn run_block(
    sampler: &Sampler<'_>,
    links: &Links,
    pair: &BenchPair,
    seeds: (u64, u64),
    series: &mut Series,
    spare: &mut usize,
    canary: &mut Option<Canary>,
    random: &mut Random,
    progress: &Progress,
) -> Result<()> {
    let processors = machine::threads::allowed_cpus();
    loop {
        let coin = random.coin();
        // A block stays on one processor: on a shared machine two processors are never equally fast.
        let processor = if pair.single_threaded { processors.get(random.below(processors.len())) } else { None };
        let mut stepped = || progress.step();
        match block::run(sampler, links, pair, coin, seeds, processor.copied(), canary, &mut stepped)? {
            Outcome::Finished(block) if block.disturbance.is_contaminated(Norm::of(&series.blocks)) => {
                if *spare > 0 {
                    *spare -= 1;
                    series.discarded += 1;
                    progress.extend(4);
                    continue;
                }
                series.disturbed += 1;
                series.blocks.push(*block);
            }
            Outcome::Finished(block) => series.blocks.push(*block),
            Outcome::Spoiled if *spare > 0 => {
                *spare -= 1;
                series.discarded += 1;
                progress.extend(4);
                continue;
            }
            Outcome::Spoiled | Outcome::OutOfTime => series.missing += 1,
            Outcome::Broken(trouble) => series.trouble = Some(trouble),
        }
        return Ok(());
    }
}

/// The layouts that the blocks of each pair draw: of the base, and of the head.
pub fn layouts(pairs: usize, stage: Stage, random: &mut Random) -> Vec<(Vec<u64>, Vec<u64>)> {
    (0..pairs).map(|_| (seeds(stage, random), seeds(stage, random))).collect()
}

/// The layout that each block draws: the stage's seeds, repeated as often as needed, in random order.
fn seeds(stage: Stage, random: &mut Random) -> Vec<u64> {
    if stage.links <= 1 {
        return vec![0; stage.blocks];
    }
    let mut seeds: Vec<u64> = (0..stage.blocks).map(|block| stage.first_link + (block % stage.links) as u64).collect();
    random.shuffle(&mut seeds);
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_is_drawn_equally_often() {
        let mut random = Random::new(3);
        let mut drawn = seeds(Stage { blocks: 12, links: 4, first_link: 1 }, &mut random);
        drawn.sort_unstable();
        assert_eq!(drawn, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
        assert_eq!(seeds(Stage { blocks: 3, links: 1, first_link: 1 }, &mut random), [0, 0, 0]);
    }
}
