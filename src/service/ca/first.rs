//! The records that an authority publishes with, as long as it has a key. The worker makes what is in them.

use crate::domain::authority::AuthorityRecord;
use crate::domain::{Blob, Error, Result, Timestamp, VaultName};
use crate::keys::authority::Signer;
use crate::service::context::Context;
use crate::service::records::{CrlRecord, ResponderRecord, key};
use crate::store::{Put, Record};

/// Empty revocation lists and an OCSP responder without a key, due at once: those that are not there yet, or are damaged.
/// Those that are there are due again, if they are not any more although the worker has to go on with them.
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
        match there {
            Some(there) if !context.records.is_damaged(&there) => {
                puts.extend(there.due.is_none().then(|| again(there, now)));
            }
            there => puts.push(crl(context, authority, id, shard, there.as_ref(), now)?),
        }
    }
    match context.store.get(key::responder(id).as_str()).await? {
        Some(there) if !context.records.is_damaged(&there) => {
            let signer = authority.chain.first().ok_or_else(Error::internal)?;
            // One of a newer format is left to those who know it.
            let known = context.records.read::<ResponderRecord>(&there).ok().filter(|_| there.due.is_none());
            if let Some(known) = known
                && !is_last(&known, &signer.0)?
            {
                puts.push(again(there, now));
            }
        }
        there => {
            let record =
                ResponderRecord { vault: authority.vault.clone(), authority: id.to_owned(), next: None, current: None };
            let expected = there.map(|there| there.revision);
            puts.push(context.records.put(&key::responder(id), expected, &record, Some(now))?);
        }
    }
    Ok(puts)
}

/// Whether no other certificate of a responder follows the one of now: it ends with the authority, and a next one would end
/// no later.
pub(super) fn is_last(record: &ResponderRecord, signer: &[u8]) -> Result<bool> {
    let end = Signer::read(signer)?.not_after();
    Ok(record.next.is_none() && record.current.as_ref().is_some_and(|current| current.not_after >= end))
}

/// The same record, due.
fn again(Record { key, revision, body, due: _ }: Record, now: Timestamp) -> Put {
    Put { key, expected: Some(revision), body, due: Some(now) }
}

fn crl(
    context: &Context,
    authority: &AuthorityRecord,
    id: &str,
    shard: u32,
    there: Option<&Record>,
    now: Timestamp,
) -> Result<Put> {
    let record = CrlRecord { shard, ..no_list(&authority.vault, id, authority.lists.last_crl, now) };
    let expected = there.map(|there| there.revision);
    context.records.put(&key::crl(id, shard), expected, &record, Some(now))
}

/// The record of the first list, which is still to be made after one of this number.
pub(super) fn no_list(vault: &VaultName, id: &str, number: u64, now: Timestamp) -> CrlRecord {
    CrlRecord {
        vault: vault.clone(),
        authority: id.to_owned(),
        shard: 0,
        number,
        this_update: now,
        next_update: now,
        entries: 0,
        der: Blob::default(),
    }
}
