//! What the caller of a request may ask for: the issuers and rules of his grants, of which one has to allow all of it, and
//! the rules of the vault, which hold for everybody.

use super::permit::{Granted, Right};
use super::refused;
use super::rights::{Mode, Rights};
use super::target::Place;
use crate::domain::access::{Asked, Requested, VaultRules, Violation, decide};
use crate::domain::{CertificateName, DataAction, Error, Result, Timestamp, VaultName};
use crate::keys::Caller;
use std::sync::{Arc, OnceLock};

/// The terms of a permit. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::service) struct Terms {
    right: Right,
    vault_rules: Arc<VaultRules>,
    caller: Caller,
    /// When the permit was given.
    at: Timestamp,
    rights: Option<Arc<Rights>>,
}

impl Terms {
    pub(super) fn new(right: Right, rights: &Arc<Rights>, caller: &Caller, at: Timestamp) -> Self {
        let rights = Some(rights.clone()).filter(|rights| rights.mode() != Mode::Open);
        let vault_rules = rights.as_ref().map_or_else(no_rules, |rights| rights.vault_rules());
        Self { right, vault_rules, caller: caller.clone(), at, rights }
    }

    /// Of the server itself, whose work is checked where it is done.
    pub(super) fn unlimited() -> Self {
        Self {
            right: Right::Everything,
            vault_rules: no_rules(),
            caller: Caller::server(),
            at: Timestamp(0),
            rights: None,
        }
    }

    pub(in crate::service) fn right(&self) -> &Right {
        &self.right
    }

    /// Whether there is anything to check.
    pub(in crate::service) fn are_limited(&self) -> bool {
        self.rights.is_some()
    }

    /// Whether what is not allowed is refused, and not only written down.
    pub(in crate::service) fn refuse(&self) -> bool {
        self.rights.as_ref().is_some_and(|rights| rights.mode() == Mode::Enforce)
    }

    /// Whether the caller may ask for this under this name.
    ///
    /// # Errors
    /// `RequestNotAllowed` with the member and the value; `AccessDenied` where no grant reaches the name.
    pub(in crate::service) fn check(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        requested: &Requested<'_>,
    ) -> Result<()> {
        let allowed = match &self.right {
            Right::Everything | Right::WouldDeny { .. } => Ok(()),
            Right::Grants(granted) => self.by_grants(granted, vault, name, requested),
        };
        let by_vault = || match self.vault_rules.violation(vault, requested) {
            Some(violation) => Err(refused::by_rules(vault, name, &violation, "the rules of the vault")),
            None => Ok(()),
        };
        self.or_report(vault, name.as_str(), allowed.and_then(|()| by_vault()))
    }

    fn by_grants(
        &self,
        granted: &Granted,
        vault: &VaultName,
        name: &CertificateName,
        requested: &Requested<'_>,
    ) -> Result<()> {
        let mut problem: Option<(Violation, &str)> = None;
        let grants = granted.held.iter().filter(|grant| grant.allows(granted.action, vault, granted.at));
        for grant in grants.filter(|grant| grant.scope.names.iter().any(|own| own.matches(name.as_str()))) {
            match grant.scope.violation(requested) {
                None => return Ok(()),
                Some(violation) => {
                    problem.get_or_insert((violation, grant.note.as_str()));
                }
            }
        }
        Err(match problem {
            Some((violation, note)) => {
                let by = if note.is_empty() { "the grant".to_owned() } else { format!("the grant ({note})") };
                refused::by_rules(vault, name, &violation, &by)
            }
            None => refused::denied(self.caller.principal(), granted.action, &(vault.clone(), name.clone())),
        })
    }

    /// Whether the caller may do what the permit is for with another name of the vault, too.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(in crate::service) fn check_another(&self, vault: &VaultName, name: &str) -> Result<()> {
        let Right::Grants(granted) = &self.right else { return Ok(()) };
        self.check_action(granted, granted.action, vault, name)
    }

    /// Whether the caller may bring a backup of this name here, from another vault or one that it does not say.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(in crate::service) fn check_move(&self, vault: &VaultName, name: &CertificateName) -> Result<()> {
        let Right::Grants(granted) = &self.right else { return Ok(()) };
        self.check_action(granted, DataAction::BackupsMove, vault, name.as_str())
    }

    fn check_action(&self, granted: &Granted, action: DataAction, vault: &VaultName, name: &str) -> Result<()> {
        let asked = Asked::of(action, vault, Some(name));
        let allowed = match decide(granted.held.iter(), &asked, granted.at) {
            Some(_) => Ok(()),
            None => {
                let place = Place { vault, name: Some(name) };
                Err(refused::denied(self.caller.principal(), action, &place))
            }
        };
        self.or_report(vault, name, allowed)
    }

    /// Where refusals are only written down, the request goes on. The same is written down once a minute at most.
    fn or_report(&self, vault: &VaultName, name: &str, allowed: Result<()>) -> Result<()> {
        let (Err(error), Some(rights)) = (&allowed, &self.rights) else { return allowed };
        let refuses = self.refuse();
        rights.count(refuses);
        if refuses {
            return allowed;
        }
        let Error { message, .. } = error;
        let (principal, vault) = (self.caller.principal(), vault.as_str());
        if rights.is_new(&(principal, vault, name, message), self.at) {
            tracing::info!(
                target: "certmint::audit",
                principal, vault, name, decision = "would_deny", message, "A rule would refuse this"
            );
        }
        Ok(())
    }
}

fn no_rules() -> Arc<VaultRules> {
    static NONE: OnceLock<Arc<VaultRules>> = OnceLock::new();
    NONE.get_or_init(Arc::default).clone()
}
