//! What the log has of one key, and whether the key is known to be in other hands.

use super::log::IssuedLog;
use crate::domain::issued::IssuedRecord;
use crate::domain::{Result, RevocationReason, Serial};
use crate::service::records::{IssuedIndex, Scan, key};

impl IssuedLog {
    /// What the log has of a key, which is named by its hash.
    pub(super) async fn of_key(&self, key_hash: &str) -> Result<Vec<IssuedRecord>> {
        let prefix = key::issued_by_key_of(key_hash);
        let mut found = Vec::new();
        let mut scan = Scan::new(&*self.context.store, prefix.as_str());
        while let Some(page) = scan.next().await? {
            let places: Vec<_> = page
                .iter()
                .map(|record| {
                    let index: IssuedIndex = self.context.records.read(record).ok()?;
                    let serial = record.key.strip_prefix(prefix.as_str()).and_then(|hex| Serial::spellings(hex).ok());
                    Some(key::issued(&index.authority, serial?.first()?))
                })
                .collect();
            let records = self.context.load_many(&places).await?;
            found.extend(records.into_iter().filter_map(|record| record.ok().flatten()));
        }
        Ok(found)
    }

    /// Whether somebody reported that the key is in other hands: nothing is signed for it any more.
    pub(in crate::service) async fn is_compromised(&self, key_hash: &str) -> Result<bool> {
        let compromised = |issued: &IssuedRecord| {
            issued.revocation.as_ref().is_some_and(|it| it.reason == RevocationReason::KeyCompromise)
        };
        Ok(self.of_key(key_hash).await?.iter().any(compromised))
    }
}
