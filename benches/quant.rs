//! Rows of quantized types, in both directions: every kernel of this machine on the same random input.

use machine::{ceiling::Level, isa::Isa};
use op::{Loaded, NamedCase, Ran, Regime};
use proof::{
    bench::{Bench, Ceiling, Subject, Suite},
    guarded::Guarded,
    input::{Hash, Random, normal},
};
use quant::{
    GgmlType, Kernel,
    cases::{self, Direction, RESIDENT},
    kernels,
};
use record::Work;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

fn main() {
    proof::bench::main(|suite| {
        for case in cases::cases().iter().filter(|case| case.tier > 0) {
            for kernel in kernels() {
                let isa = match case.params.direction {
                    Direction::Dequantize => kernel.dequantizes(case.params.ty),
                    Direction::Quantize => kernel.quantizes(case.params.ty),
                };
                if isa == Some(Isa::Avx2) {
                    declare(suite, case, kernel, case.tier);
                } else if kernel.name() == "cpu-scalar" && case.regime == Regime::Resident {
                    // Where another kernel runs the portable code, it would be measured twice.
                    declare(suite, case, kernel, 2);
                }
            }
        }
    });
}

fn declare(suite: &mut Suite, case: &NamedCase<cases::Row>, kernel: Kernel, tier: u8) {
    let cases::Row { direction, ty, len, .. } = case.params;
    let level = if case.regime == Regime::Resident { Level::L2 } else { Level::Memory };
    let bytes = ty.row_bytes(len).expect("whole blocks") + 4 * len;
    let bench = Bench {
        group: format!("quant/{direction}/{}", ty.name().to_lowercase()),
        function: format!("n{len}/{}/t1", case.regime),
        value: kernel.name().to_owned(),
        tier,
        work: Work { flops: None, bytes: Some(bytes as f64), elements: Some(len as f64) },
        ceiling: Ceiling::Read { level, threads: 1 },
    };
    suite.bench(bench, move || Box::new(Row::new(direction, ty, len, kernel)));
}

/// A row, as blocks and as numbers.
struct Row {
    direction: Direction,
    ty: GgmlType,
    kernel: Kernel,
    blocks: Vec<u8>,
    numbers: Guarded<f32>,
}

impl Row {
    fn new(direction: Direction, ty: GgmlType, len: usize, kernel: Kernel) -> Self {
        let mut blocks = vec![0; ty.row_bytes(len).expect("whole blocks")];
        let mut numbers = Guarded::new(len);
        match direction {
            Direction::Dequantize => {
                let mut random = Random::new(1);
                for bytes in blocks.chunks_mut(8) {
                    bytes.copy_from_slice(&random.bits().to_le_bytes()[..bytes.len()]);
                }
            }
            Direction::Quantize => numbers.copy_from_slice(&normal(2, len)),
        }
        Self { direction, ty, kernel, blocks, numbers }
    }

    /// Hash of the result, with all NaNs replaced by one.
    fn result(&self) -> String {
        let mut hash = Hash::default();
        match self.direction {
            Direction::Dequantize => {
                for &x in self.numbers.iter() {
                    hash.f32s(&[if x.is_nan() { f32::NAN } else { x }]);
                }
            }
            Direction::Quantize => {
                hash.bytes(&self.blocks);
            }
        }
        hash.finish()
    }
}

impl Subject for Row {
    /// Compares with the bits of the portable code, which `cargo xtask peers quant` compares with ggml. Of a long row,
    /// only the first part is compared, so that the proof costs no more than the timed work.
    fn prove(&mut self) -> record::Proof {
        let checked = RESIDENT.min(self.numbers.len());
        let bytes = self.ty.row_bytes(checked).expect("whole blocks");
        let mut part = Row::new(self.direction, self.ty, checked, self.kernel);
        part.blocks.copy_from_slice(&self.blocks[..bytes]);
        if self.direction == Direction::Quantize {
            part.numbers.copy_from_slice(&self.numbers[..checked]);
        } else {
            part.numbers.poison();
        }
        let input = match self.direction {
            Direction::Dequantize => Hash::default().bytes(&part.blocks).finish(),
            Direction::Quantize => Hash::default().f32s(&part.numbers).finish(),
        };
        part.run();
        let (actual, guards) = (part.result(), part.numbers.verify_guards());
        part.kernel = Kernel::SCALAR;
        part.run();
        self.run();
        let mut proof = proof::compare::same_hash(&actual, &part.result(), input);
        if let Err(overwritten) = guards {
            proof.failure = Some(overwritten.to_string());
        }
        proof
    }
}

impl Loaded for Row {
    fn run(&mut self) {
        let Self { ty, kernel, blocks, numbers, .. } = self;
        match self.direction {
            Direction::Dequantize => kernel.dequantize(*ty, blocks, numbers),
            Direction::Quantize => kernel.quantize(*ty, numbers, blocks),
        }
        .expect("lengths were checked");
    }

    fn ran(&self) -> Ran {
        let isa = match self.direction {
            Direction::Dequantize => self.kernel.dequantizes(self.ty),
            Direction::Quantize => self.kernel.quantizes(self.ty),
        };
        let bytes = (self.blocks.len() + 4 * self.numbers.len()) as u64;
        Ran { bytes, ..Ran::new(self.kernel.name(), isa.map_or_else(String::new, |isa| isa.to_string())) }
    }
}
