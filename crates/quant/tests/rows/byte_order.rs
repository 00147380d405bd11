//! Big-endian rows, compared with an independent oracle: the fields of the blocks.

use proof::input::Random;
use quant::{
    Endian, GgmlType, QuantError, dequantize, first_non_finite, first_non_finite_in,
    format::{
        BlockIQ4_NL, BlockQ2_K, BlockQ3_K, BlockQ4_0, BlockQ4_1, BlockQ4_K, BlockQ5_0, BlockQ5_1, BlockQ5_K, BlockQ6_K,
        BlockQ8_0, BlockQ8_1, BlockQ8_K,
        le::{F16Le, F32Le, I16Le},
    },
    swap_bytes,
};

use crate::{COMPUTED, bits};

const BLOCKS: usize = 5;

/// Types of plain numbers or bytes without a kernel.
const PLAIN: [GgmlType; 6] =
    [GgmlType::I8, GgmlType::I16, GgmlType::I32, GgmlType::I64, GgmlType::F64, GgmlType::NVFP4];

fn random_row(ty: GgmlType) -> Vec<u8> {
    let mut random = Random::new(ty.id().into());
    (0..BLOCKS * ty.block_bytes()).map(|_| random.bits() as u8).collect()
}

/// The row after `change` is applied to every block.
fn of<B: bytemuck::Pod>(row: &[u8], change: impl Fn(&mut B)) -> Vec<u8> {
    let mut blocks: Vec<B> = bytemuck::pod_collect_to_vec(row);
    blocks.iter_mut().for_each(change);
    bytemuck::cast_slice(&blocks).to_vec()
}

fn halves<const N: usize>(fields: [&mut F16Le; N]) {
    fields.into_iter().for_each(|x| *x = F16Le::from_bits(x.to_bits().swap_bytes()));
}

fn reversed<const N: usize>(row: &[u8]) -> Vec<u8> {
    row.as_chunks::<N>().0.iter().flat_map(|number| number.iter().rev().copied()).collect()
}

/// The row that a big-endian machine would write.
fn expected(ty: GgmlType, row: &[u8]) -> Vec<u8> {
    match ty {
        GgmlType::I8 | GgmlType::MXFP4 | GgmlType::NVFP4 => row.to_vec(),
        GgmlType::F16 | GgmlType::BF16 | GgmlType::I16 => reversed::<2>(row),
        GgmlType::F32 | GgmlType::I32 => reversed::<4>(row),
        GgmlType::F64 | GgmlType::I64 => reversed::<8>(row),
        GgmlType::Q4_0 => of(row, |b: &mut BlockQ4_0| halves([&mut b.d])),
        GgmlType::Q4_1 => of(row, |b: &mut BlockQ4_1| halves([&mut b.d, &mut b.m])),
        GgmlType::Q5_0 => of(row, |b: &mut BlockQ5_0| {
            halves([&mut b.d]);
            b.qh.reverse();
        }),
        GgmlType::Q5_1 => of(row, |b: &mut BlockQ5_1| {
            halves([&mut b.d, &mut b.m]);
            b.qh.reverse();
        }),
        GgmlType::Q8_0 => of(row, |b: &mut BlockQ8_0| halves([&mut b.d])),
        GgmlType::Q8_1 => of(row, |b: &mut BlockQ8_1| halves([&mut b.d, &mut b.s])),
        GgmlType::Q2_K => of(row, |b: &mut BlockQ2_K| halves([&mut b.d, &mut b.dmin])),
        GgmlType::Q3_K => of(row, |b: &mut BlockQ3_K| halves([&mut b.d])),
        GgmlType::Q4_K => of(row, |b: &mut BlockQ4_K| halves([&mut b.d, &mut b.dmin])),
        GgmlType::Q5_K => of(row, |b: &mut BlockQ5_K| halves([&mut b.d, &mut b.dmin])),
        GgmlType::Q6_K => of(row, |b: &mut BlockQ6_K| halves([&mut b.d])),
        GgmlType::Q8_K => of(row, |b: &mut BlockQ8_K| {
            b.d = F32Le::from_f32(f32::from_bits(b.d.to_f32().to_bits().swap_bytes()));
            b.bsums = b.bsums.map(|sum| I16Le::new(sum.get().swap_bytes()));
        }),
        GgmlType::IQ4_NL => of(row, |b: &mut BlockIQ4_NL| halves([&mut b.d])),
        _ => panic!("{ty} has no big-endian form here"),
    }
}

#[test]
fn every_multi_byte_number_is_swapped_and_nothing_else() {
    for ty in COMPUTED.into_iter().chain(PLAIN) {
        let row = random_row(ty);
        let mut swapped = row.clone();
        swap_bytes(ty, &mut swapped).unwrap();
        assert!(swapped == expected(ty, &row), "{ty}");
        swap_bytes(ty, &mut swapped).unwrap();
        assert!(swapped == row, "{ty}: swapping twice restores the row");
    }
}

/// Both byte orders have the same numbers and the same blocks that are not finite.
#[test]
fn both_byte_orders_have_the_same_numbers() {
    for ty in COMPUTED {
        let mut not_finite = 0;
        for seed in 0..200 {
            let mut random = Random::new(seed);
            // Many bytes are those of an infinity, so that both finite and other scales occur.
            let row: Vec<u8> = (0..BLOCKS * ty.block_bytes())
                .map(|_| [0x7f, 0xff, 0x80, random.bits() as u8][random.below(4)])
                .collect();
            let big = expected(ty, &row);
            assert_eq!(first_non_finite_in(ty, &big, Endian::Big), first_non_finite(ty, &row), "{ty} {seed}");
            not_finite += u32::from(first_non_finite(ty, &row).unwrap().is_some());
            let mut back = big;
            swap_bytes(ty, &mut back).unwrap();
            let numbers = |row: &[u8]| {
                let mut out = vec![0.0; BLOCKS * ty.block_len()];
                dequantize(ty, row, &mut out).unwrap();
                bits(&out)
            };
            assert_eq!(numbers(&back), numbers(&row), "{ty} {seed}");
        }
        assert!((5..=200).contains(&not_finite), "{ty}: {not_finite} of 200 rows");
    }
}

#[test]
fn rows_that_cannot_be_swapped_are_unchanged() {
    for &ty in GgmlType::ALL {
        let mut row = random_row(ty);
        let before = row.clone();
        if !COMPUTED.contains(&ty) && !PLAIN.contains(&ty) {
            assert_eq!(swap_bytes(ty, &mut row), Err(QuantError::Unsupported { ty }));
        } else if ty.block_bytes() > 1 {
            let got = row.len() - 1;
            assert_eq!(swap_bytes(ty, &mut row[..got]), Err(QuantError::Bytes { ty, got, need: got + 1 }));
        }
        assert!(ty.block_bytes() == 1 || row == before, "{ty}");
    }
}
