//! Times on the command line and in settings.

use std::time::Duration;

/// "0.05,0.2": two positive numbers of seconds.
pub(super) fn times(text: &str) -> Result<(f64, f64), String> {
    let parse = |part: &str| part.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0 && seconds.is_finite());
    text.split_once(',')
        .and_then(|(warm_up, measurement)| Some((parse(warm_up)?, parse(measurement)?)))
        .ok_or_else(|| format!("`{text}` is not two times such as 0.05,0.2"))
}

/// "90s", "5m", "1h" or plain seconds.
///
/// # Errors
/// What is not a time, or none.
pub fn duration(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| if time.is_zero() { Err(format!("`{text}` is no time at all")) } else { Ok(time) })
}

/// A time, which may be none.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 90s, 5m or 1h");
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let factor = match unit {
        "s" | "" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * factor).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for wrong in ["", "m", "5 weeks", "-3s", "0s", "nan"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(time("0s"), Ok(Duration::ZERO));
        assert!(time("-0.1s").is_err());
    }
}
