//! Metadata values, as views into the file.

use std::fmt;

use crate::{Endian, Field, Options, Rule, cursor::Cursor};

/// Largest number of elements of an array: llama.cpp's limit.
const MAX_ELEMENTS: u64 = 1 << 30;
/// Deepest nesting of arrays that this reader accepts.
const MAX_DEPTH: u32 = 16;

/// The type of a metadata value; the discriminant is the number in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ValueType {
    /// 8-bit unsigned integer.
    U8 = 0,
    /// 8-bit integer.
    I8 = 1,
    /// 16-bit unsigned integer.
    U16 = 2,
    /// 16-bit integer.
    I16 = 3,
    /// 32-bit unsigned integer.
    U32 = 4,
    /// 32-bit integer.
    I32 = 5,
    /// 32-bit floating-point number.
    F32 = 6,
    /// A byte; every value but 0 is true.
    Bool = 7,
    /// Bytes, usually UTF-8.
    String = 8,
    /// Elements of one type.
    Array = 9,
    /// 64-bit unsigned integer.
    U64 = 10,
    /// 64-bit integer.
    I64 = 11,
    /// 64-bit floating-point number.
    F64 = 12,
}

impl ValueType {
    const ALL: [ValueType; 13] = [
        ValueType::U8,
        ValueType::I8,
        ValueType::U16,
        ValueType::I16,
        ValueType::U32,
        ValueType::I32,
        ValueType::F32,
        ValueType::Bool,
        ValueType::String,
        ValueType::Array,
        ValueType::U64,
        ValueType::I64,
        ValueType::F64,
    ];

    /// The name, as llama.cpp spells it: `u32`, `str`, `arr`.
    pub const fn name(self) -> &'static str {
        match self {
            ValueType::U8 => "u8",
            ValueType::I8 => "i8",
            ValueType::U16 => "u16",
            ValueType::I16 => "i16",
            ValueType::U32 => "u32",
            ValueType::I32 => "i32",
            ValueType::F32 => "f32",
            ValueType::Bool => "bool",
            ValueType::String => "str",
            ValueType::Array => "arr",
            ValueType::U64 => "u64",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        }
    }

    /// Bytes of a value; `None` for strings and arrays.
    pub const fn bytes(self) -> Option<u64> {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => Some(1),
            ValueType::U16 | ValueType::I16 => Some(2),
            ValueType::U32 | ValueType::I32 | ValueType::F32 => Some(4),
            ValueType::U64 | ValueType::I64 | ValueType::F64 => Some(8),
            ValueType::String | ValueType::Array => None,
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Rule> {
        let offset = cursor.offset();
        let got = cursor.u32(Field::ValueType)? as i32;
        let found = usize::try_from(got).ok().and_then(|got| Self::ALL.get(got));
        found.copied().ok_or(Rule::ValueType { offset, got })
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A metadata value. Strings are bytes: files may hold what is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the variants are those of ValueType")]
pub enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(&'a [u8]),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::String(text.as_bytes())
    }
}

impl<'a> Value<'a> {
    /// The type of the value.
    pub fn ty(&self) -> ValueType {
        match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::F32(_) => ValueType::F32,
            Value::Bool(_) => ValueType::Bool,
            Value::String(_) => ValueType::String,
            Value::Array(_) => ValueType::Array,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
        }
    }

    /// The text of a string that is UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        if let Value::String(bytes) = self { str::from_utf8(bytes).ok() } else { None }
    }

    /// An unsigned integer of any width, or a signed one that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U8(x) => Some(x.into()),
            Value::U16(x) => Some(x.into()),
            Value::U32(x) => Some(x.into()),
            Value::U64(x) => Some(x),
            Value::I8(x) => x.try_into().ok(),
            Value::I16(x) => x.try_into().ok(),
            Value::I32(x) => x.try_into().ok(),
            Value::I64(x) => x.try_into().ok(),
            _ => None,
        }
    }

    /// A floating-point number of either width.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<Array<'a>> {
        if let Value::Array(array) = self { Some(*array) } else { None }
    }

    /// Reads a value of a known type and moves the cursor to its end.
    pub(crate) fn read(ty: ValueType, cursor: &mut Cursor<'a>, options: Options) -> Result<Self, Rule> {
        let field = Field::Value;
        Ok(match ty {
            ValueType::U8 => Value::U8(cursor.u8(field)?),
            ValueType::I8 => Value::I8(cursor.u8(field)? as i8),
            ValueType::U16 => Value::U16(cursor.u16(field)?),
            ValueType::I16 => Value::I16(cursor.u16(field)? as i16),
            ValueType::U32 => Value::U32(cursor.u32(field)?),
            ValueType::I32 => Value::I32(cursor.u32(field)? as i32),
            ValueType::F32 => Value::F32(f32::from_bits(cursor.u32(field)?)),
            ValueType::Bool => Value::Bool(cursor.u8(field)? != 0),
            ValueType::String => Value::String(cursor.string(field)?),
            ValueType::Array => Value::Array(Array::read(cursor, options, 1)?),
            ValueType::U64 => Value::U64(cursor.u64(field)?),
            ValueType::I64 => Value::I64(cursor.u64(field)? as i64),
            ValueType::F64 => Value::F64(f64::from_bits(cursor.u64(field)?)),
        })
    }
}

/// An array, as a view of its bytes in the file. Elements are decoded when they are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Array<'a> {
    ty: ValueType,
    len: usize,
    /// The bytes of the elements, no more.
    bytes: &'a [u8],
    endian: Endian,
}

impl<'a> Array<'a> {
    /// Type of the elements.
    pub fn ty(&self) -> ValueType {
        self.ty
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes of the elements in the file's byte order. Strings and arrays include their lengths.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements in order.
    pub fn iter(&self) -> Elements<'a> {
        Elements { cursor: Cursor::new(self.bytes, 0, self.endian), ty: self.ty, left: self.len }
    }

    /// The strings in order; nothing if the elements are of another type.
    pub fn strings(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let left = if self.ty == ValueType::String { self.len } else { 0 };
        let elements = Elements { left, ..self.iter() };
        elements.filter_map(|value| if let Value::String(bytes) = value { Some(bytes) } else { None })
    }

    /// Element `i`: O(1) for numbers, O(i) for strings and arrays.
    pub fn get(&self, i: usize) -> Option<Value<'a>> {
        if i >= self.len {
            return None;
        }
        let Some(size) = self.ty.bytes() else { return self.iter().nth(i) };
        let at = usize::try_from(size).ok()?.checked_mul(i)?;
        let mut cursor = Cursor::new(self.bytes, at, self.endian);
        Value::read(self.ty, &mut cursor, Options::LENIENT).ok()
    }

    /// Reads element type, length and extent, and moves the cursor to the end of the array.
    fn read(cursor: &mut Cursor<'a>, options: Options, depth: u32) -> Result<Self, Rule> {
        let offset = cursor.offset();
        let ty = ValueType::read(cursor)?;
        if ty == ValueType::Array && !options.nested_arrays {
            return Err(Rule::NestedArray { offset });
        }
        if depth > MAX_DEPTH {
            return Err(Rule::ArrayDepth { offset, most: MAX_DEPTH });
        }
        let offset = cursor.offset();
        let got = cursor.u64(Field::ArrayLength)?;
        if got > MAX_ELEMENTS {
            return Err(Rule::ArrayLength { offset, got, most: MAX_ELEMENTS });
        }
        // Before any element is read: that many elements of the smallest size must fit. `got` is at most 2^30, so the
        // product does not overflow.
        let smallest = ty.bytes().unwrap_or(if ty == ValueType::String { 8 } else { 12 });
        let (need, rest) = (got * smallest, cursor.remaining());
        if need > rest {
            return Err(Rule::Truncated { offset: cursor.offset(), field: Field::ArrayElements, got: rest, need });
        }
        let endian = cursor.endian();
        let len = got as usize;
        let mut elements = *cursor;
        match ty {
            ValueType::String => cursor.skip_strings(got, Field::ArrayElements)?,
            ValueType::Array => {
                for _ in 0..got {
                    Self::read(cursor, options, depth + 1)?;
                }
            }
            _ => {
                cursor.take(need, Field::ArrayElements)?;
            }
        }
        let bytes = elements.take(cursor.offset() - elements.offset(), Field::ArrayElements)?;
        Ok(Self { ty, len, bytes, endian })
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

/// The elements of an [`Array`].
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    cursor: Cursor<'a>,
    ty: ValueType,
    left: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        Value::read(self.ty, &mut self.cursor, Options::LENIENT).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
