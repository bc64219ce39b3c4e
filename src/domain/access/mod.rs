//! Who may do what: roles in the words of Azure, grants of them, and the decision. No I/O, and no clock: the time is a
//! parameter.

mod action_set;
mod built_in;
mod file;
mod given;
mod grant;
mod granting;
mod held;
mod pattern;
mod principal;
mod requested;
mod role;
mod rule_names;
mod rules;
mod spiffe;
mod table;
mod vault_rules;
mod visible;

pub use action_set::ActionSet;
pub use file::{AccessFile, FileInput, RoleInput, VaultRulesInput};
pub use given::{chosen_id, shown};
pub use grant::{Grant, GrantInput, Made, MayGrant, Scope, Source};
pub use granting::{may_make, may_remove, may_set_roles};
pub use held::Held;
pub use pattern::{NamePattern, VaultPattern};
pub use principal::{Groups, PrincipalName};
pub use requested::Requested;
pub use role::{Role, RoleSource, Roles};
pub use rules::{Rules, RulesInput, Violation};
pub use spiffe::{is_trust_domain, trust_domain};
pub use table::{Asked, MAX_GRANTS, MAX_OF_PRINCIPAL, NameAsked, Table, VaultAsked, decide};
pub use vault_rules::VaultRules;
pub use visible::Visible;
