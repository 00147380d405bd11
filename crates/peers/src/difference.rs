//! Compares a peer's result with ours.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// `None` if a peer's result agrees with ours, else the difference in words.
///
/// With tolerance 0 both files must hold equal bytes. Otherwise they hold f32 values, and ‖peer - ours‖ ≤ tolerance ·
/// ‖ours‖ in the Euclidean norm; NaN agrees only with NaN.
pub(crate) fn difference(ours: &Path, peer: &Path, tolerance: f64) -> Result<Option<String>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("no result at {}", path.display()));
    Ok(of_bytes(&read(ours)?, &read(peer)?, tolerance))
}

fn of_bytes(ours: &[u8], peer: &[u8], tolerance: f64) -> Option<String> {
    if let (0.0, Some(ours), Some(peer)) = (tolerance, lines(ours), lines(peer)) {
        return of_lines(&ours, &peer);
    }
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
    // A NaN here fails.
    let agrees = error <= tolerance || difference == 0.0;
    (!agrees).then(|| format!("relative norm of the difference {error:.2e}, accepted {tolerance:.1e}"))
}

/// The lines of a result that is printable text; `None` if it is not.
fn lines(bytes: &[u8]) -> Option<Vec<&str>> {
    let is_shown = |byte: &u8| *byte >= b' ' || matches!(byte, b'\t' | b'\n');
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.ends_with('\n') && bytes.iter().all(is_shown))?;
    Some(text.lines().collect())
}

/// The first line that differs.
fn of_lines(ours: &[&str], peer: &[&str]) -> Option<String> {
    let shown = |line: Option<&&str>| line.map_or("nothing more".to_owned(), |line| line.replace('\t', " "));
    let longer = ours.len().max(peer.len());
    let at = (0..longer).find(|&at| ours.get(at) != peer.get(at))?;
    Some(format!("`{}`, ours `{}`", shown(peer.get(at)), shown(ours.get(at))))
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
    fn equal_and_nearly_equal_results_agree() {
        assert!(agree(&[1.0, -2.0], &[1.0, -2.0], 0.0));
        assert!(agree(&[1.0, -2.0], &[1.0, -2.000001], 1e-6));
        assert!(agree(&[0.0, 0.0], &[0.0, 0.0], 1e-6));
        assert!(agree(&[f32::NAN, f32::INFINITY, 1.0], &[f32::NAN, f32::INFINITY, 1.0], 1e-6));
        assert!(agree(&[], &[], 0.0));
    }

    #[test]
    fn of_text_the_first_differing_line_is_reported() {
        let of = |ours: &str, peer: &str| of_bytes(ours.as_bytes(), peer.as_bytes(), 0.0);
        assert_eq!(of("a\t1\nb\n", "a\t1\nb\n"), None);
        assert_eq!(of("a\t1\nb\n", "a\t2\nb\n").unwrap(), "`a 2`, ours `a 1`");
        assert_eq!(of("a\nb\n", "a\n").unwrap(), "`nothing more`, ours `b`");
        assert_eq!(of("a\n", "a\nb\n").unwrap(), "`b`, ours `nothing more`");
        assert!(of("a\n", "a\0").unwrap().contains("byte 1"), "bytes are no text");
    }

    #[test]
    fn wrong_results_do_not_agree() {
        assert!(!agree(&[1.0, -2.0], &[1.0, -2.000001], 0.0));
        assert!(!agree(&[1.0, -2.0], &[-2.0, 1.0], 1e-6), "swapped");
        assert!(!agree(&[1.0, -2.0], &[1.0, f32::NAN], 1e-6), "a NaN");
        assert!(!agree(&[1.0, f32::NAN], &[1.0, 2.0], 1e-6), "a number instead of NaN");
        assert!(!agree(&[1.0, f32::INFINITY], &[1.0, f32::NEG_INFINITY], 1e-6));
        assert!(!agree(&[0.0], &[1e-30], 1e-6), "something instead of nothing");
        assert!(!agree(&[1.0, 2.0], &[1.0], 1e-6), "too short");
    }
}
