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
//! [`Gguf::parse`] walks the whole header once and refuses what `gguf_init_from_*` and the model loader of
//! `ggml-org/llama.cpp` refuse; [`Error`] has a variant for each rule, with the offset, what stands there and what should. After
//! that, every key, every string of every array and every tensor's range lies inside the bytes, so views cannot fail.
//! Two things that llama.cpp refuses are accepted if [`Options`] say so: big-endian files and arrays of arrays. Of a big-endian file,
//! metadata come out as numbers, [`Gguf::data`] are the bytes as they stand, and [`Gguf::read_data`] turns them.
//!
//! # What is kept
//!
//! 12 bytes for each key and 20 for each tensor: where its entry begins, where its data begins, and its place in the order of
//! the names, which finds duplicates and answers look-ups. Everything else, strings of vocabularies included, is read from the
//! bytes when asked for. Parsing therefore never allocates more than the file is long.
//!
//! | module | what is in it |
//! |---|---|
//! | [`corpus`] | a file inside and a file outside every rule, for tests of any reader |
//! | [`mod@file`] | files in memory or mapped, residency, paging in |
//! | [`split`] | models in several files |
//! | [`value`] | metadata values and array views |
//! | [`writer`] | writing: whole, streamed, atomic, split |

pub mod corpus;
mod cursor;
mod data;
mod error;
pub mod file;
mod metadata;
mod options;
mod order;
mod parse;
pub mod split;
mod tensor;
pub mod value;
pub mod writer;

pub use error::{Error, Field};
pub use file::File;
pub use metadata::Metadata;
pub use options::Options;
pub use parse::Gguf;
pub use quant::Endian;
pub use split::Split;
pub use tensor::Tensor;
pub use value::{Array, Value, ValueType};
pub use writer::Writer;
