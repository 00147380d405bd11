//! Which keys a query sees.

use std::ops::Range;

/// Which keys each query sees, by their positions.
///
/// Query i of nq has the position p = i + nk - nq among the nk keys: the last query stands at the last key. (This is
/// the "bottom-right" alignment of flash-attention. A position may be negative, if there are more queries than keys.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mask {
    /// Every query sees every key.
    #[default]
    None,
    /// Keys up to its own position: 0 ..= p.
    Causal,
    /// Keys near its own position: p - left ..= p + right.
    Window {
        /// Keys before its position.
        left: usize,
        /// Keys after its position.
        right: usize,
    },
}

impl Mask {
    /// Keys that are seen before and after the query's position; `usize::MAX` for all.
    const fn sides(self) -> (usize, usize) {
        match self {
            Self::None => (usize::MAX, usize::MAX),
            Self::Causal => (usize::MAX, 0),
            Self::Window { left, right } => (left, right),
        }
    }

    /// The keys below `length` that a query sees, whose position is `query` + `keys` - `queries`.
    pub(crate) fn visible(self, query: usize, queries: usize, keys: usize, length: usize) -> Range<usize> {
        let (left, right) = self.sides();
        // Both are the position plus `queries`, so that nothing is negative.
        let position = query + keys;
        let start = position.saturating_sub(left).saturating_sub(queries);
        let end = position.saturating_add(right).saturating_add(1).saturating_sub(queries).min(length);
        // A limit of `usize::MAX` is no limit, wherever the sums above saturated.
        let end = if right == usize::MAX { length } else { end };
        let start = if left == usize::MAX { 0 } else { start };
        start.min(end)..end
    }

    /// Pairs of a query and a key that it sees, `u64::MAX` if there are more: the sum of the lengths of
    /// [`visible`](Self::visible) over all queries.
    pub(crate) fn pairs(self, queries: usize, keys: usize, length: usize) -> u64 {
        let (left, right) = self.sides();
        let position = keys as i128 - queries as i128;
        // Both ends of what a query sees are its index plus a constant, kept within 0..=length.
        let ends = match right {
            usize::MAX => queries as u128 * length as u128,
            right => sum_of_clamped(queries, position + right as i128 + 1, length),
        };
        let starts = match left {
            usize::MAX => 0,
            left => sum_of_clamped(queries, position - left as i128, length),
        };
        u64::try_from(ends - starts).unwrap_or(u64::MAX)
    }
}

/// The sum over i in 0..count of i + `offset`, each kept within 0..=`most`.
fn sum_of_clamped(count: usize, offset: i128, most: usize) -> u128 {
    let (count, most) = (count as i128, most as i128);
    // From `first` on terms are positive, from `last` on they are `most`.
    let first = (-offset).clamp(0, count);
    let last = (most - offset).clamp(first, count);
    let between = (last - first) as u128 * (first + last - 1 + 2 * offset).max(0) as u128 / 2;
    between + (count - last) as u128 * most as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the documentation says, key by key.
    fn expected(mask: Mask, query: usize, queries: usize, keys: usize, length: usize) -> Vec<usize> {
        let position = query as i64 + keys as i64 - queries as i64;
        let is_seen = |key: &usize| {
            let key = *key as i64;
            match mask {
                Mask::None => true,
                Mask::Causal => key <= position,
                Mask::Window { left, right } => position - left as i64 <= key && key <= position + right as i64,
            }
        };
        (0..length).filter(is_seen).collect()
    }

    #[test]
    fn visible_keys_are_those_of_the_definition() {
        let windows = (0..5).flat_map(|left| (0..4).map(move |right| Mask::Window { left, right }));
        for mask in [Mask::None, Mask::Causal].into_iter().chain(windows) {
            for (queries, keys) in (0..6).flat_map(|queries| (0..6).map(move |keys| (queries, keys))) {
                for (query, length) in (0..queries).flat_map(|query| (0..=keys).map(move |length| (query, length))) {
                    let seen: Vec<_> = mask.visible(query, queries, keys, length).collect();
                    let expected = expected(mask, query, queries, keys, length);
                    assert_eq!(seen, expected, "{mask:?}, query {query} of {queries}, {length} of {keys} keys");
                }
                for length in 0..=keys {
                    let seen = |query| mask.visible(query, queries, keys, length).len() as u64;
                    let pairs: u64 = (0..queries).map(seen).sum();
                    assert_eq!(mask.pairs(queries, keys, length), pairs, "{mask:?} {queries} {keys} {length}");
                }
            }
        }
        let all = Mask::Window { left: usize::MAX - 1, right: usize::MAX - 1 };
        assert_eq!(all.visible(3, 5, 5, 4), 0..4, "sums saturate");
        assert_eq!(all.pairs(5, 5, 4), 20);
        let most = usize::MAX;
        assert_eq!(Mask::Causal.pairs(most, most, most), u64::MAX);
        assert_eq!(Mask::Window { left: most - 1, right: 0 }.pairs(most, 1, 1), 1);
    }
}
