//! The limit that a bench is judged against, bursts of it around the timing, and the memory that they take.

use std::time::Duration;

use machine::ceiling::{Burst, Dot8Loop, FmaLoop, Level, ReadLoop, TileLoop, TileNumbers};
use machine::isa::Isa;
use record::{CeilingSample, Unit, stats};

/// How long the bursts on one side of the timing take together.
const SIDE: Duration = Duration::from_millis(12);
/// A burst is as long as one call of the kernel, within these: shorter ones would time the clock, longer ones the
/// process.
const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_millis(20);

/// The limit that a bench is judged against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ceiling {
    /// f32 multiply-adds on registers, FLOP/s.
    Fma {
        /// Instruction set of the loop.
        isa: Isa,
        /// Threads of the loop.
        threads: usize,
    },
    /// Products of bytes with sums of 32 bits on registers. Counted as FLOP/s: two operations of each multiply-add.
    Dot8 {
        /// Instruction set of the loop.
        isa: Isa,
        /// Threads of the loop.
        threads: usize,
    },
    /// Products in tile registers, FLOP/s. Those of bytes are counted as two operations of each multiply-add.
    Tiles {
        /// What is multiplied.
        numbers: TileNumbers,
        /// Threads of the loop.
        threads: usize,
    },
    /// Reading from one level of the memory hierarchy, B/s.
    Read {
        /// The level that the bench's operands lie in.
        level: Level,
        /// Threads of the loop.
        threads: usize,
    },
    /// One that the bench measures by itself, on a device that this crate does not know.
    Given(Given),
    /// None of them applies.
    None,
}

/// A ceiling that a bench measures by itself.
#[derive(Clone, Copy)]
pub struct Given {
    /// Its name in rows. Two of one name are one ceiling.
    pub name: &'static str,
    /// The unit of its rate: bytes or operations per second.
    pub unit: Unit,
    /// The rate per second over about this time; `None` where it was not measured.
    pub burst: fn(Duration) -> Option<f64>,
}

impl PartialEq for Given {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.unit) == (other.name, other.unit)
    }
}

impl Eq for Given {}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").field("name", &self.name).field("unit", &self.unit).finish_non_exhaustive()
    }
}

impl Ceiling {
    /// Unit of the ceiling, and of the rate that stands against it.
    pub fn unit(self) -> Option<Unit> {
        match self {
            Ceiling::Fma { .. } | Ceiling::Dot8 { .. } | Ceiling::Tiles { .. } => Some(Unit::FlopPerSecond),
            Ceiling::Read { .. } => Some(Unit::BytesPerSecond),
            Ceiling::Given(given) => Some(given.unit),
            Ceiling::None => None,
        }
    }
}

enum Loop {
    Fma(FmaLoop),
    Dot8(Dot8Loop),
    Tiles(TileLoop),
    Read(ReadLoop),
    Given(Given),
}

/// The loops of this process, kept: one over main memory takes a tenth of a second to build.
#[derive(Default)]
pub(super) struct Ceilings {
    loops: Vec<(Ceiling, Loop)>,
    /// The bursts around the bench at hand.
    around: Option<Around>,
    /// Memory of the loops, which is not the kernel's.
    own_bytes: u64,
    /// Peak before a loop was built.
    peak_before_bytes: u64,
}

struct Around {
    ceiling: Ceiling,
    length: Duration,
    rates_per_s: Vec<f64>,
}

impl Ceilings {
    /// Drops the bursts of the previous bench.
    pub(super) fn clear(&mut self) {
        self.around = None;
    }

    /// Runs the bursts before the timing of a bench; later calls for the same bench do nothing. A ceiling that this
    /// machine does not have stays unmeasured.
    pub(super) fn before(&mut self, ceiling: Ceiling, call: Duration) {
        if self.around.is_some() {
            return;
        }
        let length = call.clamp(SHORTEST, LONGEST);
        self.around = Some(Around { ceiling, length, rates_per_s: Vec::new() });
        if !self.loops.iter().any(|(known, _)| *known == ceiling) {
            self.build(ceiling);
        }
        self.burst();
    }

    /// Runs the bursts after the timing and returns what all of them showed.
    pub(super) fn after(&mut self) -> Option<CeilingSample> {
        self.burst();
        let Around { ceiling, rates_per_s, .. } = self.around.take()?;
        let (_, found) = self.loops.iter().find(|(known, _)| *known == ceiling)?;
        let name = match found {
            Loop::Fma(fma) => fma.name(),
            Loop::Dot8(dot) => dot.name(),
            Loop::Tiles(tiles) => tiles.name(),
            Loop::Read(read) => read.name(),
            Loop::Given(given) => given.name.to_owned(),
        };
        let unit = ceiling.unit()?;
        let best_per_s = rates_per_s.iter().copied().fold(0.0, f64::max);
        let bursts_per_s = stats::median(&rates_per_s)?;
        Some(CeilingSample { name, unit, bursts_per_s, best_per_s, n: rates_per_s.len() as u64 })
    }

    /// Largest resident set of the process so far without the ceilings' own memory; `None` where the system does not
    /// tell.
    pub(super) fn peak_rss_bytes(&self) -> Option<u64> {
        let (_, peak) = resident_and_peak_bytes()?;
        Some(peak.saturating_sub(self.own_bytes).max(self.peak_before_bytes))
    }

    fn burst(&mut self) {
        let Some(around) = &mut self.around else { return };
        let Some((_, found)) = self.loops.iter_mut().find(|(known, _)| *known == around.ceiling) else { return };
        let n = SIDE.as_nanos().div_ceil(around.length.as_nanos());
        for _ in 0..n {
            let burst: Burst = match found {
                Loop::Given(given) => {
                    around.rates_per_s.extend((given.burst)(around.length));
                    continue;
                }
                Loop::Fma(fma) => fma.burst(around.length),
                Loop::Dot8(dot) => dot.burst(around.length),
                Loop::Tiles(tiles) => tiles.burst(around.length),
                Loop::Read(read) => read.burst(around.length),
            };
            around.rates_per_s.push(burst.per_s());
        }
    }

    fn build(&mut self, ceiling: Ceiling) {
        let before = resident_and_peak_bytes();
        let built = match ceiling {
            Ceiling::Fma { isa, threads } => FmaLoop::new(isa, threads).ok().map(Loop::Fma),
            Ceiling::Dot8 { isa, threads } => Dot8Loop::new(isa, threads).ok().map(Loop::Dot8),
            Ceiling::Tiles { numbers, threads } => TileLoop::new(numbers, threads).ok().map(Loop::Tiles),
            Ceiling::Read { level, threads } => ReadLoop::new(level, threads).ok().map(Loop::Read),
            Ceiling::Given(given) => Some(Loop::Given(given)),
            Ceiling::None => None,
        };
        let Some(built) = built else { return };
        self.loops.push((ceiling, built));
        // The loops stay resident, so the peak up to here and the peak minus their memory afterward bound the kernel's
        // own.
        if let (Some((resident, peak)), Some((now, _))) = (before, resident_and_peak_bytes()) {
            self.peak_before_bytes = self.peak_before_bytes.max(peak.saturating_sub(self.own_bytes));
            self.own_bytes += now.saturating_sub(resident);
        }
    }
}

fn resident_and_peak_bytes() -> Option<(u64, u64)> {
    let counters = machine::noise::process_counters(std::process::id())?;
    Some((counters.vm_rss_bytes?, counters.vm_hwm_bytes?))
}
