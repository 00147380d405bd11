//! One description of each layout, for reading and for writing.
//!
//! Each version of the header has a function that passes its fields, with offset and width, to a [`Codec`].
//! [`Read`] fills the header from bytes, [`Write`] fills bytes from the header.

use crate::NiftiError;

/// Byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// Byte order of this machine.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };

    /// Whether numbers of this order must be swapped on this machine.
    pub fn is_swapped(self) -> bool {
        self != Self::NATIVE
    }

    /// `little` or `big`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Little => "little",
            Self::Big => "big",
        }
    }
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    U8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

/// Receives the fields of a layout.
pub(super) trait Codec {
    fn int(&mut self, field: &'static str, at: usize, width: Width, value: &mut i64);
    fn float(&mut self, at: usize, width: Width, value: &mut f64);
    fn text(&mut self, at: usize, value: &mut [u8]);

    fn code(&mut self, field: &'static str, at: usize, width: Width, value: &mut i32) {
        let mut wide = i64::from(*value);
        self.int(field, at, width, &mut wide);
        *value = wide as i32;
    }

    fn floats(&mut self, at: usize, width: Width, values: &mut [f64]) {
        let bytes = if width == Width::F32 { 4 } else { 8 };
        for (i, value) in values.iter_mut().enumerate() {
            self.float(at + i * bytes, width, value);
        }
    }
}

/// Fills a header from its bytes.
pub(super) struct Read<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) endian: Endian,
}

impl Read<'_> {
    /// The bytes at `at` in little-endian order; zeros behind the end.
    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut number = [0; N];
        if let Some(bytes) = self.bytes.get(at..at + N) {
            number.copy_from_slice(bytes);
        }
        if self.endian == Endian::Big {
            number.reverse();
        }
        number
    }
}

impl Codec for Read<'_> {
    fn int(&mut self, _: &'static str, at: usize, width: Width, value: &mut i64) {
        *value = match width {
            Width::U8 => i64::from(self.number::<1>(at)[0]),
            Width::I16 => i64::from(i16::from_le_bytes(self.number(at))),
            Width::I32 | Width::F32 => i64::from(i32::from_le_bytes(self.number(at))),
            Width::I64 | Width::F64 => i64::from_le_bytes(self.number(at)),
        };
    }

    fn float(&mut self, at: usize, width: Width, value: &mut f64) {
        *value = match width {
            Width::F32 => f64::from(f32::from_le_bytes(self.number(at))),
            _ => f64::from_le_bytes(self.number(at)),
        };
    }

    fn text(&mut self, at: usize, value: &mut [u8]) {
        if let Some(bytes) = self.bytes.get(at..at + value.len()) {
            value.copy_from_slice(bytes);
        }
    }
}

/// Fills bytes from a header.
pub(super) struct Write<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) endian: Endian,
    /// The first number that does not fit its field.
    pub(super) fault: Option<NiftiError>,
}

impl Write<'_> {
    fn put<const N: usize>(&mut self, at: usize, mut little_endian: [u8; N]) {
        if self.endian == Endian::Big {
            little_endian.reverse();
        }
        self.bytes[at..at + N].copy_from_slice(&little_endian);
    }
}

impl Codec for Write<'_> {
    fn int(&mut self, field: &'static str, at: usize, width: Width, value: &mut i64) {
        let got = *value;
        let need = match width {
            Width::U8 => u8::try_from(got).map(|v| self.put(at, [v])).err().map(|_| "0 to 255"),
            Width::I16 => i16::try_from(got).map(|v| self.put(at, v.to_le_bytes())).err().map(|_| "-32768 to 32767"),
            Width::I32 | Width::F32 => {
                i32::try_from(got).map(|v| self.put(at, v.to_le_bytes())).err().map(|_| "a 32-bit number")
            }
            Width::I64 | Width::F64 => {
                self.put(at, got.to_le_bytes());
                None
            }
        };
        if let (Some(need), None) = (need, &self.fault) {
            self.fault = Some(NiftiError::Unstorable { field, got, need });
        }
    }

    fn float(&mut self, at: usize, width: Width, value: &mut f64) {
        match width {
            Width::F32 => self.put(at, (*value as f32).to_le_bytes()),
            _ => self.put(at, value.to_le_bytes()),
        }
    }

    fn text(&mut self, at: usize, value: &mut [u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }
}
