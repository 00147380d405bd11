//! A cell: one point of a matrix, written `axis=value,axis=value`.

use std::fmt;
use std::str::FromStr;

/// Longest name of an axis and longest value, in bytes.
pub const MAX_WORD_BYTES: usize = 40;
/// Longest cell, in bytes: it is part of file names and of benchmark ids.
pub const MAX_CELL_BYTES: usize = 200;

/// One point of a matrix: a value for each axis, in the order of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell(Vec<(String, String)>);

/// Why a text is no cell, or a cell does not say what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// A part is not `axis=value`.
    #[error("`{part}` is not `axis=value`")]
    Part {
        /// The part.
        part: String,
    },
    /// An axis is not a name.
    #[error("`{name}` is not the name of an axis: a-z first, then a-z, 0-9 and _, at most {MAX_WORD_BYTES} bytes")]
    Name {
        /// The name.
        name: String,
    },
    /// A value has other characters.
    #[error(
        "`{axis}` has the value `{value}`: a value has A-Z, a-z, 0-9, `.`, `_` and `-`, at most {MAX_WORD_BYTES} bytes"
    )]
    Value {
        /// The axis.
        axis: String,
        /// The value.
        value: String,
    },
    /// An axis stands twice.
    #[error("the axis `{axis}` stands twice")]
    Twice {
        /// The axis.
        axis: String,
    },
    /// The text is too long.
    #[error("a cell of {bytes} bytes; at most {MAX_CELL_BYTES}")]
    Long {
        /// Its length.
        bytes: usize,
    },
    /// The cell lacks an axis.
    #[error("the cell `{cell}` has no axis `{axis}`")]
    Missing {
        /// The cell.
        cell: String,
        /// The axis.
        axis: String,
    },
    /// A value is not of the type that was asked for.
    #[error("`{axis}={value}`: not a {wanted}")]
    Type {
        /// The axis.
        axis: String,
        /// The value.
        value: String,
        /// The type.
        wanted: &'static str,
    },
}

impl Cell {
    /// A cell of checked parts.
    ///
    /// # Errors
    /// [`CellError`] for names, values, duplicates and length.
    pub fn new<A: Into<String>, V: Into<String>>(parts: impl IntoIterator<Item = (A, V)>) -> Result<Self, CellError> {
        let mut cell = Self(Vec::new());
        for (axis, value) in parts {
            let (axis, value) = (axis.into(), value.into());
            check_name(&axis)?;
            check_value(&axis, &value)?;
            if cell.get(&axis).is_some() {
                return Err(CellError::Twice { axis });
            }
            cell.0.push((axis, value));
        }
        let bytes = cell.to_string().len();
        if bytes > MAX_CELL_BYTES { Err(CellError::Long { bytes }) } else { Ok(cell) }
    }

    /// The value of an axis.
    pub fn get(&self, axis: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == axis).map(|(_, value)| value.as_str())
    }

    /// The value of an axis that must be there.
    ///
    /// # Errors
    /// [`CellError::Missing`].
    pub fn text(&self, axis: &str) -> Result<&str, CellError> {
        self.get(axis).ok_or_else(|| CellError::Missing { cell: self.to_string(), axis: axis.to_owned() })
    }

    /// The value of an axis as a number, or whatever else can be parsed.
    ///
    /// # Errors
    /// [`CellError::Missing`] and [`CellError::Type`].
    ///
    /// ```
    /// let cell: scenario::Cell = "variant=full,frames=4".parse()?;
    /// assert_eq!(cell.parse::<usize>("frames")?, 4);
    /// assert!(cell.parse::<usize>("variant").is_err());
    /// # Ok::<(), scenario::CellError>(())
    /// ```
    pub fn parse<T: FromStr>(&self, axis: &str) -> Result<T, CellError> {
        let value = self.text(axis)?;
        let wanted = std::any::type_name::<T>();
        let wanted = wanted.rsplit("::").next().unwrap_or(wanted);
        value.parse().map_err(|_| CellError::Type { axis: axis.to_owned(), value: value.to_owned(), wanted })
    }

    /// The same cell with another value on one axis: its counterpart in a ratio.
    #[must_use]
    pub fn with(&self, axis: &str, value: &str) -> Self {
        let other = |(name, old): &(String, String)| (name.clone(), if name == axis { value } else { old }.to_owned());
        Self(self.0.iter().map(other).collect())
    }

    /// The cell without some axes: what a row of a table is called where they are its columns.
    #[must_use]
    pub fn without(&self, axes: &[&str]) -> Self {
        Self(self.0.iter().filter(|(axis, _)| !axes.contains(&axis.as_str())).cloned().collect())
    }

    /// Axes and values in order.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(axis, value)| (axis.as_str(), value.as_str()))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (axis, value)) in self.0.iter().enumerate() {
            write!(f, "{}{axis}={value}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Cell {
    type Err = CellError;

    fn from_str(text: &str) -> Result<Self, CellError> {
        if text.len() > MAX_CELL_BYTES {
            return Err(CellError::Long { bytes: text.len() });
        }
        let part = |part: &str| match part.split_once('=') {
            Some((axis, value)) => Ok((axis.to_owned(), value.to_owned())),
            None => Err(CellError::Part { part: part.to_owned() }),
        };
        Self::new(text.split(',').map(part).collect::<Result<Vec<_>, _>>()?)
    }
}

/// Checks the name of an axis.
pub(crate) fn check_name(name: &str) -> Result<(), CellError> {
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= MAX_WORD_BYTES;
    if good { Ok(()) } else { Err(CellError::Name { name: name.to_owned() }) }
}

/// Checks a value of an axis.
pub(crate) fn check_value(axis: &str, value: &str) -> Result<(), CellError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let good = (1..=MAX_WORD_BYTES).contains(&value.len()) && value.bytes().all(is_plain);
    if good { Ok(()) } else { Err(CellError::Value { axis: axis.to_owned(), value: value.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_back_what_they_show() {
        let text = "variant=full,frames=4,size=0.19b,mode=warm_pool-1";
        let cell: Cell = text.parse().unwrap();
        assert_eq!(cell.to_string(), text);
        assert_eq!((cell.get("frames"), cell.get("batch")), (Some("4"), None));
        assert_eq!(cell.with("variant", "optimized").to_string(), text.replace("full", "optimized"));
        assert_eq!(cell.without(&["variant", "mode"]).to_string(), "frames=4,size=0.19b");
        assert_eq!(cell.parts().count(), 4);
    }

    #[test]
    fn what_is_no_cell_is_refused_with_its_part() {
        let error = |text: &str| text.parse::<Cell>().unwrap_err();
        for text in ["", "a", "a=1,", ",a=1", "a=1,,b=2"] {
            assert!(matches!(error(text), CellError::Part { .. }), "{text}");
        }
        for text in ["=1", "A=1", "1a=1", "a b=1", "a-b=1", "ä=1"] {
            assert!(matches!(error(text), CellError::Name { .. }), "{text}");
        }
        for text in ["a=", "a=1=2", "a= 1", "a=1 ", "a=ä", "a=../x", "a=x/y", "a=\n"] {
            assert!(matches!(error(text), CellError::Value { .. }), "{text}");
        }
        assert_eq!(error("a=1,b=1,a=2"), CellError::Twice { axis: "a".into() });
        assert_eq!(error(&"a".repeat(1000)), CellError::Long { bytes: 1000 });
        assert!(matches!(error(&format!("a={}", "1".repeat(41))), CellError::Value { .. }));
    }

    #[test]
    fn values_are_asked_for_by_type() {
        let cell: Cell = "frames=4,mode=warm".parse().unwrap();
        assert_eq!(cell.parse::<u32>("frames"), Ok(4));
        let error = cell.parse::<u32>("mode").unwrap_err();
        assert_eq!(error.to_string(), "`mode=warm`: not a u32");
        assert_eq!(cell.text("x").unwrap_err().to_string(), "the cell `frames=4,mode=warm` has no axis `x`");
    }
}
