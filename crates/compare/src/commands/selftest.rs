//! `selftest`: the gate judged by what it must not and must see.

use anyhow::Result;

use crate::cli::Selftest;
use crate::comparison::Context;
use crate::exit::{Exit, usage};

/// Runs the command.
pub fn selftest(_context: &Context, _arguments: &Selftest) -> Result<Exit> {
    Err(usage("to come"))
}
