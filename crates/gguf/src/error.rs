//! Why a file is refused, as values.

use std::fmt;

use quant::GgmlType;
use serde::{Serialize, Serializer};
use thiserror::Error;

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
    /// A value that is no array.
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
    /// A tensor's data.
    TensorData,
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
            Field::TensorData => "tensor data",
        })
    }
}

/// Why a file is refused. `offset` is that of the offending field from the beginning of the file, in bytes.
///
/// Serialised, it is a map of its fields, with the variant's name as `rule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize)]
#[serde(tag = "rule")]
#[non_exhaustive]
pub enum Error {
    /// The file ends inside a field.
    #[error("{field} at byte {offset} needs {need} bytes, the file has {got} more")]
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
    /// It is no GGUF file.
    #[error("the file begins with {got:02x?}, not with `GGUF`")]
    Magic {
        /// The first four bytes.
        got: [u8; 4],
    },
    /// A version that nobody reads any more, or not yet.
    #[error("version {got} is not supported; 2 and 3 are")]
    Version {
        /// The version.
        got: u32,
    },
    /// The file's numbers are in the other byte order, which has to be asked for.
    #[error("the version reads {got:#010x}: a big-endian file, which is only read on request")]
    BigEndian {
        /// The version, read as little-endian.
        got: u32,
    },
    /// More entries than the rest of the file could hold.
    #[error("{field} at byte {offset} is {got}; at most {most} fit into the file")]
    Count {
        /// Where the count stands.
        offset: u64,
        /// The count.
        field: Field,
        /// The count, negative ones too.
        got: i64,
        /// How many smallest entries the rest of the file can hold.
        most: u64,
    },
    /// A string of more than 1 GiB.
    #[error("{field} at byte {offset} has {got} bytes, at most {most} are allowed")]
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
    /// An array of arrays, which has to be asked for.
    #[error("the element type at byte {offset} is array: arrays of arrays are only read on request")]
    NestedArray {
        /// Where the element type stands.
        offset: u64,
    },
    /// Arrays in arrays in arrays.
    #[error("arrays at byte {offset} are nested more than {most} deep")]
    ArrayDepth {
        /// Where the innermost element type stands.
        offset: u64,
        /// Depth allowed.
        most: u32,
    },
    /// A number that stands for no type of value.
    #[error("value type {got} at byte {offset} is unknown; known are 0 to 12")]
    ValueType {
        /// Where it stands.
        offset: u64,
        /// The number.
        got: i32,
    },
    /// A key of no bytes.
    #[error("the key at byte {offset} is empty")]
    EmptyKey {
        /// Where the key's length stands.
        offset: u64,
    },
    /// A key that was there before.
    #[error("the key at byte {offset} stands at byte {first} already")]
    DuplicateKey {
        /// Where the later one stands.
        offset: u64,
        /// Where the first one stands.
        first: u64,
    },
    /// `general.alignment` is no u32.
    #[error("general.alignment at byte {offset} is of type {got}, u32 is needed")]
    AlignmentType {
        /// Where its key stands.
        offset: u64,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        got: ValueType,
    },
    /// `general.alignment` is no power of two.
    #[error("general.alignment at byte {offset} is {got}, a power of two is needed")]
    Alignment {
        /// Where its key stands.
        offset: u64,
        /// Its value.
        got: u32,
    },
    /// A tensor's name of 64 bytes or more.
    #[error("the tensor name at byte {offset} has {got} bytes, at most {most} are allowed")]
    NameLength {
        /// Where the name's length stands.
        offset: u64,
        /// Bytes.
        got: u64,
        /// Bytes allowed.
        most: u64,
    },
    /// A tensor's name that was there before.
    #[error("the tensor name at byte {offset} stands at byte {first} already")]
    DuplicateTensor {
        /// Where the later one stands.
        offset: u64,
        /// Where the first one stands.
        first: u64,
    },
    /// A tensor of more than four dimensions.
    #[error("the tensor with its number of dimensions at byte {offset} has {got}, at most {most} are allowed")]
    Dimensions {
        /// Where the number stands.
        offset: u64,
        /// Dimensions.
        got: u32,
        /// Dimensions allowed.
        most: u32,
    },
    /// A negative dimension.
    #[error("the dimension at byte {offset} is {got}")]
    NegativeDimension {
        /// Where it stands.
        offset: u64,
        /// The dimension.
        got: i64,
    },
    /// The number of elements is not below 2^63, or would not be without a dimension of 0.
    #[error("the tensor at byte {offset} has {dims:?} elements, too many to count")]
    Elements {
        /// Where the tensor's entry begins.
        offset: u64,
        /// Its dimensions.
        dims: [u64; 4],
    },
    /// A number that stands for no type of tensor, or no longer for one.
    #[error("tensor type {got} at byte {offset} is unknown or was removed from ggml")]
    TensorType {
        /// Where it stands.
        offset: u64,
        /// The number.
        got: i32,
    },
    /// Rows that are no whole number of blocks.
    #[error("the tensor at byte {offset} has rows of {got} numbers, no whole number of {ty} blocks of {need}")]
    RowLength {
        /// Where the tensor's entry begins.
        offset: u64,
        /// Its type.
        #[serde(serialize_with = "as_text")]
        ty: GgmlType,
        /// Its first dimension.
        got: u64,
        /// Numbers of a block.
        need: u64,
    },
    /// The tensor's size, or the end of its data, exceeds 2^64 bytes.
    #[error("the size of the tensor at byte {offset} overflows")]
    Size {
        /// Where the tensor's entry begins.
        offset: u64,
    },
    /// The data do not follow those of the tensor before, padded to the alignment.
    #[error("the data of the tensor at byte {offset} begin at {got} of the data section, {need} is needed")]
    DataOffset {
        /// Where the tensor's entry begins.
        offset: u64,
        /// The offset in the file.
        got: u64,
        /// The padded end of the tensor before.
        need: u64,
    },
    /// The data reach beyond the end of the file.
    #[error("the data of the tensor at byte {offset} end at byte {need}, the file at byte {got}")]
    DataBounds {
        /// Where the tensor's entry begins.
        offset: u64,
        /// Length of the file.
        got: u64,
        /// Where the data end.
        need: u64,
    },
    /// The file has become shorter since it was opened.
    #[error("the file had {need} bytes when it was opened and has {got} now")]
    Shrunk {
        /// Length now.
        got: u64,
        /// Length when it was opened.
        need: u64,
    },
    /// A tensor of another file.
    #[error("the tensor's data end at byte {need}, but this file has {got} bytes: it belongs to another file")]
    ForeignTensor {
        /// Length of this file.
        got: u64,
        /// Where the tensor's data end.
        need: u64,
    },
    /// The memory for a tensor's data is not as long as they are.
    #[error("{got} bytes of memory for {need} bytes of data")]
    OutputLength {
        /// Bytes of memory.
        got: u64,
        /// Bytes of the data.
        need: u64,
    },
    /// Data of a big-endian file whose numbers cannot be turned.
    #[error("{ty} data in big-endian order cannot be turned: there is no code for the type")]
    Unswappable {
        /// The tensor's type.
        #[serde(serialize_with = "as_text")]
        ty: GgmlType,
    },
}

impl Error {
    /// Name of the rule that is broken: that of the variant, `DataBounds`.
    pub fn rule(&self) -> String {
        let text = format!("{self:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

/// As people read it: `Q4_K`, `arr`.
fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
