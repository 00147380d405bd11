//! Writing SVG: elements with classes, text that cannot break out of its element, coordinates of fixed precision.

use std::fmt::Write;

use crate::theme;

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Begins there.
    Start,
    /// Is centered there.
    Middle,
    /// Ends there.
    End,
}

/// What surrounds a drawing.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// Title: the accessible name of the chart.
    pub title: &'a str,
    /// What the chart shows, in a sentence or a few, for readers who do not see it.
    pub description: &'a str,
    /// Width in user units; one is a CSS pixel at natural size.
    pub width: f64,
    /// Height in the same.
    pub height: f64,
}

/// Elements of one chart, in the order in which they are drawn. Classes are those of [`theme`].
#[derive(Clone, Debug, Default)]
pub struct Canvas {
    body: String,
}

impl Canvas {
    /// A line between two points (x, y).
    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(number);
        let _ = writeln!(self.body, r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#);
    }

    /// A rectangle; negative extents draw nothing.
    pub fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        if width >= 0.0 && height >= 0.0 {
            let [x, y, width, height] = [x, y, width, height].map(number);
            let _ = writeln!(self.body, r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#);
        }
    }

    /// A circle.
    pub fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let [x, y, radius] = [x, y, radius].map(number);
        let _ = writeln!(self.body, r#"<circle class="{class}" cx="{x}" cy="{y}" r="{radius}"/>"#);
    }

    /// Straight lines through `points`; `closed` joins the last to the first.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)], closed: bool) {
        let mut data = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(data, "{}{} {}", if at == 0 { "M" } else { "L" }, number(*x), number(*y));
        }
        if closed {
            data.push('Z');
        }
        let _ = writeln!(self.body, r#"<path class="{class}" d="{data}"/>"#);
    }

    /// Text at a point of its baseline.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let [x, y] = [x, y].map(number);
        let _ = writeln!(self.body, r#"<text class="{class}" x="{x}" y="{y}"{anchor}>{}</text>"#, escape(text));
    }

    /// What `draw` draws, as one group with a title, which a browser shows when the pointer rests on it.
    pub fn group(&mut self, title: &str, draw: impl FnOnce(&mut Self)) {
        let _ = writeln!(self.body, "<g><title>{}</title>", escape(title));
        draw(self);
        self.body.push_str("</g>\n");
    }

    /// The whole document.
    pub fn finish(self, page: &Page<'_>) -> String {
        let (width, height) = (number(page.width), number(page.height));
        let (title, description) = (escape(page.title), escape(page.description));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" aria-label="{title}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<title>{title}</title>
<desc>{description}</desc>
<style>{}</style>
<rect class="surface" x="0" y="0" width="{width}" height="{height}" rx="6"/>
{}</svg>
"#,
            theme::CSS,
            self.body
        )
    }
}

/// A coordinate with at most two decimals, written in one way only. What is not finite becomes 0, so that no input
/// makes a document that viewers refuse.
fn number(x: f64) -> String {
    let rounded = if x.is_finite() { (x * 100.0).round() / 100.0 } else { 0.0 };
    // -0 and 0 are one place.
    format!("{}", rounded + 0.0)
}

/// Text as XML takes it. Control characters, which XML forbids even escaped, become U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            c if c.is_control() => escaped.push('\u{FFFD}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_never_break_the_document() {
        let shown = [1.0, 1.234_56, -0.001, -2.5, f64::NAN, f64::INFINITY].map(number);
        assert_eq!(shown, ["1", "1.23", "0", "-2.5", "0", "0"]);
    }

    #[test]
    fn text_cannot_break_out_of_its_element() {
        let mut canvas = Canvas::default();
        canvas.text("ink", (0.0, 0.0), Anchor::Start, "a<script>&\"\u{1b}[31m");
        let page = Page { title: "\"><x>", description: "d", width: 1.0, height: 1.0 };
        let svg = canvas.finish(&page);
        assert!(svg.contains("a&lt;script&gt;&amp;&quot;\u{FFFD}[31m"), "{svg}");
        assert!(!svg.contains("<x>") && !svg.contains('\u{1b}'));
    }

    #[test]
    fn groups_carry_titles_and_paths_close() {
        let mut canvas = Canvas::default();
        canvas.group("row", |canvas| canvas.path("even", &[(0.0, 0.0), (1.0, 2.0)], true));
        assert!(canvas.body.contains("<g><title>row</title>\n<path class=\"even\" d=\"M0 0L1 2Z\"/>\n</g>"));
    }
}
