//! Credentials that were not accepted, in the words of both APIs.

use crate::domain::{Error, Reason};
use crate::jwt::Refusal;
use crate::mtls::Cause;
use std::time::Duration;

/// When to try again where it cannot be known whether a certificate was revoked.
const RETRY: Duration = Duration::from_secs(2);

/// Why there is no caller.
#[derive(Clone, Debug)]
pub enum Refused {
    /// There is no token, or one that nobody knows.
    Nothing,
    /// The token of an issuer is not accepted, or cannot be checked now.
    Token(Box<Refusal>),
    /// There is no token, and the client certificate is not accepted.
    Certificate(Cause),
}

impl Refused {
    /// Whether the credentials are missing or wrong, and not only impossible to check now.
    pub(in crate::transport) fn is_wrong(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Token(refusal) => refusal.retry_after().is_none(),
            Self::Certificate(cause) => *cause != Cause::Unavailable,
        }
    }

    /// The refusal, with these words where there is no token.
    pub(in crate::transport) fn error(self, nothing: &str) -> Error {
        let (wait, message) = match self {
            Self::Nothing => (None, nothing.to_owned()),
            Self::Token(refusal) => (refusal.retry_after(), refusal.message),
            Self::Certificate(Cause::Unavailable) => (Some(RETRY), Cause::Unavailable.message().to_owned()),
            // The words for no token begin as those of Key Vault do.
            Self::Certificate(cause) => (None, format!("{nothing} {}", cause.message())),
        };
        match wait {
            // Not 401: clients drop their token for that, and give up.
            Some(wait) => Error::new(Reason::IdentityUnavailable, message).retry_after(wait),
            None => Error::new(Reason::Unauthenticated, message),
        }
    }
}
