//! How many grants the store takes. Those that are over allow nothing, and make room for others.

use super::follow::CaughtUp;
use super::grants::GrantObjects;
use super::refused;
use super::sources::Taken;
use crate::domain::access::{Grant, MAX_OF_PRINCIPAL, Source};
use crate::domain::{Error, Result};
use crate::service::audit::found;
use crate::service::records::key;
use crate::service::retry::retry;
use crate::store::{Delete, Record};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Most grants that are removed in one commit: fewer changes than are remembered one by one, so that other replicas need
/// not read everything.
const AT_ONCE: usize = 50;

/// A limit that another grant would exceed.
pub(super) struct Full {
    /// Whose grants there are too many of; `None`: everybody's.
    principal: Option<String>,
    error: Error,
}

impl GrantObjects {
    /// Removes grants of the store that are over for this long, up to 50; how many they were.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn remove_over(&self, since: Duration) -> Result<usize> {
        if self.over(None, since).is_empty() {
            return Ok(0);
        }
        let _turn = self.rights.turn().await;
        retry!({
            let caught_up = self.catch_up().await?;
            self.remove(caught_up, &self.over(None, since)).await
        })
    }

    /// Removes what is over where a limit is reached.
    ///
    /// # Errors
    /// `GrantLimitExceeded` where nothing is.
    pub(super) async fn make_room(&self, caught_up: CaughtUp, full: Full) -> Result<()> {
        let over = self.over(full.principal.as_deref(), Duration::ZERO);
        if over.is_empty() {
            return Err(full.error);
        }
        // Where somebody else was faster the next attempt sees what is left.
        self.remove(caught_up, &over).await.map(|_| ())
    }

    /// Grants of the store, of one principal or all, that are over for this long; not more than one commit removes.
    fn over(&self, principal: Option<&str>, since: Duration) -> Vec<Uuid> {
        let end = self.context.now().minus(since);
        let table = self.rights.table();
        let id = |grant: &Arc<Grant>| {
            let is_over = matches!(grant.source, Source::Store(_)) && grant.is_over(end);
            is_over.then(|| Uuid::try_parse(&grant.id).ok()).flatten()
        };
        match principal {
            Some(principal) => table.of(principal).iter().filter_map(id).take(AT_ONCE).collect(),
            None => table.grants().filter_map(id).take(AT_ONCE).collect(),
        }
    }

    /// `None` where another change came first.
    async fn remove(&self, caught_up: CaughtUp, ids: &[Uuid]) -> Result<Option<usize>> {
        let keys: Vec<String> = ids.iter().map(|id| key::grant(*id).as_str().to_owned()).collect();
        let there = self.context.store.get_many(&keys).await?.into_iter().flatten();
        let deletes: Vec<Delete> =
            there.map(|Record { key, revision, .. }| Delete { key, expected: revision }).collect();
        if deletes.is_empty() {
            return Ok(Some(0));
        }
        let count = deletes.len();
        found(|found| found.detail = format!("removed {count} grants that are over"));
        let committed = self.commit(caught_up, None, deletes).await?;
        if committed {
            tracing::info!(count, "removed grants that are over");
        }
        Ok(committed.then_some(count))
    }

    /// Whether there is room for one more grant of so many bytes, as long as what is over counts.
    pub(super) async fn full(&self, grant: &Grant, bytes: usize) -> Option<Full> {
        let limits = self.context.options.access.limits;
        let principal = grant.principal.as_str();
        let is_stored = |grant: &&Arc<Grant>| matches!(grant.source, Source::Store(_));
        let of_principal = self.rights.table().of(principal).iter().filter(is_stored).count();
        if of_principal >= MAX_OF_PRINCIPAL {
            let error = refused::too_many(format!(
                "{principal} has {of_principal} grants already. A grant takes many names, and a star behind their beginning."
            ));
            return Some(Full { principal: Some(principal.to_owned()), error });
        }
        let Taken { grants, bytes: taken, roles: _ } = self.rights.taken().await;
        if grants >= limits.grants || taken.saturating_add(bytes) > limits.bytes {
            let error = refused::too_many(format!(
                "The store takes up to {} grants of {} bytes in all, the limits of this server. Revoke what is not needed.",
                limits.grants, limits.bytes
            ));
            return Some(Full { principal: None, error });
        }
        None
    }
}
