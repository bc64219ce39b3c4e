//! What is known of the master keys: how many records need each, and how the walk that changes that stands.

use super::MasterKeyObjects;
use super::replicas::Replica;
use super::reseal::ResealRequest;
use crate::domain::{Result, Timestamp};
use crate::metrics::MasterKeyLevel;
use crate::service::access::Permit;
use crate::service::audit::{RESEAL, Scope};
use crate::service::records::{Counted, End, Ended, Named, ResealRecord, Tally, key};
use std::time::Duration;

/// Between two counts that the server makes by itself.
const COUNT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// A master key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MasterKeyCount {
    pub id: String,
    /// This server has it.
    pub known: bool,
    /// This server writes with it.
    pub newest: bool,
    /// Records that need it; `None` where nobody counted since it is known.
    pub records: Option<u64>,
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResealEnd {
    Done,
    Stopped,
    /// Others wrote with another master key all the while.
    Incomplete,
}

/// A walk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResealView {
    /// The master key under which records are brought.
    pub to: String,
    pub counts_only: bool,
    pub begun: Timestamp,
    /// Who asked for it; empty for the server itself.
    pub by: String,
    /// `None` while it is under way.
    pub ended: Option<(Timestamp, ResealEnd)>,
    pub pass: u32,
    /// Records that this pass looked at.
    pub looked_at: u64,
    /// Records that were written.
    pub resealed: u64,
    pub left: LeftRecords,
}

/// Records that a pass left as they are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LeftRecords {
    /// Records that are damaged.
    pub damaged: u64,
    /// Records that this version, or this server with its master keys, cannot look into.
    pub unknown: u64,
    /// Records that others wrote, or worked on.
    pub again: u64,
    /// Some of those that stayed as they are, and why.
    pub named: Vec<(String, String)>,
}

/// A replica that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplicaView {
    pub id: String,
    /// The ids of its master keys, the one that it writes with last; none where it writes with one that this server does
    /// not have.
    pub keys: Vec<String>,
}

/// What is known of the master keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MasterKeyStatus {
    /// In the order of the file, and then those that records need and this server does not have.
    pub keys: Vec<MasterKeyCount>,
    /// When they were counted.
    pub counted: Option<Timestamp>,
    /// Records that were damaged or could not be looked into then: not all that they need is among the counts.
    pub unread: u64,
    /// The walk that is under way, or the last one.
    pub reseal: Option<ResealView>,
    /// Of a store that several processes share.
    pub replicas: Vec<ReplicaView>,
}

impl MasterKeyObjects {
    /// What is known.
    ///
    /// # Errors
    /// Where the store is not available, or the record of the walk needs a master key that is not there.
    pub async fn status(&self, _: Permit<ResealRequest>) -> Result<MasterKeyStatus> {
        self.read_status().await
    }

    pub(super) async fn read_status(&self) -> Result<MasterKeyStatus> {
        let job = self.job().await?;
        let counted = job.as_ref().and_then(|job| job.counted.as_ref());
        let keys = self.counts(counted);
        let replicas = self.live_replicas().await?.into_iter().map(|(id, replica)| match replica {
            Replica::Known(replica) => ReplicaView { id, keys: replica.keys },
            Replica::Closed => ReplicaView { id, keys: Vec::new() },
        });
        Ok(MasterKeyStatus {
            keys,
            counted: counted.map(|counted| counted.at),
            unread: counted.map_or(0, |counted| counted.tally.damaged + counted.tally.unknown),
            replicas: replicas.collect(),
            reseal: job.map(view),
        })
    }

    async fn job(&self) -> Result<Option<ResealRecord>> {
        match self.context.store.get(key::reseal().as_str()).await? {
            Some(record) => self.context.records.unless_damaged(&record),
            None => Ok(None),
        }
    }

    fn counts(&self, counted: Option<&Counted>) -> Vec<MasterKeyCount> {
        let newest = self.context.records.newest_key();
        let of = |id: &str| counted.map(|counted| counted.tally.keys.get(id).copied().unwrap_or(0));
        let own = self.context.records.master_keys().map(|id| MasterKeyCount {
            id: id.to_owned(),
            known: true,
            newest: id == newest,
            records: of(id),
        });
        let mut keys: Vec<MasterKeyCount> = own.collect();
        let others = counted.into_iter().flat_map(|counted| &counted.tally.keys);
        for (id, count) in others {
            if !keys.iter().any(|key| key.id == *id) {
                keys.push(MasterKeyCount { id: id.clone(), known: false, newest: false, records: Some(*count) });
            }
        }
        keys
    }

    /// Sets the metrics, and begins a count where there is more than one master key and none was made for a day.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn keep_up(&self) -> Result<()> {
        Scope::job(RESEAL).run(self.count_after(COUNT_EVERY)).await?;
        let job = self.job().await?;
        let counted = job.as_ref().and_then(|job| job.counted.as_ref());
        let counts = self.counts(counted).into_iter();
        self.context.metrics.operations.master_keys.set(&MasterKeyLevel {
            records: counts.filter_map(|key| Some((key.id, key.records?))).collect(),
            counted: counted.map(|counted| counted.at.seconds()),
            under_way: job.as_ref().is_some_and(|job| job.is_under_way() && !job.counts_only),
        });
        Ok(())
    }
}

fn view(job: ResealRecord) -> ResealView {
    let ResealRecord { to, counts_only, begun, by, pass, after: _, resealed, tally, ended, counted: _ } = job;
    let Tally { records, keys: _, written: _, again, damaged, unknown, named } = tally;
    let ended = ended.map(|Ended { at, how }| {
        let how = match how {
            End::Done => ResealEnd::Done,
            End::Stopped => ResealEnd::Stopped,
            End::Incomplete => ResealEnd::Incomplete,
        };
        (at, how)
    });
    ResealView {
        to,
        counts_only,
        begun,
        by,
        ended,
        pass,
        looked_at: records,
        resealed,
        left: LeftRecords {
            damaged,
            unknown,
            again,
            named: named.into_iter().map(|Named { key, problem }| (key, problem)).collect(),
        },
    }
}
