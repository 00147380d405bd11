//! Models in several files.

use std::{collections::HashSet, fs, path::Path};

use gguf::{
    File, Options, Split, Value, Writer,
    corpus::{Set, Verdict, sets},
    split::{SplitError, part_path},
    writer::WriteError,
};
use quant::GgmlType;

fn open(path: &Path) -> Result<Split, SplitError> {
    Split::open(path, |path| File::read(path, Options::default()))
}

/// Five tensors; every byte of tensor i is i.
fn writer() -> Writer {
    let mut writer = Writer::new();
    writer.key("general.name", Value::from("five")).key("general.alignment", Value::U32(64));
    for i in 0..5 {
        writer.tensor(format!("t{i}"), &[3], GgmlType::I8);
    }
    writer
}

fn data(tensor: &gguf::Tensor<'_>, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    out.write_all(&[tensor.name[1] - b'0'; 3])
}

#[test]
fn parts_form_one_model() {
    let directory = tempfile::tempdir().unwrap();
    let paths = writer().create_split(&directory.path().join("m"), 2, data).unwrap();
    assert_eq!(paths.len(), 3);
    assert!(paths[2].ends_with("m-00003-of-00003.gguf"));
    let model = open(&paths[0]).unwrap();
    assert_eq!((model.parts().len(), model.tensors().count()), (3, 5));
    assert_eq!(model.metadata().get("general.name"), Some(Value::from("five")));
    for i in 0..5 {
        let (tensor, data) = model.tensor(&format!("t{i}")).unwrap().unwrap();
        assert_eq!((tensor.dims(), data), (&[3][..], &[i as u8; 3][..]));
    }
    assert!(model.tensor("t5").is_none());
    assert!(model.parts().iter().all(|part| part.alignment() == 64));
}

#[test]
fn a_model_in_one_file_is_a_set_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one.gguf");
    writer().create(&path, data).unwrap();
    let model = open(&path).unwrap();
    assert_eq!((model.parts().len(), model.tensors().count()), (1, 5));
    assert_eq!(model.tensor("t4").unwrap().unwrap().1, [4; 3]);
}

/// The sets of the corpus, each in its own directory.
#[test]
fn every_set_gets_its_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let mut rules = HashSet::new();
    for Set { name, files, verdict } in sets() {
        let directory = directory.path().join(&name);
        fs::create_dir(&directory).unwrap_or_else(|error| panic!("{name}: {error}"));
        files.iter().for_each(|(file, bytes)| fs::write(directory.join(file), bytes).unwrap());
        let open = |options| Split::open(&directory.join(&files[0].0), |path| File::read(path, options));
        let (strict, lenient) = (open(Options::default()), open(Options::LENIENT));
        let rule = match verdict {
            Verdict::Accepted => None,
            Verdict::Refused(rule) | Verdict::OnRequest(rule) => Some(rule.to_owned()),
        };
        assert_eq!(strict.as_ref().err().map(SplitError::rule), rule, "{name}");
        assert_eq!(lenient.is_err(), matches!(verdict, Verdict::Refused(_)), "{name}: {lenient:?}");
        if let Ok(model) = lenient {
            let names: Vec<_> = model.tensors().map(|(_, tensor)| tensor.name_lossy()).collect();
            assert!(names.iter().all(|name| model.tensor(name).unwrap().unwrap().1.len() == 3), "{name}");
            assert_eq!(names.len(), model.parts().iter().map(|part| part.tensor_count()).sum::<usize>(), "{name}");
        }
        rules.extend(rule);
    }
    for rule in ["Key", "NotFirst", "Name", "PartNumber", "TensorCount", "DuplicateTensor", "Io", "Magic", "BigEndian"]
    {
        assert!(rules.contains(rule), "{rule}");
    }
}

#[test]
fn faulty_sets_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("m");
    let fresh = || writer().create_split(&prefix, 2, data).unwrap();
    let paths = fresh();
    assert!(
        matches!(open(&paths[1]), Err(SplitError::NotFirst { got: 2, count: 3, first: Some(first), .. }) if first == paths[0])
    );

    fs::copy(&paths[2], &paths[1]).unwrap();
    assert!(matches!(open(&paths[0]), Err(SplitError::PartNumber { got: 3, need: 2, .. })), "out of order");
    fs::remove_file(&paths[1]).unwrap();
    assert!(matches!(open(&paths[0]), Err(SplitError::Open(_))), "missing");

    fresh();
    let renamed = directory.path().join("other.gguf");
    fs::copy(&paths[0], &renamed).unwrap();
    assert!(matches!(open(&renamed), Err(SplitError::Name { count: 3, .. })));

    // A last part with a tensor of the first one, and a last part without tensors.
    let part = |tensors: &[&str]| {
        let mut writer = Writer::new();
        writer.key("split.no", Value::U16(2)).key("split.count", Value::U16(3));
        for name in tensors {
            writer.tensor(name, &[3], GgmlType::I8);
        }
        writer.create(&part_path(&prefix, 3, 3), data).unwrap();
    };
    part(&["t0"]);
    assert!(matches!(open(&paths[0]), Err(SplitError::DuplicateTensor { first: 1, later: 3, .. })));
    part(&[]);
    assert!(matches!(open(&paths[0]), Err(SplitError::TensorCount { got: 4, need: 5, .. })));

    let mut writer = Writer::new();
    writer.key("split.count", Value::U32(3)).create(&paths[0], data).unwrap();
    assert!(matches!(open(&paths[0]), Err(SplitError::Key { key: "split.count", .. })));
    let mut writer = Writer::new();
    writer.key("split.count", Value::U16(3)).create(&paths[0], data).unwrap();
    assert!(matches!(open(&paths[0]), Err(SplitError::Key { key: "split.no", .. })));
}

#[test]
fn parts_need_tensors() {
    let directory = tempfile::tempdir().unwrap();
    for (writer, per_part) in [(writer(), 0), (Writer::new(), 2)] {
        let outcome = writer.create_split(&directory.path().join("m"), per_part, data);
        assert!(matches!(outcome, Err(WriteError::Parts { .. })), "{outcome:?}");
    }
}

/// Parts joined into one file: the error reports that, whether or not the first part has the name of a set.
#[test]
fn joined_parts_are_recognized() {
    let directory = tempfile::tempdir().unwrap();
    let paths = writer().create_split(&directory.path().join("m"), 2, data).unwrap();
    let bytes: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in ["m.gguf", "m-00001-of-00003.gguf"] {
        let path = other.join(name);
        fs::write(&path, bytes.concat()).unwrap();
        let error = open(&path).unwrap_err();
        let expected = bytes[0].len() as u64;
        assert!(matches!(error, SplitError::Joined { count: 3, offset, .. } if offset == expected), "{error}");
        assert!(error.to_string().contains("joined"), "{error}");
    }
    // If the other parts are in the same directory, the first one is read as llama.cpp reads it.
    for (path, bytes) in paths.iter().zip(&bytes).skip(1) {
        fs::write(other.join(path.file_name().unwrap()), bytes).unwrap();
    }
    assert_eq!(open(&other.join("m-00001-of-00003.gguf")).unwrap().tensors().count(), 5);
}

/// Parts are counted from 1 in every message.
#[test]
fn a_later_part_names_the_first_one() {
    let directory = tempfile::tempdir().unwrap();
    let paths = writer().create_split(&directory.path().join("m"), 2, data).unwrap();
    let text = open(&paths[1]).unwrap_err().to_string();
    assert!(text.ends_with(&format!("this is part 2 of 3; open {}", paths[0].display())), "{text}");
    let renamed = directory.path().join("second.gguf");
    fs::copy(&paths[1], &renamed).unwrap();
    let text = open(&renamed).unwrap_err().to_string();
    assert!(text.ends_with("this is part 2 of 3; open the first one"), "{text}");
    fs::copy(&paths[1], &paths[0]).unwrap();
    let text = open(&paths[0]).unwrap_err().to_string();
    assert!(text.ends_with("this is part 2, but its name says part 1"), "{text}");
}
