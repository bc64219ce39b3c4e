//! Logging: its destination, format and filter; panics are logged too.

use serde::Deserialize;
use std::io::IsTerminal;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// The variable with the log filter; it overrides the configuration.
pub const FILTER_VARIABLE: &str = "CERTMINT_LOG";

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    // In colours on a terminal, unless `NO_COLOR` is set.
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// How to log.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// `text`, or `json`: an object on each line. Default `text`.
    pub format: LogFormat,
    /// What is logged: a level, and levels for targets, separated by commas, such as `info,certmint::worker=debug`.
    /// Default `info`. The variable `CERTMINT_LOG` wins.
    pub filter: String,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { format: LogFormat::default(), filter: "info".to_owned() }
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(
        "`{filter}` is no log filter ({problem}); write a level such as info, or target=level, separated by commas"
    )]
    Filter { filter: String, problem: String },
    #[error("the log was set up before")]
    AlreadySet,
}

/// Sends the log of this process to standard error, and panics into it. Call it once, first of all.
pub fn init(options: &LogOptions) -> Result<(), TelemetryError> {
    let filter = std::env::var(FILTER_VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let filter = filter.as_deref().unwrap_or(&options.filter);
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(options.format, filter, colours, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::AlreadySet)?;
    log_panics();
    Ok(())
}

/// From here on a panic is one error line with its message and place. The message of a panic is written by the
/// programmer; values of requests do not belong there.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        tracing::error!(place, panic = message, "A task panicked; this is a bug");
    }));
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = targets(filter)?;
    // The filter decides; the lines themselves take everything.
    // A line that cannot be written (disk full, reader gone) is lost; the report of it would go to the same place, and
    // panic there.
    let lines =
        tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).log_internal_errors(false).with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(lines.with_ansi(colours).finish().with(filter)),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_ansi(false).finish().with(filter)),
    })
}

/// Targets and levels alone: filters by the values of fields would bring an engine for regular expressions along.
fn targets(filter: &str) -> Result<Targets, TelemetryError> {
    let parts: Vec<&str> = filter.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let refused = |problem: String| TelemetryError::Filter { filter: filter.to_owned(), problem };
    if let Some(part) = parts.iter().find(|part| part.contains('[')) {
        return Err(refused(format!("{part} names spans or fields")));
    }
    parts.join(",").parse().map_err(|error| refused(format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(format, filter, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_hold_their_fields() {
        let text = logged(LogFormat::Json, "info", || tracing::info!(certificate = "web", "Created"));
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["certificate"]),
            (&"INFO".into(), &"Created".into(), &"web".into())
        );
    }

    #[test]
    fn text_has_no_colours_where_none_are_wanted_and_the_filter_holds() {
        let text = logged(LogFormat::Text, "warn, certmint=error,", || {
            tracing::warn!("not of interest");
            tracing::error!(code = 7, "of interest");
        });
        assert!(text.contains("of interest code=7") && !text.contains("not of") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_wrong_filter_is_refused_in_words() {
        let error = subscriber(LogFormat::Text, "certmint=loud", false, std::io::sink).err().unwrap().to_string();
        assert!(error.starts_with("`certmint=loud` is no log filter"), "{error}");
        let error = subscriber(LogFormat::Text, "info,[request{id=7}]=debug", false, std::io::sink).err().unwrap();
        assert!(error.to_string().contains("[request{id=7}]=debug names spans or fields"), "{error}");
    }

    #[test]
    fn a_panic_is_one_line_with_message_and_place() {
        let text = logged(LogFormat::Json, "error", || {
            log_panics();
            let caught = std::panic::catch_unwind(|| panic!("the answer is {}", 42));
            let _ = std::panic::take_hook();
            assert!(caught.is_err());
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["panic"], "the answer is 42");
        assert!(line["place"].as_str().unwrap().starts_with(file!()), "{line}");
    }
}
