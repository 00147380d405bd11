//! The parameters of a case as names and values, for everything that does not know the op's types: JSON, peers,
//! reports.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// One value. In JSON it is a plain boolean, number or string.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A yes or no.
    Flag(bool),
    /// A whole number: an extent, a count, a seed.
    Number(u64),
    /// Any other number: a factor, a quantile.
    Real(f64),
    /// A word: a type, a storage order.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Real(real) => real.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<f64> for Value {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Names and values, in the order of the names.
///
/// ```
/// use op::{ParamError, Params};
/// let params = Params::new().with("m", 8_usize).with("type", "f32");
/// assert_eq!((params.number("m")?, params.text("type")?), (8, "f32"));
/// assert_eq!(params.number("k").unwrap_err().to_string(), "parameter `k` is missing: a whole number is wanted");
/// # Ok::<(), ParamError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(BTreeMap<String, Value>);

/// Why a parameter cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// There is none of this name.
    #[error("parameter `{name}` is missing: {wanted} is wanted")]
    Missing {
        /// Name that was asked for.
        name: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// Its value is of another kind, or out of range.
    #[error("parameter `{name}` is {got}: {wanted} is wanted")]
    Kind {
        /// Name that was asked for.
        name: String,
        /// Its value.
        got: Value,
        /// What it has to be.
        wanted: &'static str,
    },
    /// Its word is none that the op knows.
    #[error("parameter `{name}` is `{got}`: one of {} is wanted", known.join(", "))]
    Unknown {
        /// Name that was asked for.
        name: String,
        /// Its value.
        got: String,
        /// Words that the op knows.
        known: Vec<String>,
    },
}

impl Params {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more; an earlier value of the same name is replaced.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A parameter that is a whole number.
    ///
    /// # Errors
    /// [`ParamError::Missing`], or [`ParamError::Kind`] where it is something else or exceeds `usize`.
    pub fn number(&self, name: &str) -> Result<usize, ParamError> {
        self.read(name, "a whole number", |value| match value {
            Value::Number(number) => usize::try_from(*number).ok(),
            _ => None,
        })
    }

    /// A parameter that is a number; whole numbers are numbers.
    ///
    /// # Errors
    /// [`ParamError::Missing`] or [`ParamError::Kind`].
    pub fn real(&self, name: &str) -> Result<f64, ParamError> {
        self.read(name, "a number", |value| match value {
            Value::Number(number) => Some(*number as f64),
            Value::Real(real) => Some(*real),
            _ => None,
        })
    }

    /// A parameter that is true or false.
    ///
    /// # Errors
    /// [`ParamError::Missing`] or [`ParamError::Kind`].
    pub fn flag(&self, name: &str) -> Result<bool, ParamError> {
        self.read(name, "true or false", |value| match value {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A parameter that is a word.
    ///
    /// # Errors
    /// [`ParamError::Missing`] or [`ParamError::Kind`].
    pub fn text(&self, name: &str) -> Result<&str, ParamError> {
        self.read(name, "a string", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A parameter that is one of several words, each with what it stands for.
    ///
    /// # Errors
    /// As [`text`](Self::text), and [`ParamError::Unknown`] with the words that there are.
    pub fn one_of<T>(&self, name: &str, words: impl IntoIterator<Item = (T, &'static str)>) -> Result<T, ParamError> {
        let got = self.text(name)?;
        let mut known = Vec::new();
        for (value, word) in words {
            if word == got {
                return Ok(value);
            }
            known.push(word.to_owned());
        }
        Err(ParamError::Unknown { name: name.to_owned(), got: got.to_owned(), known })
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        wanted: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, ParamError> {
        let Some(value) = self.0.get(name) else {
            return Err(ParamError::Missing { name: name.to_owned(), wanted });
        };
        read(value).ok_or_else(|| ParamError::Kind { name: name.to_owned(), got: value.clone(), wanted })
    }
}

/// Typed parameters of an op's cases. A table test ([`check_table`](crate::check_table)) holds the two directions
/// against each other.
pub trait Parameters: Sized {
    /// As names and values.
    fn to_params(&self) -> Params;

    /// From names and values; names that the op does not know are ignored.
    ///
    /// # Errors
    /// The first parameter that cannot be used.
    fn from_params(params: &Params) -> Result<Self, ParamError>;
}

impl Parameters for Params {
    fn to_params(&self) -> Params {
        self.clone()
    }

    fn from_params(params: &Params) -> Result<Self, ParamError> {
        Ok(params.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_plain_and_comes_back() {
        let params = Params::new().with("m", 8_u64).with("alpha", 0.5).with("type", "f32").with("fused", true);
        let json = serde_json::to_string(&params).unwrap();
        assert_eq!(json, r#"{"alpha":0.5,"fused":true,"m":8,"type":"f32"}"#);
        assert_eq!(serde_json::from_str::<Params>(&json).unwrap(), params);
    }

    #[test]
    fn every_kind_is_read_as_itself_only() {
        let params = Params::new().with("m", 8_u64).with("alpha", 0.5).with("type", "f32").with("fused", true);
        assert_eq!((params.real("m"), params.real("alpha"), params.flag("fused")), (Ok(8.0), Ok(0.5), Ok(true)));
        let says = |error: ParamError| error.to_string();
        assert_eq!(says(params.number("alpha").unwrap_err()), "parameter `alpha` is 0.5: a whole number is wanted");
        assert_eq!(says(params.text("m").unwrap_err()), "parameter `m` is 8: a string is wanted");
        assert_eq!(says(params.flag("type").unwrap_err()), "parameter `type` is f32: true or false is wanted");
        assert_eq!(says(params.real("fused").unwrap_err()), "parameter `fused` is true: a number is wanted");
        assert_eq!(params.one_of("type", [(1, "f16"), (2, "f32")]), Ok(2));
        let unknown = params.one_of("type", [(1, "f16"), (2, "bf16")]).unwrap_err();
        assert_eq!(says(unknown), "parameter `type` is `f32`: one of f16, bf16 is wanted");
    }
}
