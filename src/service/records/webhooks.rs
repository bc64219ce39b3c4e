//! Where webhooks and what is sent to them belong.

use super::key::Place;
use super::kinds::{Kind, Stored};
use crate::domain::webhook::{Delivery, ExpiryWatch, Webhook};

/// The last part of the key of a delivery: the certificate, its place among the events of that, and the event.
pub(super) fn place_of(delivery: &Delivery) -> String {
    let Delivery { event, place, .. } = delivery;
    format!("{}/{:015}-{}", event.certificate.key(), place.max(&0), event.id)
}

impl Stored for Webhook {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::Webhook && place.names(&self.vault, self.name.as_str())
    }

    const ALWAYS_CODED: bool = true;
}

impl Stored for ExpiryWatch {
    fn belongs(&self, place: &Place<'_>) -> bool {
        place.kind == Kind::ExpiryWatch && place.names(&self.vault, self.webhook.as_str())
    }

    const ALWAYS_CODED: bool = true;
}

impl Stored for Delivery {
    fn belongs(&self, place: &Place<'_>) -> bool {
        let kind = if self.given_up.is_some() { Kind::DeadLetter } else { Kind::Delivery };
        place.kind == kind && place.names(&self.event.vault, self.webhook.as_str()) && place.id == place_of(self)
    }

    const ALWAYS_CODED: bool = true;
}
