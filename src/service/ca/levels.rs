//! The levels of the CAs for the metrics.

use super::CertificateAuthorities;
use crate::domain::authority::{AuthorityRecord, AuthorityState};
use crate::domain::{Blob, Result};
use crate::keys::authority::{self, Signer};
use crate::keys::hierarchy::key_of_request;
use crate::metrics::{AuthorityLevel, ListsLevel, MOST_AUTHORITIES};
use crate::service::context::Context;
use crate::service::records::{Kind, Scan, key};

impl CertificateAuthorities {
    /// Reads when certificates, lists and responders of the CAs end, and sets the metrics. The lists are read one after the
    /// other, as each may be large.
    ///
    /// # Errors
    /// Where the store is not available: the metrics stay as they were.
    pub async fn measure(&self) -> Result<()> {
        let mut levels = Vec::new();
        let mut scan = Scan::new(&*self.context.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                let Ok(authority) = self.context.records.read::<AuthorityRecord>(&record) else { continue };
                if authority.state() != AuthorityState::Gone {
                    let is_shown = levels.len() < MOST_AUTHORITIES;
                    levels.push(level(&self.context, &authority, is_shown).await?);
                }
            }
        }
        self.context.metrics.operations.authorities.set(&levels);
        Ok(())
    }
}

async fn level(context: &Context, authority: &AuthorityRecord, is_shown: bool) -> Result<AuthorityLevel> {
    let signer = authority.chain.first();
    let of_request = || authority.above.csr.as_ref().and_then(|Blob(csr)| key_of_request(csr));
    let id = match signer {
        Some(Blob(der)) => authority::identifier(der),
        None => of_request().map(|key| authority::identifier_of_key(&key)),
    };
    let id = id.unwrap_or_default();
    let mut level = AuthorityLevel {
        vault: authority.vault.to_string(),
        issuer: authority.issuer.to_string(),
        authority: id.clone(),
        state: authority.state().word(),
        not_after: signer.and_then(|der| Signer::read(&der.0).ok()).map(|signer| signer.not_after().seconds()),
        lists: None,
        responder_not_after: None,
    };
    if !is_shown {
        return Ok(level);
    }
    for shard in 0..authority.lists.shards.max(1) {
        // One that is damaged was logged.
        let Ok(Some((_, crl))) = context.load(&key::crl(&id, shard)).await else { continue };
        if crl.der.0.is_empty() {
            continue;
        }
        let entries = i64::try_from(crl.entries).unwrap_or(i64::MAX);
        let (this_update, next_update) = (crl.this_update.seconds(), crl.next_update.seconds());
        let lists = level.lists.get_or_insert(ListsLevel { this_update, next_update, entries: 0, longest: 0 });
        lists.this_update = lists.this_update.min(this_update);
        lists.next_update = lists.next_update.min(next_update);
        lists.entries = lists.entries.saturating_add(entries);
        lists.longest = lists.longest.max(entries);
    }
    if let Ok(Some((_, responder))) = context.load(&key::responder(&id)).await {
        level.responder_not_after = responder.current.map(|current| current.not_after.seconds());
    }
    Ok(level)
}
