//! Models in several files, `NAME-00001-of-00003.gguf` and so on. Each part has its own tensors; the first one has the metadata.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use crate::{
    Error as GgufError, File, Metadata, Tensor, Value,
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
    /// Part of each tensor, by name; empty for a model in one file.
    part_of: HashMap<Box<[u8]>, u32>,
}

/// Why a set of parts is refused. Serialised, it is a map of its fields, with the variant's name as `rule`; where a part cannot be
/// opened, that of the [`OpenError`].
#[derive(Debug, Error, Serialize)]
#[serde(tag = "rule")]
#[non_exhaustive]
pub enum SplitError {
    /// A key of the set is of another type than it should be, or missing in a later part.
    #[error("{}: {key} is missing or of the wrong type", path.display())]
    Key {
        /// The part.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// The first file to be opened is not the first part.
    #[error("{}: part {got} of a set (counted from 0); open the first one", path.display())]
    NotFirst {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Its number.
        got: u16,
    },
    /// The name does not end as that of a first part.
    #[error("{}: the name does not end with -00001-of-{count:05}.gguf", path.display())]
    Name {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Parts of the set.
        count: u16,
    },
    /// A part is not the one that its name says.
    #[error("{}: part {got} (counted from 0) where {need} is needed", path.display())]
    PartNumber {
        /// The file.
        #[serde(rename = "file", serialize_with = "as_text")]
        path: PathBuf,
        /// Its number.
        got: u16,
        /// The number by its name.
        need: u16,
    },
    /// The parts together do not have as many tensors as the first one says.
    #[error("the parts have {got} tensors, {need} are needed")]
    TensorCount {
        /// Tensors found.
        got: u64,
        /// Tensors that the first part tells of.
        need: i64,
    },
    /// Two parts have a tensor of the same name.
    #[error("tensor {name} is in parts {first} and {later} (counted from 0)")]
    DuplicateTensor {
        /// Its name; what is not UTF-8 replaced.
        name: String,
        /// The first part.
        first: u32,
        /// The later part.
        later: u32,
    },
    /// A part cannot be opened; a missing one neither.
    #[error(transparent)]
    #[serde(untagged)]
    Open(#[from] OpenError),
}

impl SplitError {
    /// Name of the rule that is broken: that of the variant, or of the [`Error`](GgufError) of a part; `Io` for a part that
    /// cannot be read.
    pub fn rule(&self) -> String {
        let rule = match self {
            SplitError::Open(OpenError::Refused { source, .. }) => return source.rule(),
            SplitError::Open(OpenError::Io { .. }) => "Io",
            SplitError::Key { .. } => "Key",
            SplitError::NotFirst { .. } => "NotFirst",
            SplitError::Name { .. } => "Name",
            SplitError::PartNumber { .. } => "PartNumber",
            SplitError::TensorCount { .. } => "TensorCount",
            SplitError::DuplicateTensor { .. } => "DuplicateTensor",
        };
        rule.to_owned()
    }
}

/// The name of part `no` (from 0) of `count`.
pub fn part_path(prefix: &Path, no: u16, count: u16) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(format!("-{:05}-of-{count:05}.gguf", u32::from(no) + 1));
    name.into()
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
        if got != 0 {
            return Err(SplitError::NotFirst { path: path.to_owned(), got });
        }
        let suffix = format!("-00001-of-{count:05}.gguf");
        let prefix = path.to_str().and_then(|name| name.strip_suffix(&suffix)).map(PathBuf::from);
        let prefix = prefix.ok_or_else(|| SplitError::Name { path: path.to_owned(), count })?;
        let mut parts = vec![first];
        for need in 1..count {
            let path = part_path(&prefix, need, count);
            let part = open(&path)?;
            let got = number(&part, &path)?;
            if got != need {
                return Err(SplitError::PartNumber { path, got, need });
            }
            parts.push(part);
        }
        let part_of = parts_by_name(&parts)?;
        let need = match parts[0].metadata().get(TENSORS_COUNT) {
            Some(Value::I32(need)) => i64::from(need),
            _ => return Err(SplitError::Key { path: path.to_owned(), key: TENSORS_COUNT }),
        };
        let got = part_of.len() as u64;
        if i64::try_from(got) != Ok(need) {
            return Err(SplitError::TensorCount { got, need });
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
    pub fn tensor(&self, name: &str) -> Option<Result<(Tensor<'_>, &[u8]), GgufError>> {
        let part = if self.parts.len() == 1 { 0 } else { *self.part_of.get(name.as_bytes())? };
        let part = self.parts.get(part as usize)?;
        let tensor = part.tensor(name)?;
        Some(part.data(&tensor).map(|data| (tensor, data)))
    }
}

fn number(part: &File, path: &Path) -> Result<u16, SplitError> {
    match part.metadata().get(NO) {
        Some(Value::U16(number)) => Ok(number),
        _ => Err(SplitError::Key { path: path.to_owned(), key: NO }),
    }
}

fn parts_by_name(parts: &[File]) -> Result<HashMap<Box<[u8]>, u32>, SplitError> {
    let mut part_of = HashMap::new();
    for (later, part) in parts.iter().enumerate() {
        for tensor in part.tensors() {
            if let Some(first) = part_of.insert(tensor.name.into(), later as u32) {
                let name = tensor.name_lossy();
                return Err(SplitError::DuplicateTensor { name, first, later: later as u32 });
            }
        }
    }
    Ok(part_of)
}
