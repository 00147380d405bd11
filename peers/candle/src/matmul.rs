//! candle's `QMatMul` on weights as models store them.
//!
//! Of some types candle rearranges the weights with the first product and keeps both; that is done before anything is
//! timed. Weights of F16 and BF16 become f32, as in its models.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{DType, Device, Module, Tensor};
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal, Rotation};

struct Candle {
    threads: usize,
}

impl Implementation for Candle {
    fn describe(&mut self) -> Result<Description, String> {
        let settings = format!("QMatMul, {} threads of its own", self.threads);
        Ok(Description::new("candle", "0.11.1", settings))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let name = case.text("type")?;
        if case.text("b")? != "columns" {
            return Err(Refusal::Unsupported("candle's weights are stored by columns".to_owned()));
        }
        let ty = dtype(name).ok_or_else(|| Refusal::Unsupported(format!("candle has no block type for {name}")))?;
        let (m, n, k) = (case.number("m")?, case.number("n")?, case.number("k")?);
        let (x, weights) = (std::fs::read(inputs.join("a"))?, std::fs::read(inputs.join("b"))?);
        if k % ty.block_size() != 0 || weights.len() != n * k / ty.block_size() * ty.type_size() {
            return Err(Refusal::Error(format!("{} bytes of weights for {n} x {k} of {name}", weights.len())));
        }
        let (moved, flops) = (x.len() + weights.len() + 4 * m * n, 2 * m * n * k);
        let x = activations(&x, (m, k), ty)?;
        let copies: Result<Vec<QMatMul>, Refusal> =
            (0..case.regime.copies(weights.len())).map(|_| weight(&weights, (n, k), ty).map_err(refused)).collect();
        let copies = copies?;
        // The first product of each copy rearranges it.
        let mut last = None;
        for copy in &copies {
            last = Some(copy.forward(&x).map_err(refused)?);
        }
        let (Some(y), Some(mut copies)) = (last, Rotation::of(copies)) else {
            return Err(Refusal::Error("no copy of the weights".to_owned()));
        };
        let y = Rc::new(RefCell::new(y));
        let shown = y.clone();
        let run = move || {
            // The same call succeeded above.
            if let Ok(product) = copies.take().forward(&x) {
                *y.borrow_mut() = product;
            }
        };
        let output = move || {
            let values = shown.borrow().to_dtype(DType::F32).and_then(|y| y.flatten_all()?.to_vec1::<f32>());
            values.unwrap_or_default().into_iter().flat_map(f32::to_le_bytes).collect()
        };
        let ran =
            Ran { threads: self.threads, flops: flops as u64, bytes: moved as u64, ..Ran::by("candle", "QMatMul") };
        Ok(Closures::boxed(ran, run, output))
    }
}

/// A copy of the weights on memory of its own.
fn weight(bytes: &[u8], shape: (usize, usize), ty: GgmlDType) -> candle_core::Result<QMatMul> {
    let storage = QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, ty)?;
    QMatMul::from_qtensor(QTensor::new(storage, shape)?)
}

/// f32 activations; those of a 16-bit type are widened.
fn activations(bytes: &[u8], shape: (usize, usize), ty: GgmlDType) -> Result<Tensor, Refusal> {
    let stored = match (bytes.len(), ty) {
        (len, _) if len == 4 * shape.0 * shape.1 => DType::F32,
        (len, GgmlDType::F16) if len == 2 * shape.0 * shape.1 => DType::F16,
        (len, GgmlDType::BF16) if len == 2 * shape.0 * shape.1 => DType::BF16,
        (len, _) => return Err(Refusal::Error(format!("{len} bytes of activations for {} x {}", shape.0, shape.1))),
    };
    let x = Tensor::from_raw_buffer(bytes, stored, &[shape.0, shape.1], &Device::Cpu).map_err(refused)?;
    x.to_dtype(DType::F32).map_err(refused)
}

/// candle's name of a type by ggml's.
fn dtype(name: &str) -> Option<GgmlDType> {
    Some(match name.to_uppercase().as_str() {
        "F16" => GgmlDType::F16,
        "BF16" => GgmlDType::BF16,
        "Q4_0" => GgmlDType::Q4_0,
        "Q8_0" => GgmlDType::Q8_0,
        "Q4_K" => GgmlDType::Q4K,
        "Q5_K" => GgmlDType::Q5K,
        "Q6_K" => GgmlDType::Q6K,
        _ => return None,
    })
}

fn refused(error: candle_core::Error) -> Refusal {
    Refusal::Unsupported(error.to_string().lines().next().unwrap_or_default().to_owned())
}

fn main() -> std::io::Result<()> {
    let threads = peer::threads_argument().get();
    // SAFETY: no other thread runs yet. candle reads it when it starts its pools.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", threads.to_string()) };
    peer::serve(&mut Candle { threads })
}
