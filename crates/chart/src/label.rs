//! Text on charts: how wide it is, and how it is shortened.

/// Width of a character of the `id` class: fixed-width fonts advance by about 0.6 em, and 12 px is one em.
const ID_ADVANCE: f64 = 7.25;

/// Width that `text` takes in the `id` class. User units.
pub fn width(text: &str) -> f64 {
    ID_ADVANCE * text.chars().count() as f64
}

/// `text` in at most `max` characters: the middle gives way, since ids differ most at their ends.
///
/// ```
/// assert_eq!(chart::shorten("gemm/f32/m512-n512-k512/auto", 13), "gemm/f…2/auto");
/// assert_eq!(chart::shorten("short", 13), "short");
/// ```
pub fn shorten(text: &str, max: usize) -> String {
    let count = text.chars().count();
    if count <= max {
        return text.to_owned();
    }
    let kept = max.saturating_sub(1);
    let front: String = text.chars().take(kept - kept / 2).collect();
    let back: String = text.chars().skip(count - kept / 2).collect();
    format!("{front}…{back}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_both_ends() {
        for max in 1..12 {
            let short = shorten("abcdefghijkl", max);
            assert_eq!(short.chars().count(), max, "{short}");
        }
        assert_eq!(shorten("äöüäöü", 3), "ä…ü");
    }
}
