//! Maps a gRPC status to a failure of a command: its message, exit code and advice.

use super::failure::{Exit, Failure, chain};
use crate::proto::code_name;
use std::error::Error;
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt;

#[expect(clippy::disallowed_types, reason = "the command line is a client of gRPC: this is where statuses end")]
pub(crate) type Status = tonic::Status;

/// The domain of the reasons of the contract.
const DOMAIN: &str = "certmint.v1";

impl From<Status> for Box<Failure> {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = reason(&status);
        let code = status.code();
        let message = match status.message() {
            "" => format!("the server answered {}", code_name(code)),
            message => message.to_owned(),
        };
        let mut failure = Failure::new(exit(&status), message);
        let resource = details.resource_info().map_or("", |it| it.resource_name.as_str());
        failure.advice = advice(reason.as_deref(), code).map(|advice| about(advice, resource));
        failure.code = Some(code_name(code));
        failure.retry_after = retry_delay(&status);
        if let Some(bad) = details.bad_request() {
            failure.violations =
                bad.field_violations.iter().map(|it| (it.field.clone(), it.description.clone())).collect();
        }
        if let Some(resource) = details.resource_info().filter(|it| !it.resource_name.is_empty()) {
            failure.facts.insert("resource".to_owned(), resource.resource_name.clone());
        }
        for violation in details.precondition_failure().iter().flat_map(|it| &it.violations) {
            failure.facts.insert("precondition".to_owned(), violation.description.clone());
        }
        for violation in details.quota_failure().iter().flat_map(|it| &it.violations) {
            failure.facts.insert("quota".to_owned(), violation.description.clone());
        }
        for (name, value) in details.error_info().iter().flat_map(|it| &it.metadata) {
            // How the REST API answers is of no use here.
            if name != "httpStatus" && name != "azureCode" {
                failure.facts.insert(name.clone(), value.clone());
            }
        }
        // A wrapper often repeats what the detail says.
        failure.facts.retain(|_, value| !value.is_empty() && *value != failure.message);
        failure.reason = reason;
        failure.causes = status.source().map(chain).unwrap_or_default();
        failure.boxed()
    }
}

/// The reason of the contract, where the status carries one.
pub(super) fn reason(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    (info.domain == DOMAIN).then_some(info.reason)
}

/// What RetryInfo says.
pub(super) fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// Whether a watch may go on after this: the server said so, or the connection was cut, which
/// clients report with any of these codes.
pub(super) fn is_interruption(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled)
}

fn exit(status: &Status) -> Exit {
    match status.code() {
        Code::NotFound => Exit::NotFound,
        Code::Aborted | Code::AlreadyExists | Code::FailedPrecondition => Exit::Conflict,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => Exit::Unavailable,
        // Made on this side: a cut connection, or the deadline of the call.
        Code::Unknown | Code::Cancelled | Code::Internal if status.source().is_some() => Exit::Unavailable,
        _ => Exit::Error,
    }
}

fn advice(reason: Option<&str>, code: Code) -> Option<&'static str> {
    Some(match reason {
        Some("PENDING_IN_PROGRESS") => {
            "wait for it: certmint watch --name NAME --until-terminal; or cancel it: certmint pending cancel NAME"
        }
        Some("PENDING_NOT_IN_PROGRESS") => "look at it: certmint pending show NAME",
        Some("MERGE_FORBIDDEN") => "wait for its issuer, or cancel it first: certmint pending cancel NAME",
        Some("MERGE_KEY_MISMATCH") => "sign the request that `certmint csr NAME` prints",
        Some("REQUEST_ID_REUSED") => "choose another --request-id, or repeat the first call exactly",
        Some("CERTIFICATE_NOT_FOUND") => "check the name and --vault, or create it: certmint create NAME",
        Some("PENDING_NOT_FOUND") => "list them: certmint pending list",
        Some("ISSUER_NOT_FOUND") => "list them: certmint issuer list",
        Some("UNAUTHENTICATED" | "CREDENTIALS_EXPIRED") => "set CERTMINT_TOKEN to a valid bearer token",
        Some("CONTACTS_NOT_FOUND") => "set them: certmint contacts set EMAIL",
        Some("VAULT_NOT_FOUND") => "list them: certmint vault list; or create it: certmint vault create NAME",
        Some("DELETED_BUT_RECOVERABLE") => {
            "recover it: certmint recover NAME; or purge it to free the name: certmint purge NAME"
        }
        Some("PURGE_PROTECTED") => "see when it is purged automatically: certmint deleted show NAME",
        Some("BEING_DELETED") => "try again in a moment",
        Some("THROTTLED" | "WATCH_LIMIT_EXCEEDED") => "try again later, with fewer calls or streams at a time",
        Some("RESUME_TOKEN_EXPIRED") => "watch again without --resume",
        Some("SERVER_DRAINING" | "WATCH_MAX_AGE" | "STORE_UNAVAILABLE") => "try again",
        Some("INTERNAL") => "an internal error of the server: see its log",
        _ => match code {
            Code::Unimplemented => {
                "is it a certmint server, and not older than this client? Check with `certmint doctor`"
            }
            Code::Unavailable => "is the server running? Check with `certmint doctor`",
            _ => return None,
        },
    })
}

/// The advice for the resource that the server named; commands are copied, so only what is a name goes into them.
fn about(advice: &str, resource: &str) -> String {
    let is_name = !resource.is_empty() && resource.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_name && !resource.starts_with('-') { advice.replace("NAME", resource) } else { advice.to_owned() }
}
