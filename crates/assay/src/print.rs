//! What goes to stdout. A reader that closes early (`| head`) is no error.

use std::{
    fmt::{Display, LowerExp},
    io::{self, Write},
};

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

/// An error, on stderr.
#[expect(clippy::print_stderr, reason = "errors of a binary go to stderr")]
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

/// Something that the user should know though the command succeeds, on stderr.
#[expect(clippy::print_stderr, reason = "warnings of a binary go to stderr")]
pub(crate) fn warning(text: impl Display) {
    eprintln!("warning: {text}");
}

/// A number as short as it can be read back, with an exponent where it would fill the line with zeros.
pub(crate) fn number<T: Copy + Display + LowerExp + Into<f64>>(value: T) -> String {
    let size = value.into();
    if size == 0.0 || !size.is_finite() || (1e-5..1e15).contains(&size.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

fn closed_early(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
