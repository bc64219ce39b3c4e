//! Very many operations in progress, made by the service itself on the store of a cluster that stands still.

use crate::permit::{ask, new_certificate};
use certmint::clock::SystemClock;
use certmint::domain::VaultName;
use certmint::issuer::Issuers;
use certmint::issuer::local_ca::LocalCa;
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::test::TestIssuer;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::limits::Limits;
use certmint::service::{CreateRequest, Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::StoreOptions;
use certmint::store::postgres::Postgres;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Creations at the same time, so that many share a commit.
const AT_ONCE: usize = 64;

/// Of so many operations those that an issuer completes.
pub(crate) fn completing(count: usize) -> usize {
    (0..count).filter(|number| !["fails", "rejects", "holds"].contains(&issuer(*number))).count()
}

/// Most are issued, some fail, few wait for somebody.
fn issuer(number: usize) -> &'static str {
    match number % 100 {
        0 => "holds",
        1..4 => "fails",
        4..7 => "rejects",
        number => ["Self", "signs", "corp"][number % 3],
    }
}

/// Creates `count` operations in the data folder, or in the database at `url`, and works on none.
pub(crate) async fn make(data: &Path, url: Option<&str>, count: usize) {
    let store: Arc<dyn Store> = match url {
        None => Arc::new(Sqlite::open(&data.join("certmint.db"), SqliteOptions::default()).unwrap()),
        Some(url) => Arc::new(Postgres::open(url.parse().unwrap(), StoreOptions::default()).await.unwrap()),
    };
    let sealer = Arc::new(Sealer::new(MasterKeys::load(&data.join("master.key")).unwrap()));
    let keys = Arc::new(Keys::new(sealer, &KeyOptions::on_demand(), &Limits::default()).unwrap());
    let own = Arc::new(SelfSigned::new(keys.clone()));
    let issuers = Issuers::new(own.clone())
        .with_provider(Arc::new(LocalCa::new(keys.clone())))
        .with_provider(Arc::new(TestIssuer::new(own)));
    let service = Service::new(store, issuers, keys, Arc::new(SystemClock), ServiceOptions::default()).await.unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (service, next) = (service.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    ask!(service, creations.create(request(number))).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn request(number: usize) -> CreateRequest {
    new_certificate(VaultName::default_vault(), &format!("waiting-{number}"), issuer(number))
}
