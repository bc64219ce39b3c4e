//! Grants and roles that callers make and take away. Each change is one commit with the record of the last changes, so
//! that changes follow one another: limits and rights are judged by what there is at that moment.

use super::follow::CaughtUp;
use super::permit::Permit;
use super::refused;
use super::rights::{Mode, Rights};
use super::sees::{is_whole, is_within, sees};
use super::sources::record_of;
use super::target::{AllVaults, Target};
use crate::domain::access::{
    Grant, GrantInput, Held, Made, MayGrant, NamePattern, Role, RoleSource, Roles, Source, VaultPattern, Violation,
    may_make, may_remove, may_set_roles,
};
use crate::domain::{DataAction, Error, Result, VaultName};
use crate::keys::{Caller, random_id};
use crate::service::audit::found;
use crate::service::context::Context;
use crate::service::records::{RoleRecord, key};
use crate::service::retry::retry;
use crate::store::{Batch, Delete, Put};
use std::sync::Arc;
use uuid::Uuid;

/// A grant to be made.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Chosen by the caller, so that a repeat is one; `None`: a random one.
    pub id: Option<Uuid>,
    pub input: GrantInput,
    vault: VaultPattern,
}

impl NewGrant {
    /// # Errors
    /// Where the vault is neither a name nor `*`.
    pub fn new(id: Option<Uuid>, input: GrantInput) -> Result<Self> {
        let vault = VaultPattern::parse(&input.vault).map_err(|error| Error::field("vault", error.message))?;
        Ok(Self { id, input, vault })
    }
}

impl Target for NewGrant {
    fn vault(&self) -> Option<&VaultName> {
        self.vault.vault()
    }

    fn concerns_every_vault(&self) -> bool {
        self.vault.concerns_every_vault()
    }
}

/// A grant by its id.
#[derive(Clone, Debug)]
pub struct GrantRef {
    pub id: String,
    /// Only if it reaches something of these names of a vault; to be taken away, only if it has no others there.
    pub within: Option<(VaultName, Vec<NamePattern>)>,
}

/// What it reaches is known when it was found.
impl Target for GrantRef {
    fn vault(&self) -> Option<&VaultName> {
        self.within.as_ref().map(|(vault, _)| vault)
    }
}

/// A role to be set.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// `None`: that of the role with this name, or a random one.
    pub id: Option<Uuid>,
    pub name: String,
    pub description: String,
    pub actions: Vec<String>,
}

/// A role by its name or its id.
#[derive(Clone, Debug)]
pub struct RoleRef(pub String);

/// Any role: for whoever asks before he reads which one.
#[derive(Clone, Copy, Debug)]
pub struct AnyRole;

/// A role counts everywhere.
macro_rules! everywhere {
    ($($of:ty),*) => {
        $(impl Target for $of {
            fn vault(&self) -> Option<&VaultName> {
                None
            }

            fn concerns_every_vault(&self) -> bool {
                true
            }

            fn needs_every_name(&self) -> bool {
                true
            }
        })*
    };
}
everywhere!(NewRole, RoleRef, AnyRole);

/// Makes, reads and takes away grants, and sets roles.
#[derive(Clone)]
pub struct GrantObjects {
    pub(super) context: Arc<Context>,
    pub(super) rights: Arc<Rights>,
}

impl GrantObjects {
    pub(in crate::service) fn new(context: Arc<Context>, rights: Arc<Rights>) -> Self {
        Self { context, rights }
    }

    /// Makes a grant. A repeat by the same caller with the same id answers the first one.
    ///
    /// # Errors
    /// `AccessDenied` and `RequestNotAllowed` where it goes beyond what the caller may grant, whatever the mode;
    /// `AlreadyExists` where another one has the id; `GrantLimitExceeded`.
    pub async fn create_grant(&self, wanted: Permit<NewGrant>) -> Result<Arc<Grant>> {
        let id = wanted.id.unwrap_or_else(random_id);
        let by = wanted.caller().principal();
        let _turn = self.rights.turn().await;
        retry!({
            let caught_up = self.catch_up().await?;
            let now = self.context.now();
            let made = Made { at: now, by: by.to_owned() };
            let grant = Grant::parse(&wanted.input, id.to_string(), Source::Store(made), &self.rights.roles())?;
            let may = |held: &Held| may_make(held.iter(), &grant, now);
            self.judge(wanted.caller(), DataAction::RoleAssignmentsWrite, &*wanted, may)?;
            let record = record_of(id, &grant);
            if let Some((_, known)) = self.context.load(&key::grant(id)).await? {
                let same = known.grant == record.grant && known.created_by == by;
                return match self.rights.grant(&id.to_string()).await.filter(|_| same) {
                    Some(grant) => Ok(Some(grant)),
                    None => Err(refused::exists("grant", &id.to_string())),
                };
            }
            if grant.is_over(now) {
                return Err(Error::field("expires", "That time is past."));
            }
            let put = self.context.records.put(&key::grant(id), None, &record, None)?;
            if let Some(full) = self.full(&grant, put.body.len()).await {
                self.make_room(caught_up, full).await?;
                return Ok(None);
            }
            found(|found| (found.vault, found.detail) = told(&grant));
            let committed = self.commit(caught_up, Some(put), Vec::new()).await?;
            Ok(committed.then(|| Arc::new(grant)))
        })
    }

    /// A grant, whatever its source.
    ///
    /// # Errors
    /// `GrantNotFound`, also where the caller may not know of it.
    pub async fn grant(&self, wanted: &Permit<GrantRef>) -> Result<Arc<Grant>> {
        let shown = |grant: &Arc<Grant>| {
            is_within(grant, wanted.within.as_ref()) && sees(&self.rights, wanted.caller(), grant, self.context.now())
        };
        self.rights.grant(&wanted.id).await.filter(shown).ok_or_else(|| refused::no_grant(&wanted.id))
    }

    /// Takes a grant away, and answers what it was.
    ///
    /// # Errors
    /// `GrantNotFound` as in [`GrantObjects::grant`]; `NotChangeable` for one that was not made through the API;
    /// `AccessDenied` and `RequestNotAllowed` where the caller might not have made it, whatever the mode.
    pub async fn delete_grant(&self, wanted: Permit<GrantRef>) -> Result<Arc<Grant>> {
        let _turn = self.rights.turn().await;
        retry!({
            let caught_up = self.catch_up().await?;
            let grant = self.grant(&wanted).await?;
            if !is_whole(&grant, wanted.within.as_ref()) {
                return Err(refused::no_grant(&wanted.id));
            }
            let now = self.context.now();
            let may = |held: &Held| may_remove(held.iter(), &grant, now);
            self.judge(wanted.caller(), DataAction::RoleAssignmentsDelete, &*wanted, may)?;
            let (Source::Store(_), Ok(id)) = (&grant.source, Uuid::try_parse(&grant.id)) else {
                return Err(refused::not_changeable("grant", &grant.id, grant.source == Source::Configuration));
            };
            let key = key::grant(id);
            found(|found| (found.vault, found.detail) = told(&grant));
            let Some(delete) = self.context.removal(&key).await? else { return Err(refused::no_grant(&grant.id)) };
            let committed = self.commit(caught_up, None, vec![delete]).await?;
            Ok(committed.then_some(grant))
        })
    }

    /// A role by its name or id.
    ///
    /// # Errors
    /// `RoleNotFound`.
    pub fn role(&self, name_or_id: &str, _: &Permit<AllVaults>) -> Result<Arc<Role>> {
        self.rights.roles().find(name_or_id).cloned().ok_or_else(|| refused::no_role(name_or_id))
    }

    /// The id of a role by its name or id, whoever asks: every caller may read the roles.
    pub fn id_of_role(&self, name_or_id: &str) -> Option<Uuid> {
        self.rights.roles().find(name_or_id).map(|role| role.id)
    }

    /// Makes a role, or changes the one that has its id or else its name: whoever holds it may do what it says then.
    ///
    /// # Errors
    /// `AccessDenied` where the caller may not grant every role everywhere, whatever the mode; `NotChangeable` for a
    /// role that every server has, or of the file; `GrantLimitExceeded`.
    pub async fn set_role(&self, wanted: Permit<NewRole>) -> Result<Arc<Role>> {
        let NewRole { id, name, description, actions } = &*wanted;
        let fresh = random_id();
        let _turn = self.rights.turn().await;
        retry!({
            let caught_up = self.catch_up().await?;
            self.judge_roles(wanted.caller(), DataAction::RoleDefinitionsWrite, &*wanted)?;
            let roles = Arc::clone(&self.rights.roles());
            let known = match id {
                Some(id) => roles.get(*id),
                None => roles.iter().find(|role| role.name.eq_ignore_ascii_case(name.trim())),
            };
            if let Some(known) = known.filter(|known| !matches!(known.source, RoleSource::Store(_))) {
                return Err(refused::not_changeable("role", &known.name, known.source == RoleSource::BuiltIn));
            }
            let id = id.or(known.map(|known| known.id)).unwrap_or(fresh);
            let (changed, changed_by) = (self.context.now(), wanted.caller().principal().to_owned());
            let made = RoleSource::Store(Made { at: changed, by: changed_by.clone() });
            let role = Role::custom(id, name, description, actions.clone(), made)?;
            // Whether its name is free.
            Roles::clone(&roles).set(role.clone())?;
            let Role { name, description, patterns: actions, .. } = role.clone();
            found(|found| found.detail = format!("{name}: {}", actions.join(", ")));
            let record = RoleRecord { id, name, description, actions, changed, changed_by };
            let key = key::role(id);
            let expected = self.context.store.get(key.as_str()).await?.map(|record| record.revision);
            let most = self.context.options.access.limits.roles;
            if expected.is_none() && self.rights.taken().await.roles >= most {
                return Err(refused::too_many(format!(
                    "There are {most} custom roles already, the limit of this server."
                )));
            }
            let put = self.context.records.put(&key, expected, &record, None)?;
            let committed = self.commit(caught_up, Some(put), Vec::new()).await?;
            Ok(committed.then(|| Arc::new(role)))
        })
    }

    /// Deletes a role, and answers what it was.
    ///
    /// # Errors
    /// As [`GrantObjects::set_role`]; `RoleNotFound`; `RoleInUse` while there are grants of it that are not over.
    pub async fn delete_role(&self, wanted: Permit<RoleRef>) -> Result<Arc<Role>> {
        let _turn = self.rights.turn().await;
        retry!({
            let caught_up = self.catch_up().await?;
            self.judge_roles(wanted.caller(), DataAction::RoleDefinitionsDelete, &*wanted)?;
            let role = self.rights.roles().find(&wanted.0).cloned().ok_or_else(|| refused::no_role(&wanted.0))?;
            if !matches!(role.source, RoleSource::Store(_)) {
                return Err(refused::not_changeable("role", &role.name, role.source == RoleSource::BuiltIn));
            }
            let now = self.context.now();
            let holds = |grant: &&Arc<Grant>| grant.role.id == role.id && !grant.is_over(now);
            let grants = self.rights.table().grants().filter(holds).count();
            if grants > 0 {
                return Err(refused::in_use(&role, grants));
            }
            let key = key::role(role.id);
            found(|found| found.detail = format!("{}: {}", role.name, role.patterns.join(", ")));
            let Some(delete) = self.context.removal(&key).await? else { return Err(refused::no_role(&wanted.0)) };
            let committed = self.commit(caught_up, None, vec![delete]).await?;
            Ok(committed.then_some(role))
        })
    }

    /// Whether the caller may change rights, which is refused whatever the mode ([`DataAction::changes_rights`]). A
    /// development server checks nobody: its data folder is for nothing else.
    fn judge(
        &self,
        caller: &Caller,
        action: DataAction,
        target: &impl Target,
        may: impl FnOnce(&Held) -> Result<(), Option<Violation>>,
    ) -> Result<()> {
        if self.rights.mode() == Mode::Open {
            return Ok(());
        }
        let refusal = match may(&self.rights.held(caller).unwrap_or_default()) {
            Ok(()) => return Ok(()),
            Err(None) => refused::denied(caller.principal(), action, target),
            Err(Some(excess)) => refused::beyond(caller.principal(), action, &excess),
        };
        self.rights.count(true);
        Err(refusal)
    }

    fn judge_roles(&self, caller: &Caller, action: DataAction, target: &impl Target) -> Result<()> {
        let now = self.context.now();
        let may = |held: &Held| if may_set_roles(held.iter(), action, now) { Ok(()) } else { Err(None) };
        self.judge(caller, action, target, may)
    }

    /// Commits a change after which this process knows it; `false` where another change came first.
    pub(super) async fn commit(&self, caught_up: CaughtUp, put: Option<Put>, deletes: Vec<Delete>) -> Result<bool> {
        let CaughtUp { record, changes } = caught_up;
        let changed = put.iter().map(|put| &put.key).chain(deletes.iter().map(|delete| &delete.key));
        let next = changed.fold(changes?, |changes, key| changes.and(key, random_id()));
        let records = &self.context.records;
        let last = records.put(&key::rights_changes(), record.map(|record| record.revision), &next, None)?;
        let puts = put.into_iter().chain([last]).collect();
        let batch = Batch { puts, deletes, ..Batch::default() };
        if self.context.try_commit(batch).await?.is_none() {
            return Ok(false);
        }
        self.catch_up().await?;
        Ok(true)
    }
}

/// The vault of a grant, and what it gives to whom, for the audit ledger: without its note, and of its rules only that
/// there are some.
fn told(grant: &Grant) -> (String, String) {
    let Grant { id: _, source: _, principal, role, scope, may_grant, expires, note: _ } = grant;
    let names: Vec<String> = scope.names.iter().map(ToString::to_string).collect();
    let mut text = format!("{principal}: {} on {}/{}", role.name, scope.vault, names.join(","));
    if scope.rules.is_some() {
        text.push_str(", under rules");
    }
    if *may_grant != MayGrant::These(Vec::new()) {
        text.push_str(", may be passed on");
    }
    if let Some(expires) = expires {
        text.push_str(&format!(", until {}", expires.date()));
    }
    (scope.vault.to_string(), text)
}
