//! What a run keeps of its outputs, and where each piece of tokens stores its part.

use half::f16;
use op::Buffer;

use crate::{
    config::{CAPTURES, Config, SPECIAL, Shape},
    error::RunError,
    pieces::{Piece, take},
};

/// What a run keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// The outputs of all layers.
    All,
    /// The outputs of the layers that the depth head reads.
    Captured,
    /// What the heads make of those outputs first: the depth head's projections of the patch tokens, in f32, and the
    /// camera tokens of the last layer.
    Projected,
    /// The same with projections in f16.
    ProjectedF16,
}

/// What a run kept.
#[derive(Debug)]
pub struct Kept {
    keep: Keep,
    config: Config,
    shape: Shape,
    lists: Lists,
    /// B x S x 2C, where the outputs of the last layer are not kept.
    camera: Buffer<f32>,
}

#[derive(Debug)]
enum Lists {
    F32(Vec<Buffer<f32>>),
    F16(Vec<Buffer<f16>>),
}

/// Projected patch tokens, as they are stored: B x S x patches x channels.
#[derive(Debug, Clone, Copy)]
pub enum Projected<'a> {
    /// In f32.
    F32(&'a [f32]),
    /// In f16.
    F16(&'a [f16]),
}

impl Keep {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::All, Self::Captured, Self::Projected, Self::ProjectedF16];

    /// The name: `all`, `captured`, `projected`, `projected-f16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Captured => "captured",
            Self::Projected => "projected",
            Self::ProjectedF16 => "projected-f16",
        }
    }

    /// Whether outputs are projected before they are kept.
    pub const fn is_projected(self) -> bool {
        matches!(self, Self::Projected | Self::ProjectedF16)
    }

    /// Numbers of each list that is kept, and bytes of one of its numbers; `shape` was checked.
    fn lists(self, config: &Config, shape: &Shape) -> (Vec<usize>, usize) {
        let output = shape.images() * shape.tokens() * config.output_dim();
        let projected = || config.channels.iter().map(|channels| shape.images() * shape.patches() * channels).collect();
        match self {
            Self::All => (vec![output; config.depth], size_of::<f32>()),
            Self::Captured => (vec![output; CAPTURES], size_of::<f32>()),
            Self::Projected => (projected(), size_of::<f32>()),
            Self::ProjectedF16 => (projected(), size_of::<f16>()),
        }
    }

    fn camera_values(self, config: &Config, shape: &Shape) -> usize {
        if self.is_projected() { shape.images() * config.output_dim() } else { 0 }
    }

    /// Bytes that are kept of an input.
    ///
    /// # Errors
    /// If the input does not fit the model.
    pub fn bytes(self, config: &Config, shape: &Shape) -> Result<usize, RunError> {
        shape.check(config)?;
        let (lists, bytes) = self.lists(config, shape);
        Ok(lists.iter().sum::<usize>() * bytes + self.camera_values(config, shape) * size_of::<f32>())
    }
}

impl std::fmt::Display for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl Kept {
    /// Memory for what `keep` keeps of an input that was checked.
    pub(crate) fn new(keep: Keep, config: &Config, shape: &Shape) -> Result<Self, RunError> {
        let (lists, _) = keep.lists(config, shape);
        let lists = match keep {
            Keep::ProjectedF16 => Lists::F16(lists.into_iter().map(Buffer::zeroed).collect::<Result<_, _>>()?),
            _ => Lists::F32(lists.into_iter().map(Buffer::zeroed).collect::<Result<_, _>>()?),
        };
        let camera = Buffer::zeroed(keep.camera_values(config, shape))?;
        Ok(Self { keep, config: *config, shape: *shape, lists, camera })
    }

    /// What was kept.
    pub fn keep(&self) -> Keep {
        self.keep
    }

    /// Of which input.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Of which model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Bytes of everything that is kept.
    pub fn bytes(&self) -> usize {
        let lists: usize = match &self.lists {
            Lists::F32(lists) => lists.iter().map(|list| size_of_val(&**list)).sum(),
            Lists::F16(lists) => lists.iter().map(|list| size_of_val(&**list)).sum(),
        };
        lists + size_of_val(&*self.camera)
    }

    /// The output of a layer, B x S x P x 2C: the frame block's channels, then the global block's. `None` if it was not
    /// kept, or not as it is.
    pub fn output(&self, layer: usize) -> Option<&[f32]> {
        let list = match self.keep {
            Keep::All => layer,
            Keep::Captured => self.config.captured.iter().position(|&captured| captured == layer)?,
            Keep::Projected | Keep::ProjectedF16 => return None,
        };
        match &self.lists {
            Lists::F32(lists) => lists.get(list).map(|list| &**list),
            Lists::F16(_) => None,
        }
    }

    /// The projection of captured layer number `index`, of [`CAPTURES`]; `None` if outputs were not projected.
    pub fn projected(&self, index: usize) -> Option<Projected<'_>> {
        match (&self.lists, self.keep.is_projected()) {
            (Lists::F32(lists), true) => lists.get(index).map(|list| Projected::F32(list)),
            (Lists::F16(lists), true) => lists.get(index).map(|list| Projected::F16(list)),
            (_, false) => None,
        }
    }

    /// The camera token of each image in the output of the last layer: what the camera head reads, 2C numbers an image.
    pub fn camera_tokens(&self) -> impl Iterator<Item = &[f32]> {
        let width = self.config.output_dim();
        let (tokens, stride) = match self.output(self.config.depth - 1) {
            Some(output) => (output, self.shape.tokens() * width),
            None => (&*self.camera, width),
        };
        tokens.chunks_exact(stride).map(move |image| &image[..width])
    }

    /// Where the pieces of a layer's output go, for sequence number `sequence`.
    pub(crate) fn slots(&mut self, layer: usize, sequence: usize) -> Slots<'_> {
        let captured = self.config.captured.iter().position(|&captured| captured == layer);
        let list = if self.keep == Keep::All { Some(layer) } else { captured };
        let Some(index) = list else { return Slots::None };
        let part = |len: usize| sequence * (len / self.shape.batch)..(sequence + 1) * (len / self.shape.batch);
        let width = self.config.output_dim();
        let is_last = layer + 1 == self.config.depth;
        let camera_part = if is_last { part(self.camera.len()) } else { 0..0 };
        match (&mut self.lists, self.keep.is_projected()) {
            (Lists::F32(lists), false) => {
                let part = part(lists[index].len());
                Slots::Output { rest: &mut lists[index][part], width }
            }
            (lists, _) => {
                let rest = match lists {
                    Lists::F32(lists) => {
                        let part = part(lists[index].len());
                        Values::F32(&mut lists[index][part])
                    }
                    Lists::F16(lists) => {
                        let part = part(lists[index].len());
                        Values::F16(&mut lists[index][part])
                    }
                };
                let camera = &mut self.camera[camera_part];
                Slots::Projected { index, rest, channels: self.config.channels[index], camera, width }
            }
        }
    }
}

/// Numbers to write.
#[derive(Debug)]
pub(crate) enum Values<'a> {
    F32(&'a mut [f32]),
    F16(&'a mut [f16]),
}

/// Where the rest of a layer's output goes.
#[derive(Debug)]
pub(crate) enum Slots<'a> {
    None,
    Output { rest: &'a mut [f32], width: usize },
    Projected { index: usize, rest: Values<'a>, channels: usize, camera: &'a mut [f32], width: usize },
}

/// Where a piece's output goes.
#[derive(Debug)]
pub(crate) enum Slot<'a> {
    None,
    /// Tokens x 2C.
    Output(&'a mut [f32]),
    /// Patch tokens x channels of the projection `index`, and the camera token, 2C, if it is kept and in the piece.
    Projected {
        index: usize,
        patches: Values<'a>,
        camera: Option<&'a mut [f32]>,
    },
}

/// The patches among the tokens of a piece, counted from its first token.
pub(crate) fn patches_of(piece: &Piece) -> std::ops::Range<usize> {
    SPECIAL.saturating_sub(piece.tokens.start).min(piece.len())..piece.len()
}

impl<'a> Slots<'a> {
    /// The slot of the next piece.
    pub(crate) fn take(&mut self, piece: &Piece) -> Slot<'a> {
        match self {
            Slots::None => Slot::None,
            Slots::Output { rest, width } => Slot::Output(take(rest, piece.len() * *width)),
            Slots::Projected { index, rest, channels, camera, width } => {
                let len = patches_of(piece).len() * *channels;
                let patches = match rest {
                    Values::F32(rest) => Values::F32(take(rest, len)),
                    Values::F16(rest) => Values::F16(take(rest, len)),
                };
                let has_camera = piece.tokens.start == 0 && !camera.is_empty();
                Slot::Projected { index: *index, patches, camera: has_camera.then(|| take(camera, *width)) }
            }
        }
    }
}
