//! What a reader accepts beyond llama.cpp.

/// What [`Gguf::parse_with`](crate::Gguf::parse_with) accepts beyond what llama.cpp does. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Files of the other byte order: all numbers but the magic are swapped, those of the tensor data too.
    pub big_endian: bool,
    /// Arrays whose elements are arrays, which the specification allows.
    pub nested_arrays: bool,
}

impl Options {
    /// Everything that the specification allows.
    pub const LENIENT: Options = Options { big_endian: true, nested_arrays: true };
}
