//! The server certificate from two files, reloaded when they change, so a renewal needs no restart.

use super::{TlsError, read};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use x509_cert::der::Decode;
use x509_cert::ext::pkix::BasicConstraints;
use zeroize::Zeroizing;

/// What is logged of a certificate that `openssl req -x509` makes without being told otherwise.
const OF_A_CA: &str = "the server's certificate is that of a CA (CA:TRUE): the command line and other clients refuse it \
    (CaUsedAsEndEntity); make one with CA:FALSE (openssl req -addext basicConstraints=critical,CA:FALSE)";

/// One certificate for every name: the chain, leaf first, and the leaf's key (PKCS#8, SEC1 or PKCS#1), as PEM.
pub struct FileCertificates {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the present one was made of.
    from: Mutex<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl FileCertificates {
    /// Reads the files. The key must belong to the leaf, and not be readable by everybody.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        let from = read_both(chain, key)?;
        let current = RwLock::new(certified(chain, key, &from)?);
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), current, from: Mutex::new(from) })
    }

    /// Reads the files again; whether they had changed. After an error the certificate is the same as before.
    /// Connections that are open keep the one that they began with.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let fresh = read_both(&self.chain, &self.key)?;
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        if *from == fresh {
            return Ok(false);
        }
        let certified = certified(&self.chain, &self.key, &fresh)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = certified;
        *from = fresh;
        Ok(true)
    }

    /// When the leaf ends, in seconds since 1970; `None` if it cannot be read.
    pub fn not_after(&self) -> Option<i64> {
        let leaf = x509_cert::Certificate::from_der(self.current().cert.first()?).ok()?;
        i64::try_from(leaf.tbs_certificate().validity().not_after.to_unix_duration().as_secs()).ok()
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for FileCertificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl fmt::Debug for FileCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCertificates").field("chain", &self.chain).field("key", &self.key).finish_non_exhaustive()
    }
}

fn read_both(chain: &Path, key: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), TlsError> {
    let facts = std::fs::metadata(key).map_err(|source| TlsError::Read { path: key.to_owned(), source })?;
    let mode = facts.permissions().mode() & 0o777;
    // A group may read it: that is how secrets are handed to containers that do not run as root.
    if mode & 0o007 != 0 {
        return Err(TlsError::Open { path: key.to_owned(), mode });
    }
    Ok((read(chain)?, Zeroizing::new(read(key)?)))
}

fn certified(
    chain: &Path,
    key: &Path,
    (certificates, private): &(Vec<u8>, Zeroizing<Vec<u8>>),
) -> Result<Arc<CertifiedKey>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.ok().filter(|found| !found.is_empty());
    let certificates = certificates.ok_or_else(|| TlsError::NotPem { path: chain.to_owned(), what: "certificate" })?;
    let private = PrivateKeyDer::from_pem_slice(private)
        .map_err(|_| TlsError::NotPem { path: key.to_owned(), what: "private key" })?;
    if certificates.first().is_some_and(|leaf| is_of_a_ca(leaf)) {
        tracing::warn!(file = %chain.display(), "{OF_A_CA}");
    }
    let certified = CertifiedKey::from_der(certificates, private, &aws_lc_rs::default_provider())?;
    // Where the library cannot compare them, the first handshake does.
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(Arc::new(certified)),
        Err(error) => Err(error.into()),
    }
}

/// Whether it says that it is a CA's (RFC 5280 section 4.2.1.9).
fn is_of_a_ca(leaf: &[u8]) -> bool {
    let leaf = x509_cert::Certificate::from_der(leaf).ok();
    let said = leaf.and_then(|leaf| leaf.tbs_certificate().get_extension::<BasicConstraints>().ok().flatten());
    said.is_some_and(|(_, constraints)| constraints.ca)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(folder: &Path, chain: &str, key: &str) {
        fs::write(folder.join("tls.crt"), chain).unwrap();
        fs::write(folder.join("tls.key"), key).unwrap();
        fs::set_permissions(folder.join("tls.key"), fs::Permissions::from_mode(0o640)).unwrap();
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn load(folder: &Path) -> Result<FileCertificates, TlsError> {
        FileCertificates::load(&folder.join("tls.crt"), &folder.join("tls.key"))
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = pair();
        write(folder.path(), &chain, &key);
        let files = load(folder.path()).unwrap();
        let first = files.current().cert.clone();
        assert!(!files.reload().unwrap() && files.not_after().unwrap() > 1_700_000_000);
        let (chain, other) = pair();
        write(folder.path(), &chain, &key);
        assert!(files.reload().is_err(), "the key is not the certificate's");
        assert_eq!(files.current().cert, first);
        write(folder.path(), &chain, &other);
        assert!(files.reload().unwrap());
        assert_ne!(files.current().cert, first);
    }

    #[test]
    fn the_certificate_of_a_ca_is_known() {
        let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        for (is_ca, of_a_ca) in [
            (rcgen::IsCa::NoCa, false),
            (rcgen::IsCa::ExplicitNoCa, false),
            (rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained), true),
        ] {
            parameters.is_ca = is_ca;
            assert_eq!(is_of_a_ca(parameters.self_signed(&key).unwrap().der()), of_a_ca);
        }
        assert!(!is_of_a_ca(b"damaged"));
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = pair();
        let problem = |chain: &str, key: &str| {
            write(folder.path(), chain, key);
            load(folder.path()).unwrap_err().to_string()
        };
        assert!(problem("", &key).ends_with("tls.crt contains no PEM certificate"));
        assert!(problem(&chain, "").ends_with("tls.key contains no PEM private key"));
        write(folder.path(), &chain, &key);
        fs::set_permissions(folder.path().join("tls.key"), fs::Permissions::from_mode(0o644)).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("everyone can access") && message.contains("chmod o-rwx"), "{message}");
        fs::remove_file(folder.path().join("tls.key")).unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("tls.key: No such file"));
    }
}
