//! What asks issuers: the providers of this server, and how many of their calls are slow.

use super::authorities::Authorities;
use crate::issuer::Issuers;
use crate::service::context::Context;
use crate::service::issuer_bulkhead::IssuerBulkhead;
use std::ops::Deref;
use std::sync::Arc;

/// Asks issuers, and keeps their states and challenges.
#[derive(Clone)]
pub(in crate::service) struct Issuing {
    context: Arc<Context>,
    pub(in crate::service) issuers: Issuers,
    pub(in crate::service) bulkhead: Arc<IssuerBulkhead>,
    pub(in crate::service) authorities: Authorities,
}

impl Issuing {
    pub(in crate::service) fn new(context: Arc<Context>, issuers: Issuers, authorities: Authorities) -> Self {
        Self { context, issuers, bulkhead: Arc::default(), authorities }
    }
}

/// It is the context with the issuers beside it.
impl Deref for Issuing {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}
