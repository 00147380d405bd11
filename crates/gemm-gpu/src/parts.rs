//! Parts of operands that no binding of the device holds as a whole.
//!
//! A product is cut along the rows of its operands, so that each part is a product of the same kind with bindings that
//! begin further on. The parts write disjoint places of one C.

use std::{iter, ops::Range};

use crate::GemmGpuError;

/// Rows that parts are multiples of: 256 bytes, the most that a device asks bindings to begin at, divide them.
pub(crate) const ROWS: usize = 256;
/// Products of a batch that parts are multiples of: rows are multiples of 32 bytes.
pub(crate) const ITEMS: usize = 8;

/// Cuts `count` rows so that bindings of at most `most` bytes hold a part of each operand, of which a row takes
/// `row_bytes` bytes. A part has a multiple of `unit` rows, but for the last; one part where that is enough.
pub(crate) fn parts(
    count: usize,
    row_bytes: &[usize],
    most: u64,
    unit: usize,
) -> Result<Vec<Range<usize>>, GemmGpuError> {
    let row = row_bytes.iter().copied().max().unwrap_or(0);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if row.checked_mul(count).is_some_and(|bytes| bytes <= most) {
        return Ok(iter::once(0..count).collect());
    }
    // More than one part, so a row has bytes.
    let each = most / row.max(1) / unit * unit;
    if each == 0 {
        let got = row.saturating_mul(unit.min(count));
        return Err(GemmGpuError::TooLarge {
            what: "the bytes of a part of an operand, which a binding holds",
            got,
            most,
        });
    }
    Ok((0..count).step_by(each).map(|first| first..count.min(first + each)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_rows_and_fit() {
        let whole = |parts: Vec<Range<usize>>| (parts.len() == 1).then(|| parts[0].clone());
        assert_eq!(whole(parts(1000, &[64, 16], 64_000, ROWS).unwrap()), Some(0..1000));
        assert_eq!(parts(1000, &[64, 16], 63_999, ROWS).unwrap(), [0..768, 768..1000]);
        assert_eq!(parts(1000, &[16, 64], 17_000, ROWS).unwrap(), [0..256, 256..512, 512..768, 768..1000]);
        assert_eq!(parts(20, &[1000], 9000, ITEMS).unwrap(), [0..8, 8..16, 16..20]);
        assert_eq!(whole(parts(0, &[64], 1, ROWS).unwrap()), Some(0..0));
        assert_eq!(whole(parts(5, &[], 1, ROWS).unwrap()), Some(0..5));
    }

    #[test]
    fn rows_that_no_binding_holds_are_refused() {
        let error = parts(1000, &[1 << 20], 1 << 27, ROWS).unwrap_err();
        assert!(
            matches!(error, GemmGpuError::TooLarge { got, most, .. } if (got, most) == (1 << 28, 1 << 27)),
            "{error}"
        );
        assert!(parts(usize::MAX, &[usize::MAX], u64::MAX, ROWS).is_err());
    }
}
