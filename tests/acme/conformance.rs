//! ACME against pebble, in the conformance suite of providers.

use crate::peers::{Pebble, PebbleOptions};
use crate::play::{Records, Wire, engine, input, order};
use crate::suite::{Subject, keeps_every_promise};
use async_trait::async_trait;
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::{RequestId, Timestamp};
use certmint::issuer::acme::Responder;
use certmint::issuer::provider::{Challenge, ChallengeKey, IssuerInput, Order, Provider};
use certmint::keys::random_id;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

const KID: &str = "kid-1";
const MAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

struct Acme {
    pebble: Pebble,
    wire: Arc<Wire>,
    records: Records,
    clock: Arc<ManualClock>,
    names: AtomicUsize,
}

#[async_trait]
impl Subject for Acme {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(engine(&self.wire, &self.clock, &BTreeMap::new()))
    }

    fn input(&self) -> IssuerInput {
        input(&self.pebble, &[("eab_kid", KID), ("eab_hmac", MAC_KEY)])
    }

    fn refused(&self) -> Vec<IssuerInput> {
        let with = |more: &[(&str, &str)]| input(&self.pebble, more);
        let mut misplaced = self.input();
        misplaced.options.insert("eab_hmac".into(), MAC_KEY.into());
        vec![
            with(&[("eab_kid", KID), ("eab_hmac", &format!("{MAC_KEY} is no base64"))]),
            with(&[("eab_hmac", MAC_KEY)]),
            with(&[("eab_kid", KID), ("eab_hmac", MAC_KEY), ("chalenge", "http-01")]),
            misplaced,
        ]
    }

    fn order(&self) -> Order {
        let number = self.names.fetch_add(1, Ordering::SeqCst);
        let (one, two) = (format!("a{number}.example"), format!("b{number}.example"));
        Order { request_id: RequestId::from_uuid(random_id()), ..order(&[&one, &two]) }
    }

    fn secrets(&self) -> Vec<String> {
        vec![MAC_KEY.to_owned()]
    }

    fn requests(&self) -> usize {
        self.wire.requests.load(Ordering::SeqCst)
    }

    fn orders(&self) -> usize {
        self.wire.orders.load(Ordering::SeqCst)
    }

    /// RFC 8555 has no reference of the client's own: an order whose address was lost expires unused.
    fn orphans(&self) -> usize {
        1
    }

    fn serve(&self, publish: Vec<Challenge>, withdraw: Vec<ChallengeKey>) {
        let mut records = self.records.map.lock().unwrap();
        records.extend(publish.into_iter().map(|challenge| (challenge.key, challenge.key_authorization)));
        for key in withdraw {
            records.remove(&key);
        }
    }

    fn served(&self) -> usize {
        self.records.map.lock().unwrap().len()
    }

    async fn wait(&self, again: Duration) {
        self.clock.advance(again);
        tokio::time::sleep(again.min(Duration::from_millis(100))).await;
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

#[tokio::test]
async fn acme_keeps_every_promise() {
    let binding = Some((KID.to_owned(), MAC_KEY.to_owned()));
    let pebble = Pebble::start(PebbleOptions { nonce_rejects: 5, binding, ..PebbleOptions::default() }).await;
    let records = Records::default();
    let listener = TcpListener::bind(("127.0.0.1", pebble.http_port)).await.unwrap();
    tokio::spawn(Responder::new(Arc::new(records.clone())).serve(listener, std::future::pending()));
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    keeps_every_promise(&Acme { pebble, wire: Arc::default(), records, clock, names: AtomicUsize::new(0) }).await;
}
