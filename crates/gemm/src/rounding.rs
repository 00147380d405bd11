//! Rounding numbers of A to 8 bits: codes of -127 to 127, and what they are multiplied with.

/// The largest magnitude; a NaN or an infinity if there is one.
#[inline(always)]
pub(crate) fn largest(x: &[f32]) -> f32 {
    // As bits, so that a NaN is the largest.
    let bits = x.iter().fold(0, |largest: u32, x| largest.max(x.to_bits() & 0x7fff_ffff));
    f32::from_bits(bits)
}

/// What numbers are multiplied with to get codes, and what codes are multiplied with. The number of the `largest`
/// magnitude gets the code 127 or -127. With a NaN or an infinity among them, codes are 0 and their scale is NaN.
#[inline(always)]
pub(crate) fn scale_of(largest: f32) -> (f32, f32) {
    if !largest.is_finite() {
        return (0.0, f32::NAN);
    }
    let inverse = 127.0 / largest;
    // Where the inverse overflows, the numbers are below 2^-120: they count as 0.
    if inverse.is_finite() { (inverse, largest / 127.0) } else { (0.0, 0.0) }
}

/// The nearest integers to `inverse` x, ties to even: adding 1.5 2^23 leaves them in the low bits. Products are -127 to
/// 127, or a NaN or an infinity, whose scale is NaN.
#[inline(always)]
pub(crate) fn round<const N: usize>(x: &[f32; N], inverse: f32) -> [i8; N] {
    const MAGIC: f32 = 12_582_912.0;
    let mut codes = [0; N];
    for (code, x) in codes.iter_mut().zip(x) {
        let scaled = (inverse * x).clamp(-127.0, 127.0);
        *code = (scaled + MAGIC).to_bits() as i8;
    }
    codes
}
