//! A request that passed credentials, host and version, as its handler gets it.

use super::super::actions::required;
use super::super::audit::{AuditRecord, AuditedRight};
use super::super::auth::Principal;
use super::RestOptions;
use super::address::Address;
use super::answer::Links;
use super::failure::Failure;
use super::{body, body_limit};
use crate::domain::{DataAction, Error, VaultName};
use crate::service::{Caller, Decision, Permit, Place, Service, Target};
use axum::body::Body;
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A request that passed credentials, host and version, and what its use case needs.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) options: &'a RestOptions,
    pub(super) principal: Principal,
    pub(super) deadline: Instant,
    pub(super) links: Links,
    pub(super) parts: &'a Parts,
    pub(super) address: &'a Address<'a>,
    pub(super) vault: &'a VaultName,
    pub(super) record: &'a Mutex<AuditRecord>,
    pub(super) action: Option<DataAction>,
}

impl Call<'_> {
    /// Asks whether the caller may do what this route does.
    pub(super) async fn permit<T: Target>(&self, target: T) -> Result<Permit<T>, Error> {
        let checked = self.service.access().check(&self.caller(), required(self.action)?, target).await;
        match &checked {
            Ok(permit) if permit.decision() == Decision::Open => {}
            Ok(permit) => self.note(|record| record.right = AuditedRight::of(permit.decision())),
            // Noted at the end, with the refusals that come later.
            Err(_) => {}
        }
        checked
    }

    /// Asks the same of the vault and the name of the path, before the body is read.
    pub(super) fn precheck(&self, name: Option<&str>) -> Result<(), Error> {
        self.precheck_of(&Place { vault: self.vault, name })
    }

    /// Asks the same of what is no place in the vault, before the rest of the request is judged.
    pub(super) fn precheck_of(&self, target: &impl Target) -> Result<(), Error> {
        self.service.access().precheck(&self.caller(), required(self.action)?, target)
    }

    pub(super) fn vault(&self) -> VaultName {
        self.vault.clone()
    }

    /// For whom work with keys is done, and until when.
    pub(super) fn caller(&self) -> Caller {
        Caller::new(self.principal.name.clone(), Some(self.deadline)).in_groups(self.principal.groups())
    }

    /// Puts down what the request turned out to be about.
    pub(super) fn note(&self, note: impl FnOnce(&mut AuditRecord)) {
        noted(self.record, note);
    }

    pub(super) async fn body<T: DeserializeOwned + Default>(&self, body: &mut Body) -> Result<T, Failure> {
        self.read(body, self.service.limits().request_body_bytes).await
    }

    /// A body that holds a backup, in base64.
    pub(super) async fn backup_body<T: DeserializeOwned + Default>(&self, body: &mut Body) -> Result<T, Failure> {
        self.read(body, body_limit::of_backup(self.service.limits())).await
    }

    async fn read<T: DeserializeOwned + Default>(&self, body: &mut Body, limit: usize) -> Result<T, Failure> {
        body::read(&self.parts.headers, body, limit, self.service.limits().body_read_timeout).await
    }
}

/// Puts something down of a request.
pub(super) fn noted(record: &Mutex<AuditRecord>, note: impl FnOnce(&mut AuditRecord)) {
    // Whole texts are put in: nothing half done can be seen.
    note(&mut record.lock().unwrap_or_else(PoisonError::into_inner));
}
