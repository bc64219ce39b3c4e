//! Stores of versions before authentication codes. Their records are accepted until each has a code and no process of
//! such a version writes any more; then the store is marked, and records without a code are refused from then on.

use super::body;
use super::codec::Codec;
use super::key;
use super::kinds::{Kind, OfKind, RequestRecord, Stored};
use super::marks::{Marker, Sweep};
use super::scan::{Scan, holds_authenticated, holds_bare};
use crate::domain::{Result, Timestamp};
use crate::store::{Batch, Delete, Put, Record, Store, StoreError};
use serde::Serialize;
use std::time::Duration;

/// Which stores of versions before the codes are taken over.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    /// Records without a code are accepted until the store is marked.
    pub accept: bool,
    /// For how long processes of such versions may still write to the store.
    pub window: Duration,
}

impl Default for Takeover {
    fn default() -> Self {
        Self { accept: true, window: Duration::from_secs(24 * 3600) }
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

/// What a start found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::service) enum Opened {
    /// There is nothing to do before the first write.
    Ready,
    /// The takeover begins with this process: [`begin`] has to be called before anything is written.
    ToBegin,
}

/// Bytes of one commit.
const MAX_BATCH: usize = 1 << 20;
/// Whoever was faster wrote the record anew, perhaps once more without a code.
const ATTEMPTS: usize = 16;

/// What a store says of itself, as of one moment.
pub(super) struct Marks {
    pub(super) marker: Option<Record>,
    pub(super) sweep: Option<Record>,
}

impl Marks {
    pub(super) async fn read(store: &dyn Store) -> Result<Self> {
        let mut found = store.get_many(&[key::marker().to_string(), key::sweep().to_string()]).await?.into_iter();
        let mut next = || found.next().flatten();
        Ok(Self { marker: next(), sweep: next() })
    }

    /// Whether they decide about records without a code, and were obeyed.
    fn decide(&self, codec: &Codec, takeover: Takeover, now: Timestamp) -> bool {
        if let Some(marker) = &self.marker {
            // Whatever it says: only a store that was marked has one. What is wrong with it was logged.
            let _logged = codec.read::<Marker>(marker);
            return true;
        }
        let Some(record) = &self.sweep else { return false };
        match codec.read::<Sweep>(record) {
            Ok(sweep) if !sweep.holds(takeover.window, now) => tracing::error!(
                key = record.key,
                "the takeover of the store's records began long ago and did not end, or its beginning was put back \
                 outside certmint; records without a code are refused. Where you trust the database, `certmint doctor \
                 --store --adopt` begins it anew"
            ),
            Ok(_) if takeover.accept => codec.tolerate(),
            // One that does not verify was logged.
            Ok(_) | Err(_) => {}
        }
        true
    }
}

/// Decides whether records without a code are accepted, which they are only in a store that has not been marked, and
/// only where `takeover` says so. A store without records is marked at once.
pub(in crate::service) async fn open(
    store: &dyn Store,
    codec: &Codec,
    takeover: Takeover,
    now: Timestamp,
) -> Result<Opened> {
    if Marks::read(store).await?.decide(codec, takeover, now) {
        return Ok(Opened::Ready);
    }
    if is_empty(store).await? {
        if let Err(error) = mark(store, codec, now).await {
            // Refused without it as well; a later start marks the store.
            tracing::warn!(%error, "a new store could not be marked as one whose records are authenticated");
        }
        return Ok(Opened::Ready);
    }
    if holds_authenticated(store).await? {
        // Another process may have begun, or marked a new store, since the first look.
        if !Marks::read(store).await?.decide(codec, takeover, now) {
            tracing::error!(
                key = %key::marker(),
                "the store has records with authentication codes, but the record that marks it as authenticated is missing: it was removed outside certmint; records without a code are refused"
            );
        }
        return Ok(Opened::Ready);
    }
    if !takeover.accept {
        tracing::warn!(
            "the store was written by a version without authentication codes, and store.accept_unauthenticated is \
             false: its records are refused"
        );
        return Ok(Opened::Ready);
    }
    codec.tolerate();
    Ok(Opened::ToBegin)
}

/// Gives a code to every record that has none and names the object of its key; marks the store when none is left and
/// `window` is over since the first time. A process that refuses records without a code changes none: it marks the
/// store only where every record has one.
pub(in crate::service) async fn adopt(
    store: &dyn Store,
    codec: &Codec,
    window: Duration,
    now: Timestamp,
) -> Result<Adopted> {
    let Marks { marker, sweep: begun } = Marks::read(store).await?;
    if marker.is_some() {
        codec.insist();
        if let Some(Record { key, revision, .. }) = begun {
            // Written by a process that started while another one marked the store.
            let deletes = vec![Delete { key, expected: revision }];
            commit(store, Batch { deletes, ..Batch::default() }).await?;
        }
        return Ok(Adopted::Done);
    }
    if codec.is_strict() {
        if begun.is_none() && !holds_bare(store).await? {
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

/// When the first sweep began; says so in the store where nobody did.
pub(in crate::service) async fn begin(store: &dyn Store, codec: &Codec, now: Timestamp) -> Result<Timestamp> {
    for _ in 0..ATTEMPTS {
        if let Some(record) = store.get(key::sweep().as_str()).await? {
            return Ok(codec.read::<Sweep>(&record)?.started);
        }
        let puts = vec![codec.put(&key::sweep(), None, &Sweep::begin(now), None)?];
        if commit(store, Batch { puts, ..Batch::default() }).await? {
            return Ok(now);
        }
    }
    Ok(now)
}

/// Somebody who marked it first did what was to be done.
async fn mark(store: &dyn Store, codec: &Codec, now: Timestamp) -> Result<()> {
    let sweep = store.get(key::sweep().as_str()).await?;
    let deletes = sweep.map(|Record { key, revision, .. }| Delete { key, expected: revision }).into_iter().collect();
    let puts = vec![codec.put(&key::marker(), None, &Marker { since: now }, None)?];
    commit(store, Batch { puts, deletes, ..Batch::default() }).await.map(drop)
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
        let mut scan = Scan::new(store, kind.prefix());
        while let Some(page) = scan.next().await? {
            adopted += adopt_page(store, codec, *kind, &page).await?;
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
            commit_puts(store, std::mem::take(&mut batch)).await?;
            bytes = 0;
        }
    }
    commit_puts(store, batch).await?;
    Ok(adopted)
}

/// Where one record was changed meanwhile, the others are written one by one; the changed one is met by the next sweep.
async fn commit_puts(store: &dyn Store, batch: Batch) -> Result<()> {
    if batch.puts.is_empty() || commit(store, batch.clone()).await? {
        return Ok(());
    }
    for put in batch.puts {
        commit(store, Batch { puts: vec![put], ..Batch::default() }).await?;
    }
    Ok(())
}

/// False where somebody was faster.
async fn commit(store: &dyn Store, batch: Batch) -> Result<bool> {
    match store.commit(batch).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The record with a code; `None` where it has one, and where it cannot be what its key says, which is logged. It stays
/// due when it was: a step under way meets another revision, and is due again.
fn authenticated(codec: &Codec, kind: Kind, record: &Record) -> Option<Put> {
    if body::carries_a_code(&record.body) {
        return None;
    }
    struct Again<'a>(&'a Codec, &'a Record);
    impl OfKind for Again<'_> {
        type Answer = Option<Put>;

        fn of<T: Stored + Serialize>(self) -> Self::Answer {
            let Self(codec, record) = self;
            let value: T = codec.read(record).ok()?;
            codec.replace(record, &value, record.due).ok()
        }
    }
    match kind {
        Kind::Request | Kind::Repeat => {
            let value: RequestRecord = codec.read(record).ok()?;
            // A repeat of the request gets everything since the creation, not since now.
            let revision = value.revision.or(Some(record.revision));
            codec.replace(record, &RequestRecord { revision, ..value }, record.due).ok()
        }
        // They never were without a code.
        Kind::IssuerState
        | Kind::IssuerHealth
        | Kind::Challenge
        | Kind::Issued
        | Kind::IssuedByTime
        | Kind::IssuedByKey
        | Kind::IssuedAdoption
        | Kind::Revoked
        | Kind::Crl
        | Kind::Responder
        | Kind::Replica
        | Kind::Reseal
        | Kind::Parked
        | Kind::Meta => None,
        kind => kind.with_type(Again(codec, record)),
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

    #[test]
    fn the_beginning_of_a_takeover_is_good_for_the_window_and_a_week() {
        const DAY: Duration = Duration::from_secs(86_400);
        let sweep = Sweep::begin(Timestamp(0));
        assert!(sweep.holds(DAY, Timestamp(0).plus(8 * DAY)));
        assert!(!sweep.holds(DAY, Timestamp(1).plus(8 * DAY)));
    }
}
