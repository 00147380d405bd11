//! One file inside and one outside every rule.

use std::collections::HashSet;

use gguf::{
    Error, Field, Gguf, Options, Value,
    corpus::{Verdict, cases},
};
use quant::first_non_finite_in;

#[test]
fn every_file_gets_its_verdict() {
    for case in cases() {
        let strict = Gguf::parse(&case.bytes[..]);
        let lenient = Gguf::parse_with(&case.bytes[..], Options::LENIENT);
        let name = &case.name;
        match case.verdict {
            Verdict::Accepted => {
                strict.unwrap_or_else(|error| panic!("{name}: {error}"));
                lenient.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            Verdict::Refused(expected) => {
                let error = strict.err().unwrap_or_else(|| panic!("{name} was accepted"));
                assert_eq!(error.rule(), expected, "{name}: {error}");
                assert!(lenient.is_err(), "{name} was accepted with options");
            }
            Verdict::OnRequest(expected) => {
                let error = strict.err().unwrap_or_else(|| panic!("{name} was accepted"));
                assert_eq!(error.rule(), expected, "{name}: {error}");
                lenient.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}

#[test]
fn names_are_unique_and_no_variant_is_without_a_file() {
    let cases = cases();
    let names: HashSet<&str> = cases.iter().map(|case| &*case.name).collect();
    assert_eq!(names.len(), cases.len());
    let refused = |verdict| match verdict {
        Verdict::Refused(variant) | Verdict::OnRequest(variant) => Some(variant),
        Verdict::Accepted => None,
    };
    let seen: HashSet<&str> = cases.iter().filter_map(|case| refused(case.verdict)).collect();
    for variant in [
        "Truncated",
        "Magic",
        "Version",
        "BigEndian",
        "Count",
        "StringLength",
        "ArrayLength",
        "NestedArray",
        "ValueType",
        "EmptyKey",
        "DuplicateKey",
        "AlignmentType",
        "Alignment",
        "NameLength",
        "DuplicateTensor",
        "Dimensions",
        "NegativeDimension",
        "Elements",
        "TensorType",
        "RowLength",
        "Size",
        "DataOffset",
        "DataBounds",
    ] {
        assert!(seen.contains(variant), "{variant}");
    }
}

/// Rule 15 of llama.cpp's loader, which it checks on request: the scales of blocks.
#[test]
fn blocks_that_are_not_finite_are_found_and_no_others() {
    let mut spoiled = HashSet::new();
    for case in cases() {
        let Ok(file) = Gguf::parse_with(&case.bytes[..], Options::LENIENT) else { continue };
        for tensor in file.tensors() {
            let found = first_non_finite_in(tensor.ty, file.data(&tensor).unwrap(), file.endian());
            assert_eq!(found, Ok(case.not_finite), "{}", case.name);
            spoiled.extend(found.unwrap().map(|_| tensor.ty));
        }
    }
    assert_eq!(spoiled.len(), 30, "{spoiled:?}");
}

#[test]
fn nan_in_metadata_keeps_its_bits() {
    let value = |name: &str| {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        match Gguf::parse(&case.bytes[..]).unwrap().metadata().get("k") {
            Some(Value::F32(x)) => u64::from(x.to_bits()),
            Some(Value::F64(x)) => x.to_bits(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(value("f32-nan"), 0x7fc1_2345);
    assert_eq!(value("f32-nan-signaling"), 0xffa5_4321);
    assert_eq!(value("f64-nan"), 0x7ff0_0000_0001_2345);
}

/// Values of a few errors: offsets, what stood there, what was needed.
#[test]
fn errors_carry_where_and_what() {
    let find = |name: &str| {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        Gguf::parse(case.bytes).err().unwrap()
    };
    assert_eq!(find("version-4"), Error::Version { got: 4 });
    assert_eq!(find("three-bytes"), Error::Truncated { offset: 0, field: Field::Magic, got: 3, need: 4 });
    assert_eq!(find("keys-duplicate-apart"), Error::DuplicateKey { offset: 24 + 3 * 14, first: 24 });
    assert_eq!(find("tensor-name-64-bytes"), Error::NameLength { offset: 24, got: 64, most: 63 });
    // Header of 24 bytes, one entry of 33: data from 64.
    assert_eq!(find("cve-2026-7482-one-number-more"), Error::DataBounds { offset: 24, got: 128, need: 132 });
    assert_eq!(find("offset-gap"), Error::DataOffset { offset: 57, got: 64, need: 32 });
}

/// Every prefix of a file with one of everything is refused, except where only padding is cut off.
#[test]
fn truncation_at_every_byte_is_noticed() {
    let mut writer = gguf::Writer::new();
    writer.key("text", Value::from("abc"));
    writer.strings("strings", &["", "x", "yz"]);
    writer.numbers("numbers", &[1.5_f64, f64::NAN]);
    writer.tensor("a", &[2, 3], quant::GgmlType::F16);
    writer.tensor("b", &[32], quant::GgmlType::Q8_0);
    let whole = writer.to_bytes(|tensor, out| out.write_all(&vec![1; tensor.bytes() as usize])).unwrap();
    let needed =
        Gguf::parse(&whole[..]).unwrap().tensors().map(|tensor| tensor.start() + tensor.bytes()).max().unwrap();
    for len in 0..whole.len() {
        let outcome = Gguf::parse(&whole[..len]);
        assert_eq!(outcome.is_ok(), len as u64 >= needed, "{len} of {} bytes", whole.len());
    }
}
