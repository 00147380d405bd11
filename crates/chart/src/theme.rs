//! The only colors: classes that follow the reader's light or dark setting.
//!
//! Text has a contrast of at least 4.5 to 1 on the surface in both settings, marks of at least 3 to 1. The pair for
//! better and worse is blue and orange, which every common kind of color blindness tells apart; shapes say the same.
//! The surface is drawn, so that a chart stays readable on a page whose theme differs from the reader's setting.

/// Classes of text: `ink`, `muted`, `title`, `heading`, `strong`, `id` (fixed width). Of lines: `grid`, `axis`,
/// `whisker`. Of areas: `surface`, `band`. Of marks: `worse`, `better`, `even`, `open`, `none`, and `point`; `s0` to
/// `s6` are series. `line` on a path leaves it unfilled, `bold` makes it thicker, `limit` dashes it.
pub const CSS: &str = "
.chart{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;max-width:100%;height:auto;
--surface:#ffffff;--ink:#1f2328;--muted:#59636e;--grid:#d8dee4;--band:#e9edf1;--worse:#b93a06;--better:#0b5cad;--even:#59636e;
--s0:#0b5cad;--s1:#b93a06;--s2:#0f766e;--s3:#7c3aed;--s4:#8a6100;--s5:#be185d;--s6:#3f6212}
@media(prefers-color-scheme:dark){.chart{
--surface:#0d1117;--ink:#e6edf3;--muted:#9198a1;--grid:#30363d;--band:#21262d;--worse:#ff8a4c;--better:#5aa9ff;--even:#9198a1;
--s0:#5aa9ff;--s1:#ff8a4c;--s2:#2dd4bf;--s3:#b794f6;--s4:#eab308;--s5:#f472b6;--s6:#a3e635}}
.chart text{fill:var(--ink)}.chart .muted{fill:var(--muted)}.chart .title{font-size:15px;font-weight:600}
.chart .heading{font-size:13px;font-weight:600}.chart .strong{font-weight:600}
.chart .id{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace}
.chart .surface{fill:var(--surface)}.chart .band{fill:var(--band)}
.chart .grid{stroke:var(--grid);stroke-width:1}.chart .axis{stroke:var(--muted);stroke-width:1}
.chart .worse{fill:var(--worse);stroke:var(--worse)}.chart .better{fill:var(--better);stroke:var(--better)}
.chart .even{fill:var(--even);stroke:var(--even)}.chart .open{fill:var(--surface);stroke:var(--even)}.chart .none{fill:none;stroke:var(--worse)}
.chart .point{fill:var(--muted);stroke:none;opacity:.7}
.chart .s0{fill:var(--s0);stroke:var(--s0)}.chart .s1{fill:var(--s1);stroke:var(--s1)}.chart .s2{fill:var(--s2);stroke:var(--s2)}
.chart .s3{fill:var(--s3);stroke:var(--s3)}.chart .s4{fill:var(--s4);stroke:var(--s4)}.chart .s5{fill:var(--s5);stroke:var(--s5)}.chart .s6{fill:var(--s6);stroke:var(--s6)}
.chart line,.chart path,.chart circle{stroke-width:1.5}
.chart text[class]{stroke:none}.chart text.worse,.chart text.none{fill:var(--worse);font-weight:600}
.chart text.better{fill:var(--better);font-weight:600}.chart text.even,.chart text.open{fill:var(--muted)}
.chart path.line{fill:none}.chart path.bold{stroke-width:2.5}.chart path.limit{stroke-dasharray:6 4}.chart .whisker{stroke:var(--ink)}
.chart .grid,.chart .axis{stroke-width:1}
";

#[cfg(test)]
mod tests {
    use super::CSS;

    /// Value of a custom property in the light or the dark part.
    fn color(part: &str, name: &str) -> [f64; 3] {
        let at = part.find(&format!("--{name}:#")).unwrap_or_else(|| panic!("no --{name}")) + name.len() + 4;
        let hex = |from: usize| f64::from(u8::from_str_radix(&part[at + from..at + from + 2], 16).unwrap()) / 255.0;
        [hex(0), hex(2), hex(4)]
    }

    /// Relative luminance and contrast as WCAG 2 defines them.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let luminance = |color: [f64; 3]| -> f64 {
            let linear = color.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_marks_are_readable_in_light_and_dark() {
        let (light, dark) = CSS.split_once("@media").unwrap();
        for part in [light, dark] {
            let surface = color(part, "surface");
            for text in ["ink", "muted", "worse", "better", "even"] {
                assert!(contrast(color(part, text), surface) >= 4.5, "{text} {part}");
            }
            for series in ["s0", "s1", "s2", "s3", "s4", "s5", "s6"] {
                assert!(contrast(color(part, series), surface) >= 3.0, "{series} {part}");
            }
            assert!(contrast(color(part, "even"), color(part, "band")) >= 3.0, "marks lie on the band {part}");
        }
    }
}
