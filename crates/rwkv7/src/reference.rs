//! The oracle: one token at a time in f64, written from the formulas. Weights are converted to f64 as they are stored;
//! nothing else is rounded.

use crate::{
    config::Config,
    error::RunError,
    matrix::Matrix,
    model::{LowRank, Model, Norm, TimeMix},
};

/// The state of the oracle.
#[derive(Debug, Clone)]
pub struct State {
    time: Vec<Vec<f64>>,
    channel: Vec<Vec<f64>>,
    /// For each layer heads x value channels x key channels.
    heads: Vec<Vec<f64>>,
}

impl State {
    /// The state before the first token.
    pub fn new(config: &Config) -> Self {
        let of_layers = |len: usize| vec![vec![0.0; len]; config.layers];
        Self {
            time: of_layers(config.channels),
            channel: of_layers(config.channels),
            heads: of_layers(config.channels * config.head_size),
        }
    }
}

/// The logits of each token, positions x vocabulary. It takes seconds for a model of a few million weights.
///
/// # Errors
/// [`RunError::Token`].
pub fn logits(model: &Model<'_>, state: &mut State, tokens: &[u32]) -> Result<Vec<f64>, RunError> {
    let vocabulary = model.vocabulary();
    if let Some(position) = tokens.iter().position(|&token| token as usize >= vocabulary) {
        return Err(RunError::Token { token: tokens[position], position, vocabulary });
    }
    Ok(tokens.iter().flat_map(|&token| step(model, state, token)).collect())
}

fn step(model: &Model<'_>, state: &mut State, token: u32) -> Vec<f64> {
    let Config { channels, head_size, epsilon, .. } = model.config;
    let epsilon = f64::from(epsilon);
    let mut row = vec![0.0; channels];
    model.embedding.row(token as usize, &mut row);
    let row: Vec<f64> = row.into_iter().map(f64::from).collect();
    let mut x = norm(&row, &model.embedding_norm, epsilon);
    let mut first_values = Vec::new();
    for (nth, layer) in model.layers.iter().enumerate() {
        let weights = &layer.time;
        let now = norm(&x, &weights.norm, epsilon);
        let before = std::mem::replace(&mut state.time[nth], now.clone());
        let mixes: Vec<Vec<f64>> = weights.lerps.chunks(channels).map(|lerp| mixed(&now, &before, lerp)).collect();
        let [xr, xw, xk, xv, xa, xg] = &mixes[..] else { unreachable!("there are six") };
        let r = product(&weights.receptance, xr);
        let mut k = product(&weights.key, xk);
        let mut v = product(&weights.value, xv);
        let decay = low_rank(&weights.decay, xw, f64::tanh);
        let w: Vec<f64> = decay.iter().map(|&w| (-0.606_531 * sigmoid(w)).exp()).collect();
        match &weights.value_mix {
            None => first_values.clone_from(&v),
            Some(mix) => {
                let mix = low_rank(mix, xv, |x| x);
                for i in 0..channels {
                    v[i] += (first_values[i] - v[i]) * sigmoid(mix[i]);
                }
            }
        }
        let a: Vec<f64> = low_rank(&weights.rate, xa, |x| x).into_iter().map(sigmoid).collect();
        let mut kk: Vec<f64> = k.iter().zip(&*weights.key_norm).map(|(k, &norm)| k * f64::from(norm)).collect();
        for head in kk.chunks_mut(head_size) {
            let length = head.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
            head.iter_mut().for_each(|x| *x /= length);
        }
        for i in 0..channels {
            k[i] *= 1.0 + (a[i] - 1.0) * f64::from(weights.key_rate[i]);
        }
        let heads = Heads { size: head_size, r: &r, w: &w, k: &k, v: &v, kk: &kk, a: &a };
        let mut y = heads.through(&mut state.heads[nth], weights);
        if let Some([down, up]) = &weights.gate {
            let low: Vec<f64> = product(down, xg).into_iter().map(sigmoid).collect();
            y.iter_mut().zip(product(up, &low)).for_each(|(y, gate)| *y *= gate);
        }
        x.iter_mut().zip(product(&weights.output, &y)).for_each(|(x, y)| *x += y);

        let weights = &layer.channel;
        let now = norm(&x, &weights.norm, epsilon);
        let before = std::mem::replace(&mut state.channel[nth], now.clone());
        let hidden = product(&weights.key, &mixed(&now, &before, &weights.lerp));
        let hidden: Vec<f64> = hidden.into_iter().map(|x| x.max(0.0).powi(2)).collect();
        x.iter_mut().zip(product(&weights.value, &hidden)).for_each(|(x, y)| *x += y);
    }
    product(&model.head, &norm(&x, &model.output_norm, epsilon))
}

/// A token's inputs of the recurrence, each with all channels.
struct Heads<'a> {
    size: usize,
    r: &'a [f64],
    w: &'a [f64],
    k: &'a [f64],
    v: &'a [f64],
    kk: &'a [f64],
    a: &'a [f64],
}

impl Heads<'_> {
    /// Takes the token into the states of all heads, and gives their outputs: normalized, with the bonus.
    fn through(&self, states: &mut [f64], weights: &TimeMix<'_>) -> Vec<f64> {
        let Self { size, r, w, k, v, kk, a } = *self;
        let mut y = vec![0.0; r.len()];
        for (head, s) in states.chunks_mut(size * size).enumerate() {
            let at = head * size;
            for (i, s) in s.chunks_mut(size).enumerate() {
                let removed: f64 = s.iter().zip(&kk[at..]).map(|(s, kk)| -s * kk).sum();
                for (j, s) in s.iter_mut().enumerate() {
                    *s = *s * w[at + j] + v[at + i] * k[at + j] + removed * kk[at + j] * a[at + j];
                    y[at + i] += *s * r[at + j];
                }
            }
            let y = &mut y[at..at + size];
            let mean = y.iter().sum::<f64>() / size as f64;
            let variance = y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / size as f64;
            let channels = at..at + size;
            let kept: f64 = channels.clone().map(|c| k[c] * r[c] * f64::from(weights.bonus[c])).sum();
            for (y, c) in y.iter_mut().zip(channels) {
                let normalized = (*y - mean) / (variance + 64e-5).sqrt();
                let [factor, offset] =
                    [&weights.head_norm.factors, &weights.head_norm.offsets].map(|x| f64::from(x[c]));
                *y = normalized * factor + offset + kept * v[c];
            }
        }
        y
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn norm(x: &[f64], norm: &Norm<'_>, epsilon: f64) -> Vec<f64> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
    let affine = norm.factors.iter().zip(&*norm.offsets).map(|(&f, &o)| (f64::from(f), f64::from(o)));
    x.iter().zip(affine).map(|(x, (f, o))| (x - mean) / (variance + epsilon).sqrt() * f + o).collect()
}

fn mixed(now: &[f64], before: &[f64], lerp: &[f32]) -> Vec<f64> {
    now.iter().zip(before).zip(lerp).map(|((now, before), &lerp)| now + (before - now) * f64::from(lerp)).collect()
}

fn product(weights: &Matrix<'_>, x: &[f64]) -> Vec<f64> {
    let mut row = vec![0.0; weights.cols];
    let dot = |nth: usize| {
        weights.row(nth, &mut row);
        row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum()
    };
    (0..weights.rows).map(dot).collect()
}

fn low_rank(weights: &LowRank<'_>, x: &[f64], activation: impl Fn(f64) -> f64) -> Vec<f64> {
    let low: Vec<f64> = product(&weights.down, x).into_iter().map(activation).collect();
    product(&weights.up, &low).into_iter().zip(&*weights.offset).map(|(x, &offset)| x + f64::from(offset)).collect()
}
