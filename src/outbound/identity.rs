//! The certificate that a client shows, for services that want one.

use super::{Error, ErrorKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::fmt;
use zeroize::Zeroizing;

/// A certificate and its private key. `Debug` shows neither.
#[derive(Clone, Eq, PartialEq)]
pub struct Identity {
    /// PEM, the client's own certificate first.
    pub chain: String,
    /// PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    pub key: Zeroizing<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a client certificate")
    }
}

/// What rustls takes of an identity.
type Parsed = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Identity {
    /// # Errors
    /// What cannot be read, without its text.
    pub(super) fn parse(&self) -> Result<Parsed, Error> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect();
        let chain = chain.map_err(|_| unusable("its PEM is damaged"))?;
        if chain.is_empty() {
            return Err(unusable("it holds no PEM block CERTIFICATE"));
        }
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        Ok((chain, key.map_err(|_| unusable("its key is no private key in PEM without a password"))?))
    }
}

pub(super) fn unusable(what: &str) -> Error {
    Error::new(ErrorKind::Settings, format!("The client certificate cannot be used: {what}."))
}
