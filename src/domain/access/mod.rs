//! Who may do what: roles in the words of Azure, grants of them, and the decision. No I/O, and no clock: the time is a
//! parameter.

mod action_set;
mod file;
mod grant;
mod pattern;
mod principal;
mod role;
mod table;
mod visible;

pub use action_set::ActionSet;
pub use file::{AccessFile, FileInput, RoleInput};
pub use grant::{Grant, GrantInput, MayGrant, Scope, Source};
pub use pattern::{NamePattern, VaultPattern};
pub use principal::PrincipalName;
pub use role::{Role, Roles};
pub use table::{Asked, Held, MAX_GRANTS, MAX_OF_PRINCIPAL, NameAsked, Table, VaultAsked, decide};
pub use visible::Visible;
