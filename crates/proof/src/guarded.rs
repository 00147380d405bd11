//! Output memory that shows stray and missing writes: framed by guard words, filled with a NaN that arithmetic does not
//! produce.
//!
//! Before the run every element holds the poison, a quiet NaN with a payload of its own, and at least 16 guard words
//! stand on either side. After the run an element that still holds the poison was not written (or was computed from
//! poison: NaN payloads survive arithmetic, so this also catches a kernel that reads C although β = 0); a guard word
//! that changed was overwritten.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use half::{bf16, f16};
use op::Buffer;

use crate::compare::Mismatch;

/// Elements before and behind the output. A tile kernel that ignores its edge writes at most a tile beyond it, and
/// starts right there. They are whole cache lines, so the output starts on one too.
const fn guard_len<T>() -> usize {
    if size_of::<T>() >= 4 { 16 } else { 64 / size_of::<T>() }
}

/// An element type with a NaN that arithmetic does not produce.
pub trait Poison: Pod {
    /// A quiet NaN with a payload that arithmetic does not produce by itself.
    const POISON: Self;

    /// The bit pattern, widened.
    fn bits(self) -> u64;

    /// The guard word for a position: a NaN, different from its neighbors and from the poison.
    fn guard(position: usize) -> Self;
}

impl Poison for f32 {
    const POISON: Self = f32::from_bits(0x7fc0_dead);

    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }

    fn guard(position: usize) -> Self {
        f32::from_bits(0x7fc6_0000 | (position as u32 & 0xffff))
    }
}

/// Ten bits of fraction, the first of which makes a NaN quiet.
impl Poison for f16 {
    const POISON: Self = f16::from_bits(0x7ead);

    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }

    fn guard(position: usize) -> Self {
        f16::from_bits(0x7f00 | (position as u16 & 0xff))
    }
}

/// Seven bits of fraction, the first of which makes a NaN quiet. The guards are negative.
impl Poison for bf16 {
    const POISON: Self = bf16::from_bits(0x7fed);

    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }

    fn guard(position: usize) -> Self {
        bf16::from_bits(0xffc0 | (position as u16 & 0x3f))
    }
}

impl Poison for f64 {
    const POISON: Self = f64::from_bits(0x7ff8_dead_dead_dead);

    fn bits(self) -> u64 {
        self.to_bits()
    }

    fn guard(position: usize) -> Self {
        f64::from_bits(0x7ff8_6000_0000_0000 | (position as u64 & 0xffff))
    }
}

/// An output slice with its guards. Dereferences to the slice.
///
/// ```
/// let mut c = proof::guarded::Guarded::<f32>::new(3);
/// c.copy_from_slice(&[1.0, 2.0, 3.0]);
/// assert!(c.verify().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Guarded<T: Poison> {
    memory: Buffer<T>,
    len: usize,
}

impl<T: Poison> Guarded<T> {
    const GUARD_LEN: usize = guard_len::<T>();

    /// `len` poisoned elements, the first one on a 64-byte boundary.
    ///
    /// # Panics
    /// Where memory is refused.
    pub fn new(len: usize) -> Self {
        let memory = Buffer::zeroed(len + 2 * Self::GUARD_LEN).expect("memory for an output and its guards");
        let mut guarded = Self { memory, len };
        guarded.poison();
        guarded
    }

    /// Poisons every element again and restores the guards.
    pub fn poison(&mut self) {
        self.memory.fill(T::POISON);
        for position in self.guard_positions() {
            self.memory[position] = T::guard(position);
        }
    }

    /// Checks that the guards are intact and that every element was written.
    ///
    /// # Errors
    /// [`Mismatch::Guard`] or [`Mismatch::Poison`], naming the first word or element.
    pub fn verify(&self) -> Result<(), Mismatch> {
        self.verify_where(|_| true)
    }

    /// Like [`verify`](Self::verify) for an output with gaps, such as a matrix whose leading dimension exceeds its
    /// width: element `i` of the buffer must have been written where `is_output(i)`, and left alone elsewhere.
    ///
    /// # Errors
    /// [`Mismatch::Guard`], [`Mismatch::Poison`] or [`Mismatch::Gap`], naming the first word or element (of the
    /// buffer).
    pub fn verify_where(&self, is_output: impl Fn(usize) -> bool) -> Result<(), Mismatch> {
        self.verify_guards()?;
        for (i, value) in self.iter().enumerate() {
            let index = i as u64;
            match (is_output(i), value.bits() == T::POISON.bits()) {
                (true, true) => return Err(Mismatch::Poison { index }),
                (false, false) => return Err(Mismatch::Gap { index }),
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks the guards alone: for outputs that are also inputs and hold the caller's values.
    ///
    /// # Errors
    /// [`Mismatch::Guard`], naming the word nearest to the output.
    pub fn verify_guards(&self) -> Result<(), Mismatch> {
        let end = Self::GUARD_LEN + self.len;
        let distance = |&position: &usize| if position < end { Self::GUARD_LEN - position } else { position - end };
        let broken = |&position: &usize| self.memory[position].bits() != T::guard(position).bits();
        let Some(position) = self.guard_positions().filter(broken).min_by_key(distance) else { return Ok(()) };
        let (edge, from) = if position < Self::GUARD_LEN { ("start", Self::GUARD_LEN) } else { ("end", end) };
        Err(Mismatch::Guard { edge, offset: position as isize - from as isize, bits: self.memory[position].bits() })
    }

    fn guard_positions(&self) -> impl Iterator<Item = usize> + use<T> {
        let end = Self::GUARD_LEN + self.len;
        (0..Self::GUARD_LEN).chain(end..end + Self::GUARD_LEN)
    }
}

impl<T: Poison> Deref for Guarded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[Self::GUARD_LEN..Self::GUARD_LEN + self.len]
    }
}

impl<T: Poison> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[Self::GUARD_LEN..Self::GUARD_LEN + self.len]
    }
}

impl<T: Poison> Guarded<T> {
    /// The output and everything around it, for kernels that take pointers and for the tests of this type: the output
    /// starts at the returned index.
    pub fn with_guards(&mut self) -> (&mut [T], usize) {
        (&mut self.memory, Self::GUARD_LEN)
    }
}
