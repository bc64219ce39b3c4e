//! Fetches the keys of an issuer: by discovery (OpenID Connect Discovery 1.0 section 4), from an address, or from a file.

use super::key::{Jwk, parse_set};
use super::options::JwtOptions;
use super::patient::Patient;
use crate::guarded_file::read_guarded;
use crate::outbound::{Clients, Exchange, Request, redacted};
use crate::regular_file;
use http::Uri;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Of each request, from the connection to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer, and the largest file, in bytes.
const MAX_ANSWER: usize = 256 * 1024;
/// The largest certificates and the largest token that are read for a request.
const MAX_PEM: u64 = 256 * 1024;
const MAX_TOKEN: u64 = 16 * 1024;
/// Longest address.
const MAX_URL: usize = 2048;

/// Where keys are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Origin {
    /// An issuer, whose metadata names the address.
    Discovery(String),
    Address(String),
    File(PathBuf),
}

impl Origin {
    /// What tells it from all others.
    pub(super) fn whole(&self) -> String {
        match self {
            Self::Address(text) => text.clone(),
            _ => self.to_string(),
        }
    }
}

/// Fit for logs and metrics: without the query.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discovery(text) | Self::Address(text) => f.write_str(&redacted(text)),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Reads keys from one place.
pub(super) struct Fetcher {
    origin: Origin,
    clients: Arc<dyn Clients>,
    ca_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    reading: Patient<Result<Prepared, String>>,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

impl Fetcher {
    /// # Errors
    /// The setting and what is wrong with it.
    pub(super) fn new(origin: Origin, options: &JwtOptions, clients: Arc<dyn Clients>) -> Result<Self, String> {
        match &origin {
            Origin::Discovery(issuer) => check_issuer(issuer).map_err(|problem| format!("issuers: {problem}"))?,
            Origin::Address(address) => check_address(address).map_err(|problem| format!("jwks_uri: {problem}"))?,
            Origin::File(_) => {}
        }
        let JwtOptions { ca_file, token_file, .. } = options;
        let (ca_file, token_file) = (ca_file.clone(), token_file.clone());
        let fetcher = Self { origin, clients, ca_file, token_file, reading: Patient::default() };
        // What cannot be read now is not read in an hour either.
        if fetcher.ca_file.is_some() {
            fetcher.client().map_err(|problem| format!("ca_file: {problem}"))?;
        }
        fetcher.token().map_err(|problem| format!("token_file: {problem}"))?;
        Ok(fetcher)
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The keys of the file, if they are in one.
    pub(super) fn read_file(&self) -> Option<Result<Vec<Jwk>, String>> {
        let Origin::File(path) = &self.origin else { return None };
        let text = read_guarded("key set", path, MAX_ANSWER as u64).map_err(|error| error.to_string());
        let failed = |problem| format!("the key set {} cannot be used: {problem}", path.display());
        Some(text.and_then(|text| parse_set(&text).map_err(failed)))
    }

    /// The keys that can be used; none where the issuer lists none.
    pub(super) async fn keys(self: &Arc<Self>) -> Result<Vec<Jwk>, String> {
        let this = Arc::clone(self);
        let prepare = move || match this.read_file() {
            Some(keys) => Ok(Prepared::Keys(keys?)),
            None => Ok(Prepared::Request(this.client()?, this.token()?)),
        };
        let (client, token) = match self.reading.run(prepare).await?? {
            Prepared::Keys(keys) => return Ok(keys),
            Prepared::Request(client, token) => (client, token),
        };
        // With whether it is the host of the configuration, which alone gets the token.
        let (address, own) = match &self.origin {
            Origin::Discovery(issuer) => {
                let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
                let body = get(&*client, &address, token.as_deref()).await?;
                let metadata = serde_json::from_slice::<Metadata>(&body);
                let Metadata { issuer: named, jwks_uri } =
                    metadata.map_err(|_| format!("{address} is not metadata with issuer and jwks_uri"))?;
                // OpenID Connect Discovery 1.0 section 4.3.
                if named != *issuer {
                    let named = super::refusal::shown(&named);
                    return Err(format!("{address} is of the issuer {named}, not of {issuer}"));
                }
                check_address(&jwks_uri).map_err(|problem| format!("the jwks_uri of {address}: {problem}"))?;
                let own = host(issuer) == host(&jwks_uri);
                (jwks_uri, own)
            }
            Origin::Address(address) => (address.clone(), true),
            Origin::File(_) => return Err("it is a file".to_owned()),
        };
        let body = get(&*client, &address, token.as_deref().filter(|_| own)).await?;
        parse_set(&body).map_err(|problem| format!("the key set {} cannot be used: {problem}", redacted(&address)))
    }

    /// For the requests of one fetch: it reads the trusted roots.
    fn client(&self) -> Result<Arc<dyn Exchange>, String> {
        let roots = text(self.ca_file.as_deref(), MAX_PEM)?;
        self.clients.client(roots.as_deref()).map_err(|error| error.to_string())
    }

    fn token(&self) -> Result<Option<String>, String> {
        Ok(text(self.token_file.as_deref(), MAX_TOKEN)?.map(|token| token.trim().to_owned()))
    }
}

/// What is read before something is fetched.
enum Prepared {
    Keys(Vec<Jwk>),
    /// What sends it, and a token.
    Request(Arc<dyn Exchange>, Option<String>),
}

async fn get(client: &dyn Exchange, address: &str, token: Option<&str>) -> Result<bytes::Bytes, String> {
    let mut request = Request::get(address);
    request.max_body = Some(MAX_ANSWER);
    let mut request = request.header("accept", "application/json").map_err(|error| error.to_string())?;
    if let Some(token) = token {
        let value = format!("Bearer {token}");
        request = request.secret_header("authorization", &value).map_err(|error| error.to_string())?;
    }
    let answer = tokio::time::timeout(PATIENCE, client.exchange(request)).await;
    let late = |_| format!("{} did not answer within {} s", redacted(address), PATIENCE.as_secs());
    let answer = answer.map_err(late)?.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("{} answered {}", redacted(address), answer.status.as_u16()));
    }
    Ok(answer.body)
}

fn text(path: Option<&Path>, most: u64) -> Result<Option<String>, String> {
    let Some(path) = path else { return Ok(None) };
    let (bytes, _) = regular_file::read(path, most).map_err(|error| format!("{}: {error}", path.display()))?;
    String::from_utf8(bytes).map(Some).map_err(|_| format!("{} is not text", path.display()))
}

/// The path of its metadata is put behind it.
fn check_issuer(issuer: &str) -> Result<(), String> {
    if issuer.contains('?') {
        return Err(format!(
            "`{}` is not an issuer: write https://HOST/PATH, without a query",
            super::refusal::shown(issuer)
        ));
    }
    check_address(issuer)
}

/// What is fetched says who may call, so it comes over TLS alone. Keys may be at an address with a query (Azure AD B2C).
fn check_address(address: &str) -> Result<(), String> {
    let shown = super::refusal::shown(address);
    let uri = address.parse::<Uri>().ok().filter(|_| address.len() <= MAX_URL);
    let uri = uri.filter(|uri| uri.authority().is_some_and(|at| !at.as_str().contains('@') && !at.host().is_empty()));
    match uri {
        Some(uri) if uri.scheme_str() != Some("https") => {
            Err(format!("`{shown}` is not an https address; set jwks_file for an issuer without one"))
        }
        Some(_) if !address.contains('#') => Ok(()),
        _ => Err(format!("`{shown}` is not an address: write https://HOST/PATH, without a fragment")),
    }
}

fn host(address: &str) -> Option<String> {
    let uri: Uri = address.parse().ok()?;
    uri.authority().map(|authority| authority.as_str().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_and_those_of_issuers_have_no_query() {
        for good in [
            "https://id.example",
            "https://id.example:8443/realms/a/",
            "https://[::1]:1/x",
            "https://id.example/keys?p=a",
        ] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "id.example",
            "/x",
            "http://id.example",
            "ftp://id.example",
            "https://",
            "https://user@id.example",
            "https://id.example/#a",
            "https://id example",
            "kubernetes/serviceaccount",
        ] {
            assert!(check_address(bad).is_err() && check_issuer(bad).is_err(), "{bad}");
        }
        assert!(check_issuer("https://id.example").is_ok() && check_issuer("https://id.example/?a").is_err());
        let told = Origin::Address("https://id.example/keys?code=a".to_owned());
        assert_eq!(
            (told.to_string().as_str(), told.whole().as_str()),
            ("https://id.example/keys", "https://id.example/keys?code=a")
        );
    }
}
