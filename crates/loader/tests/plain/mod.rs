//! The definitions of the steps of a preparation and of the changes of crops, word by word, in f64.

use loader::{Changes, Clip, Over, Step, Turn};
use nifti_decode::Affine;

/// A volume in f64, its labels, and the steps word by word.
#[derive(Clone)]
pub(crate) struct Plain {
    pub(crate) values: Vec<f64>,
    pub(crate) labels: Vec<f64>,
    pub(crate) shape: [usize; 3],
    pub(crate) affine: Affine,
}

impl Plain {
    fn at(&self, [x, y, z]: [usize; 3]) -> f64 {
        self.values[x + self.shape[0] * (y + self.shape[1] * z)]
    }

    fn percentile(&self, q: f64) -> f64 {
        let mut values = self.values.clone();
        let at = q / 100.0 * (values.len() - 1) as f64;
        let (_, &mut low, above) = values.select_nth_unstable_by(at as usize, f64::total_cmp);
        let high = above.iter().copied().reduce(f64::min).unwrap_or(low);
        low + at.fract() * (high - low)
    }

    /// The volume of a shape whose voxels come from these functions.
    fn made(&self, shape: [usize; 3], value: impl Fn([usize; 3]) -> f64, label: impl Fn([usize; 3]) -> f64) -> Self {
        let places =
            || (0..shape[2]).flat_map(move |z| (0..shape[1]).flat_map(move |y| (0..shape[0]).map(move |x| [x, y, z])));
        Self { values: places().map(value).collect(), labels: places().map(label).collect(), shape, ..self.clone() }
    }

    pub(crate) fn step(&self, step: Step) -> Self {
        let mapped =
            |of: &dyn Fn(f64) -> f64| Self { values: self.values.iter().map(|&v| of(v)).collect(), ..self.clone() };
        match step {
            Step::Spacing(mm) => self.resampled(mm),
            Step::Clip(Clip::Values { low, high }) => mapped(&|v| v.clamp(low, high)),
            Step::Clip(Clip::Percentiles { low, high }) => {
                let (low, high) = (self.percentile(low), self.percentile(high));
                mapped(&|v| v.clamp(low, high))
            }
            Step::Scale { from, to, is_clipped } => mapped(&|v| {
                let scaled = (v - from[0]) / (from[1] - from[0]) * (to[1] - to[0]) + to[0];
                if is_clipped { scaled.clamp(to[0], to[1]) } else { scaled }
            }),
            Step::ZScore(over) => {
                let chosen: Vec<f64> = self.values.iter().copied().filter(|v| over == Over::All || *v != 0.0).collect();
                let mean = chosen.iter().sum::<f64>() / chosen.len() as f64;
                let std = (chosen.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / chosen.len() as f64).sqrt();
                mapped(&|v| if over == Over::NonZero && v == 0.0 { 0.0 } else { (v - mean) / std })
            }
            Step::Foreground { above, margin } => self.foreground(above, margin),
            Step::Pad(size) => {
                let size = [0, 1, 2].map(|axis| size[axis].max(self.shape[axis]));
                let before = [0, 1, 2].map(|axis| (size[axis] - self.shape[axis]) / 2);
                let from = |at: [usize; 3]| {
                    let at = [0, 1, 2].map(|axis| at[axis].wrapping_sub(before[axis]));
                    (0..3).all(|axis| at[axis] < self.shape[axis]).then_some(at)
                };
                let mut padded = self.made(
                    size,
                    |at| from(at).map_or(0.0, |at| self.at(at)),
                    |at| from(at).map_or(0.0, |at| self.label(at)),
                );
                padded.move_origin(before.map(|n| -(n as f64)));
                padded
            }
            _ => self.clone(),
        }
    }

    fn label(&self, [x, y, z]: [usize; 3]) -> f64 {
        self.labels[x + self.shape[0] * (y + self.shape[1] * z)]
    }

    fn move_origin(&mut self, voxel: [f64; 3]) {
        let origin = self.affine.apply(voxel);
        (0..3).for_each(|row| self.affine.0[row][3] = origin[row]);
    }

    fn resampled(&self, mm: [f64; 3]) -> Self {
        let steps = [0, 1, 2].map(|axis| mm[axis] / self.affine.spacing()[axis]);
        let shape = [0, 1, 2]
            .map(|axis| ((self.shape[axis] - 1) as f64 / steps[axis] + 1.0).round_ties_even().max(1.0) as usize);
        let place =
            |at: [usize; 3]| [0, 1, 2].map(|axis| (at[axis] as f64 * steps[axis]).min((self.shape[axis] - 1) as f64));
        let value = |at: [usize; 3]| {
            let at = place(at);
            (0..8)
                .map(|corner| {
                    let mut weight = 1.0;
                    let voxel = [0, 1, 2].map(|axis| {
                        let lower = at[axis].floor();
                        let is_upper = corner >> axis & 1 == 1;
                        weight *= if is_upper { at[axis] - lower } else { 1.0 - (at[axis] - lower) };
                        (lower as usize + usize::from(is_upper)).min(self.shape[axis] - 1)
                    });
                    weight * self.at(voxel)
                })
                .sum()
        };
        let nearest = |at: [usize; 3]| {
            let at = place(at);
            self.label([0, 1, 2].map(|axis| ((at[axis] + 0.5).floor() as usize).min(self.shape[axis] - 1)))
        };
        let mut resampled = self.made(shape, value, nearest);
        for row in 0..3 {
            (0..3).for_each(|axis| resampled.affine.0[row][axis] *= steps[axis]);
        }
        resampled
    }

    fn foreground(&self, above: f64, margin: usize) -> Self {
        let [nx, ny, _] = self.shape;
        let found: Vec<[usize; 3]> = (0..self.values.len())
            .filter(|&i| self.values[i] > above)
            .map(|i| [i % nx, i / nx % ny, i / nx / ny])
            .collect();
        let bound = |axis: usize, of: fn(usize, usize) -> usize| found.iter().map(|at| at[axis]).reduce(of).unwrap();
        let first = [0, 1, 2].map(|axis| bound(axis, usize::min).saturating_sub(margin));
        let last = [0, 1, 2].map(|axis| (bound(axis, usize::max) + margin).min(self.shape[axis] - 1));
        let shape = [0, 1, 2].map(|axis| last[axis] - first[axis] + 1);
        let from = |at: [usize; 3]| [0, 1, 2].map(|axis| at[axis] + first[axis]);
        let mut cut = self.made(shape, |at| self.at(from(at)), |at| self.label(from(at)));
        cut.move_origin(first.map(|n| n as f64));
        cut
    }
}

/// A crop, z fastest, with what happened to it.
pub(crate) fn changed(crop: &[f64], size: [usize; 3], changes: &Changes) -> Vec<f64> {
    let mut values = turned(crop, size, changes.turn);
    if let Some(noise) = changes.noise {
        values.iter_mut().zip(noise.values()).for_each(|(v, noise)| *v += f64::from(noise));
    }
    if let Some(gamma) = changes.gamma {
        let [min, max] =
            [f64::min as fn(f64, f64) -> f64, f64::max].map(|of| values.iter().copied().reduce(of).unwrap());
        for value in &mut values {
            *value = ((*value - min) / (max - min + 1e-7)).powf(f64::from(gamma)) * (max - min) + min;
        }
    }
    values
}

/// The crop with z fastest, each axis put where it belongs.
fn turned(crop: &[f64], [x, y, z]: [usize; 3], turn: Turn) -> Vec<f64> {
    let Turn { order, is_flipped } = turn;
    let size = [x, y, z];
    let mut out = vec![0.0; crop.len()];
    for (i, &value) in crop.iter().enumerate() {
        let at = [i / (y * z), i / z % y, i % z];
        let mut to = [0; 3];
        for axis in 0..3 {
            to[order[axis]] = if is_flipped[axis] { size[axis] - 1 - at[axis] } else { at[axis] };
        }
        out[to[2] + z * (to[1] + y * to[0])] = value;
    }
    out
}
