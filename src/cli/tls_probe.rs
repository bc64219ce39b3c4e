//! Probes the TLS certificate of a server: its names and expiry.

use super::alternative_names;
use super::trust::Trust;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_cert::der::Decode;

/// The certificate that a server showed and that was found to be right.
pub(super) struct Shown {
    pub(super) names: Vec<String>,
    /// Seconds since 1970 at which it ends; nothing if the certificate cannot be read.
    pub(super) ends: Option<u64>,
}

/// Connects; returns the address that answered, too.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    let address = stream.peer_addr()?;
    Ok((stream, address))
}

/// Greets as a gRPC client does, under the same trust.
///
/// # Errors
/// The handshake failed; a `rustls::Error` in it says why.
pub(super) async fn handshake(stream: TcpStream, host: &str, trust: &Trust) -> io::Result<Shown> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trust.certificates.iter().cloned());
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|error: InvalidDnsNameError| io::Error::other(error))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (_, connection) = stream.get_ref();
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    Ok(leaf.map_or(Shown { names: Vec::new(), ends: None }, shown))
}

fn shown(leaf: &CertificateDer<'_>) -> Shown {
    let Ok(certificate) = x509_cert::Certificate::from_der(leaf) else {
        return Shown { names: Vec::new(), ends: None };
    };
    let tbs = certificate.tbs_certificate();
    let names = alternative_names::of(&certificate);
    Shown { names, ends: Some(tbs.validity().not_after.to_unix_duration().as_secs()) }
}
