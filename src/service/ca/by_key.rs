//! What the log has of one key, and whether the key is known to be in other hands.

use super::log::IssuedLog;
use crate::domain::issued::IssuedRecord;
use crate::domain::{Error, Result, RevocationReason, Serial};
use crate::keys::certificate::requested_key;
use crate::keys::issued::key_hash;
use crate::service::records::{IssuedIndex, Scan, key};

impl IssuedLog {
    /// What the log has of a key, which is named by its hash.
    ///
    /// # Errors
    /// Where a record does not verify: what it said may be what matters.
    async fn all_of_key(&self, key_hash: &str) -> Result<Vec<IssuedRecord>> {
        self.of_each(key_hash, Err).await
    }

    /// As [`IssuedLog::all_of_key`], without those that do not verify, which were logged.
    pub(super) async fn of_key(&self, key_hash: &str) -> Result<Vec<IssuedRecord>> {
        self.of_each(key_hash, |_| Ok(())).await
    }

    async fn of_each(&self, key_hash: &str, damaged: impl Fn(Error) -> Result<()>) -> Result<Vec<IssuedRecord>> {
        let prefix = key::issued_by_key_of(key_hash);
        let mut found = Vec::new();
        let mut scan = Scan::new(&*self.context.store, prefix.as_str());
        while let Some(page) = scan.next().await? {
            let mut places = Vec::with_capacity(page.len());
            for record in &page {
                let serial = record.key.strip_prefix(prefix.as_str()).and_then(|hex| Serial::spellings(hex).ok());
                match self.context.records.read::<IssuedIndex>(record) {
                    Ok(index) => places.push(serial.and_then(|it| Some(key::issued(&index.authority, it.first()?)))),
                    Err(error) => damaged(error)?,
                }
            }
            for issued in self.context.load_many(&places).await? {
                match issued {
                    Ok(issued) => found.extend(issued),
                    Err(error) => damaged(error)?,
                }
            }
        }
        Ok(found)
    }

    /// Whether somebody reported that the key is in other hands: nothing is signed for it any more.
    pub(in crate::service) async fn is_compromised(&self, key_hash: &str) -> Result<bool> {
        let compromised = |issued: &IssuedRecord| {
            issued.revocation.as_ref().is_some_and(|it| it.reason == RevocationReason::KeyCompromise)
        };
        Ok(self.all_of_key(key_hash).await?.iter().any(compromised))
    }

    /// As [`IssuedLog::is_compromised`], of the key of a request (PKCS#10, DER).
    pub(in crate::service) async fn requests_compromised(&self, csr: &[u8]) -> Result<bool> {
        self.is_compromised(&key_hash(&requested_key(csr)?)).await
    }
}
