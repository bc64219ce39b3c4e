//! The text of what the management commands print.

use super::{Lines, certificate, hex, names, table, time};
use crate::cli::json;
use crate::proto::v1::{
    CertificateItem, CertificatePolicy, Contacts, DeletedCertificate, DeletedCertificateItem, LifetimeActionType,
    Vault, lifetime_action::Trigger,
};

pub(in crate::cli) fn items(items: &[CertificateItem]) -> String {
    let rows = items.iter().map(|item| {
        let attributes = item.attributes.unwrap_or_default();
        [
            item.certificate_name.clone(),
            item.certificate_version.clone(),
            state(item).to_owned(),
            time(attributes.created.as_ref()),
            time(attributes.expires.as_ref()),
            hex(&item.thumbprint),
        ]
    });
    table(["NAME", "VERSION", "STATE", "CREATED", "NOT AFTER", "THUMBPRINT"], rows)
}

pub(in crate::cli) fn deleted_items(items: &[DeletedCertificateItem]) -> String {
    let rows = items.iter().map(|deleted| {
        let item = deleted.item.clone().unwrap_or_default();
        [
            item.certificate_name.clone(),
            state(&item).to_owned(),
            time(deleted.deleted_time.as_ref()),
            time(deleted.scheduled_purge_time.as_ref()),
        ]
    });
    table(["NAME", "STATE", "DELETED", "PURGE"], rows)
}

fn state(item: &CertificateItem) -> &'static str {
    match item.attributes.and_then(|attributes| attributes.enabled) {
        _ if item.thumbprint.is_empty() => "not issued",
        Some(false) => "disabled",
        _ => "enabled",
    }
}

pub(in crate::cli) fn deleted(deleted: &DeletedCertificate) -> String {
    let mut lines = Lines::default();
    lines.add("deleted", &time(deleted.deleted_time.as_ref()));
    lines.add("purge", &time(deleted.scheduled_purge_time.as_ref()));
    lines.add("recovery id", &deleted.recovery_id);
    format!("{}\n{}", lines.end(), deleted.certificate.as_ref().map(certificate).unwrap_or_default())
}

pub(in crate::cli) fn contacts(contacts: &Contacts) -> String {
    let rows = contacts.contacts.iter().map(|it| [it.email.clone(), it.name.clone(), it.phone.clone()]);
    table(["EMAIL", "NAME", "PHONE"], rows)
}

pub(in crate::cli) fn vault(vault: &Vault) -> String {
    let mut lines = Lines::default();
    lines.add("vault", &vault.vault_name);
    lines.add("retention", &format!("{} days", vault.retention_days));
    lines.add("purge protection", if vault.purge_protection { "yes" } else { "no" });
    lines.add("created", &time(vault.created.as_ref()));
    lines.end()
}

pub(in crate::cli) fn vaults(vaults: &[Vault]) -> String {
    let rows = vaults.iter().map(|vault| {
        let protection = if vault.purge_protection { "yes" } else { "no" };
        [
            vault.vault_name.clone(),
            vault.retention_days.to_string(),
            protection.to_owned(),
            time(vault.created.as_ref()),
        ]
    });
    table(["NAME", "RETENTION DAYS", "PURGE PROTECTION", "CREATED"], rows)
}

pub(in crate::cli) fn policy(policy: &CertificatePolicy) -> String {
    let mut lines = Lines::default();
    // The names of the enums are those of the JSON.
    let value = json::message(policy);
    let word = |part: &str, member: &str| value[part][member].as_str().unwrap_or_default().to_owned();
    let x509 = policy.x509_properties.clone().unwrap_or_default();
    lines.add("subject", &x509.subject);
    lines.add("names", &names(&x509));
    let issuer = policy.issuer.clone().unwrap_or_default();
    lines.add("issuer", &issuer.name);
    lines.add("certificate type", &issuer.certificate_type);
    let key = policy.key_properties.unwrap_or_default();
    lines.add("key", &format!("{} {}", word("key_properties", "key_type"), key.key_size));
    lines.add("exportable", yes_no(key.exportable));
    lines.add("reuse key", yes_no(key.reuse_key));
    lines.add("content type", &word("secret_properties", "content_type"));
    lines.add("validity", &format!("{} months", x509.validity_months));
    let usages = value["x509_properties"]["key_usages"].as_array().into_iter().flatten();
    let usages: Vec<String> =
        usages.filter_map(|usage| Some(usage.as_str()?.to_lowercase().replace('_', " "))).collect();
    lines.add("key usage", &usages.join(", "));
    lines.add("extended key usage", &x509.ekus.join(", "));
    for action in &policy.lifetime_actions {
        let when = match action.trigger {
            Some(Trigger::LifetimePercentage(percentage)) => format!("at {percentage} % of the lifetime"),
            Some(Trigger::DaysBeforeExpiry(days)) => format!("{days} days before the end"),
            None => String::new(),
        };
        let what = match LifetimeActionType::try_from(action.action) {
            Ok(LifetimeActionType::AutoRenew) => "renew",
            Ok(LifetimeActionType::EmailContacts) => "email the contacts",
            Ok(LifetimeActionType::Unspecified) | Err(_) => "unknown to this client",
        };
        lines.add("action", &format!("{what} {when}"));
    }
    lines.end()
}

fn yes_no(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}
