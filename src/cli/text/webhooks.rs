//! Webhooks for people.

use super::{Lines, printable, table, time};
use crate::proto::v1::{Webhook, WebhookDelivery, WebhookEnvelope};

fn envelope(number: i32) -> &'static str {
    match WebhookEnvelope::try_from(number) {
        Ok(WebhookEnvelope::EventGrid) => "eventgrid",
        _ => "cloudevents",
    }
}

/// A webhook, a line for each member.
pub(in crate::cli) fn webhook(webhook: &Webhook) -> String {
    let mut lines = Lines::default();
    lines.add("webhook", &webhook.webhook_name);
    lines.add("url", &webhook.url);
    let types = if webhook.event_types.is_empty() { "all".to_owned() } else { webhook.event_types.join(", ") };
    lines.add("events", &types);
    lines.add("envelope", envelope(webhook.envelope));
    lines.add("handshake", if webhook.handshake { "yes" } else { "no" });
    lines.add("paused", &time(webhook.pause_time.as_ref()));
    lines.add("because", &printable(&webhook.pause_reason));
    lines.add("vault", &webhook.vault_name);
    lines.add("created", &time(webhook.create_time.as_ref()));
    lines.add("updated", &time(webhook.update_time.as_ref()));
    lines.end()
}

/// A line for each webhook.
pub(in crate::cli) fn webhooks(webhooks: &[Webhook]) -> String {
    let rows = webhooks.iter().map(|it| {
        [
            it.webhook_name.clone(),
            it.url.clone(),
            if it.event_types.is_empty() { "all".to_owned() } else { it.event_types.join(" ") },
            envelope(it.envelope).to_owned(),
            if it.pause_time.is_some() { "paused" } else { "on" }.to_owned(),
        ]
    });
    table(["NAME", "URL", "EVENTS", "ENVELOPE", "STATE"], rows)
}

/// A line for each event.
pub(in crate::cli) fn deliveries(deliveries: &[WebhookDelivery]) -> String {
    let rows = deliveries.iter().map(|it| {
        let why = if it.give_up_reason.is_empty() { &it.outcome } else { &it.give_up_reason };
        [
            it.event_id.clone(),
            it.event_type.clone(),
            it.certificate_name.clone(),
            time(it.event_time.as_ref()),
            it.attempts.to_string(),
            printable(why),
        ]
    });
    table(["EVENT", "TYPE", "CERTIFICATE", "HAPPENED", "ATTEMPTS", "OUTCOME"], rows)
}
