//! A service as the server runs it, in this process: real keys, a store, a worker and the tail of
//! the log. It stops when it is dropped.

use certmint::clock::SystemClock;
use certmint::issuer::Issuers;
use certmint::issuer::local_ca::LocalCa;
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::test::TestIssuer;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::service::{Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::sqlite::Sqlite;
use certmint::worker::{self, WorkerOptions};
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct TestService {
    pub(crate) service: Service,
    _stop: DropGuard,
}

/// Starts a service on SQLite in memory.
pub(crate) async fn start() -> TestService {
    start_with(ServiceOptions::default()).await
}

pub(crate) async fn start_with(options: ServiceOptions) -> TestService {
    start_on(Arc::new(Sqlite::open_in_memory().unwrap()), MasterKeys::random(), options).await
}

/// Starts a service on a store; what was sealed with `keys` before can be opened again.
pub(crate) async fn start_on(store: Arc<dyn Store>, keys: MasterKeys, options: ServiceOptions) -> TestService {
    let sealer = Arc::new(Sealer::new(keys));
    let keys = Arc::new(Keys::new(sealer, &KeyOptions::on_demand(), &options.limits).unwrap());
    let self_signed = Arc::new(SelfSigned::new(keys.clone()));
    let local_ca = Arc::new(LocalCa::new(keys.clone()));
    let issuers =
        Issuers::new(self_signed.clone()).with_provider(local_ca).with_provider(Arc::new(TestIssuer::new(self_signed)));
    let service = Service::new(store, issuers, keys, Arc::new(SystemClock), options).await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(worker::run(service.clone(), WorkerOptions::default(), stop.clone()));
    tokio::spawn({
        let (service, stop) = (service.clone(), stop.clone());
        async move { service.watch().tail(stop).await }
    });
    tokio::spawn({
        let (service, stop) = (service.clone(), stop.clone());
        async move { service.grants().follow(stop).await }
    });
    TestService { service, _stop: stop.drop_guard() }
}
