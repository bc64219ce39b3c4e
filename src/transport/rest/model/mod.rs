//! The JSON of Key Vault, for requests and responses. Members are in the order of the real service.

pub(super) mod authority;
pub(super) mod authorization;
pub(super) mod certificate;
pub(super) mod contacts;
pub(super) mod deleted;
pub(super) mod issued;
pub(super) mod issuer;
pub(super) mod list;
pub(super) mod management;
pub(super) mod material;
pub(super) mod not_offered;
pub(super) mod operation;
pub(super) mod policy;
pub(super) mod requests;

use crate::domain::Timestamp;
use serde::Serialize;

/// An object with only the identifier of another one.
#[derive(Serialize)]
pub(super) struct Reference {
    pub(super) id: String,
}

/// `enabled` with two times: the attributes of policies and issuers.
#[derive(Serialize)]
pub(super) struct Attributes {
    enabled: bool,
    created: i64,
    updated: i64,
}

impl Attributes {
    fn new(enabled: bool, created: Timestamp, updated: Timestamp) -> Self {
        Self { enabled, created: created.seconds(), updated: updated.seconds() }
    }
}
