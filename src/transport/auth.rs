//! Authentication: from the credentials of a request to a principal, before anything else is checked.

mod certificate;
mod refused;
mod stream;
mod tokens;

pub use crate::guarded_file::{FileError, read_guarded};
pub use certificate::Proof;
pub use refused::Refused;
pub use tokens::{Tokens, TokensError};

pub(super) use stream::until_over;

use crate::domain::Timestamp;
use crate::domain::access::Groups;
use crate::jwt::{Accepted, Identity, Issuers, TokenHash};
use crate::mtls::{ClientTrust, Shown};
use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, header};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A caller whose credentials were accepted.
#[derive(Clone, Debug)]
pub struct Principal {
    /// What grants, limits and logs know the caller by: `token:NAME` for a line of the tokens file, `jwt:ISSUER:ID` for a
    /// token of another issuer, `client:ID` where that is of a federated client, `spiffe://DOMAIN/PATH` and `x509:NAME:ID`
    /// for a client certificate.
    pub name: Arc<str>,
    /// Cancelled when the credentials are no longer accepted: streams end then. `None` if that cannot happen.
    pub revoked: Option<CancellationToken>,
    /// What the token of another issuer says.
    pub identity: Option<Arc<Identity>>,
    /// The client certificate of the connection, where it is accepted: the caller is known by it, or by a token beside it.
    pub certificate: Option<Proof>,
}

impl Principal {
    /// With credentials that never end.
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.into(), revoked: None, identity: None, certificate: None }
    }

    pub(super) fn groups(&self) -> Groups {
        self.identity.as_ref().map(|identity| identity.groups.clone()).unwrap_or_default()
    }

    /// From when on the credentials are not accepted any more, by themselves.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.identity.as_ref().map(|identity| identity.ends())
    }

    /// When the credentials end by what they say themselves.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        let of_certificate = || self.by_certificate().map(|proof| proof.identity.expires);
        self.identity.as_ref().map(|identity| identity.expires).or_else(of_certificate)
    }

    /// The certificate that the caller is known by.
    pub(super) fn by_certificate(&self) -> Option<&Proof> {
        self.certificate.as_ref().filter(|proof| proof.identity.principal == self.name)
    }

    /// Whom a certificate names that a caller with a token showed beside it.
    pub(super) fn beside(&self) -> Option<&Arc<str>> {
        let proof = self.certificate.as_ref().filter(|_| self.by_certificate().is_none());
        proof.map(|proof| &proof.identity.principal)
    }
}

/// How callers prove who they are.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Development: any bearer token is good, and everybody is the principal `dev`. Over REST a token has to
    /// be there all the same: the Azure SDKs keep back the body of their first request until they
    /// were challenged (contract section 2). Over gRPC none is asked for.
    Development,
    /// Bearer tokens whose hashes stand in a file, tokens of other issuers, and client certificates; one of them at least.
    Known { tokens: Option<Arc<Tokens>>, issuers: Option<Arc<Issuers>>, certificates: Option<Arc<ClientTrust>> },
}

impl From<Tokens> for Auth {
    fn from(tokens: Tokens) -> Self {
        Self::Known { tokens: Some(Arc::new(tokens)), issuers: None, certificates: None }
    }
}

impl Auth {
    /// The caller, by the token of the request, and without one by the client certificate of the connection. A request
    /// with a token that is not accepted has no caller, whatever its certificate is.
    ///
    /// # Errors
    /// If the request has neither, or what it has is not accepted, or it cannot be known whether it is.
    pub async fn authenticate(&self, headers: &HeaderMap, shown: Option<&Arc<Shown>>) -> Result<Principal, Refused> {
        let certificate = match self {
            Self::Known { certificates: Some(trust), .. } => shown.map(|shown| (trust, shown)),
            Self::Known { .. } | Self::Development => None,
        };
        if !certificate::counts(headers) {
            let caller = self.accepts(bearer(headers).ok_or(Refused::Nothing)?).await?;
            let beside = match certificate {
                Some((trust, shown)) => Proof::of(trust, shown).await.ok(),
                None => None,
            };
            return Ok(Principal { certificate: beside, ..caller });
        }
        let (trust, shown) = certificate.ok_or(Refused::Nothing)?;
        let proof = Proof::of(trust, shown).await.map_err(Refused::Certificate)?;
        let name = proof.identity.principal.clone();
        Ok(Principal { name, revoked: None, identity: None, certificate: Some(proof) })
    }

    /// Whose token this is, wherever it stood.
    pub(super) async fn accepts(&self, token: &[u8]) -> Result<Principal, Refused> {
        let (tokens, issuers) = match self {
            Self::Development if token.is_empty() => return Err(Refused::Nothing),
            Self::Development => return Ok(Principal::named("dev")),
            Self::Known { tokens, issuers, certificates: _ } => (tokens, issuers),
        };
        let hash = hash(token);
        if let Some(known) = tokens.as_ref().and_then(|tokens| tokens.find(&hash)) {
            return Ok(known);
        }
        let Some(issuers) = issuers else { return Err(Refused::Nothing) };
        match issuers.identify(token, &hash).await {
            None => Err(Refused::Nothing),
            Some(Ok(Accepted { identity, withdrawn })) => {
                let name = identity.principal.clone();
                Ok(Principal { name, revoked: Some(withdrawn), identity: Some(identity), certificate: None })
            }
            Some(Err(refusal)) => Err(Refused::Token(Box::new(refusal))),
        }
    }

    /// Like [`Auth::authenticate`], for gRPC, where development needs no token.
    pub(super) async fn authenticate_call(
        &self,
        headers: &HeaderMap,
        shown: Option<&Arc<Shown>>,
    ) -> Result<Principal, Refused> {
        match self {
            Self::Development => Ok(Principal::named("dev")),
            Self::Known { .. } => self.authenticate(headers, shown).await,
        }
    }
}

/// What tokens are found by. They are random or signed: whoever learns from the time of a look-up which hashes there are
/// still has no token for one.
fn hash(token: &[u8]) -> TokenHash {
    let mut hash = TokenHash::default();
    hash.copy_from_slice(digest(&SHA256, token).as_ref());
    hash
}

/// The token of `Authorization: Bearer <token>`; the scheme compares without case (RFC 9110 section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes().trim_ascii();
    let (scheme, token) = value.split_at_checked(6)?;
    let separated = token.first().is_some_and(u8::is_ascii_whitespace);
    (separated && scheme.eq_ignore_ascii_case(b"bearer")).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[tokio::test]
    async fn only_a_bearer_token_is_accepted() {
        let accepted = async |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value))));
            Auth::Development.authenticate(&headers, None).await.is_ok()
        };
        assert!(accepted(Some("Bearer x")).await && accepted(Some("bearer  eyJ.a.b ")).await);
        for bad in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic eDp5"), Some("Bearerx")] {
            assert!(!accepted(bad).await, "{bad:?}");
        }
    }
}
