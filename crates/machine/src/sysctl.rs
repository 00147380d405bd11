//! Named values of the macOS kernel.

use std::{ffi::CString, ptr};

/// The raw bytes of a value, at most 4 KiB; `None` where the name is unknown.
fn bytes(name: &str) -> Option<Vec<u8>> {
    let name = CString::new(name).ok()?;
    let mut buffer = vec![0u8; 4096];
    let mut len = buffer.len();
    // SAFETY: `name` ends in NUL, `buffer` is writable for `len` bytes, and nothing is set (new value null, length 0).
    let rc = unsafe { libc::sysctlbyname(name.as_ptr(), buffer.as_mut_ptr().cast(), &mut len, ptr::null_mut(), 0) };
    if rc != 0 {
        return None;
    }
    buffer.truncate(len);
    Some(buffer)
}

/// A numeric value of 4 or 8 bytes.
pub(crate) fn number(name: &str) -> Option<u64> {
    let bytes = bytes(name)?;
    match bytes.len() {
        4 => Some(u32::from_ne_bytes(bytes.try_into().ok()?).into()),
        8 => Some(u64::from_ne_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

/// A text value without its NUL.
pub(crate) fn text(name: &str) -> Option<String> {
    let bytes = bytes(name)?;
    let text = String::from_utf8_lossy(bytes.split(|&b| b == 0).next()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}
