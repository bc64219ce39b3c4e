//! What becomes of an issuer object that is set or changed.

use crate::keys::authority::Plan;
use crate::store::Batch;

/// What becomes of an issuer object that is set or changed.
pub(in crate::service) struct Configured {
    /// What is written with it.
    pub(in crate::service) beside: Batch,
    /// The CA that is still to be made of it: who signs it, and what it is to be.
    pub(in crate::service) below: Option<(String, Plan)>,
}

impl From<Batch> for Configured {
    fn from(beside: Batch) -> Self {
        Self { beside, below: None }
    }
}
