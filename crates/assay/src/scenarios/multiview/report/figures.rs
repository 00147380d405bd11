//! Figures of the sweep.

use chart::{RatePoint, RateSeries, Rates};
use scenario::Figure;

use super::{Figures, MIB, Pair};

/// Memory and time against frames, at 518 pixels.
pub(super) fn of(large: &[&Pair]) -> Vec<Figure> {
    if large.len() < 2 {
        return Vec::new();
    }
    let figure = |name: &str, title: &str, unit: &str, value: &dyn Fn(&Figures) -> f64| {
        let series = |name: &str, of: &dyn Fn(&Pair) -> Figures| RateSeries {
            name: name.to_owned(),
            points: large
                .iter()
                .map(|pair| RatePoint {
                    size: pair.images() as f64,
                    rate: value(&of(pair)),
                    interval: None,
                    is_lost: false,
                })
                .collect(),
        };
        let rates = Rates {
            title: title.to_owned(),
            subtitle: "toy dimensions, 518px, medians over processes that ran one variant each".to_owned(),
            size: "frames".to_owned(),
            rate: unit.to_owned(),
            ceiling_name: String::new(),
            ceiling: Vec::new(),
            series: vec![series("opt", &|pair| pair.opt), series("full", &|pair| pair.full)],
        };
        Figure { name: name.to_owned(), title: title.to_owned(), svg: rates.svg() }
    };
    vec![
        figure("memory", "Peak memory against frames", "MiB", &|figures| figures.peak / MIB),
        figure("time", "Time against frames", "s", &|figures| figures.seconds),
    ]
}
