//! Any bytes: parse, then read everything. `cargo +nightly fuzz run parse` in `crates/gguf`; seeds from
//! `assay gguf corpus`.
#![no_main]

use gguf::{DataError, Endian, Gguf, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let strict = Gguf::parse(bytes);
    let lenient = Gguf::parse_with(bytes, Options::LENIENT);
    assert!(strict.is_err() || lenient.is_ok(), "what is accepted without options is accepted with them");
    let Ok(file) = lenient else { return };
    for (key, value) in file.metadata().iter() {
        assert_eq!(file.metadata().get(key).map(|found| found.ty()), Some(value.ty()));
        for (i, element) in value.as_array().into_iter().flatten().enumerate().take(1000) {
            std::hint::black_box((i, element));
        }
    }
    for tensor in file.tensors() {
        assert_eq!(file.tensor(tensor.name), Some(tensor));
        let data = file.data(&tensor).expect("ranges were checked");
        assert!(quant::first_non_finite_in(tensor.ty, data, file.endian()).is_ok(), "data are whole blocks");
        let mut little = vec![0; data.len()];
        match file.read_data(&tensor, &mut little) {
            Ok(()) => assert!(file.endian() == Endian::Big || little == data),
            Err(error) => {
                assert!(matches!(error, DataError::Unswappable { .. }) && file.endian() == Endian::Big, "{error}")
            }
        }
    }
});
