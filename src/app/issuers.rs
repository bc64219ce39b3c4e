//! The providers of a server, and the port that answers the CA's http-01 requests.

use super::AppError;
use crate::clock::Clock;
use crate::config::{AcmeSettings, Config, HookForm as FormSetting, HookSettings};
use crate::issuer::Issuers;
use crate::issuer::acme::{Acme, Hook, HookForm, Lookup, PRESETS, Responder, Tools};
use crate::issuer::local_ca::LocalCa;
use crate::issuer::provider::ChallengeKind;
use crate::issuer::self_signed::SelfSigned;
use crate::issuer::test::TestIssuer;
use crate::keys::Keys;
use crate::outbound::ClientOptions;
use crate::service::Service;
use async_trait::async_trait;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Every provider that issuer objects can name.
pub(super) fn all(config: &Config, keys: &Arc<Keys>, clock: &Arc<dyn Clock>) -> Issuers {
    let self_signed = Arc::new(SelfSigned::new(keys.clone()));
    let mut issuers = Issuers::new(self_signed.clone()).with_provider(Arc::new(LocalCa::new(keys.clone())));
    let tools = Tools {
        clients: Arc::new(ClientOptions::default()),
        hooks: Arc::new(config.acme.hooks.iter().map(|(name, settings)| (name.clone(), hook(settings))).collect()),
        clock: clock.clone(),
        tls_alpn_01: false,
    };
    for preset in PRESETS {
        issuers = issuers.with_provider(Arc::new(Acme::new(*preset, tools.clone())));
    }
    if config.dev {
        issuers = issuers.with_provider(Arc::new(TestIssuer::new(self_signed)));
    }
    issuers
}

fn hook(settings: &HookSettings) -> Hook {
    let HookSettings { form, program, cleanup, environment, timeout } = settings.clone();
    let form = match form {
        FormSetting::Lego => HookForm::Lego,
        FormSetting::LegoRaw => HookForm::LegoRaw,
        FormSetting::Certbot => HookForm::Certbot,
    };
    Hook { form, program, cleanup, environment, timeout }
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
        self.0.challenge(ChallengeKind::Http01, token).await.map_err(|error| {
            tracing::warn!(%error, "an http-01 request could not be answered");
        })
    }
}
