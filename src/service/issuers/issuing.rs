//! What asks issuers: the providers of this server, and how many of their calls are slow.

use super::authorities::Authorities;
use super::bulkhead::IssuerBulkhead;
use super::health::IssuerCalls;
use crate::issuer::Issuers;
use crate::service::ca::IssuedLog;
use crate::service::context::Context;
use std::sync::Arc;

/// Asks issuers, and keeps their states and challenges.
#[derive(Clone)]
pub(in crate::service) struct Issuing {
    pub(super) context: Arc<Context>,
    pub(super) issuers: Issuers,
    pub(super) bulkhead: Arc<IssuerBulkhead>,
    pub(super) calls: Arc<IssuerCalls>,
    pub(in crate::service) authorities: Authorities,
    /// Of the CAs of this server.
    pub(in crate::service) log: IssuedLog,
}

impl Issuing {
    pub(in crate::service) fn new(context: Arc<Context>, issuers: Issuers, authorities: Authorities) -> Self {
        let log = IssuedLog::new(context.clone());
        Self { context, issuers, bulkhead: Arc::default(), calls: Arc::default(), authorities, log }
    }
}
