//! Who shows a certificate, once it was believed.

use crate::domain::Timestamp;
use std::sync::Arc;

/// Who a client certificate stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateIdentity {
    /// `spiffe://DOMAIN/PATH` or `x509:NAME:ID`.
    pub principal: Arc<str>,
    /// The trust domain, or the name of the CAs in the configuration.
    pub provider: Arc<str>,
    /// The end of the certificate.
    pub expires: Timestamp,
}
