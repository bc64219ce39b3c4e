//! `--wait`: follows one operation to its end, with a live status line where there is a terminal.

use super::connection::Session;
use super::failure::{Exit, Failure, seconds};
use super::output::Output;
use super::watcher::{News, Watcher};
use super::{Result, text};
use crate::proto::v1::{
    PendingEventType, PendingOperation, PendingStatus, WatchPendingRequest, WatchSnapshot,
    watch_pending_response::Payload,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Watches from `resume_token`, which the answer with `operation` carried: no transition is missed.
/// Returns the last state and its token.
pub(super) async fn until_end(
    session: &Session,
    output: Output,
    operation: PendingOperation,
    resume_token: String,
) -> Result<(PendingOperation, String)> {
    if has_ended(&operation) {
        return Ok((operation, resume_token));
    }
    let request = WatchPendingRequest {
        vault_name: session.vault(),
        certificate_names: vec![operation.certificate_name.clone()],
        request_id: operation.request_id.clone(),
        resume_token,
        // Counts only if the token has expired: an operation that ended meanwhile must be reported too.
        snapshot: WatchSnapshot::All.into(),
        ..Default::default()
    };
    let mut watcher = Watcher::open(session, request).await?;
    let display = Display::new(output);
    display.state(&operation);
    let follow = follow(&mut watcher, &display, operation.clone());
    match session.timeout() {
        None => follow.await,
        Some(limit) => match timeout_at(Instant::now() + limit, follow).await {
            Ok(ended) => ended,
            Err(_elapsed) => Err(out_of_time(&operation, limit)),
        },
    }
}

/// The exit code of an operation that has ended, or the failure to report.
pub(super) fn verdict(operation: &PendingOperation) -> Result<Exit> {
    let name = &operation.certificate_name;
    match PendingStatus::try_from(operation.status) {
        Ok(PendingStatus::Completed) => Ok(Exit::Done),
        Ok(PendingStatus::Cancelled) => {
            Err(Failure::new(Exit::OperationCancelled, format!("the operation of {name} was cancelled")).boxed())
        }
        Ok(PendingStatus::Failed) => {
            let why = operation.error.as_ref().map(text::error_line).unwrap_or_default();
            let message = format!("the operation of {name} failed: {why}");
            let advice = format!("fix the cause and create it again; see: certmint pending show {name}");
            Err(Failure::new(Exit::OperationFailed, message).advise(advice).boxed())
        }
        _ => {
            Err(Failure::new(Exit::Error, format!("the operation of {name} is {}", text::status(operation.status)))
                .boxed())
        }
    }
}

async fn follow(
    watcher: &mut Watcher<'_>,
    display: &Display,
    mut last: PendingOperation,
) -> Result<(PendingOperation, String)> {
    loop {
        match watcher.next().await? {
            News::Message(message) => {
                let Some(Payload::Event(event)) = message.payload else { continue };
                let Some(mut operation) = event.operation else { continue };
                // The filter names it; an older server may not know the filter.
                if operation.request_id != last.request_id {
                    continue;
                }
                if let Some(how) = removed(event.r#type) {
                    let message = format!("the operation of {} was {how} before it ended", operation.certificate_name);
                    return Err(Failure::new(Exit::NotFound, message).boxed());
                }
                // A watch leaves it out, since it never changes.
                operation.csr.clone_from(&last.csr);
                display.state(&operation);
                if has_ended(&operation) {
                    return Ok((operation, watcher.resume_token().to_owned()));
                }
                last = operation;
            }
            News::Interrupted { why, wait } => {
                display.line(&format!("interrupted: {why}; resuming in {}", seconds(wait)));
            }
            News::StartedAnew => display.line("the resume token has expired; reading the current state"),
            News::Ended => return Err(Failure::incomplete_answer("end of the operation")),
        }
    }
}

fn removed(event_type: i32) -> Option<&'static str> {
    match PendingEventType::try_from(event_type) {
        Ok(PendingEventType::Deleted) => Some("deleted"),
        Ok(PendingEventType::Overwritten) => Some("replaced by another"),
        _ => None,
    }
}

/// A state that this client does not know is taken for one that goes on.
fn has_ended(operation: &PendingOperation) -> bool {
    use PendingStatus::{Cancelled, Completed, Failed};
    matches!(PendingStatus::try_from(operation.status), Ok(Completed | Cancelled | Failed))
}

fn out_of_time(operation: &PendingOperation, limit: Duration) -> Box<Failure> {
    let name = &operation.certificate_name;
    Failure::timed_out(&format!("the operation of {name} had not ended"), limit)
        .advise(format!(
            "it is still in progress; to wait for it: certmint watch --name {name} --request-id {} --until-terminal",
            operation.request_id
        ))
        .boxed()
}

/// A line that changes on a terminal; a line for each change elsewhere.
struct Display {
    output: Output,
    live: Option<ProgressBar>,
}

impl Display {
    fn new(output: Output) -> Self {
        let live = output.has_live_line().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { output, live }
    }

    fn state(&self, operation: &PendingOperation) {
        let mut line = format!("{}: {}", operation.certificate_name, text::status_of(operation));
        if !operation.status_details.is_empty() {
            line.push_str(&format!(", {}", operation.status_details));
        }
        let manual = operation
            .issuer
            .as_ref()
            .is_none_or(|issuer| issuer.name.is_empty() || issuer.name.eq_ignore_ascii_case("Unknown"));
        if manual && !has_ended(operation) {
            let name = &operation.certificate_name;
            line.push_str(&format!(" [sign `certmint csr {name}`, then `certmint merge {name} chain.pem`]"));
        }
        self.line(&line);
    }

    fn line(&self, line: &str) {
        let line = line.replace('\n', " ");
        match &self.live {
            Some(bar) => bar.set_message(text::printable(&line)),
            None => self.output.progress(&line),
        }
    }
}

impl Drop for Display {
    /// The line makes room for the result, whatever it is.
    fn drop(&mut self) {
        if let Some(bar) = &self.live {
            bar.finish_and_clear();
        }
    }
}
