//! What an error of CertCentral means for the order.

use super::wire::ApiError;
use crate::domain::text::readable;
use crate::issuer::IssuerError;
use crate::outbound;
use std::time::Duration;

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer.
    Transport(outbound::Error),
    /// The limit of the API would be passed.
    Limit(Duration),
    /// An answer that is not what the API describes.
    Unreadable(String),
    /// The API's own error.
    Refused { status: u16, errors: Vec<ApiError>, retry_after: Option<Duration> },
}

/// What to do about it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The same call again. `unsure` where the call may have been carried out all the same.
    Retry { after: Option<Duration>, message: String, unsure: bool },
    /// A person must change the issuer object or the account.
    Misconfigured(String),
    /// What was asked for is refused.
    Rejected(String),
    /// There is no such thing.
    Missing(String),
    /// The state of the order does not allow it now.
    NotNow(String),
}

/// Names are not proved yet.
const NOT_YET: [&str; 3] = ["invalid_dns_txt", "invalid_dns_cname", "file_random_value_not_found"];
/// Parts of codes that name a setting of the issuer object, or the account.
const OF_THE_ISSUER: [&str; 13] = [
    "organization",
    "product",
    "container",
    "ca_cert_id",
    "payment",
    "balance",
    "funds",
    "credit",
    "account",
    "order_validity",
    "skip_approval",
    "api_key",
    "contract",
];

impl Failure {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Transport(error) if error.is_retryable() => {
                let unsure = !error.was_not_sent();
                Verdict::Retry { after: None, message: error.to_string(), unsure }
            }
            // A body that is too large came after the call was carried out.
            Self::Transport(error) if error.kind == outbound::ErrorKind::TooLarge => {
                Verdict::Retry { after: None, message: error.to_string(), unsure: true }
            }
            Self::Transport(error) => Verdict::Misconfigured(error.to_string()),
            Self::Limit(wait) => {
                let message = "The limit of requests to DigiCert is reached; the next ones follow.".to_owned();
                Verdict::Retry { after: Some(wait), message, unsure: false }
            }
            Self::Unreadable(message) => Verdict::Retry { after: None, message, unsure: true },
            Self::Refused { status, errors, retry_after } => classify(status, &errors, retry_after),
        }
    }
}

fn classify(status: u16, errors: &[ApiError], after: Option<Duration>) -> Verdict {
    let message = said(status, errors);
    let any = |holds: &dyn Fn(&str) -> bool| errors.iter().any(|error| holds(&error.code));
    let retry = |unsure| Verdict::Retry { after, message: message.clone(), unsure };
    match status {
        // The limit is said before anything is done.
        406 | 408 | 425 | 429 => return retry(false),
        501 => {}
        500..=599 => return retry(true),
        _ => {}
    }
    if any(&|code| code == "request_limit_exceeded") {
        return retry(false);
    }
    if any(&|code| NOT_YET.contains(&code) || code == "access_denied|invalid_approver") {
        return Verdict::NotNow(message);
    }
    match status {
        404 if any(&|code| code == "not_found|route") => Verdict::Misconfigured(message),
        404 if any(&|code| OF_THE_ISSUER.iter().any(|part| code.contains(part))) => Verdict::Misconfigured(message),
        404 | 410 => Verdict::Missing(message),
        400 | 409 | 413 | 422 if !any(&|code| OF_THE_ISSUER.iter().any(|part| code.contains(part))) => {
            Verdict::Rejected(message)
        }
        _ => Verdict::Misconfigured(message),
    }
}

/// What people read: one line of bounded length.
fn said(status: u16, errors: &[ApiError]) -> String {
    let one = |error: &ApiError| match (error.message.trim(), error.code.trim()) {
        ("", "") => String::new(),
        ("", code) => code.to_owned(),
        (message, "") => message.to_owned(),
        (message, code) => format!("{} ({code})", message.trim_end_matches('.')),
    };
    let texts: Vec<String> = errors.iter().map(one).filter(|text| !text.is_empty()).collect();
    let text = if texts.is_empty() { "no reason was given".to_owned() } else { texts.join("; ") };
    let text = readable(&text, 400);
    format!("DigiCert answered {status}: {text}.")
}

impl Verdict {
    /// The error of the port, where the step cannot go on.
    pub(super) fn into_error(self) -> IssuerError {
        match self {
            Self::Retry { after, message, unsure: _ } => IssuerError::Retry { after, source: message.into() },
            Self::Missing(message) | Self::NotNow(message) => {
                IssuerError::Retry { after: None, source: message.into() }
            }
            Self::Misconfigured(message) | Self::Rejected(message) => {
                IssuerError::Misconfigured { source: message.into() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, code: &str) -> String {
        let errors = vec![ApiError { code: code.into(), message: "m".into() }];
        let text = format!("{:?}", Failure::Refused { status, errors, retry_after: None }.verdict());
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn waiting_cures_limits_faults_and_what_is_not_proved_yet() {
        for (status, code) in [(429, "request_limit_exceeded"), (503, ""), (500, ""), (406, ""), (504, "")] {
            assert_eq!(verdict(status, code), "Retry", "{status} {code}");
        }
        for code in ["invalid_dns_txt", "file_random_value_not_found", "access_denied|invalid_approver"] {
            assert_eq!(verdict(400, code), "NotNow", "{code}");
        }
    }

    #[test]
    fn values_are_the_requesters_and_the_account_is_the_operators() {
        for code in ["invalid_value:csr", "invalid_value:validity_days", "csr_already_used", "invalid_csr"] {
            assert_eq!(verdict(400, code), "Rejected", "{code}");
        }
        for (status, code) in [
            (401, "invalid_api_key"),
            (403, "access_denied"),
            (404, "not_found|route"),
            (400, "invalid_value:organization.id"),
            (400, "invalid_product"),
            (400, "insufficient_funds"),
        ] {
            assert_eq!(verdict(status, code), "Misconfigured", "{status} {code}");
        }
        assert_eq!(verdict(404, "not_found|order"), "Missing");
    }

    #[test]
    fn an_answer_that_may_come_after_the_act_leaves_it_unsure() {
        let unsure = |failure: Failure| matches!(failure.verdict(), Verdict::Retry { unsure: true, .. });
        let transport = |kind| Failure::Transport(outbound::Error::new(kind, "x"));
        assert!(unsure(transport(outbound::ErrorKind::Timeout)) && unsure(transport(outbound::ErrorKind::Protocol)));
        assert!(!unsure(transport(outbound::ErrorKind::Connect)));
        assert!(unsure(Failure::Refused { status: 502, errors: Vec::new(), retry_after: None }));
        assert!(!unsure(Failure::Refused { status: 429, errors: Vec::new(), retry_after: None }));
    }
}
