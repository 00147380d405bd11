//! Swapped 16-bit integers to f32. One shuffle puts the bytes of each word, in order, into the upper half of 32 bits,
//! and one shift brings them down. The compiler swaps first and widens then, which takes two shuffles.

use std::marker::PhantomData;

use simd::{Dispatch, InstructionSet, Portable};

use super::{
    Map, Stored,
    fill::{Arithmetic as _, Single, Unscaled},
};

/// As the loops of `fill` for `S`, which is `i16` or `u16`, swapped; scaled in f32 or not at all.
pub(super) fn swapped<S: Stored, const IS_SIGNED: bool, const IS_SCALED: bool>(
    simd: InstructionSet,
    map: &Map,
    src: &[u8],
    dst: &mut [f32],
) {
    simd.dispatch(Words::<S, IS_SIGNED, IS_SCALED> { map: *map, src, dst, of: PhantomData });
}

struct Words<'a, S, const IS_SIGNED: bool, const IS_SCALED: bool> {
    map: Map,
    src: &'a [u8],
    dst: &'a mut [f32],
    of: PhantomData<S>,
}

impl<S: Stored, const IS_SIGNED: bool, const IS_SCALED: bool> Words<'_, S, IS_SIGNED, IS_SCALED> {
    /// Converts the values from `first` on, one by one.
    fn each(self, first: usize) {
        let values = S::each::<true>(&self.src[2 * first..]);
        for (dst, value) in self.dst[first..].iter_mut().zip(values) {
            *dst = if IS_SCALED { Single::apply(&self.map, value) } else { Unscaled::apply(&self.map, value) };
        }
    }
}

impl<S: Stored, const IS_SIGNED: bool, const IS_SCALED: bool> Dispatch for Words<'_, S, IS_SIGNED, IS_SCALED> {
    type Output = ();

    fn portable(self, _: Portable) {
        self.each(0);
    }

    #[cfg(target_arch = "x86_64")]
    fn avx2(self, token: simd::Avx2) {
        let scale = IS_SCALED.then_some((self.map.slope as f32, self.map.inter as f32));
        let done = super::avx2::swapped_words::<IS_SIGNED>(token, scale, self.src, self.dst);
        self.each(done);
    }
}

#[cfg(test)]
mod tests {
    use simd::Isa;

    use super::*;
    use crate::convert::{compiled::instruction_set, fill::fill};

    #[test]
    fn vectors_give_the_bits_of_the_loop() {
        fn check<S: Stored, const IS_SIGNED: bool>() {
            let src: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_be_bytes).collect();
            let map = Map { slope: 0.37_f32.into(), inter: -1024.5, ..Map::IDENTITY };
            let simd = instruction_set(Isa::Avx2);
            // All values, and all lengths of a tail at all alignments.
            for range in [0..1 << 17, 3..40, 1..3, 5..5].into_iter().chain((0..70).map(|n| n..n + 2 * n)) {
                let src = &src[range];
                let n = src.len() / 2;
                let mut found = [vec![f32::NAN; n], vec![f32::NAN; n]];
                let mut expected = found.clone();
                swapped::<S, IS_SIGNED, false>(simd, &map, src, &mut found[0]);
                swapped::<S, IS_SIGNED, true>(simd, &map, src, &mut found[1]);
                fill::<S, f32, Unscaled, true>(simd, &map, src, &mut expected[0]);
                fill::<S, f32, Single, true>(simd, &map, src, &mut expected[1]);
                let bits = |values: &[Vec<f32>; 2]| values.concat().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&found), bits(&expected));
            }
        }
        check::<i16, true>();
        check::<u16, false>();
    }
}
