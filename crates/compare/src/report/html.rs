//! An entry as one HTML page: no script, no network, light and dark.

use std::fmt::Write;

use super::entry::Entry;
use super::figures::Figures;
use super::label::{Labels, plain};
use super::row::Row;
use super::sentence::sentence;
use super::{ceiling, charts, several, text};
use crate::exit::Exit;
use crate::judge::Verdict;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1f2328;--muted:#59636e;--page:#fff;--line:#d8dee4;--worse:#b93a06;--better:#0b5cad}
@media(prefers-color-scheme:dark){
:root{--ink:#e6edf3;--muted:#9198a1;--page:#0d1117;--line:#30363d;--worse:#ff8a4c;--better:#5aa9ff}
}
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;color:var(--ink);
background:var(--page);max-width:96rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.lead{font-size:1.15rem;font-weight:600;margin:.75rem 0}
.muted{color:var(--muted)}.scroll{overflow-x:auto}
code,pre,td.id{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace;font-size:.85em}
table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.25rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2),th:last-child,td:last-child{text-align:left}
td:last-child{white-space:normal;min-width:20rem}
.worse{color:var(--worse);font-weight:600}.better{color:var(--better);font-weight:600}
pre{white-space:pre-wrap;border:1px solid var(--line);border-radius:6px;padding:.75rem}
";

/// The page. `history` holds the entries of the same title and machine class, oldest first, this one last.
pub fn page(entry: &Entry, history: &[&Entry]) -> String {
    let title = if entry.title.is_empty() { "Comparison".to_owned() } else { escape(&entry.title) };
    let mut body = format!("<h1>{title}</h1>\n");
    let change = if entry.change.is_empty() { String::new() } else { format!("{}, ", escape(&entry.change)) };
    let _ =
        writeln!(body, "<p class=\"muted\">{change}{} UTC, {}</p>", escape(&entry.at), escape(&entry.machine_class));
    let class = match entry.exit() {
        Exit::Fine => "",
        _ => " worse",
    };
    let comparisons = entry.comparisons();
    let names = several::names(&comparisons);
    // With one base there is nothing to tell apart.
    let against = |at: usize| if names.len() > 1 { format!(" against {}", escape(&names[at])) } else { String::new() };
    for (at, entry) in comparisons.iter().enumerate() {
        let start = if names.len() > 1 { format!("{}: ", against(at).trim_start()) } else { String::new() };
        let _ = writeln!(body, "<p class=\"lead{class}\">{start}{}</p>", escape(&sentence(entry)));
    }
    if let Some(reason) = &entry.contaminated {
        let _ = writeln!(body, "<p class=\"lead worse\">No verdict: {}</p>", escape(reason));
    }
    if comparisons.len() > 1 {
        body.push_str(&side_by_side(&comparisons, &names));
    }
    for (at, entry) in comparisons.iter().enumerate() {
        if let Some(svg) = charts::comparison(entry) {
            let _ = writeln!(body, "<h2>Change of time{}</h2>\n<div class=\"scroll\">{svg}</div>", against(at));
        }
    }
    if let Some(svg) = charts::history(history) {
        let _ = writeln!(body, "<h2>History</h2>\n<div class=\"scroll\">{svg}</div>\n<ol>");
        for entry in history {
            let _ = writeln!(
                body,
                "<li>{}: {} <span class=\"muted\">({})</span></li>",
                escape(&entry.at),
                escape(&entry.change),
                escape(&sentence(entry))
            );
        }
        body.push_str("</ol>\n");
    }
    comparisons.iter().enumerate().for_each(|(at, entry)| body.push_str(&rows(entry, &against(at))));
    body.push_str(&origin(entry));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A line for each benchmark, a column for each base.
fn side_by_side(comparisons: &[Entry], names: &[String]) -> String {
    let mut text =
        "<h2>Against each base</h2>\n<div class=\"scroll\"><table>\n<tr><th>benchmark</th><th>after</th>".to_owned();
    names.iter().for_each(|name| write!(text, "<th>against {}</th>", escape(name)).unwrap_or_default());
    text.push_str("</tr>\n");
    for line in several::lines(comparisons).0 {
        let _ = write!(text, "<tr><td class=\"id\">{}</td>", escape(&line.label));
        let _ = write!(text, "<td>{}</td>", line.after.as_deref().unwrap_or("-"));
        for row in line.rows {
            let _ = write!(text, "<td>{}</td>", escape(&several::cell(row)));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
    text
}

/// The table of all rows, with what each was decided by.
fn rows(entry: &Entry, against: &str) -> String {
    let labels = Labels::of(&entry.rows);
    let below = if labels.prefix.is_empty() {
        String::new()
    } else {
        format!(" <span class=\"muted\">below <code>{}</code></span>", escape(&labels.prefix))
    };
    let mut text =
        format!("<h2>All {} rows{against}{below}</h2>\n<div class=\"scroll\"><table>\n<tr>", entry.rows.len());
    for name in ["benchmark", "verdict", "change", "95 % interval", "n", "before", "after", "rate", "of ceiling", "why"]
    {
        let _ = write!(text, "<th>{name}</th>");
    }
    text.push_str("</tr>\n");
    for at in charts::order(entry) {
        let row = &entry.rows[at];
        let class = match row.verdict {
            Verdict::Slower | Verdict::Invalid | Verdict::Timeout | Verdict::Gone => "worse",
            Verdict::Faster => "better",
            _ => "",
        };
        let _ = write!(text, "<tr><td class=\"id\" title=\"{}\">{}</td>", escape(&row.id), escape(&labels.labels[at]));
        let _ = write!(text, "<td class=\"{class}\">{}</td>", row.verdict);
        for cell in cells(row) {
            let _ = write!(text, "<td>{}</td>", escape(&cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</table></div>\n");
    text
}

fn cells(row: &Row) -> [String; 8] {
    let dash = || "-".to_owned();
    let time = |side: &Option<Figures>| side.as_ref().map_or_else(dash, Figures::shown_time);
    let head = row.head.as_ref();
    let rate = head.and_then(|figures| figures.rate).map_or_else(dash, |(rate, unit)| unit.show(rate));
    let share = head.and_then(|figures| figures.share).map_or_else(dash, |share| format!("{:.1} %", 100.0 * share));
    let accepted = row.accepted.as_ref().map_or_else(String::new, |reason| format!("; accepted: {reason}"));
    let grown = row.metrics.iter().filter(|change| change.worse);
    let grown: String = grown.map(|change| format!("; {}", text::grown_values(change))).collect();
    let n = if row.n > 0 { row.n.to_string() } else { dash() };
    let why = format!("{}{accepted}{grown}", row.why);
    [row.shown_effect(), row.shown_interval(), n, time(&row.base), time(&row.head), rate, share, why]
}

/// Where the numbers come from, and how to repeat them.
fn origin(entry: &Entry) -> String {
    let mut text = "<h2>Method</h2>\n<ul>\n".to_owned();
    let mut item = |name: &str, said: &str| {
        let _ = writeln!(text, "<li><span class=\"muted\">{name}:</span> {}</li>", escape(said));
    };
    for base in entry.base.iter().chain(entry.others.iter().map(|against| &against.base)) {
        item("before", &format!("{} ({}, {})", base.label, base.commit, base.rustc));
    }
    item("after", &format!("{} ({}, {})", entry.head.label, entry.head.commit, entry.head.rustc));
    let brand = entry.fingerprint.processor.brand.as_deref().unwrap_or("unknown processor");
    item("machine", &format!("{brand}, {} threads", entry.fingerprint.allowed_threads));
    item("method", &text::method(entry));
    entry.notes.iter().for_each(|note| item("note", note));
    if let Some(said) = ceiling::erratum(entry) {
        item("wrong ceiling", &said);
    }
    text.push_str("</ul>\n");
    let _ = writeln!(text, "<pre>{}</pre>", escape(&entry.command));
    text
}

/// Text as HTML takes it, on one line and without control characters.
fn escape(text: &str) -> String {
    plain(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::golden::full;

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let entry = full();
        let first = Entry { base: None, ..full() };
        let page = page(&entry, &[&first, &entry]);
        for outside in ["http://", "https://", "src=", "url(", "@import", "<script", "<link"] {
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg ").count(), 2);
        assert!(
            page.contains("SLOWER")
                && page.contains("prefers-color-scheme:dark")
                && page.contains("allocations 1 -&gt; 3")
        );
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut entry = full();
        entry.title = "<script>alert(1)</script>".into();
        entry.rows[0].id = "\"><img src=x onerror=alert(1)>\u{1b}".into();
        entry.rows[0].why = "</table><b>".into();
        entry.command = "</pre><i>".into();
        let page = page(&entry, &[]);
        for tag in ["<script", "<img", "<b>", "<i>", "\u{1b}"] {
            assert!(!page.contains(tag), "{tag}");
        }
    }
}
