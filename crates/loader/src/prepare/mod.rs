//! What is done to a whole volume before samples are taken from it: spacing, intensities, foreground, padding.
//!
//! [`Preparation`] is a list of steps, each as MONAI or SimpleITK defines it, done in the order of the calls. Voxels
//! are written as seldom as that order allows. Steps on intensities only change a [`Mapping`], crops and pads only a
//! [`Window`]; both are applied where voxels are written next. Voxels are written
//!
//! - by a resampling, which applies the mapping before it interpolates, and steps with fixed bounds behind it while it
//!   writes;
//! - where a step needs the result of what is pending: percentiles behind a clip, anything behind a pad;
//! - at the end, if anything is pending.
//!
//! So the usual order on a file of 16 bits, clip by percentiles, z-score, crop, pad, writes once, and counts once: the
//! decoder's own statistics serve the percentiles 0.5 and 99.5.
//!
//! Nothing is random, so the pool keeps the result, and the stream of samples stays the same for any number of threads.

mod geometry;
mod mapping;
mod write;

use std::sync::Arc;

use nifti_decode::{Clip, Voxels};

use crate::{LoaderError, Memory, Volume, memory::Recycler};

use geometry::Window;
use mapping::Mapping;

/// Most voxels of a resampled volume, if nothing else is asked for: 2 GiB of f32.
const MOST_VOXELS: usize = 1 << 29;

/// One step of a [`Preparation`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Resamples to these distances of voxels, in millimeters.
    Spacing([f64; 3]),
    /// Moves values outside of some bounds to the bounds.
    Clip(Clip),
    /// Maps a range of values linearly to another one.
    Scale {
        /// The range that is mapped.
        from: [f64; 2],
        /// What its ends become.
        to: [f64; 2],
        /// Whether values outside of the range are moved to its ends.
        is_clipped: bool,
    },
    /// To mean 0 and standard deviation 1.
    ZScore(Voxels),
    /// Cuts the box that holds all values above a threshold.
    Foreground {
        /// The threshold.
        above: f64,
        /// Voxels around the box, as far as the volume has them.
        margin: usize,
    },
    /// Surrounds the volume by zeros up to this size.
    Pad([usize; 3]),
}

/// Steps for whole volumes, in the order of the calls.
///
/// ```
/// use loader::{Clip, Files, Over, Preparation};
///
/// let preparation = Preparation::new()
///     .spacing([1.0; 3])
///     .clip(Clip::Percentiles { low: 0.5, high: 99.5 })
///     .zscore(Over::NonZero)
///     .crop_foreground(0.0, 0)
///     .pad([96; 3]);
/// let files = Files::new(["a.nii.gz"]).prepared(preparation)?;
/// # Ok::<(), loader::LoaderError>(())
/// ```
///
/// Volumes are in the order R, A, S before the first step (MONAI's `Orientation("RAS")`). Labels are resampled to the
/// nearest voxel, cropped and padded by 0 as their image is; steps on intensities leave them alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    steps: Vec<Step>,
    most_voxels: usize,
}

impl Default for Preparation {
    fn default() -> Self {
        Self { steps: Vec::new(), most_voxels: MOST_VOXELS }
    }
}

impl Preparation {
    /// Without a step.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more step.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Resamples to these distances of voxels, in millimeters: trilinear, labels to the nearest voxel.
    ///
    /// MONAI's `Spacing(pixdim, mode="bilinear", padding_mode="border")` with `scale_extent=False`, and SimpleITK's
    /// `Resample` with `sitkLinear` to a grid of the same origin and direction. Voxel i of the result lies at
    /// i · new / old, and round((n - 1) · old / new + 1) voxels fit, halves to even. Behind the last voxel, the border
    /// goes on; SimpleITK takes the nearest voxel along all axes from half a voxel behind it. Labels at a half take the
    /// upper voxel, as SimpleITK's do. MONAI removes the shear of an affine, and where there is one, it puts the center
    /// of the new grid where the volume's is; 1e-8 voxels are enough, which the rounding of a header's numbers often
    /// exceeds. Here, as in SimpleITK, directions and the first voxel stay.
    #[must_use]
    pub fn spacing(self, mm: [f64; 3]) -> Self {
        self.step(Step::Spacing(mm))
    }

    /// Clips: by values as `torch.clamp` and SimpleITK's `Clamp`, by percentiles of all voxels as MONAI's
    /// `ClipIntensityPercentiles(lower, upper)`, which are NumPy's.
    #[must_use]
    pub fn clip(self, bounds: Clip) -> Self {
        self.step(Step::Clip(bounds))
    }

    /// MONAI's `ScaleIntensityRange(a_min, a_max, b_min, b_max, clip)`: (v - a_min) / (a_max - a_min) ·
    /// (b_max - b_min) + b_min, clipped to `to` if asked for. A `from` of equal ends only shifts, as there.
    #[must_use]
    pub fn scale(self, from: [f64; 2], to: [f64; 2], is_clipped: bool) -> Self {
        self.step(Step::Scale { from, to, is_clipped })
    }

    /// MONAI's `NormalizeIntensity(nonzero)`: (v - mean) / std with the standard deviation of the population; a std of
    /// 0 counts as 1. With [`Over::NonZero`](Voxels::NonZero), mean and std are those of the values other than 0, and
    /// zeros stay 0.
    #[must_use]
    pub fn zscore(self, over: Voxels) -> Self {
        self.step(Step::ZScore(over))
    }

    /// MONAI's `CropForeground(select_fn=lambda v: v > above, margin, allow_smaller=True)`: the smallest box with all
    /// values above a threshold, and `margin` voxels around it, cut at the faces of the volume. A volume without such
    /// a value stays whole, where MONAI leaves nothing.
    #[must_use]
    pub fn crop_foreground(self, above: f64, margin: usize) -> Self {
        self.step(Step::Foreground { above, margin })
    }

    /// MONAI's `SpatialPad(size, method="symmetric")` with zeros: half of what lacks before the volume, rounded down.
    #[must_use]
    pub fn pad(self, size: [usize; 3]) -> Self {
        self.step(Step::Pad(size))
    }

    /// Refuses to resample to more voxels than this: a header may claim any distance.
    #[must_use]
    pub fn at_most(self, voxels: usize) -> Self {
        Self { most_voxels: voxels, ..self }
    }

    /// The steps.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Refuses options that mean nothing.
    pub(crate) fn check(&self) -> Result<(), LoaderError> {
        let refuse = |option, got: String, need| Err(LoaderError::Option { option, got, need });
        for step in &self.steps {
            match step {
                Step::Spacing(mm) if !mm.iter().all(|x| x.is_finite() && *x > 0.0) => {
                    return refuse("spacing", format!("{mm:?}"), "finite numbers above 0");
                }
                Step::Clip(Clip::Values { low, high }) if low > high || low.is_nan() || high.is_nan() => {
                    return refuse("clip", format!("{low}..{high}"), "a lower bound that is not above the upper one");
                }
                Step::Clip(Clip::Percentiles { low, high }) if !(0.0 <= *low && low <= high && *high <= 100.0) => {
                    return refuse("clip by percentiles", format!("{low}..{high}"), "0 <= low <= high <= 100");
                }
                Step::Scale { from, to, .. } if !from.iter().chain(to).all(|x| x.is_finite()) => {
                    return refuse("scale", format!("{from:?} to {to:?}"), "finite numbers");
                }
                Step::Foreground { above, .. } if above.is_nan() => {
                    return refuse("foreground", "NaN".to_owned(), "a number");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The prepared volume.
    ///
    /// # Errors
    /// [`LoaderError::Option`] for options that mean nothing, and for a resampling to too many voxels.
    pub fn apply(&self, volume: Volume) -> Result<Volume, LoaderError> {
        self.check()?;
        let memory = Memory::default();
        self.run(volume, memory, &Recycler::new(1))
    }

    /// The prepared volume in `memory`; what lies between is in memory of `recycler`.
    pub(crate) fn run(&self, volume: Volume, memory: Memory, recycler: &Arc<Recycler>) -> Result<Volume, LoaderError> {
        let mut pending = Pending::new(volume, memory, Arc::clone(recycler));
        let mut at = 0;
        while let Some(step) = self.steps.get(at) {
            at += 1;
            match *step {
                Step::Spacing(mm) => at += pending.resample(mm, self.most_voxels, &self.steps[at..])?,
                Step::Clip(_) | Step::Scale { .. } | Step::ZScore(_) => {
                    if pending.window.is_padded() {
                        pending.write();
                    }
                    pending.intensity(*step);
                }
                Step::Foreground { above, margin } => pending.crop(above, margin),
                Step::Pad(size) => pending.window.pad(size),
            }
        }
        pending.write();
        Ok(pending.volume)
    }
}

/// A volume, and what is to be done to it.
struct Pending {
    volume: Volume,
    mapping: Mapping,
    window: Window,
    /// For the last volume.
    memory: Option<Memory>,
    recycler: Arc<Recycler>,
}

impl Pending {
    fn new(volume: Volume, memory: Memory, recycler: Arc<Recycler>) -> Self {
        let (mapping, window) = (Mapping::of(volume.scale()), Window::whole(volume.shape()));
        Self { volume, mapping, window, memory: Some(memory), recycler }
    }

    /// The memory that was given, or that of a volume before: sizes differ, so any will do.
    fn take_memory(&mut self) -> Memory {
        self.memory.take().unwrap_or_else(|| self.recycler.memory())
    }

    fn replace(&mut self, volume: Volume) {
        self.volume = volume;
        self.mapping = Mapping::of(self.volume.scale());
        self.window = Window::whole(self.volume.shape());
    }

    /// Does what is pending.
    fn write(&mut self) {
        let is_mapped = self.mapping != Mapping::of(self.volume.scale());
        if !is_mapped && self.window.is_whole(self.volume.shape()) {
            return;
        }
        let memory = self.take_memory();
        let written = write::window(&self.volume, &self.mapping, &self.window, memory);
        self.replace(written);
    }

    /// Resamples, and returns how many of the steps behind it are done, too.
    fn resample(&mut self, mm: [f64; 3], most_voxels: usize, behind: &[Step]) -> Result<usize, LoaderError> {
        if !self.window.is_whole(self.volume.shape()) {
            self.write();
        }
        let fixed = behind.iter().take_while(|step| mapping::is_fixed(step)).count();
        let after = behind[..fixed].iter().fold(Mapping::IDENTITY, |after, step| after.then_fixed(step));
        let (shape, affine) = (self.volume.shape(), self.volume.affine());
        let grid = geometry::Grid::new(shape, affine, mm, most_voxels).map_err(|wanted| {
            let got = format!("{mm:?}, which makes {wanted:.0?} voxels of {shape:?}");
            LoaderError::Option { option: "spacing", got, need: "no more voxels than the limit" }
        })?;
        if grid.is_identity() {
            return Ok(0);
        }
        let memory = self.take_memory();
        let resampled = write::resampled(&self.volume, &self.mapping, &grid, &after, memory);
        self.replace(resampled);
        Ok(fixed)
    }

    fn intensity(&mut self, step: Step) {
        match step {
            Step::Clip(Clip::Percentiles { low, high }) => {
                // The percentiles of a mapping are the mapping of percentiles where it is a straight line.
                if !self.mapping.is_straight() || !self.window.is_whole(self.volume.shape()) {
                    self.write();
                }
                let [low, high] = self.mapping.percentiles(&self.volume, [low, high]);
                self.mapping = self.mapping.clipped(low, high);
            }
            Step::ZScore(over) => {
                if !self.window.is_whole(self.volume.shape()) || self.mapping.keeps_zeros() {
                    self.write();
                }
                self.mapping = self.mapping.zscored(&self.volume, over);
            }
            _ => self.mapping = self.mapping.then_fixed(&step),
        }
    }

    fn crop(&mut self, above: f64, margin: usize) {
        if !self.window.is_whole(self.volume.shape()) {
            self.write();
        }
        if let Some(bounds) = write::bounds_above(&self.volume, &self.mapping, above) {
            self.window = Window::cut(bounds, margin, self.volume.shape());
        }
    }
}
