//! A server that can die and be started again on the same file, with a clock that is moved by hand.

use crate::crash::authority::{Books, answer};
use crate::crash::faults::{Faults, FaultyStore};
use crate::crash::scenarios::Scenario;
use crate::false_provider::FalseProvider;
use certmint::clock::{Clock, ManualClock};
use certmint::domain::{Result, Timestamp};
use certmint::issuer::Issuers;
use certmint::issuer::provider::Provider;
use certmint::issuer::self_signed::SelfSigned;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::limits::Limits;
use certmint::service::{Service, ServiceOptions};
use certmint::store::Store;
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What stays when the process dies: the file, the master key, the authority, and the clock.
pub(crate) struct Harness {
    folder: tempfile::TempDir,
    sealer: Arc<Sealer>,
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) clock: Arc<ManualClock>,
    faults: Arc<Faults>,
}

impl Harness {
    pub(crate) fn new(faults: Arc<Faults>) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            sealer: Arc::new(Sealer::new(MasterKeys::random())),
            books: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000))),
            faults,
        }
    }

    /// The store as an operator would open it, when nobody else has.
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        let file = self.folder.path().join("crash.db");
        // A program that another test starts holds the lock of this file too, from its fork to its exec.
        for _ in 0..6000 {
            match Sqlite::open(&file, SqliteOptions::default()) {
                Ok(store) => return Arc::new(store),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Arc::new(Sqlite::open(&file, SqliteOptions::default()).unwrap())
    }

    /// Runs the scenario; if the process dies it is restarted, and the caller repeats what
    /// he asked. Returns whether it died.
    pub(crate) async fn play(&self, scenario: Scenario) -> bool {
        let mut died = false;
        for _ in 0..3 {
            match self.life(scenario).await {
                Ok(()) if !self.faults.dead() => return died,
                outcome => {
                    assert!(self.faults.dead(), "an error without a crash: {outcome:?}");
                    died = true;
                    self.faults.revive();
                }
            }
        }
        panic!("one crash is planned, so the second life has to end");
    }

    async fn life(&self, scenario: Scenario) -> Result<()> {
        let service = self.service().await?;
        scenario.play(self, &service).await
    }

    /// A service that was just started.
    pub(crate) async fn service(&self) -> Result<Service> {
        let store: Arc<dyn Store> = Arc::new(FaultyStore { inner: self.open(), faults: self.faults.clone() });
        let options = KeyOptions { workers: 1, ..KeyOptions::on_demand() };
        let keys =
            Arc::new(Keys::new(self.sealer.clone(), &options, &Limits { key_queue: 8, ..Limits::default() }).unwrap());
        let signs = Arc::new(SelfSigned::new(keys.clone()));
        let (books, faults, inner) = (self.books.clone(), self.faults.clone(), signs.clone());
        let mut authority = FalseProvider::new("Counting", move |call| {
            let (books, faults, signs) = (books.clone(), faults.clone(), inner.clone());
            async move { faults.around(answer(books, signs, call)).await? }
        });
        authority.needs = signs.needs();
        let issuers = Issuers::new(signs).with_provider(Arc::new(authority));
        let clock: Arc<dyn Clock> = self.clock.clone();
        Service::new(store, issuers, keys, clock, ServiceOptions::default()).await
    }

    /// Does everything that is due, again and again with time passing, until nothing is due for longer than
    /// a lease and every backoff.
    pub(crate) async fn work(&self, service: &Service) -> Result<()> {
        let mut idle = 0;
        while idle < 4 {
            let due = service.jobs().claim(16).await?;
            idle = if due.is_empty() { idle + 1 } else { 0 };
            for due in due {
                service.jobs().step(due).await?;
            }
            self.clock.advance(Duration::from_secs(40));
        }
        Ok(())
    }
}
