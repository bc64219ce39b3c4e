//! The TLS certificates of a development server: made on demand, renewed before they expire.

use super::{DevCa, TlsError};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};

const RENEW_BEFORE: Duration = Duration::days(30);
/// Names come from untrusted clients; past this many the cache is cleared.
const MAX_NAMES: usize = 1000;

/// Chooses the certificate for a handshake.
///
/// The usual one is for `localhost`, `*.localhost`, the base domain, `*.` under it, `127.0.0.1` and `::1`. A client
/// that asks for a name under one of the two domains gets a certificate for exactly that name, because OpenSSL, and so
/// Python and curl, accept no wildcard directly under a top-level domain such as `*.localhost`. A certificate with
/// fewer than 30 days left is replaced at the next handshake; nothing needs to run in the background.
pub struct DevCertificates {
    ca: DevCa,
    domains: Vec<String>,
    now: Box<dyn Fn() -> OffsetDateTime + Send + Sync>,
    made: Mutex<HashMap<String, Made>>,
}

#[derive(Clone)]
struct Made {
    key: Arc<CertifiedKey>,
    not_after: OffsetDateTime,
}

impl DevCertificates {
    /// Certificates of `ca` for localhost and `base_domain` (which may be `localhost`), by the time that `now` tells.
    pub fn new(
        ca: DevCa,
        base_domain: &str,
        now: impl Fn() -> OffsetDateTime + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let mut domains = vec!["localhost".to_owned(), base_domain.to_ascii_lowercase()];
        domains.dedup();
        let this = Self { ca, domains, now: Box::new(now), made: Mutex::default() };
        this.for_name(None)?;
        Ok(this)
    }

    /// The CA behind them.
    pub fn ca(&self) -> &DevCa {
        &self.ca
    }

    /// The certificate for this name, or the usual one.
    fn for_name(&self, name: Option<&str>) -> Result<Arc<CertifiedKey>, TlsError> {
        let now = (self.now)();
        let name = name.map(str::to_ascii_lowercase).filter(|name| self.is_ours(name)).unwrap_or_default();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Made { key, not_after }) = made.get(&name)
            && now + RENEW_BEFORE <= *not_after
        {
            return Ok(Arc::clone(key));
        }
        let names = if name.is_empty() { self.usual_names() } else { vec![name.clone()] };
        let (key, not_after) = self.ca.issue(&names, now)?;
        if made.len() >= MAX_NAMES {
            made.clear();
        }
        made.insert(name, Made { key: Arc::clone(&key), not_after });
        Ok(key)
    }

    /// Whether this is a name below one of our domains; the domains themselves have the usual certificate.
    fn is_ours(&self, name: &str) -> bool {
        self.domains.iter().any(|domain| name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.')))
    }

    fn usual_names(&self) -> Vec<String> {
        let domains = self.domains.iter().flat_map(|domain| [domain.clone(), format!("*.{domain}")]);
        domains.chain(["127.0.0.1".to_owned(), "::1".to_owned()]).collect()
    }
}

impl ResolvesServerCert for DevCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = self.for_name(hello.server_name());
        found.inspect_err(|error| tracing::error!(%error, "Could not make a certificate for a TLS handshake")).ok()
    }
}

impl fmt::Debug for DevCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCertificates").field("ca", &self.ca).field("domains", &self.domains).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

    fn certificates(days: Arc<AtomicI64>) -> DevCertificates {
        let start = time::macros::datetime!(2026-11-23 12:00 UTC);
        let folder = tempfile::tempdir().unwrap();
        let ca = DevCa::load_or_create(folder.path(), start).unwrap();
        DevCertificates::new(ca, "Vault.Example", move || start + Duration::days(days.load(SeqCst))).unwrap()
    }

    fn names(key: &CertifiedKey) -> Vec<String> {
        let (_, leaf) = X509Certificate::from_der(&key.cert[0]).unwrap();
        let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
        let text = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(bytes) => format!("{bytes:?}"),
            other => panic!("{other}"),
        };
        names.iter().map(text).collect()
    }

    #[test]
    fn the_usual_certificate_is_for_local_names_and_is_signed_by_the_ca() {
        let made = certificates(Arc::default());
        let usual = made.for_name(None).unwrap();
        let expected = [
            "localhost",
            "*.localhost",
            "vault.example",
            "*.vault.example",
            "[127, 0, 0, 1]",
            "[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]",
        ];
        assert_eq!(names(&usual), expected);
        let (_, ca) = x509_parser::pem::parse_x509_pem(made.ca().pem().as_bytes()).unwrap();
        let ca = ca.parse_x509().unwrap();
        let (_, leaf) = X509Certificate::from_der(&usual.cert[0]).unwrap();
        leaf.verify_signature(Some(ca.public_key())).unwrap();
        let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
        assert!(life <= 90 * 86_400, "{life} s");
    }

    #[test]
    fn a_name_below_our_domains_gets_its_own_and_a_strange_one_the_usual() {
        let made = certificates(Arc::default());
        let usual = made.for_name(None).unwrap();
        for name in ["a.localhost", "A.VAULT.example"] {
            assert_eq!(names(&made.for_name(Some(name)).unwrap()), [name.to_ascii_lowercase()]);
        }
        for name in ["localhost", "vault.example", "evil.example", "notlocalhost", "xvault.example"] {
            assert!(Arc::ptr_eq(&made.for_name(Some(name)).unwrap(), &usual), "{name}");
        }
    }

    #[test]
    fn a_certificate_is_kept_until_thirty_days_are_left() {
        let days = Arc::new(AtomicI64::new(0));
        let made = certificates(Arc::clone(&days));
        let first = made.for_name(None).unwrap();
        days.store(59, SeqCst);
        assert!(Arc::ptr_eq(&made.for_name(None).unwrap(), &first));
        days.store(60, SeqCst);
        let second = made.for_name(None).unwrap();
        assert!(!Arc::ptr_eq(&second, &first));
        assert!(Arc::ptr_eq(&made.for_name(None).unwrap(), &second));
    }

    #[test]
    fn names_from_outside_do_not_fill_the_memory() {
        let made = certificates(Arc::default());
        for n in 0..2 * MAX_NAMES {
            made.for_name(Some(&format!("v{n}.localhost"))).unwrap();
        }
        assert!(made.made.lock().unwrap().len() <= MAX_NAMES);
    }
}
