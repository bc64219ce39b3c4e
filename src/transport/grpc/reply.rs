//! Responses: operations, certificates and issuers as messages of the contract.

use super::policy::{self, time};
use super::profiles;
use crate::domain::issuer::{Administrator, Organization};
use crate::domain::{
    Action, ActionKind, Blob, Certificate, Contact, Contacts, IssuerConfig, Operation, OperationError, Pause, Recovery,
    RecoveryLevel, RenewalTrigger, Status, Timestamp,
};
use crate::proto::v1;
use crate::service::{CertificateView, DeletedItem, DeletedView, Item, options_of, profiles_of};

pub(super) fn status_number(status: Status) -> i32 {
    match status {
        Status::InProgress => v1::PendingStatus::InProgress,
        Status::Completed => v1::PendingStatus::Completed,
        Status::Cancelled => v1::PendingStatus::Cancelled,
        Status::Failed => v1::PendingStatus::Failed,
    }
    .into()
}

/// An operation; identifiers begin with `base`.
pub(super) fn operation(operation: &Operation, base: &str, with_csr: bool) -> v1::PendingOperation {
    let name = &operation.certificate;
    let completed = operation.status() == Status::Completed;
    v1::PendingOperation {
        id: format!("{base}/certificates/{name}/pending"),
        vault_name: operation.vault.to_string(),
        certificate_name: name.to_string(),
        request_id: operation.request_id.to_string(),
        issuer: Some(policy::issuer(&operation.issuer)),
        csr: if with_csr { operation.csr.0.clone().into() } else { Default::default() },
        cancellation_requested: operation.cancellation_requested,
        status: status_number(operation.status()),
        status_details: operation.status_details().unwrap_or_default(),
        error: operation.error().map(|OperationError { code, message }| v1::OperationError {
            code: code.clone(),
            message: message.clone(),
            inner_error: None,
        }),
        target: if completed { format!("{base}/certificates/{name}") } else { String::new() },
        certificate_version: if completed { operation.version.to_string() } else { String::new() },
        create_time: Some(time(operation.created)),
        update_time: Some(time(operation.updated)),
        revision: i64::try_from(operation.revision).unwrap_or(i64::MAX),
        actions: operation.actions().iter().map(action).collect(),
        trigger: operation.renews.as_ref().map_or(0, |renews| trigger(renews.trigger).into()),
        replaced_version: operation.renews.as_ref().map(|renews| renews.replaces.to_string()).unwrap_or_default(),
        batch: operation.renews.as_ref().map(|renews| renews.batch.clone()).unwrap_or_default(),
    }
}

pub(super) fn trigger(trigger: RenewalTrigger) -> v1::RenewalTrigger {
    match trigger {
        RenewalTrigger::Lifetime => v1::RenewalTrigger::Lifetime,
        RenewalTrigger::Ari => v1::RenewalTrigger::Ari,
        RenewalTrigger::Emergency => v1::RenewalTrigger::Emergency,
        RenewalTrigger::Manual => v1::RenewalTrigger::Manual,
    }
}

fn action(action: &Action) -> v1::PendingAction {
    let Action { kind, name, value, expires } = action;
    let kind = match kind {
        ActionKind::DnsTxt => v1::PendingActionType::DnsTxt,
        ActionKind::HttpFile => v1::PendingActionType::HttpFile,
        ActionKind::Approval => v1::PendingActionType::Approval,
        ActionKind::OrganizationValidation => v1::PendingActionType::OrganizationValidation,
    };
    v1::PendingAction { r#type: kind.into(), name: name.clone(), value: value.clone(), expire_time: expires.map(time) }
}

/// A version, or the placeholder of a creation that has brought none.
pub(super) fn certificate(view: CertificateView, base: &str) -> v1::Certificate {
    let CertificateView { vault, name, version, issued, thumbprint, entry, has_pending, projected, recovery } = view;
    let at = |collection: &str| format!("{base}/{collection}/{name}/{version}");
    let entry_tags = entry.as_ref().and_then(|entry| entry.tags.clone());
    let created = entry.as_ref().map_or((projected.0, projected.0), |entry| (entry.created, entry.updated));
    let mut certificate = v1::Certificate {
        id: at("certificates"),
        vault_name: vault.to_string(),
        certificate_name: name.to_string(),
        certificate_version: version.to_string(),
        policy: entry.as_ref().map(|entry| policy::reply(&entry.policy, format!("{base}/certificates/{name}/policy"))),
        attributes: Some(attributes(false, projected, created, recovery)),
        preserve_cert_order: entry.as_ref().and_then(|entry| entry.preserve_cert_order),
        pending_id: if has_pending { format!("{base}/certificates/{name}/pending") } else { String::new() },
        tags: entry_tags.unwrap_or_default().into_iter().collect(),
        ..v1::Certificate::default()
    };
    if let Some(issued) = issued {
        certificate.key_id = at("keys");
        certificate.secret_id = at("secrets");
        certificate.thumbprint = thumbprint.to_vec().into();
        certificate.cer = issued.cer.0.into();
        certificate.chain = issued.chain.into_iter().map(|Blob(der)| der.into()).collect();
        certificate.content_type = issued.content_type.media_type().to_owned();
        certificate.tags = issued.tags.unwrap_or_default().into_iter().collect();
        certificate.preserve_cert_order = issued.preserve_cert_order;
        let (valid, dates) = ((issued.not_before, issued.expires), (issued.created, issued.updated));
        certificate.attributes = Some(attributes(issued.enabled, valid, dates, recovery));
    }
    certificate
}

/// `valid` is from when to when, `dates` when it was created and last changed.
fn attributes(
    enabled: bool,
    valid: (Timestamp, Timestamp),
    dates: (Timestamp, Timestamp),
    recovery: Recovery,
) -> v1::CertificateAttributes {
    v1::CertificateAttributes {
        enabled: Some(enabled),
        not_before: Some(time(valid.0)),
        expires: Some(time(valid.1)),
        created: Some(time(dates.0)),
        updated: Some(time(dates.1)),
        recoverable_days: days(recovery),
        recovery_level: level(recovery.level),
    }
}

/// The attributes of a version on its secret and key views.
pub(super) fn version_attributes(certificate: &Certificate, recovery: Recovery) -> v1::CertificateAttributes {
    let Certificate { not_before, expires, created, updated, .. } = certificate;
    attributes(certificate.enabled, (*not_before, *expires), (*created, *updated), recovery)
}

fn days(recovery: Recovery) -> i32 {
    i32::try_from(recovery.days).unwrap_or(i32::MAX)
}

fn level(level: RecoveryLevel) -> i32 {
    use v1::DeletionRecoveryLevel as L;
    match level {
        RecoveryLevel::RecoverablePurgeable => L::RecoverablePurgeable,
        RecoveryLevel::Recoverable => L::Recoverable,
        RecoveryLevel::CustomizedRecoverablePurgeable => L::CustomizedRecoverablePurgeable,
        RecoveryLevel::CustomizedRecoverable => L::CustomizedRecoverable,
    }
    .into()
}

/// A certificate in a list; `of_versions` puts the version into its identifier.
pub(super) fn item(item: Item, base: &str, of_versions: bool) -> v1::CertificateItem {
    let Item { vault, name, version, thumbprint, enabled, not_before, expires, created, updated, tags } = item;
    let id = format!("{base}/certificates/{name}");
    v1::CertificateItem {
        id: if of_versions { format!("{id}/{version}") } else { id },
        vault_name: vault.to_string(),
        certificate_name: name.to_string(),
        certificate_version: version.to_string(),
        attributes: Some(v1::CertificateAttributes {
            enabled: Some(enabled),
            not_before: Some(time(not_before)),
            expires: Some(time(expires)),
            created: Some(time(created)),
            updated: Some(time(updated)),
            ..v1::CertificateAttributes::default()
        }),
        tags: tags.unwrap_or_default().into_iter().collect(),
        thumbprint: thumbprint.unwrap_or_default().into(),
    }
}

/// A deleted certificate.
pub(super) fn deleted(view: DeletedView, base: &str) -> v1::DeletedCertificate {
    let DeletedView { certificate: view, deleted, purge } = view;
    let recovery_id = format!("{base}/deletedcertificates/{}", view.name);
    v1::DeletedCertificate {
        certificate: Some(certificate(view, base)),
        recovery_id,
        deleted_time: Some(time(deleted)),
        scheduled_purge_time: Some(time(purge)),
    }
}

/// A deleted certificate in a list.
pub(super) fn deleted_item(entry: DeletedItem, base: &str) -> v1::DeletedCertificateItem {
    let DeletedItem { item: certificate, deleted, purge, recovery } = entry;
    let recovery_id = format!("{base}/deletedcertificates/{}", certificate.name);
    let mut shown = item(certificate, base, false);
    if let Some(attributes) = &mut shown.attributes {
        attributes.recoverable_days = days(recovery);
        attributes.recovery_level = level(recovery.level);
    }
    v1::DeletedCertificateItem {
        item: Some(shown),
        recovery_id,
        deleted_time: Some(time(deleted)),
        scheduled_purge_time: Some(time(purge)),
    }
}

/// The contacts of a vault.
pub(super) fn contacts(contacts: &Contacts, base: &str) -> v1::Contacts {
    let contact = |Contact { email, name, phone }: &Contact| v1::Contact {
        email: email.clone(),
        name: name.clone().unwrap_or_default(),
        phone: phone.clone().unwrap_or_default(),
    };
    v1::Contacts { id: format!("{base}/certificates/contacts"), contacts: contacts.iter().map(contact).collect() }
}

/// An issuer without its password.
pub(super) fn issuer(config: IssuerConfig, vault: &str, base: &str) -> v1::Issuer {
    let ca = config.ca().cloned();
    // What cannot be read was logged; here it is only shown.
    let (profiles, default_profile) = profiles::message(profiles_of(&config).unwrap_or_default());
    let options = options_of(&config);
    let IssuerConfig {
        name,
        provider,
        credentials,
        organization,
        enabled,
        created,
        updated,
        authority: _,
        options: _,
        paused,
    } = config;
    v1::Issuer {
        id: format!("{base}/certificates/issuers/{name}"),
        vault_name: vault.to_owned(),
        issuer_name: name.to_string(),
        provider,
        credentials: Some(v1::IssuerCredentials {
            account_id: credentials.account_id.unwrap_or_default(),
            password: String::new(),
        }),
        organization: organization.map(|Organization { id, administrators, without_administrators: _ }| {
            v1::OrganizationDetails {
                id: id.unwrap_or_default(),
                administrators: administrators.into_iter().map(administrator).collect(),
            }
        }),
        attributes: Some(v1::IssuerAttributes {
            enabled: Some(enabled),
            created: Some(time(created)),
            updated: Some(time(updated)),
        }),
        ca_certificates: ca.into_iter().flat_map(|authority| authority.chain).map(|Blob(der)| der.into()).collect(),
        options,
        secret_options: std::collections::BTreeMap::new(),
        pause: paused.map(|Pause { since, reason }| v1::IssuerPause { since: Some(time(since)), reason }),
        profiles,
        default_profile,
    }
}

fn administrator(administrator: Administrator) -> v1::AdministratorDetails {
    let Administrator { first_name, last_name, email, phone } = administrator;
    v1::AdministratorDetails {
        first_name: first_name.unwrap_or_default(),
        last_name: last_name.unwrap_or_default(),
        email: email.unwrap_or_default(),
        phone: phone.unwrap_or_default(),
    }
}
