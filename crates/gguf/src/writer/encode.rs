//! Numbers, strings and arrays as bytes of a file.

use crate::{Endian, Value, ValueType};

/// A number that metadata arrays may hold.
pub trait Number: Copy {
    /// Its value type.
    const TYPE: ValueType;

    /// The number as a value.
    fn value(self) -> Value<'static>;
}

macro_rules! numbers {
    ($($number:ty: $name:ident;)+) => {
        $(impl Number for $number {
            const TYPE: ValueType = ValueType::$name;

            fn value(self) -> Value<'static> {
                Value::$name(self)
            }
        })+
    };
}

numbers! {
    u8: U8;
    i8: I8;
    u16: U16;
    i16: I16;
    u32: U32;
    i32: I32;
    f32: F32;
    bool: Bool;
    u64: U64;
    i64: I64;
    f64: F64;
}

#[derive(Debug)]
pub(super) struct Encoder {
    bytes: Vec<u8>,
    endian: Endian,
}

impl Encoder {
    pub(super) fn new(endian: Endian) -> Self {
        Self { bytes: Vec::new(), endian }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a number, given as little-endian bytes.
    fn number<const N: usize>(&mut self, mut bytes: [u8; N]) {
        if self.endian == Endian::Big {
            bytes.reverse();
        }
        self.bytes(&bytes);
    }

    pub(super) fn ty(&mut self, ty: ValueType) {
        self.number((ty as i32).to_le_bytes());
    }

    pub(super) fn string(&mut self, string: &[u8]) {
        self.number((string.len() as u64).to_le_bytes());
        self.bytes(string);
    }

    /// The type of an array, the type of its elements and their number.
    pub(super) fn array(&mut self, elements: ValueType, len: usize) {
        self.ty(ValueType::Array);
        self.ty(elements);
        self.number((len as u64).to_le_bytes());
    }

    /// A value without its type.
    pub(super) fn value(&mut self, value: Value<'_>) {
        match value {
            Value::U8(x) => self.number(x.to_le_bytes()),
            Value::I8(x) => self.number(x.to_le_bytes()),
            Value::U16(x) => self.number(x.to_le_bytes()),
            Value::I16(x) => self.number(x.to_le_bytes()),
            Value::U32(x) => self.number(x.to_le_bytes()),
            Value::I32(x) => self.number(x.to_le_bytes()),
            Value::F32(x) => self.number(x.to_le_bytes()),
            Value::Bool(x) => self.number([u8::from(x)]),
            Value::String(x) => self.string(x),
            Value::U64(x) => self.number(x.to_le_bytes()),
            Value::I64(x) => self.number(x.to_le_bytes()),
            Value::F64(x) => self.number(x.to_le_bytes()),
            // Elements are encoded again, because the array may have another byte order.
            Value::Array(array) => {
                self.ty(array.ty());
                self.number((array.len() as u64).to_le_bytes());
                array.iter().for_each(|element| self.value(element));
            }
        }
    }
}
