//! Credentials that were not accepted, in the words of both APIs.

use crate::domain::{Error, Reason};
use crate::jwt::Refusal;

/// Why there is no caller.
#[derive(Clone, Debug)]
pub enum Refused {
    /// There is no token, or one that nobody knows.
    Nothing,
    /// The token of an issuer is not accepted, or cannot be checked now.
    Token(Box<Refusal>),
}

impl Refused {
    /// Whether the credentials are missing or wrong, and not only impossible to check now.
    pub(in crate::transport) fn is_wrong(&self) -> bool {
        !matches!(self, Self::Token(refusal) if refusal.retry_after().is_some())
    }

    /// The refusal, with these words where there is no token.
    pub(in crate::transport) fn error(self, nothing: &str) -> Error {
        let Self::Token(refusal) = self else { return Error::new(Reason::Unauthenticated, nothing) };
        let wait = refusal.retry_after();
        let Refusal { message, .. } = *refusal;
        match wait {
            // Not 401: clients drop their token for that, and give up.
            Some(wait) => Error::new(Reason::IdentityUnavailable, message).retry_after(wait),
            None => Error::new(Reason::Unauthenticated, message),
        }
    }
}
