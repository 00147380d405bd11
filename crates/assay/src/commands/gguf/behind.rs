//! Bytes behind the data of the last tensor: no rule forbids them, and nothing reads them.

use gguf::Split;

/// Their number, in all files of a model.
pub(super) fn bytes(model: &Split) -> u64 {
    model.parts().iter().map(|part| part.trailing().len() as u64).sum()
}

/// Where another GGUF file begins in the first file that has one behind its data.
pub(super) fn joined(model: &Split) -> Option<u64> {
    model.parts().iter().find_map(|part| part.next_file())
}

/// A sentence about them, if there are any.
pub(super) fn line(model: &Split) -> Option<String> {
    let count = bytes(model);
    match joined(model) {
        Some(at) => Some(format!("another GGUF file is joined to this one at byte {at}; it is not read")),
        None if count > 0 => {
            let bytes = if count == 1 { "byte" } else { "bytes" };
            Some(format!("{count} {bytes} behind the data of the last tensor, which nothing reads"))
        }
        None => None,
    }
}
