//! Heap memory of parsing: little for a real file, never more than the file's size for a hostile one.

#[path = "../examples/mutate/trial.rs"]
mod trial;

use gguf::{Gguf, Value, Writer, corpus::Mutator};
use proof::alloc::total;
use quant::GgmlType;
use trial::{ALLOWED, Kind, Outcome, trial};

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// All bytes allocated by `work`, freed or not: an upper bound of the peak.
fn allocated<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = total().bytes;
    let result = work();
    (total().bytes - before, result)
}

/// A single test, so that no other test allocates at the same time.
#[test]
fn memory_is_bounded() {
    a_header_of_902_tensors_and_65536_strings();
    many_tensors_of_nothing();
    mutated_files();
}

fn a_header_of_902_tensors_and_65536_strings() {
    let mut writer = Writer::new();
    let tokens: Vec<String> = (0..65_536).map(|i| format!("token {i}")).collect();
    writer.strings("tokenizer.ggml.tokens", &tokens);
    for i in 0..40 {
        writer.key(format!("rwkv7.key.{i}"), Value::U32(i));
    }
    for i in 0..902 {
        writer.tensor(format!("blk.{i}.weight"), &[256], GgmlType::Q4_K);
    }
    let bytes = writer.to_bytes(|tensor, out| out.write_all(&vec![0; tensor.bytes() as usize])).unwrap();
    let (heap, file) = allocated(|| Gguf::parse(&bytes[..]).unwrap());
    assert_eq!(file.tensor_count(), 902);
    let table = 902 * 20;
    assert!(heap - table <= 64 << 10, "{heap} bytes");
    let (heap, _) = allocated(|| {
        let tokens = file.metadata().get("tokenizer.ggml.tokens").unwrap().as_array().unwrap();
        assert_eq!(tokens.strings().map(<[u8]>::len).sum::<usize>(), tokens.len() * 6 + 316_570);
    });
    assert_eq!(heap, 0, "reading strings allocates nothing");
}

/// The densest possible tensor table: names of three bytes, no dimensions, one byte of data each.
fn many_tensors_of_nothing() {
    let mut writer = Writer::new();
    writer.key("general.alignment", Value::U32(1));
    for i in 0..300_000_u32 {
        let name = i.to_be_bytes();
        writer.tensor(&name[1..], &[], GgmlType::I8);
    }
    let bytes = writer.to_bytes(|_, out| out.write_all(&[0])).unwrap();
    let (heap, file) = allocated(|| Gguf::parse(&bytes[..]));
    assert!(file.is_ok() && heap <= bytes.len() as u64, "{heap} of {} bytes", bytes.len());
}

/// The first seeds of the example `mutate`.
fn mutated_files() {
    let mutator = Mutator::default();
    let (mut bytes, mut counts) = (Vec::new(), [[0; 2]; 3]);
    for seed in 0..60_000 {
        let Outcome { kind, rule, heap } = trial(&mutator, seed, &mut bytes);
        assert!(heap <= ALLOWED, "seed {seed}: {heap} bytes beyond the file's size");
        counts[kind as usize][usize::from(rule.is_some())] += 1;
    }
    // The changes are neither too small nor too large to be useful.
    for (kind, [accepted, refused]) in [Kind::Little, Kind::Big, Kind::Set].iter().zip(counts) {
        assert!(accepted > 300 && refused > 2_000, "{kind:?}: {accepted} accepted, {refused} refused");
    }
}
