//! Cutting an extent into parts.

use std::ops::Range;

/// The size of the parts if `extent` is cut into as few as possible, equal but for rounding up to `unit`, of at most
/// `max`. An extent that is one part costs no division: a small product has no time for them.
#[inline]
pub(crate) fn equal_parts(extent: usize, max: usize, unit: usize) -> usize {
    let extent = extent.max(1);
    let part = if extent <= max { extent } else { extent.div_ceil(extent.div_ceil(max)) };
    if unit == 1 { part } else { part.next_multiple_of(unit) }
}

/// Cuts a range into stretches of `len`, which is not 0; the last may be shorter. `step_by` would divide.
#[inline]
pub(crate) fn stretches(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    debug_assert!(len > 0);
    let Range { mut start, end } = range;
    std::iter::from_fn(move || {
        let stretch = start..end.min(start.saturating_add(len));
        start = stretch.end;
        (!stretch.is_empty()).then_some(stretch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_equal_and_fit() {
        for (extent, max, unit) in
            [(1, 8, 4), (1024, 256, 1), (1000, 256, 1), (257, 256, 1), (1000, 264, 12), (5, 12, 12)]
        {
            let part = equal_parts(extent, max, unit);
            assert!(part <= max && part.is_multiple_of(unit), "{extent} {max} {unit}: {part}");
            assert_eq!(extent.div_ceil(part), extent.div_ceil(max), "{extent} {max} {unit}: {part}");
        }
        assert_eq!((equal_parts(1000, 256, 1), equal_parts(257, 256, 1), equal_parts(0, 256, 1)), (250, 129, 1));
    }
}
