//! Items: what a workgroup works on. Which queries, which keys.

use std::ops::Range;

use attention::{Mask, cases::Problem};

/// Stands for "no limit" in the kernels; more tokens than a problem may have.
pub(crate) const FAR: i64 = 1 << 30;

/// Some queries of one sequence and the keys that they see, in tokens of whole tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    /// The first query.
    pub(crate) query_token: u64,
    pub(crate) queries: u64,
    /// The first key of the sequence.
    pub(crate) key_token: u64,
    /// The key at which the first query stands, from the first of the sequence on.
    pub(crate) position: i64,
    /// The keys to read, from the first of the sequence on.
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

impl Item {
    /// Tokens of K and V that it reads.
    pub(crate) fn key_tokens(&self) -> Range<u64> {
        self.key_token + self.begin..self.key_token + self.end
    }

    /// Tokens of Q that it reads, and of the output that it writes.
    pub(crate) fn query_tokens(&self) -> Range<u64> {
        self.query_token..self.query_token + self.queries
    }

    /// Splits the keys into parts; one without keys if there are none.
    pub(crate) fn parts(self, part: u64) -> impl Iterator<Item = Self> {
        let count = (self.end - self.begin).div_ceil(part).max(1);
        (0..count).map(move |i| {
            let begin = self.begin + i * part;
            Self { begin, end: self.end.min(begin + part), ..self }
        })
    }
}

/// Keys that a query sees before and after its position, as the kernels take them.
pub(crate) fn sides(mask: Mask) -> (i64, i64) {
    let limited = |side: usize| i64::try_from(side).unwrap_or(FAR).min(FAR);
    match mask {
        Mask::None => (FAR, FAR),
        Mask::Causal => (FAR, 0),
        Mask::Window { left, right } => (limited(left), limited(right)),
    }
}

/// The items of a problem whose lengths were checked: `rows` queries each, in the order of tokens.
pub(crate) fn items(problem: &Problem, rows: u64) -> Vec<Item> {
    let (left, right) = sides(problem.mask);
    let mut items = Vec::new();
    for (queries, keys) in sequences(problem) {
        let (count, length) = (queries.end - queries.start, keys.end - keys.start);
        let mut first = 0;
        while first < count {
            let queries_here = rows.min(count - first);
            let position = first as i64 + length as i64 - count as i64;
            let last = position + queries_here as i64 - 1;
            let end = (last + right + 1).clamp(0, length as i64) as u64;
            let begin = (position - left).clamp(0, end as i64) as u64;
            let (query_token, key_token) = (queries.start + first, keys.start);
            items.push(Item { query_token, queries: queries_here, key_token, position, begin, end });
            first += queries_here;
        }
    }
    items
}

/// The most queries of a sequence.
pub(crate) fn most_queries(problem: &Problem) -> u64 {
    sequences(problem).map(|(queries, _)| queries.end - queries.start).max().unwrap_or(0)
}

/// The tokens of Q and of K of each sequence.
fn sequences(problem: &Problem) -> impl Iterator<Item = (Range<u64>, Range<u64>)> {
    let (queries, keys) = (problem.shape.queries as u64, problem.shape.keys as u64);
    let packed = problem.bounds().unwrap_or_default();
    let bounds: Vec<_> = packed.windows(2).map(|two| two[0] as u64..two[1] as u64).map(|at| (at.clone(), at)).collect();
    let batches = if packed.is_empty() { problem.shape.batch as u64 } else { 0 };
    let batched = (0..batches).map(move |b| (b * queries..(b + 1) * queries, b * keys..(b + 1) * keys));
    bounds.into_iter().chain(batched)
}

#[cfg(test)]
mod tests {
    use attention::{ElementType, Shape};

    use super::*;

    fn problem(batch: usize, queries: usize, keys: usize, mask: Mask, lengths: &'static [usize]) -> Problem {
        let shape = Shape { batch, queries, keys, heads: 1, kv_heads: 1, head_dim: 4, value_dim: 4 };
        Problem { shape, element: ElementType::F32, mask, lengths: lengths.into() }
    }

    /// Every query is in one item, with all the keys that it sees; the first and the last key of an item are seen.
    #[test]
    fn items_cover_what_queries_see() {
        let masks = [Mask::None, Mask::Causal, Mask::Window { left: 3, right: 2 }, Mask::Window { left: 0, right: 0 }];
        for (mask, queries, keys, rows) in masks.into_iter().flat_map(|mask| {
            (0..10).flat_map(move |queries| {
                (0..12).flat_map(move |keys| [1, 4, 64].map(|rows| (mask, queries, keys, rows)))
            })
        }) {
            let problem = problem(2, queries, keys, mask, &[]);
            let (left, right) = sides(mask);
            let mut seen = vec![0; 2 * queries];
            for item in items(&problem, rows) {
                let see = |i: u64, key: u64| {
                    let position = item.position + i as i64;
                    (position - left..=position + right).contains(&(key as i64))
                };
                for i in 0..item.queries {
                    seen[(item.query_token + i) as usize] += 1;
                    let missed = (0..keys as u64).filter(|key| !(item.begin..item.end).contains(key));
                    assert!(missed.clone().all(|key| !see(i, key)), "{mask:?} {queries} {keys}: {item:?}");
                }
                let any = |key: u64| (0..item.queries).any(|i| see(i, key));
                assert!(item.begin == item.end || (any(item.begin) && any(item.end - 1)), "{item:?}");
                assert_eq!(item.key_token, item.query_token / queries as u64 * keys as u64);
            }
            assert!(seen.iter().all(|count| *count == 1), "{seen:?}");
        }
    }

    #[test]
    fn packed_sequences_are_separate() {
        let found = items(&problem(1, 7, 7, Mask::Causal, &[3, 0, 4]), 2);
        let short: Vec<_> = found.iter().map(|i| (i.query_token, i.queries, i.key_token, i.position, i.end)).collect();
        assert_eq!(short, [(0, 2, 0, 0, 2), (2, 1, 0, 2, 3), (3, 2, 3, 0, 2), (5, 2, 3, 2, 4)]);
        assert_eq!(most_queries(&problem(1, 7, 7, Mask::Causal, &[3, 0, 4])), 4);
    }

    #[test]
    fn parts_divide_the_keys() {
        let item = items(&problem(1, 1, 10, Mask::None, &[]), 4)[0];
        let parts: Vec<_> = item.parts(4).map(|part| (part.begin, part.end)).collect();
        assert_eq!(parts, [(0, 4), (4, 8), (8, 10)]);
        let none = items(&problem(1, 1, 0, Mask::None, &[]), 4)[0];
        assert_eq!(none.parts(4).map(|part| (part.begin, part.end)).collect::<Vec<_>>(), [(0, 0)]);
    }
}
