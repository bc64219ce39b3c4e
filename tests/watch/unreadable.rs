//! An event of the log that cannot be read: somebody changed the database, or wrote to it.

use crate::permit::{ask, permit};
use crate::watch::harness::{Life, set_issuers};
use crate::watch::writer::request;
use certmint::domain::{CertificateName, VaultName};
use certmint::keys::{MasterKeys, Sealer};
use certmint::metrics::Metrics;
use certmint::service::watch::{Subscriber, WatchItem, WatchLimits, WatchRequest};
use certmint::store::Batch;
use futures_util::StreamExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const HANG: Duration = Duration::from_secs(120);
/// More than one page of the tail.
const UNREADABLE: usize = 9;

async fn begin(folder: &Path, sealer: &Arc<Sealer>) -> Life {
    let limits = WatchLimits { page: 4, ring: 4, ..WatchLimits::default() };
    Life::begin(&folder.join("certmint.db"), sealer, limits).await
}

fn name(name: &str) -> CertificateName {
    CertificateName::parse(name).unwrap()
}

/// A stream that ends with the operation of `after`.
fn until_the_end(resume_token: String) -> WatchRequest {
    WatchRequest {
        vault: Some(VaultName::default_vault()),
        names: vec![name("after")],
        resume_token,
        until_terminal: true,
        ..WatchRequest::default()
    }
}

#[tokio::test]
async fn it_keeps_nobody_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let life = begin(folder.path(), &sealer).await;
    set_issuers(&life.service).await;
    let vault = VaultName::default_vault;
    let resume_token =
        ask!(life.service, creations.create(request(vault(), name("before"), "Self"))).unwrap().resume_token;
    life.store.commit(Batch { events: vec![b"damaged".to_vec(); UNREADABLE], ..Batch::default() }).await.unwrap();
    ask!(life.service, creations.create(request(vault(), name("after"), "Self"))).unwrap();

    // Out of the store, from before.
    let who = Subscriber { principal: "somebody".to_owned(), connection: 1 };
    let closing = CancellationToken::new();
    let mut stream = life
        .service
        .watch()
        .open(permit(&life.service, until_the_end(resume_token)).await, &who, closing.clone())
        .await
        .unwrap();
    let mut events = 0;
    while let Some(item) = tokio::time::timeout(HANG, stream.next()).await.expect("the stream hangs") {
        events += usize::from(matches!(item.unwrap(), WatchItem::Event(_)));
    }
    assert!(events > 0);

    // The tail comes to the head, and counts each of them once.
    let read = tokio::time::timeout(HANG, async {
        let metrics = Metrics::new();
        loop {
            life.service.measure(&metrics);
            let text = metrics.text();
            let level = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
            if level("certmint_watch_tail_revision ") == level("certmint_store_head_revision ") {
                assert_eq!(level("certmint_watch_events_unreadable_total "), UNREADABLE.to_string());
                // The worker may commit at this very moment.
                if life.service.health(HANG).await.tail_lag == Duration::ZERO {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    read.await.expect("the tail of the log stays behind");

    // The next start counts what is in progress past them.
    drop(stream);
    life.end(true).await;
    let life = begin(folder.path(), &sealer).await;
    life.service.count_history().await.unwrap();
    life.end(true).await;
}
