//! Marks: what a row came to, by shape first and by color second.

use crate::canvas::{Anchor, Canvas};

/// What a row came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Lost: a solid triangle that points up.
    Worse,
    /// Won: a solid triangle that points down.
    Better,
    /// Proven equal: a solid disk.
    Even,
    /// Nothing is proven: a ring.
    Open,
    /// There is no number: a cross.
    Missing,
}

impl Mark {
    /// All of them, in the order of a legend.
    pub const ALL: [Mark; 5] = [Mark::Worse, Mark::Better, Mark::Even, Mark::Open, Mark::Missing];

    /// Class of the mark and of texts that belong to it.
    pub fn class(self) -> &'static str {
        match self {
            Mark::Worse => "worse",
            Mark::Better => "better",
            Mark::Even => "even",
            Mark::Open => "open",
            Mark::Missing => "none",
        }
    }

    /// Class of a whisker: those of rings are lines, which have no filling to inherit.
    fn stroke(self) -> &'static str {
        if self == Mark::Open { "even" } else { self.class() }
    }

    /// Draws it around a point.
    pub fn draw(self, canvas: &mut Canvas, (x, y): (f64, f64)) {
        const R: f64 = 4.5;
        match self {
            Mark::Worse => canvas.path(self.class(), &[(x - R, y + R - 1.0), (x + R, y + R - 1.0), (x, y - R)], true),
            Mark::Better => canvas.path(self.class(), &[(x - R, y - R + 1.0), (x + R, y - R + 1.0), (x, y + R)], true),
            Mark::Even => canvas.circle(self.class(), (x, y), 3.5),
            Mark::Open => canvas.circle(self.class(), (x, y), 3.5),
            Mark::Missing => {
                canvas.line(self.class(), (x - R, y - R), (x + R, y + R));
                canvas.line(self.class(), (x - R, y + R), (x + R, y - R));
            }
        }
    }
}

/// An interval with caps at both ends, drawn at height `y` from `low` to `high`. Coordinates.
pub fn whisker(canvas: &mut Canvas, mark: Mark, y: f64, [low, high]: [f64; 2]) {
    const CAP: f64 = 3.5;
    canvas.line(mark.stroke(), (low, y), (high, y));
    for x in [low, high] {
        canvas.line(mark.stroke(), (x, y - CAP), (x, y + CAP));
    }
}

/// One line of marks with their names, from `x` on. Returns where it ends.
pub fn legend<'a>(
    canvas: &mut Canvas,
    (mut x, y): (f64, f64),
    entries: impl IntoIterator<Item = (Mark, &'a str)>,
) -> f64 {
    for (mark, name) in entries {
        mark.draw(canvas, (x + 5.0, y - 4.0));
        canvas.text("muted", (x + 15.0, y), Anchor::Start, name);
        // Proportional text is narrower than the fixed-width estimate.
        x += 15.0 + 0.9 * crate::width(name) + 14.0;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ_in_shape_and_not_only_in_color() {
        let drawn = |mark: Mark| {
            let mut canvas = Canvas::default();
            mark.draw(&mut canvas, (10.0, 10.0));
            format!("{canvas:?}").replace(mark.class(), "")
        };
        let [worse, better, even, open, missing] = Mark::ALL.map(drawn);
        // A disk and a ring are the same element: they differ by their filling.
        assert_eq!(even, open);
        for (a, b) in [(&worse, &better), (&worse, &even), (&better, &even), (&missing, &even), (&missing, &worse)] {
            assert_ne!(a, b);
        }
        assert!(crate::theme::CSS.contains(".open{fill:var(--surface)"));
    }
}
