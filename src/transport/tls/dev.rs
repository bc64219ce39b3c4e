//! The CA of a development server: two files in its folder, created at the first start.

use super::{TlsError, read};
use der::{DecodePem, Encode};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";
const CA_LIFE: Duration = Duration::days(3650);
const LEAF_LIFE: Duration = Duration::days(89);
/// Clocks of clients in containers and virtual machines run behind by minutes.
const SLACK: Duration = Duration::minutes(10);

/// A CA for the server's own TLS certificate in development (P-256, self-signed).
///
/// It has nothing to do with the certificates that the service issues.
pub struct DevCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    path: PathBuf,
    not_after: OffsetDateTime,
}

impl DevCa {
    /// Reads `ca.pem` and `ca-key.pem` (mode 0600) from `folder`, or makes them, and the folder, for ten years.
    ///
    /// Refuses a key that group or others may use, a certificate that is not the key's, and one that is over at `now`.
    pub fn load_or_create(folder: &Path, now: OffsetDateTime) -> Result<Self, TlsError> {
        let (path, key_path) = (folder.join(CERTIFICATE), folder.join(KEY));
        fs::create_dir_all(folder).map_err(|source| TlsError::Write { path: folder.to_owned(), source })?;
        if !exists(&key_path)? {
            let certified = exists(&path)?;
            // Another process that starts at the same time makes the key first, so it is looked for last.
            if certified && !exists(&key_path)? {
                return Err(TlsError::UnusableCa { path, problem: "its key, ca-key.pem, is missing" });
            }
            if !certified {
                let key = Zeroizing::new(KeyPair::generate()?.serialize_pem());
                write_new(&key_path, key.as_bytes(), 0o600)?;
            }
        }
        let key = load_key(&key_path)?;
        let params = authority(&key, now);
        // A start that ended between the two files left a key without a certificate.
        if !exists(&path)? {
            write_new(&path, params.self_signed(&key)?.pem().as_bytes(), 0o644)?;
        }
        let pem = String::from_utf8_lossy(&read(&path)?).into_owned();
        let not_after = check(&pem, &key, &params, now).map_err(|problem| match problem {
            None => TlsError::NotPem { path: path.clone(), what: "certificate" },
            Some(problem) => TlsError::UnusableCa { path: path.clone(), problem },
        })?;
        Ok(Self { issuer: Issuer::new(params, key), pem, path, not_after })
    }

    /// The CA's certificate, for clients to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The file with the CA's certificate.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A fresh key and a TLS server certificate for these names and addresses: 89 days from `now`, never beyond the
    /// CA's own end. Answers that end too.
    pub fn issue(
        &self,
        names: &[String],
        now: OffsetDateTime,
    ) -> Result<(Arc<CertifiedKey>, OffsetDateTime), TlsError> {
        let not_after = self.not_after.min(now + LEAF_LIFE);
        let mut params = CertificateParams::new(names)?;
        params.not_before = now - SLACK;
        params.not_after = not_after;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "certmint development server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Ok((Arc::new(CertifiedKey::from_der(chain, key, &provider)?), not_after))
    }
}

impl fmt::Debug for DevCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevCa").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The CA's certificate but for its dates follows from its key alone, so that it can be told from another's.
fn authority(key: &KeyPair, now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    // The name tells CAs of several folders apart in one trust store.
    let id: String = params.key_identifier(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("certmint development CA {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - SLACK;
    params.not_after = now + CA_LIFE;
    params
}

/// The end of the CA's certificate, or what is wrong with it; `None` when it is no certificate at all.
fn check(
    pem: &str,
    key: &KeyPair,
    params: &CertificateParams,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, Option<&'static str>> {
    let stored = x509_cert::Certificate::from_pem(pem).map_err(|_| None)?;
    let own = params.self_signed(key).map_err(|_| Some("its key cannot sign"))?;
    let own = <x509_cert::Certificate as der::Decode>::from_der(own.der()).map_err(|_| Some("its key cannot sign"))?;
    let (stored, own) = (stored.tbs_certificate(), own.tbs_certificate());
    if stored.subject_public_key_info().to_der().ok() != own.subject_public_key_info().to_der().ok() {
        return Err(Some("it does not belong to the key in ca-key.pem"));
    }
    if stored.subject() != own.subject() {
        return Err(Some("it was not made by this program"));
    }
    let not_after = stored.validity().not_after.to_unix_duration().as_secs();
    let not_after = i64::try_from(not_after).ok().and_then(|end| OffsetDateTime::from_unix_timestamp(end).ok());
    not_after.filter(|end| *end > now).ok_or(Some("it has expired"))
}

fn load_key(path: &Path) -> Result<KeyPair, TlsError> {
    let metadata = fs::metadata(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TlsError::Exposed { path: path.to_owned(), mode });
    }
    let bytes = Zeroizing::new(read(path)?);
    let not_pem = || TlsError::NotPem { path: path.to_owned(), what: "private key" };
    KeyPair::from_pem(std::str::from_utf8(&bytes).map_err(|_| not_pem())?).map_err(|_| not_pem())
}

fn exists(path: &Path) -> Result<bool, TlsError> {
    path.try_exists().map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// Writes the whole file or none: a crash must not leave half a key behind. Never replaces a file that another
/// process made meanwhile: whoever was later reads what is there.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TlsError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A name of its own, so that nobody else writes to it.
    let part = folder.join(format!(".dev-ca-{}.part", uuid::Uuid::new_v4().simple()));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::hard_link(&part, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // A process that found `path` complete has removed ours as a leftover.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => Ok(()),
            // Some file systems have no links.
            Err(_) if !path.exists() => fs::rename(&part, path),
            other => other,
        }
    };
    let made = write();
    let removed = match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let synced = made.and(removed).and_then(|()| fs::File::open(folder)?.sync_all());
    synced.map_err(|source| TlsError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> OffsetDateTime {
        time::macros::datetime!(2026-11-23 12:00 UTC)
    }

    #[test]
    fn the_files_are_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("data");
        let made = DevCa::load_or_create(&folder, now()).unwrap();
        let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(KEY), 0o600);
        let read = DevCa::load_or_create(&folder, now() + Duration::days(365)).unwrap();
        assert_eq!(made.pem(), read.pem());
        assert_eq!(made.not_after, read.not_after);
        assert!(!format!("{read:?}").contains("PRIVATE"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "no partial files stay");
    }

    #[test]
    fn processes_that_start_at_once_have_the_same_authority() {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let made: Vec<String> = std::thread::scope(|scope| {
                let start = || DevCa::load_or_create(folder.path(), now()).unwrap().pem().to_owned();
                let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            assert!(made.iter().all(|pem| *pem == made[0]));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no partial files stay");
        }
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        DevCa::load_or_create(folder.path(), now()).unwrap();
        let key = folder.path().join(KEY);
        for mode in [0o640, 0o604, 0o602, 0o610] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            let message = DevCa::load_or_create(folder.path(), now()).unwrap_err().to_string();
            assert!(message.ends_with(&format!("run: chmod 600 {}", key.display())), "{message}");
        }
    }

    #[test]
    fn a_certificate_without_its_key_of_another_key_or_expired_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        DevCa::load_or_create(one.path(), now()).unwrap();
        DevCa::load_or_create(other.path(), now()).unwrap();
        let problem = |at| DevCa::load_or_create(one.path(), at).unwrap_err().to_string();
        assert!(problem(now() + Duration::days(3651)).contains("it has expired"));
        let own = fs::read(one.path().join(CERTIFICATE)).unwrap();
        fs::copy(other.path().join(CERTIFICATE), one.path().join(CERTIFICATE)).unwrap();
        assert!(problem(now()).contains("does not belong to the key"));
        fs::write(one.path().join(CERTIFICATE), "hello").unwrap();
        assert!(problem(now()).contains("contains no PEM certificate"));
        fs::write(one.path().join(CERTIFICATE), own).unwrap();
        fs::remove_file(one.path().join(KEY)).unwrap();
        assert!(problem(now()).contains("is missing"));
    }

    #[test]
    fn a_start_that_ended_between_the_two_files_is_finished_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        DevCa::load_or_create(folder.path(), now()).unwrap();
        fs::remove_file(folder.path().join(CERTIFICATE)).unwrap();
        let ca = DevCa::load_or_create(folder.path(), now()).unwrap();
        assert!(ca.pem().starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn a_server_certificate_never_outlives_its_ca() {
        let folder = tempfile::tempdir().unwrap();
        let ca = DevCa::load_or_create(folder.path(), now()).unwrap();
        let names = ["localhost".to_owned()];
        assert_eq!(ca.issue(&names, now()).unwrap().1, now() + LEAF_LIFE);
        assert_eq!(ca.issue(&names, now() + Duration::days(3600)).unwrap().1, ca.not_after);
    }
}
