//! Rates of square products against their size.

use anyhow::{Context as _, Result};
use chart::{RatePoint, RateSeries, Rates};

use super::timed;
use crate::results::Measured;
use crate::row::Row;
use crate::suite::pattern;

/// The chart as an SVG document.
pub(crate) fn rates(
    measured: &Measured,
    (title, class): (&str, &str),
    cases: &str,
    threads: usize,
    peers: &[String],
) -> Result<String> {
    let ids = pattern(cases)?;
    let mut sized: Vec<(f64, &Row)> = Vec::new();
    for row in measured.rows.iter().filter(|row| row.threads == threads) {
        if let Some(found) = ids.captures(&row.case) {
            let size = found.get(1).and_then(|size| size.as_str().parse().ok());
            sized.push((size.with_context(|| format!("{cases}: its first group is no number in {}", row.case))?, row));
        }
    }
    sized.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Each size once: every peer has a row of it.
    let mut ours: Vec<RatePoint> = Vec::new();
    let mut ceiling: Vec<[f64; 2]> = Vec::new();
    for (size, row) in &sized {
        let Some(rate) = row.ours_s.map(|time| gflop_per_s(*size, time)) else { continue };
        if ours.last().is_some_and(|point| point.size == *size) {
            continue;
        }
        let is_lost = sized.iter().any(|(of, row)| {
            of == size && timed(row).is_some_and(|(_, [_, high])| high < 1.0) && !measured.is_own(&row.peer)
        });
        ours.push(RatePoint { size: *size, rate, interval: None, is_lost });
        ceiling.extend(row.believable_share().map(|share| [*size, rate / share]));
    }
    let mut series = vec![RateSeries { name: "ours".to_owned(), points: ours }];
    for peer in peers {
        let point = |(size, row): &(f64, &Row)| {
            let (ratio, [low, high]) = timed(row)?;
            let rate = gflop_per_s(*size, row.ours_s?);
            Some(RatePoint {
                size: *size,
                rate: rate / ratio,
                interval: Some([rate / high, rate / low]),
                is_lost: false,
            })
        };
        let points: Vec<RatePoint> = sized.iter().filter(|(_, row)| row.peer == *peer).filter_map(point).collect();
        if !points.is_empty() {
            series.push(RateSeries { name: peer.clone(), points });
        }
    }
    let figure = Rates {
        title: title.to_owned(),
        subtitle: measured.subtitle(class, threads),
        size: "n of C (n × n) = A (n × n) · B (n × n)".to_owned(),
        rate: "GFLOP/s".to_owned(),
        ceiling_name: "ceiling: multiply-adds on registers, in the same rounds".to_owned(),
        ceiling,
        series,
    };
    Ok(figure.svg())
}

/// Billions of floating-point operations a second, of the 2n³ of a product.
fn gflop_per_s(n: f64, time_s: f64) -> f64 {
    2.0 * n.powi(3) / time_s / 1e9
}
