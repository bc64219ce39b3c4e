//! Who may do what: the decision on each request, and the grants that it rests on.

mod caller_limits;
mod follow;
mod grants;
mod limits;
mod permit;
mod questions;
mod refused;
mod rights;
mod sees;
mod sources;
mod target;
mod terms;

pub use caller_limits::CallerLimits;
pub use grants::{AnyRole, GrantObjects, GrantRef, NewGrant, NewRole, RoleRef};
pub use permit::{Access, Decision, Permit};
pub(in crate::service) use permit::{Granted, Right};
pub use questions::{AccessQuestion, GrantFilter, GrantPage, Identity};
pub(in crate::service) use refused::{changed, denied};
pub(in crate::service) use rights::Rights;
pub use rights::{AccessOptions, GrantLimits, Mode};
pub use target::{AllVaults, CertificateRef, IssuerRef, Place, Target};

use crate::domain::Result;
use crate::domain::access::AccessFile;

impl Access {
    /// Puts the grants and roles of a changed file in force. It blocks its thread, which may not be one of the async
    /// runtime.
    ///
    /// # Errors
    /// Where its roles have the same name. The grants stay as they were then.
    pub fn replace_file(&self, file: AccessFile) -> Result<()> {
        self.rights().replace_file(file)
    }

    /// How many requests no grant allowed: those that were refused, and those that would have been.
    pub fn denials(&self) -> (u64, u64) {
        self.rights().counts()
    }
}
