//! One replay: recorded exchanges are sent to a separate service, in the order of the recording, and differences are
//! noted.

use super::compare::{self, Difference, HEADERS, Side};
use super::held::Held;
use super::tree::Tree;
use crate::client::{Client, HOST, Reply};
use crate::support::service;
use certmint::domain::{RetentionDays, VaultName};
use certmint::keys::MasterKeys;
use certmint::service::{NamedVault, ServiceOptions, VaultOptions};
use certmint::transport::auth::Auth;
use certmint::transport::rest::RestOptions;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

static RECORDED: LazyLock<Tree> =
    LazyLock::new(|| Tree::read(include_str!("../../data/azure/recorded-exchanges.json")));

/// The certificate of the recording that has no name for it.
pub(super) const NAMELESS: &str = "pem";

/// The list of an exchange, and its place there.
pub(super) type Id = (&'static str, usize);

/// All exchanges.
pub(super) fn all() -> impl Iterator<Item = Id> {
    let count = |list: &str| RECORDED.member(list).unwrap().items().len();
    ["full", "newer"].into_iter().flat_map(move |list| (0..count(list)).map(move |index| (list, index)))
}

/// What was seen of each exchange that was played.
pub(super) type Seen = BTreeMap<Id, Vec<Difference>>;

/// A service in a vault like that of a recording.
pub(super) struct Play<'a> {
    pub(super) client: Client,
    store: Arc<Held>,
    seen: &'a mut Seen,
}

/// How the request to us differs from the recorded one, where it must.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// In the place of the recorded path.
    path: Option<String>,
    body: Option<Value>,
    headers: Vec<(&'static str, &'static str)>,
    anonymous: bool,
    /// The certificate is one of ours, because the key of the recorded one is not known.
    own_certificate: bool,
}

impl Request {
    /// The recording as it is; where it has no body, none.
    pub(super) fn recorded() -> Self {
        Self::default()
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(super) fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn own_certificate(mut self, body: Value) -> Self {
        self.own_certificate = true;
        self.body(body)
    }

    pub(super) fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }
}

/// Always the same, so that page tokens are.
fn master_keys() -> MasterKeys {
    MasterKeys::from_text("replay AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap()
}

impl<'a> Play<'a> {
    /// In a vault that keeps deleted certificates for so many days; no work is done until it is let go.
    pub(super) async fn begin(seen: &'a mut Seen, retention: u32) -> Self {
        let store = Arc::new(Held::new());
        let settings = NamedVault { retention_days: RetentionDays::new(retention).ok(), purge_protection: None };
        let named = [(VaultName::parse("v1").unwrap(), settings)].into();
        let vaults = VaultOptions { named, ..VaultOptions::default() };
        let limits = ServiceOptions { vaults, ..ServiceOptions::default() };
        let service = service::start_on(store.clone(), master_keys(), limits).await;
        Self { client: Client::over(service, RestOptions::new(Auth::Development)), store, seen }
    }

    /// Lets operations go on, until the one of this name has ended.
    pub(super) async fn work(&self, name: &str) -> Value {
        self.store.hold(false);
        let ended = self.client.ended(name).await;
        self.store.hold(true);
        ended
    }

    /// Plays an exchange.
    pub(super) async fn exchange(&mut self, id: Id, request: Request) -> Reply {
        let recorded = &RECORDED.member(id.0).unwrap().items()[id.1];
        let own_certificate = request.own_certificate;
        let reply = self.send(recorded, request).await;
        let differences = differences(recorded, &reply, own_certificate);
        assert!(self.seen.insert(id, differences).is_none(), "{id:?} is played twice");
        reply
    }

    async fn send(&self, recorded: &Tree, request: Request) -> Reply {
        let Request { path, body, headers, anonymous, own_certificate: _ } = request;
        let text = |member: &str| recorded.member(member).unwrap().text();
        let path = path.unwrap_or_else(|| text("path").to_owned());
        let version = format!("api-version={}", text("api_version"));
        let path = match path.contains('?') {
            _ if path.contains("api-version=") => path,
            true => format!("{path}&{version}"),
            false => format!("{path}?{version}"),
        };
        let sent = recorded.member("request_body").filter(|body| **body != Tree::Leaf(Value::Null));
        let body = body.map(|body| body.to_string()).or_else(|| sent.map(Tree::to_string)).unwrap_or_default();
        let mut all = vec![("content-type", "application/json"), ("accept", "application/json")];
        if !anonymous {
            all.push(("authorization", "Bearer token"));
        }
        all.retain(|(name, _)| !headers.iter().any(|(given, _)| given == name));
        all.extend(headers);
        self.client.raw(&format!("{} {path}", text("method")), &all, &body).await
    }
}

fn differences(recorded: &Tree, reply: &Reply, own_certificate: bool) -> Vec<Difference> {
    let mut found = Vec::new();
    let status = recorded.member("status").unwrap().number();
    if status != u64::from(reply.status) {
        found.push(Difference {
            member: "status".to_owned(),
            recorded: status.to_string(),
            ours: reply.status.to_string(),
        });
    }
    let theirs = Side { host: "sdktestvault74.vault.azure.net" };
    let mine = Side { host: HOST };
    let Some(Tree::Object(headers)) = recorded.member("response_headers") else { panic!("no headers") };
    for name in HEADERS {
        let recorded =
            headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.text());
        let recorded = recorded.map(|value| theirs.named(value));
        let ours = reply.header(name).map(|value| mine.named(value));
        found.extend(compare::texts(&format!("header {name}"), recorded.as_deref(), ours.as_deref()));
    }
    // One recording has no name for its certificate.
    let body = theirs.named(&recorded.member("response_body").unwrap().to_string()).replace("{name}", NAMELESS);
    let mut body = Tree::read(&body);
    if let (true, Some(cer)) = (own_certificate, body.member_mut("cer")) {
        *cer = Tree::Leaf("<certificate>".into());
    }
    let is_json = reply.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let ours = mine.named(&reply.body);
    let ours = match () {
        () if is_json => Tree::read(&ours),
        () if ours.is_empty() => Tree::Leaf(Value::Null),
        () => Tree::Leaf(ours.into()),
    };
    // A signing request alone is compared as one that stands in an operation.
    let (body, ours) = match (body, ours) {
        (body @ Tree::Leaf(Value::String(_)), ours) => (alone(body), alone(ours)),
        both => both,
    };
    found.extend(compare::bodies(&body, &ours));
    found
}

fn alone(csr: Tree) -> Tree {
    Tree::Object(vec![("csr".to_owned(), csr)])
}
