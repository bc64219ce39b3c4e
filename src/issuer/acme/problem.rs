//! What an error of the CA means for the order. The same type means different things at different
//! places: `unauthorized` at a finalization is the requester's fault, at an account the operator's.

use super::wire::Problem;
use crate::issuer::IssuerError;
use crate::outbound;
use std::time::Duration;

/// Where the CA said it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    Directory,
    Account,
    NewOrder,
    Order,
    Challenge,
    Finalize,
    Certificate,
}

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer.
    Transport(outbound::Error),
    /// An answer that is not ACME.
    Unreadable(String),
    /// The CA's error.
    Problem { place: Place, status: u16, problem: Problem, retry_after: Option<Duration> },
    /// Something of ours: the account key.
    Internal(String),
}

/// What to do about it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The same step again.
    Retry { after: Option<Duration>, message: String },
    /// A person must change the issuer object.
    Misconfigured(String),
    /// The CA refused the request.
    Rejected(String),
    /// The CA does not know the account any more.
    AccountForgotten,
    /// The CA does not know the order any more.
    OrderLost(String),
    /// `replaces` was not accepted.
    NotReplaceable,
}

impl Failure {
    /// The class of the error (RFC 8555 section 6.7) at its place.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Transport(error) if error.is_retryable() => {
                Verdict::Retry { after: error.wait(), message: error.to_string() }
            }
            Self::Transport(error) => Verdict::Misconfigured(error.to_string()),
            Self::Unreadable(message) => Verdict::Retry { after: None, message },
            Self::Internal(message) => Verdict::Misconfigured(message),
            Self::Problem { place, status, problem, retry_after } => classify(place, status, &problem, retry_after),
        }
    }
}

/// Errors of the request's content, wherever they are reported.
pub(super) const FINAL: &[&str] =
    &["rejectedIdentifier", "unsupportedIdentifier", "caa", "badCSR", "badPublicKey", "invalidProfile"];

fn classify(place: Place, status: u16, problem: &Problem, after: Option<Duration>) -> Verdict {
    let said = format!("The CA answered {status}: {problem}.");
    match problem.name() {
        "accountDoesNotExist" => return Verdict::AccountForgotten,
        "alreadyReplaced" => return Verdict::NotReplaceable,
        "badNonce" | "rateLimited" | "serverInternal" | "orderNotReady" => {
            return Verdict::Retry { after, message: said };
        }
        name if FINAL.contains(&name) => return Verdict::Rejected(said),
        "externalAccountRequired"
        | "badSignatureAlgorithm"
        | "invalidContact"
        | "unsupportedContact"
        | "userActionRequired" => return Verdict::Misconfigured(said),
        _ => {}
    }
    if status == 408 || status == 429 || status >= 500 {
        return Verdict::Retry { after, message: said };
    }
    match place {
        Place::Finalize | Place::NewOrder if problem.name() == "malformed" => Verdict::Rejected(said),
        Place::Finalize if problem.name() == "unauthorized" => Verdict::Rejected(said),
        Place::Order | Place::Certificate | Place::Challenge | Place::Finalize
            if status == 404 || problem.name() == "unauthorized" || problem.name() == "malformed" =>
        {
            Verdict::OrderLost(said)
        }
        Place::Directory | Place::Account | Place::NewOrder => Verdict::Misconfigured(said),
        Place::Order | Place::Certificate | Place::Challenge | Place::Finalize => {
            Verdict::Retry { after, message: said }
        }
    }
}

impl Verdict {
    /// The error of the port, where the step cannot go on; a verdict on the order is handled before.
    pub(super) fn into_error(self) -> IssuerError {
        match self {
            Self::Retry { after, message } => IssuerError::Retry { after, source: message.into() },
            Self::Misconfigured(message) | Self::Rejected(message) => {
                IssuerError::Misconfigured { source: message.into() }
            }
            Self::OrderLost(message) => IssuerError::Retry { after: None, source: message.into() },
            Self::AccountForgotten => IssuerError::Retry {
                after: None,
                source: "The CA does not know the account; it will be registered again.".into(),
            },
            Self::NotReplaceable => IssuerError::Retry { after: None, source: "The CA refused `replaces`.".into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(place: Place, status: u16, name: &str) -> String {
        let problem = Problem { kind: format!("urn:ietf:params:acme:error:{name}"), ..Problem::default() };
        let failure = Failure::Problem { place, status, problem, retry_after: Some(Duration::from_secs(9)) };
        let text = format!("{:?}", failure.verdict());
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_place_decides_what_unauthorized_means() {
        assert_eq!(verdict(Place::Finalize, 403, "unauthorized"), "Rejected");
        assert_eq!(verdict(Place::NewOrder, 403, "unauthorized"), "Misconfigured");
        assert_eq!(verdict(Place::Account, 401, "unauthorized"), "Misconfigured");
        assert_eq!(verdict(Place::Order, 403, "unauthorized"), "OrderLost");
    }

    #[test]
    fn faults_of_the_ca_or_the_network_are_retried() {
        for (status, name) in [
            (400, "badNonce"),
            (429, "rateLimited"),
            (500, "serverInternal"),
            (503, ""),
            (403, "orderNotReady"),
            (400, "rateLimited"),
        ] {
            assert_eq!(verdict(Place::Finalize, status, name), "Retry", "{status} {name}");
        }
    }

    #[test]
    fn the_content_of_a_request_is_the_requesters_and_the_account_the_operators() {
        for name in FINAL {
            assert_eq!(verdict(Place::NewOrder, 400, name), "Rejected", "{name}");
        }
        for name in ["externalAccountRequired", "invalidContact", "userActionRequired", "badSignatureAlgorithm"] {
            assert_eq!(verdict(Place::NewOrder, 403, name), "Misconfigured", "{name}");
        }
        assert_eq!(verdict(Place::Finalize, 400, "badCSR"), "Rejected");
        assert_eq!(verdict(Place::Order, 400, "accountDoesNotExist"), "AccountForgotten");
        assert_eq!(verdict(Place::NewOrder, 409, "alreadyReplaced"), "NotReplaceable");
        assert_eq!(verdict(Place::Order, 404, "malformed"), "OrderLost");
    }
}
