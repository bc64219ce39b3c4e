//! The caller that key work is done for, and its deadline.

use crate::domain::access::{Groups, PrincipalName};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Who a piece of work is done for. The time of the key threads is shared out between owners.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Owner {
    /// The server itself: steps of pending operations.
    Server,
    /// The principal of a request.
    Principal(Arc<str>),
}

/// The caller of a use case, as far as work with keys is concerned.
#[derive(Clone)]
pub struct Caller {
    owner: Owner,
    groups: Groups,
    deadline: Option<Instant>,
}

impl Caller {
    /// The principal of a request, and when the caller stops waiting for the answer.
    pub fn new(principal: impl Into<Arc<str>>, deadline: Option<Instant>) -> Self {
        Self { owner: Owner::Principal(principal.into()), groups: Groups::default(), deadline }
    }

    /// The groups that the credentials of the request name.
    #[must_use]
    pub fn in_groups(self, groups: Groups) -> Self {
        Self { groups, ..self }
    }

    /// Work in the background, which nobody waits for. It has a class of its own: it gets as much time as all
    /// principals together, and the bounds of the queue do not apply to it, since the number of steps that run at once
    /// is bounded already.
    pub fn server() -> Self {
        Self { owner: Owner::Server, groups: Groups::default(), deadline: None }
    }

    /// The principal; empty for the server itself.
    pub fn principal(&self) -> &str {
        match &self.owner {
            Owner::Server => "",
            Owner::Principal(name) => name,
        }
    }

    /// Every name by which it is granted something: the principal, and the groups that it is in.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.principal()).chain(self.groups.iter().map(PrincipalName::as_str))
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.owner).finish()
    }
}
