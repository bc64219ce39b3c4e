//! The decision point. Every use case that touches a vault takes a [`Permit`] for what it is asked to do, and only
//! [`Access::check`] makes one for a caller: a handler that did not ask does not compile.

use super::caller_limits::{CallerLimits, CallerRates};
use super::refused;
use super::rights::{Mode, Rights};
use super::target::Target;
use super::terms::Terms;
use crate::clock::Clock;
use crate::domain::access::{Asked, Grant, Held, NameAsked, VaultAsked, Visible, decide};
use crate::domain::data_action::RequestKind;
use crate::domain::{DataAction, Result, Timestamp, VaultName};
use crate::keys::Caller;
use crate::service::records::{Prefix, Ranges};
use crate::service::vaults::known::Vaults;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A `T` that its caller may ask for. Made by [`Access::check`], and by the service itself for its own work.
#[derive(Debug)]
pub struct Permit<T> {
    target: T,
    caller: Caller,
    terms: Terms,
}

/// What a permit rests on.
#[derive(Clone, Debug)]
pub(in crate::service) enum Right {
    /// The server itself, and servers that check nobody.
    Everything,
    /// Nothing: the request is let through, because refusals are only written down.
    WouldDeny {
        is_new: bool,
    },
    Grants(Granted),
}

/// The grants that a permit rests on, as they were then.
#[derive(Clone, Debug)]
pub(in crate::service) struct Granted {
    pub(super) held: Held,
    pub(super) action: DataAction,
    pub(super) at: Timestamp,
    /// The one that decided.
    decisive: Arc<Grant>,
    /// Whether lists and streams show only what the grants reach; not where refusals are only written down.
    filters: bool,
}

impl Right {
    /// What of a list or stream may be shown.
    pub(in crate::service) fn visible(&self) -> Visible {
        match self {
            Self::Everything | Self::WouldDeny { .. } => Visible::everything(),
            Self::Grants(granted) => granted.visible(),
        }
    }

    /// The certificates that the caller may read, whatever he asks for now.
    pub(in crate::service) fn readable_certificates(&self) -> Visible {
        self.names_for(DataAction::CertificatesRead)
    }

    /// The names for which the caller may do something else than what he asks for now.
    pub(in crate::service) fn names_for(&self, action: DataAction) -> Visible {
        match self {
            Self::Everything | Self::WouldDeny { .. } => Visible::everything(),
            Self::Grants(granted) => granted.visible_by(action),
        }
    }
}

impl Granted {
    pub(in crate::service) fn visible(&self) -> Visible {
        self.visible_by(self.action)
    }

    fn visible_by(&self, action: DataAction) -> Visible {
        if self.filters { Visible::of(self.held.iter(), action, self.at) } else { Visible::everything() }
    }

    /// What may be shown now, by the grants that the caller has now.
    pub(in crate::service) fn refreshed(&self, held: Option<&Held>, now: Timestamp) -> Visible {
        match held {
            _ if !self.filters => Visible::everything(),
            Some(held) => Visible::of(held.iter(), self.action, now),
            None => Visible::default(),
        }
    }
}

/// How a request was decided, for the audit log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// Nobody is checked.
    Open,
    /// By the grant of this id.
    Allowed(&'a str),
    /// It would be refused, if refusals were not only written down.
    WouldDeny {
        /// Whether there was none like it within the last minute.
        is_new: bool,
    },
}

impl<T> Permit<T> {
    /// For the background work of the server, which acts for nobody.
    pub(in crate::service) fn service(target: T) -> Self {
        Self { target, caller: Caller::server(), terms: Terms::unlimited() }
    }

    /// On whose behalf keys work, and until when the result is of use.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// How it came about.
    pub fn decision(&self) -> Decision<'_> {
        match self.right() {
            Right::Everything => Decision::Open,
            Right::WouldDeny { is_new } => Decision::WouldDeny { is_new: *is_new },
            Right::Grants(Granted { decisive, .. }) => Decision::Allowed(&decisive.id),
        }
    }

    /// Of the records of a vault those whose names its caller may see.
    pub(in crate::service) fn shown<R>(&self, vault: &VaultName, prefix: Prefix<R>) -> Ranges<R> {
        let visible = self.right().visible();
        if visible.is_everything() { Ranges::whole(prefix) } else { Ranges::of(prefix, &visible.names_in(vault)) }
    }

    /// What it rests on.
    pub(in crate::service) fn right(&self) -> &Right {
        self.terms.right()
    }

    /// What its caller may ask for.
    pub(in crate::service) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The same request as another use case takes it.
    pub(in crate::service) fn map<U>(self, request: impl FnOnce(T) -> U) -> Permit<U> {
        let Self { target, caller, terms } = self;
        Permit { target: request(target), caller, terms }
    }

    /// What was permitted, for use cases that take their request apart.
    pub(in crate::service) fn into_parts(self) -> (T, Caller) {
        let Self { target, caller, terms: _ } = self;
        (target, caller)
    }
}

impl<T> Deref for Permit<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.target
    }
}

/// Decides what callers may do. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    vaults: Arc<Vaults>,
    rights: Arc<Rights>,
    clock: Arc<dyn Clock>,
    rates: Arc<CallerRates>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("rights", &self.rights).finish_non_exhaustive()
    }
}

impl Access {
    pub(in crate::service) fn new(
        vaults: Arc<Vaults>,
        rights: Arc<Rights>,
        clock: Arc<dyn Clock>,
        limits: CallerLimits,
    ) -> Self {
        Self { vaults, rights, clock, rates: Arc::new(CallerRates::new(limits)) }
    }

    /// How many requests were refused because their principals ask too often, by the word of their kind.
    pub fn limited(&self) -> [(&'static str, u64); RequestKind::ALL.len()] {
        self.rates.refused()
    }

    pub(in crate::service) fn rights(&self) -> &Arc<Rights> {
        &self.rights
    }

    /// The vault of this name.
    ///
    /// # Errors
    /// `VaultNotFound`; and where the store cannot say whether it is there.
    pub async fn vault(&self, name: &VaultName) -> Result<VaultName> {
        self.vaults.require(name).await.map(|()| name.clone())
    }

    /// Whether the caller may do this: one of his grants has to allow all of it.
    ///
    /// # Errors
    /// As [`Access::vault`]; `AccessDenied` where no grant allows it; `Throttled` where he asks too often.
    pub async fn check<T: Target>(&self, caller: &Caller, action: DataAction, target: T) -> Result<Permit<T>> {
        if let Some(vault) = target.vault().filter(|_| !target.concerns_every_vault()) {
            self.vaults.require(vault).await?;
        }
        let right = self.right(caller, action, &target)?;
        self.rates.take(caller.principal(), action)?;
        let terms = Terms::new(right, &self.rights, caller, self.clock.now());
        Ok(Permit { target, caller: caller.clone(), terms })
    }

    /// As [`Access::check`], before a request is read whose vault is there.
    ///
    /// # Errors
    /// `AccessDenied` where no grant allows it.
    pub fn precheck(&self, caller: &Caller, action: DataAction, target: &impl Target) -> Result<()> {
        // Where nothing is refused the permit says what would be, once.
        if self.only_reports(action) { Ok(()) } else { self.right(caller, action, target).map(|_| ()) }
    }

    /// Every decision on callers is made here. Makes no text where it allows.
    fn right(&self, caller: &Caller, action: DataAction, target: &impl Target) -> Result<Right> {
        // What everybody may know of himself.
        if self.rights.mode() == Mode::Open || action == DataAction::AccessSelf {
            return Ok(Right::Everything);
        }
        let at = self.clock.now();
        let principal = caller.principal();
        match self.granted(caller, action, target, at) {
            Some(granted) => Ok(Right::Grants(granted)),
            None if self.only_reports(action) => {
                self.rights.count(false);
                let vault = target.vault().map_or("", VaultName::as_str);
                let is_new = self.rights.is_new(&(principal, action, vault, target.name()), at);
                Ok(Right::WouldDeny { is_new })
            }
            None => {
                self.rights.count(true);
                Err(refused::denied(principal, action, target))
            }
        }
    }

    /// Whether it is done all the same, and written down.
    fn only_reports(&self, action: DataAction) -> bool {
        self.rights.mode() == Mode::Report && !action.changes_rights()
    }

    fn granted(&self, caller: &Caller, action: DataAction, target: &impl Target, at: Timestamp) -> Option<Granted> {
        let held = self.rights.held(caller)?;
        let asked = asked(action, target);
        let decisive = decide(held.iter(), &asked, at)?.clone();
        for name in target.names() {
            decide(held.iter(), &Asked { name: NameAsked::One(name.as_str()), ..asked }, at)?;
        }
        let filters = self.rights.mode() == Mode::Enforce;
        Some(Granted { held, action, at, decisive, filters })
    }
}

/// What is asked of the grants.
fn asked(action: DataAction, target: &impl Target) -> Asked<'_> {
    let vault = match target.vault() {
        _ if target.concerns_every_vault() => VaultAsked::Every,
        Some(vault) => VaultAsked::One(vault),
        None => VaultAsked::Any,
    };
    let name = match target.name() {
        Some(name) if target.shows_what_was_signed() => NameAsked::Managed(name),
        Some(name) => NameAsked::One(name),
        // What the CAs of a vault signed is the whole vault's, too; everything else without a name is a list, or finds
        // its name later.
        None if Asked::concerns_vault(action) || target.needs_every_name() => NameAsked::Every,
        None => NameAsked::Any,
    };
    Asked { action, vault, name }
}
