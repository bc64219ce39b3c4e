//! The parts behind the APIs: the service with its keys and store, the worker, the log reader.

use certmint::clock::SystemClock;
use certmint::issuer::Issuers;
use certmint::issuer::local_ca::LocalCa;
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::test::TestIssuer;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::service::{Service, ServiceOptions};
use certmint::store::Store;
use certmint::worker::{self, WorkerOptions};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Stops when it is dropped.
pub(crate) struct Background {
    store: Arc<dyn Store>,
    tasks: Vec<JoinHandle<()>>,
    stop: DropGuard,
}

impl Background {
    pub(crate) async fn start(store: Arc<dyn Store>, keys: MasterKeys, options: ServiceOptions) -> (Self, Service) {
        let sealer = Arc::new(Sealer::new(keys));
        let two = KeyOptions { workers: 2, ..KeyOptions::on_demand() };
        let keys = Arc::new(Keys::new(sealer, &two, &options.limits).unwrap());
        let self_signed = Arc::new(SelfSigned::new(keys.clone()));
        let issuers = Issuers::new(self_signed.clone())
            .with_provider(Arc::new(LocalCa::new(keys.clone())))
            .with_provider(Arc::new(TestIssuer::new(self_signed)));
        let service = Service::new(store.clone(), issuers, keys, Arc::new(SystemClock), options).await.unwrap();
        let stop = CancellationToken::new();
        let tasks = vec![
            tokio::spawn(worker::run(service.clone(), WorkerOptions::default(), stop.clone())),
            tokio::spawn({
                let (service, stop) = (service.clone(), stop.clone());
                async move { service.watch().tail(stop).await }
            }),
        ];
        (Self { store, tasks, stop: stop.drop_guard() }, service)
    }

    /// Ends when nobody holds the store any more: it can be opened again.
    pub(crate) async fn stopped(self) {
        let Self { store, tasks, stop } = self;
        drop(stop);
        for task in tasks {
            task.await.unwrap();
        }
        while Arc::strong_count(&store) > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}
