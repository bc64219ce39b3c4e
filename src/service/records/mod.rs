//! Stored records: their keys, values, and authentication.
//!
//! A key has a type that says which value lies under it ([`key`]). A body carries a message authentication code over
//! that key and the value ([`Codec`]), and a reader refuses a body that was changed or moved, or that names another
//! object than its key does (`docs/decisions/0013-records-bound-to-their-place.md`).

mod adoption;
mod audit;
mod audit_places;
mod authorities;
mod authority_places;
mod body;
mod codec;
pub(super) mod contents;
mod event_body;
mod grant_places;
mod grants;
mod inspected_cas;
mod inspection;
mod installations;
pub(super) mod key;
mod kinds;
mod lost_vaults;
mod marks;
mod master_key_places;
mod paging;
mod parked;
mod ranges;
mod replicas;
mod reseal;
mod reseal_job;
mod scan;
mod sealed;
mod vault_places;
mod verified;
pub(super) mod webhook_keys;
mod webhooks;

pub(super) use crate::domain::text::hex;
pub use adoption::Takeover;
pub(super) use adoption::{Adopted, Opened, adopt, begin, open};
pub(super) use audit::{AuditKeyRecord, AuditLine, AuditVolume, audit_time, writer_of};
pub(super) use authorities::{
    CrlRecord, IssuedAdoption, IssuedIndex, NextResponder, ResponderKey, ResponderRecord, RevokedRecord,
};
pub use codec::record_body;
pub(super) use codec::{Codec, concerns_a_record};
pub(super) use event_body::{decode_event, encode_event};
pub(super) use grants::{GrantRecord, RightsChanges, RoleRecord};
pub(crate) use inspection::reads_a_record;
pub use inspection::{Finding, Inspection, Repair};
pub(super) use key::{Key, Place, Prefix};
#[cfg(test)]
pub(super) use kinds::OfKind;
pub(super) use kinds::{
    ChallengeRecord, DeletedRecord, IssuerHealthRecord, IssuerStateRecord, Kind, PendingRecord, PurgingRecord,
    RequestRecord, ShownPending, Stored,
};
pub use paging::MAX_PAGE;
pub(crate) use paging::reads_a_page_token;
pub(super) use paging::{Bounds, List, Page, Paging, shown};
pub(super) use parked::ParkedRecord;
pub(super) use ranges::Ranges;
pub(super) use replicas::ReplicaRecord;
pub(super) use reseal::{Next, Standing, Stays};
pub(super) use reseal_job::{Counted, End, Ended, Named, ResealRecord, Tally};
pub(super) use scan::Scan;
