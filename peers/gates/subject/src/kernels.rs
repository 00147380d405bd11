//! The kernels. Each takes a few microseconds and folds what it computed into a number.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::BuildHasherDefault;

/// Computes on the data. Buffers in it may be overwritten, the inputs stay as they are.
pub type Kernel = fn(&mut Data) -> u64;

/// Every kernel with the id of its benchmark.
pub const KERNELS: [(&str, Kernel); 20] = [
    ("hash_bytes", hash_bytes),
    ("sum_floats", sum_floats),
    ("dot_product", dot_product),
    ("prefix_sums", prefix_sums),
    ("sort_numbers", sort_numbers),
    ("binary_search", binary_search),
    ("count_words", count_words),
    ("collect_words", collect_words),
    ("parse_numbers", parse_numbers),
    ("format_numbers", format_numbers),
    ("upper_case", upper_case),
    ("checksum_bits", checksum_bits),
    ("count_ones", count_ones),
    ("multiply_tiles", multiply_tiles),
    ("stencil", stencil),
    ("histogram", histogram),
    ("chase_indices", chase_indices),
    ("tree_lookups", tree_lookups),
    ("table_lookups", table_lookups),
    ("run_lengths", run_lengths),
];

/// Inputs and buffers of all kernels.
pub struct Data {
    bytes: Vec<u8>,
    floats: Vec<f32>,
    numbers: Vec<u32>,
    sorted: Vec<u32>,
    next: Vec<u32>,
    text: String,
    tree: BTreeMap<u32, u32>,
    table: HashMap<u32, u32, BuildHasherDefault<DefaultHasher>>,
    numbers_out: Vec<u32>,
    floats_out: Vec<f32>,
    text_out: String,
}

impl Data {
    /// The same data in every process.
    pub fn fixed() -> Self {
        let mut state = 1_u32;
        // The multiplier and increment of Numerical Recipes; the low bits are poor, so they are dropped.
        let mut draw = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let numbers: Vec<u32> = (0..1024).map(|_| draw(1 << 24)).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let mut next: Vec<u32> = (0..1024).collect();
        // Sattolo's shuffle: one cycle through all places.
        for at in (1..1024_u32).rev() {
            next.swap(at as usize, draw(at) as usize);
        }
        Self {
            bytes: (0..4096).map(|_| draw(7) as u8 * 31).collect(),
            floats: (0..4096).map(|_| draw(1 << 20) as f32 / 1e6 - 0.5).collect(),
            text: numbers.iter().take(256).map(|number| format!("{number} ")).collect(),
            tree: numbers.iter().map(|number| (*number, number / 3)).collect(),
            table: numbers.iter().map(|number| (*number, number / 5)).collect(),
            numbers_out: vec![0; 4096],
            floats_out: vec![0.0; 4096],
            text_out: String::with_capacity(8192),
            numbers,
            sorted,
            next,
        }
    }
}

fn hash_bytes(data: &mut Data) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    data.bytes.iter().take(2048).fold(0xcbf2_9ce4_8422_2325, fold)
}

fn sum_floats(data: &mut Data) -> u64 {
    data.floats.iter().sum::<f32>().to_bits().into()
}

fn dot_product(data: &mut Data) -> u64 {
    let mut sums = [0.0_f32; 16];
    for _ in 0..8 {
        for (x, y) in data.floats[..2048].chunks_exact(16).zip(data.floats[2048..].chunks_exact(16)) {
            sums.iter_mut().zip(x).zip(y).for_each(|((sum, x), y)| *sum += x * y);
        }
    }
    sums.iter().sum::<f32>().to_bits().into()
}

fn prefix_sums(data: &mut Data) -> u64 {
    let mut sum = 0_u32;
    for _ in 0..4 {
        for (out, number) in data.numbers_out.iter_mut().zip(&data.numbers) {
            sum = sum.wrapping_add(*number);
            *out = sum;
        }
    }
    sum.into()
}

fn sort_numbers(data: &mut Data) -> u64 {
    data.numbers_out[..256].copy_from_slice(&data.numbers[..256]);
    data.numbers_out[..256].sort_unstable();
    data.numbers_out[128].into()
}

fn binary_search(data: &mut Data) -> u64 {
    let found = |number: &u32| data.sorted.partition_point(|other| other < number) as u64;
    data.numbers.iter().take(128).map(found).sum()
}

fn count_words(data: &mut Data) -> u64 {
    data.text.split_ascii_whitespace().count() as u64
}

fn collect_words(data: &mut Data) -> u64 {
    let words: Vec<String> = data.text.split_ascii_whitespace().take(128).map(str::to_owned).collect();
    words.iter().map(|word| word.len() as u64).sum()
}

fn parse_numbers(data: &mut Data) -> u64 {
    data.text.split_ascii_whitespace().filter_map(|word| word.parse::<u64>().ok()).sum()
}

fn format_numbers(data: &mut Data) -> u64 {
    data.text_out.clear();
    for number in &data.numbers[..128] {
        // Writing to a string does not fail.
        let _ = write!(data.text_out, "{number:>9}");
    }
    data.text_out.len() as u64
}

fn upper_case(data: &mut Data) -> u64 {
    data.text_out.clear();
    data.text_out.extend(data.text.chars().map(|c| c.to_ascii_uppercase()));
    data.text_out.len() as u64
}

fn checksum_bits(data: &mut Data) -> u64 {
    let bit = |crc: u32| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0xedb8_8320 };
    data.bytes.iter().take(256).fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc))).into()
}

fn count_ones(data: &mut Data) -> u64 {
    let ones = |pair: &[u32]| u64::from((pair[0] ^ pair[1].rotate_left(9)).count_ones());
    (0..4).map(|_| std::hint::black_box(&data.numbers).windows(2).map(ones).sum::<u64>()).sum()
}

fn multiply_tiles(data: &mut Data) -> u64 {
    let mut tile = [[0.0_f32; 16]; 16];
    for (row, out) in tile.iter_mut().enumerate() {
        for inner in 0..64 {
            let a = data.floats[row * 64 + inner];
            let b = &data.floats[2048 + inner * 16..][..16];
            out.iter_mut().zip(b).for_each(|(out, b)| *out += a * b);
        }
    }
    tile.iter().flatten().sum::<f32>().to_bits().into()
}

fn stencil(data: &mut Data) -> u64 {
    for _ in 0..4 {
        for (out, x) in data.floats_out.iter_mut().zip(data.floats.windows(3)) {
            *out = 0.25 * x[0] + 0.5 * x[1] + 0.25 * x[2];
        }
    }
    data.floats_out[99].to_bits().into()
}

fn histogram(data: &mut Data) -> u64 {
    let mut counts = [0_u32; 256];
    data.bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    counts.iter().zip(0..).map(|(count, weight)| u64::from(*count) * weight).sum()
}

fn chase_indices(data: &mut Data) -> u64 {
    (0..1024).fold(0_u32, |at, _| data.next[at as usize]).into()
}

fn tree_lookups(data: &mut Data) -> u64 {
    data.numbers.iter().take(64).filter_map(|number| data.tree.get(number)).map(|value| u64::from(*value)).sum()
}

fn table_lookups(data: &mut Data) -> u64 {
    data.numbers.iter().take(128).filter_map(|number| data.table.get(number)).map(|value| u64::from(*value)).sum()
}

fn run_lengths(data: &mut Data) -> u64 {
    let mut runs = 0;
    for pair in data.bytes[..2048].windows(2) {
        data.numbers_out[runs] += 1;
        if pair[0] != pair[1] {
            runs += 1;
            data.numbers_out[runs] = 0;
        }
    }
    runs as u64
}
