//! Written files are read back; a file that would break a rule is not written.

use std::io;

use gguf::{Endian, Gguf, Options, Rule, Value, Writer, corpus::cases, writer::WriteError};
use quant::GgmlType;

/// Copies a file through the writer.
fn copied(file: &Gguf<&[u8]>) -> Writer {
    let mut writer = Writer::new().with_version(file.version()).with_endian(file.endian());
    for (key, value) in file.metadata().iter() {
        writer.key(key, value);
    }
    for tensor in file.tensors() {
        writer.tensor(tensor.name, tensor.dims(), tensor.ty);
    }
    writer
}

/// Every accepted file of the corpus, written again, has the same header and the same data.
#[test]
fn accepted_files_survive_a_copy() {
    for case in cases() {
        let Ok(file) = Gguf::parse_with(&case.bytes[..], Options::LENIENT) else { continue };
        let writer = copied(&file);
        let data = |tensor: &gguf::Tensor<'_>, out: &mut dyn io::Write| {
            let original = file.tensor(tensor.name).expect("it was copied from there");
            out.write_all(file.data(&original).expect("it is of this file"))
        };
        let bytes = writer.to_bytes(data).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let copy = Gguf::parse_with(&bytes[..], Options::LENIENT).unwrap();
        // A bool of 2 is true, and is written as 1.
        if case.name != "bool-2" {
            let header = |bytes: &[u8], file: &Gguf<&[u8]>| bytes[..file.data_start() as usize].to_vec();
            assert_eq!(header(&bytes, &copy), header(&case.bytes, &file), "{}", case.name);
        }
        assert_eq!(copy.tensor_count(), file.tensor_count());
        for (a, b) in copy.tensors().zip(file.tensors()) {
            assert_eq!(a, b, "{}", case.name);
            assert_eq!(copy.data(&a), file.data(&b), "{}", case.name);
        }
    }
}

#[test]
fn rules_are_checked_before_the_first_byte() {
    struct Untouched;
    impl io::Write for Untouched {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("written")
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let check = |declare: fn(&mut Writer) -> &mut Writer, expected: fn(&Rule) -> bool| {
        let mut writer = Writer::new();
        declare(&mut writer);
        match writer.write_to(&mut Untouched, |_, _| Ok(())) {
            Err(WriteError::Rule(error)) => assert!(expected(&error.rule), "{error}"),
            other => panic!("{other:?}"),
        }
    };
    check(|w| w.key("", Value::U8(1)), |e| matches!(e, Rule::EmptyKey { .. }));
    check(|w| w.key("a", Value::U8(1)).key("a", Value::U8(2)), |e| matches!(e, Rule::DuplicateKey { .. }));
    check(|w| w.key("general.alignment", Value::U32(0)), |e| matches!(e, Rule::Alignment { got: 0, .. }));
    check(|w| w.key("general.alignment", Value::U64(8)), |e| matches!(e, Rule::AlignmentType { .. }));
    check(|w| w.tensor("n".repeat(64), &[1], GgmlType::F32), |e| matches!(e, Rule::NameLength { .. }));
    check(|w| w.tensor("t", &[1; 5], GgmlType::F32), |e| matches!(e, Rule::Dimensions { .. }));
    check(|w| w.tensor("t", &[100], GgmlType::Q4_K), |e| matches!(e, Rule::RowLength { .. }));
    check(|w| w.tensor("t", &[1 << 40, 1 << 40], GgmlType::F32), |e| matches!(e, Rule::Elements { .. }));
    check(|w| w.tensor("t", &[u64::MAX], GgmlType::F32), |e| matches!(e, Rule::NegativeDimension { .. }));
    let version = Writer::new().with_version(1).to_bytes(|_, _| Ok(()));
    let Err(WriteError::Rule(error)) = version else { panic!("{version:?}") };
    assert_eq!(error.rule, Rule::Version { got: 1 });
}

#[test]
fn data_of_the_wrong_length_are_an_error() {
    let mut writer = Writer::new();
    writer.tensor("t", &[4], GgmlType::F32);
    for got in [0, 15, 17] {
        match writer.to_bytes(|_, out| out.write_all(&vec![0; got])) {
            Err(WriteError::DataLength { name, got: found, need: 16 }) => {
                assert_eq!((&*name, found), ("t", got as u64))
            }
            other => panic!("{other:?}"),
        }
    }
}

/// All numbers are swapped, the magic is not.
#[test]
fn a_big_endian_file_is_byte_for_byte_that_of_the_corpus() {
    let case = cases().into_iter().find(|case| case.name == "big-endian").unwrap();
    let mut writer = Writer::new().with_endian(Endian::Big);
    writer.key("k", Value::U32(7));
    writer.tensor("t", &[2], GgmlType::F32);
    let bytes = writer.to_bytes(|_, out| out.write_all(&[1.0_f32, 2.0].map(f32::to_be_bytes).concat())).unwrap();
    assert_eq!(bytes, case.bytes);
}

/// The cause is the error's source and is not repeated in its message, so a report of the chain shows it once.
#[test]
fn errors_show_their_cause_once() {
    let mut writer = Writer::new();
    writer.tensor("t", &[100], GgmlType::Q4_K);
    let error = writer.to_bytes(|_, _| Ok(())).unwrap_err();
    let source = std::error::Error::source(&error).expect("the rule").to_string();
    assert!(source.contains("tensor \"t\"") && !error.to_string().contains(&source), "{error}: {source}");
}
