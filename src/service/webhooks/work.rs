//! Sending what waits: in order for each certificate, again where it was not taken, and given up in the end.

use super::lanes::Turn;
use super::outbox::Equipment;
use super::secrets::Secrets;
use super::send::{Outcome, Sending};
use crate::domain::webhook::{GivenUp, WebhookPause};
use crate::domain::{Delivery, Result, Timestamp, Webhook};
use crate::service::context::Context;
use crate::service::records::webhook_keys;
use crate::store::{Batch, Delete, Put, Record};
use std::time::Duration;

/// How much longer than `webhooks.first_retry` each wait is; the last one repeats.
const LADDER: [u32; 7] = [1, 3, 6, 30, 60, 180, 360];
/// When what cannot be sent from here is looked at again.
const ELSEWHERE: Duration = Duration::from_secs(3600);
/// The shortest time until what waits behind another event is looked at again.
const BEHIND: Duration = Duration::from_secs(1);
/// Events of a certificate that are looked through for the first that is well.
const AHEAD: usize = 100;

/// Sends events to webhooks.
pub(in crate::service) struct WebhookWork<'a>(pub(in crate::service) &'a Context);

impl WebhookWork<'_> {
    /// One attempt for an event that is due.
    pub(in crate::service) async fn deliver(&self, record: Record) -> Result<()> {
        let delivery: Delivery = self.0.records.read(&record)?;
        let (vault, name) = (&delivery.event.vault, &delivery.webhook);
        let found = self.0.load(&webhook_keys::webhook(vault, name)).await?;
        let Some((_, webhook)) = found.filter(|(_, webhook)| webhook.id == delivery.webhook_id) else {
            // Whom it was meant for is no more.
            self.0.writes.outbox().sent(delivery.webhook_id);
            return self.0.remove(&record).await;
        };
        let now = self.0.now();
        let outbox = self.0.writes.outbox();
        let Some(equipment) = outbox.equipment() else {
            return self.look_at(&record, delivery, now.plus(ELSEWHERE)).await;
        };
        if webhook.paused.is_some() {
            return self.look_at(&record, delivery, now.plus(ELSEWHERE)).await;
        }
        if let Some((first, ahead)) = self.ahead_of(&record, &delivery).await? {
            // One that is under way ends soon; its due time is the end of the lease.
            let due = first.due.filter(|due| ahead.planned == Some(*due)).unwrap_or(now);
            let at = due.max(now.plus(BEHIND)).min(now.plus(ELSEWHERE));
            return self.look_at(&record, delivery, at).await;
        }
        let is_late = now >= delivery.since.plus(equipment.options.give_up_after);
        let _place = match outbox.lanes.turn(webhook.id, now).await {
            Turn::Now(place) => place,
            Turn::At(_) if is_late => {
                let reason = "It was not sent in time: its receiver fails.".to_owned();
                return self.give_up(&record, delivery, equipment, reason).await;
            }
            Turn::At(at) => return self.look_at(&record, delivery, at).await,
        };
        let secrets = Secrets::open(self.0.keys.sealer(), &webhook)?;
        let sending = Sending { equipment, webhook: &webhook, secrets: &secrets };
        let outcome = sending.event(&delivery.event, delivery.tries.count.saturating_add(1), now).await;
        let now = self.0.now();
        let taken = matches!(outcome, Outcome::Taken(_));
        let is_back = outbox.lanes.ended(webhook.id, taken, now, equipment.options.first_retry);
        self.count(&outcome, &delivery, now);
        self.settle(&record, delivery, &webhook, equipment, outcome).await?;
        if is_back {
            self.wake(&webhook).await?;
        }
        Ok(())
    }

    async fn settle(
        &self,
        record: &Record,
        mut delivery: Delivery,
        webhook: &Webhook,
        equipment: &Equipment,
        outcome: Outcome,
    ) -> Result<()> {
        let now = self.0.now();
        tracing::debug!(vault = %webhook.vault, webhook = %webhook.name, event = delivery.event.kind.text(), outcome = outcome.words(), "an event was sent to a webhook");
        let (wait, gone) = match outcome {
            Outcome::Taken(_) => {
                self.0.writes.outbox().sent(webhook.id);
                return self.leave(record, &delivery, Vec::new()).await;
            }
            Outcome::Never(reason) => {
                tried(&mut delivery, now, reason.clone());
                return self.give_up(record, delivery, equipment, reason).await;
            }
            Outcome::Gone(reason) => {
                self.pause(webhook, format!("Its receiver is gone for good. {reason}")).await?;
                tried(&mut delivery, now, reason);
                (ELSEWHERE, true)
            }
            Outcome::Again(reason, at_least) => {
                tried(&mut delivery, now, reason);
                (wait(&delivery, equipment.options.first_retry).max(at_least), false)
            }
        };
        let end = delivery.since.plus(equipment.options.give_up_after);
        // The last attempt is made when it is given up.
        let at = if now < end && !gone { now.plus(wait).min(end) } else { now.plus(wait) };
        if !gone && now >= end {
            let reason = format!("It was not taken in time. {}", delivery.tries.outcome);
            return self.give_up(record, delivery, equipment, reason).await;
        }
        self.look_at(record, delivery, at).await
    }

    /// The event of the same certificate that has to be sent before this one.
    async fn ahead_of(&self, record: &Record, delivery: &Delivery) -> Result<Option<(Record, Delivery)>> {
        let lane = webhook_keys::lane(&delivery.event.vault, &delivery.webhook, &delivery.event.certificate);
        for other in self.0.store.list(lane.as_str(), "", AHEAD).await? {
            if other.key >= record.key {
                break;
            }
            // One that does not verify holds up nothing: it was logged.
            if let Some(read) = self.0.records.unless_damaged::<Delivery>(&other)?
                && read.webhook_id == delivery.webhook_id
            {
                return Ok(Some((other, read)));
            }
        }
        Ok(None)
    }

    /// The event leaves the lane, and the next one is due.
    async fn leave(&self, record: &Record, delivery: &Delivery, puts: Vec<Put>) -> Result<()> {
        let now = self.0.now();
        let lane = webhook_keys::lane(&delivery.event.vault, &delivery.webhook, &delivery.event.certificate);
        let next = self.0.store.list(lane.as_str(), &record.key, 1).await?.pop();
        let gone = || Delete { key: record.key.clone(), expected: record.revision };
        // One that is under way comes back by itself.
        let next = next.filter(|next| next.due.is_none_or(|due| due > now));
        let mut batch = Batch { puts: puts.clone(), deletes: vec![gone()], ..Batch::default() };
        batch.puts.extend(next.map(|next| due_at(next, now)));
        if self.0.try_commit(batch).await?.is_none() {
            let batch = Batch { puts, deletes: vec![gone()], ..Batch::default() };
            self.0.try_commit(batch).await?;
        }
        Ok(())
    }

    /// It becomes a dead letter, in the place of the first one where there are too many.
    async fn give_up(&self, record: &Record, mut delivery: Delivery, with: &Equipment, reason: String) -> Result<()> {
        let now = self.0.now();
        let (vault, name) = (delivery.event.vault.clone(), delivery.webhook.clone());
        tracing::warn!(%vault, webhook = %name, event = delivery.event.kind.text(), certificate = %delivery.event.certificate, reason, "an event was given up; it is a dead letter of the webhook");
        self.0.metrics.operations.webhooks.given_up();
        self.0.writes.outbox().sent(delivery.webhook_id);
        delivery.given_up = Some(GivenUp { at: now, reason });
        let until = now.plus(with.options.dead_letter_retention);
        let put = self.0.records.put(&webhook_keys::delivery(&delivery), None, &delivery, Some(until))?;
        self.leave(record, &delivery, vec![put]).await?;
        let letters = webhook_keys::dead_letters_of(&vault, &name);
        let most = with.options.dead_letters;
        let there = self.0.store.list(letters.as_str(), "", most.saturating_add(1)).await?;
        if let Some(first) = there.first().filter(|_| there.len() > most) {
            self.0.remove(first).await?;
        }
        Ok(())
    }

    async fn pause(&self, webhook: &Webhook, reason: String) -> Result<()> {
        let Some((record, mut found)) = self.0.load(&webhook_keys::webhook(&webhook.vault, &webhook.name)).await?
        else {
            return Ok(());
        };
        if found.id != webhook.id || found.paused.is_some() || found.receiver != webhook.receiver {
            return Ok(());
        }
        tracing::warn!(vault = %webhook.vault, webhook = %webhook.name, reason, "a webhook is paused");
        found.paused = Some(WebhookPause { since: self.0.now(), reason });
        let put = self.0.records.replace(&record, &found, None)?;
        self.0.try_commit(Batch { puts: vec![put], ..Batch::default() }).await.map(|_| ())
    }

    /// What waits for the webhook is tried at once.
    pub(super) async fn wake(&self, webhook: &Webhook) -> Result<()> {
        let place = webhook_keys::expiry_watch(&webhook.vault, &webhook.name);
        let Some((record, mut watch)) = self.0.load(&place).await? else { return Ok(()) };
        watch.waking = Some(String::new());
        let put = self.0.records.replace(&record, &watch, Some(self.0.now()))?;
        // Where somebody else writes it, what waits comes by itself, later.
        self.0.try_commit(Batch { puts: vec![put], ..Batch::default() }).await.map(|_| ())
    }

    async fn look_at(&self, record: &Record, mut delivery: Delivery, at: Timestamp) -> Result<()> {
        delivery.planned = Some(at);
        let put = self.0.records.replace(record, &delivery, Some(at))?;
        self.0.try_commit(Batch { puts: vec![put], ..Batch::default() }).await.map(|_| ())
    }

    fn count(&self, outcome: &Outcome, delivery: &Delivery, now: Timestamp) {
        let word = match outcome {
            Outcome::Taken(_) => "taken",
            Outcome::Again(..) => "again",
            Outcome::Never(_) => "refused",
            Outcome::Gone(_) => "gone",
        };
        let age = Duration::from_millis(now.0.saturating_sub(delivery.event.at.0).max(0).unsigned_abs());
        self.0.metrics.operations.webhooks.sent(word, age);
    }
}

pub(super) fn due_at(record: Record, at: Timestamp) -> Put {
    let Record { key, revision, body, due: _ } = record;
    Put { key, expected: Some(revision), body, due: Some(at) }
}

fn tried(delivery: &mut Delivery, now: Timestamp, outcome: String) {
    delivery.tries.count = delivery.tries.count.saturating_add(1);
    delivery.tries.last = Some(now);
    delivery.tries.outcome = crate::domain::text::readable(&outcome, 500);
}

/// The wait after the last attempt, ±10 %, so that what failed together does not come back together.
fn wait(delivery: &Delivery, first: Duration) -> Duration {
    let step = usize::try_from(delivery.tries.count.saturating_sub(1)).unwrap_or(usize::MAX).min(LADDER.len() - 1);
    let share = f64::from(u16::try_from(delivery.event.id.as_u128() % 1000).unwrap_or(0)) / 1000.0;
    first.saturating_mul(LADDER[step]).mul_f64(0.9 + share / 5.0)
}
