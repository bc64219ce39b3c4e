//! The certificate authorities that a client trusts, and advice if the server's certificate is not from one of them.

use super::failure::{Exit, Failure, Result};
use super::options::ClientOptions;
use super::pem;
use super::serve::DEFAULT_DATA_DIR;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{CertificateError, Error as TlsError};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The file of a server's own CA in its data folder.
pub(super) const CA_FILE: &str = "ca.pem";

/// Trusted roots, and where they are from.
pub(super) struct Trust {
    pub(super) origin: String,
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Those of `--ca`, of a development server in this folder, or of the system.
    pub(super) fn load(options: &ClientOptions) -> Result<Self> {
        if let Some(file) = ca_file(options) {
            return Ok(Self { origin: file.display().to_string(), certificates: read_certificates(&file)? });
        }
        let found = rustls_native_certs::load_native_certs();
        if found.certs.is_empty() {
            let mut failure = Failure::new(Exit::Usage, "the system has no trusted certificate authorities")
                .advise("give the CA of the server with --ca FILE");
            failure.causes = found.errors.iter().map(ToString::to_string).collect();
            return Err(failure.boxed());
        }
        Ok(Self { origin: "the system".to_owned(), certificates: found.certs })
    }

    pub(super) fn to_pem(&self) -> String {
        pem::certificates(self.certificates.iter().map(AsRef::as_ref))
    }
}

/// The file of `--ca`, or that of a development server in this folder if there is one.
pub(super) fn ca_file(options: &ClientOptions) -> Option<PathBuf> {
    let default = || Some(Path::new(DEFAULT_DATA_DIR).join(CA_FILE)).filter(|file| file.is_file());
    options.ca.clone().or_else(default)
}

/// The certificates of a PEM file; at least one.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = fs::read(file).map_err(|error| unreadable(file, &error))?;
    let certificates: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Failure::usage(format!("{} contains no PEM certificate", file.display()))),
    }
}

pub(super) fn unreadable(file: &Path, error: &io::Error) -> Box<Failure> {
    Failure::usage(format!("cannot read {}: {error}", file.display()))
}

/// A file without a byte; `-` is standard input.
pub(super) fn empty(file: &Path) -> Box<Failure> {
    let what = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    Failure::usage(format!("{what} is empty"))
}

/// What to do about an error of TLS, if there is one in the chain.
pub(super) fn advice(error: &(dyn Error + 'static)) -> Option<String> {
    Some(match tls_error(error)? {
        // A bad signature: another CA of the same name, such as that of a data folder that was made anew.
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the server's certificate is not from a trusted CA: give that CA with --ca FILE (a development server \
             keeps it as ca.pem in its data folder)"
                .to_owned()
        }
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired, or the clock of this machine is wrong".to_owned()
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for other names: use one of them in --server".to_owned(),
        TlsError::InvalidMessage(_) => "is there a TLS server on this port?".to_owned(),
        // rustls hands out the words of webpki in no other way.
        TlsError::InvalidCertificate(CertificateError::Other(other)) if other.to_string() == "CaUsedAsEndEntity" => {
            "the server's certificate is that of a CA, which clients refuse: make one with basicConstraints CA:FALSE \
             (openssl req -x509: -addext basicConstraints=critical,CA:FALSE)"
                .to_owned()
        }
        _ => "check --server and --ca, or run `certmint doctor`".to_owned(),
    })
}

/// The error of rustls in a chain; `io::Error` hides what it wraps from `source`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<TlsError>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::sync::Arc;
    use std::time::Duration;

    /// What rustls says of this certificate under itself as the only root.
    fn refusal(is_ca: IsCa) -> TlsError {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let (host, now) = (ServerName::try_from("elsewhere").unwrap(), Duration::from_secs(1_800_000_000));
        verifier
            .verify_server_cert(certificate.der(), &[], &host, &[], UnixTime::since_unix_epoch(now))
            .map(|_| ())
            .unwrap_err()
    }

    #[test]
    fn what_is_empty_has_a_name() {
        assert_eq!(empty(Path::new("-")).message, "standard input is empty");
        assert_eq!(empty(Path::new("a.pem")).message, "a.pem is empty");
    }

    #[test]
    fn a_ca_in_the_place_of_a_server_is_called_so() {
        let said = advice(&refusal(IsCa::Ca(BasicConstraints::Unconstrained))).unwrap();
        assert!(said.contains("CA:FALSE"), "{said}");
        let said = advice(&refusal(IsCa::ExplicitNoCa)).unwrap();
        assert!(said.contains("for other names"), "{said}");
    }
}
