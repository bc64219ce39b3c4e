//! The context of a call: the host that the client used, and the caller.

use super::middleware::Caller;
use crate::domain::{CertificateName, DataAction, Detail, Error, IssuerName, RequestId, Result, VaultName, Version};
use crate::service::watch::Subscriber;
use crate::service::{self, Access, PendingRef, Permit, Target};
use crate::transport::actions::required;
use crate::transport::audit::AuditRecord;
use crate::transport::auth::Principal;
use crate::transport::host::Host;
use crate::transport::listener::ConnectionInfo;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The surroundings of one call; `dispatch` puts it into every request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) host: Host,
    /// Ends streams: the connection is to close, or the server.
    pub(super) closing: CancellationToken,
    pub(super) principal: Principal,
    deadline: Instant,
    connection: u64,
    record: Option<Arc<Mutex<AuditRecord>>>,
    access: Access,
    action: Option<DataAction>,
}

impl Call {
    /// `middleware` put the caller into the extensions of the request, the listener its connection.
    pub(super) fn new(
        host: Host,
        extensions: &mut http::Extensions,
        access: Access,
        action: Option<DataAction>,
        deadline: Instant,
    ) -> Self {
        let (connection, closing) = match extensions.get::<ConnectionInfo>() {
            Some(ConnectionInfo { id, closing, .. }) => (*id, closing.clone()),
            None => (0, CancellationToken::new()),
        };
        let Caller { principal, record, is_known: _ } = extensions.remove::<Caller>().unwrap_or_default();
        Self { host, closing, principal, deadline, connection, record, access, action }
    }

    /// For whom work with keys is done, and until when.
    pub(super) fn caller(&self) -> service::Caller {
        service::Caller::new(&self.principal.name, Some(self.deadline))
    }

    /// Asks whether the caller may do what this method does.
    pub(super) async fn permit<T: Target>(&self, target: T) -> Result<Permit<T>> {
        self.access.check(&self.caller(), required(self.action)?, target).await
    }

    /// Who watches, for the limits.
    pub(super) fn subscriber(&self) -> Subscriber {
        Subscriber { principal: self.principal.name.clone(), connection: self.connection }
    }

    /// The vault that a message names, else the one of the host; refused where there is none, before anything else of
    /// the message is judged.
    pub(super) async fn vault(&self, name: &str) -> Result<VaultName> {
        let vault =
            if name.is_empty() { self.host.vault().clone() } else { of_field("vault_name", VaultName::parse(name))? };
        self.note(|record| vault.as_str().clone_into(&mut record.vault));
        self.access.vault(&vault).await
    }

    /// The vault that a message is about to make.
    pub(super) fn new_vault(&self, name: &str) -> Result<VaultName> {
        let vault = of_field("vault_name", VaultName::parse(name))?;
        self.note(|record| vault.as_str().clone_into(&mut record.vault));
        Ok(vault)
    }

    /// The certificate that a message names.
    pub(super) fn certificate(&self, name: &str) -> Result<CertificateName> {
        self.named("certificate_name", name)
    }

    /// The certificate that this field of a message names.
    pub(super) fn named(&self, field: &str, name: &str) -> Result<CertificateName> {
        let name = of_field(field, CertificateName::parse(name))?;
        self.note(|record| name.as_str().clone_into(&mut record.name));
        Ok(name)
    }

    /// The issuer that a message names.
    pub(super) fn issuer(&self, name: &str) -> Result<IssuerName> {
        let name = of_field("issuer_name", IssuerName::parse(name))?;
        self.note(|record| name.as_str().clone_into(&mut record.name));
        Ok(name)
    }

    pub(super) fn note(&self, note: impl FnOnce(&mut AuditRecord)) {
        if let Some(record) = &self.record {
            // Whole texts are put in: nothing half done can be seen.
            note(&mut record.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Like [`Call::vault`], where `-` is every vault.
    pub(super) async fn vault_or_all(&self, name: &str) -> Result<Option<VaultName>> {
        if name == "-" { Ok(None) } else { self.vault(name).await.map(Some) }
    }

    pub(super) async fn pending(&self, vault: &str, name: &str, request_id: &str) -> Result<PendingRef> {
        Ok(PendingRef {
            vault: self.vault(vault).await?,
            name: self.certificate(name)?,
            request_id: optional_id(request_id)?,
        })
    }

    /// `https://{authority}`, where identifiers begin.
    pub(super) fn base(&self) -> String {
        format!("https://{}", self.host.authority())
    }
}

/// A name or an id of a message; a refusal says which field it was.
pub(super) fn of_field<T>(field: &str, parsed: Result<T>) -> Result<T> {
    parsed.map_err(|error| {
        let problem = error.message.clone();
        error.with(Detail::Field { path: field.to_owned(), problem })
    })
}

pub(super) fn optional_id(text: &str) -> Result<Option<RequestId>> {
    if text.is_empty() { Ok(None) } else { of_field("request_id", RequestId::parse(text)).map(Some) }
}

/// The id that makes a creation safe to repeat. All zeros are what a variable holds that nobody set: two callers with
/// that mistake would get each other's operation.
pub(super) fn chosen_id(text: &str) -> Result<Option<RequestId>> {
    match optional_id(text)? {
        Some(id) if id.is_nil() => Err(Error::field("request_id", "Its digits are all zero: choose a random one.")),
        id => Ok(id),
    }
}

pub(super) fn optional_version(field: &str, text: &str) -> Result<Option<Version>> {
    if text.is_empty() { Ok(None) } else { of_field(field, Version::parse(text)).map(Some) }
}

/// A text that is absent if it is empty, as proto3 has it.
pub(super) fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
