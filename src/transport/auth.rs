//! Authentication: from the credentials of a request to a principal, before anything else is checked.

mod guarded;
mod stream;
mod tokens;

pub use guarded::{FileError, read_guarded};
pub use tokens::{Tokens, TokensError};

pub(super) use stream::until_revoked;

use http::{HeaderMap, header::AUTHORIZATION};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A caller whose credentials were accepted.
#[derive(Clone, Debug)]
pub struct Principal {
    /// What grants, limits and logs know the caller by: `token:NAME` for a line of the tokens file.
    pub name: Arc<str>,
    /// Cancelled when the credentials are no longer accepted: streams end then. `None` if that cannot happen.
    pub revoked: Option<CancellationToken>,
}

/// How callers prove who they are.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Development: any bearer token is good, and everybody is the principal `dev`. Over REST a token has to
    /// be there all the same: the Azure SDKs keep back the body of their first request until they
    /// were challenged (contract section 2). Over gRPC none is asked for.
    Development,
    /// Bearer tokens whose hashes stand in a file.
    Tokens(Arc<Tokens>),
}

impl Auth {
    /// The caller; `None` if the request has no bearer token or one that is not accepted.
    pub fn authenticate(&self, headers: &HeaderMap) -> Option<Principal> {
        self.accepts(bearer(headers)?)
    }

    /// Whose token this is, wherever it stood.
    pub(super) fn accepts(&self, token: &[u8]) -> Option<Principal> {
        match self {
            Self::Development => (!token.is_empty()).then(anybody),
            Self::Tokens(tokens) => tokens.find(token),
        }
    }

    /// Like [`Auth::authenticate`], for gRPC, where development needs no token.
    pub(super) fn authenticate_call(&self, headers: &HeaderMap) -> Option<Principal> {
        match self {
            Self::Development => Some(anybody()),
            Self::Tokens(_) => self.authenticate(headers),
        }
    }
}

fn anybody() -> Principal {
    Principal { name: "dev".into(), revoked: None }
}

/// The token of `Authorization: Bearer <token>`; the scheme compares without case (RFC 9110 section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes().trim_ascii();
    let (scheme, token) = value.split_at_checked(6)?;
    let separated = token.first().is_some_and(u8::is_ascii_whitespace);
    (separated && scheme.eq_ignore_ascii_case(b"bearer")).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_a_bearer_token_is_accepted() {
        let accepted = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (AUTHORIZATION, HeaderValue::from_static(value))));
            Auth::Development.authenticate(&headers).is_some()
        };
        assert!(accepted(Some("Bearer x")) && accepted(Some("bearer  eyJ.a.b ")));
        for bad in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic eDp5"), Some("Bearerx")] {
            assert!(!accepted(bad), "{bad:?}");
        }
    }
}
