//! Golden reports: every form of one entry, compared byte for byte, so that a change of rendering is a decision.
//!
//! After a decision: `ASSAY_BLESS=1 cargo test -p compare golden`. The log is the exception: a form that entries were
//! once written in never changes. Another form gets another number (`RENDER`) and another golden file.

use super::entry::tests::example;
use super::figures::Figures;
use super::{Entry, github, json, markdown, text};
use record::bench_row::SourceLine;
use record::{Allocations, Proof, Unit};

/// The example with figures, proof, ceiling, a worse metric, a source line and an accepted regression.
pub(crate) fn full() -> Entry {
    let mut entry = example();
    let figures = |time: f64, share: f64| Figures {
        time,
        unit: "ns".into(),
        quartiles: Some([time * 0.99, time * 1.01]),
        n: 24,
        share: Some(share),
        ceiling: Some("fma f32 avx2 t1".into()),
        rate: Some((2.0e9 / time, Unit::FlopPerSecond)),
        peak_rss_bytes: Some(4_194_304.0),
        allocations: Some(Allocations { count: 1, bytes: 64 }),
        ran: [("isa".to_owned(), "avx2".to_owned()), ("kernel".to_owned(), "cpu-avx2".to_owned())].into(),
        proof: Some(Proof {
            method: "freivalds".into(),
            error: Some(1.2e-7),
            tolerance: 3.0e-6,
            worst_index: Some(7),
            checked: 1000,
            input_hash: "0011223344556677".into(),
            output_hash: None,
            same_as: None,
            failure: None,
        }),
    };
    for (row, (before, after)) in entry.rows.iter_mut().zip([(1000.0, 1127.0), (1000.0, 819.0), (1000.0, 1000.0)]) {
        row.base = Some(figures(before, 0.5));
        row.head = Some(figures(after, 0.5 * before / after));
    }
    let mut fatter = figures(1000.0, 0.5);
    fatter.allocations = Some(Allocations { count: 3, bytes: 192 });
    entry.rows[2].metrics = super::changes(&super::Rules::default(), &figures(1000.0, 0.5), &fatter, (1000, 1005));
    entry.rows[0].source = Some(SourceLine { file: "benches/gemm.rs".into(), line: 41 });
    entry.rows[1].accepted = None;
    entry
}

fn check(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/golden").join(name);
    if std::env::var_os("ASSAY_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{} differs from what is rendered now:\n{text}", path.display());
}

#[test]
fn every_report_matches_its_golden_file() {
    let entry = full();
    check("entry_first_form.md", &markdown(&Entry { render: 1, ..full() }).unwrap());
    check("entry.md", &markdown(&entry).unwrap());
    check("terminal.txt", &text::terminal(&entry));
    check("entry.json", &format!("{}\n", serde_json::to_string_pretty(&json(&entry)).unwrap()));
    check("summary.md", &github::summary(&entry));
    check("comment.md", &github::comment(&entry));
    check("annotations.txt", &format!("{}\n", github::annotations(&entry).join("\n")));
}
