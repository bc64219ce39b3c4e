//! The JSON of what the management commands print.

use super::{bytes, certificate, certificate_attributes, time};
use crate::proto::v1::{CertificateItem, Contact, Contacts, DeletedCertificate, DeletedCertificateItem, Vault};
use serde_json::{Value, json};

pub(in crate::cli) fn item(message: &CertificateItem) -> Value {
    let CertificateItem { id, vault_name, certificate_name, certificate_version, attributes, tags, thumbprint } =
        message;
    json!({
        "id": id,
        "vault_name": vault_name,
        "certificate_name": certificate_name,
        "certificate_version": certificate_version,
        "attributes": attributes.as_ref().map(certificate_attributes),
        "tags": tags,
        "thumbprint": bytes(thumbprint),
    })
}

pub(in crate::cli) fn deleted(message: &DeletedCertificate) -> Value {
    let DeletedCertificate { certificate: of, recovery_id, deleted_time, scheduled_purge_time } = message;
    json!({
        "certificate": of.as_ref().map(certificate),
        "recovery_id": recovery_id,
        "deleted_time": time(deleted_time.as_ref()),
        "scheduled_purge_time": time(scheduled_purge_time.as_ref()),
    })
}

pub(in crate::cli) fn deleted_item(message: &DeletedCertificateItem) -> Value {
    let DeletedCertificateItem { item: of, recovery_id, deleted_time, scheduled_purge_time } = message;
    json!({
        "item": of.as_ref().map(item),
        "recovery_id": recovery_id,
        "deleted_time": time(deleted_time.as_ref()),
        "scheduled_purge_time": time(scheduled_purge_time.as_ref()),
    })
}

pub(in crate::cli) fn contacts(message: &Contacts) -> Value {
    let Contacts { id, contacts } = message;
    let contact = |Contact { email, name, phone }: &Contact| json!({ "email": email, "name": name, "phone": phone });
    json!({ "id": id, "contacts": contacts.iter().map(contact).collect::<Vec<_>>() })
}

pub(in crate::cli) fn vault(message: &Vault) -> Value {
    let Vault { vault_name, retention_days, purge_protection, created } = message;
    json!({
        "vault_name": vault_name,
        "retention_days": retention_days,
        "purge_protection": purge_protection,
        "created": time(created.as_ref()),
    })
}
