//! What the service has acknowledged, as recorded by clients.

use certmint::proto::v1::PendingOperation;
use std::sync::{Arc, Mutex};

/// One answer that may never be taken back.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "some of it is only shown, where the log says otherwise")]
pub(crate) enum Fact {
    /// The operation was there in this state: the answer of a creation, a cancellation or a read.
    Stood {
        operation: Box<PendingOperation>,
        call: &'static str,
    },
    Deleted {
        request_id: String,
        name: String,
    },
    /// This version was made by a merge.
    Merged {
        request_id: String,
        version: String,
    },
}

impl Fact {
    pub(crate) fn request_id(&self) -> &String {
        match self {
            Self::Stood { operation, .. } => &operation.request_id,
            Self::Deleted { request_id, .. } | Self::Merged { request_id, .. } => request_id,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Fact>>>);

impl Ledger {
    pub(crate) fn note(&self, fact: Fact) {
        self.0.lock().unwrap().push(fact);
    }

    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}
