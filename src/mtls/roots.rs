//! The CAs of one section of the configuration, from a file that is read again when it changes.

use super::cause::Cause;
use crate::domain::Timestamp;
use crate::domain::policy::KeyUsage;
use crate::guarded_file::read_guarded;
use crate::keys::CallerCertificate;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A larger file is not one of ours.
const MAX_FILE: u64 = 1024 * 1024;
/// Most CAs of a file.
const MAX_ROOTS: usize = 100;

/// Why a certificate is not accepted, and more of it for the log.
type Refused = (Cause, String);

/// Verifies by the CAs that have not ended, until the first of them does.
type Verifier = (Arc<dyn ClientCertVerifier>, Timestamp);

/// The CAs of a file.
pub(super) struct Roots {
    path: PathBuf,
    present: Mutex<Present>,
}

struct Present {
    /// What the file held.
    text: Vec<u8>,
    cas: Vec<(CertificateDer<'static>, Timestamp)>,
    /// `None` where all have ended.
    verifier: Option<Verifier>,
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Roots").field(&self.path).finish()
    }
}

impl Roots {
    /// # Errors
    /// Why the file cannot be used.
    pub(super) fn load(path: PathBuf, now: Timestamp) -> Result<Self, String> {
        let text = read_guarded("file of CAs", &path, MAX_FILE).map_err(|error| error.to_string())?;
        let cas = parse(&text).map_err(|problem| unusable(&path, &problem))?;
        let verifier = verifier(&cas, now).map_err(|problem| unusable(&path, &problem))?;
        Ok(Self { path, present: Mutex::new(Present { text, cas, verifier }) })
    }

    /// Reads the file again; whether it had changed. After an error the CAs are the same as before.
    ///
    /// # Errors
    /// Why the file cannot be used.
    pub(super) fn reload(&self, now: Timestamp) -> Result<bool, String> {
        let text = read_guarded("file of CAs", &self.path, MAX_FILE).map_err(|error| error.to_string())?;
        if self.present().text == text {
            return Ok(false);
        }
        let cas = parse(&text).map_err(|problem| unusable(&self.path, &problem))?;
        let verifier = verifier(&cas, now).map_err(|problem| unusable(&self.path, &problem))?;
        *self.present() = Present { text, cas, verifier };
        Ok(true)
    }

    /// Whether a CA of the file vouches for the leaf, for a client and now. Until when that holds, where no certificate
    /// that was shown ends before.
    pub(super) fn verify(&self, chain: &[CertificateDer<'static>], now: Timestamp) -> Result<Timestamp, Refused> {
        let (leaf, others) = chain.split_first().ok_or((Cause::Malformed, String::new()))?;
        let (verifier, until) =
            self.verifier(now).ok_or_else(|| (Cause::UnknownIssuer, "all CAs have ended".to_owned()))?;
        let seconds = u64::try_from(now.seconds()).unwrap_or(0);
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier.verify_client_cert(leaf, others, at).map_err(|error| (Cause::of(&error), error.to_string()))?;
        Ok(until)
    }

    fn verifier(&self, now: Timestamp) -> Option<Verifier> {
        let mut present = self.present();
        if present.verifier.as_ref().is_some_and(|(_, until)| *until <= now) {
            // They were read before, so that this cannot fail; if it does, nobody is believed.
            present.verifier = verifier(&present.cas, now).ok().flatten();
        }
        present.verifier.clone()
    }

    fn present(&self) -> std::sync::MutexGuard<'_, Present> {
        // Whole values are put in: nothing half done can be seen.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unusable(path: &std::path::Path, problem: &str) -> String {
    format!("the file of CAs {} cannot be used: {problem}", path.display())
}

/// The CAs, with their ends.
fn parse(text: &[u8]) -> Result<Vec<(CertificateDer<'static>, Timestamp)>, String> {
    let mut cas = Vec::new();
    for (number, der) in (1..).zip(CertificateDer::pem_slice_iter(text)) {
        let der = der.map_err(|_| "its PEM is damaged".to_owned())?;
        let wrong = |problem: &str| format!("certificate {number}: {problem}");
        let read = CallerCertificate::read(&der).map_err(|part| wrong(&format!("cannot be read: {part}")))?;
        // A leaf among the roots would let its owner sign certificates for anybody.
        let signs = read.key_usage.is_none_or(|usages| usages.contains(&KeyUsage::KeyCertSign));
        if !read.is_ca || !signs {
            return Err(wrong("it is not that of a CA (CA:TRUE, keyCertSign)"));
        }
        if cas.len() == MAX_ROOTS {
            return Err(format!("it holds more than {MAX_ROOTS} certificates"));
        }
        cas.push((der, read.not_after));
    }
    if cas.is_empty() {
        return Err("it holds no PEM certificate".to_owned());
    }
    Ok(cas)
}

/// `None` where all CAs have ended.
fn verifier(cas: &[(CertificateDer<'static>, Timestamp)], now: Timestamp) -> Result<Option<Verifier>, String> {
    let mut store = RootCertStore::empty();
    let mut until: Option<Timestamp> = None;
    for (der, not_after) in cas.iter().filter(|(_, not_after)| *not_after > now) {
        store.add(der.clone()).map_err(|error| error.to_string())?;
        until = Some(until.map_or(*not_after, |until| until.min(*not_after)));
    }
    let Some(until) = until else { return Ok(None) };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build();
    Ok(Some((built.map_err(|error| error.to_string())?, until)))
}
