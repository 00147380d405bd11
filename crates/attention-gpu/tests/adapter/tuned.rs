//! The choice among variants by measurement.

use std::sync::Arc;

use attention_gpu::{ElementType::F32, Mask, VARIANTS};
use gpu::Tuner;
use pipeline_cache::{Cache, Choices, Digest, Limits, Question, Stored};

use crate::{Case, attention, problem};

/// A choice that was kept is taken; without one, a software adapter has no clock to measure by and takes the first.
#[test]
fn a_kept_choice_is_taken() {
    let Some(shared) = attention() else { return };
    let trusted = &shared[1];
    let case = Case::new(trusted.gpu(), problem(F32, [1, 20, 90, 4, 2, 32], Mask::Causal, &[]));
    let sources = attention_gpu::sources(&[32]);
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(Cache::open(folder.path(), Limits::default()));
    let tiles: Vec<String> = VARIANTS
        .into_iter()
        .filter(|(name, variant)| {
            name.starts_with("wgpu-tile") && variant.lacks(&case.problem, trusted.capabilities()).is_none()
        })
        .map(|(name, _)| name.to_owned())
        .collect();
    let prepared = |cache: &Arc<Cache>| {
        let tuner = Tuner::kept(trusted.gpu(), Arc::clone(cache), &sources);
        let prepared = trusted.prepare_tuned(&tuner, &case.problem, &case.tensors()).unwrap();
        (prepared.variant().name(), tuner.save())
    };
    if trusted.gpu().identity().is_software() {
        assert_eq!(prepared(&cache), (tiles[0].as_str(), Stored::Nothing));
    }
    let mut choices = Choices::default();
    let question = Question {
        op: "attention/f32",
        class: "b1-q32-k128-h4-kv2-d32-causal",
        candidates: Digest::of_texts(tiles.iter().map(String::as_str)),
    };
    let last = tiles.last().unwrap();
    choices.set(question, last);
    choices.save(&cache, &trusted.gpu().key_of(&sources));
    assert_eq!(prepared(&cache), (last.as_str(), Stored::Nothing));
}
