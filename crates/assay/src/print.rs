//! What goes to stdout. A reader that closes early (`| head`) is no error.

use std::io::{self, Write};

use anyhow::Result;

/// Lines of text.
pub(crate) fn lines(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = lines.into_iter().try_for_each(|line| writeln!(out, "{}", line.as_ref()));
    closed_early(outcome.and_then(|()| out.flush()))
}

/// A JSON value, indented.
pub(crate) fn json(value: &serde_json::Value) -> Result<()> {
    lines([format!("{value:#}")])
}

fn closed_early(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
