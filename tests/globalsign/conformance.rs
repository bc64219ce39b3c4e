//! GlobalSign in the suite of all providers.

use crate::mock::{Mock, PASSWORD};
use crate::play::{input, order, provider};
use crate::suite::{Subject, keeps_every_promise};
use async_trait::async_trait;
use certmint::clock::{Clock, ManualClock, SystemClock};
use certmint::domain::Timestamp;
use certmint::issuer::provider::{IssuerInput, Order, Provider};
use certmint::keys::random_id;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

struct GlobalSign {
    mock: Arc<Mock>,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl Subject for GlobalSign {
    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(provider(&self.mock, &self.clock))
    }

    fn input(&self) -> IssuerInput {
        input(&self.mock, &[])
    }

    fn refused(&self) -> Vec<IssuerInput> {
        [("base_url", "ftp://x"), ("prodct.OV-SSL", "x")].map(|wrong| input(&self.mock, &[wrong])).into()
    }

    fn order(&self) -> Order {
        order(&format!("{}.example.com", &random_id().simple().to_string()[..8]))
    }

    fn secrets(&self) -> Vec<String> {
        vec![PASSWORD.to_owned()]
    }

    fn requests(&self) -> usize {
        self.mock.requests.load(Ordering::SeqCst)
    }

    fn orders(&self) -> usize {
        self.mock.placed()
    }

    async fn outside(&self, calls: usize) {
        if calls >= 5 {
            self.mock.set_status("4");
        }
    }

    async fn wait(&self, again: Duration) {
        self.clock.advance(again);
    }

    fn now(&self) -> Timestamp {
        SystemClock.now()
    }
}

#[tokio::test]
async fn globalsign_keeps_every_promise() {
    let mock = Mock::start().await;
    mock.faults(|faults| faults.first_status = Some("2"));
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    keeps_every_promise(&GlobalSign { mock, clock }).await;
}
