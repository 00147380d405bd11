//! The key-value pairs of a file.

use crate::{Endian, Entry, Error, Field, Options, Rule, Value, ValueType, cursor::Cursor, error::shown, order::Order};

/// The key of the alignment of tensor data.
pub(crate) const ALIGNMENT: &str = "general.alignment";

/// Bytes of the smallest pair: 8 + 0 + 4 + 1. An empty key is refused by a rule of its own.
pub(crate) const SMALLEST_PAIR: u64 = 13;

/// Where each pair begins, and the order of the keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs {
    starts: Vec<u64>,
    order: Order,
}

impl Pairs {
    /// Reads `count` pairs, which the caller has checked to fit, and moves the cursor to the end of the last one.
    pub(crate) fn read(cursor: &mut Cursor<'_>, count: usize, options: Options) -> Result<Self, Error> {
        let origin = *cursor;
        let error_at =
            |i: usize, offset: u64, rule: Rule| Error { entry: Some(entry_at(origin.moved_to(offset), i)), rule };
        let mut starts = Vec::with_capacity(count);
        for i in 0..count {
            let offset = cursor.offset();
            skip_pair(cursor, options).map_err(|rule| error_at(i, offset, rule))?;
            starts.push(offset);
        }
        let order = Order::of(count, |i| key_at(origin.moved_to(starts[i])));
        match order {
            Ok(order) => Ok(Self { starts, order }),
            Err(twice) => {
                let (offset, first) = (starts[twice.later], starts[twice.first]);
                Err(error_at(twice.later, offset, Rule::DuplicateKey { offset, first }))
            }
        }
    }

    pub(crate) fn view<'a>(&'a self, bytes: &'a [u8], endian: Endian) -> Metadata<'a> {
        Metadata { pairs: self, cursor: Cursor::new(bytes, 0, endian) }
    }
}

/// Checks a key and its value, and moves the cursor to their end.
fn skip_pair(cursor: &mut Cursor<'_>, options: Options) -> Result<(), Rule> {
    let offset = cursor.offset();
    if cursor.string(Field::Key)?.is_empty() {
        return Err(Rule::EmptyKey { offset });
    }
    let ty = ValueType::read(cursor)?;
    Value::read(ty, cursor, options).map(drop)
}

/// The pair that begins here, as the entry of an error; `i` counts from 0.
#[cold]
fn entry_at(mut cursor: Cursor<'_>, i: usize) -> Entry {
    Entry::Key { name: cursor.string(Field::Key).ok().map(shown), number: i as u64 + 1 }
}

/// The key that begins here; empty if there is none, which cannot be in a checked file.
fn key_at(mut cursor: Cursor<'_>) -> &[u8] {
    cursor.string(Field::Key).unwrap_or_default()
}

/// The key-value pairs of a file. They are read from its bytes when asked for.
#[derive(Debug, Clone, Copy)]
pub struct Metadata<'a> {
    pairs: &'a Pairs,
    cursor: Cursor<'a>,
}

impl<'a> Metadata<'a> {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.starts.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Value<'a>> {
        let start = self.pairs.starts[self.find(key.as_ref())?];
        self.pair(start).map(|(_, value)| value)
    }

    /// All pairs, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + use<'a> {
        let this = *self;
        this.pairs.starts.iter().filter_map(move |&start| this.pair(start))
    }

    /// Index of a key, in the order of the file.
    fn find(&self, key: &[u8]) -> Option<usize> {
        self.pairs.order.find(key, |i| key_at(self.cursor.moved_to(self.pairs.starts[i])))
    }

    fn pair(&self, start: u64) -> Option<(&'a [u8], Value<'a>)> {
        let mut cursor = self.cursor.moved_to(start);
        let key = cursor.string(Field::Key).ok()?;
        let ty = ValueType::read(&mut cursor).ok()?;
        Some((key, Value::read(ty, &mut cursor, Options::LENIENT).ok()?))
    }

    /// The alignment of tensor data: 32 unless a key says otherwise.
    pub(crate) fn alignment(&self) -> Result<u32, Error> {
        let Some(found) = self.find(ALIGNMENT.as_bytes()) else { return Ok(32) };
        let offset = self.pairs.starts[found];
        let rule = match self.pair(offset) {
            Some((_, Value::U32(got))) if got.is_power_of_two() => return Ok(got),
            Some((_, Value::U32(got))) => Rule::Alignment { offset, got },
            Some((_, other)) => Rule::AlignmentType { offset, got: other.ty() },
            None => return Ok(32),
        };
        Err(Error { entry: Some(entry_at(self.cursor.moved_to(offset), found)), rule })
    }
}
