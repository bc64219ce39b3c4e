//! The outbox: what a commit tells is written in the same batch, a record for each event and webhook, and sent later by
//! background work. So nothing is sent for what was not committed, and nothing that was is lost.

use super::happened;
use super::lanes::Lanes;
use super::options::WebhookOptions;
use crate::clock::Clock;
use crate::domain::webhook::Tries;
use crate::domain::{CertificateEvent, Delivery, Result, Timestamp, VaultName, Webhook, WebhookId};
use crate::outbound::{Clients, Exchange};
use crate::service::records::{Codec, Scan, webhook_keys};
use crate::store::{Batch, Put, Store};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long a process goes by what it read of webhooks: another one that changes them is heard so much later.
const FRESH: Duration = Duration::from_secs(1);
/// How long a count of what waits is good.
const COUNTED: Duration = Duration::from_secs(60);
/// Events of one certificate that are looked through for the last of them.
const LANE: usize = 1000;
/// What waits behind another event is looked at after this time, where that one did not make it due.
const BEHIND: Duration = Duration::from_secs(2);

/// By vault.
type Known = HashMap<VaultName, Vec<Arc<Webhook>>>;

/// With what webhooks are sent.
pub(super) struct Equipment {
    pub(super) options: WebhookOptions,
    clients: Arc<dyn Clients>,
    /// Those that were made, by the roots that they trust beside the system's.
    made: Mutex<HashMap<Option<String>, Arc<dyn Exchange>>>,
}

impl Equipment {
    /// The most clients that are kept.
    const MOST: usize = 100;

    pub(super) fn client(&self, roots: Option<&str>) -> Result<Arc<dyn Exchange>, crate::outbound::Error> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let place = roots.map(str::to_owned);
        if let Some(client) = made.get(&place) {
            return Ok(client.clone());
        }
        if made.len() >= Self::MOST {
            made.clear();
        }
        let client = self.clients.client(roots)?;
        made.insert(place, client.clone());
        Ok(client)
    }
}

/// What commits tell, and to whom.
pub(in crate::service) struct Outbox {
    store: Arc<dyn Store>,
    records: Arc<Codec>,
    clock: Arc<dyn Clock>,
    equipment: OnceLock<Equipment>,
    known: tokio::sync::Mutex<(Option<Timestamp>, Arc<Known>)>,
    /// How many events wait for a webhook, and when that was counted.
    waiting: Mutex<HashMap<WebhookId, (Timestamp, usize)>>,
    dropped: AtomicU64,
    pub(super) lanes: Lanes,
}

impl Outbox {
    pub(in crate::service) fn new(store: Arc<dyn Store>, records: Arc<Codec>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            records,
            clock,
            equipment: OnceLock::new(),
            known: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
            dropped: AtomicU64::new(0),
            lanes: Lanes::default(),
        }
    }

    /// With this webhooks are sent from here on; the first call counts.
    pub(in crate::service) fn equip(&self, options: WebhookOptions, clients: Arc<dyn Clients>) {
        let _ = self.equipment.set(Equipment { options, clients, made: Mutex::default() });
    }

    /// None in a process that sends nothing.
    pub(super) fn equipment(&self) -> Option<&Equipment> {
        self.equipment.get()
    }

    /// Events that were dropped because too many waited.
    pub(in crate::service) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Adds what a commit tells to its batch.
    pub(in crate::service) async fn join(&self, batch: &mut Batch) -> Result<()> {
        if !happened::may_tell(batch) {
            return Ok(());
        }
        let known = self.known().await?;
        if known.is_empty() {
            return Ok(());
        }
        let events = happened::events(&self.records, batch, self.clock.now())?;
        self.add(batch, &known, events).await
    }

    async fn add(&self, batch: &mut Batch, known: &Known, events: Vec<CertificateEvent>) -> Result<()> {
        let mut lanes = HashMap::new();
        for event in events {
            for webhook in known.get(&event.vault).into_iter().flatten().filter(|it| it.wants(event.kind)) {
                let lane = (webhook.id, event.certificate.key());
                let last = match lanes.get(&lane) {
                    Some(last) => *last,
                    None => self.last_place(webhook, &event).await?,
                };
                if let Some(put) = self.put(webhook, event.clone(), last).await? {
                    let place = self.place(&event, last);
                    lanes.insert(lane, Some(place));
                    batch.puts.push(put);
                }
            }
        }
        Ok(())
    }

    /// What tells one webhook of an event that belongs to no other commit.
    pub(super) async fn one(&self, webhook: &Webhook, event: CertificateEvent) -> Result<Option<Put>> {
        let last = self.last_place(webhook, &event).await?;
        self.put(webhook, event, last).await
    }

    fn place(&self, event: &CertificateEvent, last: Option<i64>) -> i64 {
        event.at.0.max(last.map_or(0, |last| last.saturating_add(1)))
    }

    /// `None` where too many wait.
    async fn put(&self, webhook: &Webhook, event: CertificateEvent, last: Option<i64>) -> Result<Option<Put>> {
        let most = self.equipment.get().map_or(WebhookOptions::default().waiting, |it| it.options.waiting);
        if self.count(webhook, most).await? >= most {
            if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(vault = %webhook.vault, webhook = %webhook.name, most, "too many events wait for a webhook; new ones are dropped (webhooks.waiting)");
            }
            return Ok(None);
        }
        let now = self.clock.now();
        let due = if last.is_some() { now.plus(BEHIND) } else { now };
        let delivery = Delivery {
            webhook: webhook.name.clone(),
            webhook_id: webhook.id,
            place: self.place(&event, last),
            since: event.at.max(now),
            planned: Some(due),
            event,
            tries: Tries::default(),
            given_up: None,
        };
        let put = self.records.put(&webhook_keys::delivery(&delivery), None, &delivery, Some(due))?;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).entry(webhook.id).and_modify(|it| it.1 += 1);
        Ok(Some(put))
    }

    /// The place of the last event of the certificate that waits.
    async fn last_place(&self, webhook: &Webhook, event: &CertificateEvent) -> Result<Option<i64>> {
        let lane = webhook_keys::lane(&event.vault, &webhook.name, &event.certificate);
        let waiting = self.store.list(lane.as_str(), "", LANE).await?;
        // The key says it, also of a record that does not verify.
        let place = |key: &str| key.strip_prefix(lane.as_str())?.split('-').next()?.parse().ok();
        Ok(waiting.last().and_then(|record| place(&record.key)))
    }

    /// How many events wait for a webhook, as of the last minute; no more than `most` are counted.
    async fn count(&self, webhook: &Webhook, most: usize) -> Result<usize> {
        let now = self.clock.now();
        let known = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&webhook.id).copied();
        if let Some((_, count)) = known.filter(|(at, _)| *at <= now && now < at.plus(COUNTED)) {
            return Ok(count);
        }
        let prefix = webhook_keys::deliveries_of(&webhook.vault, &webhook.name);
        let mut scan = Scan::new(&*self.store, prefix.as_str());
        let mut count: usize = 0;
        while count < most
            && let Some(page) = scan.next().await?
        {
            count = count.saturating_add(page.len());
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(webhook.id, (now, count));
        Ok(count)
    }

    /// One event less waits.
    pub(super) fn sent(&self, webhook: WebhookId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(webhook).and_modify(|it| it.1 = it.1.saturating_sub(1));
    }

    /// This process changed a webhook.
    pub(super) async fn forget(&self) {
        self.known.lock().await.0 = None;
    }

    /// The webhooks, as of the last second.
    async fn known(&self) -> Result<Arc<Known>> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if known.0.is_some_and(|at| at <= now && now < at.plus(FRESH)) {
            return Ok(known.1.clone());
        }
        let mut read = Known::new();
        let all = webhook_keys::webhooks_of(None);
        let mut scan = Scan::new(&*self.store, all.as_str());
        while let Some(page) = scan.next().await? {
            // One that does not verify was logged, and gets nothing.
            for webhook in page.iter().filter_map(|record| self.records.read::<Webhook>(record).ok()) {
                read.entry(webhook.vault.clone()).or_default().push(Arc::new(webhook));
            }
        }
        let ids: Vec<WebhookId> = read.values().flatten().map(|webhook| webhook.id).collect();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).retain(|id, _| ids.contains(id));
        *known = (Some(now), Arc::new(read));
        Ok(known.1.clone())
    }
}
