//! Replicas say each minute which master keys they have, so that nobody brings records under one that another replica
//! cannot read. The only process of an embedded store has nobody to tell.

use super::MasterKeyObjects;
use crate::domain::{Result, Timestamp};
use crate::service::audit::{RESEAL, Scope};
use crate::service::records::{ReplicaRecord, Scan, key};
use crate::store::{Batch, Delete, Record};

/// A replica as its record says it.
pub(super) enum Replica {
    Known(ReplicaRecord),
    /// Its record needs a master key that this server does not have.
    Closed,
}

impl MasterKeyObjects {
    /// Says which master keys this process has; forgets replicas that have been gone for a day.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn announce(&self, since: Timestamp) -> Result<()> {
        let id = self.context.writes.ledger().writer().to_owned();
        let (place, now) = (key::replica(&id), self.context.now());
        let there = self.context.store.get(place.as_str()).await?.map(|record| record.revision);
        let keys = self.context.records.master_keys().map(str::to_owned).collect();
        let record = ReplicaRecord { id, keys, since, seen: now };
        let mut batch = Batch::default();
        batch.puts.push(self.context.records.put(&place, there, &record, None)?);
        for (Record { key, revision, .. }, replica) in self.replica_records().await? {
            // This one itself may have been asleep for so long.
            if key != place.as_str() && matches!(replica, Replica::Known(replica) if replica.is_long_gone(now)) {
                batch.deletes.push(Delete { key, expected: revision });
            }
        }
        // Another replica may forget the same ones: this one is then announced a minute later.
        Scope::job(RESEAL).run(self.context.try_commit(batch)).await.map(|_| ())
    }

    /// Says that this process ends.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn leave(&self) -> Result<()> {
        let place = key::replica(self.context.writes.ledger().writer());
        let deletes: Vec<Delete> = self.context.removal(&place).await?.into_iter().collect();
        if deletes.is_empty() {
            return Ok(());
        }
        let batch = Batch { deletes, ..Batch::default() };
        Scope::job(RESEAL).run(self.context.try_commit(batch)).await.map(|_| ())
    }

    /// The replicas that are there, as far as they said so.
    pub(super) async fn live_replicas(&self) -> Result<Vec<(String, Replica)>> {
        let now = self.context.now();
        let is_live = |replica: &Replica| match replica {
            Replica::Known(replica) => replica.is_live(now),
            Replica::Closed => true,
        };
        let prefix = key::replicas();
        let id = |record: Record| record.key.strip_prefix(prefix.as_str()).unwrap_or_default().to_owned();
        let found = self.replica_records().await?.into_iter().filter(|(_, replica)| is_live(replica));
        Ok(found.map(|(record, replica)| (id(record), replica)).collect())
    }

    /// Why not every live replica reads and writes with this master key; `None` where all do.
    pub(super) async fn unready_replica(&self, newest: &str) -> Result<Option<String>> {
        Ok(self.live_replicas().await?.into_iter().find_map(|(id, replica)| match replica {
            Replica::Closed => Some(format!(
                "The replica {id} has another master key, which this server does not have: give all of them the same ones. If it is gone for good: certmint doctor --store --remove replicas/{id}."
            )),
            Replica::Known(replica) if replica.keys.last().is_some_and(|key| key == newest) => None,
            Replica::Known(replica) if replica.keys.iter().any(|key| key == newest) => Some(format!(
                "The replica {id} still writes with another master key than {newest}: make the line of {newest} the last one there, and restart it. A replica that was killed counts for three minutes."
            )),
            Replica::Known(_) => Some(format!(
                "The replica {id} does not have the master key {newest}: add its line there, and restart it. A replica that was killed counts for three minutes."
            )),
        }))
    }

    async fn replica_records(&self) -> Result<Vec<(Record, Replica)>> {
        let (prefix, mut found) = (key::replicas(), Vec::new());
        let mut scan = Scan::new(&*self.context.store, prefix.as_str());
        while let Some(page) = scan.next().await? {
            for record in page {
                match self.context.records.unless_damaged::<ReplicaRecord>(&record) {
                    Ok(Some(replica)) => found.push((record, Replica::Known(replica))),
                    // One that was changed outside says nothing, which was logged.
                    Ok(None) => {}
                    Err(_) => found.push((record, Replica::Closed)),
                }
            }
        }
        Ok(found)
    }
}
