//! The model: from images to what its heads read.

use std::ops::Range;

use op::Threads;

use crate::{
    block::{self, Reach, project},
    config::{Config, PATCH_VALUES, SPECIAL, Shape},
    error::{RunError, WeightsError},
    kept::{Keep, Kept, Projected, Slots, Values},
    pieces::{self, take},
    source::TensorSource,
    tokens,
    weights::Weights,
    workspace::{Scratch, Workspace},
};

/// A model that is ready to run.
///
/// ```
/// use multiview::{Aggregator, Config, Keep, Seeded, Shape, Threads};
///
/// let config = Config { embed_dim: 32, depth: 4, heads: 4, captured: [0, 1, 2, 3], channels: [8; 4] };
/// let model = Aggregator::new(&config, &Seeded(7))?;
/// let shape = Shape::square(2, 28);
/// let mut workspace = model.workspace(&shape, Threads::SERIAL)?;
/// let images = vec![0.5; shape.images() * shape.image_values()];
/// let read = |index: usize, image: &mut [f32]| {
///     image.copy_from_slice(&images[index * image.len()..][..image.len()]);
/// };
/// let kept = model.run(read, Keep::Projected, &mut workspace)?;
/// assert_eq!(kept.camera_tokens().count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Aggregator {
    config: Config,
    weights: Weights,
}

impl Aggregator {
    /// Reads and packs the weights of a source.
    ///
    /// # Errors
    /// If the dimensions are impossible, the source lacks a tensor, or there is no memory.
    pub fn new(config: &Config, source: &impl TensorSource) -> Result<Self, WeightsError> {
        Ok(Self { config: *config, weights: Weights::read(config, source)? })
    }

    /// Its dimensions.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Bytes of its weights.
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Memory for runs on inputs of `shape`.
    ///
    /// # Errors
    /// If the input does not fit the model, or there is no memory.
    pub fn workspace(&self, shape: &Shape, threads: Threads) -> Result<Workspace, RunError> {
        Workspace::new(&self.config, shape, threads)
    }

    /// Runs the model on images of the workspace's shape, on as many threads as the workspace is for, of the rayon pool
    /// that it is called from. The result does not depend on their number.
    ///
    /// `images` is called once for each image, B x S in order, and fills it: 3 x height x width numbers in [0, 1],
    /// channels red, green, blue. So only one image is in memory at a time.
    ///
    /// # Errors
    /// If the workspace is of other dimensions, or there is no memory.
    pub fn run(
        &self,
        mut images: impl FnMut(usize, &mut [f32]),
        keep: Keep,
        workspace: &mut Workspace,
    ) -> Result<Kept, RunError> {
        if workspace.config != self.config {
            return Err(RunError::OtherModel);
        }
        let shape = workspace.shape;
        let mut kept = Kept::new(keep, &self.config, &shape)?;
        let Weights { frame_blocks, global_blocks, head, .. } = &self.weights;
        for sequence in 0..shape.batch {
            for frame in 0..shape.frames {
                images(sequence * shape.frames + frame, &mut workspace.image);
                tokens::of_image(&self.weights, frame, workspace)?;
            }
            for (layer, (frame_block, global_block)) in frame_blocks.iter().zip(global_blocks).enumerate() {
                block::run(frame_block, head, Reach::Frame, Slots::None, workspace)?;
                let slots = kept.slots(layer, sequence);
                block::run(global_block, head, Reach::Sequence, slots, workspace)?;
            }
        }
        Ok(kept)
    }

    /// What the depth head reads of captured layer number `index`, for some images of B x S: images x patches x
    /// channels, into `out`. The same bits, whether outputs were projected when they were kept or are projected now;
    /// f16 was rounded. `kept` is what this model kept: only its dimensions are compared.
    ///
    /// # Errors
    /// If `out` has another length, `kept` or the workspace is of other dimensions, or there is no such layer.
    pub fn head_input(
        &self,
        kept: &Kept,
        index: usize,
        images: Range<usize>,
        out: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<(), RunError> {
        let shape = *kept.shape();
        if *kept.config() != self.config || workspace.config != self.config || workspace.shape != shape {
            return Err(RunError::OtherModel);
        }
        let (&layer, &channels) =
            self.config.captured.get(index).zip(self.config.channels.get(index)).ok_or(RunError::NotKept { index })?;
        let images = images.start.min(shape.images())..images.end.min(shape.images());
        let row = shape.patches() * channels;
        let need = images.len() * row;
        if out.len() != need {
            return Err(RunError::Length { name: "out", got: out.len(), need });
        }
        match kept.projected(index) {
            Some(Projected::F32(all)) => out.copy_from_slice(&all[images.start * row..][..need]),
            Some(Projected::F16(all)) => {
                let from = &all[images.start * row..][..need];
                out.iter_mut().zip(from).for_each(|(out, from)| *out = from.to_f32());
            }
            None => {
                let output = kept.output(layer).ok_or(RunError::NotKept { index: layer })?;
                self.project_all(output, index, images, out, workspace)?;
            }
        }
        Ok(())
    }

    /// Projects the patch tokens of some images of an output.
    fn project_all(
        &self,
        output: &[f32],
        index: usize,
        images: Range<usize>,
        out: &mut [f32],
        workspace: &mut Workspace,
    ) -> Result<(), RunError> {
        let Workspace { shape, scratches, .. } = workspace;
        let (width, channels) = (self.config.output_dim(), self.config.channels[index]);
        let of_image = shape.tokens() * width;
        let mut rest = out;
        let parts = images.flat_map(|image| pieces::of_frame(shape, image)).map(|piece| {
            let patches = piece.tokens.start.max(SPECIAL)..piece.tokens.end.max(SPECIAL);
            let rows = &output[piece.frame * of_image..][patches.start * width..patches.end * width];
            (rows, take(&mut rest, patches.len() * channels))
        });
        let head = &self.weights.head;
        pieces::for_each(parts, scratches, |(rows, to), Scratch { wide, packed, .. }| {
            project(head, index, rows, Values::F32(to), wide, packed)
        })
    }

    /// Floating-point operations of a [`run`](Self::run): two for each multiply-add of a product, in linear layers and
    /// attention. Projections count where `keep` forms them.
    pub fn flops(config: &Config, shape: &Shape, keep: Keep) -> f64 {
        let c = config.embed_dim as f64;
        let (images, tokens, patches) = (shape.images() as f64, shape.tokens() as f64, shape.patches() as f64);
        let all = images * tokens;
        let linear = 2.0 * 12.0 * c * c * all;
        let frame = 4.0 * tokens * tokens * c * images;
        let global = 4.0 * (shape.frames as f64 * tokens).powi(2) * c * shape.batch as f64;
        let embed = 2.0 * PATCH_VALUES as f64 * c * patches * images;
        let head = if keep.is_projected() { Self::projection_flops(config, shape) } else { 0.0 };
        config.depth as f64 * (2.0 * linear + frame + global) + embed + head
    }

    /// Floating-point operations of all calls of [`head_input`](Self::head_input) after a run: the projections, unless
    /// the run formed them.
    pub fn head_flops(config: &Config, shape: &Shape, keep: Keep) -> f64 {
        if keep.is_projected() { 0.0 } else { Self::projection_flops(config, shape) }
    }

    /// Of the projections of all patches of all captured layers.
    fn projection_flops(config: &Config, shape: &Shape) -> f64 {
        let channels: usize = config.channels.iter().sum();
        2.0 * config.output_dim() as f64 * channels as f64 * (shape.patches() * shape.images()) as f64
    }
}
