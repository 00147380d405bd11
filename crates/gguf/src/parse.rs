//! Reads a file's header, checks it, and hands out views.

use crate::{
    DataError, Endian, Entry, Error, Field, Metadata, Options, Rule, Tensor,
    cursor::Cursor,
    error::shown,
    metadata::{Pairs, SMALLEST_PAIR},
    order::Order,
    tensor::SMALLEST_ENTRY,
};

/// The first four bytes of every file.
const MAGIC: &[u8] = b"GGUF";

/// A checked GGUF file in any kind of memory: `&[u8]`, `Vec<u8>`, a mapping.
#[derive(Debug, Clone)]
pub struct Gguf<B> {
    bytes: B,
    header: Header,
}

impl<B: AsRef<[u8]>> Gguf<B> {
    /// Checks a file by the rules of the container that llama.cpp checks.
    ///
    /// # Errors
    /// The first rule that the file breaks, see [`Error`].
    pub fn parse(bytes: B) -> Result<Self, Error> {
        Self::parse_with(bytes, Options::default())
    }

    /// Checks a file; the options say what is accepted beyond that.
    ///
    /// # Errors
    /// The first rule that the file breaks, see [`Error`].
    pub fn parse_with(bytes: B, options: Options) -> Result<Self, Error> {
        let slice = bytes.as_ref();
        let header = Header::parse(slice, slice.len() as u64, options)?;
        Ok(Self { bytes, header })
    }

    /// The owner of the bytes.
    pub(crate) fn as_bytes(&self) -> &B {
        &self.bytes
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// Version of the format: 2 or 3.
    pub fn version(&self) -> u32 {
        self.header.version
    }

    /// Byte order of all numbers in the file, those of the tensor data included.
    pub fn endian(&self) -> Endian {
        self.header.endian
    }

    /// Alignment of tensor data, in bytes.
    pub fn alignment(&self) -> u32 {
        self.header.alignment
    }

    /// Where the data section begins, in bytes: the end of the header, padded to the alignment if there are tensors.
    pub fn data_start(&self) -> u64 {
        self.header.data_start
    }

    /// The key-value pairs.
    pub fn metadata(&self) -> Metadata<'_> {
        self.header.pairs.view(self.bytes(), self.header.endian)
    }

    /// Number of tensors.
    pub fn tensor_count(&self) -> usize {
        self.header.entries.len()
    }

    /// All tensors, in the order of the file, which is that of their data.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.header.entries.iter().filter_map(move |&entry| self.header.tensor(self.bytes(), entry))
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: impl AsRef<[u8]>) -> Option<Tensor<'_>> {
        let cursor = self.header.cursor(self.bytes());
        let found = self.header.order.find(name.as_ref(), |i| name_at(cursor.moved_to(self.header.entries[i].info)))?;
        self.header.tensor(self.bytes(), self.header.entries[found])
    }

    /// Where the data of the last tensor end, in bytes, without padding; the end of the header if there are no tensors.
    pub fn data_end(&self) -> u64 {
        let last = self.header.entries.last().and_then(|&last| self.header.tensor(self.bytes(), last));
        last.map_or(self.header.data_start, |tensor| tensor.start() + tensor.bytes())
    }

    /// The bytes that follow the data of the last tensor and their padding. No rule forbids them, and nothing reads
    /// them.
    pub fn trailing(&self) -> &[u8] {
        let end = self.data_end();
        let padded = if self.tensor_count() == 0 { Some(end) } else { padded(end, self.alignment()) };
        let start = padded.and_then(|start| usize::try_from(start).ok());
        start.and_then(|start| self.bytes().get(start..)).unwrap_or_default()
    }

    /// Where another GGUF file begins, in bytes, if one follows the data of the last tensor: files were joined.
    pub fn next_file(&self) -> Option<u64> {
        let end = self.data_end();
        let begins = |at: &u64| {
            let rest = usize::try_from(*at).ok().and_then(|at| self.bytes().get(at..));
            rest.is_some_and(|rest| rest.starts_with(MAGIC))
        };
        // Writers may leave out the padding of the last tensor.
        [padded(end, self.alignment()).unwrap_or(end), end].into_iter().find(begins)
    }

    /// The data of a tensor of this file, in the byte order of the file.
    ///
    /// # Errors
    /// [`DataError::ForeignTensor`] if the tensor is of a larger file.
    pub fn data(&self, tensor: &Tensor<'_>) -> Result<&[u8], DataError> {
        let bytes = self.bytes();
        let (got, need) = (bytes.len() as u64, tensor.start().saturating_add(tensor.bytes()));
        // Both fit into `usize` if they are inside.
        let range = (need <= got).then(|| tensor.start() as usize..need as usize);
        let foreign = || DataError::ForeignTensor { tensor: shown(tensor.name), got, need };
        range.and_then(|range| bytes.get(range)).ok_or_else(foreign)
    }
}

/// What is kept of a header: the offsets of its parts.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    version: u32,
    endian: Endian,
    alignment: u32,
    pub(crate) data_start: u64,
    pairs: Pairs,
    entries: Vec<Offsets>,
    order: Order,
}

/// Where an entry of the tensor table begins, and where its data begin, from the beginning of the file.
#[derive(Debug, Clone, Copy)]
struct Offsets {
    info: u64,
    data: u64,
}

impl Header {
    /// Reads a header from the beginning of `bytes`; the data of the tensors must lie within `file_len` bytes.
    pub(crate) fn parse(bytes: &[u8], file_len: u64, options: Options) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, 0, Endian::Little);
        let got = cursor.take(4, Field::Magic)?;
        if got != MAGIC {
            return Err(Rule::Magic { got: [got[0], got[1], got[2], got[3]] }.into());
        }
        let (version, endian) = version(&mut cursor, options)?;
        cursor = cursor.with_endian(endian);
        let n_tensors = cursor.count(SMALLEST_ENTRY, Field::TensorCount)?;
        let n_pairs = cursor.count(SMALLEST_PAIR, Field::KeyCount)?;
        let pairs = Pairs::read(&mut cursor, n_pairs, options)?;
        let alignment = pairs.view(bytes, endian).alignment()?;

        // The limit was computed before the pairs were read; fewer bytes remain now.
        let most = cursor.remaining() / SMALLEST_ENTRY;
        if n_tensors as u64 > most {
            let (offset, field) = (8, Field::TensorCount);
            return Err(Rule::Count { offset, field, got: n_tensors as i64, most }.into());
        }
        let table = cursor;
        let error_at =
            |i: usize, offset: u64, rule: Rule| Error { entry: Some(entry_at(table.moved_to(offset), i)), rule };
        let mut entries = Vec::with_capacity(n_tensors);
        let mut section_bytes = 0_u64;
        for i in 0..n_tensors {
            let offset = cursor.offset();
            let (tensor, data) = Tensor::read(&mut cursor).map_err(|rule| error_at(i, offset, rule))?;
            if data != section_bytes {
                return Err(error_at(i, offset, Rule::DataOffset { offset, got: data, need: section_bytes }));
            }
            entries.push(Offsets { info: offset, data });
            let padded = padded(tensor.bytes(), alignment).and_then(|bytes| section_bytes.checked_add(bytes));
            section_bytes = padded.ok_or_else(|| error_at(i, offset, Rule::Size { offset }))?;
        }
        let order = Order::of(n_tensors, |i| name_at(table.moved_to(entries[i].info))).map_err(|twice| {
            let (offset, first) = (entries[twice.later].info, entries[twice.first].info);
            error_at(twice.later, offset, Rule::DuplicateTensor { offset, first })
        })?;
        let data_start = data_start(&cursor, n_tensors, alignment, file_len)?;
        let mut header = Self { version, endian, alignment, data_start, pairs, entries, order };
        header.place(bytes, file_len)?;
        Ok(header)
    }

    /// Converts offsets in the data section to offsets in the file, and checks that the data end within the file.
    fn place(&mut self, bytes: &[u8], file_len: u64) -> Result<(), Error> {
        let cursor = self.cursor(bytes);
        for (i, entry) in self.entries.iter_mut().enumerate() {
            let offset = entry.info;
            let error = |rule| Error { entry: Some(entry_at(cursor.moved_to(offset), i)), rule };
            let (tensor, data) = Tensor::read(&mut cursor.moved_to(offset)).map_err(error)?;
            let start = data.checked_add(self.data_start);
            let end = start.and_then(|start| start.checked_add(tensor.bytes()));
            let end = end.ok_or_else(|| error(Rule::Size { offset }))?;
            if end > file_len {
                return Err(error(Rule::DataBounds { offset, got: file_len, need: end }));
            }
            entry.data = end - tensor.bytes();
        }
        Ok(())
    }

    fn cursor<'a>(&self, bytes: &'a [u8]) -> Cursor<'a> {
        Cursor::new(bytes, 0, self.endian)
    }

    fn tensor<'a>(&self, bytes: &'a [u8], entry: Offsets) -> Option<Tensor<'a>> {
        let (tensor, _) = Tensor::read(&mut self.cursor(bytes).moved_to(entry.info)).ok()?;
        Some(tensor.placed(entry.data))
    }

    /// All tensors, in the order of the file.
    pub(crate) fn tensors<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Tensor<'a>> {
        self.entries.iter().filter_map(move |&entry| self.tensor(bytes, entry))
    }
}

/// The version, and the byte order that it implies. The magic is the same in both byte orders, but the low half of a
/// big-endian version is zero when it is read as little-endian.
fn version(cursor: &mut Cursor<'_>, options: Options) -> Result<(u32, Endian), Rule> {
    let got = cursor.u32(Field::Version)?;
    let (got, endian) = match got {
        1.. if got & 0xffff == 0 && options.big_endian => (got.swap_bytes(), Endian::Big),
        1.. if got & 0xffff == 0 => return Err(Rule::BigEndian { got }),
        _ => (got, Endian::Little),
    };
    if matches!(got, 2 | 3) { Ok((got, endian)) } else { Err(Rule::Version { got }) }
}

/// The tensor whose entry begins here, as the entry of an error; `i` counts from 0.
#[cold]
fn entry_at(mut cursor: Cursor<'_>, i: usize) -> Entry {
    Entry::Tensor { name: cursor.string(Field::TensorName).ok().map(shown), number: i as u64 + 1 }
}

/// The name that begins here; empty if there is none, which cannot be in a checked file.
fn name_at(mut cursor: Cursor<'_>) -> &[u8] {
    cursor.string(Field::TensorName).unwrap_or_default()
}

/// Where the data section begins. A file without tensors has neither a data section nor padding.
fn data_start(cursor: &Cursor<'_>, n_tensors: usize, alignment: u32, file_len: u64) -> Result<u64, Rule> {
    let end = cursor.offset();
    if n_tensors == 0 {
        return Ok(end);
    }
    let start = padded(end, alignment).filter(|&start| start <= file_len);
    let need = u64::from(alignment) - end % u64::from(alignment);
    start.ok_or(Rule::Truncated { offset: end, field: Field::Padding, got: file_len.saturating_sub(end), need })
}

fn padded(bytes: u64, alignment: u32) -> Option<u64> {
    bytes.checked_next_multiple_of(alignment.into())
}
