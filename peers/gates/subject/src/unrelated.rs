//! Code that no benchmark runs while it is timed.

/// Changes `x`.
#[inline(always)]
pub fn step(mut x: u64) -> u64 {
    x = x.wrapping_mul(3).rotate_left(7);
    x
}
