//! A service that can be stopped, gracefully or not, and restarted on the same store.

use crate::permit::ask;
use certmint::clock::SystemClock;
use certmint::domain::{IssuerInput, IssuerName, VaultName};
use certmint::issuer::Issuers;
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::test::TestIssuer;
use certmint::keys::{KeyOptions, Keys, Sealer};
use certmint::limits::Limits;
use certmint::service::watch::WatchLimits;
use certmint::service::{Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::worker::{self, WorkerOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One life of the server between two starts.
pub(crate) struct Life {
    pub(crate) service: Service,
    pub(crate) store: Arc<dyn Store>,
    /// Ends streams as the drain of a server does.
    pub(crate) closing: CancellationToken,
    /// Tells watchers that the connection broke.
    pub(crate) cut: CancellationToken,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Life {
    pub(crate) async fn begin(file: &Path, sealer: &Arc<Sealer>, watch: WatchLimits) -> Self {
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(file, SqliteOptions::default()).unwrap());
        let keys = Arc::new(Keys::new(sealer.clone(), &KeyOptions::on_demand(), &Limits::default()).unwrap());
        let self_signed = Arc::new(SelfSigned::new(keys.clone()));
        let issuers = Issuers::new(self_signed.clone()).with_provider(Arc::new(TestIssuer::new(self_signed)));
        // What a dead worker had claimed is to be due again within the run.
        let limits = Limits { work_lease: Duration::from_millis(500), ..Limits::default() };
        let limits = ServiceOptions { limits, watch, ..ServiceOptions::default() };
        let clock = Arc::new(SystemClock);
        let service = Service::new(store.clone(), issuers, keys, clock, limits).await.unwrap();
        let stop = CancellationToken::new();
        let options = WorkerOptions { poll: Duration::from_millis(100), ..WorkerOptions::default() };
        let tasks = vec![
            tokio::spawn(worker::run(service.clone(), options, stop.clone())),
            tokio::spawn({
                let (service, stop) = (service.clone(), stop.clone());
                async move { service.watch().tail(stop).await }
            }),
        ];
        Self { service, store, closing: CancellationToken::new(), cut: CancellationToken::new(), stop, tasks }
    }

    /// Ends it: `politely` streams are closed and steps end, else everything is cut where it is.
    pub(crate) async fn end(self, politely: bool) {
        let Self { service, store, closing, cut, stop, tasks } = self;
        if politely {
            closing.cancel();
            stop.cancel();
        } else {
            cut.cancel();
        }
        for task in tasks {
            if !politely {
                task.abort();
            }
            let _ = task.await;
        }
        drop(service);
        // The file is opened again when nobody of this life holds it.
        while Arc::strong_count(&store) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(crate) const VAULTS: [&str; 2] = ["default", "v2"];
pub(crate) const ISSUERS: [&str; 3] = ["complete", "hold", "fail"];

/// The issuers that the writers use, in every vault.
pub(crate) async fn set_issuers(service: &Service) {
    for vault in VAULTS {
        for account in ISSUERS {
            let input = IssuerInput {
                provider: Some("Test".to_owned()),
                account_id: Some(account.to_owned()),
                ..IssuerInput::default()
            };
            let (vault, name) = (VaultName::parse(vault).unwrap(), IssuerName::parse(account).unwrap());
            ask!(service, issuers.set_issuer((vault.clone(), name.clone()), input)).unwrap();
        }
    }
}
