//! Every instruction set's vectors against one number at a time.

use half::{bf16, f16};

use crate::{
    Element, ElementType, F32Vector, I8Vector, I32Vector, InstructionSet, MAX_LANES, Simd, Vectorized,
    with_element_type,
};

/// Runs code on every instruction set of this machine.
fn everywhere<C: Vectorized<Output = ()> + Copy>(code: C) {
    InstructionSet::supported().into_iter().for_each(|set| set.run(code));
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

    fn run<S: Simd>(self, simd: S) {
        converts::<S, f16>(simd, (0..=u16::MAX).map(f16::from_bits));
        converts::<S, bf16>(simd, (0..=u16::MAX).map(bf16::from_bits));
    }
}

fn converts<S: Simd, E: Element>(simd: S, all: impl Iterator<Item = E>) {
    let all: Vec<E> = all.collect();
    for chunk in all.chunks_exact(S::LANES) {
        let mut wide = [f32::NAN; MAX_LANES];
        // SAFETY: the chunk has LANES elements, and the array no fewer.
        unsafe { E::load(simd, chunk.as_ptr()).store(wide.as_mut_ptr()) };
        assert!(chunk.iter().zip(wide).all(|(x, wide)| same(x.to_f32(), wide)), "{simd:?} {chunk:?}");
    }
    let floats: Vec<f32> = floats().collect();
    for chunk in floats.chunks_exact(S::LANES) {
        let mut narrow = [E::from_f32(0.0); MAX_LANES];
        // SAFETY: the chunk has LANES floats, and the array no fewer elements.
        unsafe { E::store(simd, simd.load(chunk.as_ptr()), narrow.as_mut_ptr()) };
        for (x, narrow) in chunk.iter().zip(narrow) {
            assert!(same(narrow.to_f32(), E::from_f32(*x).to_f32()), "{simd:?} {}: {x:e}", E::TYPE);
        }
    }
}

#[test]
fn halves_are_widened_and_rounded_as_one_by_one() {
    everywhere(Conversions);
}

#[derive(Clone, Copy)]
struct Bytes;

impl Vectorized for Bytes {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        for first in -1024..1024 {
            let numbers: [f32; MAX_LANES] =
                std::array::from_fn(|i| (first as f32 / 8.0 + i as f32 / 16.0).clamp(-128.0, 127.0));
            let mut bytes = [0; MAX_LANES];
            // SAFETY: both arrays have room for any vector.
            unsafe { simd.load(numbers.as_ptr()).store_i8(bytes.as_mut_ptr()) };
            for i in 0..S::LANES {
                assert_eq!(f32::from(bytes[i]), numbers[i].round_ties_even(), "{simd:?} {}", numbers[i]);
            }
        }
    }
}

#[test]
fn bytes_are_rounded_as_one_by_one() {
    everywhere(Bytes);
}

#[derive(Clone, Copy)]
struct Parts;

impl Vectorized for Parts {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        for lanes in 0..=S::LANES {
            part::<S, f32>(simd, lanes);
            part::<S, f16>(simd, lanes);
            part::<S, bf16>(simd, lanes);
        }
    }
}

fn part<S: Simd, E: Element>(simd: S, lanes: usize) {
    let from: Vec<E> = (0..lanes).map(|i| E::from_f32(i as f32 + 1.0)).collect();
    let (mut wide, mut to) = ([f32::NAN; MAX_LANES], [E::from_f32(-1.0); MAX_LANES]);
    // SAFETY: there are `lanes` elements to read, and both arrays have room for any vector.
    unsafe {
        let vector = E::load_partial(simd, from.as_ptr(), lanes);
        vector.store(wide.as_mut_ptr());
        E::store_partial(simd, vector, to.as_mut_ptr(), lanes);
    }
    for i in 0..S::LANES {
        let inside = i < lanes;
        assert_eq!(wide[i], if inside { i as f32 + 1.0 } else { 0.0 }, "{simd:?} {lanes} lanes");
        assert_eq!(to[i].to_f32(), if inside { i as f32 + 1.0 } else { -1.0 }, "{simd:?} {lanes} lanes");
    }
}

#[test]
fn partial_loads_and_stores_leave_the_rest_alone() {
    everywhere(Parts);
}

/// The lanes of a vector, which must all be equal.
fn only<V: F32Vector>(lanes: usize, vector: V) -> f32 {
    let mut all = [f32::NAN; MAX_LANES];
    // SAFETY: no vector has more lanes than the array has floats.
    unsafe { vector.store(all.as_mut_ptr()) };
    assert!(all[..lanes].iter().all(|&x| same(x, all[0])), "{all:?}");
    all[0]
}

#[derive(Clone, Copy)]
struct Arithmetic;

impl Vectorized for Arithmetic {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.5, -2.5, 3.5e-39];
        let only = |vector: S::F32| only(S::LANES, vector);
        for (x, y) in special.into_iter().flat_map(|x| special.map(|y| (x, y))) {
            let (v, w) = (simd.splat(x), simd.splat(y));
            assert!(same(only(v + w), x + y) && same(only(v - w), x - y), "{simd:?} {x} {y}");
            assert!(same(only(v * w), x * y) && same(only(v / w), x / y), "{simd:?} {x} {y}");
            assert!(same(only(v.mul_add(w, w)), x.mul_add(y, y)), "{simd:?} {x} {y}");
            assert!(same(only(v.abs()), x.abs()) && same(only(v.copysign(w)), x.copysign(y)), "{simd:?} {x} {y}");
            let selected = if x.is_sign_negative() { x } else { y };
            assert!(same(only(v.select_negative(v, w)), selected), "{simd:?} {x} {y}");
            // A NaN in `self` stays one; where only the other is a NaN, either may be the result.
            if x.is_nan() {
                assert!(only(v.max(w)).is_nan() && only(v.min(w)).is_nan(), "{simd:?} {x} {y}");
            } else if !y.is_nan() {
                assert!(only(v.max(w)) == x.max(y) && only(v.min(w)) == x.min(y), "{simd:?} {x} {y}");
            }
        }
        let powers = [(1.5_f32, -149.0_f32), (1.0, -160.0), (0.75, 127.0), (-1.25, 3.0), (1.0, 0.0), (0.9, 128.0)];
        for (x, n) in powers {
            let exact = (f64::from(x) * f64::from(n).exp2()) as f32;
            let scaled = only(simd.splat(x).ldexp(simd.splat(n)));
            assert!((scaled - exact).abs() <= f32::from_bits(1), "{simd:?} {x} 2^{n}: {scaled}");
        }
        for x in [0.5_f32, 1.5, 2.5, -0.5, -1.5, 0.499_999_97, 4_194_303.5, -7.2, 0.0] {
            assert_eq!(only(simd.splat(x).round_ties_even()), x.round_ties_even(), "{simd:?} {x}");
        }
        let numbers: Vec<f32> = (0..S::LANES).map(|i| 1.0 + i as f32).collect();
        // SAFETY: there are LANES numbers.
        let sum = unsafe { simd.load(numbers.as_ptr()) }.reduce_sum();
        assert_eq!(sum, numbers.iter().sum::<f32>(), "{simd:?}");
        // Numbers whose sum depends on the order.
        let vectors = [0.1_f32, 1.7, -3.3, 1e7].map(|x| {
            let numbers: Vec<f32> = (0..S::LANES).map(|i| x / (1.0 + i as f32)).collect();
            // SAFETY: there are LANES numbers.
            unsafe { simd.load(numbers.as_ptr()) }
        });
        assert_eq!(S::F32::reduce_sums(vectors), vectors.map(F32Vector::reduce_sum), "{simd:?}");
        let vectors: [S::F32; 16] = std::array::from_fn(|place| {
            let numbers: Vec<f32> = (0..S::LANES).map(|i| (place as f32 - 6.3) / (1.0 + i as f32)).collect();
            // SAFETY: there are LANES numbers.
            unsafe { simd.load(numbers.as_ptr()) }
        });
        assert_eq!(S::F32::reduce_sums_16(vectors), vectors.map(F32Vector::reduce_sum), "{simd:?}");
    }
}

#[test]
fn arithmetic_is_that_of_floats() {
    everywhere(Arithmetic);
}

#[derive(Clone, Copy)]
struct Transposes;

impl Vectorized for Transposes {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        let from: Vec<f16> = (0..4 * 11).map(|i| f16::from_f32(i as f32)).collect();
        let mut to = [-1.0_f32; 8 * 6];
        // SAFETY: 4 rows of 8 elements, 11 apart, and 8 rows of 4 floats, 6 apart, are inside.
        unsafe { simd.transpose_4x8(from.as_ptr(), 11, to.as_mut_ptr(), 6) };
        for (p, i) in (0..8).flat_map(|p| (0..6).map(move |i| (p, i))) {
            let expected = if i < 4 { (i * 11 + p) as f32 } else { -1.0 };
            assert_eq!(to[p * 6 + i], expected, "{simd:?} ({p}, {i})");
        }
    }
}

#[test]
fn blocks_are_transposed_and_widened() {
    everywhere(Transposes);
}

#[derive(Clone, Copy)]
struct Integers;

impl Vectorized for Integers {
    type Output = ();

    fn run<S: Simd>(self, simd: S) {
        // Every pair of bytes that is allowed, so that each place of a vector has many of them.
        let pairs: Vec<(i8, i8)> = (i8::MIN..=i8::MAX).flat_map(|x| (-127..=127).map(move |y| (x, y))).collect();
        for chunk in pairs.chunks_exact(4 * S::LANES) {
            let (x, y): (Vec<i8>, Vec<i8>) = chunk.iter().copied().unzip();
            let mut sums = [0; MAX_LANES];
            // SAFETY: both have 4 LANES bytes, and the array no fewer than LANES integers.
            let dot = unsafe { simd.load_i8(x.as_ptr()).dot(simd.load_i8(y.as_ptr()), simd.splat_i32(-5)) };
            // SAFETY: the array has no fewer than LANES integers.
            unsafe { dot.store(sums.as_mut_ptr()) };
            for (lane, four) in chunk.chunks(4).enumerate() {
                let expected = four.iter().map(|&(x, y)| i32::from(x) * i32::from(y)).sum::<i32>() - 5;
                assert_eq!(sums[lane], expected, "{simd:?} {four:?}");
            }
            assert_eq!(dot.reduce_sum(), sums[..S::LANES].iter().sum::<i32>(), "{simd:?}");
        }
        // The largest sums of pairs that 16 bits must hold, with both signs.
        for (x, y) in [(i8::MIN, 127), (i8::MIN, -127), (127, 127), (-127, 127)] {
            let (x_all, y_all) = ([x; 4 * MAX_LANES], [y; 4 * MAX_LANES]);
            // SAFETY: both arrays have at least 4 LANES bytes.
            let dot = unsafe { simd.load_i8(x_all.as_ptr()).dot(simd.load_i8(y_all.as_ptr()), simd.splat_i32(0)) };
            assert_eq!(only(S::LANES, dot.to_f32()), 4.0 * f32::from(x) * f32::from(y), "{simd:?} {x} {y}");
        }
        for x in [i32::MIN, i32::MAX, 16_777_217, 16_777_219, -1] {
            assert_eq!(only(S::LANES, simd.splat_i32(x).to_f32()), x as f32, "{simd:?} {x}");
            let one_more = (simd.splat_i32(x) + simd.splat_i32(1)).to_f32();
            assert_eq!(only(S::LANES, one_more), x.wrapping_add(1) as f32, "{simd:?} {x}");
        }
    }
}

#[test]
fn integers_are_exact() {
    everywhere(Integers);
}

#[test]
fn element_types_have_names_and_sizes() {
    for element in ElementType::ALL {
        let (size, ty) = with_element_type!(element, T => (size_of::<T>(), T::TYPE));
        assert_eq!((size, ty), (element.bytes(), element));
        assert_eq!(element.to_string(), element.name());
    }
}
