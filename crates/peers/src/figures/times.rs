//! Times by tool.

use chart::{Bar, BarKind, TimePanel, Times};
use record::Unit;

use super::{Panel, timed};
use crate::results::Measured;
use crate::row::Row;

/// The chart as an SVG document.
pub(crate) fn times(measured: &Measured, (title, class): (&str, &str), threads: usize, panels: &[Panel]) -> String {
    let figure = Times {
        title: title.to_owned(),
        subtitle: measured.subtitle(class, threads),
        panels: panels.iter().map(|panel| bars(measured, threads, panel)).collect(),
    };
    figure.svg()
}

/// Our bar, then those of the peers that were timed, our own program with other parameters last.
fn bars(measured: &Measured, threads: usize, panel: &Panel) -> TimePanel {
    let is_row = |row: &&Row| row.case == panel.case && row.threads == threads;
    let rows: Vec<&Row> = measured.rows.iter().filter(is_row).collect();
    let mut bars = Vec::new();
    if let Some(time) = rows.iter().find_map(|row| row.ours_s) {
        let shown = Unit::Seconds.show(time);
        bars.push(Bar { name: "ours".to_owned(), time, interval: None, shown, kind: BarKind::Ours });
    }
    for is_own in [false, true] {
        for row in rows.iter().filter(|row| measured.is_own(&row.peer) == is_own) {
            let (Some((ratio, [low, high])), Some(ours)) = (timed(row), row.ours_s) else { continue };
            let kind = match is_own {
                true => BarKind::Bound,
                false if high < 1.0 => BarKind::Faster,
                false => BarKind::Peer,
            };
            let decimals = if ratio < 0.01 { 4 } else { 2 };
            let shown = format!("{} ({ratio:.decimals$}×)", Unit::Seconds.show(ours * ratio));
            let interval = Some([ours * low, ours * high]);
            bars.push(Bar { name: measured.label(&row.peer).to_owned(), time: ours * ratio, interval, shown, kind });
        }
    }
    TimePanel { title: panel.label.clone(), bars }
}
