//! One file that meets and one that breaks each rule.

use std::collections::HashSet;

use gguf::{
    Entry, Error, Field, Gguf, Options, Rule, Value,
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
                assert_eq!(error.rule.name(), expected, "{name}: {error}");
                assert!(lenient.is_err(), "{name} was accepted with options");
            }
            Verdict::OnRequest(expected) => {
                let error = strict.err().unwrap_or_else(|| panic!("{name} was accepted"));
                assert_eq!(error.rule.name(), expected, "{name}: {error}");
                lenient.unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}

#[test]
fn names_are_unique_and_every_rule_has_a_file() {
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

/// The scales of blocks, which llama.cpp checks on request (`--check-tensors`).
#[test]
fn blocks_that_are_not_finite_are_found_and_no_others() {
    let mut not_finite = HashSet::new();
    for case in cases() {
        let Ok(file) = Gguf::parse_with(&case.bytes[..], Options::LENIENT) else { continue };
        for tensor in file.tensors() {
            let found = first_non_finite_in(tensor.ty, file.data(&tensor).unwrap(), file.endian());
            assert_eq!(found, Ok(case.not_finite), "{}", case.name);
            not_finite.extend(found.unwrap().map(|_| tensor.ty));
        }
    }
    assert_eq!(not_finite.len(), 30, "{not_finite:?}");
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

/// The values of a few errors: offset, value found, value needed.
#[test]
fn errors_carry_offsets_and_values() {
    let find = |name: &str| {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        Gguf::parse(case.bytes).err().unwrap().rule
    };
    assert_eq!(find("version-4"), Rule::Version { got: 4 });
    assert_eq!(find("three-bytes"), Rule::Truncated { offset: 0, field: Field::Magic, got: 3, need: 4 });
    assert_eq!(find("keys-duplicate-apart"), Rule::DuplicateKey { offset: 24 + 3 * 14, first: 24 });
    assert_eq!(find("tensor-name-64-bytes"), Rule::NameLength { offset: 24, got: 64, most: 63 });
    // Header of 24 bytes, one entry of 33: data from 64.
    assert_eq!(find("cve-2026-7482-one-number-more"), Rule::DataBounds { offset: 24, got: 128, need: 132 });
    assert_eq!(find("offset-gap"), Rule::DataOffset { offset: 57, got: 64, need: 32 });
}

/// Every refusal of an entry names the entry. Every other refusal concerns the whole file.
#[test]
fn every_refusal_of_an_entry_names_it() {
    let entry = |bytes: &[u8]| Gguf::parse(bytes).err().and_then(|error| error.entry);
    let mut named = 0;
    for case in cases() {
        let Err(Error { entry, rule }) = Gguf::parse(&case.bytes[..]) else { continue };
        let is_preamble =
            matches!(rule, Rule::Magic { .. } | Rule::Version { .. } | Rule::BigEndian { .. } | Rule::Count { .. });
        let is_file = is_preamble
            || matches!(rule, Rule::Truncated { field, .. } if matches!(
                field,
                Field::Magic | Field::Version | Field::TensorCount | Field::KeyCount | Field::Padding
            ));
        assert_eq!(entry.is_none(), is_file, "{}: {rule}", case.name);
        named += usize::from(entry.is_some_and(|entry| {
            matches!(entry, Entry::Key { name: Some(_), .. } | Entry::Tensor { name: Some(_), .. })
        }));
    }
    assert!(named > 80, "{named}");
    let bytes = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap().bytes;
    let key = |name: &str, number| Some(Entry::Key { name: Some(name.to_owned()), number });
    let tensor = |name: &str, number| Some(Entry::Tensor { name: Some(name.to_owned()), number });
    assert_eq!(entry(&bytes("keys-duplicate-apart")), key("b", 4));
    assert_eq!(entry(&bytes("array-of-arrays")), key("a", 1));
    assert_eq!(entry(&bytes("alignment-3")), key("general.alignment", 1));
    assert_eq!(entry(&bytes("offset-gap")), tensor("b", 2));
    assert_eq!(entry(&bytes("tensor-names-duplicate-apart")), tensor("b", 4));
    assert_eq!(entry(&bytes("tensor-name-64-bytes")), tensor(&"n".repeat(64), 1));
    assert_eq!(entry(&bytes("data-cut-by-a-byte")), tensor("b", 2));
    // The name itself is cut off.
    assert_eq!(entry(&bytes("key-longer-than-the-file")), Some(Entry::Key { name: None, number: 1 }));
}

/// The error for a file that ends too early is that it is truncated.
#[test]
fn short_files_are_reported_as_truncated() {
    for case in cases().into_iter().filter(|case| case.name.starts_with("cut-")) {
        if let Err(error) = Gguf::parse(&case.bytes[..]) {
            assert!(error.to_string().contains("truncated"), "{}: {error}", case.name);
        }
    }
}

/// Bytes after the last tensor are not an error. They are counted without the padding.
#[test]
fn trailing_bytes_are_counted() {
    let trailing = |bytes: &[u8]| Gguf::parse(bytes).map(|file| (file.trailing().len(), file.next_file())).unwrap();
    let bytes = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap().bytes;
    // Two tensors of 12 bytes each, the first one padded to 32.
    assert_eq!(trailing(&bytes("bytes-behind-the-data")), (1000 - 64, None));
    assert_eq!(trailing(&bytes("last-padding-missing")), (0, None));
    assert_eq!(trailing(&bytes("offsets-in-a-row")), (0, None));
    for name in ["small", "smallest", "last-padding-missing"] {
        let (first, second) = (bytes(name), bytes("small"));
        let joined = [&first[..], &second].concat();
        assert_eq!(trailing(&joined).1, Some(first.len() as u64), "{name}");
    }
}

/// The file has one of everything. Every prefix of it is refused, except where only padding is missing.
#[test]
fn truncation_at_every_byte_is_an_error() {
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
