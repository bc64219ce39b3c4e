//! Stores of versions before authentication codes. Their records are accepted until each has a code and no process of
//! such a version writes any more; then the store is marked, and records without a code are refused from then on.

use super::body;
use super::codec::Codec;
use super::inspection::holds_authenticated;
use super::key;
use super::kinds::{DeletedRecord, Kind, PendingRecord, PurgingRecord, RequestRecord, Stored};
use crate::domain::authority::AuthorityRecord;
use crate::domain::{Certificate, CertificateEntry, Contacts, IssuerConfig, Result, Timestamp, Vault};
use crate::store::{Batch, Delete, Put, Record, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Every record of the store carries a code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct Marker {
    since: Timestamp,
}

impl Marker {
    pub(super) const NAME: &str = "authenticated";
}

/// Records are getting their codes. Written before the first of them, so that a store with codes and without this
/// record or the marker is one from which somebody took them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::service) struct Sweep {
    started: Timestamp,
}

impl Sweep {
    pub(super) const NAME: &str = "sweep";

    pub(super) fn begin(now: Timestamp) -> Self {
        Self { started: now }
    }
}

/// How far a store has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::service) enum Adopted {
    /// Records without a code are refused.
    Done,
    /// They are accepted until this time, and until none is left.
    Until(Timestamp),
}

/// Records of one look, and bytes of one commit.
const PAGE: usize = 500;
const MAX_BATCH: usize = 1 << 20;
/// Whoever was faster wrote the record anew, perhaps once more without a code.
const ATTEMPTS: usize = 16;

/// Decides whether records without a code are accepted, which they are only in a store that has not been marked, and
/// only where `accept` says so. A store without records is marked at once.
pub(in crate::service) async fn open(store: &dyn Store, codec: &Codec, accept: bool, now: Timestamp) -> Result<()> {
    if let Some(record) = store.get(key::marker().as_str()).await? {
        // Whatever it says: only a store that was marked has one. What is wrong with it was logged.
        let _logged = codec.read::<Marker>(&record);
        return Ok(());
    }
    if let Some(record) = store.get(key::sweep().as_str()).await? {
        if codec.read::<Sweep>(&record).is_ok() && accept {
            codec.tolerate();
        }
        return Ok(());
    }
    if is_empty(store).await? {
        if let Err(error) = mark(store, codec, now).await {
            // Refused without it as well; a later start marks the store.
            tracing::warn!(%error, "a new store could not be marked as one whose records are authenticated");
        }
        return Ok(());
    }
    if !accept {
        tracing::warn!(
            "the store was written by a version without authentication codes, and store.accept_unauthenticated is \
             false: its records are refused"
        );
    } else if holds_authenticated(store).await? {
        tracing::error!(
            key = %key::marker(),
            "the store has records with authentication codes, but the record that marks it as authenticated is \
             missing: it was removed outside certmint; records without a code are refused"
        );
    } else {
        codec.tolerate();
    }
    Ok(())
}

/// Gives a code to every record that has none and names the object of its key; marks the store when none is left and
/// `window` is over since the first time.
pub(in crate::service) async fn adopt(
    store: &dyn Store,
    codec: &Codec,
    window: Duration,
    now: Timestamp,
) -> Result<Adopted> {
    let marked = store.get(key::marker().as_str()).await?.is_some();
    if codec.is_strict() || marked {
        codec.insist();
        if !marked && store.get(key::sweep().as_str()).await?.is_none() {
            mark(store, codec, now).await?;
        }
        return Ok(Adopted::Done);
    }
    let until = begin(store, codec, now).await?.plus(window);
    let adopted = sweep(store, codec).await?;
    if adopted > 0 {
        tracing::info!(records = adopted, "added authentication codes to records of an earlier version");
    }
    // What was written without a code during the sweep is found by one that begins after the window.
    if now < until || sweep(store, codec).await? > 0 {
        return Ok(Adopted::Until(until.max(now)));
    }
    mark(store, codec, now).await?;
    codec.insist();
    tracing::info!("all records of the store are authenticated; one without a code is refused from now on");
    Ok(Adopted::Done)
}

/// When the first sweep began.
async fn begin(store: &dyn Store, codec: &Codec, now: Timestamp) -> Result<Timestamp> {
    for _ in 0..ATTEMPTS {
        if let Some(record) = store.get(key::sweep().as_str()).await? {
            return Ok(codec.read::<Sweep>(&record)?.started);
        }
        let puts = vec![codec.put(&key::sweep(), None, &Sweep::begin(now), None)?];
        match store.commit(Batch { puts, ..Batch::default() }).await {
            Ok(_) => return Ok(now),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(now)
}

/// Somebody who marked it first did what was to be done.
async fn mark(store: &dyn Store, codec: &Codec, now: Timestamp) -> Result<()> {
    let sweep = store.get(key::sweep().as_str()).await?;
    let deletes = sweep.map(|Record { key, revision, .. }| Delete { key, expected: revision }).into_iter().collect();
    let puts = vec![codec.put(&key::marker(), None, &Marker { since: now }, None)?];
    match store.commit(Batch { puts, deletes, ..Batch::default() }).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn is_empty(store: &dyn Store) -> Result<bool> {
    for kind in Kind::ALL {
        if !store.list(kind.prefix(), "", 1).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How many records got a code, or were changed by others just then.
async fn sweep(store: &dyn Store, codec: &Codec) -> Result<usize> {
    let mut adopted = 0;
    for kind in Kind::ALL {
        let mut after = String::new();
        loop {
            let page = store.list(kind.prefix(), &after, PAGE).await?;
            let full = page.len() == PAGE;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            adopted += adopt_page(store, codec, *kind, &page).await?;
            if !full {
                break;
            }
        }
    }
    Ok(adopted)
}

async fn adopt_page(store: &dyn Store, codec: &Codec, kind: Kind, page: &[Record]) -> Result<usize> {
    let (mut batch, mut bytes, mut adopted) = (Batch::default(), 0, 0);
    for record in page {
        let Some(put) = authenticated(codec, kind, record) else { continue };
        bytes += put.body.len();
        adopted += 1;
        batch.puts.push(put);
        if bytes >= MAX_BATCH {
            commit(store, std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
    }
    commit(store, batch).await?;
    Ok(adopted)
}

/// Where one record was changed meanwhile, the others are written one by one; the changed one is met by the next sweep.
async fn commit(store: &dyn Store, batch: Batch) -> Result<()> {
    if batch.puts.is_empty() {
        return Ok(());
    }
    match store.commit(batch.clone()).await {
        Ok(_) => return Ok(()),
        Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(error.into()),
    }
    for put in batch.puts {
        match store.commit(Batch { puts: vec![put], ..Batch::default() }).await {
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The record with a code; `None` if it has one, and where it cannot be what its key says, which is logged. It stays
/// due when it was: a step under way meets another revision, and is due again.
fn authenticated(codec: &Codec, kind: Kind, record: &Record) -> Option<Put> {
    if body::carries_a_code(&record.body) {
        return None;
    }
    fn again<T: Stored + Serialize>(codec: &Codec, record: &Record) -> Option<Put> {
        let value: T = codec.read(record).ok()?;
        codec.replace(record, &value, record.due).ok()
    }
    match kind {
        Kind::Certificate => again::<CertificateEntry>(codec, record),
        Kind::Version => again::<Certificate>(codec, record),
        Kind::Pending | Kind::Suspended | Kind::AbandonedOrder => again::<PendingRecord>(codec, record),
        Kind::Request | Kind::Repeat => {
            let value: RequestRecord = codec.read(record).ok()?;
            // A repeat of the request gets everything since the creation, not since now.
            let revision = value.revision.or(Some(record.revision));
            codec.replace(record, &RequestRecord { revision, ..value }, record.due).ok()
        }
        Kind::Deleted => again::<DeletedRecord>(codec, record),
        Kind::Purging => again::<PurgingRecord>(codec, record),
        Kind::Contacts => again::<Contacts>(codec, record),
        Kind::Vault => again::<Vault>(codec, record),
        Kind::Issuer => again::<IssuerConfig>(codec, record),
        Kind::Authority => again::<AuthorityRecord>(codec, record),
        // They never were without a code.
        Kind::IssuerState | Kind::Challenge | Kind::Meta => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::records::Place;

    #[test]
    fn the_keys_of_the_marks_are_fixed() {
        assert_eq!(key::marker().as_str(), "meta/authenticated");
        assert_eq!(key::sweep().as_str(), "meta/sweep");
        let place = Place::of("meta/sweep").unwrap();
        assert!(Sweep { started: Timestamp(0) }.belongs(&place) && !Marker { since: Timestamp(0) }.belongs(&place));
    }
}
