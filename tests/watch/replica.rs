//! A replica that has not yet read what another one committed.

use crate::around::{Around, store_around};
use crate::permit::{ask, permit};
use crate::watch::harness::{Life, set_issuers};
use crate::watch::writer::request;
use async_trait::async_trait;
use certmint::clock::SystemClock;
use certmint::domain::{CertificateName, VaultName};
use certmint::issuer::Issuers;
use certmint::issuer::self_signed::SelfSigned;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::limits::Limits;
use certmint::service::watch::{Bookmark, Snapshot, Subscriber, WatchItem, WatchLimits, WatchRequest};
use certmint::service::{Service, ServiceOptions};
use certmint::store::{Revision, Store};
use futures_util::StreamExt;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The same store, with a head watch that is never notified.
struct Deaf {
    inner: Arc<dyn Store>,
    silent: watch::Sender<Revision>,
}

store_around!(Deaf);

#[async_trait]
impl Around for Deaf {
    fn inner(&self) -> &dyn Store {
        &*self.inner
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.silent.subscribe()
    }
}

#[tokio::test]
async fn a_resumed_stream_catches_up_with_the_log_and_not_with_its_replicas_view() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let one = Life::begin(&folder.path().join("certmint.db"), &sealer, WatchLimits::default()).await;
    set_issuers(&one.service).await;
    let vault = VaultName::default_vault();
    let create = async |name: &str| {
        let name = CertificateName::parse(name).unwrap();
        ask!(one.service, creations.create(request(vault.clone(), name, "hold"))).unwrap()
    };
    let token = create("before").await.resume_token;

    let silent = watch::Sender::new(*one.store.head().borrow());
    let store: Arc<dyn Store> = Arc::new(Deaf { inner: one.store.clone(), silent });
    let keys = Arc::new(Keys::new(sealer, &KeyOptions::on_demand(), &Limits::default()).unwrap());
    let issuers = Issuers::new(Arc::new(SelfSigned::new(keys.clone())));
    let two = Service::new(store, issuers, keys, Arc::new(SystemClock), ServiceOptions::default()).await.unwrap();
    create("after").await;

    let expected = WatchRequest {
        vault: Some(vault.clone()),
        resume_token: token,
        snapshot: Some(Snapshot::None),
        ..WatchRequest::default()
    };
    let who = Subscriber { principal: "somebody".to_owned(), connection: 1 };
    let mut stream = two.watch().open(permit(&two, expected).await, &who, CancellationToken::new()).await.unwrap();
    let mut told = Vec::new();
    loop {
        match stream.next().await.unwrap().unwrap() {
            WatchItem::Event(event) => told.push(event.transition.operation.certificate.to_string()),
            WatchItem::Bookmark { kind: Bookmark::CaughtUp, .. } => break,
            _ => {}
        }
    }
    assert!(told.contains(&"after".to_owned()), "caught up, and told of no more than {told:?}");
}
