//! `certmint watch`.

use super::connection::Session;
use super::failure::{Exit, Failure, seconds};
use super::output::Output;
use super::watcher::{News, Watcher};
use super::{Result, json, text};
use crate::proto::v1::{
    BookmarkReason, PendingStatus, WatchPendingRequest, WatchPendingResponse, WatchSnapshot,
    watch_pending_response::Payload,
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Arguments of `certmint watch`.
#[derive(Clone, Debug, clap::Args)]
pub struct WatchArgs {
    /// Only this certificate [repeatable]
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,

    /// Only names that begin with this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,

    /// Only this operation
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Only transitions into this state [repeatable]
    #[arg(long = "status", value_enum, value_name = "STATUS")]
    statuses: Vec<StatusArg>,

    /// Resume from the token of an earlier message
    #[arg(long, value_name = "TOKEN", default_value = "", hide_default_value = true)]
    resume: String,

    /// What to show first [default: all with --name or --request-id, else in-progress]
    #[arg(long, value_enum, value_name = "WHICH")]
    snapshot: Option<SnapshotArg>,

    /// Exit when every operation shown has ended; needs --name or --request-id
    #[arg(long)]
    until_terminal: bool,

    /// Ask for a bookmark after this long without an event
    #[arg(long, value_name = "DURATION", value_parser = super::options::duration)]
    heartbeat: Option<Duration>,
}

/// A state of a pending operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum StatusArg {
    /// Waits for the issuer, or for a merge
    InProgress,
    /// The certificate exists
    Completed,
    /// The cancellation took effect
    Cancelled,
    /// The issuer refused it, or an error ended it
    Failed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum SnapshotArg {
    /// None: only changes from now on
    None,
    /// The operations in progress
    InProgress,
    /// Every operation, including ended ones
    All,
}

pub(super) async fn run(session: &Session, output: Output, args: WatchArgs) -> Result<Exit> {
    let request = args.into_request(session.vault())?;
    let mut watcher = Watcher::open(session, request).await?;
    let deadline = session.timeout().map(|limit| (Instant::now() + limit, limit));
    loop {
        let news = match deadline {
            None => watcher.next().await?,
            Some((at, limit)) => match timeout_at(at, watcher.next()).await {
                Ok(news) => news?,
                Err(_elapsed) => return Err(out_of_time(limit, watcher.resume_token())),
            },
        };
        match news {
            News::Message(message) => {
                output.item(|| json::message(&*message), || line(&message))?;
                if is_caught_up(&message) && !output.is_json() {
                    output.note("caught up; what follows is live");
                }
            }
            News::Interrupted { why, wait } => {
                output.note(&format!("interrupted: {why}; resuming in {}", seconds(wait)));
            }
            News::StartedAnew => {
                output.note("the resume token has expired: starting again; transitions since that token may be missing")
            }
            News::Ended => return Ok(Exit::Done),
        }
    }
}

impl WatchArgs {
    fn into_request(self, vault_name: String) -> Result<WatchPendingRequest> {
        let Self { names, prefix, request_id, statuses, resume, snapshot, until_terminal, heartbeat } = self;
        if until_terminal && names.is_empty() && request_id.is_empty() {
            return Err(Failure::usage("--until-terminal needs --name or --request-id"));
        }
        let heartbeat_interval = heartbeat
            .map(prost_types::Duration::try_from)
            .transpose()
            .map_err(|_| Failure::usage("--heartbeat is too long"))?;
        Ok(WatchPendingRequest {
            vault_name,
            certificate_names: names,
            certificate_name_prefix: prefix,
            request_id,
            statuses: statuses.into_iter().map(|status| PendingStatus::from(status).into()).collect(),
            resume_token: resume,
            snapshot: snapshot.map_or(WatchSnapshot::Unspecified, Into::into).into(),
            until_terminal,
            heartbeat_interval,
            include_csr: false,
        })
    }
}

/// Text shows events only: signs of life are for programs, which store their tokens.
fn line(message: &WatchPendingResponse) -> Option<String> {
    match &message.payload {
        Some(Payload::Event(event)) => Some(text::event(event, &message.resume_token)),
        Some(Payload::Bookmark(_)) | None => None,
    }
}

fn is_caught_up(message: &WatchPendingResponse) -> bool {
    matches!(&message.payload, Some(Payload::Bookmark(it)) if it.reason == i32::from(BookmarkReason::CaughtUp))
}

fn out_of_time(limit: Duration, resume_token: &str) -> Box<Failure> {
    let failure = Failure::timed_out("the watch was ended", limit);
    if resume_token.is_empty() {
        return failure.boxed();
    }
    failure.advise(format!("resume with: certmint watch --resume {resume_token}")).boxed()
}

impl From<StatusArg> for PendingStatus {
    fn from(arg: StatusArg) -> Self {
        match arg {
            StatusArg::InProgress => Self::InProgress,
            StatusArg::Completed => Self::Completed,
            StatusArg::Cancelled => Self::Cancelled,
            StatusArg::Failed => Self::Failed,
        }
    }
}

impl From<SnapshotArg> for WatchSnapshot {
    fn from(arg: SnapshotArg) -> Self {
        match arg {
            SnapshotArg::None => Self::None,
            SnapshotArg::InProgress => Self::InProgress,
            SnapshotArg::All => Self::All,
        }
    }
}
