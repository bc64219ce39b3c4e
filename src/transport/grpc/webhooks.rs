//! `certmint.v1.WebhookService`: where the events of a vault are sent.

use super::call::{Call, filled, of_field};
use super::certificates::{open, page_size};
use super::issuers::count;
use super::policy::time;
use crate::domain::webhook::{Envelope, Receiver};
use crate::domain::{Delivery, Error, EventId, Result, VaultName, Webhook, WebhookName};
use crate::proto::v1;
use crate::service::{Deliveries, Permit, Service, WebhookInput, WebhookRef, Webhooks, WebhooksOf};
use tonic::Request;
use zeroize::Zeroizing;

/// Handles the calls of one service.
pub(super) struct WebhookCalls(pub(super) Service);

fn webhook(webhook: Webhook) -> v1::Webhook {
    let Webhook { vault, name, id: _, receiver, event_types, sealed: _, paused, created, updated } = webhook;
    let Receiver { url, envelope, handshake, ca_certificates } = receiver;
    let envelope = match envelope {
        Envelope::CloudEvents => v1::WebhookEnvelope::CloudEvents,
        Envelope::EventGrid => v1::WebhookEnvelope::EventGrid,
    };
    v1::Webhook {
        vault_name: vault.to_string(),
        webhook_name: name.to_string(),
        url,
        event_types,
        envelope: envelope.into(),
        handshake,
        ca_certificates: ca_certificates.unwrap_or_default(),
        pause_time: paused.as_ref().map(|pause| time(pause.since)),
        pause_reason: paused.map(|pause| pause.reason).unwrap_or_default(),
        create_time: Some(time(created)),
        update_time: Some(time(updated)),
    }
}

fn delivery(delivery: Delivery) -> v1::WebhookDelivery {
    let Delivery { webhook: _, webhook_id: _, place: _, event, since: _, planned: _, tries, given_up } = delivery;
    v1::WebhookDelivery {
        event_id: event.id.to_string(),
        event_type: event.kind.text().to_owned(),
        certificate_name: event.certificate.to_string(),
        event_time: Some(time(event.at)),
        attempts: i32::try_from(tries.count).unwrap_or(i32::MAX),
        last_attempt_time: tries.last.map(time),
        outcome: tries.outcome,
        give_up_time: given_up.as_ref().map(|it| time(it.at)),
        give_up_reason: given_up.map(|it| it.reason).unwrap_or_default(),
    }
}

fn envelope(number: i32) -> Result<Envelope> {
    match v1::WebhookEnvelope::try_from(number) {
        Ok(v1::WebhookEnvelope::Unspecified | v1::WebhookEnvelope::CloudEvents) => Ok(Envelope::CloudEvents),
        Ok(v1::WebhookEnvelope::EventGrid) => Ok(Envelope::EventGrid),
        Err(_) => Err(Error::field("envelope", "It is CLOUD_EVENTS or EVENT_GRID.")),
    }
}

/// The vault that a message names, where the caller may see the events of all its certificates.
async fn every_name(call: &Call, vault: &str) -> Result<VaultName> {
    let wanted = WebhooksOf(call.vault(vault).await?);
    call.precheck(&wanted)?;
    Ok(wanted.0)
}

/// The webhook that a message names, where the caller may.
async fn named(call: &Call, vault: &str, name: &str) -> Result<Permit<WebhookRef>> {
    let vault = every_name(call, vault).await?;
    let name = of_field("webhook_name", WebhookName::parse(name))?;
    call.note(|record| name.as_str().clone_into(&mut record.name));
    call.permit(WebhookRef { vault, name }).await
}

impl WebhookCalls {
    fn webhooks(&self) -> Webhooks {
        Webhooks::of(&self.0)
    }

    pub(super) async fn set(&self, request: Request<v1::SetWebhookRequest>) -> Result<v1::SetWebhookResponse> {
        let (call, message) = open(request)?;
        let v1::SetWebhookRequest {
            vault_name,
            webhook_name,
            webhook: given,
            secret,
            make_secret,
            forget_secrets,
            secret_headers,
        } = message;
        let wanted = named(&call, &vault_name, &webhook_name).await?;
        let given = given.ok_or_else(|| Error::field("webhook", "It is required."))?;
        let input = WebhookInput {
            receiver: Receiver {
                url: given.url,
                envelope: envelope(given.envelope)?,
                handshake: given.handshake,
                ca_certificates: filled(given.ca_certificates),
            },
            event_types: given.event_types,
            secret: filled(secret).map(Zeroizing::new),
            make_secret,
            forget_secrets,
            headers: secret_headers.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect(),
        };
        let set = self.webhooks().set(wanted, input).await?;
        let secret = set.made.map(|made| made.to_string()).unwrap_or_default();
        Ok(v1::SetWebhookResponse { webhook: Some(webhook(set.webhook)), secret })
    }

    pub(super) async fn get(&self, request: Request<v1::GetWebhookRequest>) -> Result<v1::GetWebhookResponse> {
        let (call, v1::GetWebhookRequest { vault_name, webhook_name }) = open(request)?;
        let found = self.webhooks().get(named(&call, &vault_name, &webhook_name).await?).await?;
        Ok(v1::GetWebhookResponse { webhook: Some(webhook(found)) })
    }

    pub(super) async fn list(&self, request: Request<v1::ListWebhooksRequest>) -> Result<v1::ListWebhooksResponse> {
        let (call, v1::ListWebhooksRequest { vault_name, page_size: size, page_token }) = open(request)?;
        let vault = every_name(&call, &vault_name).await?;
        let size = page_size(size)?;
        let page = self.webhooks().list(call.permit(WebhooksOf(vault)).await?, size, &page_token).await?;
        Ok(v1::ListWebhooksResponse {
            webhooks: page.webhooks.into_iter().map(webhook).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn delete(&self, request: Request<v1::DeleteWebhookRequest>) -> Result<v1::DeleteWebhookResponse> {
        let (call, v1::DeleteWebhookRequest { vault_name, webhook_name }) = open(request)?;
        let gone = self.webhooks().delete(named(&call, &vault_name, &webhook_name).await?).await?;
        Ok(v1::DeleteWebhookResponse { webhook: Some(webhook(gone)) })
    }

    pub(super) async fn pause(&self, request: Request<v1::PauseWebhookRequest>) -> Result<v1::PauseWebhookResponse> {
        let (call, v1::PauseWebhookRequest { vault_name, webhook_name, reason }) = open(request)?;
        let paused = self.webhooks().pause(named(&call, &vault_name, &webhook_name).await?, &reason).await?;
        Ok(v1::PauseWebhookResponse { webhook: Some(webhook(paused)) })
    }

    pub(super) async fn resume(&self, request: Request<v1::ResumeWebhookRequest>) -> Result<v1::ResumeWebhookResponse> {
        let (call, v1::ResumeWebhookRequest { vault_name, webhook_name }) = open(request)?;
        let resumed = self.webhooks().resume(named(&call, &vault_name, &webhook_name).await?).await?;
        Ok(v1::ResumeWebhookResponse { webhook: Some(webhook(resumed)) })
    }

    pub(super) async fn test(&self, request: Request<v1::TestWebhookRequest>) -> Result<v1::TestWebhookResponse> {
        let (call, v1::TestWebhookRequest { vault_name, webhook_name }) = open(request)?;
        let test = self.webhooks().test(named(&call, &vault_name, &webhook_name).await?).await?;
        Ok(v1::TestWebhookResponse { taken: test.taken, outcome: test.outcome })
    }

    pub(super) async fn deliveries(
        &self,
        request: Request<v1::ListDeliveriesRequest>,
    ) -> Result<v1::ListDeliveriesResponse> {
        let (call, message) = open(request)?;
        let v1::ListDeliveriesRequest { vault_name, webhook_name, dead_letters, page_size: size, page_token } = message;
        let wanted = named(&call, &vault_name, &webhook_name).await?;
        let which = if dead_letters { Deliveries::GivenUp } else { Deliveries::Waiting };
        let page = self.webhooks().deliveries(wanted, which, page_size(size)?, &page_token).await?;
        Ok(v1::ListDeliveriesResponse {
            deliveries: page.deliveries.into_iter().map(delivery).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn redeliver(&self, request: Request<v1::RedeliverRequest>) -> Result<v1::RedeliverResponse> {
        let (call, v1::RedeliverRequest { vault_name, webhook_name, event_id }) = open(request)?;
        let wanted = named(&call, &vault_name, &webhook_name).await?;
        let event = filled(event_id).map(|id| of_field("event_id", EventId::parse(&id))).transpose()?;
        let sent = self.webhooks().redeliver(wanted, event).await?;
        Ok(v1::RedeliverResponse { count: count(usize::try_from(sent).unwrap_or(usize::MAX)) })
    }
}
