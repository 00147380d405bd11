//! Ratios to the peers of all ops.

use chart::{Ratio, RatioPanel, RatioRow, Ratios};
use record::stats;

use super::timed;
use crate::report::counted;
use crate::results::Measured;

/// Ends of the axis: half as fast as the peer to a hundred times as fast.
const DOMAIN: [f64; 2] = [0.5, 100.0];

/// The chart of all ops as an SVG document.
pub(crate) fn ratios(measured: &[Measured], class: &str) -> String {
    let figure = Ratios {
        title: "Time of other people's programs divided by ours".to_owned(),
        subtitle: format!("Every case and number of threads is a mark. Machine class {class}"),
        axis: "time of the peer ÷ our time".to_owned(),
        domain: DOMAIN,
        panels: measured.iter().map(panel).collect(),
    };
    figure.svg()
}

fn panel(measured: &Measured) -> RatioPanel {
    let mut rows: Vec<RatioRow> = Vec::new();
    for peer in measured.suite.peers.iter().filter(|peer| !measured.is_own(&peer.name)) {
        let ratio = |row: &crate::row::Row| {
            let (ratio, interval) = timed(row)?;
            Some(Ratio { name: format!("{}, {}, {}", row.peer, row.case, counted(row.threads)), ratio, interval })
        };
        let ratios: Vec<Ratio> = measured.rows.iter().filter(|row| row.peer == peer.name).filter_map(ratio).collect();
        let values: Vec<f64> = ratios.iter().map(|ratio| ratio.ratio).collect();
        rows.push(RatioRow { label: peer.name.clone(), median: stats::median(&values), ratios });
    }
    RatioPanel {
        title: format!("{}: {}", measured.op, measured.suite.title),
        source: measured.revision().to_owned(),
        rows,
    }
}
