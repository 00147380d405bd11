//! Every instruction set's vectors against one number at a time.

use half::{bf16, f16};

use super::{Portable, Simd, Vector, Vectorized};
use crate::element::Element;

/// Runs code on every instruction set of this machine.
fn everywhere<C: Vectorized<Output = ()> + Copy>(code: C) {
    Portable.run(code);
    #[cfg(target_arch = "x86_64")]
    {
        use machine::isa::{Avx2, Avx512};
        Avx2::new().into_iter().for_each(|avx2| avx2.run(code));
        Avx512::new().into_iter().for_each(|avx512| avx512.run(code));
    }
}

/// Floats of every exponent: all 16-bit patterns in the upper half, with lower halves around the points of rounding.
fn floats() -> impl Iterator<Item = f32> {
    (0..=u16::MAX).flat_map(|upper| {
        [0, 1, 0x0fff, 0x1000, 0x1001, 0x2fff, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff]
            .map(|lower| f32::from_bits(u32::from(upper) << 16 | lower))
    })
}

fn same(x: f32, y: f32) -> bool {
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
}

#[derive(Clone, Copy)]
struct Conversions;

impl Vectorized for Conversions {
    type Output = ();

    unsafe fn run<V: Vector>(self) {
        // SAFETY: as the caller promises.
        unsafe {
            converts::<V, f16>((0..=u16::MAX).map(f16::from_bits));
            converts::<V, bf16>((0..=u16::MAX).map(bf16::from_bits));
        }
    }
}

/// # Safety
/// The machine has V's instruction set.
unsafe fn converts<V: Vector, E: Element>(all: impl Iterator<Item = E>) {
    let all: Vec<E> = all.collect();
    for chunk in all.chunks(V::LANES) {
        let mut wide = [f32::NAN; 16];
        // SAFETY: as the caller promises; chunks are whole.
        unsafe { E::load::<V>(chunk.as_ptr()).store(wide.as_mut_ptr()) };
        assert!(chunk.iter().zip(wide).all(|(x, wide)| same(x.to_f32(), wide)), "{} {chunk:?}", V::LANES);
    }
    let floats: Vec<f32> = floats().collect();
    for chunk in floats.chunks_exact(V::LANES) {
        let mut narrow = [E::from_f32(0.0); 16];
        // SAFETY: as above.
        unsafe { E::store(V::load(chunk.as_ptr()), narrow.as_mut_ptr()) };
        for (x, narrow) in chunk.iter().zip(narrow) {
            assert!(same(narrow.to_f32(), E::from_f32(*x).to_f32()), "{} lanes, {}: {x:e}", V::LANES, E::TYPE);
        }
    }
}

#[test]
fn halves_are_widened_and_rounded_as_one_by_one() {
    everywhere(Conversions);
}

#[derive(Clone, Copy)]
struct Parts;

impl Vectorized for Parts {
    type Output = ();

    unsafe fn run<V: Vector>(self) {
        for lanes in 0..=V::LANES {
            // SAFETY: as the caller promises.
            unsafe {
                part::<V, f32>(lanes);
                part::<V, f16>(lanes);
                part::<V, bf16>(lanes);
            }
        }
    }
}

/// # Safety
/// The machine has V's instruction set.
unsafe fn part<V: Vector, E: Element>(lanes: usize) {
    let from: Vec<E> = (0..lanes).map(|i| E::from_f32(i as f32 + 1.0)).collect();
    let (mut wide, mut to) = ([f32::NAN; 16], [E::from_f32(-1.0); 16]);
    // SAFETY: as the caller promises; so many elements can be read and written.
    unsafe {
        let vector = E::load_first::<V>(from.as_ptr(), lanes);
        vector.store(wide.as_mut_ptr());
        E::store_first(vector, to.as_mut_ptr(), lanes);
    }
    for i in 0..V::LANES {
        let inside = i < lanes;
        assert_eq!(wide[i], if inside { i as f32 + 1.0 } else { 0.0 }, "{} of {} lanes", lanes, V::LANES);
        assert_eq!(to[i].to_f32(), if inside { i as f32 + 1.0 } else { -1.0 }, "{} of {} lanes", lanes, V::LANES);
    }
}

#[test]
fn parts_of_vectors_leave_the_rest_alone() {
    everywhere(Parts);
}

#[derive(Clone, Copy)]
struct Arithmetic;

impl Vectorized for Arithmetic {
    type Output = ();

    unsafe fn run<V: Vector>(self) {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.5, -2.5, 3.5e-39];
        for (x, y) in special.into_iter().flat_map(|x| special.map(|y| (x, y))) {
            // SAFETY: as the caller promises.
            unsafe {
                let (v, w) = (V::splat(x), V::splat(y));
                let first = |v: V| {
                    let mut lanes = [0.0; 16];
                    v.store(lanes.as_mut_ptr());
                    lanes[0]
                };
                assert!(same(first(v.add(w)), x + y) && same(first(v.sub(w)), x - y));
                assert!(same(first(v.mul(w)), x * y) && same(first(v.div(w)), x / y));
                assert!(same(first(v.mul_add(w, w)), x.mul_add(y, y)), "{x} {y}");
                assert!(same(first(v.abs()), x.abs()) && same(first(v.with_sign_of(w)), x.copysign(y)));
                assert!(same(first(v.if_negative(v, w)), if x.is_sign_negative() { x } else { y }));
                assert!(first(v.at_least(w)).is_nan() == (x.is_nan()) || y.is_nan());
                if !x.is_nan() && !y.is_nan() {
                    assert!(first(v.at_least(w)) == x.max(y) && first(v.at_most(w)) == x.min(y), "{x} {y}");
                }
            }
        }
        for (x, n) in [(1.5_f32, -149.0_f32), (1.0, -160.0), (0.75, 127.0), (-1.25, 3.0), (1.0, 0.0)] {
            let exact = (f64::from(x) * f64::from(n).exp2()) as f32;
            let mut lanes = [0.0; 16];
            // SAFETY: as above.
            unsafe { V::splat(x).times_two_to(V::splat(n)).store(lanes.as_mut_ptr()) };
            assert!((lanes[0] - exact).abs() <= f32::from_bits(1), "{x} 2^{n}: {}", lanes[0]);
        }
        let numbers: Vec<f32> = (0..V::LANES).map(|i| 1.0 + i as f32).collect();
        // SAFETY: as above.
        let sum = unsafe { V::load(numbers.as_ptr()).sum() };
        assert_eq!(sum, numbers.iter().sum::<f32>());
    }
}

#[test]
fn arithmetic_is_that_of_floats() {
    everywhere(Arithmetic);
}
