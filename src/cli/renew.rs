//! `certmint renew`: one certificate now, or all of an issuer, no faster than a rate.

use super::connection::{Certificates, Renewals, Repeat, Session};
use super::create::present_state;
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, text, wait};
use crate::clock::{Clock, SystemClock};
use crate::proto::v1::{
    ListPendingRequest, ListRenewalsRequest, PendingOperation, PendingStatus, RenewCertificateRequest,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How often a certificate is tried whose server is busy.
const ATTEMPTS: usize = 20;
/// Between these, where the server does not say when.
const BUSY: Duration = Duration::from_secs(5);

/// Arguments of `certmint renew`.
#[derive(Clone, Debug, clap::Args)]
pub struct RenewArgs {
    /// The certificate
    #[arg(required_unless_present = "issuer")]
    name: Option<String>,

    /// All certificates of this issuer, which --all confirms
    #[arg(long, value_name = "NAME", conflicts_with = "name", requires = "all")]
    issuer: Option<String>,

    /// Renew every certificate of the issuer
    #[arg(long, requires = "issuer", conflicts_with = "name")]
    all: bool,

    /// With --all: how many begin in a minute
    #[arg(long, value_name = "N/min", value_parser = rate, default_value = "60/min", requires = "all")]
    rate: NonZeroU32,

    /// A label that the operations carry [default with --all: the issuer and the time]; a repeat with --all leaves out
    /// those that it began
    #[arg(long, value_name = "TEXT")]
    batch: Option<String>,

    /// A UUID that makes the command safe to repeat
    #[arg(long, value_name = "UUID", conflicts_with = "issuer", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    /// Wait until the operation ends
    #[arg(long, conflicts_with = "issuer")]
    wait: bool,
}

fn rate(text: &str) -> std::result::Result<NonZeroU32, String> {
    let number = text.strip_suffix("/min").unwrap_or(text);
    number.parse().map_err(|_| "not a rate such as 60/min".to_owned())
}

pub(super) async fn run(session: &Session, output: Output, args: RenewArgs) -> Result<Exit> {
    let RenewArgs { name, issuer, all: _, rate, batch, request_id, wait } = args;
    if let Some(issuer) = issuer {
        let done = match &batch {
            Some(batch) => begun_before(session, batch).await?,
            None => BTreeSet::new(),
        };
        let batch = batch.unwrap_or_else(|| label(&issuer));
        return all_of(session, output, issuer, Batch { label: batch, done }, rate).await;
    }
    let chosen_id = request_id.is_some();
    let request = RenewCertificateRequest {
        vault_name: session.vault(),
        certificate_name: name.unwrap_or_default(),
        request_id: request_id.unwrap_or_default(),
        batch: batch.unwrap_or_default(),
    };
    // Without an identifier of the caller a second call would meet the operation of the first.
    let repeat = if chosen_id { Repeat::Safe } else { Repeat::Never };
    let answer = session.call(repeat, request, Renewals::renew_certificate).await?;
    let mut operation = answer.operation.ok_or_else(|| Failure::incomplete_answer("operation"))?;
    let mut resume_token = answer.resume_token;
    if wait {
        if chosen_id {
            (operation, resume_token) = present_state(session, &operation).await?;
        }
        (operation, resume_token) = wait::until_end(session, output, operation, resume_token).await?;
    }
    output.result(
        || json!({ "operation": json::message(&operation), "resume_token": resume_token }),
        || text::operation(&operation),
    )?;
    if wait { wait::verdict(&operation) } else { Ok(Exit::Done) }
}

/// The label of a batch whose caller gave none.
fn label(issuer: &str) -> String {
    let issuer: String = issuer.chars().take(40).collect();
    format!("{issuer} {}", SystemClock.now().seconds())
}

/// What the operations of one command have in common.
struct Batch {
    label: String,
    /// Certificates whose renewal an earlier command with this label began.
    done: BTreeSet<String>,
}

/// The certificates whose operation carries this label and has not failed: a repeat of the command leaves them alone.
async fn begun_before(session: &Session, batch: &str) -> Result<BTreeSet<String>> {
    let request = ListPendingRequest {
        vault_name: session.vault(),
        statuses: vec![PendingStatus::InProgress.into(), PendingStatus::Completed.into()],
        ..Default::default()
    };
    let (operations, _) = session.all(request, Certificates::list_pending).await?;
    let of_batch = operations.into_iter().filter(|operation| {
        let ended_well = [PendingStatus::InProgress, PendingStatus::Completed].contains(&operation.status());
        operation.batch == batch && ended_well
    });
    Ok(of_batch.map(|operation| operation.certificate_name).collect())
}

async fn all_of(session: &Session, output: Output, issuer: String, batch: Batch, rate: NonZeroU32) -> Result<Exit> {
    let Batch { label: batch, done } = batch;
    let request = ListRenewalsRequest {
        vault_name: session.vault(),
        issuer: issuer.clone(),
        include_unplanned: true,
        ..Default::default()
    };
    let (mut renewals, _) = session.all(request, Renewals::list_renewals).await?;
    let found = renewals.len();
    renewals.retain(|renewal| !done.contains(&renewal.certificate_name));
    let before = found - renewals.len();
    // What expires soonest goes first.
    renewals.sort_by_key(|renewal| renewal.expire_time.as_ref().map(|time| time.seconds));
    // Before the first one: it is what a repeat needs, however this ends.
    output.note(&format!("what begins has the batch {batch:?}"));
    let (mut begun, mut failed) = (Vec::new(), Vec::new());
    let every = Duration::from_secs(60) / rate.get();
    let mut turn = Instant::now();
    for (index, renewal) in renewals.iter().enumerate() {
        sleep_until(turn).await;
        let now = Instant::now();
        turn = turn.max(now.checked_sub(every).unwrap_or(now)) + every;
        let name = &renewal.certificate_name;
        match begin(session, name, &batch).await {
            Ok(operation) => begun.push(operation),
            // No other one would begin either.
            Err(failure) if failure.code == Some("UNAUTHENTICATED") => return Err(failure),
            Err(failure) => failed.push((name.clone(), failure)),
        }
        output.progress(&format!("{} of {}: {name}", index + 1, renewals.len()));
    }
    let problems = || failed.iter().map(|(name, failure)| (name, failure.message.as_str(), failure.reason.as_deref()));
    output.result(
        || {
            let failed: Vec<_> = problems()
                .map(
                    |(name, message, reason)| json!({ "certificate_name": name, "message": message, "reason": reason }),
                )
                .collect();
            json!({ "batch": batch, "operations": json::messages(&begun), "failed": failed, "begun_before": before })
        },
        || {
            let mut lines = format!("batch {batch}: {} of {} have begun\n", begun.len(), renewals.len());
            if before > 0 {
                lines.push_str(&format!("{before} had begun before\n"));
            }
            lines.extend(problems().map(|(name, message, _)| format!("{name}: {message}\n")));
            lines
        },
    )?;
    if failed.is_empty() {
        return Ok(Exit::Done);
    }
    let message = format!("{} of {} certificates of {issuer} were not renewed", failed.len(), renewals.len());
    Err(Failure::new(Exit::Error, message)
        .advise(format!("see the causes above, and repeat the command with --batch {batch:?} for what is left"))
        .boxed())
}

async fn begin(session: &Session, name: &str, batch: &str) -> Result<PendingOperation> {
    let mut attempt = 1;
    loop {
        let request = RenewCertificateRequest {
            vault_name: session.vault(),
            certificate_name: name.to_owned(),
            request_id: String::new(),
            batch: batch.to_owned(),
        };
        match session.call(Repeat::Never, request, Renewals::renew_certificate).await {
            Ok(answer) => return answer.operation.ok_or_else(|| Failure::incomplete_answer("operation")),
            Err(failure) if failure.exit == Exit::Unavailable && failure.code.is_some() && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(failure.retry_after.unwrap_or(BUSY)).await;
            }
            Err(failure) => return Err(failure),
        }
    }
}
