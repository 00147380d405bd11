//! The same file in the other byte order.

use quant::swap_bytes;

use crate::{Endian, Gguf, Options, Writer};

/// The file that a big-endian machine would have written. `None` if the file is not accepted, or has blocks whose bytes
/// this crate cannot swap.
pub(super) fn big_endian(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = Gguf::parse_with(bytes, Options { big_endian: false, ..Options::LENIENT }).ok()?;
    let mut writer = Writer::new().with_version(file.version()).with_endian(Endian::Big);
    for (key, value) in file.metadata().iter() {
        writer.key(key, value);
    }
    for tensor in file.tensors() {
        writer.tensor(tensor.name, tensor.dims(), tensor.ty);
    }
    let mut tensors = file.tensors();
    let data = writer.to_bytes(|_, out| {
        let tensor = tensors.next().ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut data = file.data(&tensor).map_err(std::io::Error::other)?.to_vec();
        swap_bytes(tensor.ty, &mut data).map_err(std::io::Error::other)?;
        out.write_all(&data)
    });
    data.ok()
}
