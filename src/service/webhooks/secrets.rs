//! What a webhook keeps sealed: the secrets that sign, and headers that its receiver wants.

use crate::domain::{Blob, Error, Result, VaultName, Webhook, WebhookName};
use crate::keys::{SealContext, Sealer, WebhookSecret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// Secrets that sign at the same time, while one is replaced.
pub(super) const MOST: usize = 3;

/// Debug shows neither.
#[derive(Clone)]
pub(super) struct Secrets {
    signing: Vec<WebhookSecret>,
    headers: BTreeMap<String, Zeroizing<String>>,
}

/// The sealed form.
#[derive(Deserialize)]
struct Stored {
    signing: Vec<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Written<'a> {
    signing: Vec<&'a str>,
    headers: BTreeMap<&'a str, &'a str>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("signing", &self.signing.len()).finish_non_exhaustive()
    }
}

impl Secrets {
    pub(super) fn new(signing: Vec<WebhookSecret>, headers: BTreeMap<String, Zeroizing<String>>) -> Self {
        Self { signing, headers }
    }

    pub(super) fn signing(&self) -> &[WebhookSecret] {
        &self.signing
    }

    pub(super) fn headers(&self) -> &BTreeMap<String, Zeroizing<String>> {
        &self.headers
    }

    /// The header `webhook-signature`: one for each secret.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        self.signing.iter().map(|secret| secret.sign(id, seconds, body)).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn seal(&self, sealer: &Sealer, vault: &VaultName, name: &WebhookName) -> Result<Blob> {
        let texts: Vec<Zeroizing<String>> = self.signing.iter().map(WebhookSecret::text).collect();
        let written = Written {
            signing: texts.iter().map(|text| text.as_str()).collect(),
            headers: self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&written).map_err(|_| Error::internal())?);
        Ok(Blob(sealer.seal(&plain, &SealContext::webhook_secrets(vault.as_str(), name.as_str()))?))
    }

    pub(super) fn open(sealer: &Sealer, webhook: &Webhook) -> Result<Self> {
        let Webhook { vault, name, sealed, .. } = webhook;
        let plain = sealer.open(&sealed.0, &SealContext::webhook_secrets(vault.as_str(), name.as_str()))?;
        let unreadable = || {
            tracing::error!(%vault, webhook = %name, "the secrets of a webhook are not readable");
            Error::internal()
        };
        let Stored { signing, headers } = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
        let signing: Vec<Zeroizing<String>> = signing.into_iter().map(Zeroizing::new).collect();
        let headers = headers.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect();
        let signing = signing.iter().map(|text| WebhookSecret::parse(text)).collect::<Result<_>>();
        Ok(Self { signing: signing.map_err(|_| unreadable())?, headers })
    }
}
