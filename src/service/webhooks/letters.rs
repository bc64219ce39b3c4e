//! What waits for a webhook, and what it did not take.

use super::{WebhookRef, Webhooks};
use crate::domain::webhook::Tries;
use crate::domain::{Delivery, EventId, Result, Webhook};
use crate::service::access::Permit;
use crate::service::records::{Bounds, List, Page, Ranges, webhook_keys};
use crate::service::retry::retry;
use crate::store::{Batch, Delete, Record};

/// Dead letters of one commit.
const PAGE: usize = 100;

/// A page of deliveries, by certificate and then in the order of their events.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// Which deliveries of a webhook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deliveries {
    Waiting,
    /// Dead letters.
    GivenUp,
}

impl Webhooks {
    /// Up to `page_size` deliveries after the page that gave `page_token`.
    pub async fn deliveries(
        &self,
        wanted: Permit<WebhookRef>,
        which: Deliveries,
        page_size: usize,
        page_token: &str,
    ) -> Result<DeliveryPage> {
        let (_, webhook) = self.load(&wanted).await?;
        let (all, word) = match which {
            Deliveries::Waiting => (webhook_keys::deliveries_of(&webhook.vault, &webhook.name), "waiting"),
            Deliveries::GivenUp => (webhook_keys::dead_letters_of(&webhook.vault, &webhook.name), "given up"),
        };
        let scope = vec![webhook.vault.to_string(), webhook.name.key(), word.to_owned()];
        let paging = self.context.paging(List::Deliveries, scope);
        let mut page = Page::new(Ranges::whole(all), paging.position(page_token)?, page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, delivery) in found {
                page.take(key, delivery.filter(|delivery| delivery.webhook_id == webhook.id));
            }
        }
        Ok(DeliveryPage { next_page_token: paging.token(page.position()), deliveries: page.items })
    }

    /// Sends dead letters again: that of this event, or all. Answers how many.
    pub async fn redeliver(&self, wanted: Permit<WebhookRef>, event: Option<EventId>) -> Result<u64> {
        let (_, webhook) = self.load(&wanted).await?;
        let letters = webhook_keys::dead_letters_of(&webhook.vault, &webhook.name);
        let (mut after, mut sent) = (String::new(), 0);
        loop {
            let (moved, last): (u64, Option<String>) = retry!({
                let page = self.context.store.list(letters.as_str(), &after, PAGE).await?;
                let last = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
                let batch = self.moved(&webhook, event, page)?;
                let moved = u64::try_from(batch.deletes.len()).unwrap_or(u64::MAX);
                if moved == 0 {
                    return Ok(Some((0, last)));
                }
                Ok(self.context.try_commit(batch).await?.map(|_| (moved, last)))
            })?;
            sent += moved;
            match last {
                Some(last) => after = last,
                None => break,
            }
        }
        self.outbox().lanes.open(webhook.id);
        Ok(sent)
    }

    /// Dead letters on their way again, as new ones.
    fn moved(&self, webhook: &Webhook, event: Option<EventId>, letters: Vec<Record>) -> Result<Batch> {
        let now = self.context.now();
        let mut batch = Batch::default();
        for record in letters {
            // One that does not verify was logged.
            let Ok(mut delivery) = self.context.records.read::<Delivery>(&record) else { continue };
            if delivery.webhook_id != webhook.id || event.is_some_and(|event| event != delivery.event.id) {
                continue;
            }
            delivery.given_up = None;
            delivery.tries = Tries::default();
            delivery.since = now;
            delivery.planned = Some(now);
            batch.puts.push(self.context.records.put(
                &webhook_keys::delivery(&delivery),
                None,
                &delivery,
                Some(now),
            )?);
            batch.deletes.push(Delete { key: record.key, expected: record.revision });
        }
        Ok(batch)
    }
}
