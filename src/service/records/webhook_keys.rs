//! The keys of webhooks, and of what is sent to them.

use super::key::{Key, Prefix, named};
use super::kinds::Kind;
use super::webhooks::place_of;
use crate::domain::webhook::{Delivery, ExpiryWatch, Webhook};
use crate::domain::{CertificateName, VaultName, WebhookName};

pub(in crate::service) fn webhook(vault: &VaultName, name: &WebhookName) -> Key<Webhook> {
    Key::new(named(Kind::Webhook, vault, &name.key()))
}

/// Those of a vault, or all.
pub(in crate::service) fn webhooks_of(vault: Option<&VaultName>) -> Prefix<Webhook> {
    Prefix::new(vault.map_or_else(|| Kind::Webhook.prefix().to_owned(), |vault| named(Kind::Webhook, vault, "")))
}

pub(in crate::service) fn expiry_watch(vault: &VaultName, name: &WebhookName) -> Key<ExpiryWatch> {
    Key::new(named(Kind::ExpiryWatch, vault, &name.key()))
}

/// An event on its way, or one that was given up.
pub(in crate::service) fn delivery(delivery: &Delivery) -> Key<Delivery> {
    let kind = if delivery.given_up.is_some() { Kind::DeadLetter } else { Kind::Delivery };
    let all = named(kind, &delivery.event.vault, &delivery.webhook.key());
    Key::new(format!("{}/{}", all, place_of(delivery)))
}

pub(in crate::service) fn deliveries_of(vault: &VaultName, name: &WebhookName) -> Prefix<Delivery> {
    Prefix::new(named(Kind::Delivery, vault, &name.key()) + "/")
}

pub(in crate::service) fn dead_letters_of(vault: &VaultName, name: &WebhookName) -> Prefix<Delivery> {
    Prefix::new(named(Kind::DeadLetter, vault, &name.key()) + "/")
}

/// The events of one certificate on their way to a webhook, in their order.
pub(in crate::service) fn lane(
    vault: &VaultName,
    name: &WebhookName,
    certificate: &CertificateName,
) -> Prefix<Delivery> {
    Prefix::new(format!("{}{}/", deliveries_of(vault, name).as_str(), certificate.key()))
}
