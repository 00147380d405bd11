//! One problem, as the parent process states it.

use serde_json::{Map, Value};

use crate::Refusal;

/// One problem: its id, and its parameters from the op's table of cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Name of the case in the op's table.
    pub id: String,
    /// Its parameters: whole numbers and strings.
    pub params: Map<String, Value>,
}

impl Case {
    /// A parameter that is a whole number.
    pub fn number(&self, name: &str) -> Result<usize, Refusal> {
        let number = self.params.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| Refusal::Error(format!("case {}: `{name}` has to be a whole number", self.id)))
    }

    /// A parameter that is a string.
    pub fn text(&self, name: &str) -> Result<&str, Refusal> {
        let text = self.params.get(name).and_then(Value::as_str);
        text.ok_or_else(|| Refusal::Error(format!("case {}: `{name}` has to be a string", self.id)))
    }
}
