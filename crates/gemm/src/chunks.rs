//! Cutting an extent into parts.

use std::ops::Range;

/// The size of the parts if `extent` is cut into as few as possible, of at most `max` each, all equal but for rounding
/// up to a multiple of `unit`. An extent that is one part costs no division, which small products would notice.
#[inline]
pub(crate) fn equal_parts(extent: usize, max: usize, unit: usize) -> usize {
    let extent = extent.max(1);
    let part = if extent <= max { extent } else { extent.div_ceil(extent.div_ceil(max)) };
    if unit == 1 { part } else { part.next_multiple_of(unit) }
}

/// Cuts a range into chunks of `len`, which is not 0; the last may be shorter. Unlike `step_by` it does not divide.
#[inline]
pub(crate) fn chunks(range: Range<usize>, len: usize) -> impl Iterator<Item = Range<usize>> {
    debug_assert!(len > 0);
    let Range { mut start, end } = range;
    std::iter::from_fn(move || {
        let chunk = start..end.min(start.saturating_add(len));
        start = chunk.end;
        (!chunk.is_empty()).then_some(chunk)
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

    #[test]
    fn chunks_cover_a_range_once() {
        let all: Vec<_> = chunks(3..10, 3).collect();
        assert_eq!(all, [3..6, 6..9, 9..10]);
        assert_eq!(chunks(4..4, 3).count(), 0);
        assert_eq!((chunks(0..7, usize::MAX).count(), chunks(0..7, usize::MAX).next()), (1, Some(0..7)));
    }
}
