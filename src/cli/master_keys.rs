//! `certmint reseal` and `certmint keys`: which records need which master key, and bringing them under the newest one.

use super::connection::{MasterKeyCalls, Repeat, Session};
use super::failure::{Exit, Failure, seconds};
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{GetMasterKeysRequest, MasterKeys, Reseal, ResealRequest, ResealState, StopResealRequest};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Code;

/// Between two looks at work that is waited for.
const LOOK: Duration = Duration::from_millis(500);
/// Between two lines about it.
const TOLD: Duration = Duration::from_secs(10);

/// Arguments of `certmint reseal`.
#[derive(Clone, Debug, clap::Args)]
pub struct ResealArgs {
    /// Wait until it is done
    #[arg(long)]
    wait: bool,

    /// End the work that is under way; what was done stays
    #[arg(long, conflicts_with = "wait")]
    stop: bool,
}

/// The commands of `certmint keys`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Show how many records need each master key, and whether one can be taken out
    Status {
        /// Count anew, and wait for it
        #[arg(long)]
        count: bool,
    },
}

pub(super) async fn reseal(session: &Session, output: Output, args: ResealArgs) -> Result<Exit> {
    let ResealArgs { wait, stop } = args;
    if stop {
        let answer = session.call(Repeat::Safe, StopResealRequest {}, MasterKeyCalls::stop_reseal).await?;
        return print(output, &known(answer.master_keys)?);
    }
    let now = begin(session, false).await?;
    if !wait {
        return print(output, &now);
    }
    let now = until_end(session, output, now).await?;
    print(output, &now)?;
    verdict(&now)
}

pub(super) async fn keys(session: &Session, output: Output, command: KeysCommand) -> Result<Exit> {
    let KeysCommand::Status { count } = command;
    let now = if count {
        let now = begin(session, true).await?;
        let now = until_end(session, output, now).await?;
        verdict(&now)?;
        now
    } else {
        status(session).await?
    };
    print(output, &now)
}

/// What `certmint doctor` says of them, or what is wrong and what to do.
pub(super) async fn finding(session: &Session) -> std::result::Result<String, (String, String)> {
    let now = match session.call(Repeat::Safe, GetMasterKeysRequest {}, MasterKeyCalls::get_master_keys).await {
        Ok(answer) => answer.master_keys.unwrap_or_default(),
        Err(failure) if failure.code == Some(crate::proto::code_name(Code::PermissionDenied)) => {
            return Ok("not looked at: that takes the right to read master keys".to_owned());
        }
        Err(failure) => {
            return Err((failure.message, failure.advice.unwrap_or_else(|| "see the log of the server".to_owned())));
        }
    };
    let missing: Vec<&str> = now.keys.iter().filter(|key| !key.known).map(|key| key.id.as_str()).collect();
    if !missing.is_empty() {
        let problem = format!("records need {}, which the server does not have", missing.join(", "));
        return Err((problem, "add the lines of these master keys, and restart the server".to_owned()));
    }
    let unused: Vec<&str> = now
        .keys
        .iter()
        .filter(|key| !key.newest && key.records == Some(0) && now.unread_records == 0)
        .filter(|key| !text::master_keys::is_written(&now.replicas, key))
        .map(|key| key.id.as_str())
        .collect();
    let newest = now.keys.iter().find(|key| key.newest).map_or("", |key| key.id.as_str());
    if unused.is_empty() {
        return Ok(format!("{} known, {newest} encrypts", now.keys.len()));
    }
    Ok(format!(
        "{} known, {newest} encrypts; no record needs {} (certmint keys status)",
        now.keys.len(),
        unused.join(", ")
    ))
}

async fn begin(session: &Session, counts_only: bool) -> Result<MasterKeys> {
    let answer = session.call(Repeat::Safe, ResealRequest { counts_only }, MasterKeyCalls::reseal).await?;
    known(answer.master_keys)
}

async fn status(session: &Session) -> Result<MasterKeys> {
    let answer = session.call(Repeat::Safe, GetMasterKeysRequest {}, MasterKeyCalls::get_master_keys).await?;
    known(answer.master_keys)
}

fn known(answer: Option<MasterKeys>) -> Result<MasterKeys> {
    answer.ok_or_else(|| Failure::incomplete_answer("master_keys"))
}

fn is_running(now: &MasterKeys) -> bool {
    now.reseal.as_ref().is_some_and(|work| work.state() == ResealState::Running)
}

/// Looks at it now and then until it has ended.
async fn until_end(session: &Session, output: Output, mut now: MasterKeys) -> Result<MasterKeys> {
    let (begun, mut told) = (Instant::now(), Instant::now());
    while is_running(&now) {
        if let Some(limit) = session.timeout().filter(|limit| begun.elapsed() >= *limit) {
            let advice = "it goes on without this command: certmint keys status";
            return Err(Failure::timed_out("the work has not ended", limit).advise(advice).boxed());
        }
        if told.elapsed() >= TOLD {
            told = Instant::now();
            let work = now.reseal.clone().unwrap_or_default();
            output.progress(&format!(
                "pass {}: {} records looked at, {} written, after {}",
                work.pass,
                work.looked_at,
                work.resealed,
                seconds(begun.elapsed())
            ));
        }
        sleep(LOOK).await;
        now = status(session).await?;
    }
    Ok(now)
}

fn verdict(now: &MasterKeys) -> Result<Exit> {
    let work = now.reseal.clone().unwrap_or_default();
    match work.state() {
        ResealState::Stopped => Err(Failure::new(Exit::OperationCancelled, "somebody stopped it").boxed()),
        ResealState::Incomplete => {
            let message = format!("{} records were written by others all the while", work.again);
            let advice = "does each replica write with the newest master key? See: certmint keys status";
            Err(Failure::new(Exit::OperationFailed, message).advise(advice).boxed())
        }
        _ => Ok(Exit::Done),
    }
}

fn print(output: Output, now: &MasterKeys) -> Result<Exit> {
    output.result(|| json!({ "master_keys": json::message(now) }), || text::master_keys::master_keys(now))?;
    let Reseal { damaged, unknown, .. } = now.reseal.clone().unwrap_or_default();
    if damaged > 0 {
        output.note(&format!("{damaged} records are damaged and stayed as they are: certmint doctor --store"));
    }
    if unknown > 0 {
        output.note(&format!(
            "{unknown} records could not be looked into: a newer version wrote them, or their master key is not there"
        ));
    }
    Ok(Exit::Done)
}
