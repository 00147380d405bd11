//! Reads a file's header, checks it, and hands out views.

use crate::{
    Endian, Error, Field, Metadata, Options, Tensor,
    cursor::Cursor,
    metadata::{Pairs, SMALLEST_PAIR},
    order::Order,
    tensor::SMALLEST_ENTRY,
};

/// A checked GGUF file in any memory: `&[u8]`, `Vec<u8>`, a mapping.
#[derive(Debug, Clone)]
pub struct Gguf<B> {
    bytes: B,
    header: Header,
}

impl<B: AsRef<[u8]>> Gguf<B> {
    /// Checks a file by the rules of llama.cpp.
    ///
    /// # Errors
    /// The first rule that the file breaks, see [`Error`].
    pub fn parse(bytes: B) -> Result<Self, Error> {
        Self::parse_with(bytes, Options::default())
    }

    /// Checks a file, and accepts what the options say.
    ///
    /// # Errors
    /// The first rule that the file breaks, see [`Error`].
    pub fn parse_with(bytes: B, options: Options) -> Result<Self, Error> {
        let slice = bytes.as_ref();
        let header = Header::parse(slice, slice.len() as u64, options)?;
        Ok(Self { bytes, header })
    }

    /// What holds the bytes.
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

    /// Order of the bytes in all numbers of the file, those of the tensor data included.
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

    /// The data of a tensor of this file, as they stand there: in the byte order of the file.
    ///
    /// # Errors
    /// [`Error::ForeignTensor`] if the tensor is of a larger file.
    pub fn data(&self, tensor: &Tensor<'_>) -> Result<&[u8], Error> {
        let bytes = self.bytes();
        let (got, need) = (bytes.len() as u64, tensor.start().saturating_add(tensor.bytes()));
        // Both fit into `usize` if they are inside.
        let range = (need <= got).then(|| tensor.start() as usize..need as usize);
        range.and_then(|range| bytes.get(range)).ok_or(Error::ForeignTensor { got, need })
    }
}

/// What is kept of a header: where things are.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    version: u32,
    endian: Endian,
    alignment: u32,
    pub(crate) data_start: u64,
    pairs: Pairs,
    entries: Vec<Entry>,
    order: Order,
}

/// Where an entry of the tensor table begins, and where its data begin, from the beginning of the file.
#[derive(Debug, Clone, Copy)]
struct Entry {
    info: u64,
    data: u64,
}

impl Header {
    /// Reads a header from the beginning of `bytes`; the data of the tensors must lie within `file_len` bytes.
    pub(crate) fn parse(bytes: &[u8], file_len: u64, options: Options) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, 0, Endian::Little);
        let got = cursor.take(4, Field::Magic)?;
        if got != b"GGUF" {
            return Err(Error::Magic { got: [got[0], got[1], got[2], got[3]] });
        }
        let (version, endian) = version(&mut cursor, options)?;
        cursor = cursor.with_endian(endian);
        let n_tensors = cursor.count(SMALLEST_ENTRY, Field::TensorCount)?;
        let n_pairs = cursor.count(SMALLEST_PAIR, Field::KeyCount)?;
        let pairs = Pairs::read(&mut cursor, n_pairs, options)?;
        let alignment = pairs.view(bytes, endian).alignment()?;

        // Counted when nothing of the pairs had been read; now less may be left.
        let most = cursor.remaining() / SMALLEST_ENTRY;
        if n_tensors as u64 > most {
            let (offset, field) = (8, Field::TensorCount);
            return Err(Error::Count { offset, field, got: n_tensors as i64, most });
        }
        let table = cursor;
        let mut entries = Vec::with_capacity(n_tensors);
        let mut section_bytes = 0_u64;
        for _ in 0..n_tensors {
            let offset = cursor.offset();
            let (tensor, data) = Tensor::read(&mut cursor)?;
            if data != section_bytes {
                return Err(Error::DataOffset { offset, got: data, need: section_bytes });
            }
            entries.push(Entry { info: offset, data });
            let padded = padded(tensor.bytes(), alignment).and_then(|bytes| section_bytes.checked_add(bytes));
            section_bytes = padded.ok_or(Error::Size { offset })?;
        }
        let order = Order::of(n_tensors, |i| name_at(table.moved_to(entries[i].info))).map_err(|twice| {
            Error::DuplicateTensor { offset: entries[twice.later].info, first: entries[twice.first].info }
        })?;
        let data_start = data_start(&cursor, n_tensors, alignment, file_len)?;
        let mut header = Self { version, endian, alignment, data_start, pairs, entries, order };
        header.place(bytes, file_len)?;
        Ok(header)
    }

    /// Turns offsets in the data section into offsets in the file, which the data must not leave.
    fn place(&mut self, bytes: &[u8], file_len: u64) -> Result<(), Error> {
        let cursor = self.cursor(bytes);
        for entry in &mut self.entries {
            let offset = entry.info;
            let (tensor, data) = Tensor::read(&mut cursor.moved_to(offset))?;
            let start = data.checked_add(self.data_start);
            let end = start.and_then(|start| start.checked_add(tensor.bytes())).ok_or(Error::Size { offset })?;
            if end > file_len {
                return Err(Error::DataBounds { offset, got: file_len, need: end });
            }
            entry.data = end - tensor.bytes();
        }
        Ok(())
    }

    fn cursor<'a>(&self, bytes: &'a [u8]) -> Cursor<'a> {
        Cursor::new(bytes, 0, self.endian)
    }

    fn tensor<'a>(&self, bytes: &'a [u8], entry: Entry) -> Option<Tensor<'a>> {
        let (tensor, _) = Tensor::read(&mut self.cursor(bytes).moved_to(entry.info)).ok()?;
        Some(tensor.placed(entry.data))
    }

    /// Name and size of every tensor, with where its data begin.
    pub(crate) fn tensors<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Tensor<'a>> {
        self.entries.iter().filter_map(move |&entry| self.tensor(bytes, entry))
    }
}

/// The version, and the byte order that it gives away: the magic is the same in both, but a big-endian 3 has its low half
/// zero when read as little-endian.
fn version(cursor: &mut Cursor<'_>, options: Options) -> Result<(u32, Endian), Error> {
    let got = cursor.u32(Field::Version)?;
    let (got, endian) = match got {
        1.. if got & 0xffff == 0 && options.big_endian => (got.swap_bytes(), Endian::Big),
        1.. if got & 0xffff == 0 => return Err(Error::BigEndian { got }),
        _ => (got, Endian::Little),
    };
    if matches!(got, 2 | 3) { Ok((got, endian)) } else { Err(Error::Version { got }) }
}

/// The name that begins here; empty if there is none, which a checked file does not have.
fn name_at(mut cursor: Cursor<'_>) -> &[u8] {
    cursor.string(Field::TensorName).unwrap_or_default()
}

/// Where the data section begins. Without tensors there is none, and no padding either.
fn data_start(cursor: &Cursor<'_>, n_tensors: usize, alignment: u32, file_len: u64) -> Result<u64, Error> {
    let end = cursor.offset();
    if n_tensors == 0 {
        return Ok(end);
    }
    let start = padded(end, alignment).filter(|&start| start <= file_len);
    let need = u64::from(alignment) - end % u64::from(alignment);
    start.ok_or(Error::Truncated { offset: end, field: Field::Padding, got: file_len.saturating_sub(end), need })
}

fn padded(bytes: u64, alignment: u32) -> Option<u64> {
    bytes.checked_next_multiple_of(alignment.into())
}
