//! `[[auth.spiffe]]`, `[[auth.x509]]` and `[auth.client_certificates]`: whose client certificates are accepted.

use crate::domain::duration;
use crate::limits::positive;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A SPIFFE trust domain whose workloads may call with their X.509-SVIDs. Its callers are the principals
/// `spiffe://TRUST-DOMAIN/PATH`. [access.md](access.md#client-certificates) has an example.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpiffeOptions {
    /// The trust domain: lower case, without `spiffe://`. Only the CAs of this section may speak for it. Required.
    pub trust_domain: String,
    /// The CAs of the trust domain (PEM), as `spire-server bundle show` prints them. Only its owner may be able to write
    /// it. Reloaded when it changes. A relative path begins at the folder of the configuration file. Required.
    pub roots_file: PathBuf,
}

/// CAs whose client certificates are accepted. Their callers are the principals `x509:NAME:ID`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct X509Options {
    /// What the CAs are called in principals: up to 32 of `a` to `z`, `0` to `9` and `-`. Required.
    pub name: String,
    /// The CAs (PEM). Certificates that are not those of a CA are refused. Only its owner may be able to write it. Reloaded
    /// when it changes. A relative path begins at the folder of the configuration file. Required.
    pub roots_file: PathBuf,
    /// What of a certificate is the ID of the principal: `uri`, `dns` or `email`, an alternative name of which there has to
    /// be exactly one, or `subject`, the whole subject as RFC 4514 writes it. Never a common name alone. Required.
    pub principal: CertificateUse,
    /// Which IDs are accepted: whole ones, and `*.clients.example`, `*@clients.example` and `https://clients.example/*`.
    /// Where a certificate has several names of the kind, exactly one of them has to be accepted here. Default every one.
    #[serde(default)]
    pub allow: Vec<String>,
}

/// What a caller is known by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateUse {
    Uri,
    Dns,
    Email,
    Subject,
}

/// Limits on client certificates. They are asked for only where there is an `[[auth.spiffe]]` or `[[auth.x509]]`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateOptions {
    /// Certificates in the chain that a client shows; with more the handshake fails. Default 8.
    #[serde(deserialize_with = "positive")]
    pub max_certificates: usize,
    /// Their size together, in bytes; each open connection may hold as much. Default 8 KiB.
    #[serde(deserialize_with = "positive")]
    pub max_bytes: usize,
    /// After this time a certificate is looked at again, on a connection that stays open and for streams: whether a
    /// built-in CA has revoked it meanwhile. Changed files and the end of its validity count at once. Default 30 s.
    #[serde(with = "duration")]
    pub check_every: Duration,
}

impl Default for CertificateOptions {
    fn default() -> Self {
        Self { max_certificates: 8, max_bytes: 8 * 1024, check_every: Duration::from_secs(30) }
    }
}

impl SpiffeOptions {
    /// Makes a relative path begin at this folder.
    pub fn begin_at(&mut self, folder: &Path) {
        self.roots_file = folder.join(&self.roots_file);
    }
}

impl X509Options {
    /// Makes a relative path begin at this folder.
    pub fn begin_at(&mut self, folder: &Path) {
        self.roots_file = folder.join(&self.roots_file);
    }
}
