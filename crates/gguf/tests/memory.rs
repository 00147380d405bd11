//! What parsing costs in heap memory: next to nothing for a real file, never more than the file for a hostile one.

use gguf::{Gguf, Options, Value, Writer, corpus::Mutator};
use proof::alloc::total;
use quant::GgmlType;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// Bytes allocated by `work`, all of them, freed or not: an upper bound of the peak.
fn allocated<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = total().bytes;
    let result = work();
    (total().bytes - before, result)
}

/// One test, so that no other one allocates meanwhile.
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
    assert_eq!(heap, 0, "looking at strings allocates nothing");
}

/// The densest tensor table there can be: names of up to four bytes, no dimension, one byte of data each.
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

fn mutated_files() {
    let mutator = Mutator::default();
    let (mut bytes, mut accepted) = (Vec::new(), 0);
    for seed in 0..60_000 {
        mutator.fill(seed, &mut bytes);
        let options = if seed % 2 == 0 { Options::default() } else { Options::LENIENT };
        let (heap, file) = allocated(|| {
            let file = Gguf::parse_with(&bytes[..], options).ok();
            if let Some(file) = &file {
                let values: usize = file
                    .metadata()
                    .iter()
                    .map(|(key, value)| key.len() + usize::from(value.as_array().is_some()))
                    .sum();
                let data: usize = file.tensors().map(|tensor| file.data(&tensor).map_or(0, <[u8]>::len)).sum();
                std::hint::black_box((values, data));
            }
            file.is_some()
        });
        accepted += u32::from(file);
        assert!(heap <= bytes.len() as u64 + (1 << 20), "seed {seed}: {heap} bytes for a file of {}", bytes.len());
    }
    assert!(
        (1_000..59_000).contains(&accepted),
        "{accepted} files were accepted: the changes are too small or too large"
    );
}
