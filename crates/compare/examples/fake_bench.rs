//! A stand-in for a criterion benchmark, for tests: it speaks the benchmark's side of cargo-criterion's protocol 1 as
//! criterion 0.3.6, 0.5.1 and 0.8.2 do (their `src/connection.rs`), measures nothing, and does what its script says.
//!
//! The script is JSON in the variable `FAKE_BENCH` (see [`Script`]). Times are given, not taken, so that verdicts do
//! not depend on the machine; mishaps happen at named stages, so that every way in which a benchmark can go wrong can
//! be had at will. The diary, where one is asked for, tells the test what the program was given and which processes it
//! started.
// Long because one program holds the protocol and all that can go wrong in it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ciborium::{Value, cbor};
use regex_lite::Regex;
use serde::Deserialize;

/// What the program does.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    /// Version of criterion to pass for.
    version: (u8, u8, u8),
    /// Text to send instead of criterion's greeting.
    greeting: Option<String>,
    /// What it offers, in order.
    benches: Vec<Bench>,
    /// Measures everything, whatever the filter says.
    ignores_filter: bool,
    /// Sends messages that this version of the runner does not know.
    has_news: bool,
    /// Sends every byte on its own.
    dribbles: bool,
    /// What goes wrong, and when.
    mishaps: Vec<(Stage, Mishap)>,
    /// File to which it appends a JSON line about itself and about each process that it starts.
    diary: Option<PathBuf>,
    /// Lines for the file named by `ASSAY_ROWS`, verbatim.
    rows: Vec<String>,
    /// What goes wrong in test mode, as under valgrind.
    in_test_mode: Vec<Mishap>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            version: (0, 8, 2),
            greeting: None,
            benches: Vec::new(),
            ignores_filter: false,
            has_news: false,
            dribbles: false,
            mishaps: Vec::new(),
            diary: None,
            rows: Vec::new(),
            in_test_mode: Vec::new(),
        }
    }
}

/// One benchmark and what it claims to have measured.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Bench {
    /// Group, function, value.
    id: (String, Option<String>, Option<String>),
    /// Iterations of each sample; one each if absent.
    iters: Option<Vec<f64>>,
    /// Total of each sample in `unit`; `null` is NaN.
    times: Vec<Option<f64>>,
    /// Unit of the measurement.
    unit: String,
    /// Work per iteration.
    bytes: Option<u64>,
    /// What goes wrong while this one is measured.
    mishap: Option<Mishap>,
    /// Which of the measuring processes, counted from 0 by the diary, were disturbed: their batches are too short to
    /// time.
    disturbed: Vec<usize>,
    /// Factors on its times, one for each measuring process in turns, counted by the diary.
    factors: Vec<f64>,
    /// Layouts from this number on, by the name of the program, take 1.3 times as long.
    slow_from_layout: Option<u64>,
    /// Measuring processes from this one on, counted from 0 by the diary, share their processor with a busy one.
    preempted_from: Option<usize>,
    /// Measurement time that its group sets. Seconds.
    measurement_s: Option<u64>,
    /// How long it takes to measure. Seconds.
    takes_s: f64,
}

impl Default for Bench {
    fn default() -> Self {
        let times = vec![Some(1e6); 20];
        Self {
            id: Default::default(),
            iters: None,
            times,
            unit: "ns".to_owned(),
            bytes: None,
            mishap: None,
            disturbed: Vec::new(),
            factors: Vec::new(),
            slow_from_layout: None,
            preempted_from: None,
            measurement_s: None,
            takes_s: 0.0,
        }
    }
}

/// When something goes wrong.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Before it connects.
    Start,
    /// Connected, not yet greeted.
    Connected,
    /// Greeted; no message sent yet.
    Greeted,
    /// A benchmark was announced; its samples are not yet sent.
    Measuring,
    /// Its samples are sent, and the runner told it to go on.
    Measured,
    /// Everything is sent.
    End,
}

/// What goes wrong.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mishap {
    /// Panics.
    Panic,
    /// Never goes on.
    Hang,
    /// Dies of a signal.
    Abort,
    /// Ends with this status.
    Exit(i32),
    /// Closes the connection and ends well.
    Close,
    /// Closes the connection and never goes on.
    CloseAndHang,
    /// Announces a message of 4 GiB and waits for an answer.
    Lie,
    /// Announces a message, sends a part of it and ends well.
    Half,
    /// Sends bytes that are no CBOR, and waits for an answer.
    Garbage,
    /// Sends CBOR nested a million times, and waits for an answer.
    Nested,
    /// Sends CBOR that announces 2^62 elements, and waits for an answer.
    Bomb,
    /// Prints eight megabytes on either stream.
    Flood,
    /// Starts a process that does not end by itself.
    Grandchild,
}

/// What the command line asks for, read as strictly as criterion reads it.
struct Arguments {
    is_bench: bool,
    filter: Option<Regex>,
}

impl Arguments {
    fn read(version: (u8, u8, u8)) -> Self {
        let mut arguments = Self { is_bench: false, filter: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut number = || words.next().expect("an option without its value");
            match word.as_str() {
                "--bench" => arguments.is_bench = true,
                "--test" => {}
                "--warm-up-time" | "--measurement-time" if version < (0, 4, 0) => {
                    assert!(number().parse::<u64>().expect("criterion 0.3 takes whole seconds") > 0);
                }
                "--warm-up-time" | "--measurement-time" => assert!(number().parse::<f64>().expect("seconds") > 0.0),
                "--sample-size" => assert!(number().parse::<usize>().expect("a count") >= 10),
                "--" => arguments.filter = words.next().map(|text| Regex::new(&text).expect("a regular expression")),
                other => panic!("criterion does not know {other}"),
            }
        }
        arguments
    }

    fn wants(&self, id: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.is_match(id))
    }
}

/// The connection to the runner.
struct Wire {
    stream: TcpStream,
    dribbles: bool,
}

impl Wire {
    fn connect(dribbles: bool) -> Option<Self> {
        let port: u16 = std::env::var("CARGO_CRITERION_PORT").ok()?.parse().ok()?;
        let stream = TcpStream::connect(("localhost", port)).ok()?;
        stream.set_nodelay(dribbles).unwrap();
        Some(Self { stream, dribbles })
    }

    fn greet(&mut self, script: &Script) {
        let mut hello = [0; 18];
        self.stream.read_exact(&mut hello).unwrap();
        assert_eq!(&hello[..15], b"cargo-criterion");
        let (major, minor, patch) = script.version;
        let usual = [b"Criterion".as_slice(), &[major, minor, patch, 0, 1, 0, 1]].concat();
        self.write(script.greeting.as_ref().map_or(&usual, |text| text.as_bytes()));
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(if self.dribbles { 1 } else { usize::MAX }) {
            self.stream.write_all(chunk).unwrap();
        }
    }

    /// Length and body in two writes, as criterion does.
    fn send(&mut self, message: &Value) {
        let mut body = Vec::new();
        ciborium::into_writer(message, &mut body).unwrap();
        self.write(&(body.len() as u32).to_be_bytes());
        self.write(&body);
    }

    /// Answers requests until told to go on; a request that criterion does not know is a panic, as there.
    fn serve(&mut self, unit: &str) {
        loop {
            let mut length = [0; 4];
            self.stream.read_exact(&mut length).unwrap();
            let mut body = vec![0; u32::from_be_bytes(length) as usize];
            self.stream.read_exact(&mut body).unwrap();
            let request: Value = ciborium::from_reader(&body[..]).unwrap();
            if request.as_text() == Some("Continue") {
                return;
            }
            let (name, fields) = request.as_map().and_then(|map| map.first()).expect("a request with fields");
            assert_eq!(name.as_text(), Some("ScaleForMachines"), "unknown request");
            let (key, values) = fields.as_map().and_then(|map| map.first()).expect("a request with fields");
            assert_eq!(key.as_text(), Some("values"));
            let values = values.clone();
            self.send(&cbor!({"ScaledValues" => {"scaled_values" => values, "unit" => unit}}).unwrap());
        }
    }

    /// Blocks until the runner hangs up, as a program does that waits for an answer.
    fn wait(&mut self) -> ! {
        let _ = self.stream.read_to_end(&mut Vec::new());
        std::process::exit(0)
    }
}

impl Script {
    fn note(&self, line: &serde_json::Value) {
        if let Some(path) = &self.diary {
            let mut file = File::options().create(true).append(true).open(path).unwrap();
            writeln!(file, "{line}").unwrap();
        }
    }

    /// Processes before this one that measured, by the diary.
    fn earlier_measuring_processes(&self) -> usize {
        let text = self.diary.as_ref().map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
        text.lines().filter(|line| line.contains("--sample-size")).count().saturating_sub(1)
    }

    /// Lets happen what the script has for this stage.
    fn reach(&self, stage: Stage, mut wire: Option<&mut Wire>) {
        for (_, mishap) in self.mishaps.iter().filter(|(at, _)| *at == stage) {
            self.suffer(*mishap, &mut wire);
        }
    }

    fn suffer(&self, mishap: Mishap, wire: &mut Option<&mut Wire>) {
        self.note(&serde_json::json!({"reached": std::process::id()}));
        match mishap {
            Mishap::Panic => panic!("panicked on purpose"),
            Mishap::Hang => hang(),
            Mishap::Abort => std::process::abort(),
            Mishap::Exit(status) => std::process::exit(status),
            Mishap::Close => std::process::exit(0),
            Mishap::CloseAndHang => {
                raw(wire, &[]).stream.shutdown(Shutdown::Both).unwrap();
                hang();
            }
            Mishap::Lie => raw(wire, &[0xff; 4]).wait(),
            Mishap::Half => {
                raw(wire, &[0, 0, 0, 100, 0xa1, 0x61]);
                std::process::exit(0);
            }
            Mishap::Garbage => raw(wire, &[0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]).wait(),
            Mishap::Nested => raw(wire, &[&[0, 0x0f, 0x42, 0x40], vec![0x81; 1_000_000].as_slice()].concat()).wait(),
            Mishap::Bomb => raw(wire, &[0, 0, 0, 9, 0x9b, 0x40, 0, 0, 0, 0, 0, 0, 0]).wait(),
            Mishap::Flood => flood(),
            Mishap::Grandchild => self.note(&serde_json::json!({"grandchild": start_grandchild()})),
        }
    }

    fn run(&self, arguments: &Arguments) {
        self.reach(Stage::Start, None);
        let Some(mut wire) = Wire::connect(self.dribbles) else { return };
        self.reach(Stage::Connected, Some(&mut wire));
        wire.greet(self);
        self.reach(Stage::Greeted, Some(&mut wire));
        if let Some(path) = std::env::var_os("ASSAY_ROWS") {
            let mut file = File::options().create(true).append(true).open(path).unwrap();
            self.rows.iter().for_each(|row| writeln!(file, "{row}").unwrap());
        }
        for group in self.benches.chunk_by(|a, b| a.id.0 == b.id.0) {
            let name = group[0].id.0.as_str();
            wire.send(&cbor!({"BeginningBenchmarkGroup" => {"group" => name}}).unwrap());
            for bench in group {
                self.offer(bench, arguments, &mut wire);
            }
            wire.send(&cbor!({"FinishedBenchmarkGroup" => {"group" => name}}).unwrap());
            wire.serve("ns");
        }
        self.reach(Stage::End, Some(&mut wire));
    }

    fn offer(&self, bench: &Bench, arguments: &Arguments, wire: &mut Wire) {
        if self.has_news {
            wire.send(&cbor!({"SomethingNew" => {"id" => [1, 2.5, null]}}).unwrap());
            wire.send(&cbor!("Farewell").unwrap());
        }
        let (group, function, value) = &bench.id;
        let parts = [Some(group), function.as_ref(), value.as_ref()];
        let full = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/");
        let throughput: Vec<Value> = bench.bytes.iter().map(|bytes| cbor!({"Bytes" => bytes}).unwrap()).collect();
        let id = cbor!({"group_id" => group, "function_id" => function, "value_str" => value,
            "throughput" => throughput})
        .unwrap();
        if !self.ignores_filter && !arguments.wants(&full) {
            wire.send(&cbor!({"SkippingBenchmark" => {"id" => id}}).unwrap());
            return;
        }
        wire.send(&cbor!({"BeginningBenchmark" => {"id" => id.clone()}}).unwrap());
        self.reach(Stage::Measuring, Some(wire));
        if let Some(mishap) = bench.mishap {
            self.suffer(mishap, &mut Some(wire));
        }
        std::thread::sleep(Duration::from_secs_f64(bench.takes_s));
        wire.send(&cbor!({"Warmup" => {"id" => id.clone(), "nanos" => 5e7}}).unwrap());
        let is_disturbed = bench.disturbed.contains(&self.earlier_measuring_processes());
        let earlier = self.earlier_measuring_processes();
        if bench.preempted_from.is_some_and(|first| earlier >= first) {
            be_preempted();
        }
        let factor = bench.factors.get(earlier % bench.factors.len().max(1)).unwrap_or(&1.0);
        let is_slow = bench.slow_from_layout.is_some_and(|first| layout() >= first);
        let factor = if is_slow { 1.3 * factor } else { *factor };
        let time = |time: &Option<f64>| if is_disturbed { 150.0 } else { time.map_or(f64::NAN, |time| time * factor) };
        let times: Vec<f64> = bench.times.iter().map(time).collect();
        let iters = bench.iters.clone().unwrap_or_else(|| vec![1.0; times.len()]);
        wire.send(
            &cbor!({"MeasurementStart" => {"id" => id.clone(), "sample_count" => times.len(), "estimate_ns" => 2e8,
                "iter_count" => iters.iter().sum::<f64>()}})
            .unwrap(),
        );
        let (secs, nanos) = bench.measurement_s.map_or((0, 100_000_000), |secs| (secs, 0));
        let configuration = cbor!({"confidence_level" => 0.95, "nresamples" => 100_000, "sample_size" => times.len(),
            "measurement_time" => {"secs" => secs, "nanos" => nanos}})
        .unwrap();
        wire.send(
            &cbor!({"MeasurementComplete" => {"id" => id, "iters" => iters, "times" => times,
                "plot_config" => {"summary_scale" => "Linear"}, "sampling_method" => "Flat",
                "benchmark_config" => configuration}})
            .unwrap(),
        );
        wire.serve(&bench.unit);
        self.reach(Stage::Measured, Some(wire));
    }
}

/// Writes bytes that are no message.
fn raw<'a>(wire: &'a mut Option<&mut Wire>, bytes: &[u8]) -> &'a mut Wire {
    let wire = wire.as_mut().expect("not connected at this stage");
    wire.write(bytes);
    wire
}

/// Number of the layout, from the name `NNN-NUMBER` of the program that became this one.
fn layout() -> u64 {
    let name = std::env::args().next().unwrap_or_default();
    name.rsplit('-').next().and_then(|number| number.parse().ok()).expect("a program with the number of its layout")
}

/// Computes on one processor with another process and with a thread that wakes up thousands of times a second. Each
/// wake-up takes the processor away: many more forced switches than on a busy machine, where a slice lasts
/// milliseconds.
fn be_preempted() {
    // SAFETY: an all-zero cpu_set_t is a valid empty set, the index is one that the kernel gave, and the set is read
    // while it lives.
    unsafe {
        let mut here: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu() as usize, &mut here);
        assert_eq!(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const here), 0);
    }
    // The child and the thread inherit the processor.
    let mut other = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let start = std::time::Instant::now();
    let is_over = move || start.elapsed() >= Duration::from_millis(60);
    let waker = std::thread::spawn(move || {
        while !is_over() {
            std::thread::sleep(Duration::from_micros(100));
        }
    });
    while !is_over() {
        std::hint::black_box(start);
    }
    waker.join().unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
}

fn start_grandchild() -> u32 {
    Command::new("sleep").arg("1000").spawn().unwrap().id()
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it stands for a program that prints too much")]
fn flood() {
    let line = "x".repeat(1023);
    for _ in 0..8192 {
        println!("{line}");
        eprintln!("{line}");
    }
}

fn main() {
    let text = std::env::var("FAKE_BENCH").expect("FAKE_BENCH holds the script");
    let script: Script = serde_json::from_str(&text).expect("a script");
    script.note(&serde_json::json!({
        "pid": std::process::id(),
        "arguments": std::env::args().skip(1).collect::<Vec<_>>(),
        "directory": std::env::current_dir().unwrap(),
        "variables": std::env::vars().collect::<Vec<_>>(),
    }));
    let arguments = Arguments::read(script.version);
    if arguments.is_bench {
        script.run(&arguments);
    } else {
        script.in_test_mode.iter().for_each(|mishap| script.suffer(*mishap, &mut None));
    }
}
