//! The client certificate of `--client-cert` and its key, by which the server may know the caller without a token.

use super::failure::{Failure, Result};
use super::options::ClientOptions;
use super::trust;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use std::fs;
use tonic::transport::Identity;
use zeroize::Zeroizing;

/// Read each time a connection is made, so that a renewed one is taken up.
///
/// # Errors
/// The file that cannot be used, without its text.
pub(super) fn load(options: &ClientOptions) -> Result<Option<Identity>> {
    let (cert, key) = match (&options.client_cert, &options.client_key) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        _ => return Err(Failure::usage("a client certificate needs its key: give --client-cert and --client-key")),
    };
    trust::read_certificates(cert)?;
    let chain = fs::read(cert).map_err(|error| trust::unreadable(cert, &error))?;
    let private = Zeroizing::new(fs::read(key).map_err(|error| trust::unreadable(key, &error))?);
    // What comes after it would say less.
    PrivateKeyDer::from_pem_slice(&private)
        .map_err(|_| Failure::usage(format!("{} contains no PEM private key without a password", key.display())))?;
    Ok(Some(Identity::from_pem(chain, &*private)))
}
