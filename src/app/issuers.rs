//! The providers of a server, and the port that answers the CA's http-01 requests.

use super::error::AppError;
use super::parts::clients;
use crate::clock::{Clock, SystemClock};
use crate::config::{AcmeSettings, Config};
use crate::issuer::Issuers;
use crate::issuer::acme::{Acme, Lookup, PRESETS, Responder, Tools};
use crate::issuer::atlas::Atlas;
use crate::issuer::digicert::DigiCert;
use crate::issuer::globalsign::GlobalSign;
use crate::issuer::local_ca::LocalCa;
use crate::issuer::provider::ChallengeKind;
use crate::issuer::self_signed::SelfSigned;
use crate::issuer::test::TestIssuer;
use crate::keys::{Keys, MasterKeys, Sealer, random_id};
use crate::proto::v1::IssuerProvider;
use crate::service::{ProviderView, Service};
use crate::transport::grpc::provider_message;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Every provider that issuer objects can name.
pub(super) fn all(config: &Config, keys: &Arc<Keys>, clock: &Arc<dyn Clock>) -> Result<Issuers, AppError> {
    let self_signed = Arc::new(SelfSigned::new(keys.clone()));
    let mut issuers = Issuers::new(self_signed.clone()).with_provider(Arc::new(LocalCa::new(keys.clone())));
    let tools = Tools {
        clients: Arc::new(clients(config)?),
        hooks: Arc::new(config.acme.hooks.clone()),
        clock: clock.clone(),
        http_01: config.acme.http_listen.is_some(),
        tls_alpn_01: false,
    };
    for preset in PRESETS {
        issuers = issuers.with_provider(Arc::new(Acme::new(*preset, tools.clone())));
    }
    let acme = Arc::new(Acme::new(PRESETS[0], tools.clone()));
    issuers = issuers.with_provider(Arc::new(DigiCert::new(tools.clone(), acme)));
    issuers = issuers.with_provider(Arc::new(GlobalSign::new(tools.clone())));
    issuers = issuers.with_provider(Arc::new(Atlas::new(tools)));
    if config.dev {
        issuers = issuers.with_provider(Arc::new(TestIssuer::new(self_signed)));
    }
    Ok(issuers)
}

/// What this program knows of the options of its providers, without a server.
pub fn known() -> Vec<IssuerProvider> {
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let keys = Arc::new(Keys::inline(sealer, Arc::new(random_id)));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = Config { dev: true, ..Config::default() };
    let issuers = all(&config, &keys, &clock).map(|issuers| ProviderView::of(&issuers)).unwrap_or_default();
    issuers.into_iter().map(provider_message).collect()
}

/// Opens the port for http-01, where there is to be one. Before anything is served: an order that begins may need it.
pub(super) async fn bind_http01(settings: &AcmeSettings) -> Result<Option<TcpListener>, AppError> {
    let Some(address) = settings.http_listen else { return Ok(None) };
    let failed = |source| AppError::Listen { address, option: "http_listen in [acme]", source };
    TcpListener::bind(address).await.map(Some).map_err(failed)
}

/// Answers until the server stops.
pub(super) async fn serve_http01(listener: TcpListener, service: Service, stop: CancellationToken) {
    Responder::new(Arc::new(Challenges(service))).serve(listener, stop.cancelled_owned()).await;
}

/// The challenges in the store.
struct Challenges(Service);

#[async_trait]
impl Lookup for Challenges {
    async fn lookup(&self, token: &str) -> Result<Option<String>, ()> {
        self.0.issuers().challenge(ChallengeKind::Http01, token).await.map_err(unanswered)
    }

    async fn file(&self, host: &str) -> Result<Option<String>, ()> {
        self.0.issuers().challenge(ChallengeKind::PkiValidation, host).await.map_err(unanswered)
    }
}

fn unanswered(error: crate::domain::Error) {
    tracing::warn!(%error, "a CA that validates a name could not be answered");
}
