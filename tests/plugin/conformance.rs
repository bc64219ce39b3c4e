//! A plug-in in the suite of all providers.

use crate::mock::{Manner, Mock, Running, TOKEN, input, provider, serve, socket};
use crate::orders::{Harness, NOW, named};
use crate::suite::{Subject, keeps_every_promise};
use async_trait::async_trait;
use certmint::domain::policy::KeyType;
use certmint::domain::{RequestId, Timestamp};
use certmint::issuer::provider::{IssuerInput, Order, Provider};
use certmint::keys::random_id;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct BehindASocket {
    harness: Harness,
    mock: Arc<Mock>,
    address: String,
    folder: tempfile::TempDir,
    /// Whether the plug-in is killed and started again before each call.
    killed: bool,
    running: Mutex<Running>,
}

impl BehindASocket {
    fn new(killed: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (path, address) = socket(folder.path());
        let mock = Mock::new(Manner::Good);
        let running = Mutex::new(serve(&mock, &path));
        Self { harness: Harness::new(), mock, address, folder, killed, running }
    }
}

#[async_trait]
impl Subject for BehindASocket {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(provider(&self.address, None, Duration::from_secs(60)))
    }

    fn input(&self) -> IssuerInput {
        input()
    }

    fn refused(&self) -> Vec<IssuerInput> {
        let with = |name: &str, value: &str| {
            let mut input = input();
            input.options.insert(name.into(), value.into());
            input
        };
        let mut without = input();
        without.options.clear();
        let mut misplaced = input();
        misplaced.secrets.insert("url".into(), TOKEN.to_owned().into());
        vec![with("ulr", "https://ca.example"), with("url", "ftp://x"), with("token", TOKEN), without, misplaced]
    }

    fn order(&self) -> Order {
        let mut order = self.harness.order(KeyType::P256, named("CN=a.example"), None).order;
        (order.request_id, order.sealed_key) = (RequestId::from_uuid(random_id()), None);
        order
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }

    fn requests(&self) -> usize {
        self.mock.requests.load(Ordering::SeqCst)
    }

    fn orders(&self) -> usize {
        self.mock.orders.lock().unwrap().len()
    }

    async fn outside(&self, _calls: usize) {
        if self.killed {
            let (path, _) = socket(self.folder.path());
            *self.running.lock().unwrap() = serve(&self.mock, &path);
        }
    }

    fn now(&self) -> Timestamp {
        NOW
    }
}

#[tokio::test]
async fn a_plug_in_keeps_every_promise() {
    keeps_every_promise(&BehindASocket::new(false)).await;
}

#[tokio::test]
async fn a_plug_in_that_is_killed_before_each_call_keeps_every_promise() {
    keeps_every_promise(&BehindASocket::new(true)).await;
}
