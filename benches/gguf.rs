//! The stages of loading a model from a path: open and parse, page in, first use.
//!
//! `gguf-rs`, `candle`, llama.cpp and the Python package `gguf` are compared by `cargo xtask peers gguf`, not here:
//! `gguf-rs` enables `serde_json/arbitrary_precision`, which would change the JSON of every crate that is built with
//! it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gguf::{
    File, Gguf, Options, Value, Writer,
    cases::{TENSORS, TOKENS},
};
use machine::ceiling::Level;
use op::{Loaded, Ran, Threads};
use proof::{
    bench::{Bench, Ceiling, Subject, Suite},
    input::Hash,
};
use quant::GgmlType;
use record::Work;

#[global_allocator]
static ALLOCATOR: proof::alloc::Counting = proof::alloc::Counting;

/// Bytes of data of the file that is paged in.
const DATA_BYTES: u64 = 1 << 30;

fn main() {
    let directory = tempfile::tempdir().expect("a directory for files");
    let header = directory.path().join("header.gguf");
    let large = directory.path().join("large.gguf");
    proof::bench::main(|suite| {
        for (op, source) in [("parse", Source::Slice), ("open", Source::Map)] {
            declare_header(suite, op, source, &header);
        }
        for threads in [1, 2] {
            declare_data(suite, Stage::PageIn, threads, &large);
            declare_data(suite, Stage::FirstUse, threads, &large);
        }
    });
}

/// Writes a file with a header as large as that of RWKV-7 2.9B: 902 tensors, 65536 tokens. Returns the header's size in
/// bytes.
fn write_header(path: &Path) -> u64 {
    let mut writer = Writer::new();
    writer.key("general.architecture", Value::from("rwkv7"));
    for i in 0..24 {
        writer.key(format!("rwkv7.number.{i}"), Value::U32(i));
    }
    writer.strings("tokenizer.ggml.tokens", &(0..TOKENS).map(|i| format!("token {i:x}")).collect::<Vec<_>>());
    writer.numbers("tokenizer.ggml.token_type", &[1_i32; TOKENS]);
    for i in 0..TENSORS {
        writer.tensor(format!("blk.{}.time_mix_part_{}.weight", i / 28, i % 28), &[256], GgmlType::F32);
    }
    let data = |tensor: &gguf::Tensor<'_>, out: &mut dyn io::Write| zeros(tensor.bytes(), out);
    writer.create(path, data).expect("the file can be written");
    let file = File::read(path, Options::default()).expect("the file was written");
    file.data_start()
}

fn zeros(bytes: u64, out: &mut dyn io::Write) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), out).map(drop)
}

fn map(path: &Path) -> File {
    // SAFETY: the file is in a temporary directory of this process, and nothing writes to it after it was created.
    unsafe { File::map(path, Options::default()) }.expect("the file was written")
}

/// Where a header is read from.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// Bytes in memory.
    Slice,
    /// A path.
    Map,
}

fn declare_header(suite: &mut Suite, op: &str, source: Source, path: &Path) {
    // The approximate size of the header, for the declaration; `ran` reports the exact one.
    let bytes = 1.2e6;
    let bench = Bench {
        group: format!("gguf/{op}/header"),
        function: format!("tensors{TENSORS}-tokens{TOKENS}/resident/t1"),
        value: "gguf".to_owned(),
        tier: 1,
        work: Work { flops: None, bytes: Some(bytes), elements: Some((TENSORS + TOKENS) as f64) },
        ceiling: Ceiling::Read { level: Level::L3, threads: 1 },
    };
    suite.bench(bench, || Box::new(Header::new(source, path.to_owned())));
}

struct Header {
    source: Source,
    path: PathBuf,
    bytes: Vec<u8>,
    header_bytes: u64,
}

impl Header {
    fn new(source: Source, path: PathBuf) -> Self {
        let header_bytes = write_header(&path);
        let bytes = fs::read(&path).expect("the file was written");
        Self { source, path, bytes, header_bytes }
    }

    /// Reads the header. If `look` is set, returns a hash of names, offsets and tokens.
    fn contents(&self, look: bool) -> Option<String> {
        match self.source {
            Source::Slice => {
                let file = Gguf::parse(&self.bytes[..]).expect("a good file");
                look.then(|| contents(&file))
            }
            Source::Map => {
                let file = map(&self.path);
                look.then(|| contents(&file))
            }
        }
    }
}

fn contents<B: AsRef<[u8]>>(file: &Gguf<B>) -> String {
    let mut hash = Hash::default();
    for tensor in file.tensors() {
        hash.bytes(tensor.name).bytes(&(tensor.start() - file.data_start()).to_le_bytes());
    }
    let tokens = file.metadata().get("tokenizer.ggml.tokens").and_then(|value| value.as_array()).expect("an array");
    for token in tokens.strings() {
        hash.bytes(token);
    }
    hash.finish()
}

impl Subject for Header {
    /// Compares with the names, offsets and tokens that were written.
    fn prove(&mut self) -> record::Proof {
        let mut expected = Hash::default();
        for i in 0..TENSORS {
            let name = format!("blk.{}.time_mix_part_{}.weight", i / 28, i % 28);
            expected.bytes(name.as_bytes()).bytes(&(1024 * i as u64).to_le_bytes());
        }
        for i in 0..TOKENS {
            expected.bytes(format!("token {i:x}").as_bytes());
        }
        let actual = self.contents(true).unwrap_or_default();
        proof::compare::same_hash(&actual, &expected.finish(), Hash::default().bytes(&self.bytes).finish())
    }
}

impl Loaded for Header {
    fn run(&mut self) {
        std::hint::black_box(self.contents(false));
    }

    fn ran(&self) -> Ran {
        let path = if self.source == Source::Slice { "slice" } else { "open, mmap, parse" }.to_owned();
        Ran { path, bytes: self.header_bytes, ..Ran::new("gguf", "scalar") }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// Mapping all pages of a file in the page cache.
    PageIn,
    /// Reading all data of a new mapping after it was paged in.
    FirstUse,
}

fn declare_data(suite: &mut Suite, stage: Stage, threads: usize, path: &Path) {
    let op = if stage == Stage::PageIn { "page-in" } else { "first-use" };
    let bench = Bench {
        group: format!("gguf/{op}/i8"),
        function: format!("b{DATA_BYTES}-cached/streamed/t{threads}"),
        value: "gguf".to_owned(),
        tier: 2,
        work: Work { flops: None, bytes: Some(DATA_BYTES as f64), elements: None },
        // Paging in does not read the bytes, so it can be faster than reading.
        ceiling: match stage {
            Stage::PageIn => Ceiling::None,
            Stage::FirstUse => Ceiling::Read { level: Level::Memory, threads },
        },
    };
    suite.bench(bench, || Box::new(Data::new(stage, threads, path.to_owned())));
}

/// A file of 1 GiB, larger than any CPU cache, in the page cache.
struct Data {
    stage: Stage,
    threads: Threads,
    path: PathBuf,
    by: &'static str,
    /// Share of the file in the page cache before it was paged in, as reported by the system.
    cached: Option<f64>,
}

impl Data {
    fn new(stage: Stage, threads: usize, path: PathBuf) -> Self {
        let mut writer = Writer::new();
        writer.tensor("data", &[DATA_BYTES], GgmlType::I8);
        if !path.exists() {
            writer.create(&path, |tensor, out| zeros(tensor.bytes(), out)).expect("the file can be written");
        }
        Self { stage, threads: Threads::new(threads).expect("at least one"), path, by: "", cached: None }
    }

    /// Runs the stages on a new mapping and returns the duration of the timed one.
    fn stage(&mut self) -> Duration {
        let file = map(&self.path);
        self.cached = file.residency().ok().map(|residency| residency.share());
        let begin = Instant::now();
        let paged = file.page_in(self.threads).expect("the file is there");
        self.by = paged.by;
        let paged_in = begin.elapsed();
        if self.stage == Stage::PageIn {
            return paged_in;
        }
        let begin = Instant::now();
        assert_eq!(self.sum(&file), 0, "the file is all zeros");
        begin.elapsed()
    }

    /// Reads every word of the data, split over the threads.
    fn sum(&self, file: &File) -> u64 {
        let tensor = file.tensor("data").expect("it was written");
        let data = file.data(&tensor).expect("it is of this file");
        std::thread::scope(|scope| {
            let shares = data.chunks(data.len().div_ceil(self.threads.get()));
            let work =
                |share: &[u8]| share.as_chunks::<8>().0.iter().fold(0, |sum, word| sum | u64::from_ne_bytes(*word));
            let threads: Vec<_> = shares.map(|share| scope.spawn(move || work(share))).collect();
            threads.into_iter().fold(0, |sum, thread| sum | thread.join().expect("no panic"))
        })
    }
}

impl Subject for Data {
    /// All pages are resident, and the data are the written zeros.
    fn prove(&mut self) -> record::Proof {
        let file = map(&self.path);
        // The system may evict a page between paging in and the check, but not in every attempt.
        let residency = (0..3).find_map(|_| {
            self.stage();
            file.residency().ok().map(|residency| residency.share()).filter(|share| *share == 1.0)
        });
        let zeros = if self.sum(&file) == 0 { DATA_BYTES } else { 0 };
        let actual = format!("all resident {}, {zeros} zeros", residency.is_some());
        let expected = format!("all resident true, {DATA_BYTES} zeros");
        proof::compare::same_hash(&actual, &expected, Hash::default().bytes(&DATA_BYTES.to_le_bytes()).finish())
    }
}

impl Loaded for Data {
    fn run(&mut self) {
        self.stage();
    }

    fn time(&mut self, iters: u64) -> Duration {
        (0..iters).map(|_| self.stage()).sum()
    }

    fn ran(&self) -> Ran {
        let cached = self.cached.map_or("unknown".to_owned(), |share| format!("{:.0} %", 100.0 * share));
        let path = format!("{}, {cached} in the page cache before", self.by);
        Ran { path, threads: self.threads.get(), bytes: DATA_BYTES, ..Ran::new("gguf", "scalar") }
    }
}
