//! DigiCert in the suite of all providers.

use crate::mock::{KEY, Mock};
use crate::play::{Wire, input, order_with_id, provider};
use crate::suite::{Subject, keeps_every_promise};
use async_trait::async_trait;
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::{PolicyInput, Timestamp};
use certmint::issuer::provider::{Challenge, ChallengeKey, IssuerInput, Order, Provider};
use certmint::keys::random_id;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct DigiCert {
    mock: Mock,
    wire: Arc<Wire>,
    clock: Arc<ManualClock>,
    served: Mutex<HashMap<ChallengeKey, String>>,
    more: Vec<(&'static str, &'static str)>,
}

#[async_trait]
impl Subject for DigiCert {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(provider(&self.wire, &self.clock, &BTreeMap::new()))
    }

    /// The organization is to be looked up.
    fn input(&self) -> IssuerInput {
        IssuerInput { organization: None, ..input(&self.mock, &self.more) }
    }

    fn refused(&self) -> Vec<IssuerInput> {
        let with = |name: &'static str, value: &str| input(&self.mock, &[(name, value)]);
        let spaced = IssuerInput { password: Some(format!("{KEY} {KEY}").into()), ..self.input() };
        vec![with("base_url", "ftp://x"), with("prodct.OV-SSL", "x"), with("dcv_method", KEY), spaced]
    }

    fn order(&self) -> Order {
        let id = random_id().simple().to_string();
        let subject = Some(format!("CN={}.example", &id[..8]));
        order_with_id(PolicyInput { subject, ..PolicyInput::default() }, &id)
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }

    fn requests(&self) -> usize {
        self.wire.requests.load(Ordering::SeqCst)
    }

    fn orders(&self) -> usize {
        self.mock.placed()
    }

    /// DigiCert validates and issues in its own time.
    async fn outside(&self, calls: usize) {
        self.mock.faults(|faults| faults.unproved = calls < 6 && faults.first_status.as_deref() == Some("pending"));
        if calls >= 6 {
            self.mock.issue_what_waits();
        }
    }

    fn serve(&self, publish: Vec<Challenge>, withdraw: Vec<ChallengeKey>) {
        let mut served = self.served.lock().unwrap();
        served.extend(publish.into_iter().map(|challenge| (challenge.key, challenge.key_authorization)));
        for key in withdraw {
            served.remove(&key);
        }
    }

    fn served(&self) -> usize {
        self.served.lock().unwrap().len()
    }

    async fn wait(&self, again: Duration) {
        self.clock.advance(again);
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

async fn subject(status: &str, more: Vec<(&'static str, &'static str)>) -> DigiCert {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some(status.into()));
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    DigiCert { mock, wire: Arc::default(), clock, served: Mutex::default(), more }
}

#[tokio::test]
async fn digicert_keeps_every_promise_where_names_are_validated() {
    keeps_every_promise(&subject("processing", Vec::new()).await).await;
}

#[tokio::test]
async fn digicert_keeps_every_promise_where_a_file_proves_the_names() {
    keeps_every_promise(&subject("pending", vec![("dcv_method", "http-token")]).await).await;
}
