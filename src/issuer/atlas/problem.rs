//! What an error of the HVCA API means for the request.

use crate::domain::text::readable;
use crate::issuer::IssuerError;
use crate::outbound;
use std::time::Duration;

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    Transport(outbound::Error),
    /// An answer that is not what the API describes.
    Unreadable(String),
    /// The API's own error.
    Refused {
        status: u16,
        description: String,
        after: Option<Duration>,
    },
    /// There is no token, so that the call itself was not made.
    Login(Box<Failure>),
}

/// What to do about it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// `unsure` where the call may have been carried out all the same.
    Retry {
        after: Option<Duration>,
        message: String,
        unsure: bool,
    },
    Misconfigured(String),
    /// The account's validation policy does not allow it.
    Rejected(String),
    /// There is no such thing, or not yet.
    Missing(String),
}

impl Failure {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Transport(error) if error.is_retryable() || error.kind == outbound::ErrorKind::TooLarge => {
                let unsure = !error.was_not_sent();
                Verdict::Retry { after: error.wait(), message: error.to_string(), unsure }
            }
            Self::Transport(error) => Verdict::Misconfigured(error.to_string()),
            Self::Unreadable(message) => Verdict::Retry { after: None, message, unsure: true },
            Self::Login(failure) => match failure.verdict() {
                Verdict::Retry { after, message, unsure: _ } => Verdict::Retry { after, message, unsure: false },
                // It is the credentials that are refused, never the request.
                Verdict::Misconfigured(message) | Verdict::Rejected(message) | Verdict::Missing(message) => {
                    Verdict::Misconfigured(message)
                }
            },
            Self::Refused { status, description, after } => {
                let message = said(status, &description);
                match status {
                    408 | 425 | 429 => Verdict::Retry { after, message, unsure: false },
                    500..=599 => Verdict::Retry { after, message, unsure: true },
                    404 | 410 => Verdict::Missing(message),
                    400 | 409 | 413 | 422 => Verdict::Rejected(message),
                    _ => Verdict::Misconfigured(message),
                }
            }
        }
    }
}

/// What people read: one line of bounded length.
fn said(status: u16, description: &str) -> String {
    let text = readable(description, 400);
    match text.trim_end_matches('.') {
        "" => format!("GlobalSign answered {status} without a reason."),
        text => format!("GlobalSign answered {status}: {text}."),
    }
}

impl Verdict {
    pub(super) fn into_error(self) -> IssuerError {
        match self {
            Self::Retry { after, message, unsure: _ } => IssuerError::Retry { after, source: message.into() },
            Self::Missing(message) => IssuerError::Retry { after: None, source: message.into() },
            Self::Misconfigured(message) | Self::Rejected(message) => {
                IssuerError::Misconfigured { source: message.into() }
            }
        }
    }
}

impl From<Failure> for IssuerError {
    fn from(failure: Failure) -> Self {
        failure.verdict().into_error()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_class() {
        let class = |status| {
            let failure = Failure::Refused { status, description: "no\nway.".into(), after: None };
            let text = format!("{:?}", failure.verdict());
            assert!(text.contains("no way."), "{text}");
            text.split(['(', ' ']).next().unwrap_or_default().to_owned()
        };
        assert_eq!([429, 500, 503].map(class), ["Retry"; 3]);
        assert_eq!([400, 422, 409].map(class), ["Rejected"; 3]);
        assert_eq!([401, 402, 403, 405].map(class), ["Misconfigured"; 4]);
        assert_eq!(class(404), "Missing");
    }

    #[test]
    fn a_login_that_fails_says_nothing_about_the_request() {
        let verdict = |status| {
            let failure = Failure::Refused { status, description: "no".into(), after: None };
            Failure::Login(Box::new(failure)).verdict()
        };
        for status in [400, 401, 404, 422] {
            assert!(matches!(verdict(status), Verdict::Misconfigured(_)), "{status}");
        }
        for status in [429, 500, 503] {
            assert!(matches!(verdict(status), Verdict::Retry { unsure: false, .. }), "{status}");
        }
    }
}
