//! Webhooks: set, read, list, delete, pause, resume and try them, and what they did not take.

mod envelope;
mod expiry;
mod happened;
mod input;
mod lanes;
mod letters;
pub(super) mod options;
pub(super) mod outbox;
mod secrets;
mod send;
mod work;

pub use input::WebhookInput;
pub use letters::{Deliveries, DeliveryPage};
pub use options::WebhookOptions;
pub(super) use work::WebhookWork;

use super::Service;
use super::access::{Permit, Target};
use super::audit::found;
use super::context::Context;
use super::records::{Bounds, List, Page, Ranges, Scan, webhook_keys};
use super::retry::retry;
use crate::domain::webhook::{EventFacts, WebhookPause};
use crate::domain::{
    CertificateEvent, CertificateName, Detail, Error, EventId, EventType, ExpiryWatch, Reason, Result, VaultName,
    Webhook, WebhookId, WebhookName,
};
use crate::keys::random_id;
use crate::outbound::Clients;
use crate::store::{Batch, Delete, Record};
use outbox::{Equipment, Outbox};
use secrets::Secrets;
use send::{Outcome, Sending};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The certificate of a test.
const TEST: &str = "webhook-test";

/// A webhook of a vault.
#[derive(Clone, Debug)]
pub struct WebhookRef {
    pub vault: VaultName,
    pub name: WebhookName,
}

impl Target for WebhookRef {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    /// It shows the events of every certificate.
    fn needs_every_name(&self) -> bool {
        true
    }
}

/// The webhooks of a vault.
#[derive(Clone, Debug)]
pub struct WebhooksOf(pub VaultName);

impl Target for WebhooksOf {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.0)
    }

    fn needs_every_name(&self) -> bool {
        true
    }
}

/// A webhook that was set.
#[derive(Debug)]
pub struct SetWebhook {
    pub webhook: Webhook,
    /// The secret, where the server made it: it is shown once.
    pub made: Option<Zeroizing<String>>,
}

/// A page of webhooks in the order of their names.
#[derive(Clone, Debug)]
pub struct WebhookPage {
    pub webhooks: Vec<Webhook>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// How the test of a webhook ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebhookTest {
    pub taken: bool,
    /// For people.
    pub outcome: String,
}

/// The webhooks of the vaults.
#[derive(Clone)]
pub struct Webhooks {
    context: Arc<Context>,
}

impl Webhooks {
    /// Those of a service.
    pub fn of(service: &Service) -> Self {
        Self { context: service.context.clone() }
    }

    /// Lets this process send, by these settings and clients. The first call counts.
    pub fn equip(&self, options: WebhookOptions, clients: Arc<dyn Clients>) {
        self.outbox().equip(options, clients);
    }

    fn outbox(&self) -> &Outbox {
        self.context.writes.outbox()
    }

    fn equipment(&self) -> Result<&Equipment> {
        let none = || Error::new(Reason::NotSupported, "This server sends no webhooks.");
        self.outbox().equipment().ok_or_else(none)
    }

    /// Creates a webhook or replaces it; one that is replaced keeps its signing secrets and its events that wait. It gets
    /// what is committed from then on; of what other replicas commit, from a second later on.
    ///
    /// # Errors
    /// [`Reason::BadParameter`] for what is wrong, also a receiver that does not agree to the handshake;
    /// [`Reason::Throttled`] where there are as many as `webhooks.per_vault` or `webhooks.total` allow.
    pub async fn set(&self, wanted: Permit<WebhookRef>, input: WebhookInput) -> Result<SetWebhook> {
        let WebhookRef { vault, name } = &*wanted;
        let equipment = self.equipment()?;
        input.check()?;
        found(|found| found.detail = format!("sends to {}", input.host()));
        retry!({
            let before = self.context.load(&webhook_keys::webhook(vault, name)).await?;
            if before.is_none() {
                self.room(vault, &equipment.options).await?;
            }
            let now = self.context.now();
            let (old, sealer) = (before.as_ref().map(|(_, webhook)| webhook), self.context.keys.sealer());
            let kept = old.map(|old| Secrets::open(sealer, old)).transpose()?;
            let (secrets, made) = input.secrets(old, kept.as_ref())?;
            let webhook = Webhook {
                vault: vault.clone(),
                name: old.map_or_else(|| name.clone(), |old| old.name.clone()),
                id: old.map_or_else(|| WebhookId::from_uuid(random_id()), |old| old.id),
                receiver: input.receiver.clone(),
                event_types: input.event_types.clone(),
                sealed: secrets.seal(sealer, vault, name)?,
                paused: old.and_then(|old| old.paused.clone()),
                created: old.map_or(now, |old| old.created),
                updated: now,
            };
            if webhook.receiver.handshake {
                let sending = Sending { equipment, webhook: &webhook, secrets: &secrets };
                let refused = |why| Error::field("url", format!("The receiver does not agree to get events. {why}"));
                sending.handshake(now).await.map_err(refused)?;
            }
            let (expected, mut batch) = (before.as_ref().map(|(record, _)| record.revision), Batch::default());
            batch.puts.push(self.context.records.put(&webhook_keys::webhook(vault, name), expected, &webhook, None)?);
            let place = webhook_keys::expiry_watch(vault, name);
            if before.is_none() {
                let watch = ExpiryWatch {
                    vault: vault.clone(),
                    webhook: webhook.name.clone(),
                    webhook_id: webhook.id,
                    told: now,
                    until: None,
                    after: String::new(),
                    waking: None,
                };
                let left_over = self.context.store.get(place.as_str()).await?.map(|record| record.revision);
                batch.puts.push(self.context.records.put(&place, left_over, &watch, Some(now))?);
            }
            let committed = self.context.try_commit(batch).await?;
            self.outbox().forget().await;
            self.outbox().lanes.open(webhook.id);
            Ok(committed.map(|_| SetWebhook { webhook: webhook.clone(), made: made.clone() }))
        })
    }

    /// The webhook, without its secrets; [`Reason::WebhookNotFound`].
    pub async fn get(&self, wanted: Permit<WebhookRef>) -> Result<Webhook> {
        self.load(&wanted).await.map(|(_, webhook)| webhook)
    }

    /// Up to `page_size` webhooks after the page that gave `page_token`.
    pub async fn list(&self, wanted: Permit<WebhooksOf>, page_size: usize, page_token: &str) -> Result<WebhookPage> {
        let vault = &wanted.0;
        let paging = self.context.paging(List::Webhooks, vec![vault.to_string()]);
        let all = Ranges::whole(webhook_keys::webhooks_of(Some(vault)));
        let mut page = Page::new(all, paging.position(page_token)?, page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, webhook) in found {
                page.take(key, webhook);
            }
        }
        Ok(WebhookPage { next_page_token: paging.token(page.position()), webhooks: page.items })
    }

    /// Removes a webhook, with what waits for it, and returns it as it was.
    pub async fn delete(&self, wanted: Permit<WebhookRef>) -> Result<Webhook> {
        retry!({
            let (record, webhook) = self.load(&wanted).await?;
            let mut deletes = vec![Delete { key: record.key, expected: record.revision }];
            deletes.extend(self.context.removal(&webhook_keys::expiry_watch(&wanted.vault, &wanted.name)).await?);
            let committed = self.context.try_commit(Batch { deletes, ..Batch::default() }).await?;
            self.outbox().forget().await;
            Ok(committed.map(|_| webhook))
        })
    }

    /// Sends nothing until it is resumed; what happens meanwhile waits.
    pub async fn pause(&self, wanted: Permit<WebhookRef>, reason: &str) -> Result<Webhook> {
        crate::domain::text::check("reason", reason, 500)?;
        self.change(&wanted, |now| Some(WebhookPause { since: now, reason: reason.to_owned() })).await
    }

    /// Sends again, at first what waits.
    pub async fn resume(&self, wanted: Permit<WebhookRef>) -> Result<Webhook> {
        let webhook = self.change(&wanted, |_| None).await?;
        self.outbox().lanes.open(webhook.id);
        WebhookWork(&self.context).wake(&webhook).await?;
        Ok(webhook)
    }

    async fn change(
        &self,
        wanted: &WebhookRef,
        pause: impl Fn(crate::domain::Timestamp) -> Option<WebhookPause>,
    ) -> Result<Webhook> {
        let webhook = retry!({
            let (record, mut webhook) = self.load(wanted).await?;
            let now = self.context.now();
            webhook.paused = pause(now);
            webhook.updated = now;
            let puts = vec![self.context.records.replace(&record, &webhook, None)?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| webhook))
        })?;
        self.outbox().forget().await;
        Ok(webhook)
    }

    /// Sends an event that says nothing, at once and once, also to a webhook that is paused.
    pub async fn test(&self, wanted: Permit<WebhookRef>) -> Result<WebhookTest> {
        let (_, webhook) = self.load(&wanted).await?;
        let equipment = self.equipment()?;
        let secrets = Secrets::open(self.context.keys.sealer(), &webhook)?;
        let now = self.context.now();
        let event = CertificateEvent {
            id: EventId::from_uuid(random_id()),
            kind: EventType::Test,
            vault: webhook.vault.clone(),
            certificate: CertificateName::parse(TEST)?,
            at: now,
            facts: EventFacts::default(),
        };
        let sending = Sending { equipment, webhook: &webhook, secrets: &secrets };
        let outcome = sending.event(&event, 1, now).await;
        Ok(WebhookTest { taken: matches!(outcome, Outcome::Taken(_)), outcome: outcome.words().to_owned() })
    }

    async fn load(&self, wanted: &WebhookRef) -> Result<(Record, Webhook)> {
        let WebhookRef { vault, name } = wanted;
        let none = || {
            let message =
                format!("There is no webhook {name} in the vault {vault}. `certmint webhook list` lists them.");
            let detail = Detail::Resource { kind: "webhook", name: name.to_string() };
            Error::new(Reason::WebhookNotFound, message).with(detail)
        };
        self.context.load(&webhook_keys::webhook(vault, name)).await?.ok_or_else(none)
    }

    /// Whether one more may be made.
    async fn room(&self, vault: &VaultName, options: &WebhookOptions) -> Result<()> {
        let of_vault = webhook_keys::webhooks_of(Some(vault));
        let (mut own, mut all) = (0, 0);
        let every = webhook_keys::webhooks_of(None);
        let mut scan = Scan::new(&*self.context.store, every.as_str());
        while let Some(page) = scan.next().await? {
            all += page.len();
            own += page.iter().filter(|record| record.key.starts_with(of_vault.as_str())).count();
        }
        let (most, setting) = match () {
            () if own >= options.per_vault => (options.per_vault, "webhooks.per_vault"),
            () if all >= options.total => (options.total, "webhooks.total"),
            () => return Ok(()),
        };
        let message = format!("There are {most} webhooks, as many as {setting} allows. Delete one first.");
        Err(Error::new(Reason::Throttled, message).retry_after(Duration::from_secs(3600)))
    }
}
