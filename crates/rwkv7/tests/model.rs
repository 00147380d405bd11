//! Models against the oracle: every type, every chunk length, states, hostile files.

use gguf::{File, Options, Value, Writer};
use op::random::SplitMix64;
use quant::GgmlType;
use rwkv7::{Forward, Model, ModelError, RunError, State, StateError, Threads, greedy, quality::Difference, reference};

const C: usize = 256;
const F: usize = 512;
const VOCABULARY: usize = 97;
const LAYERS: usize = 2;

/// What is special about a file.
#[derive(Clone, Copy)]
struct Recipe {
    matrices: GgmlType,
    /// Of the matrices with a low rank.
    low: GgmlType,
    has_gate: bool,
    head_size: usize,
    /// Writes NaN into what no computation may read.
    has_traps: bool,
}

const PLAIN: Recipe =
    Recipe { matrices: GgmlType::F32, low: GgmlType::F32, has_gate: true, head_size: 64, has_traps: true };

/// A tensor: name, dimensions, type, mean and spread of its numbers.
type Declared = (String, Vec<u64>, GgmlType, [f32; 2]);
/// The keys of a file.
type Keys = Vec<(String, Value<'static>)>;
/// Makes a file differ from its recipe.
type Change<'a> = &'a dyn Fn(&mut Keys, &mut Vec<Declared>);
/// Takes what a [`Declared`] has.
type Add<'a> = &'a mut dyn FnMut(String, &[u64], GgmlType, f32, f32);

/// Tensors with numbers in a range in which states neither explode nor vanish.
fn tensors(recipe: Recipe) -> Vec<Declared> {
    let [c, f, v] = [C, F, VOCABULARY].map(|extent| extent as u64);
    let Recipe { matrices, low, .. } = recipe;
    let mut all = Vec::new();
    let mut add = |name: String, dims: &[u64], ty, mean, spread| all.push((name, dims.to_vec(), ty, [mean, spread]));
    let norm = |add: Add<'_>, name: String| {
        add(format!("{name}.weight"), &[c], GgmlType::F32, 1.0, 0.1);
        add(format!("{name}.bias"), &[c], GgmlType::F32, 0.0, 0.1);
    };
    add("token_embd.weight".into(), &[c, v], matrices, 0.0, 0.5);
    norm(&mut add, "token_embd_norm".into());
    norm(&mut add, "output_norm".into());
    add("output.weight".into(), &[c, v], matrices, 0.0, 0.1);
    for layer in 0..LAYERS {
        let named = |name: &str| format!("blk.{layer}.{name}");
        norm(&mut add, named("attn_norm"));
        norm(&mut add, named("attn_norm_2"));
        norm(&mut add, named("time_mix_ln"));
        add(named("time_mix_lerp_fused.weight"), &[c, 1, 1, 6], GgmlType::F32, 0.5, 0.3);
        add(named("channel_mix_lerp_k.weight"), &[c, 1, 1], GgmlType::F32, 0.5, 0.3);
        for (letter, rank, mean) in [("w", 32, -2.0), ("a", 32, 0.0), ("v", 32, 0.0), ("g", 64, 0.0)] {
            let trap = if layer == 0 && letter == "v" && recipe.has_traps { f32::NAN } else { 0.0 };
            if letter != "g" {
                add(named(&format!("time_mix_{letter}0.weight")), &[c], GgmlType::F32, mean + trap, 1.0);
            }
            if letter != "g" || recipe.has_gate {
                add(named(&format!("time_mix_{letter}1.weight")), &[c, rank], low, trap, 0.06);
                add(named(&format!("time_mix_{letter}2.weight")), &[rank, c], low, trap, 0.15);
            }
        }
        for (name, mean, spread) in [("k_k", 0.85, 0.1), ("k_a", 1.0, 0.1), ("r_k", 0.0, 0.2)] {
            add(named(&format!("time_mix_{name}.weight")), &[c], GgmlType::F32, mean, spread);
        }
        for name in ["receptance", "key", "value", "output"] {
            add(named(&format!("time_mix_{name}.weight")), &[c, c], matrices, 0.0, 0.06);
        }
        add(named("channel_mix_key.weight"), &[c, f], matrices, 0.0, 0.06);
        add(named("channel_mix_value.weight"), &[f, c], matrices, 0.0, 0.04);
    }
    all
}

fn keys(recipe: Recipe) -> Keys {
    let mut keys: Keys = vec![("general.architecture".into(), Value::from("rwkv7"))];
    for (name, value) in [
        ("block_count", LAYERS),
        ("embedding_length", C),
        ("feed_forward_length", F),
        ("wkv.head_size", recipe.head_size),
        ("attention.decay_lora_rank", 32),
        ("attention.iclr_lora_rank", 32),
        ("attention.value_residual_mix_lora_rank", 32),
        ("attention.gate_lora_rank", 64),
        ("attention.head_count", 0),
        ("token_shift_count", 2),
    ] {
        if name != "attention.gate_lora_rank" || recipe.has_gate {
            keys.push((format!("rwkv7.{name}"), Value::U32(value as u32)));
        }
    }
    keys.push(("rwkv7.attention.layer_norm_epsilon".into(), Value::F32(1e-5)));
    keys
}

/// Writes a file with other keys and tensors than the recipe's.
fn file_with(recipe: Recipe, change: impl Fn(&mut Keys, &mut Vec<Declared>)) -> File {
    let (mut keys, mut tensors) = (keys(recipe), tensors(recipe));
    change(&mut keys, &mut tensors);
    let mut writer = Writer::new();
    keys.iter().for_each(|(key, value)| {
        writer.key(key, *value);
    });
    tensors.iter().for_each(|(name, dims, ty, _)| {
        writer.tensor(name, dims, *ty);
    });
    let mut next = tensors.iter().zip(1..);
    let bytes = writer.to_bytes(|_, out| {
        let ((_, dims, ty, [mean, spread]), seed) = next.next().unwrap();
        let mut random = SplitMix64::new(seed);
        let mut number = || (random.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| mean + spread * 1.7 * number()).collect();
        let mut bytes = vec![0; ty.row_bytes(numbers.len()).unwrap()];
        // Nothing quantizes whole numbers of 8 bits: such tensors stay 0.
        assert!(quant::quantize(*ty, &numbers, &mut bytes).is_ok() || *ty == GgmlType::I8);
        out.write_all(&bytes)
    });
    File::from_bytes(bytes.unwrap(), "model.gguf", Options::default()).unwrap()
}

fn file(recipe: Recipe) -> File {
    file_with(recipe, |_, _| ())
}

fn tokens(len: usize) -> Vec<u32> {
    (0..len as u32).map(|i| (i * i + 7 * i) % VOCABULARY as u32).collect()
}

/// Logits of every token, by chunks of `chunk`.
fn all(model: &Model<'_>, tokens: &[u32], chunk: usize, threads: usize) -> Vec<f32> {
    let mut state = State::new(model.config());
    let mut logits = vec![f32::NAN; tokens.len() * model.vocabulary()];
    let mut forward = Forward::new(model, Threads::new(threads).unwrap()).chunk(chunk);
    forward.all(&mut state, tokens, &mut logits).unwrap();
    logits
}

fn oracle(model: &Model<'_>, tokens: &[u32]) -> Vec<f32> {
    let logits = reference::logits(model, &mut reference::State::new(model.config()), tokens).unwrap();
    logits.into_iter().map(|x| x as f32).collect()
}

fn difference(found: &[f32], expected: &[f32]) -> Difference {
    Difference::new(found, expected, VOCABULARY).unwrap()
}

#[test]
fn logits_are_those_of_the_oracle_for_every_type() {
    use GgmlType::{BF16, F16, F32, Q4_K, Q5_0, Q5_K, Q6_K, Q8_0};
    let tokens = tokens(24);
    // Matrices in blocks multiply activations that are rounded to 8 bits; Q5_0 is converted.
    for (matrices, low, tolerance) in [
        (F32, F32, 1e-5),
        (F16, F16, 1e-5),
        (BF16, F32, 1e-5),
        (Q5_0, F16, 1e-5),
        (Q8_0, F16, 2e-2),
        (Q6_K, F32, 2e-2),
        (Q5_K, F16, 2e-2),
        (Q4_K, F16, 2e-2),
    ] {
        let file = file(Recipe { matrices, low, ..PLAIN });
        let model = Model::new(&file).unwrap();
        assert_eq!(model.converted_bytes() > 0, matrices == Q5_0);
        let found = difference(&all(&model, &tokens, 128, 1), &oracle(&model, &tokens));
        assert!(found.relative <= tolerance, "{matrices}: {found:?}");
    }
}

#[test]
fn shapes_without_gates_and_with_other_heads_are_those_of_the_oracle() {
    let tokens = tokens(9);
    for (head_size, has_gate) in [(64, false), (32, true), (8, true), (128, true), (256, false)] {
        let file = file(Recipe { head_size, has_gate, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let found = difference(&all(&model, &tokens, 4, 1), &oracle(&model, &tokens));
        assert!(found.relative <= 1e-5, "{head_size}: {found:?}");
    }
}

#[test]
fn chunks_change_at_most_rounding_and_threads_nothing() {
    let tokens = tokens(140);
    for matrices in [GgmlType::F32, GgmlType::Q4_K, GgmlType::Q6_K, GgmlType::Q8_0] {
        let file = file(Recipe { matrices, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let expected = all(&model, &tokens, 32, 1);
        for threads in [2, 4] {
            assert!(all(&model, &tokens, 32, threads) == expected, "{threads} threads");
        }
        for chunk in [1, 2, 31, 33, 128] {
            let found = difference(&all(&model, &tokens, chunk, 2), &expected);
            // Where activations are rounded to 8 bits, another last bit could round another way, so no bit differs.
            let tolerance = if matrices == GgmlType::F32 { 1e-5 } else { 0.0 };
            assert_eq!(found.agreeing, tokens.len(), "{matrices} {chunk}: {found:?}");
            assert!(found.relative <= tolerance, "{matrices} {chunk}: {found:?}");
        }
    }
}

/// The projections of a single token are shared in another way than those of a chunk.
#[test]
fn threads_change_no_bit_of_single_tokens() {
    let tokens = tokens(5);
    for (matrices, has_gate) in [(GgmlType::F32, true), (GgmlType::Q4_K, false), (GgmlType::Q6_K, true)] {
        let file = file(Recipe { matrices, has_gate, ..PLAIN });
        let model = Model::new(&file).unwrap();
        let expected = all(&model, &tokens, 1, 1);
        for threads in [2, 3, 8, 40] {
            assert!(all(&model, &tokens, 1, threads) == expected, "{matrices}, {threads} threads");
        }
    }
}

#[test]
fn the_last_logits_are_the_last_of_all_and_the_state_goes_on() {
    let file = file(PLAIN);
    let model = Model::new(&file).unwrap();
    let tokens = tokens(21);
    let expected = all(&model, &tokens, 8, 1);
    for len in [1, 2, 7, 8, 9, 20] {
        let mut forward = Forward::new(&model, Threads::SERIAL).chunk(8);
        let (mut state, mut logits) = (State::new(model.config()), vec![0.0; VOCABULARY]);
        forward.last(&mut state, &tokens[..len], &mut logits).unwrap();
        let found = difference(&logits, &expected[(len - 1) * VOCABULARY..][..VOCABULARY]);
        assert!(found.relative <= 1e-5, "{len}: {found:?}");
        let mut rest = vec![0.0; (tokens.len() - len) * VOCABULARY];
        forward.all(&mut state, &tokens[len..], &mut rest).unwrap();
        let found = difference(&rest, &expected[len * VOCABULARY..]);
        assert!(found.relative <= 1e-5, "behind {len}: {found:?}");
    }
}

#[test]
fn a_saved_state_goes_on_with_the_same_bits_and_forks_are_independent() {
    let file = file(PLAIN);
    let model = Model::new(&file).unwrap();
    let mut forward = Forward::new(&model, Threads::SERIAL);
    let (mut state, mut logits) = (State::new(model.config()), vec![0.0; VOCABULARY]);
    forward.last(&mut state, &tokens(10), &mut logits).unwrap();
    let bytes = state.to_bytes();
    let mut restored = State::from_bytes(model.config(), &bytes).unwrap();
    assert_eq!(restored, state);
    let mut fork = state.clone();
    forward.last(&mut fork, &[1, 2, 3], &mut logits).unwrap();
    let mut again = vec![0.0; VOCABULARY];
    forward.last(&mut restored, &[1, 2, 3], &mut again).unwrap();
    assert_eq!(again, logits);
    assert_eq!(state.to_bytes(), bytes, "a fork changes nothing");
    state.reset();
    assert_eq!(state, State::new(model.config()));

    assert_eq!(State::from_bytes(model.config(), b"no"), Err(StateError::Magic));
    assert!(matches!(State::from_bytes(model.config(), &bytes[..99]), Err(StateError::Length { .. })));
    let mut damaged = bytes.clone();
    damaged[1000] ^= 1;
    assert_eq!(State::from_bytes(model.config(), &damaged), Err(StateError::Damaged));
    let other = file_with(Recipe { head_size: 32, ..PLAIN }, |_, _| ());
    let other = Model::new(&other).unwrap();
    assert!(matches!(State::from_bytes(other.config(), &bytes), Err(StateError::Dimensions { .. })));
    let mut wrong = State::new(other.config());
    assert!(matches!(forward.last(&mut wrong, &[1], &mut logits), Err(RunError::State { .. })));
}

#[test]
fn what_cannot_be_computed_is_refused_and_leaves_the_state() {
    let file = file(PLAIN);
    let model = Model::new(&file).unwrap();
    let mut forward = Forward::new(&model, Threads::SERIAL);
    let (mut state, mut logits) = (State::new(model.config()), vec![0.0; VOCABULARY]);
    let fresh = state.clone();
    assert!(matches!(forward.last(&mut state, &[], &mut logits), Err(RunError::Empty)));
    let error = forward.last(&mut state, &[1, VOCABULARY as u32], &mut logits).unwrap_err();
    assert!(matches!(error, RunError::Token { token: 97, position: 1, .. }), "{error}");
    assert!(matches!(forward.last(&mut state, &[1], &mut logits[1..]), Err(RunError::Output { .. })));
    assert_eq!(state, fresh);
    forward.last(&mut state, &[1, 2], &mut logits).unwrap();
    assert!((greedy(&logits) as usize) < VOCABULARY);
}

#[test]
fn files_that_are_no_model_are_refused_with_the_key_or_the_tensor() {
    let set = |keys: &mut Keys, key: &str, value: Value<'static>| {
        keys.iter_mut().find(|(name, _)| name == key).unwrap().1 = value;
    };
    let refused = |change: Change<'_>| {
        let file = file_with(PLAIN, change);
        Model::new(&file).map(|_| ()).unwrap_err()
    };
    let error = refused(&|keys, _| set(keys, "general.architecture", Value::from("llama")));
    assert!(matches!(error, ModelError::Architecture { .. }));
    for key in ["rwkv7.block_count", "rwkv7.wkv.head_size", "rwkv7.attention.layer_norm_epsilon"] {
        let error = refused(&|keys, _| keys.retain(|(name, _)| name != key));
        assert!(error.to_string().contains(key), "{error}");
    }
    for (key, value) in [
        ("rwkv7.wkv.head_size", 0),
        ("rwkv7.wkv.head_size", 100),
        ("rwkv7.embedding_length", u32::MAX),
        ("rwkv7.token_shift_count", 1),
    ] {
        let error = refused(&|keys, _| set(keys, key, Value::U32(value)));
        assert!(matches!(&error, ModelError::KeyValue { key: found, .. } if found == key), "{error}");
    }
    for tensor in tensors(PLAIN).iter().map(|(name, ..)| name) {
        if tensor.starts_with("blk.0.time_mix_v") && !tensor.contains("value") {
            continue;
        }
        let error = refused(&|_, tensors| tensors.retain(|(name, ..)| name != tensor));
        assert!(matches!(&error, ModelError::Missing { name } if name == tensor), "{tensor}: {error}");
    }
    let error = refused(&|_, tensors| tensors[0].1 = vec![C as u64 / 2, 2 * VOCABULARY as u64]);
    assert!(matches!(&error, ModelError::Shape { name, .. } if name == "token_embd.weight"), "{error}");
    let error = refused(&|_, tensors| tensors[0].2 = GgmlType::I8);
    assert!(error.to_string().contains("token_embd.weight"), "{error}");
}
