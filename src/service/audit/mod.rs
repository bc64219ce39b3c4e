//! The audit ledger: who did what, as a chain of records in the store (docs/audit.md, decision 67).

mod chain;
mod counts;
mod facts;
pub(super) mod ledger;
mod line;
mod mirror;
mod options;
pub(super) mod scope;
mod search;
pub(super) mod told;
mod trail;
mod untold;
mod upkeep;
mod verify;
mod volume;

pub use facts::Facts;
pub use options::{AuditFailure, AuditLevel, AuditOptions, AuditSink};
pub(super) use scope::found;
pub use scope::{Asks, Scope};
pub use search::{AuditFilter, AuditPage, AuditPublicKey, AuditRecord};
pub(super) use told::{RENEWAL, RESEAL};
pub use trail::AuditTrail;
pub use verify::{Report, Verifier};
