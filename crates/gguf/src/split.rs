//! Models in several files, `NAME-00001-of-00003.gguf` and so on. Each part has its own tensors; the first one has the
//! metadata.
//!
//! Parts are counted from 1 everywhere but in [`NO`], which the format counts from 0.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use crate::{
    DataError, File, Metadata, Tensor, Value,
    error::shown,
    file::{OpenError, as_text},
};

/// Key of a part's number, from 0.
pub const NO: &str = "split.no";
/// Key of the number of parts.
pub const COUNT: &str = "split.count";
/// Key of the number of tensors of all parts together.
pub const TENSORS_COUNT: &str = "split.tensors.count";

/// A model in one file or several.
#[derive(Debug)]
pub struct Split {
    parts: Vec<File>,
    /// Index of the part of each tensor, by name; empty for a model in one file.
    part_of: HashMap<Box<[u8]>, u32>,
}

/// Why a set of parts is refused. Serialized, it is a map of its fields with the variant's name as `rule`; for a part
/// that cannot be opened, that of the [`OpenError`].
#[derive(Debug, Error, Serialize)]
#[serde(tag = "rule")]
#[non_exhaustive]
pub enum SplitError {
    /// A key of the set has the wrong type, or is missing.
    #[error("{}: key {key:?} is missing or of the wrong type", path.display())]
    Key {
        /// The part.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// The file to be opened is not the first part.
    #[error("{}: this is part {got} of {count}; {}", path.display(), first_advice(first.as_deref()))]
    NotFirst {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Its number, from 1.
        got: u32,
        /// Parts of the set.
        count: u16,
        /// The first part, if the name of this one follows the pattern; it is not looked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<PathBuf>,
    },
    /// The file's name does not end like that of a first part.
    #[error("{}: this is part 1 of {count}, but its name does not end with -00001-of-{count:05}.gguf; rename it", path.display())]
    Name {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Parts of the set.
        count: u16,
    },
    /// Parts were joined to one file, of which only the first could be read.
    #[error(
        "{}: this is part 1 of {count}, with another GGUF file joined to it at byte {offset}; \
         keep the parts as separate files, or merge them with llama.cpp's `llama-gguf-split --merge`",
        path.display()
    )]
    Joined {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Parts of the set.
        count: u16,
        /// Where the next GGUF file begins, in bytes.
        offset: u64,
    },
    /// A part has another number than its name says.
    #[error("{}: this is part {got}, but its name says part {need}", path.display())]
    PartNumber {
        /// The part.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Its number, from 1.
        got: u32,
        /// The number in its name.
        need: u32,
    },
    /// The parts together do not have the number of tensors that the first one declares.
    #[error("{}: the parts have {got} tensors, but \"split.tensors.count\" is {need}", path.display())]
    TensorCount {
        /// The first part.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Tensors found.
        got: u64,
        /// Tensors that the first part declares.
        need: i64,
    },
    /// Two parts have a tensor of the same name.
    #[error("{}: tensor {tensor:?} is in part {first} and in part {later}", path.display())]
    DuplicateTensor {
        /// The first part of the set.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// The tensor's name as text, see [`shown`].
        tensor: String,
        /// The first part that has it, from 1.
        first: u32,
        /// The later part, from 1.
        later: u32,
    },
    /// A part cannot be opened, or does not exist.
    #[error(transparent)]
    #[serde(untagged)]
    Open(#[from] OpenError),
}

fn first_advice(first: Option<&Path>) -> String {
    first.map_or_else(|| "open the first one".to_owned(), |first| format!("open {}", first.display()))
}

impl SplitError {
    /// Name of the rule that is broken: that of the variant, or of the [`Rule`](crate::Rule) that a part breaks; `Io`
    /// or `NotRegular` for a part that cannot be read.
    pub fn rule(&self) -> String {
        let rule = match self {
            SplitError::Open(OpenError::Refused { source, .. }) => return source.rule.name(),
            SplitError::Open(OpenError::Io { .. }) => "Io",
            SplitError::Open(OpenError::NotRegular { .. }) => "NotRegular",
            SplitError::Key { .. } => "Key",
            SplitError::NotFirst { .. } => "NotFirst",
            SplitError::Name { .. } => "Name",
            SplitError::Joined { .. } => "Joined",
            SplitError::PartNumber { .. } => "PartNumber",
            SplitError::TensorCount { .. } => "TensorCount",
            SplitError::DuplicateTensor { .. } => "DuplicateTensor",
        };
        rule.to_owned()
    }
}

/// The name of part `number` (from 1) of `count`.
pub fn part_path(prefix: &Path, number: u16, count: u16) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix(number, count));
    name.into()
}

fn suffix(number: u16, count: u16) -> String {
    format!("-{number:05}-of-{count:05}.gguf")
}

impl Split {
    /// Opens a model by its first file, or by its only one. `open` opens a file: [`File::read`] or [`File::map`].
    ///
    /// # Errors
    /// [`SplitError`], by the rules of llama.cpp.
    pub fn open(path: &Path, open: impl Fn(&Path) -> Result<File, OpenError>) -> Result<Self, SplitError> {
        let first = open(path)?;
        let count = match first.metadata().get(COUNT) {
            None => 0,
            Some(Value::U16(count)) => count,
            Some(_) => return Err(SplitError::Key { path: path.to_owned(), key: COUNT }),
        };
        if count <= 1 {
            return Ok(Self { parts: vec![first], part_of: HashMap::new() });
        }
        let got = number(&first, path)?;
        if got != 1 {
            return Err(not_first(path, got, count));
        }
        let joined = first.next_file().map(|offset| SplitError::Joined { path: path.to_owned(), count, offset });
        Self::open_parts(path, first, count, open).map_err(|error| match error {
            // The other parts cannot be found because they are in this file.
            SplitError::Name { .. } | SplitError::Open(OpenError::Io { .. }) => joined.unwrap_or(error),
            other => other,
        })
    }

    /// Opens the parts after the first one.
    fn open_parts(
        path: &Path,
        first: File,
        count: u16,
        open: impl Fn(&Path) -> Result<File, OpenError>,
    ) -> Result<Self, SplitError> {
        let prefix = path.to_str().and_then(|name| name.strip_suffix(&suffix(1, count))).map(PathBuf::from);
        let prefix = prefix.ok_or_else(|| SplitError::Name { path: path.to_owned(), count })?;
        let mut parts = vec![first];
        for need in 2..=count {
            let path = part_path(&prefix, need, count);
            let part = open(&path)?;
            let got = number(&part, &path)?;
            if got != u32::from(need) {
                return Err(SplitError::PartNumber { path, got, need: need.into() });
            }
            parts.push(part);
        }
        let part_of = parts_by_name(&parts, path)?;
        let need = match parts[0].metadata().get(TENSORS_COUNT) {
            Some(Value::I32(need)) => i64::from(need),
            _ => return Err(SplitError::Key { path: path.to_owned(), key: TENSORS_COUNT }),
        };
        let got = part_of.len() as u64;
        if i64::try_from(got) != Ok(need) {
            return Err(SplitError::TensorCount { path: path.to_owned(), got, need });
        }
        Ok(Self { parts, part_of })
    }

    /// The files, in order.
    pub fn parts(&self) -> &[File] {
        &self.parts
    }

    /// The metadata of the model: those of the first part.
    pub fn metadata(&self) -> Metadata<'_> {
        self.parts[0].metadata()
    }

    /// All tensors, in the order of the parts.
    pub fn tensors(&self) -> impl Iterator<Item = (&File, Tensor<'_>)> {
        self.parts.iter().flat_map(|part| part.tensors().map(move |tensor| (part, tensor)))
    }

    /// A tensor by name, with its data.
    ///
    /// # Errors
    /// As [`File::data`].
    pub fn tensor(&self, name: &str) -> Option<Result<(Tensor<'_>, &[u8]), DataError>> {
        let part = if self.parts.len() == 1 { 0 } else { *self.part_of.get(name.as_bytes())? };
        let part = self.parts.get(part as usize)?;
        let tensor = part.tensor(name)?;
        Some(part.data(&tensor).map(|data| (tensor, data)))
    }
}

/// Number of a part, from 1.
fn number(part: &File, path: &Path) -> Result<u32, SplitError> {
    match part.metadata().get(NO) {
        Some(Value::U16(number)) => Ok(u32::from(number) + 1),
        _ => Err(SplitError::Key { path: path.to_owned(), key: NO }),
    }
}

/// The error for a part with a number other than 1. The name of the first part follows from the name of this one.
fn not_first(path: &Path, got: u32, count: u16) -> SplitError {
    let stem = |number: u16| path.to_str().and_then(|name| name.strip_suffix(&suffix(number, count)));
    if stem(1).is_some() {
        return SplitError::PartNumber { path: path.to_owned(), got, need: 1 };
    }
    let prefix = u16::try_from(got).ok().and_then(stem);
    let first = prefix.map(|prefix| part_path(Path::new(prefix), 1, count));
    SplitError::NotFirst { path: path.to_owned(), got, count, first }
}

fn parts_by_name(parts: &[File], path: &Path) -> Result<HashMap<Box<[u8]>, u32>, SplitError> {
    let mut part_of = HashMap::new();
    for (later, part) in (0_u32..).zip(parts) {
        for tensor in part.tensors() {
            if let Some(first) = part_of.insert(tensor.name.into(), later) {
                let (path, tensor) = (path.to_owned(), shown(tensor.name));
                return Err(SplitError::DuplicateTensor { path, tensor, first: first + 1, later: later + 1 });
            }
        }
    }
    Ok(part_of)
}
