//! Choices of variants: what is known is taken, and where nothing can be measured, the safe one.

use std::sync::Arc;

use gemm_gpu::{
    Activations, BlockProduct, BlockVariant, Blocks, ElementType, Epilogue, GemmGpuError, Layout, Matrix, Operand,
    Operands, Product, Variant, kernels,
};
use gpu::Tuner;
use pipeline_cache::{Cache, Choices, Digest, Limits, Question, Stored};
use proof::input::normal;
use quant::GgmlType::Q4_K;

use crate::device;

fn digest(names: impl Iterator<Item = String>) -> Digest {
    let names: Vec<String> = names.collect();
    Digest::of_texts(names.iter().map(String::as_str))
}

#[test]
fn a_kept_choice_is_taken_and_one_among_others_is_not() {
    let Some(gpu) = device() else { return };
    let (m, n, k) = (2, 24, 256);
    let a = Matrix::upload(gpu, &normal(1, m * k), m, k).unwrap();
    let b = Matrix::upload(gpu, &normal(2, n * k), n, k).unwrap();
    let operands = Operands { a: &a, b: Operand::Columns(&b), c: None, batch: 1, epilogue: Epilogue::NONE };
    let activations = Activations::new(gpu, Q4_K, &a).unwrap();
    let mut bytes = vec![0; n * Q4_K.row_bytes(k).unwrap()];
    quant::quantize(Q4_K, &normal(2, n * k), &mut bytes).unwrap();
    let blocks = Blocks::upload(gpu, Q4_K, Layout::Packed, &bytes, n, k).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(Cache::open(folder.path(), Limits::default()));
    let key = gpu.key_of(&kernels::all());
    let fits = |variant: &Variant| variant.missing(gpu.capabilities(), ElementType::F32, m, true).is_none();
    // As the tuner orders them.
    let is_gemv = |variant: &Variant| matches!(variant, Variant::Gemv { .. });
    let (few, many): (Vec<_>, Vec<_>) = Variant::ALL.into_iter().filter(fits).partition(is_gemv);
    let candidates = digest(few.iter().chain(&many).map(Variant::to_string));
    let question = |candidates| Question { op: "gemm/f32", class: "m2-n24-k256-columns-x1", candidates };
    let of_blocks = Question {
        op: "gemm/q4_k",
        class: "m2-n24-k256-packed",
        candidates: digest(BlockVariant::ALL.iter().map(BlockVariant::to_string)),
    };
    let (kept, kept_blocks) = (*few.last().unwrap(), BlockVariant::ALL[3]);
    let mut choices = Choices::default();
    choices.set(question(candidates), &kept);
    choices.set(of_blocks, &kept_blocks);
    assert!(matches!(choices.save(&cache, &key), Stored::Written { .. }));

    let tuner = Tuner::kept(gpu, Arc::clone(&cache), &kernels::all());
    assert_eq!(Product::tuned(&tuner, operands).unwrap().variant(), kept);
    assert_eq!(BlockVariant::tuned(&tuner, &activations, &blocks).unwrap(), kept_blocks);
    assert_eq!(BlockProduct::tuned(&tuner, &activations, &blocks, None).unwrap().ran().tile, kept_blocks.to_string());
    assert_eq!(tuner.save(), Stored::Nothing, "nothing was chosen anew");

    // Chosen among others: it counts no more. A software adapter measures nothing.
    choices.set(question(digest(std::iter::once(kept.to_string()))), &kept);
    choices.save(&cache, &key);
    let tuner = Tuner::kept(gpu, cache, &kernels::all());
    let chosen = Product::tuned(&tuner, operands).unwrap().variant();
    if gpu.identity().is_software() {
        assert_eq!((chosen, tuner.save()), (few[0], Stored::Nothing));
    } else {
        assert!(few.contains(&chosen) || many.contains(&chosen));
        assert!(matches!(tuner.save(), Stored::Written { .. }));
    }
}

/// What is chosen computes what was asked, for operands that few variants take.
#[test]
fn only_what_can_compute_it_is_chosen() {
    let Some(gpu) = device() else { return };
    let (m, n, k) = (20, 24, 40);
    let a = Matrix::upload(gpu, &normal(1, m * k), m, k).unwrap();
    let b = Matrix::upload(gpu, &normal(2, n * k), k, n).unwrap();
    let tuner = Tuner::new(gpu);
    let operands = Operands { a: &a, b: Operand::Rows(&b), c: None, batch: 1, epilogue: Epilogue::NONE };
    assert_eq!(Product::tuned(&tuner, operands).unwrap().variant().kernel(), "wgpu-tile");
    // Four products whose B has 10 terms, where A has 40.
    let error = Product::tuned(&tuner, Operands { batch: 4, ..operands }).unwrap_err();
    assert!(matches!(error, GemmGpuError::Shape { got: 10, need: 40, .. }), "{error}");
    assert_eq!(tuner.save(), Stored::Nothing, "there is no cache");
}
