//! Which file every sample comes from: a closed form, so that nothing about it depends on time.

use op::random::Random;

use crate::sample::stream;

/// Visits beyond every run, so that products of them fit.
const MOST_VISITS: u64 = 1 << 40;

/// The order in which files are loaded into slots, and slots are visited.
///
/// Sample i visits slot i mod `slots`. A volume stays for `visits` visits. The first volume of slot s leaves after
/// `visits` - s `visits` / `slots` of them, so that replacements are evenly spaced ever after: the last slot is the
/// first to be replaced. *Loads* are numbered in the order of their first use: 0 to `slots` - 1 fill the pool, the
/// others replace. Load k takes a file from the k-th place of an endless row of permutations of all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    slots: u64,
    visits: u64,
    files: u64,
    seed: u64,
    is_shuffled: bool,
}

impl Schedule {
    /// `slots`, `visits` and `files` are at least 1; zeros count as 1. There are no more slots than files. Without
    /// shuffling, every permutation is the order of the files. A volume is never replaced for `visits` of `usize::MAX`.
    pub fn new(slots: usize, visits: usize, files: usize, seed: u64, is_shuffled: bool) -> Self {
        let files = files.max(1) as u64;
        Self {
            slots: (slots.max(1) as u64).min(files),
            visits: (visits as u64).clamp(1, MOST_VISITS),
            files,
            seed,
            is_shuffled,
        }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// Whether any volume is ever replaced.
    pub fn is_replaced(&self) -> bool {
        self.visits < MOST_VISITS
    }

    /// The load that sample `i` is taken from.
    pub fn load_of(&self, i: u64) -> u64 {
        let (slot, visit) = (i % self.slots, i / self.slots);
        match (visit + self.head_start(slot)) / self.visits {
            0 => slot,
            generation => generation * self.slots + self.rank(slot),
        }
    }

    /// How many samples are taken from load `k`.
    pub fn uses_of(&self, k: u64) -> u64 {
        if k < self.slots { self.visits - self.head_start(k) } else { self.visits }
    }

    /// The first file that load `k` tries.
    pub fn file_of(&self, k: u64) -> usize {
        let (epoch, place) = (k / self.files, (k % self.files) as usize);
        if !self.is_shuffled {
            return place;
        }
        let mut random = Random::new(stream(self.seed ^ 0x5eed_f11e, epoch));
        let mut order: Vec<usize> = (0..self.files as usize).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        order[place]
    }

    /// Place of a slot among those that are replaced in a generation: the later slots first, and those of the same head
    /// start in their order.
    fn rank(&self, slot: u64) -> u64 {
        let head_start = self.head_start(slot);
        let first_with = |head_start: u64| (head_start * self.slots).div_ceil(self.visits);
        let (first, end) = (first_with(head_start), first_with(head_start + 1).min(self.slots));
        (self.slots - end) + (slot - first)
    }

    /// Visits that the first volume of a slot does not get.
    fn head_start(&self, slot: u64) -> u64 {
        self.visits * slot / self.slots
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn loads_begin_in_order_and_have_their_number_of_uses() {
        for (slots, visits) in [(1, 1), (1, 5), (4, 3), (16, 64), (5, 7), (8, 1)] {
            let schedule = Schedule::new(slots, visits, 40, 1, true);
            let mut uses: BTreeMap<u64, u64> = BTreeMap::new();
            let mut begun = 0;
            for i in 0..(slots * visits * 6) as u64 {
                let k = schedule.load_of(i);
                assert!(k <= begun, "load {k} of sample {i} is used before load {begun}");
                if k == begun {
                    begun += 1;
                }
                *uses.entry(k).or_default() += 1;
            }
            // A load is complete when another has taken its slot.
            for k in 0..(begun - slots as u64) {
                assert_eq!(uses[&k], schedule.uses_of(k), "{slots} slots, {visits} visits, load {k}");
            }
        }
    }

    #[test]
    fn replacements_are_evenly_spaced() {
        let schedule = Schedule::new(16, 64, 100, 1, true);
        let mut first = BTreeMap::new();
        for i in 0..10_000 {
            first.entry(schedule.load_of(i)).or_insert(i);
        }
        let begins: Vec<u64> = first.into_iter().filter(|(k, _)| *k >= 16).map(|(_, i)| i).collect();
        let gaps: BTreeSet<u64> = begins.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (40..=90).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn every_file_is_loaded_once_an_epoch() {
        for is_shuffled in [false, true] {
            let schedule = Schedule::new(4, 3, 7, 9, is_shuffled);
            for epoch in 0..3_u64 {
                let files: BTreeSet<usize> = (0..7).map(|place| schedule.file_of(7 * epoch + place)).collect();
                assert_eq!(files.len(), 7);
            }
            let order: Vec<usize> = (0..7).map(|k| schedule.file_of(k)).collect();
            assert_eq!(order.is_sorted(), !is_shuffled, "{order:?}");
        }
        assert_eq!(Schedule::new(16, 64, 3, 1, true).slots(), 3);
    }
}
