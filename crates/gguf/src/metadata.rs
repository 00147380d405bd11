//! The key-value pairs of a file.

use crate::{Endian, Error, Field, Options, Value, ValueType, cursor::Cursor, order::Order};

/// The key that tells how tensor data are aligned.
pub(crate) const ALIGNMENT: &str = "general.alignment";

/// Fewest bytes of a pair: 8 + 0 + 4 + 1. An empty key is refused, too, but by a rule of its own.
pub(crate) const SMALLEST_PAIR: u64 = 13;

/// Where the pairs begin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs {
    starts: Vec<u64>,
    order: Order,
}

impl Pairs {
    /// Reads `count` pairs, which the caller has checked to fit, and moves behind them.
    pub(crate) fn read(cursor: &mut Cursor<'_>, count: usize, options: Options) -> Result<Self, Error> {
        let origin = *cursor;
        let mut starts = Vec::with_capacity(count);
        for _ in 0..count {
            let offset = cursor.offset();
            let key = cursor.string(Field::Key)?;
            if key.is_empty() {
                return Err(Error::EmptyKey { offset });
            }
            let ty = ValueType::read(cursor)?;
            Value::read(ty, cursor, options)?;
            starts.push(offset);
        }
        let order = Order::of(count, |i| key_at(origin.moved_to(starts[i])));
        match order {
            Ok(order) => Ok(Self { starts, order }),
            Err(twice) => Err(Error::DuplicateKey { offset: starts[twice.later], first: starts[twice.first] }),
        }
    }

    pub(crate) fn view<'a>(&'a self, bytes: &'a [u8], endian: Endian) -> Metadata<'a> {
        Metadata { pairs: self, cursor: Cursor::new(bytes, 0, endian) }
    }
}

/// The key that begins here; empty if there is none, which a checked file does not have.
fn key_at(mut cursor: Cursor<'_>) -> &[u8] {
    cursor.string(Field::Key).unwrap_or_default()
}

/// The key-value pairs of a file, read from its bytes when asked for.
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
        let start = self.start(key.as_ref())?;
        self.pair(start).map(|(_, value)| value)
    }

    /// All pairs, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> + use<'a> {
        let this = *self;
        this.pairs.starts.iter().filter_map(move |&start| this.pair(start))
    }

    /// Where the pair of a key begins.
    pub(crate) fn start(&self, key: &[u8]) -> Option<u64> {
        let found = self.pairs.order.find(key, |i| key_at(self.cursor.moved_to(self.pairs.starts[i])))?;
        Some(self.pairs.starts[found])
    }

    fn pair(&self, start: u64) -> Option<(&'a [u8], Value<'a>)> {
        let mut cursor = self.cursor.moved_to(start);
        let key = cursor.string(Field::Key).ok()?;
        let ty = ValueType::read(&mut cursor).ok()?;
        Some((key, Value::read(ty, &mut cursor, Options::LENIENT).ok()?))
    }

    /// The alignment of tensor data: 32 unless a key says otherwise.
    pub(crate) fn alignment(&self) -> Result<u32, Error> {
        let Some(offset) = self.start(ALIGNMENT.as_bytes()) else { return Ok(32) };
        match self.pair(offset) {
            Some((_, Value::U32(got))) if got.is_power_of_two() => Ok(got),
            Some((_, Value::U32(got))) => Err(Error::Alignment { offset, got }),
            Some((_, other)) => Err(Error::AlignmentType { offset, got: other.ty() }),
            None => Ok(32),
        }
    }
}
