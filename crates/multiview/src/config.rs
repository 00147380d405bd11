//! Dimensions of a model and of its input, checked before anything is allocated.

use crate::error::ConfigError;

/// Pixels of a patch, along both axes.
pub const PATCH: usize = 14;
/// Numbers of a patch: three channels.
pub const PATCH_VALUES: usize = 3 * PATCH * PATCH;
/// Register tokens of a frame.
pub const REGISTERS: usize = 4;
/// Tokens before the patches of a frame: the camera token and the registers.
pub const SPECIAL: usize = 1 + REGISTERS;
/// Width of the hidden layer of a block, in multiples of `embed_dim`.
pub const MLP_RATIO: usize = 4;
/// What is added to a variance before its square root is taken.
pub(crate) const EPSILON: f64 = 1e-5;
/// Base of the rotary frequencies.
pub(crate) const ROPE_BASE: f64 = 100.0;
/// Layers that the depth head reads.
pub const CAPTURES: usize = 4;

/// Dimensions of a model.
///
/// ```
/// use multiview::{Config, ConfigError};
///
/// assert_eq!(Config::TOY.head_dim(), 8);
/// assert_eq!(Config::VGGT.check(), Ok(()));
/// let odd = Config { heads: 3, ..Config::TOY };
/// assert_eq!(odd.check(), Err(ConfigError::HeadDim { embed_dim: 128, heads: 3 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Channels of a token, C.
    pub embed_dim: usize,
    /// Pairs of a frame block and a global block.
    pub depth: usize,
    /// Heads of every attention.
    pub heads: usize,
    /// The layers that the depth head reads, ascending. The last is the last layer: the camera head reads it, too.
    pub captured: [usize; CAPTURES],
    /// Channels that the depth head projects each of them to.
    pub channels: [usize; CAPTURES],
}

impl Config {
    /// C = 128 with 16 heads of 8: what the report in question was measured on.
    pub const TOY: Self =
        Self { embed_dim: 128, depth: 24, heads: 16, captured: [4, 11, 17, 23], channels: [128; CAPTURES] };

    /// C = 512 with 8 heads of 64, the head dimension of real models.
    pub const HEADS_OF_64: Self = Self { embed_dim: 512, heads: 8, channels: [256; CAPTURES], ..Self::TOY };

    /// C = 1024 with 16 heads of 64, and the depth head of VGGT.
    pub const VGGT: Self = Self { embed_dim: 1024, channels: [256, 512, 1024, 1024], ..Self::TOY };

    /// Channels of a head.
    pub fn head_dim(&self) -> usize {
        self.embed_dim / self.heads.max(1)
    }

    /// Channels of an output: those of the frame block, then those of the global block.
    pub fn output_dim(&self) -> usize {
        2 * self.embed_dim
    }

    /// Whether these dimensions are possible.
    ///
    /// # Errors
    /// [`ConfigError`] says which is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { embed_dim, depth, heads, captured, channels } = *self;
        let dimensions = [
            ("embed_dim", embed_dim),
            ("depth", depth),
            ("heads", heads),
            ("channels", channels.into_iter().min().unwrap_or(0)),
        ];
        for (name, value) in dimensions {
            if value == 0 {
                return Err(ConfigError::Zero { name });
            }
        }
        if !embed_dim.is_multiple_of(heads) {
            return Err(ConfigError::HeadDim { embed_dim, heads });
        }
        // Each half of a head is rotated in pairs.
        if !self.head_dim().is_multiple_of(4) {
            return Err(ConfigError::HeadDimOfRotation { head_dim: self.head_dim() });
        }
        if !captured.is_sorted_by(|a, b| a < b) || captured[CAPTURES - 1] != depth - 1 {
            return Err(ConfigError::Captured { captured, depth });
        }
        self.parameters().map(drop)
    }

    /// Numbers of all weights.
    ///
    /// # Errors
    /// [`ConfigError::TooLarge`] if their bytes cannot be counted.
    pub fn parameters(&self) -> Result<usize, ConfigError> {
        let Self { embed_dim: c, depth, .. } = *self;
        let too_large = ConfigError::TooLarge;
        let mul = |a: usize, b: usize| a.checked_mul(b).ok_or(too_large);
        let add = |a: usize, b: usize| a.checked_add(b).ok_or(too_large);
        let square = mul(c, c)?;
        // Linear layers: 3 for q, k and v, 1 for the projection, 4 + 4 for the MLP. Vectors: their biases (3 + 1 + 4 +
        // 1), two norms (4) and two scales (2).
        let block = add(add(mul(12, square)?, mul(15, c)?)?, mul(4, self.head_dim())?)?;
        let blocks = mul(block, mul(2, depth)?)?;
        let embed = add(mul(PATCH_VALUES + 1, c)?, mul(2 * SPECIAL, c)?)?;
        let mut head = mul(4, c)?;
        for channels in self.channels {
            head = add(head, add(mul(mul(2, c)?, channels)?, channels)?)?;
        }
        let total = add(blocks, add(embed, head)?)?;
        // Bytes of floats must be a size of memory.
        if total > isize::MAX as usize / size_of::<f32>() { Err(too_large) } else { Ok(total) }
    }
}

/// Extents of an input: `batch` sequences of `frames` images of `height` x `width` pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Sequences, B. Nothing passes between them.
    pub batch: usize,
    /// Images of a sequence, S.
    pub frames: usize,
    /// Pixels of a column; a multiple of [`PATCH`].
    pub height: usize,
    /// Pixels of a row; a multiple of [`PATCH`].
    pub width: usize,
}

impl Shape {
    /// One sequence of square images.
    pub const fn square(frames: usize, pixels: usize) -> Self {
        Self { batch: 1, frames, height: pixels, width: pixels }
    }

    /// Patches of a frame, along its columns and rows.
    pub fn grid(&self) -> (usize, usize) {
        (self.height / PATCH, self.width / PATCH)
    }

    /// Patches of a frame.
    pub fn patches(&self) -> usize {
        self.grid().0.saturating_mul(self.grid().1)
    }

    /// Tokens of a frame, P.
    pub fn tokens(&self) -> usize {
        self.patches().saturating_add(SPECIAL)
    }

    /// Numbers of an image: three channels.
    pub fn image_values(&self) -> usize {
        self.height.saturating_mul(self.width).saturating_mul(3)
    }

    /// Images of all sequences.
    pub fn images(&self) -> usize {
        self.batch.saturating_mul(self.frames)
    }

    /// Whether a model can take this input. After this, no product of extents of `config` and `self` that a run forms
    /// overflows.
    ///
    /// # Errors
    /// [`ConfigError`] says why not.
    pub fn check(&self, config: &Config) -> Result<(), ConfigError> {
        config.check()?;
        let Self { batch, frames, height, width } = *self;
        for (name, value) in [("batch", batch), ("frames", frames), ("height", height), ("width", width)] {
            if value == 0 {
                return Err(ConfigError::Zero { name });
            }
        }
        if !height.is_multiple_of(PATCH) || !width.is_multiple_of(PATCH) {
            return Err(ConfigError::Image { height, width });
        }
        // The largest product: all outputs of all layers, in bytes; or the images.
        let channels = config.channels.iter().fold(config.output_dim(), |all, &channels| all.max(channels));
        let widest = [channels, MLP_RATIO * config.embed_dim, 3 * PATCH * PATCH].into_iter().max().unwrap_or(0);
        let extents = [height / PATCH + SPECIAL, width / PATCH, batch, frames, config.depth, widest, size_of::<f32>()];
        let bytes = extents.into_iter().try_fold(1_usize, usize::checked_mul);
        match bytes {
            Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
            _ => Err(ConfigError::TooLarge),
        }
    }
}
