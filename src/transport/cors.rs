//! Calls of web pages (CORS, WHATWG Fetch section 3.2): which origins may make them, for both APIs.
//!
//! Credentials travel in `Authorization`, never in cookies, so that `Access-Control-Allow-Credentials` is not sent.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use serde::Deserialize;
use std::str::FromStr;

/// What a page may read of an answer beside the headers that every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "grpc-status, grpc-message, grpc-status-details-bin, grpc-retry-pushback-ms, location, retry-after, \
     www-authenticate, x-ms-request-id, x-ms-client-request-id",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What a page may send; every header that begins with `x-ms-` too.
const HEADERS: [&str; 13] = [
    "accept",
    "accept-language",
    "authorization",
    "cache-control",
    "content-type",
    "grpc-accept-encoding",
    "grpc-timeout",
    "last-event-id",
    "x-client-request-id",
    "x-grpc-web",
    "x-http-method",
    "x-requested-with",
    "x-user-agent",
];
/// How long a browser need not ask again, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// Answers differ by these, so a cache must not mix them up.
const VARY_PREFLIGHT: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

/// An origin (RFC 6454): `https://console.example`, with `:PORT` where it is not that of the scheme, or `:*` for all
/// ports.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin {
    /// As it is compared: in lower case, without the port of its scheme.
    text: String,
    /// Also with any port.
    any_port: bool,
}

impl Origin {
    fn allows(&self, origin: &str) -> bool {
        let origin = without_default_port(origin);
        if origin.eq_ignore_ascii_case(&self.text) {
            return true;
        }
        let port = origin.get(..self.text.len()).filter(|start| start.eq_ignore_ascii_case(&self.text));
        let port = port.and_then(|start| origin.get(start.len()..)?.strip_prefix(':'));
        self.any_port && port.is_some_and(|port| port.parse::<u16>().is_ok())
    }
}

fn without_default_port(origin: &str) -> &str {
    let port = if origin.starts_with("https:") { ":443" } else { ":80" };
    origin.strip_suffix(port).unwrap_or(origin)
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let no = || {
            format!(
                "`{text}` is no origin: write a scheme and a host such as https://console.example, with a port where it \
                 is not that of the scheme, or `:*` for all ports"
            )
        };
        let (origin, any_port) = text.strip_suffix(":*").map_or((text, false), |origin| (origin, true));
        let uri: Uri = origin.parse().map_err(|_| no())?;
        let authority = uri.authority().ok_or_else(no)?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or_else(no)?;
        let whole = format!("{scheme}://{authority}");
        // Nothing behind the port, and no user before the host.
        let plain = whole.eq_ignore_ascii_case(origin) && !whole.contains(['@', '*']) && !authority.host().is_empty();
        if !plain || any_port && authority.port().is_some() {
            return Err(no());
        }
        Ok(Self { text: without_default_port(&whole.to_ascii_lowercase()).to_owned(), any_port })
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Which pages may call.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    origins: Vec<Origin>,
}

impl Cors {
    /// Pages of these origins.
    pub fn new(origins: Vec<Origin>) -> Self {
        Self { origins }
    }

    pub(super) fn is_off(&self) -> bool {
        self.origins.is_empty()
    }

    /// The origin of the request, where it may call.
    pub(super) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let (origin, None) = (origins.next()?, origins.next()) else { return None };
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|allowed| allowed.allows(text)).then(|| origin.clone())
    }

    /// The answer to the question of a browser whether a page may send a request; `None` if this is no such
    /// question, or the page may not.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<&'static str>> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let origin = self.allowed(headers)?;
        let mut answer = Response::new("");
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let fields = answer.headers_mut();
        fields.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        fields.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        fields.insert(ACCESS_CONTROL_ALLOW_HEADERS, sendable(headers.get(ACCESS_CONTROL_REQUEST_HEADERS)));
        fields.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        fields.insert(VARY, VARY_PREFLIGHT);
        Some(answer)
    }
}

/// Those of the wanted headers that may be sent.
fn sendable(wanted: Option<&HeaderValue>) -> HeaderValue {
    let wanted = wanted.and_then(|wanted| wanted.to_str().ok()).unwrap_or_default();
    let wanted = wanted.split(',').map(|name| name.trim().to_ascii_lowercase());
    let of_azure = wanted.filter(|name| name.starts_with("x-ms-") && name.len() <= 64).take(32);
    let all: Vec<String> = HEADERS.iter().map(|name| (*name).to_owned()).chain(of_azure).collect();
    // Made of names that stood in a header value.
    HeaderValue::try_from(all.join(", ")).unwrap_or(HeaderValue::from_static("authorization, content-type"))
}

/// The answer, which a page of that origin may read.
pub(super) fn answered<B>(mut answer: Response<B>, allowed: Option<HeaderValue>) -> Response<B> {
    let headers = answer.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    answer
}

/// Gives a refusal that takes the place of an answer what the answer says to pages and to caches.
pub(super) fn carry_over(answer: &HeaderMap, refusal: &mut HeaderMap) {
    for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, VARY] {
        for value in answer.get_all(&name) {
            refusal.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let console = origin("https://Console.Example");
        assert!(console.allows("https://console.example") && console.allows("https://console.example:443"));
        for other in [
            "http://console.example",
            "https://console.example:8443",
            "https://console.example.evil.example",
            "https://evil.example",
            "https://console.exampl",
            "null",
            "",
        ] {
            assert!(!console.allows(other), "{other}");
        }
        assert!(origin("http://10.0.0.1:8080").allows("http://10.0.0.1:8080"));
    }

    #[test]
    fn every_port_of_a_host_is_no_other_host() {
        let local = origin("http://localhost:*");
        for yes in ["http://localhost", "http://localhost:3000", "http://LOCALHOST:80", "http://localhost:65535"] {
            assert!(local.allows(yes), "{yes}");
        }
        for no in
            ["https://localhost:3000", "http://localhost.evil.example", "http://localhost:x", "http://localhost:1@e"]
        {
            assert!(!local.allows(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_form_of_one() {
        for bad in [
            "*",
            "https://*",
            "console.example",
            "https://a.example/",
            "https://a.example/x",
            "ftp://a",
            "https://u@a",
            "https://a:1:*",
            "https://*.a.example",
            "",
            "null",
        ] {
            assert!(bad.parse::<Origin>().unwrap_err().contains("is no origin"), "{bad}");
        }
    }
}
