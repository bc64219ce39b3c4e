//! The only place that writes to standard output and standard error.

use super::failure::{Exit, Failure, Result};
use super::options::OutputFormat;
use super::text;
use serde_json::{Value, json};
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Writes results in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: OutputFormat,
}

impl Output {
    pub(crate) fn new(format: OutputFormat) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether a live status line makes sense.
    pub(crate) fn has_live_line(self) -> bool {
        !self.is_json() && io::stderr().is_terminal()
    }

    /// The result of a command: indented JSON, or text.
    pub(crate) fn result(self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<()> {
        match self.format {
            OutputFormat::Json => self.raw(format!("{:#}\n", json()).as_bytes()),
            OutputFormat::Text => self.raw(ended_line(text::printable(&text())).as_bytes()),
        }
    }

    /// One of many results, on one line.
    pub(crate) fn item(self, json: impl FnOnce() -> Value, text: impl FnOnce() -> Option<String>) -> Result<()> {
        match self.format {
            OutputFormat::Json => self.raw(format!("{}\n", json()).as_bytes()),
            OutputFormat::Text => match text() {
                Some(line) => self.raw(ended_line(text::printable(&line)).as_bytes()),
                None => Ok(()),
            },
        }
    }

    /// Bytes as they are.
    pub(crate) fn raw(self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            // The reader has seen enough (`certmint watch | head -1`).
            ErrorKind::BrokenPipe => Box::new(Failure::silent(Exit::Done)),
            _ => Failure::new(Exit::Error, format!("cannot write the result: {error}")).boxed(),
        })
    }

    /// Something to know beside the result, on standard error.
    pub(crate) fn note(self, note: &str) {
        match self.format {
            OutputFormat::Json => to_stderr(&format!("{}\n", json!({ "note": note }))),
            OutputFormat::Text => to_stderr(&format!("note: {}\n", text::printable(note))),
        }
    }

    /// Progress of a wait, on standard error; programs that read JSON have the exit code.
    pub(crate) fn progress(self, line: &str) {
        if !self.is_json() {
            to_stderr(&format!("{}\n", text::printable(line)));
        }
    }

    pub(crate) fn failure(self, failure: &Failure, verbose: bool) {
        if failure.is_silent() {
            return;
        }
        match self.format {
            OutputFormat::Json => to_stderr(&format!("{}\n", failure.to_json(verbose))),
            OutputFormat::Text => to_stderr(&text::printable(&failure.to_text(verbose))),
        }
    }
}

fn ended_line(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// There is nowhere to report that standard error is closed.
fn to_stderr(text: &str) {
    let _closed = io::stderr().lock().write_all(text.as_bytes());
}
