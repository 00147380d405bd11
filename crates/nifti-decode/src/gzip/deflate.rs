//! libdeflate as two owned types.

use std::{ffi::c_void, ptr::NonNull};

use libdeflate_sys as sys;

/// Unpacks whole DEFLATE streams.
#[derive(Debug)]
pub(crate) struct Inflater(NonNull<sys::libdeflate_decompressor>);

// SAFETY: a decompressor is plain memory and is not tied to a thread.
unsafe impl Send for Inflater {}

/// Bytes that were read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) packed: usize,
    pub(crate) unpacked: usize,
}

/// Why a stream was not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is damaged or truncated, or its checksum is wrong: libdeflate does not report which.
    Bad,
    /// It holds more than the output.
    Long,
}

impl Inflater {
    /// # Panics
    /// When there is no memory for its tables (11 KiB), as Rust's own allocations do.
    pub(crate) fn new() -> Self {
        // SAFETY: no preconditions.
        let decompressor = unsafe { sys::libdeflate_alloc_decompressor() };
        Self(NonNull::new(decompressor).expect("no memory for a decompressor"))
    }

    /// Unpacks the gzip member at the beginning of `packed`; checks its CRC-32 and size.
    pub(crate) fn member(&mut self, packed: &[u8], out: &mut [u8]) -> Result<Moved, Refused> {
        self.run(sys::libdeflate_gzip_decompress_ex, packed, out)
    }

    /// Unpacks the raw DEFLATE stream at the beginning of `packed`.
    pub(crate) fn raw(&mut self, packed: &[u8], out: &mut [u8]) -> Result<Moved, Refused> {
        self.run(sys::libdeflate_deflate_decompress_ex, packed, out)
    }

    fn run(&mut self, decompress: Decompress, packed: &[u8], out: &mut [u8]) -> Result<Moved, Refused> {
        let mut moved = Moved { packed: 0, unpacked: 0 };
        // SAFETY: the decompressor is valid and borrowed mutably; both ranges are slices; both counts are writable.
        let result = unsafe {
            decompress(
                self.0.as_ptr(),
                packed.as_ptr().cast(),
                packed.len(),
                out.as_mut_ptr().cast(),
                out.len(),
                &raw mut moved.packed,
                &raw mut moved.unpacked,
            )
        };
        match result {
            sys::libdeflate_result_LIBDEFLATE_SUCCESS => Ok(moved),
            sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Err(Refused::Long),
            _ => Err(Refused::Bad),
        }
    }
}

type Decompress = unsafe extern "C" fn(
    *mut sys::libdeflate_decompressor,
    *const c_void,
    usize,
    *mut c_void,
    usize,
    *mut usize,
    *mut usize,
) -> sys::libdeflate_result;

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once.
        unsafe { sys::libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}

/// Compression level: 0 stores, 1 is fast, 12 is smallest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(i32);

impl Level {
    pub(crate) fn new(level: u8) -> Self {
        Self(i32::from(level.min(12)))
    }
}

/// Packs whole DEFLATE streams.
#[derive(Debug)]
pub(crate) struct Deflater(NonNull<sys::libdeflate_compressor>);

// SAFETY: a compressor is plain memory and is not tied to a thread.
unsafe impl Send for Deflater {}

impl Deflater {
    /// # Panics
    /// When there is no memory for its tables, as Rust's own allocations do.
    pub(crate) fn new(level: Level) -> Self {
        // SAFETY: levels 0 to 12 are valid.
        let compressor = unsafe { sys::libdeflate_alloc_compressor(level.0) };
        Self(NonNull::new(compressor).expect("no memory for a compressor"))
    }

    /// Appends a raw DEFLATE stream of `bytes` to `out`; returns its length.
    pub(crate) fn raw(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let start = out.len();
        // SAFETY: the compressor is valid.
        let bound = unsafe { sys::libdeflate_deflate_compress_bound(self.0.as_ptr(), bytes.len()) };
        out.resize(start + bound, 0);
        let room = &mut out[start..];
        // SAFETY: the compressor is valid and borrowed mutably; both ranges are slices.
        let packed = unsafe {
            sys::libdeflate_deflate_compress(
                self.0.as_ptr(),
                bytes.as_ptr().cast(),
                bytes.len(),
                room.as_mut_ptr().cast(),
                room.len(),
            )
        };
        // 0 would mean that the bound was too small, which it is not.
        out.truncate(start + packed);
        packed
    }
}

impl Drop for Deflater {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, freed once.
        unsafe { sys::libdeflate_free_compressor(self.0.as_ptr()) }
    }
}

/// CRC-32 of gzip, continued from `crc`; 0 begins.
pub(crate) fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the range is a slice.
    unsafe { sys::libdeflate_crc32(crc, bytes.as_ptr().cast(), bytes.len()) }
}
