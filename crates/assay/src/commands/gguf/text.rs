//! Numbers and values as people read them.

use gguf::{Value, ValueType};
use serde_json::json;

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
        Value::F32(x) => x.to_string(),
        Value::Bool(x) => x.to_string(),
        Value::U64(x) => x.to_string(),
        Value::I64(x) => x.to_string(),
        Value::F64(x) => x.to_string(),
        Value::String(x) => string(x),
        Value::Array(array) => {
            let mut shown: Vec<_> = array.iter().take(SHOWN).map(|element| self::value(&element)).collect();
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

/// A value as JSON. Numbers that JSON has no form for (NaN, infinities) become strings, bytes that are no UTF-8 an object.
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
    fn strings_are_escaped_and_cut() {
        assert_eq!(string(b"a\x1b[2J\xff"), "\"a\\u{1b}[2J\u{fffd}\"");
        assert_eq!(string(&[b'x'; 61]), format!("\"{}..\"", "x".repeat(60)));
        assert_eq!(shape(&[]), "scalar");
        assert_eq!(shape(&[2, 3]), "2 x 3");
    }

    #[test]
    fn values_without_a_json_form_become_strings() {
        assert_eq!(json(&Value::F32(f32::NAN)), json!("NaN"));
        assert_eq!(json(&Value::String(&[0xff])), json!({ "bytes": [255] }));
        assert_eq!(json(&Value::U64(u64::MAX)), json!(u64::MAX));
    }
}
