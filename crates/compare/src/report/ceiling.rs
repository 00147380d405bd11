//! Shares of a ceiling that cannot be true.
//!
//! Nothing runs faster than its ceiling, so a share above 100 % says that the ceiling was measured too low, or is not
//! the one that bounds the work. Times and verdicts do not depend on it.

use super::entry::Entry;
use super::row::Row;

/// Shares up to here are shown as 100.0 %.
const SHOWN_AS_WHOLE: f64 = 1.0005;

/// Rows of `entry` that show a share above 100 %, with the share.
pub(super) fn above(entry: &Entry) -> Vec<(&Row, f64)> {
    let shown =
        |row: &'_ Row| row.head.as_ref().and_then(|figures| figures.share).filter(|share| *share >= SHOWN_AS_WHOLE);
    entry.rows.iter().filter_map(|row| shown(row).map(|share| (row, share))).collect()
}

/// What to say beside an entry that shows such shares; `None` if it shows none.
pub fn erratum(entry: &Entry) -> Option<String> {
    let above = above(entry);
    let (row, highest) = above.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let ceiling = row.head.as_ref().and_then(|figures| figures.ceiling.as_deref()).unwrap_or("its ceiling");
    let others = match above.len() {
        1 => String::new(),
        n => format!(" and more than 100 % for {} other{}", n - 1, if n == 2 { "" } else { "s" }),
    };
    Some(format!(
        "it shows {:.1} % of the ceiling {} for {}{others}; that ceiling is too low, and the share of no benchmark \
         under it can be relied on (times and verdicts do not depend on it)",
        100.0 * highest,
        super::label::code(ceiling),
        super::label::code(&super::label::plain(&row.id)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::golden::full;

    #[test]
    fn a_share_above_the_ceiling_is_told_and_a_whole_one_is_not() {
        let mut entry = full();
        assert_eq!(erratum(&entry), None);
        entry.rows[0].head.as_mut().unwrap().share = Some(1.0004);
        assert_eq!(erratum(&entry), None, "it reads 100.0 %");
        entry.rows[0].head.as_mut().unwrap().share = Some(1.107);
        entry.rows[1].head.as_mut().unwrap().share = Some(1.069);
        let said = erratum(&entry).unwrap();
        assert!(
            said.contains("110.7 % of the ceiling `fma f32 avx2 t1` for `slow|er` and more than 100 % for 1 other;"),
            "{said}"
        );
    }
}
