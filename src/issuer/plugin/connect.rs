//! Connections to a plug-in. The files of a TLS connection are read for each one, so that a renewed certificate needs
//! no restart.

use super::address::Address;
use crate::regular_file;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// Of the connection and its handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// A larger file is none of these: all public CAs take a quarter of a megabyte.
const MAX_FILE: u64 = 1024 * 1024;

/// PEM files of a connection over TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PluginTls {
    /// The CAs that the plug-in's certificate is checked against; no others are trusted.
    pub ca: PathBuf,
    /// The chain that the server shows, leaf first.
    pub certificate: PathBuf,
    /// The key of the leaf.
    pub key: PathBuf,
}

/// What HTTP/2 runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a connection. The text of an error names no file, as it is shown to callers; the log has it.
pub(super) async fn connect(address: &Address, tls: Option<&PluginTls>) -> Result<Box<dyn Stream>, Error> {
    let opened = async {
        match (address, tls) {
            (Address::Unix(path), _) => Ok(Box::new(UnixStream::connect(path).await?) as Box<dyn Stream>),
            (Address::Tls { .. }, None) => Err(settings("ca, certificate and key are not set")),
            (Address::Tls { host, port }, Some(files)) => {
                let files = files.clone();
                let config = tokio::task::spawn_blocking(move || client_config(&files)).await??;
                let name = ServerName::try_from(host.clone()).map_err(|_| settings("its address names no host"))?;
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?) as Box<dyn Stream>)
            }
        }
    };
    tokio::time::timeout(CONNECT, opened).await.unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut)))
}

fn settings(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, problem)
}

fn client_config(files: &PluginTls) -> Result<Arc<ClientConfig>, Error> {
    let PluginTls { ca, certificate, key } = files;
    let mut roots = RootCertStore::empty();
    for root in certificates(ca, "ca")? {
        roots.add(root).map_err(|_| settings("the file ca holds something that is no CA certificate"))?;
    }
    let chain = certificates(certificate, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&read(key, "key")?).map_err(|error| unreadable(key, "key", &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|_| settings("the files certificate and key do not belong together"))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(file: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    match CertificateDer::pem_slice_iter(&read(file, setting)?).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(settings(&format!("the file {setting} holds no PEM block CERTIFICATE"))),
        Err(error) => Err(unreadable(file, setting, &error)),
    }
}

/// Whatever stands at the path by now: nothing waits for it longer than a file takes.
fn read(file: &Path, setting: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let content = regular_file::read(file, MAX_FILE).map_err(|error| unreadable(file, setting, &error))?;
    Ok(Zeroizing::new(content.0))
}

fn unreadable(file: &Path, setting: &str, error: &dyn Display) -> Error {
    tracing::warn!(file = %file.display(), %error, "a file of a plug-in cannot be used");
    settings(&format!("the file {setting} cannot be read as PEM"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_pipe_in_the_place_of_a_file_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let files = PluginTls { ca: pipe.clone(), certificate: pipe.clone(), key: pipe };
        let problem = client_config(&files).unwrap_err().to_string();
        assert_eq!(problem, "the file ca cannot be read as PEM");
    }
}
