//! Why a file is refused, as values: the rule that it breaks, and the key or tensor whose entry breaks it.

// Long because every rule of the container is a variant with its values and its text, and they are read side by side.

use std::fmt;

use quant::GgmlType;
use serde::{Serialize, Serializer};
use thiserror::Error as ThisError;

use crate::value::ValueType;

/// A part of a file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum Field {
    /// The four bytes `GGUF`.
    Magic,
    /// Version of the format.
    Version,
    /// Number of tensors.
    TensorCount,
    /// Number of key-value pairs.
    KeyCount,
    /// A key.
    Key,
    /// Type of a value, or of the elements of an array.
    ValueType,
    /// A value that is not an array.
    Value,
    /// Number of elements of an array.
    ArrayLength,
    /// Elements of an array.
    ArrayElements,
    /// Name of a tensor.
    TensorName,
    /// Number of dimensions of a tensor.
    DimensionCount,
    /// A dimension of a tensor.
    Dimension,
    /// Type of a tensor.
    TensorType,
    /// Offset of a tensor's data.
    TensorOffset,
    /// The padding between header and data.
    Padding,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Field::Magic => "magic",
            Field::Version => "version",
            Field::TensorCount => "number of tensors",
            Field::KeyCount => "number of keys",
            Field::Key => "key",
            Field::ValueType => "value type",
            Field::Value => "value",
            Field::ArrayLength => "array length",
            Field::ArrayElements => "array elements",
            Field::TensorName => "tensor name",
            Field::DimensionCount => "number of dimensions",
            Field::Dimension => "dimension",
            Field::TensorType => "tensor type",
            Field::TensorOffset => "tensor offset",
            Field::Padding => "padding before the data",
        })
    }
}

/// Why a file is refused.
///
/// Serialized, it is one map: the fields of the [`Rule`] with its name as `rule`, and the fields of the [`Entry`] if
/// there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Error {
    /// The key or the tensor whose entry breaks the rule; `None` for rules about the file as a whole.
    #[serde(flatten)]
    pub entry: Option<Entry>,
    /// The rule that is broken.
    #[serde(flatten)]
    pub rule: Rule,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "{entry}: ")?;
        }
        self.rule.fmt(f)
    }
}

impl std::error::Error for Error {}

impl From<Rule> for Error {
    fn from(rule: Rule) -> Self {
        Self { entry: None, rule }
    }
}

/// An entry of the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// A key with its value.
    Key {
        /// The key as text, see [`shown`]; `None` where it cannot be read.
        #[serde(rename = "key")]
        name: Option<String>,
        /// Its number, counted from 1.
        #[serde(rename = "key_number")]
        number: u64,
    },
    /// A tensor of the table.
    Tensor {
        /// Its name as text, see [`shown`]; `None` where it cannot be read.
        #[serde(rename = "tensor")]
        name: Option<String>,
        /// Its number, counted from 1.
        #[serde(rename = "tensor_number")]
        number: u64,
    },
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name, number) = match self {
            Entry::Key { name, number } => ("key", name, number),
            Entry::Tensor { name, number } => ("tensor", name, number),
        };
        match name {
            // Debug text: a name must not steer the terminal.
            Some(name) if !name.is_empty() => write!(f, "{kind} {name:?}"),
            _ => write!(f, "{kind} number {number}"),
        }
    }
}

/// A name as errors hold it: bytes that are not UTF-8 are replaced, and what exceeds 128 bytes is cut off and marked by
/// `..`.
pub fn shown(name: &[u8]) -> String {
    const MAX_BYTES: usize = 128;
    match name.get(..MAX_BYTES) {
        Some(start) if name.len() > MAX_BYTES => format!("{}..", String::from_utf8_lossy(start)),
        _ => String::from_utf8_lossy(name).into_owned(),
    }
}

/// A rule of the format, with the values that break it. `offset` is where the offending field begins in the file, in
/// bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError, Serialize)]
#[serde(tag = "rule")]
#[non_exhaustive]
pub enum Rule {
    /// The file ends inside a field.
    #[error("the file is truncated: the {field} at byte {offset} needs {need} bytes, the file has {got} more")]
    Truncated {
        /// Where the field begins.
        offset: u64,
        /// The field.
        field: Field,
        /// Bytes from there to the end of the file.
        got: u64,
        /// Bytes that the field takes at least.
        need: u64,
    },
    /// The file is not a GGUF file.
    #[error("the file begins with \"{}\", not with \"GGUF\"", got.escape_ascii())]
    Magic {
        /// The first four bytes.
        got: [u8; 4],
    },
    /// A version that this reader does not know.
    #[error("version {got} is not supported, only 2 and 3 are")]
    Version {
        /// The version.
        got: u32,
    },
    /// The file's numbers are big-endian, and [`Options`](crate::Options) do not accept that.
    #[error("the version reads {got:#010x}: this is a big-endian file, which is read only on request")]
    BigEndian {
        /// The version, read as little-endian.
        got: u32,
    },
    /// More entries than the rest of the file can hold.
    #[error("{field} at byte {offset} is {got}, {}", count_problem(*got, *most))]
    Count {
        /// Where the count stands.
        offset: u64,
        /// The count.
        field: Field,
        /// Its value, which may be negative.
        got: i64,
        /// How many entries of the smallest size the rest of the file can hold.
        most: u64,
    },
    /// A string of more than 1 GiB.
    #[error("the {field} at byte {offset} has {got} bytes, at most {most} are allowed")]
    StringLength {
        /// Where the string's length stands.
        offset: u64,
        /// What the string is.
        field: Field,
        /// Bytes.
        got: u64,
        /// Bytes allowed.
        most: u64,
    },
    /// An array of more than 2^30 elements.
    #[error("the array at byte {offset} has {got} elements, at most {most} are allowed")]
    ArrayLength {
        /// Where the array's length stands.
        offset: u64,
        /// Elements.
        got: u64,
        /// Elements allowed.
        most: u64,
    },
    /// An array of arrays, and [`Options`](crate::Options) do not accept that.
    #[error("the element type at byte {offset} is an array: arrays of arrays are read only on request")]
    NestedArray {
        /// Where the element type stands.
        offset: u64,
    },
    /// Arrays nested too deeply.
    #[error("arrays at byte {offset} are nested more than {most} levels deep")]
    ArrayDepth {
        /// Where the innermost element type stands.
        offset: u64,
        /// Levels allowed.
        most: u32,
    },
    /// An unknown value type.
    #[error("value type {got} at byte {offset} is unknown; known types are 0 to 12")]
    ValueType {
        /// Where it stands.
        offset: u64,
        /// The number in the file.
        got: i32,
    },
    /// A key of no bytes.
    #[error("the key at byte {offset} is empty")]
    EmptyKey {
        /// Where the key's length stands.
        offset: u64,
    },
    /// A key that occurs twice.
    #[error("it occurs twice, at byte {first} and at byte {offset}")]
    DuplicateKey {
        /// Where the later one stands.
        offset: u64,
        /// Where the first one stands.
        first: u64,
    },
    /// `general.alignment` is not a u32.
    #[error("its value is of type {got}, not u32 (entry at byte {offset})")]
    AlignmentType {
        /// Where its key stands.
        offset: u64,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        got: ValueType,
    },
    /// `general.alignment` is not a power of two.
    #[error("its value is {got}, not a power of two (entry at byte {offset})")]
    Alignment {
        /// Where its key stands.
        offset: u64,
        /// Its value.
        got: u32,
    },
    /// A tensor's name of 64 bytes or more.
    #[error("the name at byte {offset} has {got} bytes, at most {most} are allowed")]
    NameLength {
        /// Where the name's length stands.
        offset: u64,
        /// Bytes.
        got: u64,
        /// Bytes allowed.
        most: u64,
    },
    /// A tensor that occurs twice.
    #[error("it occurs twice, with entries at byte {first} and at byte {offset}")]
    DuplicateTensor {
        /// Where the later entry stands.
        offset: u64,
        /// Where the first entry stands.
        first: u64,
    },
    /// A tensor of more than four dimensions.
    #[error("it has {got} dimensions (at byte {offset}), at most {most} are allowed")]
    Dimensions {
        /// Where the number of dimensions stands.
        offset: u64,
        /// Dimensions.
        got: u32,
        /// Dimensions allowed.
        most: u32,
    },
    /// A negative dimension.
    #[error("the dimension at byte {offset} is negative: {got}")]
    NegativeDimension {
        /// Where it stands.
        offset: u64,
        /// The dimension.
        got: i64,
    },
    /// The number of elements is not below 2^63, or would not be without a dimension of 0.
    #[error("its shape {dims:?} has too many elements to count (entry at byte {offset})")]
    Elements {
        /// Where the tensor's entry begins.
        offset: u64,
        /// Its dimensions.
        dims: [u64; 4],
    },
    /// An unknown tensor type, or one that ggml has removed.
    #[error("tensor type {got} at byte {offset} is unknown or was removed from ggml")]
    TensorType {
        /// Where it stands.
        offset: u64,
        /// The number in the file.
        got: i32,
    },
    /// Rows that are not whole blocks.
    #[error(
        "its rows have {got} elements, not a multiple of {need}, the length of a {ty} block (entry at byte {offset})"
    )]
    RowLength {
        /// Where the tensor's entry begins.
        offset: u64,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        ty: GgmlType,
        /// Its first dimension.
        got: u64,
        /// Elements of a block.
        need: u64,
    },
    /// The tensor's size, or the end of its data, exceeds 2^64 bytes.
    #[error("its size overflows 64 bits (entry at byte {offset})")]
    Size {
        /// Where the tensor's entry begins.
        offset: u64,
    },
    /// The data do not begin where those of the tensor before end, padded to the alignment.
    #[error("its data offset is {got}, but the padded data before it end at {need} (entry at byte {offset})")]
    DataOffset {
        /// Where the tensor's entry begins.
        offset: u64,
        /// The offset in the file, from the beginning of the data section.
        got: u64,
        /// The padded end of the tensor before.
        need: u64,
    },
    /// The data reach beyond the end of the file.
    #[error("the file is truncated: the tensor's data end at byte {need}, the file has {got} bytes")]
    DataBounds {
        /// Where the tensor's entry begins.
        offset: u64,
        /// Length of the file.
        got: u64,
        /// Where the data end.
        need: u64,
    },
}

impl Rule {
    /// Name of the rule, which is that of the variant: `DataBounds`.
    pub fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

fn count_problem(got: i64, most: u64) -> String {
    if got < 0 {
        return "which is negative".to_owned();
    }
    format!("but the rest of the file holds at most {most}: the file is truncated or damaged")
}

/// A type by its name: `Q4_K`, `arr`.
pub(crate) fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_escaped_and_shortened() {
        let entry = Entry::Key { name: Some(shown(b"a\x1b[2J\xff")), number: 3 };
        let error = Error { entry: Some(entry), rule: Rule::EmptyKey { offset: 7 } };
        assert_eq!(error.to_string(), "key \"a\\u{1b}[2J\u{fffd}\": the key at byte 7 is empty");
        let unnamed = Entry::Tensor { name: None, number: 5 };
        assert_eq!(unnamed.to_string(), "tensor number 5");
        assert_eq!(shown(&[b'x'; 128]), "x".repeat(128));
        assert_eq!(shown(&[b'x'; 129]), format!("{}..", "x".repeat(128)));
    }

    #[test]
    fn magic_is_printed_as_text() {
        let text = Rule::Magic { got: *b"PK\x03\x04" }.to_string();
        assert_eq!(text, r#"the file begins with "PK\x03\x04", not with "GGUF""#);
    }
}
