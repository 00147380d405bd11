//! GGUF files: mapped, checked, viewed without a copy; and written.
//!
//! ```
//! use gguf::{Gguf, Value, Writer};
//! use quant::GgmlType;
//!
//! let mut writer = Writer::new();
//! writer.key("general.architecture", Value::from("example"));
//! writer.tensor("a.weight", &[4, 2], GgmlType::F32);
//! let bytes = writer.to_bytes(|_, out| out.write_all(&[0; 32]))?;
//!
//! let file = Gguf::parse(bytes)?;
//! assert_eq!(file.metadata().get("general.architecture"), Some(Value::from("example")));
//! let tensor = file.tensor("a.weight").expect("it was written");
//! assert_eq!((tensor.ty, tensor.dims(), file.data(&tensor)?.len()), (GgmlType::F32, &[4, 2][..], 32));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is checked, and when
//!
//! [`Gguf::parse`] walks the whole header once and checks the rules of the container: what `gguf_init_from_*` of
//! `ggml-org/llama.cpp` refuses, and that the data of every tensor lie within the file. [`Rule`] has a variant for each
//! rule, with the offset, the value found and the value needed; [`Error`] adds the key or the tensor. After that, every
//! key, every string of every array and every tensor's range lies within the bytes, so views cannot fail.
//!
//! The rules of a model are not checked: that the keys and tensors that its architecture needs are there, with the
//! right types and shapes, or that the vocabulary is complete. Whoever loads a model checks those.
//!
//! Two things that llama.cpp refuses are accepted if [`Options`] say so: big-endian files and arrays of arrays. The
//! metadata of a big-endian file are converted to native numbers, [`Gguf::data`] returns the bytes as stored, and
//! [`Gguf::read_data`] swaps them.
//!
//! # Memory
//!
//! 12 bytes are kept for each key and 20 for each tensor: the offset of its entry, the offset of its data, and its
//! position in the order of the names, which finds duplicates and answers look-ups. Everything else, strings of
//! vocabularies included, is read from the file's bytes when asked for. Parsing never allocates more than the length of
//! the file.
//!
//! | module | contents |
//! |---|---|
//! | [`corpus`] | hostile files for tests of any reader: one inside and one outside every rule |
//! | [`mod@file`] | files in memory or mapped, residency, paging in |
//! | [`split`] | models in several files |
//! | [`value`] | metadata values and array views |
//! | [`writer`] | writing: in memory, to a stream, to a file as a whole, split |

pub mod cases;
pub mod corpus;
mod cursor;
mod data;
pub mod error;
pub mod file;
mod metadata;
mod options;
mod order;
mod parse;
pub mod split;
mod tensor;
pub mod value;
pub mod writer;

pub use data::DataError;
pub use error::{Entry, Error, Field, Rule};
pub use file::File;
pub use metadata::Metadata;
pub use options::Options;
pub use parse::Gguf;
pub use quant::Endian;
pub use split::Split;
pub use tensor::Tensor;
pub use value::{Array, Value, ValueType};
pub use writer::Writer;

/// The code of the README, compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
