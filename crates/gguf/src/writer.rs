//! Writing: a header that the reader has checked, then the data, one tensor at a time.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use quant::GgmlType;
use thiserror::Error;

use crate::{
    Endian, Error as GgufError, Options, Tensor, Value, ValueType,
    metadata::ALIGNMENT,
    parse::Header,
    split::{self, part_path},
};

mod encode;

use encode::Encoder;
pub use encode::Number;

/// A file to be written: keys and tensors are declared first, the data are supplied while it is written.
///
/// Declaring checks nothing. Before the first byte is written, the reader parses the header and reports duplicates, bad
/// names and bad shapes, so that no file is written that this crate would refuse.
#[derive(Debug, Clone)]
pub struct Writer {
    version: u32,
    endian: Endian,
    alignment: u32,
    keys: Vec<Pair>,
    tensors: Vec<Declared>,
}

#[derive(Debug, Clone)]
struct Pair {
    key: Vec<u8>,
    /// Type and value, encoded.
    value: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Declared {
    name: Vec<u8>,
    dims: Vec<u64>,
    ty: GgmlType,
}

/// Why a file was not written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// What was declared breaks a rule of the format.
    #[error("the declared file breaks a rule")]
    Rule(#[from] GgufError),
    /// The data of a tensor do not have the length that its shape and type need.
    #[error("tensor {name:?} was given {got} bytes, {need} are needed")]
    DataLength {
        /// Name of the tensor; bytes that are not UTF-8 are replaced.
        name: String,
        /// Bytes written.
        got: u64,
        /// Bytes that the shape needs.
        need: u64,
    },
    /// A set has at most 65535 parts, with at least one tensor each.
    #[error("{tensors} tensors cannot be split into parts of {per_part}")]
    Parts {
        /// Tensors declared.
        tensors: usize,
        /// Tensors requested for each part.
        per_part: usize,
    },
    /// The operating system reports an error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// An empty little-endian file of version 3.
    pub fn new() -> Self {
        Self { version: 3, endian: Endian::Little, alignment: 32, keys: Vec::new(), tensors: Vec::new() }
    }

    /// Sets the version: 3, the default, or 2.
    #[must_use]
    pub fn with_version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// Sets the byte order. Call it before declaring keys. The data must be supplied in that order too, see
    /// [`quant::swap_bytes`].
    #[must_use]
    pub fn with_endian(self, endian: Endian) -> Self {
        Self { endian, ..self }
    }

    /// Declares a key. `general.alignment`, a u32, also sets the alignment of this file's data.
    pub fn key(&mut self, key: impl AsRef<[u8]>, value: Value<'_>) -> &mut Self {
        let key = key.as_ref();
        if let (true, Value::U32(alignment)) = (key == ALIGNMENT.as_bytes(), value) {
            self.alignment = alignment;
        }
        self.pair(key, |encoder| {
            encoder.ty(value.ty());
            encoder.value(value);
        })
    }

    /// Declares an array of strings.
    pub fn strings<S: AsRef<[u8]>>(&mut self, key: impl AsRef<[u8]>, strings: &[S]) -> &mut Self {
        self.pair(key.as_ref(), |encoder| {
            encoder.array(ValueType::String, strings.len());
            for string in strings {
                encoder.string(string.as_ref());
            }
        })
    }

    /// Declares an array of numbers.
    pub fn numbers<T: Number>(&mut self, key: impl AsRef<[u8]>, numbers: &[T]) -> &mut Self {
        self.pair(key.as_ref(), |encoder| {
            encoder.array(T::TYPE, numbers.len());
            for &number in numbers {
                encoder.value(number.value());
            }
        })
    }

    /// Declares a tensor. The first dimension is the contiguous one.
    pub fn tensor(&mut self, name: impl AsRef<[u8]>, dims: &[u64], ty: GgmlType) -> &mut Self {
        self.tensors.push(Declared { name: name.as_ref().to_vec(), dims: dims.to_vec(), ty });
        self
    }

    fn pair(&mut self, key: &[u8], encode: impl FnOnce(&mut Encoder)) -> &mut Self {
        let mut encoder = Encoder::new(self.endian);
        encode(&mut encoder);
        self.keys.push(Pair { key: key.to_vec(), value: encoder.into_bytes() });
        self
    }

    /// Writes the file to `sink`, and returns its length in bytes. `data` is called for each tensor in order and must
    /// write exactly the bytes of that tensor. Padding is added automatically, after the last tensor too.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn write_to(
        &self,
        sink: &mut dyn Write,
        mut data: impl FnMut(&Tensor<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, WriteError> {
        let (bytes, header) = self.header()?;
        sink.write_all(&bytes)?;
        let mut at = bytes.len() as u64;
        for tensor in header.tensors(&bytes) {
            at += pad(sink, at, tensor.start())?;
            let mut counted = Counted { sink: &mut *sink, bytes: 0 };
            data(&tensor, &mut counted)?;
            let (got, need) = (counted.bytes, tensor.bytes());
            if got != need {
                return Err(WriteError::DataLength { name: tensor.name_lossy(), got, need });
            }
            at += got;
        }
        if !self.tensors.is_empty() {
            at += pad(sink, at, at.next_multiple_of(self.alignment.into()))?;
        }
        sink.flush()?;
        Ok(at)
    }

    /// The file in memory.
    ///
    /// # Errors
    /// As [`write_to`](Self::write_to).
    pub fn to_bytes(
        &self,
        data: impl FnMut(&Tensor<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> Result<Vec<u8>, WriteError> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes, data)?;
        Ok(bytes)
    }

    /// Writes the file to disk as a whole or not at all, see [`whole_file::write()`]. A process that has the old file
    /// mapped keeps it.
    ///
    /// # Errors
    /// As [`write_to`](Self::write_to).
    pub fn create(
        &self,
        path: &Path,
        data: impl FnMut(&Tensor<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, WriteError> {
        whole_file::write(path, |file| {
            let bytes = self.write_to(&mut BufWriter::with_capacity(1 << 20, file), data)?;
            file.sync_all()?;
            Ok(bytes)
        })
    }

    /// Writes the tensors to several files of `per_part` tensors each, named by [`part_path`], and returns their paths.
    /// The first part has the keys; every part has the keys of the set.
    ///
    /// # Errors
    /// As [`create`](Self::create); [`WriteError::Parts`] for more than 65535 parts. Parts that are already complete
    /// stay.
    pub fn create_split(
        &self,
        prefix: &Path,
        per_part: usize,
        mut data: impl FnMut(&Tensor<'_>, &mut dyn Write) -> io::Result<()>,
    ) -> Result<Vec<PathBuf>, WriteError> {
        let tensors = self.tensors.len();
        let parts = self.declared_parts(per_part).ok_or(WriteError::Parts { tensors, per_part })?;
        let count = parts.len() as u16;
        let mut paths = Vec::with_capacity(parts.len());
        for (number, part) in (1..=count).zip(parts) {
            let path = part_path(prefix, number, count);
            part.create(&path, &mut data)?;
            paths.push(path);
        }
        Ok(paths)
    }

    fn declared_parts(&self, per_part: usize) -> Option<Vec<Writer>> {
        if per_part == 0 || self.tensors.is_empty() {
            return None;
        }
        let count = u16::try_from(self.tensors.len().div_ceil(per_part)).ok()?;
        let total = i32::try_from(self.tensors.len()).ok()?;
        let parts = (0..count).zip(self.tensors.chunks(per_part)).map(|(no, tensors)| {
            let keys = if no == 0 { self.keys.clone() } else { Vec::new() };
            let Writer { version, endian, alignment, .. } = *self;
            let mut part = Writer { version, endian, alignment, keys, tensors: tensors.to_vec() };
            if no > 0 && self.alignment != 32 {
                part.key(ALIGNMENT, Value::U32(self.alignment));
            }
            part.key(split::NO, Value::U16(no));
            part.key(split::COUNT, Value::U16(count));
            part.key(split::TENSORS_COUNT, Value::I32(total));
            part
        });
        Some(parts.collect())
    }

    /// The header's bytes, and the header as the reader parses them.
    fn header(&self) -> Result<(Vec<u8>, Header), WriteError> {
        let mut encoder = Encoder::new(self.endian);
        encoder.bytes(b"GGUF");
        encoder.value(Value::U32(self.version));
        encoder.value(Value::U64(self.tensors.len() as u64));
        encoder.value(Value::U64(self.keys.len() as u64));
        for Pair { key, value } in &self.keys {
            encoder.string(key);
            encoder.bytes(value);
        }
        let mut offset = 0_u64;
        for Declared { name, dims, ty } in &self.tensors {
            encoder.string(name);
            encoder.value(Value::U32(dims.len() as u32));
            dims.iter().for_each(|&dim| encoder.value(Value::U64(dim)));
            encoder.value(Value::U32(ty.id()));
            encoder.value(Value::U64(offset));
            // If this wraps, the reader refuses the shape.
            let elements = dims.iter().fold(1_u64, |product, dim| product.wrapping_mul(*dim));
            let bytes = (elements / ty.block_len() as u64).wrapping_mul(ty.block_bytes() as u64);
            offset = offset.wrapping_add(bytes.checked_next_multiple_of(self.alignment.into()).unwrap_or(0));
        }
        let bytes = encoder.into_bytes();
        let header = Header::parse(&bytes, u64::MAX, Options::LENIENT)?;
        Ok((bytes, header))
    }
}

/// Writes zeros from byte `at` to byte `to`, and returns their number.
fn pad(sink: &mut dyn Write, at: u64, to: u64) -> io::Result<u64> {
    io::copy(&mut io::Read::take(io::repeat(0), to - at), sink)
}

/// A sink that counts bytes.
struct Counted<'a> {
    sink: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
