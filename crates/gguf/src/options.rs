//! What a reader accepts beyond llama.cpp.

/// What [`Gguf::parse_with`](crate::Gguf::parse_with) accepts beyond what llama.cpp does. The default is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Big-endian files: all numbers but the magic are byte-swapped, those of the tensor data included.
    pub big_endian: bool,
    /// Arrays of arrays, which the specification allows.
    pub nested_arrays: bool,
}

impl Options {
    /// Everything that the specification allows.
    pub const LENIENT: Options = Options { big_endian: true, nested_arrays: true };
}
