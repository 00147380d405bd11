//! Scales: values to coordinates, and ticks at values that people choose.

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub value: f64,
    /// What it is called.
    pub label: String,
}

/// How values are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Log,
    /// Of changes: ratio minus one, spread by the logarithm of the ratio, so that twice and half are equally far.
    Change,
}

/// Maps values of a domain to coordinates of a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    kind: Kind,
    domain: [f64; 2],
    range: [f64; 2],
}

impl Scale {
    /// Equal steps are equally far. The domain is widened to something if it is a point or not finite.
    pub fn linear(domain: [f64; 2], range: [f64; 2]) -> Self {
        Self::new(Kind::Linear, domain, range)
    }

    /// Equal ratios are equally far. The domain must be positive; what is not is replaced by 1.
    pub fn log(domain: [f64; 2], range: [f64; 2]) -> Self {
        Self::new(Kind::Log, domain, range)
    }

    /// For changes, ratios minus one: +100 % and -50 % are equally far from 0.
    pub fn change(domain: [f64; 2], range: [f64; 2]) -> Self {
        Self::new(Kind::Change, domain, range)
    }

    fn new(kind: Kind, domain: [f64; 2], range: [f64; 2]) -> Self {
        let sound =
            domain.map(|value| Some(value).filter(|value| kind.spread(*value).is_some()).unwrap_or(kind.neutral()));
        let [mut low, mut high] = if sound[0] <= sound[1] { sound } else { [sound[1], sound[0]] };
        if low == high {
            (low, high) = kind.around(low);
        }
        Self { kind, domain: [low, high], range }
    }

    /// The coordinate of a value; `None` if it has none (NaN, or not positive on a log scale). Values beyond the domain
    /// lie beyond the range.
    pub fn at(&self, value: f64) -> Option<f64> {
        let [low, high] = self.domain.map(|end| self.kind.spread(end).unwrap_or(0.0));
        let share = (self.kind.spread(value)? - low) / (high - low);
        Some(self.range[0] + share * (self.range[1] - self.range[0]))
    }

    /// The coordinate of a value, moved to the nearer end if it lies beyond the range.
    pub fn clamped(&self, value: f64) -> Option<f64> {
        let [low, high] = [self.range[0].min(self.range[1]), self.range[0].max(self.range[1])];
        self.at(value).map(|x| x.clamp(low, high))
    }

    /// About `wanted` ticks inside the domain. Labels of changes are in percent.
    pub fn ticks(&self, wanted: usize) -> Vec<Tick> {
        let wanted = wanted.max(2);
        let values = match self.kind {
            Kind::Linear => steps(self.domain, wanted),
            Kind::Log => powers(self.domain, wanted),
            // A narrow change is nearly linear; a wide one is told in doublings and halvings.
            Kind::Change if self.domain[0] > -0.4 && self.domain[1] < 0.7 => steps(self.domain, wanted),
            Kind::Change => doublings(self.domain, wanted),
        };
        let label = |value: f64| match self.kind {
            Kind::Change if value == 0.0 => "0 %".to_owned(),
            Kind::Change => format!("{}{} %", if value > 0.0 { "+" } else { "" }, show_number(100.0 * value)),
            _ => show_number(value),
        };
        values.into_iter().map(|value| Tick { value, label: label(value) }).collect()
    }
}

impl Kind {
    /// The value on an even line.
    fn spread(self, value: f64) -> Option<f64> {
        let spread = match self {
            Kind::Linear => value,
            Kind::Log => value.ln(),
            Kind::Change => value.ln_1p(),
        };
        spread.is_finite().then_some(spread)
    }

    fn neutral(self) -> f64 {
        if self == Kind::Log { 1.0 } else { 0.0 }
    }

    /// A domain around a single value.
    fn around(self, value: f64) -> (f64, f64) {
        match self {
            Kind::Linear if value == 0.0 => (-1.0, 1.0),
            Kind::Linear => (value - value.abs() / 2.0, value + value.abs() / 2.0),
            Kind::Log => (value / 2.0, value * 2.0),
            Kind::Change => ((1.0 + value) / 1.1 - 1.0, (1.0 + value) * 1.1 - 1.0),
        }
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn steps([low, high]: [f64; 2], wanted: usize) -> Vec<f64> {
    let raw = (high - low) / wanted as f64;
    let decade = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|step| *step >= raw).unwrap_or(10.0 * decade);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    // Bounded: a domain has at most twice as many steps as were wanted.
    (0..=(last - first).max(0.0).min(4.0 * wanted as f64) as i64).map(|at| round((first + at as f64) * step)).collect()
}

/// Powers of ten; with 2 and 5 between them where there is room, and fewer of them where there is none.
fn powers([low, high]: [f64; 2], wanted: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let inside = |value: &f64| *value >= low * (1.0 - 1e-9) && *value <= high * (1.0 + 1e-9);
    let with = |factors: &[f64], every: i32| -> Vec<f64> {
        let decades = (first..=last).filter(|at| at.rem_euclid(every) == 0);
        decades.flat_map(|at| factors.iter().map(move |f| round(f * 10f64.powi(at)))).filter(inside).collect()
    };
    let dense = with(&[1.0, 2.0, 5.0], 1);
    if dense.len() <= wanted + 1 {
        // Less than an octave of them: linear steps say more.
        return if dense.len() >= 2 { dense } else { steps([low, high], wanted) };
    }
    let every = ((last - first) as usize).div_ceil(wanted).max(1) as i32;
    with(&[1.0], every)
}

/// Changes at ratios that are powers of two.
fn doublings([low, high]: [f64; 2], wanted: usize) -> Vec<f64> {
    let (first, last) = (low.ln_1p() / std::f64::consts::LN_2, high.ln_1p() / std::f64::consts::LN_2);
    let (first, last) = (first.ceil() as i32, last.floor() as i32);
    let every = ((last - first).max(1) as usize).div_ceil(wanted).max(1) as i32;
    (first..=last).filter(|at| at.rem_euclid(every) == 0).map(|at| 2f64.powi(at) - 1.0).collect()
}

/// Without the last bits, which differ between equal values that were reached on different ways.
fn round(x: f64) -> f64 {
    format!("{x:.12e}").parse::<f64>().unwrap_or(x) + 0.0
}

/// A number for people: at most four digits, thousands and more by SI prefixes, small ones by powers of ten.
///
/// ```
/// assert_eq!([0.25, 12.0, 1500.0, 2e9, 0.00002].map(chart::show_number), ["0.25", "12", "1.5k", "2G", "2e-5"]);
/// ```
pub fn show_number(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return if x == 0.0 { "0".to_owned() } else { format!("{x}") };
    }
    let size = x.abs();
    let trimmed = |x: f64| {
        let decimals = (3 - x.abs().log10().floor() as i32).clamp(0, 6) as usize;
        let text = format!("{x:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    for (factor, prefix) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if size >= factor {
            return format!("{}{prefix}", trimmed(x / factor));
        }
    }
    if size < 1e-3 { format!("{x:e}").replace("0000000000000001", "") } else { trimmed(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale, wanted: usize) -> Vec<String> {
        scale.ticks(wanted).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ends_of_the_domain_lie_at_ends_of_the_range() {
        for scale in [
            Scale::linear([2.0, 10.0], [0.0, 100.0]),
            Scale::log([2.0, 10.0], [0.0, 100.0]),
            Scale::change([2.0, 10.0], [0.0, 100.0]),
        ] {
            assert!((scale.at(2.0).unwrap() - 0.0).abs() < 1e-9 && (scale.at(10.0).unwrap() - 100.0).abs() < 1e-9);
            assert_eq!(scale.clamped(1e9), Some(100.0));
            assert_eq!(scale.at(f64::NAN), None);
        }
        let log = Scale::log([1.0, 100.0], [0.0, 2.0]);
        assert_eq!((log.at(10.0), log.at(0.0), log.at(-1.0)), (Some(1.0), None, None));
        let change = Scale::change([-0.5, 1.0], [-1.0, 1.0]);
        assert!(change.at(0.0).unwrap().abs() < 1e-9, "half and twice are equally far");
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(&Scale::linear([0.0, 10.0], [0.0, 1.0]), 5), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(&Scale::change([-0.1, 0.22], [0.0, 1.0]), 6), ["-10 %", "0 %", "+10 %", "+20 %"]);
        assert_eq!(labels(&Scale::change([-0.8, 3.5], [0.0, 1.0]), 6), ["-75 %", "-50 %", "0 %", "+100 %", "+300 %"]);
        assert_eq!(labels(&Scale::log([1.0, 1e4], [0.0, 1.0]), 6), ["1", "10", "100", "1k", "10k"]);
        assert_eq!(labels(&Scale::log([0.5, 10.0], [0.0, 1.0]), 6), ["0.5", "1", "2", "5", "10"]);
        assert_eq!(labels(&Scale::log([1.1, 1.5], [0.0, 1.0]), 4), ["1.1", "1.2", "1.3", "1.4", "1.5"]);
    }

    #[test]
    fn any_domain_gives_a_bounded_number_of_finite_ticks() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 1.0, 1e300, -1e300];
        for (low, high) in odd.iter().flat_map(|low| odd.map(|high| (*low, high))) {
            for scale in [
                Scale::linear([low, high], [0.0, 1.0]),
                Scale::log([low, high], [0.0, 1.0]),
                Scale::change([low, high], [0.0, 1.0]),
            ] {
                let ticks = scale.ticks(6);
                assert!(ticks.len() <= 30 && ticks.iter().all(|tick| tick.value.is_finite()), "{low} {high} {ticks:?}");
            }
        }
    }
}
