//! Which variant of a kernel is the fastest: measured once for each class of problems, and remembered.
//!
//! The first problem of a class is computed by every candidate, a few milliseconds each, and the fastest is taken.
//! Where the device has no clock of its own, as a software adapter, nothing is measured and the first candidate is
//! taken, which ops list as the safe one.
//!
//! Choices are kept with those of other processes by `pipeline-cache`, under a key of the device, its driver and the
//! text of all kernels. With other candidates, an older choice counts no more.

use std::{
    fmt::Display,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pipeline_cache::{Cache, Choices, Digest, Key, Question, Stored};

use crate::{Clock, GpuError, Source, Step, Wgpu};

/// How long a candidate is measured.
const MEASURED: Duration = Duration::from_millis(4);
/// The share of the time of an earlier candidate that a later one may take: the order is from safe to special.
const MARGIN: f64 = 0.98;

/// Chooses among variants on a device.
#[derive(Debug)]
pub struct Tuner {
    gpu: Wgpu,
    kept: Option<(Arc<Cache>, Key)>,
    choices: Mutex<Choices>,
}

impl Tuner {
    /// Whose choices end with the process.
    pub fn new(gpu: &Wgpu) -> Self {
        Self { gpu: gpu.clone(), kept: None, choices: Mutex::default() }
    }

    /// Whose choices begin with those in `cache`; [`save`](Self::save) adds its own. `sources` are all kernels among
    /// which it will choose: with another text, the key is another.
    pub fn kept<'a>(gpu: &Wgpu, cache: Arc<Cache>, sources: impl IntoIterator<Item = &'a Source>) -> Self {
        let key = gpu.key_of(sources);
        let choices = Mutex::new(Choices::load(&cache, &key));
        Self { gpu: gpu.clone(), kept: Some((cache, key)), choices }
    }

    /// Writes the choices that were made.
    pub fn save(&self) -> Stored {
        let Some((cache, key)) = &self.kept else { return Stored::Nothing };
        self.choices.lock().unwrap_or_else(PoisonError::into_inner).save(cache, key)
    }

    /// Its device.
    pub fn gpu(&self) -> &Wgpu {
        &self.gpu
    }

    /// The candidate for a class of problems of an op: the one that is known, else the one that `measure` finds
    /// fastest. `None` without candidates.
    ///
    /// # Errors
    /// That of the last candidate, where all fail.
    pub fn choose<V: Copy + Display + FromStr, E>(
        &self,
        op: &str,
        class: &str,
        candidates: &[V],
        measure: impl FnMut(V) -> Result<Duration, E>,
    ) -> Result<Option<V>, E> {
        let names: Vec<String> = candidates.iter().map(V::to_string).collect();
        let question = Question { op, class, candidates: Digest::of_texts(names.iter().map(String::as_str)) };
        let known = self.choices.lock().unwrap_or_else(PoisonError::into_inner).get::<V>(question);
        if known.is_some() || candidates.len() < 2 || !matches!(self.gpu.clock(), Clock::Timestamps { .. }) {
            return Ok(known.or(candidates.first().copied()));
        }
        let fastest = fastest(candidates, measure)?;
        if let Some(fastest) = &fastest {
            self.choices.lock().unwrap_or_else(PoisonError::into_inner).set(question, fastest);
        }
        Ok(fastest)
    }

    /// The time of these dispatches, once the device is awake: the least of three rounds.
    ///
    /// # Errors
    /// As [`Wgpu::time`].
    pub fn measured(&self, steps: &[Step<'_>]) -> Result<Duration, GpuError> {
        let once = self.gpu.time(steps, 2)? / 2;
        let rounds = (MEASURED.as_nanos() / 3 / once.as_nanos().max(1)).clamp(1, 1000) as u32;
        let mut least = Duration::MAX;
        for _ in 0..3 {
            least = least.min(self.gpu.time(steps, u64::from(rounds))? / rounds);
        }
        Ok(least)
    }
}

/// The candidate that takes least time, or an earlier one that takes hardly more. One that fails does not count, unless
/// all do.
fn fastest<V: Copy, E>(candidates: &[V], mut measure: impl FnMut(V) -> Result<Duration, E>) -> Result<Option<V>, E> {
    let mut best: Option<(V, Duration)> = None;
    let mut failure = None;
    for &candidate in candidates {
        match measure(candidate) {
            Ok(time) => {
                if best.is_none_or(|(_, least)| time.as_secs_f64() < MARGIN * least.as_secs_f64()) {
                    best = Some((candidate, time));
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    match (best, failure) {
        (None, Some(error)) => Err(error),
        (best, _) => Ok(best.map(|(candidate, _)| candidate)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_is_chosen_and_an_earlier_one_where_it_is_as_good() {
        let of = |times: &[Option<u64>]| {
            let candidates: Vec<usize> = (0..times.len()).collect();
            fastest(&candidates, |at| times[at].map(Duration::from_micros).ok_or(at))
        };
        assert_eq!(of(&[Some(100), Some(60), Some(80)]), Ok(Some(1)));
        assert_eq!(of(&[Some(100), Some(99), Some(101)]), Ok(Some(0)), "hardly faster");
        assert_eq!(of(&[None, Some(70), None]), Ok(Some(1)), "what fails does not count");
        assert_eq!(of(&[None, None]), Err(1));
        assert_eq!(of(&[]), Ok(None));
    }
}
