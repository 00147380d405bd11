//! Whether two results are the same.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// How far a peer's result is from ours: `None` if it agrees, else what to say.
///
/// With tolerance 0 both files hold the same bytes. Otherwise they are f32 values, and ‖peer - ours‖ ≤ tolerance · ‖ours‖ in
/// the Euclidean norm, where a NaN agrees with a NaN alone.
pub(super) fn difference(ours: &Path, peer: &Path, tolerance: f64) -> Result<Option<String>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("no result at {}", path.display()));
    Ok(of_bytes(&read(ours)?, &read(peer)?, tolerance))
}

fn of_bytes(ours: &[u8], peer: &[u8], tolerance: f64) -> Option<String> {
    if ours.len() != peer.len() {
        return Some(format!("{} bytes instead of {}", peer.len(), ours.len()));
    }
    if tolerance == 0.0 {
        let at = ours.iter().zip(peer).position(|(x, y)| x != y)?;
        return Some(format!("byte {at} of {} is {:#04x}, ours {:#04x}", ours.len(), peer[at], ours[at]));
    }
    let (mut difference, mut norm) = (0.0, 0.0);
    for (x, y) in values(ours).zip(values(peer)) {
        if x.is_nan() && y.is_nan() || x == y {
            norm += if x.is_finite() { x * x } else { 0.0 };
            continue;
        }
        difference += (y - x) * (y - x);
        norm += x * x;
    }
    let error = f64::sqrt(difference) / f64::sqrt(norm).max(f64::MIN_POSITIVE);
    // A NaN fails.
    let agrees = error <= tolerance || difference == 0.0;
    (!agrees).then(|| format!("relative norm of the difference {error:.2e}, accepted {tolerance:.1e}"))
}

fn values(bytes: &[u8]) -> impl Iterator<Item = f64> {
    bytes.as_chunks::<4>().0.iter().map(|&value| f64::from(f32::from_le_bytes(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn agree(ours: &[f32], peer: &[f32], tolerance: f64) -> bool {
        of_bytes(&bytes(ours), &bytes(peer), tolerance).is_none()
    }

    #[test]
    fn the_same_and_the_nearly_same_agree() {
        assert!(agree(&[1.0, -2.0], &[1.0, -2.0], 0.0));
        assert!(agree(&[1.0, -2.0], &[1.0, -2.000001], 1e-6));
        assert!(agree(&[0.0, 0.0], &[0.0, 0.0], 1e-6));
        assert!(agree(&[f32::NAN, f32::INFINITY, 1.0], &[f32::NAN, f32::INFINITY, 1.0], 1e-6));
        assert!(agree(&[], &[], 0.0));
    }

    #[test]
    fn what_is_wrong_does_not() {
        assert!(!agree(&[1.0, -2.0], &[1.0, -2.000001], 0.0));
        assert!(!agree(&[1.0, -2.0], &[-2.0, 1.0], 1e-6), "swapped");
        assert!(!agree(&[1.0, -2.0], &[1.0, f32::NAN], 1e-6), "a NaN");
        assert!(!agree(&[1.0, f32::NAN], &[1.0, 2.0], 1e-6), "a number instead of NaN");
        assert!(!agree(&[1.0, f32::INFINITY], &[1.0, f32::NEG_INFINITY], 1e-6));
        assert!(!agree(&[0.0], &[1e-30], 1e-6), "something instead of nothing");
        assert!(!agree(&[1.0, 2.0], &[1.0], 1e-6), "too short");
    }
}
