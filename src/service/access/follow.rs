//! The grants and roles of the store in this process: read at the start, and again where the record of the last changes
//! says so. Whoever changes one reads it before he answers, others within a moment after they hear of the commit.

use super::GrantObjects;
use super::rights::Known;
use super::sources::{Change, Kept, Stored};
use crate::domain::Result;
use crate::service::records::{Kind, Place, RightsChanges, Scan, Stored as StoredValue, key};
use crate::store::{MAX_KEYS, Record};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks of a process whose store is written to all the while.
const AT_MOST_EVERY: Duration = Duration::from_millis(100);
/// Between two looks at a store that is not available.
const RETRY: Duration = Duration::from_millis(500);

/// The record of the last changes as it was when this process caught up with it.
pub(in crate::service) struct CaughtUp {
    pub(super) record: Option<Record>,
    /// As if there were none, where it is damaged; an error where a newer version wrote it, or its master key is missing.
    pub(super) changes: Result<RightsChanges>,
}

impl GrantObjects {
    /// Follows the changes of other processes until `shutdown`. While the store is not available the grants are those
    /// of before.
    pub async fn follow(&self, shutdown: CancellationToken) {
        let mut doorbell = self.context.store.head();
        let mut failed = false;
        loop {
            doorbell.mark_unchanged(); // before the read: a commit during it notifies again
            let wait = match self.catch_up().await {
                Ok(_) => AT_MOST_EVERY,
                Err(error) => {
                    if !failed {
                        tracing::warn!(%error, "grants cannot be read from the store; will retry");
                    }
                    RETRY
                }
            };
            failed = wait == RETRY;
            tokio::select! {
                biased; // one order, so that a simulation repeats itself
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            if !failed {
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    changed = doorbell.changed() => if changed.is_err() { return },
                }
            }
        }
    }

    /// Takes in what changed since the last time.
    ///
    /// # Errors
    /// Where the store is not available; everything stays as it was then.
    pub(in crate::service) async fn catch_up(&self) -> Result<CaughtUp> {
        let mut known = self.rights.known().lock().await;
        let record = self.context.store.get(key::rights_changes().as_str()).await?;
        let revision = record.as_ref().map(|record| record.revision);
        // In place of a damaged one the next change makes another, with a history of its own.
        let changes = match &record {
            Some(record) => self.context.records.unless_damaged(record).map(Option::unwrap_or_default),
            None => Ok(RightsChanges::default()),
        };
        if known.is_read && known.revision == revision {
            return Ok(CaughtUp { record, changes });
        }
        // A record that is gone, does not verify or goes back says nothing about what changed.
        let keys: Option<Vec<String>> = match &changes {
            Ok(changes) if known.is_read && changes.history == known.history && changes.number > known.number => {
                changes.since(known.number).map(|keys| keys.cloned().collect())
            }
            _ => None,
        };
        match keys {
            Some(keys) => self.rights.change_stored(self.changed(keys).await?).await?,
            None => self.rights.replace_stored(self.all().await?).await?,
        }
        let (history, number) = changes.as_ref().map_or_else(|_| Default::default(), |it| (it.history, it.number));
        *known = Known { is_read: true, revision, history, number };
        Ok(CaughtUp { record, changes })
    }

    async fn changed(&self, mut keys: Vec<String>) -> Result<Vec<Change>> {
        keys.sort_unstable();
        keys.dedup();
        let mut changes = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            let found = self.context.store.get_many(keys).await?;
            for (key, record) in keys.iter().zip(&found) {
                match place(key) {
                    Some((Kind::Grant, id)) => {
                        changes.push(Change::Grant(id, self.kept(record.as_ref()).map(Box::new)))
                    }
                    Some((Kind::Role, id)) => changes.push(Change::Role(id, self.kept(record.as_ref()))),
                    // Of a later version.
                    _ => {}
                }
            }
        }
        Ok(changes)
    }

    async fn all(&self) -> Result<Stored> {
        let mut stored = Stored::default();
        let mut scan = Scan::new(&*self.context.store, Kind::Role.prefix());
        while let Some(page) = scan.next().await? {
            let roles = page.iter().filter_map(|record| Some((place(&record.key)?.1, self.kept(Some(record))?)));
            stored.roles.extend(roles);
        }
        let mut scan = Scan::new(&*self.context.store, Kind::Grant.prefix());
        while let Some(page) = scan.next().await? {
            let grants = page.iter().filter_map(|record| Some((place(&record.key)?.1, self.kept(Some(record))?)));
            stored.grants.extend(grants);
        }
        Ok(stored)
    }

    /// One that does not verify was logged; it allows nothing.
    fn kept<T: StoredValue>(&self, record: Option<&Record>) -> Option<Kept<T>> {
        let record = record?;
        Some(Kept { value: self.context.records.read(record).ok()?, bytes: record.body.len() })
    }
}

fn place(key: &str) -> Option<(Kind, Uuid)> {
    let place = Place::of(key)?;
    Some((place.kind, Uuid::try_parse(place.vault).ok()?))
}
