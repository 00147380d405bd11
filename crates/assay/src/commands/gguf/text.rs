//! Numbers and values as text and as JSON.

use gguf::{Value, ValueType};
use serde_json::json;

use crate::print;

/// Bytes with three digits: `1.87 GB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1000.0;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let digits = if size < 9.995 { 2 } else { usize::from(size < 99.95) };
    format!("{size:.digits$} {}", UNITS[unit])
}

/// A count with three digits: `2.95 G`.
pub(super) fn count(count: u64) -> String {
    if count < 1000 {
        return count.to_string();
    }
    let text = bytes(count);
    text.trim_end_matches('B').replace('k', "thousand").replace('M', "million").replace('G', "billion")
}

/// Dimensions: `2560 x 65536`; `scalar` if there are none.
pub(super) fn shape(dims: &[u64]) -> String {
    if dims.is_empty() {
        return "scalar".to_owned();
    }
    dims.iter().map(u64::to_string).collect::<Vec<_>>().join(" x ")
}

/// A value on one line. Control characters are escaped: a file must not steer the terminal.
pub(super) fn value(value: &Value<'_>) -> String {
    /// Elements of an array that are shown.
    const SHOWN: usize = 4;
    match value {
        Value::U8(x) => x.to_string(),
        Value::I8(x) => x.to_string(),
        Value::U16(x) => x.to_string(),
        Value::I16(x) => x.to_string(),
        Value::U32(x) => x.to_string(),
        Value::I32(x) => x.to_string(),
        Value::F32(x) => print::number(*x),
        Value::Bool(x) => x.to_string(),
        Value::U64(x) => x.to_string(),
        Value::I64(x) => x.to_string(),
        Value::F64(x) => print::number(*x),
        Value::String(x) => string(x),
        Value::Array(array) => {
            let element = |element: Value<'_>| match element {
                // Deep nesting would multiply what is shown.
                Value::Array(inner) => format!("{} of {}", inner.len(), inner.ty()),
                other => self::value(&other),
            };
            let mut shown: Vec<_> = array.iter().take(SHOWN).map(element).collect();
            if array.len() > SHOWN {
                shown.push("..".to_owned());
            }
            format!("{} of {}: [{}]", array.len(), array.ty(), shown.join(", "))
        }
    }
}

/// At most 60 characters of a string, in quotes, escaped.
pub(super) fn string(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("..");
    }
    format!("{shown:?}")
}

/// A value as JSON. Numbers that JSON cannot express (NaN, infinities) become strings, and bytes that are not UTF-8 an
/// object.
pub(super) fn json(value: &Value<'_>) -> serde_json::Value {
    match value {
        Value::U8(x) => json!(x),
        Value::I8(x) => json!(x),
        Value::U16(x) => json!(x),
        Value::I16(x) => json!(x),
        Value::U32(x) => json!(x),
        Value::I32(x) => json!(x),
        Value::F32(x) if !x.is_finite() => json!(x.to_string()),
        Value::F32(x) => json!(x),
        Value::Bool(x) => json!(x),
        Value::U64(x) => json!(x),
        Value::I64(x) => json!(x),
        Value::F64(x) if !x.is_finite() => json!(x.to_string()),
        Value::F64(x) => json!(x),
        Value::String(x) => str::from_utf8(x).map_or_else(|_| json!({ "bytes": x }), |text| json!(text)),
        Value::Array(array) => array.iter().map(|element| json(&element)).collect(),
    }
}

/// Type of a value; of an array also that of its elements: `arr[str]`.
pub(super) fn type_name(value: &Value<'_>) -> String {
    match value {
        Value::Array(array) => format!("{}[{}]", ValueType::Array, array.ty()),
        other => other.ty().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (1_874_000_000, "1.87 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        assert_eq!((count(12), count(2_946_000_000)), ("12".to_owned(), "2.95 billion".to_owned()));
    }

    #[test]
    fn strings_are_escaped_and_shortened() {
        assert_eq!(string(b"a\x1b[2J\xff"), "\"a\\u{1b}[2J\u{fffd}\"");
        assert_eq!(string(&[b'x'; 61]), format!("\"{}..\"", "x".repeat(60)));
        assert_eq!(shape(&[]), "scalar");
        assert_eq!(shape(&[2, 3]), "2 x 3");
    }

    #[test]
    fn numbers_have_few_digits() {
        for (x, text) in [
            (Value::F64(1e300), "1e300"),
            (Value::F64(-2.5e-300), "-2.5e-300"),
            (Value::F64(f64::MAX), "1.7976931348623157e308"),
            (Value::F32(f32::MIN_POSITIVE), "1.1754944e-38"),
            (Value::F32(1e-5), "1e-5"),
            (Value::F32(0.001), "0.001"),
            (Value::F64(500_000.0), "500000"),
            (Value::F32(-0.0), "-0"),
            (Value::F64(f64::NEG_INFINITY), "-inf"),
        ] {
            assert_eq!(value(&x), text);
        }
    }

    #[test]
    fn values_that_json_cannot_express_become_strings() {
        assert_eq!(json(&Value::F32(f32::NAN)), json!("NaN"));
        assert_eq!(json(&Value::String(&[0xff])), json!({ "bytes": [255] }));
        assert_eq!(json(&Value::U64(u64::MAX)), json!(u64::MAX));
    }
}
