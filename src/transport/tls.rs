//! TLS of the port: versions, ciphers and certificates for gRPC and REST on one socket.

mod dev;
mod dev_resolver;
mod files;

pub use dev::DevCa;
pub use dev_resolver::DevCertificates;
pub use files::FileCertificates;

use crate::regular_file;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Of a chain or a key; a larger file is neither.
const MAX_FILE: u64 = 1024 * 1024;

/// Why there is no TLS. The message names the file and, if there is one, the cure; it never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} contains no PEM {what}", path.display())]
    NotPem { path: PathBuf, what: &'static str },
    #[error("users other than its owner can access {0} (mode {mode:03o}); run: chmod 600 {0}", path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{0} cannot be used: {problem}; to have new ones made, move it and its key away and restart", path.display())]
    UnusableCa { path: PathBuf, problem: &'static str },
    #[error("everyone can access {0} (mode {mode:03o}); run: chmod o-rwx {0}", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot use the certificate and its key: {0}")]
    Rustls(#[from] rustls::Error),
}

/// TLS with certificates chosen for each handshake.
///
/// TLS 1.2 and 1.3 on aws-lc-rs, ALPN `h2` and `http/1.1`, no early data (it could be replayed), and tickets without
/// state, so that clients that return after a rotation resume.
pub fn with_resolver(certificates: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    with_clients(certificates, WebPkiClientVerifier::no_client_auth())
}

/// The same, where clients may show certificates of their own.
pub fn with_clients(
    certificates: Arc<dyn ResolvesServerCert>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = regular_file::read(path, MAX_FILE).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    Ok(read.0)
}
