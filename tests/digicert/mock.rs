//! A CertCentral of our own on loopback: what it knows, and its faults as switches. The bodies are those
//! of the documentation pages that docs/issuers/digicert.md names.

use crate::https::Https;
use crate::routes;
use crate::signer::Signer;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

pub(crate) const KEY: &str = "0123456789ABCDEF-secret-key";

/// An order as the server keeps it.
#[derive(Clone)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) alternative: String,
    pub(crate) product: String,
    pub(crate) status: String,
    /// What was sent.
    pub(crate) body: Value,
    pub(crate) certificate: u64,
    pub(crate) request: u64,
    pub(crate) comment: Option<String>,
    pub(crate) changed: Instant,
    pub(crate) valid_till: String,
    pub(crate) reissues: Vec<Reissue>,
}

#[derive(Clone)]
pub(crate) struct Reissue {
    pub(crate) certificate: u64,
    pub(crate) csr: String,
    pub(crate) status: String,
    pub(crate) body: Value,
}

/// What the server does wrong, and what it does at first.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    /// The status of new orders; `issued` where nothing is said.
    pub(crate) first_status: Option<String>,
    /// New orders carry no chain, though they are issued.
    pub(crate) no_chain: bool,
    /// Errors as an object in place of a list.
    pub(crate) error_object: bool,
    /// The next so many calls are answered 429.
    pub(crate) limited: u32,
    /// The next so many calls are answered 503 with a page of a proxy.
    pub(crate) down: u32,
    /// Orders are refused: status, code, message.
    pub(crate) refuse_orders: Option<(u16, &'static str, &'static str)>,
    /// Cancellations are refused.
    pub(crate) refuse_cancel: bool,
    /// The next so many downloads give the certificate of another order.
    pub(crate) stale: u32,
    /// The next so many looks for an order do not list it yet.
    pub(crate) lag: u32,
    /// The key may not read the list of changes.
    pub(crate) no_changes: bool,
    /// The key may not approve.
    pub(crate) no_approval: bool,
    /// Orders of names wait for a proof that is not there.
    pub(crate) unproved: bool,
    /// Checks of proofs are refused: code, message.
    pub(crate) refuse_check: Option<(&'static str, &'static str)>,
    pub(crate) organizations: Option<Value>,
}

/// Everything that the server knows.
pub(crate) struct Account {
    pub(crate) signer: Signer,
    pub(crate) next: u64,
    pub(crate) orders: BTreeMap<u64, Order>,
    /// PEM, by number of the certificate.
    pub(crate) certificates: HashMap<u64, Vec<String>>,
    pub(crate) faults: Faults,
    /// Method and path of each call.
    pub(crate) calls: Vec<String>,
    /// What is answered to a request for an external account.
    pub(crate) external: Option<Value>,
}

/// The running server.
#[derive(Clone)]
pub(crate) struct Mock {
    pub(crate) base_url: String,
    /// The CA behind its HTTPS.
    pub(crate) ca_pem: String,
    account: Arc<Mutex<Account>>,
}

impl Mock {
    pub(crate) async fn start() -> Self {
        let account = Account {
            signer: Signer::new(),
            next: 1000,
            orders: BTreeMap::new(),
            certificates: HashMap::new(),
            faults: Faults::default(),
            calls: Vec::new(),
            external: None,
        };
        let account = Arc::new(Mutex::new(account));
        let known = Arc::clone(&account);
        let Https { url, ca_pem } = Https::start(None, move |asked| answer(&known, &asked.head, &asked.body)).await;
        Self { base_url: format!("{url}/services/v2"), ca_pem, account }
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }

    /// Moves every order to this status.
    pub(crate) fn set_status(&self, status: &str) {
        for order in self.account().orders.values_mut() {
            order.status = status.to_owned();
            order.changed = Instant::now();
            for reissue in &mut order.reissues {
                reissue.status = status.to_owned();
            }
        }
    }

    /// Issues every order that was not canceled.
    pub(crate) fn issue_what_waits(&self) {
        for order in self.account().orders.values_mut().filter(|order| order.status != "canceled") {
            order.status = "issued".to_owned();
        }
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.account().faults);
    }

    /// Orders and reissues that were placed.
    pub(crate) fn placed(&self) -> usize {
        self.account().orders.values().map(|order| 1 + order.reissues.len()).sum()
    }

    pub(crate) fn only_order(&self) -> Order {
        let account = self.account();
        assert_eq!(account.orders.len(), 1, "{:?}", account.calls);
        account.orders.values().next().unwrap().clone()
    }

    /// How often a call was made whose method and path begin so.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.account().calls.iter().filter(|known| known.starts_with(call)).count()
    }
}

fn answer(account: &Mutex<Account>, head: &http::request::Parts, body: &Bytes) -> Response<Full<Bytes>> {
    let mut account = account.lock().unwrap();
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let path = path.strip_prefix("/services/v2").unwrap_or(path).to_owned();
    account.calls.push(format!("{} {path}", head.method));
    let key = head.headers.get("x-dc-devkey").and_then(|key| key.to_str().ok());
    let reply = if account.faults.down > 0 {
        account.faults.down -= 1;
        routes::Reply::text(503, "<html>Bad gateway</html>")
    } else if account.faults.limited > 0 {
        account.faults.limited -= 1;
        let message = "Service unavailable, please limit request volume";
        routes::Reply { retry_after: Some(7), ..routes::refusal(&account, 429, "request_limit_exceeded", message) }
    } else if key != Some(KEY) {
        // Repeats what it was given, as careless servers do.
        let message = format!("Invalid API key {}", key.unwrap_or_default());
        routes::refusal(&account, 401, "access_denied|invalid_api_key", &message)
    } else {
        routes::route(&mut account, head.method.as_str(), &path, serde_json::from_slice(body).unwrap_or_default())
    };
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap();
    if let Some(seconds) = reply.retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
