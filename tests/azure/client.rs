//! A client without a network: requests as text, responses as text with placeholders for values that vary.

use crate::support::service::{self, TestService};
use crate::swagger;
use axum::body::{Body, to_bytes};
use certmint::transport::auth::Auth;
use certmint::transport::rest::{Api, RestOptions, router};
use http::{HeaderMap, Method, Request};
use serde_json::Value;
use std::time::{Duration, Instant};
use tower::ServiceExt;

pub(crate) const HOST: &str = "v1.localhost:8443";

/// What every answer has beside the headers that a test looks at.
const EVERYWHERE: [(&str, &str); 5] = [
    ("cache-control", "no-cache"),
    ("expires", "-1"),
    ("pragma", "no-cache"),
    ("strict-transport-security", "max-age=31536000;includeSubDomains"),
    ("x-content-type-options", "nosniff"),
];

pub(crate) struct Client {
    pub(crate) router: Api,
    _service: TestService,
}

/// One answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn start() -> Self {
        Self::with(|options| options).await
    }

    pub(crate) async fn with(change: impl Fn(RestOptions) -> RestOptions) -> Self {
        Self::over(service::start().await, change(RestOptions::new(Auth::Development)))
    }

    pub(crate) fn over(service: TestService, options: RestOptions) -> Self {
        Self { router: router(service.service.clone(), options), _service: service }
    }

    /// Sends a request with a token; `request` is `METHOD /path` without the API's version.
    pub(crate) async fn send(&self, request: &str, body: &str) -> Reply {
        let join = if request.contains('?') { '&' } else { '?' };
        self.raw(&format!("{request}{join}api-version=7.4"), &[("authorization", "Bearer token")], body).await
    }

    /// Sends exactly this, with a host unless one is among the headers.
    pub(crate) async fn raw(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (method, uri) = request.split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(uri);
        if !headers.iter().any(|(name, _)| *name == "host") {
            builder = builder.header("host", HOST);
        }
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        self.call(builder.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Every answer is held against the published description of the API.
    pub(crate) async fn call(&self, request: Request<Body>) -> Reply {
        let (method, path) = (asked(&request), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 8 << 20).await.unwrap();
        let body = String::from_utf8(body.into()).unwrap();
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body };
        swagger::check(&method, &path, &reply);
        reply
    }

    /// Sends what must succeed, to prepare a test.
    pub(crate) async fn must(&self, request: &str, body: &str) -> Value {
        let reply = self.send(request, body).await;
        assert!((200..300).contains(&reply.status), "{request}: {} {}", reply.status, reply.body);
        reply.json()
    }

    /// Reads the pending operation until it has ended.
    pub(crate) async fn ended(&self, name: &str) -> Value {
        self.until(name, |operation| operation["status"] != "inProgress").await
    }

    pub(crate) async fn until(&self, name: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let patience = Instant::now() + Duration::from_secs(120);
        loop {
            let operation = self.must(&format!("GET /certificates/{name}/pending"), "").await;
            if reached(&operation) {
                return operation;
            }
            assert!(Instant::now() < patience, "still {operation}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sets the issuer `name` of the provider `Test`.
    pub(crate) async fn test_issuer(&self, name: &str, account_id: &str) {
        let body = format!(r#"{{"provider":"Test","credentials":{{"account_id":"{account_id}"}}}}"#);
        self.must(&format!("PUT /certificates/issuers/{name}"), &body).await;
    }

    /// Creates a certificate that signs itself, waits for it, and returns its bundle.
    pub(crate) async fn issued(&self, name: &str) -> Value {
        self.create(name, "Self").await;
        assert_eq!(self.ended(name).await["status"], "completed");
        self.must(&format!("GET /certificates/{name}"), "").await
    }

    /// Creates a certificate with a P-256 key.
    pub(crate) async fn create(&self, name: &str, issuer: &str) -> Value {
        self.must(&format!("POST /certificates/{name}/create"), &policy(issuer)).await
    }
}

/// The method that is meant: a POST can say that it stands for another one.
fn asked(request: &Request<Body>) -> Method {
    let other = request.headers().get("x-http-method").and_then(|value| value.to_str().ok()?.parse().ok());
    other.unwrap_or_else(|| request.method().clone())
}

/// The path of an identifier.
pub(crate) fn path(id: &Value) -> String {
    id.as_str().unwrap().strip_prefix("https://v1.localhost:8443").unwrap().to_owned()
}

/// A create with a P-256 key.
pub(crate) fn policy(issuer: &str) -> String {
    format!(
        r#"{{"policy":{{"key_props":{{"kty":"EC"}},"x509_props":{{"subject":"CN=mycert1.example"}},"issuer":{{"name":"{issuer}"}}}}}}"#
    )
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status, the headers that differ between answers, and the body, with names in the place of
    /// identifiers (`<1>`, `<2>` by first appearance), times, keys and certificates.
    pub(crate) fn shown(&self) -> String {
        let mut lines = vec![self.status.to_string()];
        let request_id = self.header("x-ms-request-id").unwrap();
        assert!(request_id.len() == 36 && request_id.split('-').count() == 5, "{request_id}");
        for (name, value) in EVERYWHERE {
            assert_eq!(self.header(name), Some(value), "{name}");
        }
        let common = |name: &str| name == "x-ms-request-id" || EVERYWHERE.iter().any(|(known, _)| *known == name);
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| !common(name.as_str()))
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        lines.extend(headers);
        lines.push(self.body.clone());
        named(&lines.join("\n"))
    }

    /// Compares the whole answer; `expected` may be indented and broken for reading.
    #[track_caller]
    pub(crate) fn is(&self, expected: &str) {
        let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
        let (body, head): (Vec<&str>, Vec<&str>) =
            expected.into_iter().partition(|line| line.starts_with(['{', '"', '}', '[', ']', ' ']));
        let expected = [head, vec![&body.concat()]].concat().join("\n");
        let shown = self.shown();
        assert_eq!(shown, expected, "\n--- answered\n{shown}\n--- expected\n{expected}\n");
    }

    /// A refusal: status, code, and words that its message has.
    #[track_caller]
    pub(crate) fn is_refusal(&self, status: u16, code: &str, words: &str) {
        self.shown();
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"));
        let body = self.json();
        assert_eq!(body["error"]["code"], code, "{}", self.body);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
}

/// Puts names in the place of what no test can know.
fn named(text: &str) -> String {
    let mut text = text.to_owned();
    for member in ["csr", "cer", "x5t"] {
        let start = format!("\"{member}\":\"");
        let mut from = 0;
        while let Some(at) = text[from..].find(&start).map(|at| from + at + start.len()) {
            let end = at + text[at..].find('"').unwrap();
            assert!(end > at, "{member} is empty");
            text.replace_range(at..end, &format!("<{member}>"));
            from = at;
        }
    }
    let mut ids: Vec<String> = Vec::new();
    let mut out = String::new();
    let mut run = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_alphanumeric() {
            run.push(c);
            continue;
        }
        if run.len() == 32 && run.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            let number = ids.iter().position(|id| *id == run).unwrap_or_else(|| {
                ids.push(run.clone());
                ids.len() - 1
            });
            out.push_str(&format!("<{}>", number + 1));
        } else if run.len() == 10 && out.ends_with(':') && run.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str("<time>");
        } else {
            out.push_str(&run);
        }
        run.clear();
        out.push(c);
    }
    out.pop();
    out
}
