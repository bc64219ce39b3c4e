//! The records that an authority begins to publish with. The worker makes the rest.

use crate::domain::Result;
use crate::domain::authority::AuthorityRecord;
use crate::domain::{Blob, Timestamp};
use crate::service::context::Context;
use crate::service::records::{CrlRecord, ResponderRecord, key};
use crate::store::{Put, Record};

/// Empty revocation lists and an OCSP responder without a key, due at once: those that are not there yet, or are damaged.
pub(in crate::service) async fn missing(
    context: &Context,
    authority: &AuthorityRecord,
    id: &str,
    now: Timestamp,
) -> Result<Vec<Put>> {
    let places: Vec<_> = (0..authority.lists.shards.max(1)).map(|shard| key::crl(id, shard)).collect();
    let there = context.get_many(&places.iter().collect::<Vec<_>>()).await?;
    let mut puts = Vec::new();
    for (shard, there) in (0..).zip(there) {
        if there.as_ref().is_none_or(|there| context.records.is_damaged(there)) {
            puts.push(crl(context, authority, id, shard, there.as_ref(), now)?);
        }
    }
    let there = context.store.get(key::responder(id).as_str()).await?;
    if there.as_ref().is_none_or(|there| context.records.is_damaged(there)) {
        let record =
            ResponderRecord { vault: authority.vault.clone(), authority: id.to_owned(), next: None, current: None };
        let expected = there.map(|there| there.revision);
        puts.push(context.records.put(&key::responder(id), expected, &record, Some(now))?);
    }
    Ok(puts)
}

fn crl(
    context: &Context,
    authority: &AuthorityRecord,
    id: &str,
    shard: u32,
    there: Option<&Record>,
    now: Timestamp,
) -> Result<Put> {
    let record = CrlRecord {
        vault: authority.vault.clone(),
        authority: id.to_owned(),
        shard,
        number: authority.lists.last_crl,
        this_update: now,
        next_update: now,
        entries: 0,
        der: Blob::default(),
    };
    let expected = there.map(|there| there.revision);
    context.records.put(&key::crl(id, shard), expected, &record, Some(now))
}
