//! `candle_nn::attention::flash_attn` on the CPU; for packed sequences `flash_attn_varlen_cpu`.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor, WithDType};
use candle_nn::attention::{AttnMask, flash_attn, flash_attn_varlen_cpu};
use half::{bf16, f16};
use num_traits::Float;
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

struct Candle {
    threads: usize,
}

/// A case with tensors in the order batch, token, head, element.
struct Problem {
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: f32,
    mask: AttnMask,
    /// Window, keys before and after.
    window: (Option<usize>, Option<usize>),
    /// Of packed sequences, if there are any.
    lengths: Option<Tensor>,
}

impl Implementation for Candle {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("candle", "0.11.1", format!("attention::flash_attn, rayon with {} threads", self.threads)))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        match case.text("type")? {
            "f32" => load::<f32>(case, inputs),
            "f16" => load::<f16>(case, inputs),
            "bf16" => load::<bf16>(case, inputs),
            other => Err(Refusal::Unsupported(format!("no attention of {other}"))),
        }
    }
}

fn load<T: WithDType + Float + 'static>(case: &Case, inputs: &Path) -> Load<'static> {
    let problem = problem(case, inputs, T::DTYPE)?;
    let attend = move || problem.attend::<T>();
    let result = Rc::new(RefCell::new(attend().map_err(refused)?));
    let shown = result.clone();
    let run = move || {
        // The same call succeeded above.
        if let Ok(out) = attend() {
            *result.borrow_mut() = out;
        }
    };
    let output = move || {
        // Of the function for sequences of equal lengths, the result lies by head.
        let by_token = |out: &Tensor| if out.rank() == 4 { out.transpose(1, 2)?.contiguous() } else { Ok(out.clone()) };
        let values =
            by_token(&shown.borrow()).and_then(|out| out.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
        values.unwrap_or_default().into_iter().flat_map(f32::to_le_bytes).collect()
    };
    Ok(Closures::boxed(Ran::by("candle", "flash_attn"), run, output))
}

fn problem(case: &Case, inputs: &Path, dtype: DType) -> Result<Problem, Refusal> {
    let read = |name: &str, tokens: &str, heads: &str| -> Result<Tensor, Refusal> {
        let extents = [case.number("batch")?, case.number(tokens)?, case.number(heads)?, case.number("head_dim")?];
        let bytes = std::fs::read(inputs.join(name))?;
        Tensor::from_raw_buffer(&bytes, dtype, &extents, &Device::Cpu).map_err(refused)
    };
    let (queries, keys) = (case.number("queries")?, case.number("keys")?);
    let (mut mask, mut window) = (AttnMask::None, (None, None));
    match case.text("mask")? {
        "none" => {}
        // The last query stands at the last key.
        "causal" => mask = AttnMask::causal_with_offset(keys - queries),
        "window" => window = (Some(case.number("left")?), Some(case.number("right")?)),
        other => return Err(Refusal::Unsupported(format!("no mask {other}"))),
    }
    let lengths = case.text("lengths").ok().map(|text| text.split(',').filter_map(|n| n.parse().ok()).collect());
    let lengths: Option<Vec<u32>> = match window {
        // Only the function for packed sequences has a window.
        (Some(_), _) => Some(vec![keys as u32]),
        _ => lengths,
    };
    let lengths = lengths.map(|lengths| Tensor::new(lengths, &Device::Cpu)).transpose().map_err(refused)?;
    let scale = (case.number("head_dim")? as f32).sqrt().recip();
    let (q, k, v) = (read("q", "queries", "heads")?, read("k", "keys", "kv_heads")?, read("v", "keys", "kv_heads")?);
    Ok(Problem { q, k, v, scale, mask, window, lengths })
}

impl Problem {
    /// [batch, heads, tokens, head_dim], or [tokens, heads, head_dim] of packed sequences and of windows.
    fn attend<T: WithDType + Float>(&self) -> candle_core::Result<Tensor> {
        let Self { q, k, v, scale, mask, window, lengths } = self;
        let Some(lengths) = lengths else {
            return flash_attn::<T>(q, k, v, *scale, mask.clone(), None, None);
        };
        let (q, k, v) = (q.squeeze(0)?, k.squeeze(0)?, v.squeeze(0)?);
        let longest = lengths.to_vec1::<u32>()?.into_iter().max().unwrap_or(0) as usize;
        let is_causal = mask.is_causal();
        flash_attn_varlen_cpu(
            &q, &k, &v, None, lengths, lengths, longest, longest, *scale, is_causal, window.0, window.1,
        )
    }
}

fn refused(error: candle_core::Error) -> Refusal {
    Refusal::Unsupported(error.to_string().lines().next().unwrap_or_default().to_owned())
}

fn main() -> std::io::Result<()> {
    let threads = peer::threads_argument().get();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
    pool.build_global().expect("the first pool of the process");
    peer::serve(&mut Candle { threads })
}
