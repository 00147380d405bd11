//! Device memory, counted.

use std::sync::Arc;

use crate::{GpuError, Wgpu, device::Shared};

/// Memory of a device. Clones are the same memory, which is returned with the last of them.
#[derive(Debug, Clone)]
pub struct Buffer {
    pub(crate) inner: Arc<Counted>,
}

#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) raw: wgpu::Buffer,
    pub(crate) label: &'static str,
    /// Unique on the device.
    pub(crate) id: u64,
    shared: Arc<Shared>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let bytes = self.raw.size();
        self.shared.count(|counts| counts.freed(self.label, bytes));
    }
}

impl Buffer {
    /// Bytes, a multiple of 16.
    pub fn bytes(&self) -> u64 {
        self.inner.raw.size()
    }

    /// What it is for.
    pub fn label(&self) -> &'static str {
        self.inner.label
    }

    /// wgpu's own buffer.
    pub fn raw(&self) -> &wgpu::Buffer {
        &self.inner.raw
    }

    pub(crate) fn check(&self, offset: u64, bytes: u64) -> Result<(), GpuError> {
        let size = self.bytes();
        let wrong = |rule| GpuError::Range { label: self.label().to_owned(), offset, bytes, size, rule };
        if !offset.is_multiple_of(4) || !bytes.is_multiple_of(4) {
            return Err(wrong("whole words are required"));
        }
        match offset.checked_add(bytes) {
            Some(end) if end <= size => Ok(()),
            _ => Err(wrong("a range within the buffer is required")),
        }
    }
}

/// Memory of the host into which results are fetched again and again, each in the submission that computes it.
#[derive(Debug)]
pub struct Readback {
    pub(crate) staging: Buffer,
}

/// Bytes sent with one write.
const CHUNK_BYTES: usize = 64 << 20;

impl Wgpu {
    /// `bytes` bytes of zeros, rounded up to a multiple of 16 and at least 16.
    ///
    /// # Errors
    /// [`GpuError::BufferSize`], [`GpuError::OutOfMemory`].
    pub fn zeros(&self, label: &'static str, bytes: u64) -> Result<Buffer, GpuError> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.allocate(label, bytes, usage)
    }

    /// A few words for a uniform binding.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn uniform(&self, label: &'static str, words: &[u32]) -> Result<Buffer, GpuError> {
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = self.allocate(label, size_of_val(words) as u64, usage)?;
        self.write(&buffer, 0, bytemuck::cast_slice(words))?;
        Ok(buffer)
    }

    /// A buffer with these bytes, followed by zeros up to a multiple of 16.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn upload(&self, label: &'static str, bytes: &[u8]) -> Result<Buffer, GpuError> {
        let buffer = self.zeros(label, bytes.len() as u64)?;
        let whole = bytes.len() / 4 * 4;
        self.write(&buffer, 0, &bytes[..whole])?;
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.write(&buffer, whole as u64, &last)?;
        }
        Ok(buffer)
    }

    /// Replaces bytes of a buffer. Whole words, at a multiple of four.
    ///
    /// # Errors
    /// [`GpuError::Range`], [`GpuError::Validation`].
    pub fn write(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
        buffer.check(offset, bytes.len() as u64)?;
        // In parts, each handed over before the next, so that no copy of the whole waits in memory.
        for (at, part) in bytes.chunks(CHUNK_BYTES).enumerate() {
            let offset = offset + (at * CHUNK_BYTES) as u64;
            self.scoped("write", || self.queue().write_buffer(buffer.raw(), offset, part))?;
            if bytes.len() > CHUNK_BYTES {
                self.queue().submit([]);
                self.shared().count(|counts| counts.submissions += 1);
            }
        }
        self.shared().count(|counts| counts.uploaded_bytes += bytes.len() as u64);
        Ok(())
    }

    /// Bytes of a buffer, after everything that was submitted before. Whole words, at a multiple of four.
    ///
    /// # Errors
    /// [`GpuError::Range`], [`GpuError::OutOfMemory`], [`GpuError::Lost`], [`GpuError::Timeout`].
    pub fn read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>, GpuError> {
        buffer.check(offset, bytes)?;
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let Readback { staging } = self.readback(bytes)?;
        self.scoped("read", || {
            let mut encoder = self.device().create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(buffer.raw(), offset, staging.raw(), 0, bytes);
            self.queue().submit([encoder.finish()]);
        })?;
        self.shared().count(|counts| {
            counts.submissions += 1;
            counts.read_bytes += bytes;
        });
        self.map(&staging, bytes)
    }

    /// [`read`](Self::read) as numbers: `len` of them from number `first` on.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_as<T: bytemuck::Pod>(&self, buffer: &Buffer, first: u64, len: u64) -> Result<Vec<T>, GpuError> {
        let size = size_of::<T>() as u64;
        let (offset, bytes) = (first.saturating_mul(size), len.saturating_mul(size));
        // Types of two bytes begin and end within words.
        let (start, end) = (offset / 4 * 4, offset.saturating_add(bytes).next_multiple_of(4));
        let all = self.read(buffer, start, end - start)?;
        Ok(bytemuck::pod_collect_to_vec(&all[(offset - start) as usize..][..bytes as usize]))
    }

    /// Room for so many bytes of results.
    ///
    /// # Errors
    /// As [`zeros`](Self::zeros).
    pub fn readback(&self, bytes: u64) -> Result<Readback, GpuError> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Readback { staging: self.allocate("readback", bytes, usage)? })
    }

    /// The contents of a buffer that can be mapped.
    pub(crate) fn map(&self, staging: &Buffer, bytes: u64) -> Result<Vec<u8>, GpuError> {
        let slice = staging.raw().slice(..bytes);
        self.scoped("map", || slice.map_async(wgpu::MapMode::Read, |_| {}))?;
        self.wait()?;
        let range = slice
            .get_mapped_range()
            .map_err(|error| GpuError::Validation { doing: "map", message: format!("{error:?}") })?;
        let copy = range.to_vec();
        drop(range);
        staging.raw().unmap();
        Ok(copy)
    }

    pub(crate) fn allocate(
        &self,
        label: &'static str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<Buffer, GpuError> {
        let limit = self.capabilities().buffer_bytes;
        let too_large = GpuError::BufferSize { label: label.to_owned(), bytes, limit };
        let size = bytes.max(1).checked_next_multiple_of(16).filter(|size| *size <= limit).ok_or(too_large)?;
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        let raw =
            self.scoped("allocate", || self.device().create_buffer(&descriptor)).map_err(|error| match error {
                GpuError::OutOfMemory { .. } => GpuError::OutOfMemory { label: label.to_owned(), bytes: size },
                other => other,
            })?;
        self.shared().count(|counts| counts.allocated(label, size));
        let inner = Counted { raw, label, id: self.shared().next_id(), shared: self.shared().clone() };
        Ok(Buffer { inner: Arc::new(inner) })
    }
}
