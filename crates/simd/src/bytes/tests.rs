//! Every operation against one number at a time, on every instruction set of this machine.

use machine::isa::{Avx2, Avx512, Avx512Vnni};

use super::{ByteSimd, ByteVectorized};
use crate::{F32Vector, Simd, f16};

/// More bytes than a register has.
const ROOM: usize = 64;

/// Bytes that differ by place, all values among them.
fn bytes(seed: usize) -> Vec<u8> {
    (0..1024).map(|i| ((i * 37 + seed * 101 + i / 7) % 256) as u8).collect()
}

fn stored<B: ByteSimd>(simd: B, x: B::Register) -> Vec<u8> {
    let mut to = vec![0; ROOM];
    // SAFETY: a register has at most as many bytes.
    unsafe { simd.store_bytes(x, to.as_mut_ptr()) };
    to.truncate(B::BYTES);
    to
}

fn words(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect()
}

fn ints(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect()
}

fn floats<B: ByteSimd>(x: <B::Float as Simd>::F32) -> Vec<f32> {
    let mut to = vec![0.0; ROOM / 4];
    // SAFETY: a register has at most as many floats.
    unsafe { x.store(to.as_mut_ptr()) };
    to.truncate(B::BYTES / 4);
    to
}

/// All operations on two registers.
struct Operations {
    x: Vec<u8>,
    y: Vec<u8>,
}

impl ByteVectorized for Operations {
    type Output = ();

    fn run<B: ByteSimd>(self, simd: B) {
        let (a, b) = (&self.x[..B::BYTES], &self.y[..B::BYTES]);
        // SAFETY: both have more bytes than a register.
        let (x, y) = unsafe { (simd.load_bytes(a.as_ptr()), simd.load_bytes(b.as_ptr())) };
        let each = |f: &dyn Fn(u8, u8) -> u8| -> Vec<u8> { a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect() };
        assert_eq!(stored(simd, x), a);
        assert_eq!(stored(simd, simd.low_nibbles(x)), each(&|a, _| a & 15));
        assert_eq!(stored(simd, simd.high_nibbles(x)), each(&|a, _| a >> 4));
        bits(simd, a, b);
        assert_eq!(stored(simd, simd.sub_bytes(x, y)), each(&|a, b| a.wrapping_sub(b)));
        assert!(stored(simd, simd.zero()).iter().all(|&x| x == 0));
        // Codes below 128 and numbers of -127 to 127, whose pairs 16 bits hold.
        let codes: Vec<u8> = a.iter().map(|x| x & 127).collect();
        let numbers: Vec<i8> = b.iter().map(|&x| (x as i8).max(-127)).collect();
        // SAFETY: both are as long as a register.
        let (u, s) = unsafe { (simd.load_bytes(codes.as_ptr()), simd.load_bytes(numbers.as_ptr().cast())) };
        let product = |i: usize| i32::from(codes[i]) * i32::from(numbers[i]);
        let pairs: Vec<i16> = (0..B::BYTES / 2).map(|i| (product(2 * i) + product(2 * i + 1)) as i16).collect();
        assert_eq!(words(&stored(simd, simd.mul_pairs(u, s))), pairs);
        let (left_words, right) = (words(a), words(b));
        let sums: Vec<i16> = left_words.iter().zip(&right).map(|(x, y)| x.wrapping_add(*y)).collect();
        assert_eq!(words(&stored(simd, simd.add_words(x, y))), sums);
        let (left_ints, right_ints) = (ints(a), ints(b));
        let sums: Vec<i32> = left_ints.iter().zip(&right_ints).map(|(x, y)| x.wrapping_add(*y)).collect();
        assert_eq!(ints(&stored(simd, simd.add_ints(x, y))), sums);
        let start = simd.splat_int(-12_345);
        let fours: Vec<i32> =
            (0..B::BYTES / 4).map(|i| -12_345 + (4 * i..4 * i + 4).map(product).sum::<i32>()).collect();
        assert_eq!(ints(&stored(simd, simd.dot_bytes(u, s, start))), fours);
        let word = |i: usize| i32::from(left_words[i]).wrapping_mul(i32::from(right[i]));
        let twos = (0..B::BYTES / 4).map(|i| (-12_345_i32).wrapping_add(word(2 * i)).wrapping_add(word(2 * i + 1)));
        assert_eq!(ints(&stored(simd, simd.dot_words(x, y, start))), twos.collect::<Vec<_>>());
        let [magnitudes, moved] = simd.move_sign(x, s);
        let (magnitudes, moved) = (stored(simd, magnitudes), stored(simd, moved));
        for i in 0..B::BYTES {
            let product = i32::from(a[i] as i8) * i32::from(numbers[i]);
            assert_eq!(i32::from(magnitudes[i]) * i32::from(moved[i] as i8), product, "{} {}", a[i] as i8, numbers[i]);
        }
        let products: Vec<i32> = left_ints.iter().zip(&right_ints).map(|(x, y)| x.wrapping_mul(*y)).collect();
        assert_eq!(ints(&stored(simd, simd.mul_ints(x, y))), products);
        for bits in 0..16 {
            let shifted: Vec<i16> = left_words.iter().map(|x| (x.cast_unsigned() >> bits).cast_signed()).collect();
            assert_eq!(words(&stored(simd, simd.shift_words(x, bits))), shifted, "{bits}");
        }
        shifts_of_halves(simd, a);
        let narrow = |x: i32| x.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        let small: Vec<i32> = ints(b).iter().map(|x| x >> 16).collect();
        // SAFETY: there are as many integers as a register has.
        let narrowed = simd.narrow_ints(x, unsafe { simd.load_bytes(small.as_ptr().cast()) });
        for (i, &word) in words(&stored(simd, narrowed)).iter().enumerate() {
            let from = if i % 8 < 4 { &left_ints } else { &small };
            assert_eq!(word, narrow(from[i / 8 * 4 + i % 4]), "{i}");
        }
        let group = |i: usize| i / 16 * 16;
        let shuffled = |i: usize| if b[i] < 128 { a[group(i) + usize::from(b[i] % 16)] } else { 0 };
        assert_eq!(stored(simd, simd.shuffle_bytes(x, y)), (0..B::BYTES).map(shuffled).collect::<Vec<_>>());
        for group in 0..B::BYTES / 16 {
            let repeated = stored(simd, simd.repeat_group(x, group));
            assert!((0..B::BYTES).all(|i| repeated[i] == a[16 * group + i % 16]), "group {group}");
        }
        let nearest: Vec<f32> = left_ints.iter().map(|&x| x as f32).collect();
        assert_eq!(floats::<B>(simd.ints_to_floats(x)), nearest);
        if B::HAS_DOT {
            // All codes, too.
            let product = |i: usize| i32::from(a[i]) * i32::from(numbers[i]);
            let fours: Vec<i32> = (0..B::BYTES / 4).map(|i| (4 * i..4 * i + 4).map(product).sum()).collect();
            assert_eq!(ints(&stored(simd, simd.dot_bytes(x, s, simd.zero()))), fours);
        }
    }
}

/// Operations on bits.
fn bits<B: ByteSimd>(simd: B, a: &[u8], b: &[u8]) {
    // SAFETY: both are as long as a register.
    let (x, y) = unsafe { (simd.load_bytes(a.as_ptr()), simd.load_bytes(b.as_ptr())) };
    let each = |f: &dyn Fn(u8, u8) -> u8| -> Vec<u8> { a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect() };
    assert_eq!(stored(simd, simd.or(x, y)), each(&|a, b| a | b));
    assert_eq!(stored(simd, simd.xor(x, y)), each(&|a, b| a ^ b));
    assert_eq!(stored(simd, simd.and(x, y)), each(&|a, b| a & b));
}

/// Words of the first and of the second 32 bytes, moved to both sides.
fn shifts_of_halves<B: ByteSimd>(simd: B, a: &[u8]) {
    // SAFETY: there are as many bytes as a register has.
    let x = unsafe { simd.load_bytes(a.as_ptr()) };
    for left in [[0, 0], [4, 2], [0, 15], [0, -2], [-1, -3], [-15, 0]] {
        for at in 0..2 {
            // Of a register of 32 bytes, all words belong to one half.
            let bits = |i: usize| left[if B::BYTES == 32 { at } else { i / 16 % 2 }];
            let shift = |(i, x): (usize, &i16)| match bits(i) {
                bits @ 0.. => *x << bits,
                bits => (x.cast_unsigned() >> -bits).cast_signed(),
            };
            let shifted: Vec<i16> = words(a).iter().enumerate().map(shift).collect();
            assert_eq!(words(&stored(simd, simd.shift_32s(x, left, at))), shifted, "{left:?} {at}");
        }
    }
}

/// Sums of lane groups.
struct Groups {
    from: Vec<u8>,
}

impl ByteVectorized for Groups {
    type Output = ();

    fn run<B: ByteSimd>(self, simd: B) {
        let of = |at: usize| ints(&self.from[at * B::BYTES..][..B::BYTES]);
        // SAFETY: there are more bytes than four registers have.
        let x: [B::Register; 4] =
            std::array::from_fn(|at| unsafe { simd.load_bytes(self.from[at * B::BYTES..].as_ptr()) });
        let sum = |ints: &[i32]| ints.iter().fold(0_i32, |sum, x| sum.wrapping_add(*x));
        let sums = ints(&stored(simd, simd.sums_of_groups(x)));
        for (i, found) in sums.iter().enumerate() {
            assert_eq!(*found, sum(&of(i % 4)[i / 4 * 4..][..4]), "{i}");
        }
        let both = [of(0), of(1)].concat();
        let sums = ints(&stored(simd, simd.add_neighbors(x[0], x[1])));
        for (i, found) in sums.iter().enumerate() {
            assert_eq!(*found, both[i / 4 * 8 + i % 4].wrapping_add(both[i / 4 * 8 + 4 + i % 4]), "{i}");
        }
        let sums = simd.add_groups(x[0]);
        for (i, found) in sums.iter().enumerate() {
            let same: Vec<i32> = of(0).into_iter().skip(i).step_by(4).collect();
            assert_eq!(*found, sum(&same), "{i}");
        }
        // SAFETY: the last 16 bytes are at 300.
        let groups = unsafe { simd.load_groups([0, 100, 33, 300].map(|at| self.from[at..].as_ptr())) };
        let bytes: Vec<u8> = groups[..B::FOUR].iter().flat_map(|&x| stored(simd, x)).collect();
        let places = [0, 100, 33, 300].map(|at| self.from[at..][..16].to_vec());
        assert_eq!(bytes, places.concat());
        assert_eq!(simd.sums_of_four(groups), places.map(|bytes| sum(&ints(&bytes))));
        assert_eq!(simd.four_to_floats([1, -2, i32::MAX, i32::MIN]), [1.0, -2.0, i32::MAX as f32, i32::MIN as f32]);
        let (x, y, z) =
            ([1.5, -2.0, 1e30, 1.0 + f32::EPSILON], [3.0, 0.5, 1e30, 1.0 + f32::EPSILON], [1.0, 0.25, 0.0, -1.0]);
        let wanted: [f32; 4] = std::array::from_fn(|i| x[i].mul_add(y[i], z[i]));
        assert_eq!(simd.four_times(x, 3.0), x.map(|x| x * 3.0));
        assert_eq!(simd.four_mul_add(x, y, z), wanted);
    }
}

/// Loads that gather, and tables that are spread over a register.
struct Places {
    from: Vec<u8>,
}

impl ByteVectorized for Places {
    type Output = ();

    fn run<B: ByteSimd>(self, simd: B) {
        let from = &self.from;
        for stride in [16, 18, 34, 100] {
            // SAFETY: the last 16 bytes are at most at 300.
            let loaded = stored(simd, unsafe { simd.load_16s(from.as_ptr(), stride) });
            assert!((0..B::BYTES).all(|i| loaded[i] == from[i / 16 * stride + i % 16]), "stride {stride}");
        }
        for stride in [0, 32, 34] {
            // SAFETY: the last 32 bytes are at most at 34.
            let loaded = stored(simd, unsafe { simd.load_32s(from.as_ptr(), stride) });
            assert!((0..B::BYTES).all(|i| loaded[i] == from[i / 32 * stride + i % 32]), "stride {stride}");
        }
        // SAFETY: four bytes exist there.
        let repeated = stored(simd, unsafe { simd.repeat_4(from[5..].as_ptr()) });
        assert!((0..B::BYTES).all(|i| repeated[i] == from[5 + i % 4]));

        // SAFETY: 16 bytes exist there.
        let repeated = stored(simd, unsafe { simd.repeat_16(from[7..].as_ptr()) });
        assert!((0..B::BYTES).all(|i| repeated[i] == from[7 + i % 16]));

        let table: [i16; 16] = std::array::from_fn(|i| 1000 * i as i16 - 7000);
        for at in 0..256 / B::BYTES {
            let spread = words(&stored(simd, simd.spread_words(&table, at)));
            assert!((0..B::BYTES / 2).all(|i| spread[i] == table[B::BYTES / 16 * at + i / 8]), "register {at}");
        }
        for at in 0..128 / B::BYTES {
            let spread = words(&stored(simd, simd.spread_narrow(&table, at)));
            let place = |i: usize| B::BYTES / 8 * at + i % 8 / 4 * (B::BYTES / 16) + i / 8;
            assert!((0..B::BYTES / 2).all(|i| spread[i] == table[place(i)]), "registers of pair {at}");
        }
        let halves: [u16; 8] = [0, 0x3c00, 0xbc00, 0x7bff, 0x0001, 0x8400, 0x7c00, 0x5640];
        assert_eq!(simd.halves_to_floats(halves), halves.map(|bits| f16::from_bits(bits).to_f32()));

        let other: [i16; 16] = std::array::from_fn(|i| 77 - 9 * i as i16);
        let sums = ints(&stored(simd, simd.dot_sixteen_words(&table, &other)));
        for (i, sum) in sums.iter().enumerate() {
            let product = |at: usize| i32::from(table[at]) * i32::from(other[at]);
            assert_eq!(*sum, if i < 8 { product(2 * i) + product(2 * i + 1) } else { 0 });
        }
    }
}

/// Runs code on every instruction set of this machine.
fn everywhere<C: ByteVectorized<Output = ()>>(code: impl Fn() -> C) {
    if let Some(token) = Avx2::new() {
        token.run_bytes(code());
    }
    if let Some(token) = Avx512::new() {
        token.run_bytes(code());
    }
    if let Some(token) = Avx512Vnni::new() {
        token.run_bytes(code());
    }
}

#[test]
fn operations_are_those_of_one_number_at_a_time() {
    for seed in 0..50 {
        everywhere(|| Operations { x: bytes(seed), y: bytes(seed + 1000) });
    }
}

#[test]
fn sums_of_groups_are_those_of_one_number_at_a_time() {
    for seed in 0..50 {
        everywhere(|| Groups { from: bytes(seed) });
    }
}

#[test]
fn loads_and_tables_put_bytes_in_their_places() {
    everywhere(|| Places { from: bytes(3) });
}
