//! What every call carries beside its message: the host that the client used, and who calls.

use super::door::Caller;
use crate::domain::{CertificateName, IssuerName, RequestId, Result, VaultName, Version};
use crate::service::watch::Subscriber;
use crate::service::{PendingRef, Vaults};
use crate::transport::audit::About;
use crate::transport::auth::Principal;
use crate::transport::host::Host;
use crate::transport::listener::ConnectionInfo;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The surroundings of one call; `front` puts it into every request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) host: Host,
    pub(super) subscriber: Subscriber,
    /// Ends streams: the connection is to close, or the server.
    pub(super) closing: CancellationToken,
    pub(super) principal: Principal,
    about: Arc<Mutex<About>>,
    vaults: Arc<Vaults>,
}

impl Call {
    /// `door` put the caller into the extensions of the request, the listener its connection.
    pub(super) fn new(host: Host, extensions: &http::Extensions, vaults: Arc<Vaults>) -> Self {
        let connection = extensions.get::<ConnectionInfo>();
        let (id, closing) = match connection {
            Some(ConnectionInfo { id, closing, .. }) => (*id, closing.clone()),
            None => (0, CancellationToken::new()),
        };
        let Caller { principal, about } = extensions.get::<Caller>().cloned().unwrap_or_default();
        let subscriber = Subscriber { principal: principal.name.clone(), connection: id };
        Self { host, subscriber, closing, principal, about, vaults }
    }

    /// The vault that a message names, else the one of the host; refused where there is none.
    pub(super) fn vault(&self, name: &str) -> Result<VaultName> {
        let vault = if name.is_empty() { self.host.vault().clone() } else { VaultName::parse(name)? };
        vault.as_str().clone_into(&mut self.about().vault);
        self.vaults.vault(&vault).map(|known| known.name)
    }

    /// The vault that a message is about to make.
    pub(super) fn new_vault(&self, name: &str) -> Result<VaultName> {
        let vault = VaultName::parse(name)?;
        vault.as_str().clone_into(&mut self.about().vault);
        Ok(vault)
    }

    /// The certificate that a message names.
    pub(super) fn certificate(&self, name: &str) -> Result<CertificateName> {
        let name = CertificateName::parse(name)?;
        name.as_str().clone_into(&mut self.about().name);
        Ok(name)
    }

    /// The issuer that a message names.
    pub(super) fn issuer(&self, name: &str) -> Result<IssuerName> {
        let name = IssuerName::parse(name)?;
        name.as_str().clone_into(&mut self.about().name);
        Ok(name)
    }

    fn about(&self) -> std::sync::MutexGuard<'_, About> {
        // Whole texts are put in: nothing half done can be seen.
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Like [`Call::vault`], where `-` is every vault.
    pub(super) fn vault_or_all(&self, name: &str) -> Result<Option<VaultName>> {
        if name == "-" { Ok(None) } else { self.vault(name).map(Some) }
    }

    pub(super) fn pending(&self, vault: &str, name: &str, request_id: &str) -> Result<PendingRef> {
        Ok(PendingRef {
            vault: self.vault(vault)?,
            name: self.certificate(name)?,
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
