//! Who may know of a grant: its holder, and who may read grants where it reaches.

use super::rights::{Mode, Rights};
use crate::domain::access::{Grant, Held, NamePattern};
use crate::domain::{DataAction, Timestamp, VaultName};
use crate::keys::Caller;
use std::collections::HashSet;
use std::sync::Arc;

/// Whether the caller may know of this grant.
pub(super) fn sees(rights: &Rights, caller: &Caller, grant: &Grant, now: Timestamp) -> bool {
    Reader::new(rights, caller, now).sees(grant)
}

/// A caller who looks at many grants.
pub(super) struct Reader<'a> {
    /// Of which there may be hundreds: one for each group.
    names: HashSet<&'a str>,
    is_open: bool,
    /// Of what it holds what lets it read others.
    reading: Vec<Arc<Grant>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rights: &Rights, caller: &'a Caller, now: Timestamp) -> Self {
        let held: Held = rights.held(caller).unwrap_or_default();
        let reads = |own: &&Arc<Grant>| own.role.actions.has(DataAction::RoleAssignmentsRead) && !own.is_over(now);
        let reading = held.iter().filter(reads).cloned().collect();
        Self { names: caller.names().collect(), is_open: rights.mode() == Mode::Open, reading }
    }

    pub(super) fn sees(&self, grant: &Grant) -> bool {
        self.is_open
            || self.names.contains(grant.principal.as_str())
            || self.reading.iter().any(|own| reaches(own, grant))
    }
}

/// Whether one grant reaches everything that the other one does.
fn reaches(own: &Grant, grant: &Grant) -> bool {
    let (scope, other) = (&own.scope, &grant.scope);
    scope.vault.covers(&other.vault) && NamePattern::uncovered(&scope.names, &other.names).is_none()
}

/// Whether a grant reaches something of these names of a vault; all of them, where none are given.
pub(super) fn is_within(grant: &Grant, within: Option<&(VaultName, Vec<NamePattern>)>) -> bool {
    let Some((vault, names)) = within else { return true };
    let meets = |own: &NamePattern| names.iter().any(|name| name.covers(own) || own.covers(name));
    grant.scope.vault.matches(vault) && grant.scope.names.iter().any(meets)
}

/// Whether a grant has no other names than these of the vault.
pub(super) fn is_whole(grant: &Grant, within: Option<&(VaultName, Vec<NamePattern>)>) -> bool {
    let Some((_, names)) = within else { return true };
    NamePattern::uncovered(names, &grant.scope.names).is_none()
}
