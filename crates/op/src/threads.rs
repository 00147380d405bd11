//! One meaning of "threads" for every op.

use std::{fmt, num::NonZeroUsize, str::FromStr};

use machine::threads;

/// How many threads may work on one call, the calling thread included; at least 1.
///
/// - `1` ([`Threads::SERIAL`]): the call runs on the calling thread alone. It starts no thread, wakes none and enters
///   no pool.
/// - More: the call splits its output into at most this many parts. An op that uses rayon hands them to the pool it is
///   called from (the one the caller entered with `install`, else the global one) and never builds a pool of its own.
///   An op without a pool starts scoped threads that end before the call returns. Its documentation says which.
///
/// It is an upper bound: a small problem uses fewer threads, and a pool has as many as it has.
/// [`Ran::threads`](crate::Ran::threads) reports how many worked. Results do not depend on the number, down to the last
/// bit.
///
/// ```
/// use op::Threads;
/// let two = Threads::new(2).expect("2 is not 0");
/// assert_eq!((two.get(), two.is_serial()), (2, false));
/// assert_eq!(two.min(1), Threads::SERIAL);
/// assert_eq!("4".parse::<Threads>()?.get(), 4);
/// assert!(Threads::new(0).is_none());
/// # Ok::<(), std::num::ParseIntError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Threads(NonZeroUsize);

impl Threads {
    /// The calling thread alone.
    pub const SERIAL: Self = Self(NonZeroUsize::MIN);

    /// `count` threads; `None` for 0.
    pub const fn new(count: usize) -> Option<Self> {
        match NonZeroUsize::new(count) {
            Some(count) => Some(Self(count)),
            None => None,
        }
    }

    /// As many as this process may usefully run, see [`machine::threads::available`].
    pub fn available() -> Self {
        Self::new(threads::available()).unwrap_or(Self::SERIAL)
    }

    /// The number, at least 1.
    pub const fn get(self) -> usize {
        self.0.get()
    }

    /// Whether the calling thread works alone.
    pub const fn is_serial(self) -> bool {
        self.get() == 1
    }

    /// At most `parts` threads, and at least one: for work that splits into so many parts.
    #[must_use]
    pub fn min(self, parts: usize) -> Self {
        Self::new(self.get().min(parts)).unwrap_or(Self::SERIAL)
    }
}

/// [`Threads::SERIAL`]: a library does not take threads that nobody offered.
impl Default for Threads {
    fn default() -> Self {
        Self::SERIAL
    }
}

impl From<NonZeroUsize> for Threads {
    fn from(count: NonZeroUsize) -> Self {
        Self(count)
    }
}

impl From<Threads> for NonZeroUsize {
    fn from(threads: Threads) -> Self {
        threads.0
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Threads {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_one_thread() {
        assert!(Threads::available().get() >= 1);
        assert_eq!(Threads::default(), Threads::SERIAL);
        assert_eq!(Threads::available().min(0), Threads::SERIAL);
        assert_eq!(Threads::new(3).map(|threads| (threads.min(2).get(), threads.min(9).get())), Some((2, 3)));
        assert!("0".parse::<Threads>().is_err() && "-1".parse::<Threads>().is_err() && "".parse::<Threads>().is_err());
    }
}
