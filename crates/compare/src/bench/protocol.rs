//! The protocol between criterion and cargo-criterion, from cargo-criterion's side.
//!
//! A criterion binary that finds `CARGO_CRITERION_PORT` connects to it and reports every benchmark there: exact ids,
//! and the raw iteration counts and times, with no files and no bootstrap. Messages are CBOR behind a 32-bit
//! big-endian length, after a hello from each side. Protocol 1, format 1 is the same in criterion 0.3 to 0.8
//! (source: `src/connection.rs` of those releases). Unknown messages and fields are passed over: the format is
//! private to criterion and may grow.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ciborium::Value;
use serde::{Deserialize, Serialize};

/// The name of one benchmark of a criterion binary: the three parts that criterion keeps separate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RawId {
    /// `benchmark_group("…")`, or the whole name of an ungrouped benchmark.
    pub group: String,
    /// First part of a `BenchmarkId`.
    pub function: Option<String>,
    /// Second part of a `BenchmarkId`.
    pub value: Option<String>,
}

impl RawId {
    /// The id that criterion matches its filter against: the parts joined by slashes.
    pub fn full(&self) -> String {
        let parts = [Some(&self.group), self.function.as_ref(), self.value.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/")
    }
}

/// Work per iteration as the bench declared it to criterion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Throughput {
    /// Bytes per iteration.
    Bytes(f64),
    /// Elements per iteration.
    Elements(f64),
}

/// The raw samples of one benchmark.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// The benchmark that was measured.
    pub id: RawId,
    /// Iterations of each sample.
    pub iters: Vec<f64>,
    /// Total time of each sample, in the measurement's own unit (nanoseconds unless said otherwise).
    pub times: Vec<f64>,
    /// Work per iteration, where declared.
    pub throughput: Option<Throughput>,
    /// Measurement time in effect for this benchmark, if reported. Seconds.
    pub measurement_s: Option<f64>,
    /// Unit of `times`, as the measurement names it for machines.
    pub unit: String,
}

/// A message from the benchmark. Only messages that the comparison needs have their own variant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// The id exists but the filter excludes it.
    Skipping(RawId),
    /// The id is about to be measured.
    Beginning(RawId),
    /// Samples arrived; the benchmark now answers format requests until told to go on. The unit is still empty.
    Complete(Samples),
    /// A group ended; the benchmark now waits until told to go on.
    GroupFinished,
    /// Answer to [`Request::ScaleForMachines`].
    Unit(String),
    /// Anything else.
    Other,
}

/// A request to the benchmark.
#[derive(Debug, Serialize)]
pub(super) enum Request {
    /// Asks for the unit of the times.
    ScaleForMachines {
        /// Values to scale; one suffices to learn the unit.
        values: Vec<f64>,
    },
    /// Go on with the next benchmark.
    Continue,
}

/// Version of the criterion crate at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CriterionVersion(pub u8, pub u8, pub u8);

impl CriterionVersion {
    /// Whether it takes times in whole seconds only, as criterion 0.3 does.
    pub fn counts_whole_seconds(self) -> bool {
        self < Self(0, 4, 0)
    }
}

/// A conversation with one benchmark process.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Version in the answer to the hello.
    pub(super) version: CriterionVersion,
}

/// Messages above this size are not criterion's: 64 MiB hold four million samples.
const MAX_MESSAGE_BYTES: u32 = 64 << 20;
/// How often a blocked read wakes to look at the deadline and at Ctrl-C.
const POLL: Duration = Duration::from_millis(250);

impl Connection {
    /// Exchanges the hellos on a fresh connection.
    pub(super) fn open(mut stream: TcpStream, watch: &mut dyn FnMut() -> io::Result<()>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(POLL))?;
        stream.write_all(b"cargo-criterion\x01\x01\x00")?;
        let mut hello = [0; 16];
        read_exact(&mut stream, &mut hello, watch)?;
        let (magic, rest) = hello.split_at(9);
        let number = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
        if magic != b"Criterion" || number(3) != 1 || number(5) != 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not criterion's protocol 1, format 1"));
        }
        Ok(Self { stream, version: CriterionVersion(rest[0], rest[1], rest[2]) })
    }

    /// The next message; `None` once the benchmark closed the connection. `watch` is called while waiting; an error
    /// from it ends the wait.
    pub(super) fn receive(&mut self, watch: &mut dyn FnMut() -> io::Result<()>) -> io::Result<Option<Message>> {
        let mut length = [0; 4];
        match read_exact(&mut self.stream, &mut length, watch) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let length = u32::from_be_bytes(length);
        if length > MAX_MESSAGE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
        }
        let mut body = vec![0; length as usize];
        read_exact(&mut self.stream, &mut body, watch)?;
        let value: Value = ciborium::from_reader(&body[..])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("not CBOR: {error}")))?;
        Ok(Some(parse(&value)))
    }

    /// Sends a request.
    pub(super) fn send(&mut self, request: &Request) -> io::Result<()> {
        let mut body = vec![0; 4];
        ciborium::into_writer(request, &mut body).map_err(io::Error::other)?;
        let length = (body.len() - 4) as u32;
        body[..4].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&body)
    }
}

/// `read_exact` that wakes to call `watch` and acknowledges at once: criterion writes each message in two parts, and
/// a delayed acknowledgement between them costs 40 ms a message (enumeration in 490 ms instead of 5-8 ms).
fn read_exact(stream: &mut TcpStream, buffer: &mut [u8], watch: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                ) =>
            {
                watch()?;
            }
            Err(error) => return Err(error),
        }
        acknowledge_at_once(stream);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn acknowledge_at_once(stream: &TcpStream) {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open for the borrow of `stream`, and the option value is a live c_int of that size.
    // The option is a hint: a failure changes speed, not meaning, so the result is not looked at.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUICKACK,
            std::ptr::from_ref(&on).cast(),
            size_of_val(&on) as libc::socklen_t,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_at_once(_stream: &TcpStream) {}

/// A watcher for [`Connection`] that ends the wait at `deadline`.
#[cfg(test)]
fn until(deadline: std::time::Instant) -> impl FnMut() -> io::Result<()> {
    move || if std::time::Instant::now() >= deadline { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

/// A serde enum arrives as a map of one entry, variant name to fields, or as a bare name.
fn parse(value: &Value) -> Message {
    let Some((name, fields)) = value.as_map().and_then(|map| map.first()) else { return Message::Other };
    let field = |key: &str| get(fields, key);
    let id = || field("id").and_then(raw_id);
    match name.as_text().unwrap_or_default() {
        "SkippingBenchmark" => id().map_or(Message::Other, Message::Skipping),
        "BeginningBenchmark" => id().map_or(Message::Other, Message::Beginning),
        "FinishedBenchmarkGroup" => Message::GroupFinished,
        "ScaledValues" => Message::Unit(field("unit").and_then(Value::as_text).unwrap_or_default().to_owned()),
        "MeasurementComplete" => match (id(), field("iters").and_then(floats), field("times").and_then(floats)) {
            (Some(raw), Some(iters), Some(times)) => Message::Complete(Samples {
                throughput: field("id").and_then(|id| get(id, "throughput")).and_then(throughput),
                measurement_s: field("benchmark_config").and_then(|c| get(c, "measurement_time")).and_then(seconds),
                id: raw,
                iters,
                times,
                unit: String::new(),
            }),
            _ => Message::Other,
        },
        _ => Message::Other,
    }
}

fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.as_map()?.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
}

fn raw_id(value: &Value) -> Option<RawId> {
    let text = |key| get(value, key).and_then(Value::as_text).map(str::to_owned);
    Some(RawId { group: text("group_id")?, function: text("function_id"), value: text("value_str") })
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|n| i128::from(n) as f64))
}

fn floats(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(number).collect()
}

/// A `Duration` as serde writes it.
fn seconds(value: &Value) -> Option<f64> {
    Some(number(get(value, "secs")?)? + 1e-9 * number(get(value, "nanos")?)?)
}

/// A list in criterion 0.4 and later, a single optional value before; the first one counts.
fn throughput(value: &Value) -> Option<Throughput> {
    if let Some(list) = value.as_array() {
        return list.first().and_then(throughput);
    }
    let (name, amount) = value.as_map()?.first()?;
    match name.as_text()? {
        "Bytes" | "BytesDecimal" => Some(Throughput::Bytes(number(amount)?)),
        "Bits" => Some(Throughput::Bytes(number(amount)? / 8.0)),
        "Elements" => Some(Throughput::Elements(number(amount)?)),
        "ElementsAndBytes" => get(amount, "bytes").and_then(number).map(Throughput::Bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ciborium::cbor;

    #[test]
    fn ids_and_samples_are_read_from_both_shapes_of_throughput() {
        let old = cbor!({"MeasurementComplete" => {
            "id" => {"group_id" => "g", "function_id" => null, "value_str" => "7", "throughput" => {"Elements" => 5}},
            "iters" => [1.0, 2.0], "times" => [10, 20.5], "news" => true}})
        .unwrap();
        let Message::Complete(samples) = parse(&old) else { panic!("not understood") };
        assert_eq!(samples.id.full(), "g/7");
        assert_eq!(samples.times, [10.0, 20.5]);
        assert_eq!(samples.throughput, Some(Throughput::Elements(5.0)));
        let new = cbor!({"SkippingBenchmark" => {"id" => {"group_id" => "g", "function_id" => "f", "value_str" => null,
            "throughput" => [{"Bits" => 16}]}}})
        .unwrap();
        assert_eq!(
            parse(&new),
            Message::Skipping(RawId { group: "g".into(), function: Some("f".into()), value: None })
        );
    }

    #[test]
    fn unknown_and_malformed_messages_are_ignored() {
        for value in [
            cbor!("Continue").unwrap(),
            cbor!(3).unwrap(),
            cbor!({"SomethingNew" => {"x" => 1}}).unwrap(),
            cbor!({"MeasurementComplete" => {"id" => {"group_id" => "g"}, "iters" => ["x"], "times" => []}}).unwrap(),
            cbor!({"SkippingBenchmark" => {"id" => 4}}).unwrap(),
        ] {
            assert_eq!(parse(&value), Message::Other, "{value:?}");
        }
    }

    #[test]
    fn an_excessive_length_is_rejected_without_allocating() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut hello = [0; 18];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(b"Criterion\x00\x05\x01\x00\x01\x00\x01\xff\xff\xff\xff").unwrap();
        });
        let mut watch = until(std::time::Instant::now() + Duration::from_secs(20));
        let mut connection = Connection::open(listener.accept().unwrap().0, &mut watch).unwrap();
        assert_eq!(connection.version, CriterionVersion(0, 5, 1));
        assert_eq!(connection.receive(&mut watch).unwrap_err().kind(), io::ErrorKind::InvalidData);
        peer.join().unwrap();
    }
}
