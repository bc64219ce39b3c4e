//! The grants that are in force in this process: a table that is replaced as a whole, so that a check waits for nobody.

use super::caller_limits::CallerLimits;
use super::sources::{Change, Sources, Stored, Taken};
use crate::domain::access::{AccessFile, Grant, Held, PrincipalName, Roles, Table, VaultRules};
use crate::domain::{Error, Result, Timestamp};
use crate::keys::Caller;
use crate::store::Revision;
use arc_swap::{ArcSwap, Guard};
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// How often the same request is reported, and how many are remembered for that; more are only counted.
const REPORT_EVERY: Duration = Duration::from_secs(60);
const MAX_REPORTED: usize = 10_000;

/// More grants than this are put together on a thread of their own; fewer take less time than to hand them over.
const AT_ONCE: usize = 1_000;

/// Whether callers are checked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Everybody may do everything: development.
    #[default]
    Open,
    /// What no grant allows is refused.
    Enforce,
    /// What no grant allows is done all the same, and written down.
    Report,
}

/// What the configuration says of rights.
#[derive(Clone, Debug, Default)]
pub struct AccessOptions {
    pub mode: Mode,
    /// They may do everything, and no call can take it from them.
    pub administrators: Vec<PrincipalName>,
    pub file: AccessFile,
    pub limits: GrantLimits,
    /// How often one principal may ask.
    pub per_caller: CallerLimits,
}

/// How much callers may put into the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GrantLimits {
    pub grants: usize,
    /// Of all grants.
    pub bytes: usize,
    pub roles: usize,
}

impl Default for GrantLimits {
    fn default() -> Self {
        Self { grants: 100_000, bytes: 64 * 1024 * 1024, roles: 500 }
    }
}

/// How far this process knows the grants and roles of the store.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether they were read.
    pub(super) is_read: bool,
    /// Of the record of the last changes; `None` where there is none.
    pub(super) revision: Option<Revision>,
    /// Which record it was, and how many changes there were.
    pub(super) history: Uuid,
    pub(super) number: u64,
}

/// What puts the reads and changes of this process in order.
#[derive(Debug, Default)]
struct Following {
    /// Held while the store is read, so that an older state does not replace a newer one.
    known: tokio::sync::Mutex<Known>,
    /// Held by a change: of many at once in this process none loses to the others.
    turn: tokio::sync::Mutex<()>,
}

/// What callers may do now.
pub(in crate::service) struct Rights {
    mode: Mode,
    table: ArcSwap<Table>,
    roles: ArcSwap<Roles>,
    vault_rules: ArcSwap<VaultRules>,
    /// Held from a change until it is in force, so that an older table does not replace a newer one. Nobody blocks a
    /// thread for it: with many grants that takes a while.
    sources: Arc<tokio::sync::Mutex<Sources>>,
    following: Following,
    /// Counts the changes of the table.
    number: watch::Sender<u64>,
    denied: AtomicU64,
    would_deny: AtomicU64,
    /// What would have been refused lately, by a hash, and when it was written down.
    reported: Mutex<HashMap<u64, Timestamp>>,
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Rights {
    /// What the configuration and its file say; the store is read later.
    ///
    /// # Errors
    /// Where roles of the file have the same name.
    pub(in crate::service) fn new(options: AccessOptions) -> Result<Self> {
        let AccessOptions { mode, administrators, file, limits: _, per_caller: _ } = options;
        let administrator = |(number, name)| Arc::new(Grant::of_administrator(number, name));
        let administrators = (1..).zip(administrators).map(administrator).collect();
        let stored = Stored::default();
        let roles = Sources::roles(&file, &stored)?;
        let sources = Sources { administrators, file, stored };
        Ok(Self {
            mode,
            table: ArcSwap::from_pointee(sources.table(&roles)),
            roles: ArcSwap::from_pointee(roles),
            vault_rules: ArcSwap::from_pointee(sources.file.vault_rules.clone()),
            sources: Arc::new(tokio::sync::Mutex::new(sources)),
            following: Following::default(),
            number: watch::Sender::new(0),
            denied: AtomicU64::new(0),
            would_deny: AtomicU64::new(0),
            reported: Mutex::default(),
        })
    }

    pub(in crate::service) fn mode(&self) -> Mode {
        self.mode
    }

    /// The grants as they are now.
    pub(in crate::service) fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// What a caller holds by all of its names; `None` if it is nothing.
    pub(in crate::service) fn held(&self, caller: &Caller) -> Option<Held> {
        self.table.load().held(caller.names())
    }

    pub(super) fn roles(&self) -> Guard<Arc<Roles>> {
        self.roles.load()
    }

    /// The rules of vaults as they are now.
    pub(in crate::service) fn vault_rules(&self) -> Arc<VaultRules> {
        self.vault_rules.load_full()
    }

    /// The number of the table, which grows with each change of it.
    pub(in crate::service) fn number(&self) -> watch::Receiver<u64> {
        self.number.subscribe()
    }

    /// When the next grant is over by itself.
    pub(in crate::service) fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.table.load().next_end(now)
    }

    /// Tells everybody who looks at the number that something changed: of the table, or because a grant is over.
    pub(in crate::service) fn touch(&self) {
        self.number.send_modify(|number| *number += 1);
    }

    /// Puts other grants and roles in the place of those of the file. It blocks its thread, which may not be one of the
    /// async runtime.
    ///
    /// # Errors
    /// Where its roles have the same name. Everything stays as it was then.
    pub(in crate::service) fn replace_file(&self, file: AccessFile) -> Result<()> {
        let mut sources = self.sources.blocking_lock();
        let roles = Sources::roles(&file, &sources.stored)?;
        sources.file = file;
        self.vault_rules.store(Arc::new(sources.file.vault_rules.clone()));
        self.put_in_force(sources.table(&roles), Some(roles));
        Ok(())
    }

    /// Puts all grants and roles of the store in the place of those that were known.
    pub(super) async fn replace_stored(self: &Arc<Self>, stored: Stored) -> Result<()> {
        let more = stored.grants.len();
        let replace = move |rights: &Self, sources: &mut Sources| {
            let roles = Sources::roles(&sources.file, &stored)?;
            sources.stored = stored;
            rights.put_in_force(sources.table(&roles), Some(roles));
            Ok(())
        };
        self.change(more, replace).await
    }

    /// Takes in what changed in the store.
    pub(super) async fn change_stored(self: &Arc<Self>, changes: Vec<Change>) -> Result<()> {
        let take_in = move |rights: &Self, sources: &mut Sources| {
            let (table, roles) = sources.change(&rights.table.load(), &rights.roles.load(), changes)?;
            rights.put_in_force(table, roles);
            Ok(())
        };
        self.change(0, take_in).await
    }

    /// Changes the sources; `more` grants come to those that there are. It is finished also where nobody waits for it
    /// any longer.
    async fn change(
        self: &Arc<Self>,
        more: usize,
        change: impl FnOnce(&Self, &mut Sources) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let mut sources = Arc::clone(&self.sources).lock_owned().await;
        if sources.count() + more <= AT_ONCE {
            return change(self, &mut sources);
        }
        let rights = Arc::clone(self);
        match spawn_blocking(move || change(&rights, &mut sources)).await {
            Ok(changed) => changed,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only where the runtime shuts down.
                Err(_) => Err(Error::internal()),
            },
        }
    }

    /// `None`: the roles are the same. Called while the sources are locked, so that an older table does not replace a
    /// newer one.
    fn put_in_force(&self, table: Table, roles: Option<Roles>) {
        self.table.store(Arc::new(table));
        if let Some(roles) = roles {
            self.roles.store(Arc::new(roles));
        }
        self.touch();
    }

    /// A grant by its id, in any case of letters.
    pub(super) async fn grant(&self, id: &str) -> Option<Arc<Grant>> {
        let sources = self.sources.lock().await;
        let written = sources.administrators.iter().chain(&sources.file.grants);
        if let Some(grant) = written.into_iter().find(|grant| grant.id.eq_ignore_ascii_case(id)) {
            return Some(grant.clone());
        }
        let stored = sources.stored.grants.get(&Uuid::try_parse(id).ok()?)?;
        let (table, id) = (self.table.load(), stored.value.id.to_string());
        table.of(&stored.value.grant.principal).iter().find(|grant| grant.id == id).cloned()
    }

    /// How much there is of the store.
    pub(super) async fn taken(&self) -> Taken {
        self.sources.lock().await.stored.taken()
    }

    pub(super) fn known(&self) -> &tokio::sync::Mutex<Known> {
        &self.following.known
    }

    /// The turn of a change of this process.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.following.turn.lock().await
    }

    /// Counts a request that no grant allowed.
    pub(super) fn count(&self, refused: bool) {
        let counter = if refused { &self.denied } else { &self.would_deny };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether nothing like it was reported within the last minute: a client that polls would fill the log.
    pub(super) fn is_new(&self, what: &impl Hash, now: Timestamp) -> bool {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = hasher.finish();
        if reported.get(&hash).is_some_and(|at| now < at.plus(REPORT_EVERY)) {
            return false;
        }
        if reported.len() >= MAX_REPORTED {
            reported.retain(|_, at| now < at.plus(REPORT_EVERY));
        }
        if reported.len() >= MAX_REPORTED {
            return false;
        }
        reported.insert(hash, now);
        true
    }

    /// How many requests were refused, and how many would have been.
    pub(in crate::service) fn counts(&self) -> (u64, u64) {
        (self.denied.load(Ordering::Relaxed), self.would_deny.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
#[path = "rights_tests.rs"]
mod tests;
