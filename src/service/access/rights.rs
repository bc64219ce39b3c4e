//! The grants that are in force in this process: a table that is replaced as a whole, so that a check waits for nobody.

use crate::domain::access::{AccessFile, Grant, PrincipalName, Roles, Table, VaultRules};
use crate::domain::{Result, Timestamp};
use arc_swap::{ArcSwap, Guard};
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often the same request is reported, and how many are remembered for that; more are only counted.
const REPORT_EVERY: Duration = Duration::from_secs(60);
const MAX_REPORTED: usize = 10_000;

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
}

/// Where the grants in force come from.
#[derive(Debug)]
struct Sources {
    administrators: Vec<Arc<Grant>>,
    file: AccessFile,
}

impl Sources {
    fn roles(&self) -> Result<Roles> {
        let mut roles = Roles::default();
        for role in &self.file.roles {
            roles.set(role.clone())?;
        }
        Ok(roles)
    }

    fn table(&self) -> Result<Table> {
        Table::new(self.administrators.iter().chain(&self.file.grants).cloned())
    }
}

/// What callers may do now.
pub(in crate::service) struct Rights {
    mode: Mode,
    table: ArcSwap<Table>,
    roles: ArcSwap<Roles>,
    vault_rules: ArcSwap<VaultRules>,
    sources: Mutex<Sources>,
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
    /// # Errors
    /// Where there are too many grants.
    pub(in crate::service) fn new(options: AccessOptions) -> Result<Self> {
        let AccessOptions { mode, administrators, file } = options;
        let administrator = |(number, name)| Arc::new(Grant::of_administrator(number, name));
        let administrators = (1..).zip(administrators).map(administrator).collect();
        let sources = Sources { administrators, file };
        Ok(Self {
            mode,
            table: ArcSwap::from_pointee(sources.table()?),
            roles: ArcSwap::from_pointee(sources.roles()?),
            vault_rules: ArcSwap::from_pointee(sources.file.vault_rules.clone()),
            sources: Mutex::new(sources),
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

    /// Puts other grants and roles in the place of those of the file.
    ///
    /// # Errors
    /// Where there are too many grants. Everything stays as it was then.
    pub(in crate::service) fn replace_file(&self, file: AccessFile) -> Result<()> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Sources { administrators: sources.administrators.clone(), file };
        let (table, roles) = (fresh.table()?, fresh.roles()?);
        self.vault_rules.store(Arc::new(fresh.file.vault_rules.clone()));
        *sources = fresh;
        self.table.store(Arc::new(table));
        self.roles.store(Arc::new(roles));
        self.touch();
        Ok(())
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
