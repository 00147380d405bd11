//! A calibrated slowdown, to test a comparison on a known difference.

use std::hint::spin_loop;
use std::num::ParseFloatError;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Slowdowns by id, as given in `ASSAY_INJECT`: `ID=+5%;OTHER=+10%`, `*` for every id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Injection(Vec<(String, f64)>);

/// Why the text is not a list of slowdowns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("`{item}` is not of the form ID=+5%")]
    Form { item: String },
    #[error("`{item}`: {source}")]
    Number { item: String, source: ParseFloatError },
    #[error("`{item}`: a slowdown is positive and finite")]
    Range { item: String },
}

impl FromStr for Injection {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let items = text.split(';').map(str::trim).filter(|item| !item.is_empty());
        items.map(slowdown).collect::<Result<_, _>>().map(Self)
    }
}

fn slowdown(item: &str) -> Result<(String, f64), Malformed> {
    let form = || Malformed::Form { item: item.to_string() };
    // From the right: an id may contain `=`.
    let (id, amount) = item.rsplit_once('=').ok_or_else(form)?;
    let percent = amount.trim().strip_prefix('+').and_then(|rest| rest.strip_suffix('%')).ok_or_else(form)?;
    let percent: f64 = percent.parse().map_err(|source| Malformed::Number { item: item.to_string(), source })?;
    if !(percent > 0.0 && percent.is_finite()) {
        return Err(Malformed::Range { item: item.to_string() });
    }
    Ok((id.trim().to_string(), percent / 100.0))
}

impl Injection {
    /// The slowdown of one id as a share of its time; 0 for none. The last one that names the id wins.
    pub(super) fn share(&self, id: &str) -> f64 {
        let named = |(name, _): &&(String, f64)| name == id || name == "*";
        self.0.iter().rev().find(named).map_or(0.0, |(_, share)| *share)
    }
}

/// Spins for `share` of `time` and returns how long it really was.
pub(super) fn spin(time: Duration, share: f64) -> Duration {
    if share == 0.0 {
        return Duration::ZERO;
    }
    let wanted = time.mul_f64(share);
    let start = Instant::now();
    loop {
        let spun = start.elapsed();
        if spun >= wanted {
            return spun;
        }
        spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowdowns_are_read() {
        let injection: Injection = "a/b/c=+5%; x=y=+12.5% ;".parse().unwrap();
        assert_eq!([injection.share("a/b/c"), injection.share("x=y"), injection.share("a/b")], [0.05, 0.125, 0.0]);
        let injection: Injection = "*=+1%;a=+2%".parse().unwrap();
        assert_eq!([injection.share("a"), injection.share("b")], [0.02, 0.01]);
        assert_eq!("".parse(), Ok(Injection::default()));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["a", "a=5%", "a=+5", "a=-5%", "a=+x%", "a=+%", "a=+0%", "a=+-5%", "a=+inf%", "a=+NaN%", "a=+5%,b=+5%x"]
        {
            assert!(text.parse::<Injection>().is_err(), "{text}");
        }
    }

    #[test]
    fn spinning_takes_at_least_its_share() {
        assert!(spin(Duration::from_micros(100), 0.5) >= Duration::from_micros(50));
        assert_eq!(spin(Duration::from_secs(100), 0.0), Duration::ZERO);
    }
}
