//! The certificates that a client showed on its connection, and what was last found of them.

use super::cause::Cause;
use super::judged::CertificateIdentity;
use crate::domain::Timestamp;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The chain of a client, the leaf first, whose key it has.
pub struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// Held while it is judged: requests of one connection do not each have it judged.
    pub(super) verdict: Mutex<Option<Verdict>>,
}

/// What was found, and as long as nothing else can be found.
#[derive(Clone)]
pub(super) struct Verdict {
    /// Of the CAs it was judged by.
    pub(super) number: u64,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) found: Result<Arc<CertificateIdentity>, Cause>,
}

impl Shown {
    /// Of a finished handshake, also of a resumed session; `None` where the client showed none.
    pub fn of(chain: Option<&[CertificateDer<'static>]>) -> Option<Arc<Self>> {
        let chain = chain.filter(|chain| !chain.is_empty())?.to_vec();
        Some(Arc::new(Self { chain, verdict: Mutex::new(None) }))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}
