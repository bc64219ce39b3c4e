//! What every call carries beside its message: the host that the client used, and who calls.

use crate::domain::{CertificateName, RequestId, Result, VaultName, Version};
use crate::service::watch::Subscriber;
use crate::service::{PendingRef, Vaults};
use crate::transport::host::Host;
use crate::transport::listener::ConnectionInfo;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The surroundings of one call; `front` puts it into every request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) host: Host,
    pub(super) subscriber: Subscriber,
    /// Ends streams: the connection is to close, or the server.
    pub(super) closing: CancellationToken,
    vaults: Arc<Vaults>,
}

impl Call {
    pub(super) fn new(host: Host, connection: Option<&ConnectionInfo>, vaults: Arc<Vaults>) -> Self {
        let (id, closing) = match connection {
            Some(ConnectionInfo { id, closing, .. }) => (*id, closing.clone()),
            None => (0, CancellationToken::new()),
        };
        // In development mode everybody is one principal, as over REST.
        let subscriber = Subscriber { principal: "dev".to_owned(), connection: id };
        Self { host, subscriber, closing, vaults }
    }

    /// The vault that a message names, else the one of the host; refused where there is none.
    pub(super) fn vault(&self, name: &str) -> Result<VaultName> {
        let vault = if name.is_empty() { self.host.vault().clone() } else { VaultName::parse(name)? };
        self.vaults.vault(&vault).map(|known| known.name)
    }

    /// Like [`Call::vault`], where `-` is every vault.
    pub(super) fn vault_or_all(&self, name: &str) -> Result<Option<VaultName>> {
        if name == "-" { Ok(None) } else { self.vault(name).map(Some) }
    }

    pub(super) fn pending(&self, vault: &str, name: &str, request_id: &str) -> Result<PendingRef> {
        Ok(PendingRef {
            vault: self.vault(vault)?,
            name: CertificateName::parse(name)?,
            request_id: optional_id(request_id)?,
        })
    }

    /// `https://{authority}`, where identifiers begin.
    pub(super) fn base(&self) -> String {
        format!("https://{}", self.host.authority())
    }
}

pub(super) fn optional_id(text: &str) -> Result<Option<RequestId>> {
    if text.is_empty() { Ok(None) } else { RequestId::parse(text).map(Some) }
}

pub(super) fn optional_version(text: &str) -> Result<Option<Version>> {
    if text.is_empty() { Ok(None) } else { Version::parse(text).map(Some) }
}

/// A text that is absent where it is empty, as proto3 has it.
pub(super) fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
