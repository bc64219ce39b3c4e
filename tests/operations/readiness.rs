//! Readiness: a store that does not answer, and streams that are behind the log.

use crate::around::{Around, store_around};
use crate::permit::{ask, new_certificate, permit};
use crate::support::service::start_on;
use async_trait::async_trait;
use certmint::domain::{IssuerInput, IssuerName, Reason, VaultName};
use certmint::keys::MasterKeys;
use certmint::metrics::Metrics;
use certmint::service::ServiceOptions;
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, EventPage, Put, Record, Revision, Store, StoreError};
use certmint::transport::admin::Probes;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const WELL: u8 = 0;
const FAILS: u8 = 1;
const HANGS: u8 = 2;
/// Only the log cannot be read on.
const LOG_HANGS: u8 = 3;
/// It can be read, as a disk that became read-only can.
const READ_ONLY: u8 = 4;

struct Moody {
    inner: Sqlite,
    mood: AtomicU8,
}

impl Moody {
    async fn suffer(&self) -> Result<(), StoreError> {
        match self.mood.load(SeqCst) {
            FAILS => Err(StoreError::Unavailable("the disk is full".into())),
            HANGS => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

store_around!(Moody);

#[async_trait]
impl Around for Moody {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.suffer().await?;
        self.inner.get(key).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        if self.mood.load(SeqCst) == READ_ONLY {
            return Err(StoreError::Unavailable("the disk is read-only".into()));
        }
        self.inner.commit(batch).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        // The tail reads pages, the probe one event.
        if self.mood.load(SeqCst) == LOG_HANGS && limit > 1 {
            std::future::pending::<()>().await;
        }
        self.inner.events(after, limit).await
    }
}

async fn readyz(probes: &Probes) -> (u16, String) {
    let request = http::Request::get("/readyz").body(axum::body::Body::empty()).unwrap();
    let response = probes.router().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn readiness_says_what_stands_in_the_way() {
    let metrics = Arc::new(Metrics::new());
    let draining = CancellationToken::new();
    let patience = Duration::from_secs(5);
    let probes = Probes::new(metrics.clone(), draining.clone(), patience, patience);
    // The same, where a server may be behind for longer than any test takes.
    let lenient = Probes::new(Arc::default(), draining.clone(), patience, Duration::from_secs(3600));
    let starting = r#"{"ready":false,"reasons":[{"reason":"starting","detail":"the store is not open yet"}]}"#;
    assert_eq!(readyz(&probes).await, (503, starting.to_owned()));

    let store = Arc::new(Moody { inner: Sqlite::open_in_memory().unwrap(), mood: AtomicU8::new(WELL) });
    let test = start_on(store.clone(), MasterKeys::random(), ServiceOptions::default()).await;
    probes.started(test.service.clone());
    lenient.started(test.service.clone());
    assert_eq!(readyz(&probes).await, (200, r#"{"ready":true,"reasons":[]}"#.to_owned()));
    assert!(metrics.text().contains("certmint_ready 1\n"));

    for (mood, detail) in [(FAILS, "the disk is full"), (HANGS, "no answer within 5000 ms")] {
        store.mood.store(mood, SeqCst);
        let (status, body) = readyz(&probes).await;
        assert!(status == 503 && body.contains(r#""reason":"store""#) && body.contains(detail), "{body}");
    }
    assert!(metrics.text().contains("certmint_ready 0\n"));

    store.mood.store(LOG_HANGS, SeqCst);
    let put = Put { key: "test/x".to_owned(), expected: None, body: b"{}".to_vec(), due: None };
    Store::commit(&*store, Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    assert_eq!(readyz(&lenient).await.0, 200, "a moment behind is nothing");
    crate::clients::until("behind", async || {
        let (status, body) = readyz(&probes).await;
        status == 503 && body.contains(r#""reason":"tail""#)
    })
    .await;

    draining.cancel();
    assert!(readyz(&probes).await.1.starts_with(r#"{"ready":false,"reasons":[{"reason":"draining""#));
}

#[tokio::test]
async fn an_issuer_that_fails_is_named_and_turns_no_readiness() {
    let store = Arc::new(Moody { inner: Sqlite::open_in_memory().unwrap(), mood: AtomicU8::new(WELL) });
    let test = start_on(store, MasterKeys::random(), ServiceOptions::default()).await;
    let metrics = Arc::new(Metrics::new());
    let patience = Duration::from_secs(60);
    let probes = Probes::new(metrics.clone(), CancellationToken::new(), patience, patience);
    probes.started(test.service.clone());
    let (vault, name) = (VaultName::default_vault(), IssuerName::parse("Down").unwrap());
    let input = IssuerInput {
        provider: Some("Test".to_owned()),
        account_id: Some("fail".to_owned()),
        ..IssuerInput::default()
    };
    let wanted = permit(&test.service, (vault.clone(), name)).await;
    test.service.issuers().set_issuer(wanted, input).await.unwrap();
    ask!(test.service, creations.create(new_certificate(vault, "web", "down"))).unwrap();
    crate::clients::until("failing", async || {
        let (status, body) = readyz(&probes).await;
        assert_eq!(status, 200, "{body}");
        body.contains(r#""failing_issuers":[{"vault":"default","issuer":"down","provider":"Test"}]"#)
    })
    .await;
    test.service.measure(&metrics);
    assert!(metrics.text().contains("certmint_issuers{provider=\"Test\",state=\"failing\"} 1\n"));
}

#[tokio::test]
async fn a_store_that_takes_no_writes_makes_a_server_not_ready_until_it_takes_them_again() {
    let store = Arc::new(Moody { inner: Sqlite::open_in_memory().unwrap(), mood: AtomicU8::new(WELL) });
    let test = start_on(store.clone(), MasterKeys::random(), ServiceOptions::default()).await;
    let patience = Duration::from_secs(60);
    let probes = Probes::new(Arc::new(Metrics::new()), CancellationToken::new(), patience, patience);
    probes.started(test.service.clone());
    let name = IssuerName::parse("corp").unwrap();
    let set = || async {
        let input = IssuerInput { provider: Some("Test".to_owned()), ..IssuerInput::default() };
        ask!(test.service, issuers.set_issuer((VaultName::default_vault(), name.clone()), input))
    };
    set().await.unwrap();
    store.mood.store(READ_ONLY, SeqCst);
    assert_eq!(readyz(&probes).await.0, 200, "nobody has noticed yet, and nobody asked in vain");
    assert_eq!(set().await.unwrap_err().reason, Reason::StoreUnavailable);
    for _ in 0..2 {
        let (status, body) = readyz(&probes).await;
        assert!(
            status == 503 && body.contains(r#""reason":"store","detail":"the store is not available: the disk"#),
            "{body}"
        );
    }
    ask!(test.service, issuers.issuer((VaultName::default_vault(), name.clone()))).unwrap();
    store.mood.store(WELL, SeqCst);
    assert_eq!(readyz(&probes).await.0, 200, "it finds out by itself");
    set().await.unwrap();
}
