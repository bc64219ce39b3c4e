//! `[[auth.jwt]]`: an issuer of tokens, and what its tokens have to say.

use super::algorithm::Algorithm;
use crate::domain::duration;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An issuer whose tokens (JWTs) callers may send. Its callers are the principals `jwt:NAME:ID`, in the groups
/// `group:NAME:VALUE`. [access.md](access.md#tokens-of-other-issuers) has what Entra ID, Keycloak, GitHub and Kubernetes
/// need.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtOptions {
    /// What it is called in principals and groups: up to 32 of `a` to `z`, `0` to `9` and `-`. Required.
    pub name: String,
    /// Its values of `iss`, compared byte for byte: a slash at the end counts. Its keys are found from each by OpenID
    /// Connect Discovery, so they are `https` addresses unless `jwks_file` or `jwks_uri` is set. All of them are
    /// one issuer: the same ID from two of them is the same principal. Required.
    pub issuers: Vec<String>,
    /// The values of `aud` that mean this server, of which a token has to name one: without it a service that a caller
    /// trusts could use the caller's token here. A slash at the end does not count. Required.
    pub audiences: Vec<String>,
    /// The claim that is the ID of the principal, or a list of claims, whose values are joined by colons. One that its
    /// owner cannot change: not a mail address, not a name. A whole number counts as its digits. Default
    /// `sub`.
    #[serde(default = "sub")]
    pub principal: Names,
    /// Claims with the groups of the principal: each a text or a list of texts. `realm_access.roles` is the member
    /// `roles` of the claim `realm_access`. Values that could not stand in a grant (with spaces, for instance) are passed
    /// over. Default none.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Claims that have to be there, with their value or a list of allowed ones: `require = { tid = "…" }`. Default none.
    #[serde(default)]
    pub require: BTreeMap<String, Names>,
    /// The longest time from `iat` to `exp` of a token; from now to `exp` where it has no `iat`. Default 24 h.
    #[serde(default = "a_day", with = "duration")]
    pub max_age: Duration,
    /// The signature algorithms. Default `RS256`, `PS256`, `ES256` and `ES384`; further ones are the others of `RS`, `PS`
    /// and `ES`, and `EdDSA`.
    #[serde(default = "usual")]
    pub algorithms: Vec<Algorithm>,
    /// Whether tokens of a login (ID tokens) are refused. They are known by their claims `nonce`, `at_hash` and `c_hash`, or
    /// the claim `typ` with the value `ID`; a token whose header has the type `at+jwt` (RFC 9068) is an access token
    /// whatever its claims. An ID token without any of these cannot be told apart: name in `require` what only the access
    /// tokens of the issuer have. Default false.
    #[serde(default)]
    pub access_tokens_only: bool,
    /// A file with the keys (a JWKS), for an issuer that cannot be reached from here; only its owner may be able to write
    /// it. Reloaded when it changes. Relative paths of this section begin at the folder of the configuration file.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// The `https` address of the keys, for an issuer without discovery. It may have a query.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// Certificates (PEM) that are trusted beside the system's when the keys are fetched.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A file with a bearer token that is sent when the keys are fetched, to the host and port of the issuer or of
    /// `jwks_uri` alone: a Kubernetes cluster may want one. Read each time.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// How long a key is accepted that the issuer no longer lists, from the first list without it. Default 24 h.
    #[serde(default = "a_day", with = "duration")]
    pub keep_keys: Duration,
}

/// A program that is known by the subject of its token: a *federated* client, as clouds call it. Its principal is
/// `client:ID`, in no group, whatever else its token says.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedOptions {
    /// What it is called in grants, as `client:ID`; at the token endpoint also its `client_id`. Up to 64 letters, digits,
    /// `-`, `_` and `.`. Required.
    pub id: String,
    /// The name of the issuer of its tokens, in `[[auth.jwt]]`. Required.
    pub provider: String,
    /// The `sub` of its tokens, to the letter. Required.
    pub subject: String,
    /// What its tokens are issued for. It may be another audience than those of the issuer, such as
    /// `api://AzureADTokenExchange` of the webhook for workload identities: a token for that counts for this client alone.
    /// Those of Key Vault, of the Azure management API and of Microsoft Graph are refused. Required.
    pub audience: String,
}

/// One text, or several.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

impl JwtOptions {
    /// Makes relative paths begin at this folder.
    pub fn begin_at(&mut self, folder: &Path) {
        for file in [&mut self.jwks_file, &mut self.ca_file, &mut self.token_file].into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
}

fn sub() -> Names {
    Names::One("sub".to_owned())
}

fn a_day() -> Duration {
    Duration::from_secs(86_400)
}

fn usual() -> Vec<Algorithm> {
    Algorithm::DEFAULT.to_vec()
}
