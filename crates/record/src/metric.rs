//! A measured number with its unit, its direction and its spread.
//!
//! Data hold SI base units only; thousands, KiB and milliseconds appear when a number is shown to people.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a number counts. Data are always in the base unit: seconds, bytes, FLOP/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Seconds; shown as ns, µs, ms or s.
    Seconds,
    /// Bytes; shown in powers of 1024: KiB, MiB, GiB.
    Bytes,
    /// Bytes per second; shown in powers of 1000: MB/s, GB/s.
    BytesPerSecond,
    /// Floating-point operations, a multiply-add counting as two.
    Flop,
    /// Floating-point operations per second; shown as GFLOP/s.
    FlopPerSecond,
    /// Elements (voxels, tokens, rows: the name of the metric says which) per second.
    ElementsPerSecond,
    /// A number of things.
    Count,
    /// A quotient of two equal units; 0.5 is a half.
    Ratio,
    /// Machine instructions executed.
    Instructions,
}

impl Unit {
    /// The base unit's symbol; empty for plain numbers.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::Bytes => "B",
            Unit::BytesPerSecond => "B/s",
            Unit::Flop => "FLOP",
            Unit::FlopPerSecond => "FLOP/s",
            Unit::ElementsPerSecond => "elements/s",
            Unit::Count | Unit::Ratio => "",
            Unit::Instructions => "instructions",
        }
    }

    /// `value`, given in the base unit, for people: four significant digits and a prefix that fits.
    ///
    /// ```
    /// use record::Unit;
    /// assert_eq!(Unit::Seconds.show(0.001_234_6), "1.235 ms");
    /// assert_eq!(Unit::Bytes.show(1536.0), "1.500 KiB");
    /// assert_eq!(Unit::FlopPerSecond.show(95.8e9), "95.80 GFLOP/s");
    /// ```
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return format!("{value} {}", self.symbol()).trim_end().to_string();
        }
        match self {
            Unit::Ratio => four_digits(value),
            Unit::Count | Unit::Instructions if value.fract() == 0.0 && value.abs() < 1e15 => {
                let digits = group_thousands(value);
                format!("{digits} {}", self.symbol()).trim_end().to_string()
            }
            Unit::Bytes if value.abs() < 1024.0 && value.fract() == 0.0 => format!("{value} B"),
            Unit::Bytes => scaled(value, 1024.0, &["", "Ki", "Mi", "Gi", "Ti"], 0, "B"),
            Unit::Seconds => scaled(value, 1000.0, &["n", "µ", "m", ""], 3, "s"),
            _ => scaled(value, 1000.0, &["", "k", "M", "G", "T"], 0, self.symbol()).trim_end().to_string(),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Times, sizes, error norms.
    LowerIsBetter,
    /// Rates and shares of a ceiling.
    HigherIsBetter,
    /// Neither: a description of the work.
    Neutral,
}

/// One measured number of one row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Name with its unit last, as in `peak_rss_bytes`.
    pub name: String,
    /// The value in the base unit; `None` when it was not measured, never 0 for that.
    pub value: Option<f64>,
    /// Unit of `value`, `low` and `high`.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// How many independent samples (processes, not iterations) stand behind `value`; 0 when not measured.
    pub n: u64,
    /// Lower end of the 95 % signed-rank interval where n allows one, else the smallest sample.
    pub low: Option<f64>,
    /// Upper end of the same interval, or the largest sample.
    pub high: Option<f64>,
}

impl fmt::Display for Metric {
    /// The value for people, `n/a` when it was not measured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => f.pad(&self.unit.show(value)),
            None => f.pad("n/a"),
        }
    }
}

/// `value` times `step` to the power that brings it into 1..step; `prefixes[base]` belongs to the base unit.
fn scaled(value: f64, step: f64, prefixes: &[&str], base: usize, symbol: &str) -> String {
    let (mut scale, mut at) = (1.0, base);
    // 999.95 is where four digits would round up to the next prefix.
    let rounds_up = |shown: f64| shown.abs() >= step - 0.05;
    while at + 1 < prefixes.len() && rounds_up(value / scale) {
        scale *= step;
        at += 1;
    }
    while at > 0 && value != 0.0 && !rounds_up(value / scale * step) && value.abs() / scale < 1.0 {
        scale /= step;
        at -= 1;
    }
    format!("{} {}{symbol}", four_digits(value / scale), prefixes[at])
}

/// Four significant digits, without an exponent while that stays readable.
fn four_digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    // Through the exponent that rounding leaves, so that 9.9996 becomes 10.00, not 10.000.
    let rounded = format!("{value:.3e}");
    let exponent: i32 = rounded.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    match exponent {
        -5..=3 => format!("{value:.*}", (3 - exponent) as usize),
        4..=9 => format!("{value:.0}"),
        _ => rounded,
    }
}

fn group_thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0.0 {
        grouped.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
