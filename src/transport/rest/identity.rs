//! Tokens for programs that only support credential chains: the identity endpoint of App Service, and an OAuth 2.0
//! token endpoint with its metadata. Both check the token that the caller sent and return that same token: nothing is
//! issued, stored or logged. They are served before authentication, and belong to no vault.

mod app_service;
mod form;
mod oauth;

use super::super::auth::{Auth, Principal, Refused};
use super::super::host::Host;
use super::RestOptions;
use super::address::Address;
use super::answer::Answer;
use crate::domain::Timestamp;
use crate::jwt::MAX_TOKEN;
use axum::body::Body;
use http::header::{ALLOW, CACHE_CONTROL};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};
use std::net::Ipv6Addr;
use std::time::Duration;

/// The tenant of the challenge. Of all words the client libraries take this one for an authority of its own, which
/// needs no discovery at a public login service (AD FS).
pub(super) const TENANT: &str = "adfs";

/// How long a client may keep an answered token. Those of the tokens file have no end: this is how soon a client
/// notices that another one was put in its place. One of an issuer is kept no longer than it lasts.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The least that a client is told: to some, no time at all is a member that is missing. A token is accepted a little
/// longer than it says.
const SHORTEST: Duration = Duration::from_secs(1);

/// Longest form, in bytes: twice the longest token, since the libraries send much beside it.
const FORM_LIMIT: usize = 32 * 1024;

/// What is answered without credentials in `Authorization`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Endpoint {
    /// Managed identity, as App Service has it.
    AppService,
    /// Client credentials (RFC 6749 section 4.4).
    Token,
    /// OpenID Connect Discovery 1.0 section 4, as far as the libraries read it.
    Metadata,
    /// The key set that the metadata names. It is empty: this server signs no tokens.
    Keys,
    /// The sign-in page that the metadata names. It is not supported.
    Authorize,
}

impl Endpoint {
    /// The endpoint at this path, and the tenant in it; compares without case.
    pub(super) fn find(uri: &Uri) -> Option<(Self, String)> {
        let path = uri.path();
        // Most requests are none of these, and are let go by their first look.
        if !["/identity", "/oauth2", "/.well-known", "/discovery"].iter().any(|word| contains(path, word)) {
            return None;
        }
        let segments: Vec<String> =
            Address::of(uri).segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (endpoint, tenant) = match segments.as_slice() {
            ["identity", "token"] => (Self::AppService, ""),
            [tenant, "oauth2", "token"] | [tenant, "oauth2", "v2.0", "token"] => (Self::Token, *tenant),
            [tenant, "oauth2", "authorize"] | [tenant, "oauth2", "v2.0", "authorize"] => (Self::Authorize, *tenant),
            [tenant, ".well-known", "openid-configuration"]
            | [tenant, "v2.0", ".well-known", "openid-configuration"] => (Self::Metadata, *tenant),
            [tenant, "discovery", "keys"] | [tenant, "discovery", "v2.0", "keys"] => (Self::Keys, *tenant),
            _ => return None,
        };
        is_tenant(tenant).then(|| (endpoint, tenant.to_owned()))
    }

    /// The path, for metrics.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::AppService => "/identity/token",
            Self::Token => "/{tenant}/oauth2/token",
            Self::Metadata => "/{tenant}/.well-known/openid-configuration",
            Self::Keys => "/{tenant}/discovery/keys",
            Self::Authorize => "/{tenant}/oauth2/authorize",
        }
    }

    fn method(self) -> Method {
        if self == Self::Token { Method::POST } else { Method::GET }
    }
}

fn contains(path: &str, word: &str) -> bool {
    path.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// Names, GUIDs and domains; not what Key Vault's paths begin with.
fn is_tenant(text: &str) -> bool {
    let collections = ["certificates", "deletedcertificates", "secrets", "deletedsecrets", "keys", "deletedkeys"];
    text.len() <= 64
        && !collections.contains(&text)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// One request for a token or for metadata.
pub(super) struct Asked<'a> {
    pub(super) parts: &'a Parts,
    pub(super) options: &'a RestOptions,
    pub(super) body_timeout: Duration,
    pub(super) host: &'a Host,
    pub(super) tenant: &'a str,
    pub(super) now: Timestamp,
}

/// Answers the request; the flag says whether a token was refused.
pub(super) async fn answer(endpoint: Endpoint, asked: &Asked<'_>, body: &mut Body) -> (Answer, bool) {
    let wanted = endpoint.method();
    let mut answer = if asked.parts.method == wanted {
        match endpoint {
            Endpoint::AppService => app_service::answer(asked).await,
            Endpoint::Token => oauth::token(asked, body).await,
            Endpoint::Metadata => oauth::metadata(asked),
            Endpoint::Keys => oauth::keys(),
            Endpoint::Authorize => oauth::authorize(asked),
        }
    } else {
        let mut answer = oauth::method_not_allowed(asked, &wanted);
        if let Ok(method) = HeaderValue::from_str(wanted.as_str()) {
            answer.header(ALLOW, method);
        }
        answer
    };
    // RFC 6749 section 5.1.
    answer.header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let refused = answer.status() == StatusCode::UNAUTHORIZED;
    (answer, refused)
}

/// A token that was accepted.
pub(super) struct Checked<'t> {
    pub(super) token: &'t str,
    /// The id of the federated client that it is of.
    pub(super) client: Option<String>,
    /// How long a client may keep it before it asks again.
    pub(super) keep: Duration,
}

impl Asked<'_> {
    /// The token, where it is one that opens this server, with the time that a client may keep it.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn checked<'t>(&self, token: &'t str) -> Result<Checked<'t>, Refused> {
        let plain = !token.is_empty() && token.len() <= MAX_TOKEN && token.bytes().all(|b| b.is_ascii_graphic());
        if !plain {
            return Err(Refused::Nothing);
        }
        let caller: Principal = self.options.auth.accepts(token.as_bytes()).await?;
        let left =
            caller.expires().map(|expires| Duration::from_millis(u64::try_from(expires.0 - self.now.0).unwrap_or(0)));
        let client = caller.name.strip_prefix("client:").map(str::to_owned);
        Ok(Checked { token, client, keep: left.map_or(LIFETIME, |left| left.clamp(SHORTEST, LIFETIME)) })
    }

    /// Whether the token is requested for this server. A token must not be sent elsewhere: the program
    /// sends it to whatever it names here. In development tokens are worth nothing, and any place will do.
    fn is_ours(&self, resource: &str) -> bool {
        if matches!(self.options.auth, Auth::Development) {
            return true;
        }
        let resource = resource.strip_suffix("/.default").unwrap_or(resource);
        let Some(host) = host_of(resource) else { return false };
        let base = self.options.base_domain.as_str();
        let told = self.options.challenge.resource.as_deref();
        let own = [self.host.authority(), self.host.parent()].into_iter().chain(told).filter_map(host_of);
        let below = host.len() > base.len()
            && host.get(host.len() - base.len()..).is_some_and(|end| end.eq_ignore_ascii_case(base))
            && host.as_bytes().get(host.len() - base.len() - 1) == Some(&b'.');
        below || own.chain([base]).any(|own| own.eq_ignore_ascii_case(host))
    }

    /// The place that tokens are for.
    fn resource(&self) -> String {
        self.options.challenge.resource(self.host)
    }
}

/// The host of an address, with or without scheme, port and path. `None` where it holds what no host name does: other
/// readers of addresses may take another part for the host then (a `\` is a `/` for WHATWG URL, and an `@` ends a user).
fn host_of(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let fits = match inside {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(plain),
    };
    fits.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_finds_its_endpoint() {
        for (path, expected) in [
            ("/identity/token?api-version=2019-08-01", Some((Endpoint::AppService, ""))),
            ("//identity/token/", Some((Endpoint::AppService, ""))),
            ("/adfs/oauth2/token", Some((Endpoint::Token, "adfs"))),
            ("/adfs/oauth2/v2.0/token?client-request-id=x", Some((Endpoint::Token, "adfs"))),
            (
                "/0a1b2c3d-0000-4000-8000-000000000001/oauth2/v2.0/token",
                Some((Endpoint::Token, "0a1b2c3d-0000-4000-8000-000000000001")),
            ),
            ("/ADFS/OAuth2/Token", Some((Endpoint::Token, "adfs"))),
            ("/adfs/.well-known/openid-configuration?", Some((Endpoint::Metadata, "adfs"))),
            ("/t/v2.0/.well-known/openid-configuration", Some((Endpoint::Metadata, "t"))),
            ("/adfs/discovery/v2.0/keys", Some((Endpoint::Keys, "adfs"))),
            ("/adfs/oauth2/v2.0/authorize", Some((Endpoint::Authorize, "adfs"))),
            ("/keys/oauth2/token", None),
            ("/secrets/.well-known/openid-configuration", None),
            ("/certificates/identity/create", None),
            ("/identity", None),
            ("/a b/oauth2/token", None),
            ("/a%22b/oauth2/token", None),
            ("/certificates/web", None),
        ] {
            let Ok(uri) = path.parse() else { continue };
            let expected = expected.map(|(endpoint, tenant)| (endpoint, tenant.to_owned()));
            assert_eq!(Endpoint::find(&uri), expected, "{path}");
        }
    }

    #[test]
    fn the_host_of_a_resource_is_found_however_it_is_written() {
        for text in ["https://kv.test", "https://kv.test/", "https://kv.test:8443/x?y", "kv.test:8443", "kv.test."] {
            assert_eq!(host_of(text), Some("kv.test"), "{text}");
        }
        assert_eq!((host_of(""), host_of("https:///x")), (None, None));
        assert_eq!(host_of("https://[::1]:8443/"), Some("[::1]"));
        for ambiguous in [
            r"https://evil.example\.kv.test/",
            r"https:\\evil.example\.kv.test",
            "https://evil.example@kv.test",
            "https://evil.example:1.kv.test",
            "https:evil.example",
            "https://evil.example\t.kv.test",
            "https://evil.example%2f.kv.test",
            "https://evil.example\u{ff0f}.kv.test",
            "https://[evil.example].kv.test",
            "https://[evil.example/x]",
            "https://evil example",
        ] {
            assert_eq!(host_of(ambiguous), None, "{ambiguous}");
        }
    }
}
