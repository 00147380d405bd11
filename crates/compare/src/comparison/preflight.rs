//! Before measuring: is the machine quiet enough?

use std::time::{Duration, Instant};

use anyhow::Result;
use machine::noise::{self, Noise};

use super::project::Invocation;

/// How long each observation takes.
const LOOK: Duration = Duration::from_secs(1);
/// Largest share of time stolen by other guests on a quiet machine.
const MOST_STEAL: f64 = 0.05;
/// Largest share of time in which some thread waited for a processor on a quiet machine.
const MOST_PRESSURE: f64 = 0.10;

/// Waits for a quiet moment, up to `patience`. Returns a remark if there was none. Without patience it does not look:
/// a look takes a second, and each block is judged by its own disturbance.
pub(super) fn wait_for_quiet(invocation: &Invocation, patience: Duration) -> Result<Option<String>> {
    if patience.is_zero() {
        return Ok(None);
    }
    let start = Instant::now();
    let mut told = false;
    loop {
        let before = noise::Sample::take();
        std::thread::sleep(LOOK);
        invocation.interrupt.check()?;
        let noise = noise::Sample::take().since(&before);
        let Some(reason) = unfit(&noise) else { return Ok(None) };
        if start.elapsed() >= patience {
            return Ok(Some(format!(
                "contamination risk: the machine was not quiet within {:.0} s before measuring ({reason})",
                patience.as_secs_f64()
            )));
        }
        if !told {
            invocation.console.note(&format!(
                "waiting up to {:.0} s for a quiet machine ({reason}; --wait) …",
                patience.as_secs_f64()
            ));
            told = true;
        }
    }
}

/// Why the machine is not quiet now. The load average is not used: it includes our own build of minutes ago.
fn unfit(noise: &Noise) -> Option<String> {
    let over = |what: &str, share: Option<f64>, most: f64| {
        share.filter(|share| *share > most).map(|share| format!("{what} {:.0} %", 100.0 * share))
    };
    over("stolen time", noise.steal_share, MOST_STEAL)
        .or_else(|| over("processor pressure", noise.psi_share, MOST_PRESSURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_and_pressure_are_told_and_hidden_ones_pass() {
        let noise = |steal, psi| Noise { steal_share: steal, psi_share: psi, ..Noise::default() };
        assert_eq!(unfit(&noise(None, None)), None);
        assert_eq!(unfit(&noise(Some(0.01), Some(0.02))), None);
        assert_eq!(unfit(&noise(Some(0.2), None)).unwrap(), "stolen time 20 %");
        assert_eq!(unfit(&noise(None, Some(0.5))).unwrap(), "processor pressure 50 %");
    }
}
