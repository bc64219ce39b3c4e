//! Creations at a built-in CA until they are issued, with its log or without: the service and its worker in this process,
//! on a file. What differs is the log alone.

use super::creations::tell_of;
use crate::support::{Failure, Run, own_cpu};
use async_trait::async_trait;
use certmint::clock::SystemClock;
use certmint::domain::{
    self, Authority, DataAction, IssuerConfig, IssuerInput, IssuerName, PolicyInput, Serial, VaultName,
};
use certmint::issuer::local_ca::LocalCa;
use certmint::issuer::provider::{
    Health, Intent, IssuerInput as Options, IssuerSchema, Order, Progress, Provider, State,
};
use certmint::issuer::self_signed::SelfSigned;
use certmint::issuer::{Checkpoint, IssuerError, Issuers};
use certmint::keys::pointers::Pointers;
use certmint::keys::{KeyOptions, Keys, MasterKeys, Sealer};
use certmint::service::{Caller, CreateRequest, Permit, Service, ServiceOptions, Target};
use certmint::store::sqlite::{Sqlite, SqliteOptions};
use certmint::worker::{self, WorkerOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The built-in CA, which from a moment on signs without a log: what it would store it makes when it signs.
struct Measured {
    inner: LocalCa,
    is_logged: AtomicBool,
}

#[async_trait]
impl Provider for Measured {
    fn schema(&self) -> IssuerSchema {
        self.inner.schema()
    }

    fn state_in_object(&self, vault: &VaultName, issuer: &IssuerConfig) -> Option<State> {
        self.inner.state_in_object(vault, issuer)
    }

    fn is_ca(&self) -> bool {
        self.is_logged.load(Ordering::Relaxed)
    }

    async fn configure(&self, input: &Options, old: Option<&State>) -> domain::Result<State> {
        self.inner.configure(input, old).await
    }

    fn intend(
        &self,
        order: &Order,
        state: &State,
        serial: Option<Serial>,
        pointers: Option<&Pointers>,
    ) -> domain::Result<Option<Intent>> {
        self.inner.intend(order, state, serial, pointers)
    }

    async fn advance(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        if self.is_ca() {
            return self.inner.advance(order, state, at).await;
        }
        let intent = self.inner.intend(order, state, None, None);
        let intent = intent.map_err(|error| IssuerError::Misconfigured { source: error.message.into() })?;
        self.inner.advance(&Order { intent, ..order.clone() }, state, at).await
    }

    async fn cancel(&self, order: &Order, state: &State, at: &Checkpoint) -> Result<Progress, IssuerError> {
        self.inner.cancel(order, state, at).await
    }

    async fn check(&self, state: &State) -> Health {
        self.inner.check(state).await
    }

    fn authority(&self, state: &State) -> Option<Authority> {
        self.inner.authority(state)
    }
}

async fn permit<T: Target>(service: &Service, target: T) -> Result<Permit<T>, Failure> {
    let caller = Caller::new("bench", None);
    Ok(service.access().check(&caller, DataAction::CertificatesRead, target).await?)
}

pub(super) fn run(with_log: bool, callers: usize, time: Duration) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    tell_of(&runtime.block_on(measure(with_log, callers, time))?)
}

async fn measure(with_log: bool, callers: usize, time: Duration) -> Result<Run, Failure> {
    let folder = TempDir::new()?;
    let store = Sqlite::open(&folder.path().join("certmint.db"), SqliteOptions::default())?;
    let options = ServiceOptions::default();
    let keys =
        Arc::new(Keys::new(Arc::new(Sealer::new(MasterKeys::random())), &KeyOptions::on_demand(), &options.limits)?);
    let provider = Arc::new(Measured { inner: LocalCa::new(keys.clone()), is_logged: AtomicBool::new(true) });
    let issuers = Issuers::new(Arc::new(SelfSigned::new(keys.clone()))).with_provider(provider.clone());
    let service = Service::new(Arc::new(store), issuers, keys, Arc::new(SystemClock), options).await?;
    let (vault, issuer) = (VaultName::default_vault(), IssuerName::parse("corp")?);
    let input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
    service.issuers().set_issuer(permit(&service, (vault.clone(), issuer.clone())).await?, input).await?;
    provider.is_logged.store(with_log, Ordering::Relaxed);
    let stop = CancellationToken::new();
    let worker = tokio::spawn(worker::run(service.clone(), WorkerOptions::default(), stop.clone()));

    let names = Arc::new(AtomicUsize::new(0));
    let (cpu, begun) = (own_cpu()?, Instant::now());
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (service, names, vault) = (service.clone(), names.clone(), vault.clone());
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while begun.elapsed() < time {
                let name = format!("created-{}", names.fetch_add(1, Ordering::Relaxed));
                let asked = Instant::now();
                let wanted = permit(&service, create(vault.clone(), &name)?).await?;
                service.creations().create(wanted).await?;
                latencies.push(asked.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut run = Run::default();
    while let Some(done) = tasks.join_next().await {
        run.latencies.extend(done??);
    }
    // What was created is issued before the time ends.
    let wanted = permit(&service, (vault, issuer)).await?;
    while service.issuers().control().open_operations(&wanted).await?.count > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.elapsed = begun.elapsed();
    run.cpu = own_cpu()? - cpu;
    stop.cancel();
    worker.await?;
    Ok(run)
}

fn create(vault: VaultName, name: &str) -> Result<CreateRequest, Failure> {
    Ok(CreateRequest {
        vault,
        name: certmint::domain::CertificateName::parse(name)?,
        policy: Some(PolicyInput {
            kty: Some("EC".to_owned()),
            subject: Some(format!("CN={name}.example")),
            issuer_name: Some("corp".to_owned()),
            ..PolicyInput::default()
        }),
        enabled: None,
        tags: None,
        preserve_cert_order: None,
        csr: None,
        request_id: None,
        client_request_id: None,
    })
}
