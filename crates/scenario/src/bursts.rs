//! A ceiling of a cell: bursts before and after the timed work, in the same process.

use std::time::Duration;

use machine::ceiling::{Burst, FmaLoop, Level, ReadLoop, Unavailable};
use machine::isa::Isa;
use record::{CeilingSample, Unit, stats};

/// Bursts on one side of the work.
const BURSTS: usize = 3;
/// Length of a burst.
const LENGTH: Duration = Duration::from_millis(4);

/// What the machine can do at most, measured around the work.
///
/// The loop is built for each side anew and dropped, so that its memory is not the cell's:
///
/// ```
/// # use scenario::{Bursts, Unproved};
/// # use machine::ceiling::Level;
/// # let mut measured = Unproved::default().without_proof("an example");
/// let mut ceiling = Bursts::read(Level::L2, 1);
/// ceiling.burst()?;
/// measured.memory_from_here();
/// // The timed work stands here.
/// measured.memory_to_here();
/// ceiling.burst()?;
/// measured.rate_under("read_bytes_per_s", 1e3, ceiling.sample().ok_or("no burst")?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bursts {
    kind: Kind,
    name: String,
    rates_per_s: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    MultiplyAdd(Isa, usize),
    Read(Level, usize),
}

impl Bursts {
    /// Multiply-adds on registers, in flop/s.
    pub fn multiply_add(isa: Isa, threads: usize) -> Self {
        Self { kind: Kind::MultiplyAdd(isa, threads), name: String::new(), rates_per_s: Vec::new() }
    }

    /// Reads from a level of the memory hierarchy, in bytes/s.
    pub fn read(level: Level, threads: usize) -> Self {
        Self { kind: Kind::Read(level, threads), name: String::new(), rates_per_s: Vec::new() }
    }

    /// Measures one side.
    ///
    /// # Errors
    /// The machine does not have this ceiling.
    pub fn burst(&mut self) -> Result<(), Unavailable> {
        let (name, mut burst): (String, Box<dyn FnMut() -> Burst>) = match self.kind {
            Kind::MultiplyAdd(isa, threads) => {
                let mut of = FmaLoop::new(isa, threads)?;
                (of.name(), Box::new(move || of.burst(LENGTH)))
            }
            Kind::Read(level, threads) => {
                let mut of = ReadLoop::new(level, threads)?;
                (of.name(), Box::new(move || of.burst(LENGTH)))
            }
        };
        self.name = name;
        self.rates_per_s.extend((0..BURSTS).map(|_| burst().per_s()));
        Ok(())
    }

    /// The ceiling for the record; `None` before the first burst.
    pub fn sample(&self) -> Option<CeilingSample> {
        Some(CeilingSample {
            name: self.name.clone(),
            unit: match self.kind {
                Kind::MultiplyAdd(..) => Unit::FlopPerSecond,
                Kind::Read(..) => Unit::BytesPerSecond,
            },
            bursts_per_s: stats::median(&self.rates_per_s)?,
            best_per_s: self.rates_per_s.iter().copied().reduce(f64::max)?,
            n: self.rates_per_s.len() as u64,
        })
    }
}
