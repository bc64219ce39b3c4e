//! The master keys of the store: which records need which of them, bringing every record under the newest one, and what
//! the replicas of a store know of them.

mod check;
mod replicas;
mod reseal;
mod status;
mod walk;

pub use reseal::ResealRequest;
pub use status::{LeftRecords, MasterKeyCount, MasterKeyStatus, ReplicaView, ResealEnd, ResealView};

use super::Service;
use super::context::Context;
use std::fmt;
use std::sync::Arc;

/// What can be asked about the master keys, and done for them. Cheap to clone.
#[derive(Clone)]
pub struct MasterKeyObjects {
    context: Arc<Context>,
}

impl fmt::Debug for MasterKeyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeyObjects").finish_non_exhaustive()
    }
}

impl MasterKeyObjects {
    /// Those of the store of a service.
    pub fn of(service: &Service) -> Self {
        Self::new(service.context.clone())
    }

    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}
