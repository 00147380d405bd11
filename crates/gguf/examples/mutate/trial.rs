//! Reads one mutated file and measures the memory that this takes. Panics if anything is wrong.

use std::{io, path::Path};

use gguf::{Endian, File, Gguf, Options, Split, Tensor, Writer, corpus::Mutator, file::OpenError};
use proof::alloc::total;

/// Heap memory that a reader may allocate beyond the size of its files, in bytes. All allocations count, freed or not.
pub(crate) const ALLOWED: u64 = 1 << 20;

/// The kind of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// One little-endian file.
    Little,
    /// One big-endian file.
    Big,
    /// A model in several files.
    Set,
}

/// The result for one file.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The kind of the original.
    pub(crate) kind: Kind,
    /// The rule that it breaks; `None` if it is accepted with all options.
    pub(crate) rule: Option<String>,
    /// Heap memory allocated beyond the size of the files, in bytes.
    pub(crate) heap: u64,
}

/// Makes the file of a seed and reads it. One in eight is a set.
pub(crate) fn trial(mutator: &Mutator, seed: u64, bytes: &mut Vec<u8>) -> Outcome {
    if seed % 8 == 7 {
        return set(&mutator.set(seed));
    }
    let kind = match mutator.fill(seed, bytes) {
        Endian::Little => Kind::Little,
        Endian::Big => Kind::Big,
    };
    let before = total().bytes;
    let outcome = Gguf::parse_with(&bytes[..], Options::LENIENT);
    if let Ok(file) = &outcome {
        walk(file);
    }
    let heap = (total().bytes - before).saturating_sub(bytes.len() as u64);
    match &outcome {
        Ok(file) => again(file),
        Err(_) => {
            assert!(Gguf::parse(&bytes[..]).is_err(), "a file that is refused with options is refused without them")
        }
    }
    Outcome { kind, rule: outcome.err().map(|error| error.rule.name()), heap }
}

/// Opens a model in several files from memory, by the first one.
fn set(files: &[(String, Vec<u8>)]) -> Outcome {
    let open = |path: &Path| match files.iter().find(|(name, _)| Path::new(name) == path) {
        Some((_, bytes)) => File::from_bytes(bytes.clone(), path, Options::LENIENT),
        None => Err(OpenError::Io { path: path.to_owned(), source: io::ErrorKind::NotFound.into() }),
    };
    let size: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let before = total().bytes;
    let outcome = files.first().map(|(first, _)| Split::open(Path::new(first), open));
    if let Some(Ok(model)) = &outcome {
        model.parts().iter().for_each(|part| walk(part));
    }
    // Each file is copied into memory once.
    let heap = (total().bytes - before).saturating_sub(2 * size as u64);
    if let Some(Ok(model)) = &outcome {
        for (_, tensor) in model.tensors() {
            let name = str::from_utf8(tensor.name);
            assert!(name.is_err() || name.is_ok_and(|name| matches!(model.tensor(name), Some(Ok(_)))));
        }
    }
    let rule = outcome.and_then(Result::err).map(|error| error.rule());
    Outcome { kind: Kind::Set, rule, heap }
}

/// Reads everything through the views.
fn walk<B: AsRef<[u8]>>(file: &Gguf<B>) {
    for (key, value) in file.metadata().iter() {
        std::hint::black_box((key, value));
        for element in value.as_array().into_iter().flatten() {
            std::hint::black_box(element);
        }
    }
    for tensor in file.tensors() {
        let data = file.data(&tensor).expect("ranges were checked");
        let found = quant::first_non_finite_in(tensor.ty, data, file.endian());
        std::hint::black_box(found.expect("data are whole blocks"));
    }
}

/// Writes the file again and reads the copy, which must be the same.
fn again(file: &Gguf<&[u8]>) {
    let mut writer = Writer::new().with_version(file.version()).with_endian(file.endian());
    for (key, value) in file.metadata().iter() {
        writer.key(key, value);
    }
    for tensor in file.tensors() {
        writer.tensor(tensor.name, tensor.dims(), tensor.ty);
    }
    let data = |tensor: &Tensor<'_>, out: &mut dyn io::Write| {
        let original = file.tensor(tensor.name).expect("it was copied from there");
        out.write_all(file.data(&original).expect("it is of this file"))
    };
    let bytes = writer.to_bytes(data).expect("an accepted file can be written");
    let copy = Gguf::parse_with(&bytes[..], Options::LENIENT).expect("a written file can be read");
    assert_eq!((copy.endian(), copy.metadata().len()), (file.endian(), file.metadata().len()));
    assert!(copy.tensors().eq(file.tensors().map(|tensor| {
        let same = copy.tensor(tensor.name).expect("it was written");
        assert_eq!(copy.data(&same), file.data(&tensor));
        same
    })));
}
