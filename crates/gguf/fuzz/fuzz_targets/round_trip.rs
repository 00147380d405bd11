//! An accepted file can be written again and reads back the same. `cargo +nightly fuzz run round_trip` in
//! `crates/gguf`.
#![no_main]

use gguf::{Gguf, Options, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::parse_with(bytes, Options::LENIENT) else { return };
    let mut writer = Writer::new().with_version(file.version()).with_endian(file.endian());
    for (key, value) in file.metadata().iter() {
        writer.key(key, value);
    }
    for tensor in file.tensors() {
        writer.tensor(tensor.name, tensor.dims(), tensor.ty);
    }
    let data = |tensor: &gguf::Tensor<'_>, out: &mut dyn std::io::Write| {
        let original = file.tensor(tensor.name).expect("it was copied from there");
        out.write_all(file.data(&original).expect("ranges were checked"))
    };
    let written = writer.to_bytes(data).expect("an accepted file can be written");
    let copy = Gguf::parse_with(&written[..], Options::LENIENT).expect("a written file can be read");
    assert_eq!((copy.tensor_count(), copy.metadata().len()), (file.tensor_count(), file.metadata().len()));
    for (a, b) in copy.tensors().zip(file.tensors()) {
        assert_eq!((a, copy.data(&a)), (b, file.data(&b)));
    }
});
