//! The ends of certificates: nothing is committed when one is near or over, so each webhook has a record that says what
//! was told, and a look at all certificates of the vault now and then goes on from there.

use super::happened::of_entry;
use super::work::{WebhookWork, due_at};
use crate::domain::webhook::near_expiry;
use crate::domain::{
    CertificateEntry, CertificateEvent, EntryState, EventId, EventType, ExpiryWatch, Result, Timestamp, Webhook,
};
use crate::keys::random_id;
use crate::service::records::{Kind, key, webhook_keys};
use crate::store::{Batch, Record};
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(3600);
/// A look leaves out the last minute: what is committed at that moment may not be seen.
const MARGIN: Duration = Duration::from_secs(60);
/// Certificates of one step.
const PAGE: usize = 200;

impl WebhookWork<'_> {
    /// One step of a look, or of making due what waits.
    pub(in crate::service) async fn watch_expiry(&self, record: Record) -> Result<()> {
        let mut watch: ExpiryWatch = self.0.records.read(&record)?;
        let found = self.0.load(&webhook_keys::webhook(&watch.vault, &watch.webhook)).await?;
        let Some((_, webhook)) = found.filter(|(_, webhook)| webhook.id == watch.webhook_id) else {
            return self.0.remove(&record).await;
        };
        if let Some(after) = watch.waking.take() {
            watch.waking = self.make_due(&webhook, &after).await?;
            return self.keep(&record, &watch, Batch::default(), self.0.now()).await;
        }
        self.look(&record, watch, &webhook).await
    }

    async fn look(&self, record: &Record, mut watch: ExpiryWatch, webhook: &Webhook) -> Result<()> {
        let now = self.0.now();
        let until = *watch.until.get_or_insert(now.minus(MARGIN));
        let prefix = key::certificates_of(&watch.vault);
        let page = self.0.store.list(prefix.as_str(), &watch.after, PAGE).await?;
        let mut batch = Batch::default();
        for found in &page {
            // One that does not verify was logged.
            let Ok(entry) = self.0.records.read::<CertificateEntry>(found) else { continue };
            for event in told(&entry, watch.told, until).into_iter().filter(|event| webhook.wants(event.kind)) {
                batch.puts.extend(self.0.writes.outbox().one(webhook, event).await?);
            }
        }
        let due = match page.last().filter(|_| page.len() == PAGE) {
            Some(last) => {
                watch.after.clone_from(&last.key);
                now
            }
            None => {
                watch.after.clear();
                // After a clock that was set back, nothing is told twice.
                watch.told = watch.told.max(until);
                watch.until = None;
                now.plus(LOOK)
            }
        };
        self.keep(record, &watch, batch, due).await
    }

    async fn keep(&self, record: &Record, watch: &ExpiryWatch, mut batch: Batch, due: Timestamp) -> Result<()> {
        batch.puts.push(self.0.records.replace(record, watch, Some(due))?);
        self.0.try_commit(batch).await.map(|_| ())
    }

    /// Makes a page of what waits due, unless it is about to be: that may be under way. Answers where the next one begins.
    async fn make_due(&self, webhook: &Webhook, after: &str) -> Result<Option<String>> {
        let now = self.0.now();
        let prefix = webhook_keys::deliveries_of(&webhook.vault, &webhook.name);
        let page = self.0.store.list(prefix.as_str(), after, PAGE).await?;
        let next = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
        let claimed_until = now.plus(self.0.limits().work_lease);
        for waits in page.into_iter().filter(|waits| Kind::of(&waits.key) == Some(Kind::Delivery)) {
            if waits.due.is_none_or(|due| due > claimed_until) {
                // Each by itself: another change of one of them must not stand against the rest.
                self.0.try_commit(Batch { puts: vec![due_at(waits, now)], ..Batch::default() }).await?;
            }
        }
        Ok(next)
    }
}

/// What of a certificate comes to pass after `from`, up to `until`, with one event for each.
fn told(entry: &CertificateEntry, from: Timestamp, until: Timestamp) -> Vec<CertificateEvent> {
    let Some(summary) = entry.current_summary().filter(|_| entry.state == EntryState::Live) else { return Vec::new() };
    let ends = summary.expires.max(summary.created);
    let near = near_expiry(summary.not_before, summary.expires, summary.created);
    let moments = [(near, EventType::NearExpiry), (ends, EventType::Expired)];
    let passed = moments.into_iter().filter(|(at, kind)| {
        let over = *kind == EventType::NearExpiry && near >= summary.expires;
        from < *at && *at <= until && !over
    });
    passed
        .map(|(at, kind)| CertificateEvent {
            id: EventId::from_uuid(random_id()),
            kind,
            vault: entry.vault.clone(),
            certificate: entry.name.clone(),
            at: at.max(from),
            facts: of_entry(entry),
        })
        .collect()
}
