//! Roots that outgoing connections trust: the system's, and additional ones per use.

use super::identity::{Identity, unusable};
use super::{Error, ErrorKind};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// A TLS configuration that offers HTTP/2 and HTTP/1.1, and shows the client's certificate where there is one.
pub(super) fn tls(
    extra_roots: Option<&str>,
    native: bool,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::empty();
    if native {
        // Files that cannot be read are the system's matter: a connection then says whom it does not trust.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(pem) = extra_roots {
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| unreadable("its PEM is damaged"))?;
            roots.add(certificate).map_err(|_| unreadable("it contains something that is not a CA certificate"))?;
            count += 1;
        }
        if count == 0 {
            return Err(unreadable("it holds no PEM block CERTIFICATE"));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Settings, error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.parse()?;
            let config = builder.with_client_auth_cert(chain, key);
            config
                .map_err(|_| unusable("its key is not that of the certificate, or of a kind that TLS does not take"))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Settings, format!("The file of trusted CA certificates cannot be used: {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_that_are_no_certificates_are_refused_with_the_reason() {
        for (pem, reason) in [
            ("", "no PEM block"),
            ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "damaged"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a CA certificate"),
        ] {
            let error = tls(Some(pem), false, None).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Settings);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
