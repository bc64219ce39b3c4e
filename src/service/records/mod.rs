//! Stored records: their keys, values, and authentication.
//!
//! A key has a type that says which value lies under it ([`key`]). A body carries a message authentication code over
//! that key and the value ([`Codec`]), and a reader refuses a body that was changed or moved, or that names another
//! object than its key does (`docs/decisions/0013-records-bound-to-their-place.md`).

mod adoption;
mod body;
mod codec;
mod inspection;
pub(super) mod key;
mod kinds;
mod paging;
mod verified;

pub(super) use adoption::{Adopted, Marker, Sweep, adopt, open};
pub use codec::record_body;
pub(super) use codec::{Codec, concerns_a_record};
pub use inspection::{Finding, Inspection};
pub(super) use key::{Key, Place, Prefix};
pub(super) use kinds::{
    ChallengeRecord, DeletedRecord, IssuerStateRecord, Kind, PendingRecord, PurgingRecord, RequestRecord, ShownPending,
    Stored, decode_event, encode_event, hex,
};
pub(super) use paging::{Bounds, List, Page, Paging, shown};
