//! Challenge responses for CAs: records that every replica reads, written and removed together with the step of the
//! order that they belong to.

use super::Issuing;
use crate::domain::Result;
use crate::issuer::provider::{Challenge, ChallengeKey, ChallengeKind};
use crate::service::records::{ChallengeRecord, key};
use crate::store::{Batch, Delete, MAX_KEYS};
use std::collections::HashSet;

/// Orders of one host at once whose content a file has.
const FILE_LINES: usize = 50;

/// The name of a kind in keys and records.
fn word(kind: ChallengeKind) -> &'static str {
    match kind {
        ChallengeKind::Http01 => "http-01",
        ChallengeKind::TlsAlpn01 => "tls-alpn-01",
        ChallengeKind::PkiValidation => "pki-validation",
    }
}

impl Issuing {
    /// The key authorization of a token (http-01) or a host name (tls-alpn-01), or the file of a host (pki-validation):
    /// what each of its open orders has to say, a line for each. None where no open order has it.
    ///
    /// # Errors
    /// Where the store is not available: it cannot be known now.
    pub(in crate::service) async fn challenge(&self, kind: ChallengeKind, name: &str) -> Result<Option<String>> {
        let found = self.context.load(&key::challenge(word(kind), name)).await?;
        let now = self.context.now();
        let found = found.map(|(_, challenge)| challenge).filter(|it| it.expires > now).map(|it| it.key_authorization);
        if kind != ChallengeKind::PkiValidation {
            return Ok(found);
        }
        // One without a print of its content was written by an earlier version.
        let mut lines: Vec<String> = found.into_iter().collect();
        let records = self.context.store.list(key::challenges_of(word(kind), name).as_str(), "", FILE_LINES).await?;
        for record in records {
            let Ok(challenge) = self.context.records.read::<ChallengeRecord>(&record) else { continue };
            if challenge.expires > now && !lines.contains(&challenge.key_authorization) {
                lines.push(challenge.key_authorization);
            }
        }
        Ok((!lines.is_empty()).then(|| lines.join("\n")))
    }

    /// Adds what a step publishes and withdraws to the batch of the step. A repeat of a step finds what the first try
    /// left, and writes over it.
    pub(in crate::service) async fn stage_challenges(
        &self,
        batch: &mut Batch,
        publish: Vec<Challenge>,
        withdraw: Vec<ChallengeKey>,
    ) -> Result<()> {
        let place = |key: &ChallengeKey| key::challenge(word(key.kind), &key.name);
        let published: HashSet<ChallengeKey> = publish.iter().map(|challenge| challenge.key.clone()).collect();
        let withdrawn: Vec<ChallengeKey> = withdraw.into_iter().filter(|key| !published.contains(key)).collect();
        let all = publish.iter().map(|challenge| &challenge.key).chain(&withdrawn);
        let keys: Vec<String> = all.map(|key| place(key).to_string()).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            found.extend(self.context.store.get_many(keys).await?);
        }
        let gone = found.split_off(publish.len());
        for (challenge, there) in publish.into_iter().zip(found) {
            let Challenge { key, key_authorization, expires } = challenge;
            let place = place(&key);
            let ChallengeKey { kind, name } = key;
            let record = ChallengeRecord { kind: word(kind).to_owned(), name, key_authorization, expires };
            let expected = there.map(|record| record.revision);
            batch.puts.push(self.context.records.put(&place, expected, &record, Some(expires))?);
        }
        let gone = gone.into_iter().flatten();
        batch.deletes.extend(gone.map(|record| Delete { key: record.key, expected: record.revision }));
        Ok(())
    }
}
