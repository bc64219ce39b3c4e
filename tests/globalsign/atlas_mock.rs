//! The HVCA API of Atlas on loopback, over HTTPS with certificates of clients: what it knows, and its faults as switches.
//! Paths and bodies are those that GlobalSign's own client reads and writes.

use crate::https::{Asked, Https};
use crate::signer::Signer;
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use certmint::clock::{Clock, SystemClock};
use certmint::outbound::{ClientOptions, Clients, Error, ErrorKind, Exchange, Identity, Request, Response};
use http_body_util::Full;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

pub(crate) const KEY: &str = "atlas-api-key";
pub(crate) const SECRET: &str = "atlas-secret-0123456789";

pub(crate) struct Made {
    pub(crate) serial: String,
    pub(crate) body: Value,
    chain: Vec<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// Certificates are still being made when they are first asked for, so often.
    pub(crate) not_yet: usize,
    /// Requests are refused: status and description.
    pub(crate) refuse: Option<(u16, &'static str)>,
    /// The next so many calls are answered 503.
    pub(crate) down: u32,
    /// The next so many lists do not have new certificates yet.
    pub(crate) lag: u32,
    pub(crate) revoked: bool,
    pub(crate) quota: Option<u64>,
}

/// Everything that the server knows.
pub(crate) struct Atlas {
    signer: Signer,
    pub(crate) url: String,
    pub(crate) ca_pem: String,
    /// The certificate that clients show, and its key (PEM).
    pub(crate) client: (String, String),
    /// A certificate of somebody else, with its key.
    pub(crate) stranger: (String, String),
    pub(crate) made: Mutex<Vec<Made>>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) calls: Mutex<Vec<String>>,
    /// `traceparent` of each call.
    pub(crate) traces: Mutex<Vec<String>>,
    tokens: AtomicUsize,
    /// No token before this one is good any more.
    pub(crate) good_from: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    pub(crate) cut_after: AtomicUsize,
    pub(crate) lose: AtomicUsize,
    pub(crate) cut: Notify,
}

fn client_of(ca: &CertifiedIssuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["client.example".to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    (leaf.pem(), key.serialize_pem())
}

fn ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Atlas {
    pub(crate) async fn start() -> Arc<Self> {
        let (clients, strangers) = (ca(), ca());
        let slot: Arc<Mutex<Option<Arc<Self>>>> = Arc::default();
        let known = Arc::clone(&slot);
        let server = Https::start(Some(&clients.pem()), move |asked| {
            let atlas = known.lock().unwrap().clone().unwrap();
            atlas.answer(&asked)
        })
        .await;
        let atlas = Arc::new(Self {
            signer: Signer::new(),
            url: format!("{}/v2", server.url),
            ca_pem: server.ca_pem,
            client: client_of(&clients),
            stranger: client_of(&strangers),
            made: Mutex::default(),
            faults: Mutex::default(),
            calls: Mutex::default(),
            traces: Mutex::default(),
            tokens: AtomicUsize::new(0),
            good_from: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            cut_after: AtomicUsize::new(0),
            lose: AtomicUsize::new(0),
            cut: Notify::new(),
        });
        *slot.lock().unwrap() = Some(Arc::clone(&atlas));
        atlas
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock().unwrap());
    }

    pub(crate) fn placed(&self) -> usize {
        self.made.lock().unwrap().len()
    }

    /// How often a call was made whose method and path begin so.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|known| known.starts_with(call)).count()
    }

    fn answer(&self, asked: &Asked) -> http::Response<Full<Bytes>> {
        assert!(asked.client.is_some(), "TLS lets nobody in without a certificate");
        let path = asked.head.uri.path_and_query().map_or("", |path| path.as_str());
        let path = path.strip_prefix("/v2").unwrap().to_owned();
        self.calls.lock().unwrap().push(format!("{} {path}", asked.head.method));
        let header =
            |name: &str| asked.head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.traces.lock().unwrap().push(header("traceparent").to_owned());
        {
            let mut faults = self.faults.lock().unwrap();
            if faults.down > 0 {
                faults.down -= 1;
                return refusal(503, "Try again later.");
            }
        }
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        if !asked.body.is_empty() {
            assert_eq!(header("content-type"), "application/json;charset=utf-8");
        }
        if path == "/login" {
            if body["api_key"] != KEY || body["api_secret"] != SECRET {
                // Repeats what it was given, as careless servers do.
                return refusal(401, &format!("Wrong secret {}", body["api_secret"]));
            }
            let number = self.tokens.fetch_add(1, Ordering::SeqCst);
            return reply(200, &json!({"access_token": format!("token-{number}")}));
        }
        let token = header("authorization").strip_prefix("Bearer token-").and_then(|number| number.parse().ok());
        if token.is_none_or(|token: usize| token < self.good_from.load(Ordering::SeqCst)) {
            return refusal(401, "The token is not valid.");
        }
        self.route(asked.head.method.as_str(), &path, body)
    }

    fn route(&self, method: &str, path: &str, body: Value) -> http::Response<Full<Bytes>> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["validationpolicy"]) => reply(
                200,
                &json!({"validity": {"secondsmin": 3600, "secondsmax": 90 * 86_400, "not_before_negative_skew": 120,
                    "not_before_positive_skew": 3600}, "public_key_signature": "FORBIDDEN"}),
            ),
            ("GET", ["quotas", "issuance"]) => {
                reply(200, &json!({"value": self.faults.lock().unwrap().quota.unwrap_or(42)}))
            }
            ("GET", ["trustchain"]) => reply(200, &json!(self.signer.above())),
            ("GET", ["stats", "issued"]) => self.listed(query),
            ("POST", ["certificates"]) => self.make(body),
            ("GET", ["certificates", serial]) => self.show(serial),
            _ => refusal(404, "Not found."),
        }
    }

    fn make(&self, body: Value) -> http::Response<Full<Bytes>> {
        if let Some((status, description)) = self.faults.lock().unwrap().refuse {
            return refusal(status, description);
        }
        let now = SystemClock.now().seconds();
        let begins = body["validity"]["not_before"].as_i64().unwrap();
        let seconds = body["validity"]["not_after"].as_i64().unwrap() - begins;
        if seconds > 90 * 86_400 {
            return refusal(422, "The validity is too long.");
        }
        // The clock of a test runs ahead.
        if now - begins > 120 {
            return refusal(422, "The certificate would begin too early.");
        }
        let pem = body["public_key"].as_str().unwrap();
        let base64: String = pem.lines().filter(|line| !line.contains("-----")).collect();
        let csr = STANDARD.decode(base64).unwrap();
        let common_name = body["subject_dn"]["common_name"].as_str().unwrap_or_default().to_owned();
        let names: Vec<String> = body["san"]["dns_names"]
            .as_array()
            .map(|names| names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
            .unwrap_or_default();
        let mut made = self.made.lock().unwrap();
        let serial = format!("{:016X}", 0x7400_0000_0000_0000_u64 + made.len() as u64);
        let chain = self.signer.sign(&csr, &common_name, &names, 90);
        made.push(Made { serial: serial.clone(), body, chain });
        let mut answer = reply(201, &Value::Null);
        let place = format!("{}/certificates/{serial}", self.url);
        answer.headers_mut().insert("location", place.parse().unwrap());
        answer
    }

    fn show(&self, serial: &str) -> http::Response<Full<Bytes>> {
        let mut faults = self.faults.lock().unwrap();
        if faults.not_yet > 0 {
            faults.not_yet -= 1;
            return reply(202, &json!({"description": "not yet"}));
        }
        match self.made.lock().unwrap().iter().find(|made| made.serial == serial) {
            Some(made) => {
                let status = if faults.revoked { "REVOKED" } else { "ISSUED" };
                reply(200, &json!({"certificate": made.chain[0], "status": status, "updated_at": 1_790_000_000}))
            }
            None => refusal(404, "There is no such certificate."),
        }
    }

    fn listed(&self, query: &str) -> http::Response<Full<Bytes>> {
        let number = |name: &str| {
            let found = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.and_then(|number| number.parse::<i64>().ok()).unwrap()
        };
        let (page, per_page) = (number("page") as usize, number("per_page") as usize);
        assert!(number("from") < number("to"));
        let mut faults = self.faults.lock().unwrap();
        let made = self.made.lock().unwrap();
        let all: Vec<Value> = made
            .iter()
            .filter(|_| faults.lag == 0)
            .map(|made| {
                let validity = &made.body["validity"];
                json!({"serial_number": made.serial, "not_before": validity["not_before"],
                    "not_after": validity["not_after"]})
            })
            .collect();
        faults.lag = faults.lag.saturating_sub(1);
        let lines: Vec<&Value> = all.iter().skip((page - 1) * per_page).take(per_page).collect();
        let mut answer = reply(200, &json!(lines));
        answer.headers_mut().insert("total-count", all.len().into());
        answer
    }
}

fn reply(status: u16, body: &Value) -> http::Response<Full<Bytes>> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let answer = http::Response::builder().status(status).header("content-type", "application/json;charset=utf-8");
    answer.body(Full::new(Bytes::from(text))).unwrap()
}

fn refusal(status: u16, description: &str) -> http::Response<Full<Bytes>> {
    reply(status, &json!({ "description": description }))
}

/// The way to the server, which can lose an answer or cut the power after one.
struct Line {
    atlas: Arc<Atlas>,
    inner: Arc<dyn Exchange>,
}

#[async_trait]
impl Exchange for Line {
    async fn exchange(&self, request: Request) -> Result<Response, Error> {
        let answer = self.inner.exchange(request).await;
        let count = self.atlas.requests.fetch_add(1, Ordering::SeqCst) + 1;
        if count == self.atlas.cut_after.load(Ordering::SeqCst) {
            self.atlas.cut.notify_one();
            std::future::pending::<()>().await;
        }
        if count == self.atlas.lose.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Timeout, "The answer did not come."));
        }
        answer
    }
}

/// Makes real clients over lines that can break.
pub(crate) struct AtlasLines(pub(crate) Arc<Atlas>);

impl Clients for AtlasLines {
    fn client(&self, _: Option<&str>) -> Result<Arc<dyn Exchange>, Error> {
        Err(Error::new(ErrorKind::Settings, "Atlas is not reached without a certificate."))
    }

    fn client_with(&self, extra_roots: Option<&str>, identity: &Identity) -> Result<Arc<dyn Exchange>, Error> {
        let options = ClientOptions { native_roots: false, ..ClientOptions::default() };
        let inner = options.client_with(extra_roots, identity)?;
        Ok(Arc::new(Line { atlas: Arc::clone(&self.0), inner }))
    }
}
