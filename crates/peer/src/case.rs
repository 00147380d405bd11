//! One problem, as the parent process states it.

use op::{ParamError, Parameters, Params, Regime};

use crate::Refusal;

/// One problem: its id, and its parameters and regime from the op's table of cases.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Name of the case in the op's table.
    pub id: String,
    /// Its parameters.
    pub params: Params,
    /// Where the operands are before each run.
    pub regime: Regime,
}

impl Case {
    /// A parameter that is a whole number.
    ///
    /// # Errors
    /// [`Refusal::Error`] if there is none.
    pub fn number(&self, name: &str) -> Result<usize, Refusal> {
        self.params.number(name).map_err(|error| self.refused(&error))
    }

    /// A parameter that is a word.
    ///
    /// # Errors
    /// [`Refusal::Error`] if there is none.
    pub fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.params.text(name).map_err(|error| self.refused(&error))
    }

    /// All parameters in the types of the op.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] for a word that the op does not know, [`Refusal::Error`] for what is missing or of
    /// another kind.
    pub fn read<P: Parameters>(&self) -> Result<P, Refusal> {
        P::from_params(&self.params).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &ParamError) -> Refusal {
        let why = format!("case {}: {error}", self.id);
        if matches!(error, ParamError::Unknown { .. }) { Refusal::Unsupported(why) } else { Refusal::Error(why) }
    }
}
