//! How many reports the vaults hold. They are counted in the store once a minute where hosts are new, and by this process
//! in between, so that a fleet that begins does not read all of them for each host; several replicas may exceed the limit
//! by what they take within a minute.

use crate::domain::{Result, Timestamp, VaultName};
use crate::service::records::key;
use crate::store::Store;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a count is good.
const GOOD: Duration = Duration::from_secs(60);
/// Records of one look.
const PAGE: usize = 1000;

/// Counts by vault, of which there are as many as vaults.
#[derive(Debug, Default)]
pub(in crate::service) struct Counts(Mutex<BTreeMap<VaultName, (Timestamp, usize)>>);

impl Counts {
    /// How many there are; not more than `most` are counted.
    pub(super) async fn of(&self, store: &dyn Store, vault: &VaultName, most: usize, now: Timestamp) -> Result<usize> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(vault).copied();
        if let Some((_, count)) = known.filter(|(at, _)| *at <= now && now < at.plus(GOOD)) {
            return Ok(count);
        }
        let (prefix, mut after, mut count) = (key::installations_in(vault), String::new(), 0_usize);
        while count < most {
            let page = store.list(prefix.as_str(), &after, PAGE).await?;
            count = count.saturating_add(page.len());
            match page.into_iter().last().filter(|_| count.is_multiple_of(PAGE)) {
                Some(last) => after = last.key,
                None => break,
            }
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(vault.clone(), (now, count));
        Ok(count)
    }

    /// One more.
    pub(super) fn add(&self, vault: &VaultName) {
        if let Some((_, count)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(vault) {
            *count = count.saturating_add(1);
        }
    }
}
