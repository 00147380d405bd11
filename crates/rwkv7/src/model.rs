//! The tensors of a model: views of the file's bytes, with their dimensions checked.

use std::borrow::Cow;

use gemm::Rhs;
use gguf::{Endian, File, Tensor};
use quant::GgmlType;

use crate::{config::Config, error::ModelError, matrix::Matrix};

/// A model: views of the tensors of a GGUF file.
///
/// Weights are multiplied as they lie in the file. What is converted when the model is made: vectors that are not f32,
/// and matrices of types that `gemm` does not multiply (see [`converted_bytes`](Self::converted_bytes)).
#[derive(Debug)]
pub struct Model<'a> {
    pub(crate) config: Config,
    pub(crate) embedding: Matrix<'a>,
    pub(crate) embedding_norm: Norm<'a>,
    pub(crate) layers: Vec<Layer<'a>>,
    pub(crate) output_norm: Norm<'a>,
    pub(crate) head: Matrix<'a>,
    converted_bytes: usize,
    rounds: bool,
}

/// The tensors of a layer.
#[derive(Debug)]
pub struct Layer<'a> {
    /// The time mix.
    pub time: TimeMix<'a>,
    /// The channel mix.
    pub channel: ChannelMix<'a>,
}

/// The tensors of the time mix, which carries the state.
#[derive(Debug)]
pub struct TimeMix<'a> {
    /// Before the shift.
    pub norm: Norm<'a>,
    /// Six vectors, for r, w, k, v, a and g.
    pub lerps: Vector<'a>,
    /// r
    pub receptance: Matrix<'a>,
    /// k
    pub key: Matrix<'a>,
    /// v
    pub value: Matrix<'a>,
    /// What is added to the channels.
    pub output: Matrix<'a>,
    /// w, through tanh between its matrices.
    pub decay: LowRank<'a>,
    /// a, the in-context learning rate.
    pub rate: LowRank<'a>,
    /// The first layer has none: its values are those that the others mix in.
    pub value_mix: Option<LowRank<'a>>,
    /// g, down and up with a sigmoid between; a model may have none.
    pub gate: Option<[Matrix<'a>; 2]>,
    /// k_k: factors of the keys before they are normalized.
    pub key_norm: Vector<'a>,
    /// k_a: how much of the learning rate goes into the keys.
    pub key_rate: Vector<'a>,
    /// r_k: how much of a token's own value is added.
    pub bonus: Vector<'a>,
    /// Of each head's outputs.
    pub head_norm: Norm<'a>,
}

/// The tensors of the channel mix.
#[derive(Debug)]
pub struct ChannelMix<'a> {
    /// Before the shift.
    pub norm: Norm<'a>,
    /// Of the shift.
    pub lerp: Vector<'a>,
    /// From the channels to the hidden layer.
    pub key: Matrix<'a>,
    /// From the hidden layer to what is added to the channels.
    pub value: Matrix<'a>,
}

/// f(x D) U + offset with few columns of D.
#[derive(Debug)]
pub struct LowRank<'a> {
    /// D, rank x channels.
    pub down: Matrix<'a>,
    /// U, channels x rank.
    pub up: Matrix<'a>,
    /// One for each channel.
    pub offset: Vector<'a>,
}

/// Factors and offsets of a normalization.
#[derive(Debug)]
pub struct Norm<'a> {
    /// One for each channel.
    pub factors: Vector<'a>,
    /// One for each channel.
    pub offsets: Vector<'a>,
}

/// Floats of a tensor, in the file or converted.
pub type Vector<'a> = Cow<'a, [f32]>;

impl<'a> Model<'a> {
    /// Checks keys and tensors of the file, and converts what has to be converted.
    ///
    /// # Errors
    /// [`ModelError`] with the key or the tensor.
    pub fn new(file: &'a File) -> Result<Self, ModelError> {
        if file.endian() != Endian::Little {
            return Err(ModelError::BigEndian);
        }
        let config = Config::from_metadata(file.metadata())?;
        let mut source = Source { file, converted_bytes: 0, rounds: false };
        let channels = config.channels as u64;
        let name = "token_embd.weight";
        let vocabulary = source.find(name)?.ne()[1];
        if !(1..=1 << 24).contains(&vocabulary) {
            let found = source.find(name)?.dims().to_vec();
            return Err(ModelError::Shape { name: name.to_owned(), found, wanted: vec![channels, 65536] });
        }
        let embedding = source.rows_of(name, [channels, vocabulary])?;
        let layers: Result<_, _> = (0..config.layers).map(|layer| source.layer(&config, layer)).collect();
        Ok(Self {
            config,
            embedding,
            embedding_norm: source.norm("token_embd_norm", channels)?,
            layers: layers?,
            output_norm: source.norm("output_norm", channels)?,
            head: source.matrix("output.weight", [channels, vocabulary])?,
            converted_bytes: source.converted_bytes,
            rounds: source.rounds,
        })
    }

    /// The dimensions.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The rows of all tokens.
    pub fn embedding(&self) -> &Matrix<'a> {
        &self.embedding
    }

    /// Of a token's row, before the first layer.
    pub fn embedding_norm(&self) -> &Norm<'a> {
        &self.embedding_norm
    }

    /// The layers, in their order.
    pub fn layers(&self) -> &[Layer<'a>] {
        &self.layers
    }

    /// Before the head.
    pub fn output_norm(&self) -> &Norm<'a> {
        &self.output_norm
    }

    /// From the channels to the logits.
    pub fn head(&self) -> &Matrix<'a> {
        &self.head
    }

    /// Tokens of the vocabulary: logits of a position.
    pub fn vocabulary(&self) -> usize {
        self.head.rows
    }

    /// Bytes of the matrices that were converted to f32, because their types are not multiplied as they lie.
    pub fn converted_bytes(&self) -> usize {
        self.converted_bytes
    }

    /// Whether activations are rounded to 8 bits, because some matrices are in blocks. Where they are, another last bit
    /// can round another way, so that sums of different order differ by as much as the rounding does.
    pub(crate) fn rounds(&self) -> bool {
        self.rounds
    }

    /// Bytes that the computation of one token reads: all tensors, but of the embedding one row.
    pub fn bytes_per_token(&self) -> usize {
        let vector = |vector: &Vector<'_>| size_of_val::<[f32]>(vector);
        let norm = |norm: &Norm<'_>| vector(&norm.factors) + vector(&norm.offsets);
        let low_rank = |low: &LowRank<'_>| low.down.bytes() + low.up.bytes() + vector(&low.offset);
        let layer = |Layer { time, channel }: &Layer<'_>| {
            let matrices = [&time.receptance, &time.key, &time.value, &time.output, &channel.key, &channel.value];
            let vectors = [&time.lerps, &time.key_norm, &time.key_rate, &time.bonus, &channel.lerp];
            let norms = [&time.norm, &time.head_norm, &channel.norm];
            let low = [Some(&time.decay), Some(&time.rate), time.value_mix.as_ref()];
            matrices.iter().map(|matrix| matrix.bytes()).sum::<usize>()
                + vectors.iter().map(|x| vector(x)).sum::<usize>()
                + norms.iter().map(|x| norm(x)).sum::<usize>()
                + low.into_iter().flatten().map(low_rank).sum::<usize>()
                + time.gate.iter().flatten().map(Matrix::bytes).sum::<usize>()
        };
        self.embedding.bytes() / self.embedding.rows
            + norm(&self.embedding_norm)
            + self.layers.iter().map(layer).sum::<usize>()
            + norm(&self.output_norm)
            + self.head.bytes()
    }
}

/// A file whose tensors are taken by name and dimensions.
struct Source<'a> {
    file: &'a File,
    converted_bytes: usize,
    /// Whether a matrix is in blocks.
    rounds: bool,
}

impl<'a> Source<'a> {
    fn layer(&mut self, config: &Config, layer: usize) -> Result<Layer<'a>, ModelError> {
        let [c, f] = [config.channels, config.feed_forward].map(|extent| extent as u64);
        let named = |name: &str| format!("blk.{layer}.{name}");
        let time = |name: &str| format!("blk.{layer}.time_mix_{name}");
        let low_rank = |source: &mut Self, letter: &str, rank: usize| -> Result<LowRank<'a>, ModelError> {
            Ok(LowRank {
                down: source.matrix(&time(&format!("{letter}1.weight")), [c, rank as u64])?,
                up: source.matrix(&time(&format!("{letter}2.weight")), [rank as u64, c])?,
                offset: source.vector(&time(&format!("{letter}0.weight")), &[c])?,
            })
        };
        let time_mix = TimeMix {
            decay: low_rank(self, "w", config.decay_rank)?,
            rate: low_rank(self, "a", config.rate_rank)?,
            // The file repeats other tensors under these names in the first layer.
            value_mix: if layer == 0 { None } else { Some(low_rank(self, "v", config.value_rank)?) },
            gate: match config.gate_rank as u64 {
                0 => None,
                rank => {
                    Some([self.matrix(&time("g1.weight"), [c, rank])?, self.matrix(&time("g2.weight"), [rank, c])?])
                }
            },
            norm: self.norm(&named("attn_norm"), c)?,
            lerps: self.vector(&time("lerp_fused.weight"), &[c, 1, 1, 6])?,
            receptance: self.matrix(&time("receptance.weight"), [c, c])?,
            key: self.matrix(&time("key.weight"), [c, c])?,
            value: self.matrix(&time("value.weight"), [c, c])?,
            output: self.matrix(&time("output.weight"), [c, c])?,
            key_norm: self.vector(&time("k_k.weight"), &[c])?,
            key_rate: self.vector(&time("k_a.weight"), &[c])?,
            bonus: self.vector(&time("r_k.weight"), &[c])?,
            head_norm: self.norm(&time("ln"), c)?,
        };
        let channel = ChannelMix {
            norm: self.norm(&named("attn_norm_2"), c)?,
            lerp: self.vector(&named("channel_mix_lerp_k.weight"), &[c])?,
            key: self.matrix(&named("channel_mix_key.weight"), [c, f])?,
            value: self.matrix(&named("channel_mix_value.weight"), [f, c])?,
        };
        Ok(Layer { time: time_mix, channel })
    }

    fn norm(&self, name: &str, channels: u64) -> Result<Norm<'a>, ModelError> {
        Ok(Norm {
            factors: self.vector(&format!("{name}.weight"), &[channels])?,
            offsets: self.vector(&format!("{name}.bias"), &[channels])?,
        })
    }

    fn find(&self, name: &str) -> Result<Tensor<'a>, ModelError> {
        self.file.tensor(name).ok_or_else(|| ModelError::Missing { name: name.to_owned() })
    }

    /// A tensor and its bytes. Dimensions of 1 at the end may be missing. r_k may be written as heads of channels.
    fn data(&self, name: &str, dims: &[u64]) -> Result<(GgmlType, &'a [u8]), ModelError> {
        let tensor = self.find(name)?;
        let mut wanted = [1; 4];
        wanted[..dims.len()].copy_from_slice(dims);
        let is_same = tensor.ne() == wanted || (dims.len() == 1 && tensor.elements() == dims[0]);
        if !is_same {
            let found = tensor.dims().to_vec();
            return Err(ModelError::Shape { name: name.to_owned(), found, wanted: dims.to_vec() });
        }
        let data = self.file.data(&tensor);
        Ok((tensor.ty, data.map_err(|error| ModelError::Data { name: name.to_owned(), source: Box::new(error) })?))
    }

    fn vector(&self, name: &str, dims: &[u64]) -> Result<Vector<'a>, ModelError> {
        let (ty, bytes) = self.data(name, dims)?;
        if ty == GgmlType::F32
            && let Ok(floats) = bytemuck::try_cast_slice(bytes)
        {
            return Ok(Cow::Borrowed(floats));
        }
        let elements = dims.iter().product::<u64>() as usize;
        Ok(Cow::Owned(floats(name, ty, bytes, elements)?))
    }

    /// A matrix of which only rows are read.
    fn rows_of(&self, name: &str, dims: [u64; 2]) -> Result<Matrix<'a>, ModelError> {
        let (ty, bytes) = self.data(name, &dims)?;
        let [cols, rows] = dims.map(|extent| extent as usize);
        // One row shows whether its type can be converted at all.
        floats(name, ty, &bytes[..bytes.len() / rows], cols)?;
        Ok(Matrix::of_bytes(ty, bytes, rows, cols))
    }

    fn matrix(&mut self, name: &str, dims: [u64; 2]) -> Result<Matrix<'a>, ModelError> {
        let (ty, bytes) = self.data(name, &dims)?;
        let [cols, rows] = dims.map(|extent| extent as usize);
        if Rhs::from_ggml(ty, bytes, rows, cols).is_ok() {
            self.rounds |= ty.block_len() > 1;
            return Ok(Matrix::of_bytes(ty, bytes, rows, cols));
        }
        let floats = floats(name, ty, bytes, rows * cols)?;
        self.converted_bytes += size_of_val::<[f32]>(&floats);
        Ok(Matrix::converted(floats, rows, cols))
    }
}

fn floats(name: &str, ty: GgmlType, bytes: &[u8], elements: usize) -> Result<Vec<f32>, ModelError> {
    let mut floats = vec![0.0; elements];
    match quant::dequantize(ty, bytes, &mut floats) {
        Ok(()) => Ok(floats),
        Err(_) => Err(ModelError::Type { name: name.to_owned(), ty }),
    }
}
