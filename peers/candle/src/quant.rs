//! candle's block types convert rows: `GgmlType::to_float` and `from_float`.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use candle_core::quantized::k_quants::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0, BlockQ8K,
    GgmlType,
};
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

struct Candle;

impl Implementation for Candle {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("candle", "0.11.1", "k_quants::GgmlType, one thread"))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let is_k = |name: &str| name.ends_with("_K") && name != "Q8_K";
        if case.text("work")? == "quantize" && is_k(case.text("type")?) {
            return Err(Refusal::Unsupported("candle's search finds other scales than ggml's reference".to_owned()));
        }
        match case.text("type")? {
            "Q4_0" => row::<BlockQ4_0>(case, inputs),
            "Q4_1" => row::<BlockQ4_1>(case, inputs),
            "Q5_0" => row::<BlockQ5_0>(case, inputs),
            "Q5_1" => row::<BlockQ5_1>(case, inputs),
            "Q8_0" => row::<BlockQ8_0>(case, inputs),
            "Q2_K" => row::<BlockQ2K>(case, inputs),
            "Q3_K" => row::<BlockQ3K>(case, inputs),
            "Q4_K" => row::<BlockQ4K>(case, inputs),
            "Q5_K" => row::<BlockQ5K>(case, inputs),
            "Q6_K" => row::<BlockQ6K>(case, inputs),
            "Q8_K" => row::<BlockQ8K>(case, inputs),
            other => Err(Refusal::Unsupported(format!("candle has no block type for {other}"))),
        }
    }
}

fn row<T: GgmlType + 'static>(case: &Case, inputs: &Path) -> Load<'static> {
    let len = case.number("n")?;
    let blocks: Vec<T> = vec![T::zeros(); len / T::BLCK_SIZE];
    if case.text("work")? == "dequantize" {
        let bytes = std::fs::read(inputs.join("blocks"))?;
        let mut blocks = blocks;
        if bytes.len() != size_of_val(&blocks[..]) {
            return Err(Refusal::Error(format!("{} bytes of blocks", bytes.len())));
        }
        // SAFETY: the length is the blocks' size in bytes; blocks are plain integers and halves, valid for any bits.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), blocks.as_mut_ptr().cast(), bytes.len()) };
        let out = Rc::new(RefCell::new(vec![0.0_f32; len]));
        let shown = out.clone();
        let run = move || T::to_float(&blocks, &mut out.borrow_mut());
        let one_nan = |x: f32| if x.is_nan() { f32::from_bits(0x7fc0_0000) } else { x };
        Ok(Closures::boxed(Ran::by("candle", "to_float"), run, move || {
            shown.borrow().iter().flat_map(|&x| one_nan(x).to_le_bytes()).collect()
        }))
    } else {
        let x = peer::read_f32(&inputs.join("x"))?;
        let blocks = Rc::new(RefCell::new(blocks));
        let shown = blocks.clone();
        let run = move || T::from_float(&x, &mut blocks.borrow_mut());
        let output = move || {
            let blocks = shown.borrow();
            // SAFETY: the blocks are plain integers and halves without padding.
            unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast::<u8>(), size_of_val(&blocks[..])) }.to_vec()
        };
        Ok(Closures::boxed(Ran::by("candle", "from_float"), run, output))
    }
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Candle)
}
