//! The format of a file: a header that says what it is and how long, a checksum, the key, the payload.
//!
//! ```text
//! offset  bytes  content, numbers little-endian
//!      0      8  magic
//!      8      4  version of the format
//!     12      4  bytes before the payload
//!     16      8  bytes of the payload
//!     24     32  SHA-256 of all that follows
//!     56      8  created, in seconds since 1970
//!     64      4  layer
//!     68      -  key
//!      -      -  payload
//! ```
//!
//! When a file was last used is its modification time: that changes without a write to the file.

use crate::{digest::Digest, key::Key, reject::Reject, wire::Reader};

/// The first byte is no text; the line ends show a file that was sent as text.
const MAGIC: [u8; 8] = *b"\x89APC\r\n\x1a\n";
const FORMAT: u32 = 1;
/// Bytes before what the checksum covers.
const BEFORE_CHECKED: usize = 56;
/// Bytes before the key.
const BEFORE_KEY: usize = 68;
/// Bytes that a header may have.
pub(crate) const MOST_HEADER: usize = 64 << 10;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Layer {
    /// The driver's own cache of pipelines.
    DriverBlob,
    /// A kernel in machine code, such as a CUBIN.
    CompiledKernel,
    /// Which variants of kernels a tuner chose.
    TuningChoices,
}

impl Layer {
    /// All layers.
    pub const ALL: [Self; 3] = [Self::DriverBlob, Self::CompiledKernel, Self::TuningChoices];

    /// Its name, which names of files begin with.
    pub fn name(self) -> &'static str {
        match self {
            Self::DriverBlob => "driver-blob",
            Self::CompiledKernel => "compiled-kernel",
            Self::TuningChoices => "tuning-choices",
        }
    }

    /// Its number in a file.
    fn number(self) -> u32 {
        match self {
            Self::DriverBlob => 1,
            Self::CompiledKernel => 2,
            Self::TuningChoices => 3,
        }
    }
}

/// The ending of the names of files.
pub(crate) const ENDING: &str = ".cache";

/// The name of the file of a key.
pub(crate) fn file_name(layer: Layer, key: &Key) -> String {
    let (format, version) = (FORMAT.to_le_bytes(), env!("CARGO_PKG_VERSION").as_bytes());
    let digest = Digest::of_parts([&format[..], version, layer.name().as_bytes(), &key.bytes()]);
    format!("{}-{digest:.32}{ENDING}", layer.name())
}

/// The bytes of a file.
pub(crate) fn encode(layer: Layer, key: &Key, payload: &[u8], created_s: u64) -> Vec<u8> {
    let key = key.bytes();
    let mut bytes = Vec::with_capacity(BEFORE_KEY + key.len() + payload.len());
    bytes.extend(MAGIC);
    bytes.extend(FORMAT.to_le_bytes());
    bytes.extend(((BEFORE_KEY + key.len()) as u32).to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend([0; Digest::LEN]);
    bytes.extend(created_s.to_le_bytes());
    bytes.extend(layer.number().to_le_bytes());
    bytes.extend(key);
    bytes.extend(payload);
    let digest = Digest::of(&bytes[BEFORE_CHECKED..]);
    bytes[BEFORE_CHECKED - Digest::LEN..BEFORE_CHECKED].copy_from_slice(digest.bytes());
    bytes
}

/// The payload of a file, if it is whole and of this layer and key.
pub(crate) fn decode<'a>(bytes: &'a [u8], layer: Layer, key: &Key) -> Result<&'a [u8], Reject> {
    let got = bytes.len() as u64;
    let short = Reject::Short { got, need: BEFORE_KEY as u64 };
    let mut reader = Reader(bytes);
    if reader.array() != Some(MAGIC) {
        return Err(if MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]) { short } else { Reject::BadMagic });
    }
    let Some(format) = reader.u32() else { return Err(short) };
    if format != FORMAT {
        return Err(Reject::Format { got: format, need: FORMAT });
    }
    let stated = (|| Some((reader.u32()?, reader.u64()?, reader.array()?)))();
    let Some((header, payload, digest)) = stated else { return Err(short) };
    let need = u64::from(header).saturating_add(payload);
    if (header as usize) < BEFORE_KEY || header as usize > MOST_HEADER || need < got {
        return Err(Reject::Length { header, payload, got });
    }
    if need > got {
        return Err(Reject::Short { got, need });
    }
    if Digest::of(&bytes[BEFORE_CHECKED..]) != Digest::from_bytes(digest) {
        return Err(Reject::Checksum);
    }
    let (head, payload) = bytes.split_at(header as usize);
    let is_of_layer = head[BEFORE_KEY - 4..BEFORE_KEY] == layer.number().to_le_bytes();
    if is_of_layer && head[BEFORE_KEY..] == key.bytes() { Ok(payload) } else { Err(Reject::Key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new().with("driver", "Mesa 22.3.6")
    }

    fn written() -> Vec<u8> {
        encode(Layer::DriverBlob, &key(), b"payload", 1)
    }

    /// Why `bytes` are refused; empty if they are not.
    fn reason(bytes: &[u8]) -> &'static str {
        decode(bytes, Layer::DriverBlob, &key()).err().map_or("", |reject| reject.name())
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(decode(&written(), Layer::DriverBlob, &key()).unwrap(), b"payload");
        let empty = encode(Layer::TuningChoices, &Key::new(), b"", 0);
        assert_eq!(decode(&empty, Layer::TuningChoices, &Key::new()).unwrap(), b"");
    }

    #[test]
    fn each_fault_has_its_reason() {
        let changed = |at: usize, value: &[u8]| {
            let mut bytes = written();
            bytes[at..at + value.len()].copy_from_slice(value);
            bytes
        };
        for length in 0..written().len() {
            assert_eq!(reason(&written()[..length]), "short", "{length} bytes");
        }
        assert_eq!(reason(&changed(1, b"B")), "bad_magic");
        assert_eq!(reason(b"text"), "bad_magic");
        assert_eq!(reason(&changed(8, &[2])), "format");
        assert_eq!(reason(&changed(12, &67_u32.to_le_bytes())), "length");
        assert_eq!(reason(&changed(12, &u32::MAX.to_le_bytes())), "length");
        assert_eq!(reason(&changed(16, &u64::MAX.to_le_bytes())), "short");
        assert_eq!(reason(&changed(16, &6_u64.to_le_bytes())), "length");
        assert_eq!(reason(&[&written()[..], b"x"].concat()), "length");
        assert_eq!(reason(&changed(24, b"........")), "checksum");
        assert_eq!(reason(&changed(written().len() - 1, b"D")), "checksum");
        assert_eq!(reason(&encode(Layer::CompiledKernel, &key(), b"payload", 1)), "key");
        assert_eq!(reason(&encode(Layer::DriverBlob, &key().with("driver", "Mesa 22.3.7"), b"payload", 1)), "key");
    }

    /// A checksum over a header that lies about where the payload begins still needs the right key.
    #[test]
    fn a_moved_border_is_found() {
        let mut bytes = written();
        let header = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
        bytes[12..16].copy_from_slice(&(header + 1).to_le_bytes());
        bytes[16..24].copy_from_slice(&6_u64.to_le_bytes());
        assert_eq!(reason(&bytes), "key");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let right = written();
        for bit in 0..8 * right.len() {
            let mut bytes = right.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(reason(&bytes), "", "bit {bit}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_taken_for_a_file(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
            keep in 0..80_usize,
        ) {
            proptest::prop_assert_ne!(reason(&bytes), "");
            // A right beginning, then anything.
            let right = written();
            let keep = keep.min(right.len());
            let mixed = [&right[..keep], &bytes[..]].concat();
            proptest::prop_assert!(mixed == right || !reason(&mixed).is_empty());
        }

        #[test]
        fn any_payload_comes_back(payload in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
            let bytes = encode(Layer::CompiledKernel, &key(), &payload, 7);
            proptest::prop_assert_eq!(decode(&bytes, Layer::CompiledKernel, &key()).unwrap(), &payload[..]);
        }
    }

    #[test]
    fn names_of_files_depend_on_layer_and_key() {
        let name = file_name(Layer::DriverBlob, &key());
        assert!(name.starts_with("driver-blob-") && name.ends_with(".cache"), "{name}");
        assert_ne!(name, file_name(Layer::DriverBlob, &key().with("driver", "Mesa 22.3.7")));
        assert_ne!(name[11..], file_name(Layer::CompiledKernel, &key())[15..]);
    }
}
