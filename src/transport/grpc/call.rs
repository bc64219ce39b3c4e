//! The context of a call: the host that the client used, and the caller.

use super::middleware::{Caller, Method};
use crate::domain::{CertificateName, Detail, Error, IssuerName, Reason, RequestId, Result, VaultName, Version};
use crate::service::watch::Subscriber;
use crate::service::{self, Access, Decision, PendingRef, Permit, Place, Target};
use crate::transport::actions::required;
use crate::transport::audit::{AuditRecord, AuditedRight, Origin};
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
    origin: Option<Origin>,
    record: Option<Arc<Mutex<AuditRecord>>>,
    access: Access,
    method: Method,
}

impl Call {
    /// `middleware` put the caller into the extensions of the request, the listener its connection.
    pub(super) fn new(
        host: Host,
        extensions: &mut http::Extensions,
        access: Access,
        method: Method,
        deadline: Instant,
    ) -> Self {
        let (origin, closing) = match extensions.get::<ConnectionInfo>() {
            Some(connection) => (Some(Origin::of(connection)), connection.closing.clone()),
            None => (None, CancellationToken::new()),
        };
        let Caller { principal, record, is_known: _ } = extensions.remove::<Caller>().unwrap_or_default();
        Self { host, closing, principal, deadline, origin, record, access, method }
    }

    /// For whom work with keys is done, and until when.
    pub(super) fn caller(&self) -> service::Caller {
        service::Caller::new(self.principal.name.clone(), Some(self.deadline)).in_groups(self.principal.groups())
    }

    /// Asks whether the caller may do what this method does.
    pub(super) async fn permit<T: Target>(&self, target: T) -> Result<Permit<T>> {
        let checked = self.access.check(&self.caller(), required(self.method.action)?, target).await;
        match &checked {
            Ok(permit) if permit.decision() == Decision::Open => {}
            Ok(permit) => self.note(|record| record.right = AuditedRight::of(permit.decision())),
            Err(error) => self.denied(error),
        }
        checked
    }

    /// Asks the same before the rest of a message is judged.
    pub(super) fn precheck(&self, target: &impl Target) -> Result<()> {
        let checked = self.access.precheck(&self.caller(), required(self.method.action)?, target);
        if let Err(error) = &checked {
            self.denied(error);
        }
        checked
    }

    /// Puts down that no grant allows it, and of what, where that was not known before.
    fn denied(&self, error: &Error) {
        if error.reason != Reason::AccessDenied {
            return;
        }
        let fact = |wanted: &str| {
            error.details.iter().find_map(|detail| match detail {
                Detail::Fact { key, value } if *key == wanted => Some(value.clone()),
                _ => None,
            })
        };
        self.note(|record| {
            record.right = AuditedRight::Denied;
            if record.vault.is_empty() {
                record.vault = fact("vault").unwrap_or_default();
            }
            if record.name.is_empty() {
                record.name = fact("name").unwrap_or_default();
            }
        });
    }

    /// Who watches, for the limits.
    pub(super) fn subscriber(&self) -> Subscriber {
        let connection = self.origin.map_or(0, |origin| origin.connection());
        Subscriber { principal: self.principal.name.to_string(), connection }
    }

    /// The vault that a message names, else the one of the host; refused where there is none, before anything else of
    /// the message is judged.
    pub(super) async fn vault(&self, name: &str) -> Result<VaultName> {
        let vault =
            if name.is_empty() { self.host.vault().clone() } else { of_field("vault_name", VaultName::parse(name))? };
        self.note(|record| vault.as_str().clone_into(&mut record.vault));
        self.access.vault(&vault).await
    }

    /// As [`Call::vault`], of a message that names nothing in it: the access is checked before its other fields.
    pub(super) async fn vault_alone(&self, name: &str) -> Result<VaultName> {
        let vault = self.vault(name).await?;
        self.precheck(&Place { vault: &vault, name: None })?;
        Ok(vault)
    }

    /// The vault that a message is about to make.
    pub(super) fn new_vault(&self, name: &str) -> Result<VaultName> {
        let vault = of_field("vault_name", VaultName::parse(name))?;
        self.note(|record| vault.as_str().clone_into(&mut record.vault));
        Ok(vault)
    }

    /// The certificate of the vault that a message names. The access is checked before its other fields.
    pub(super) fn certificate(&self, vault: &VaultName, name: &str) -> Result<CertificateName> {
        self.named("certificate_name", vault, name)
    }

    /// The certificate of the vault that this field of a message names, as [`Call::certificate`].
    pub(super) fn named(&self, field: &str, vault: &VaultName, name: &str) -> Result<CertificateName> {
        let name = of_field(field, CertificateName::parse(name))?;
        self.note(|record| name.as_str().clone_into(&mut record.name));
        self.precheck(&Place { vault, name: Some(name.as_str()) })?;
        Ok(name)
    }

    /// The issuer of the vault that a message names, as [`Call::certificate`].
    pub(super) fn issuer(&self, vault: &VaultName, name: &str) -> Result<IssuerName> {
        let name = of_field("issuer_name", IssuerName::parse(name))?;
        self.note(|record| name.as_str().clone_into(&mut record.name));
        self.precheck(&Place { vault, name: Some(name.as_str()) })?;
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
        let vault = self.vault(vault).await?;
        let name = self.certificate(&vault, name)?;
        Ok(PendingRef { vault, name, request_id: optional_id(request_id)? })
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
