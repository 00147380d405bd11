//! Attention of some queries over many keys.

/// The softmax of q k^T / sqrt(channels), times v, for each head. Rows have `heads` times so many channels.
pub(crate) fn attend(width: usize, heads: usize, queries: &[f32], keys: &[f32], values: &[f32], out: &mut [f32]) {
    let channels = width / heads;
    let scale = 1.0 / (channels as f32).sqrt();
    for (query, out) in queries.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        for head in 0..heads {
            let part = head * channels..(head + 1) * channels;
            let query = &query[part.clone()];
            let (mut largest, mut sum) = (f32::NEG_INFINITY, 0.0_f32);
            let out = &mut out[part.clone()];
            out.fill(0.0);
            for (key, value) in keys.chunks_exact(width).zip(values.chunks_exact(width)) {
                let dot: f32 = query.iter().zip(&key[part.clone()]).map(|(q, k)| q * k).sum();
                let score = dot * scale;
                if score > largest {
                    let shrink = (largest - score).exp();
                    out.iter_mut().for_each(|out| *out *= shrink);
                    sum *= shrink;
                    largest = score;
                }
                let weight = (score - largest).exp();
                sum += weight;
                out.iter_mut().zip(&value[part.clone()]).for_each(|(out, v)| *out += weight * v);
            }
            out.iter_mut().for_each(|out| *out /= sum);
        }
    }
}
