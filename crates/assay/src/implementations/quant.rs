//! Our side of quantized rows ([`::quant::cases`]): random blocks to numbers, and numbers to blocks.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::Path;
use std::rc::Rc;

use ::quant::{
    Kernel, QuantError,
    cases::{self, Direction, Row, Values},
};
use op::{CaseRow, random::SplitMix64};
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

pub(super) struct Quant {
    threads: NonZeroUsize,
}

impl Quant {
    pub(super) fn new(threads: NonZeroUsize) -> Self {
        Self { threads }
    }
}

impl Implementation for Quant {
    fn describe(&mut self) -> Result<Description, String> {
        let settings = format!("{} threads, {}", self.threads, Kernel::best().name());
        Ok(Description::new("assay", env!("CARGO_PKG_VERSION"), settings))
    }

    fn cases(&mut self) -> Result<Vec<CaseRow>, Refusal> {
        Ok(super::rows(&cases::cases()))
    }

    fn inputs(&mut self, case: &Case, dir: &Path) -> Result<(), Refusal> {
        let Row { direction, ty, len, has_zeros, values, seed } = case.read()?;
        // The low bits differ between blocks and numbers.
        let seeded = |kind: u64| SplitMix64::new(kind ^ seed << 32);
        if direction == Direction::Dequantize {
            let bytes = ty.row_bytes(len).map_err(refused)?;
            let blocks: Vec<u8> = seeded(0xb10c).flat_map(u64::to_le_bytes).take(bytes).collect();
            peer::write(&dir.join("blocks"), &blocks)?;
            return Ok(());
        }
        let x: Vec<f32> = match values {
            Values::Bits => seeded(0xf10a).map(finite).take(len).collect(),
            Values::Normal => numbers(seeded(0xf10a), len, has_zeros).collect(),
        };
        peer::write(&dir.join("x"), &x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>())?;
        Ok(())
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        if self.threads.get() != 1 {
            return Err(Refusal::Unsupported("a row is converted by one thread".to_owned()));
        }
        let Row { direction, ty, len, .. } = case.read()?;
        let kernel = Kernel::best();
        let bytes = ty.row_bytes(len).map_err(refused)?;
        let is_dequantized = direction == Direction::Dequantize;
        let isa = if is_dequantized { kernel.dequantizes(ty) } else { kernel.quantizes(ty) };
        let isa = isa.map_or("no kernel", |isa| isa.name());
        let ran = Ran { bytes: (bytes + 4 * len) as u64, ..Ran::new(kernel.name(), isa) };
        if is_dequantized {
            let blocks = std::fs::read(inputs.join("blocks"))?;
            let out = Rc::new(RefCell::new(vec![0.0_f32; len]));
            let shown = out.clone();
            kernel.dequantize(ty, &blocks, &mut out.borrow_mut()).map_err(refused)?;
            // The same call succeeded above, so this does not fail.
            let run = move || {
                let _ = kernel.dequantize(ty, &blocks, &mut out.borrow_mut());
            };
            let output = move || shown.borrow().iter().flat_map(|&x| one_nan(x).to_le_bytes()).collect();
            Ok(Closures::boxed(ran, run, output))
        } else {
            let x = peer::read_f32(&inputs.join("x"))?;
            let out = Rc::new(RefCell::new(vec![0_u8; bytes]));
            let shown = out.clone();
            kernel.quantize(ty, &x, &mut out.borrow_mut()).map_err(refused)?;
            let run = move || {
                let _ = kernel.quantize(ty, &x, &mut out.borrow_mut());
            };
            Ok(Closures::boxed(ran, run, move || shown.borrow().clone()))
        }
    }
}

fn refused(error: QuantError) -> Refusal {
    match error {
        QuantError::Unsupported { .. } => Refusal::Unsupported(error.to_string()),
        other => Refusal::Error(other.to_string()),
    }
}

/// Replaces every NaN by the same one: languages do not define the payload of a NaN.
fn one_nan(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(0x7fc0_0000) } else { x }
}

/// A finite number of random sign, exponent and fraction.
fn finite(bits: u64) -> f32 {
    let x = f32::from_bits(bits as u32);
    // Clearing the highest bit of the exponent of infinity or NaN makes it that of 1.
    if x.is_finite() { x } else { f32::from_bits(bits as u32 & !(1 << 30)) }
}

/// Nearly normal numbers. Each run of 256 has a scale between 2^-12 and 2^3; some runs are all zero, all equal, or have
/// one outlier.
fn numbers(mut random: impl Iterator<Item = u64>, len: usize, has_zeros: bool) -> impl Iterator<Item = f32> {
    let mut scale = 1.0;
    (0..len).map(move |i| {
        let bits = random.next().unwrap_or_default();
        if i % 256 == 0 {
            scale = 2.0_f32.powi((bits % 16) as i32 - 12);
        }
        let sum: i32 = (0..4).map(|k| ((bits >> (16 * k)) & 0xffff) as i32).sum();
        let normal = (sum - 131_070) as f32 / 37_837.0;
        match (i / 256) % 61 {
            17 if has_zeros => 0.0,
            29 => scale,
            43 if i % 256 == 100 => 1000.0 * scale,
            _ => scale * normal,
        }
    })
}
