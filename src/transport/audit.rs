//! The audit log: one line for each request that changes something, reads a secret or uses a key: who did what to which
//! object, and the outcome. Lines have the target `certmint::audit`, so that they can be filtered, and are the same
//! over both APIs. They contain nothing from bodies.

use super::listener::ConnectionInfo;
use crate::domain::{Detail, Error, Version};
use crate::service::SecretView;

/// What a request turned out to be about. Texts are empty until they are known.
#[derive(Clone, Debug)]
pub(super) struct AuditRecord {
    pub(super) principal: String,
    pub(super) vault: String,
    /// Of the certificate or the issuer, where it is one.
    pub(super) name: String,
    /// The template of a path, or the name of a method; never a text of the caller.
    pub(super) action: &'static str,
    /// Of a secret or a key: the one that was asked for, then the one that it turned out to be.
    pub(super) version: Option<Version>,
    /// Whether the secret that was read had the private key in it.
    pub(super) with_key: Option<bool>,
}

impl Default for AuditRecord {
    fn default() -> Self {
        let (principal, vault, name) = (String::new(), String::new(), String::new());
        Self { principal, vault, name, action: "none", version: None, with_key: None }
    }
}

impl AuditRecord {
    /// A secret leaves.
    pub(super) fn secret(&mut self, view: &SecretView) {
        (self.version, self.with_key) = (Some(view.certificate.version), Some(view.certificate.exportable));
    }

    /// What could not be restored: a backup names its certificate only when it was opened.
    pub(super) fn not_restored(&mut self, refusal: &Error) {
        let named = refusal.details.iter().find_map(|detail| match detail {
            Detail::Resource { kind: "certificate", name } => Some(name),
            _ => None,
        });
        self.name = named.cloned().unwrap_or_default();
    }

    /// Writes the line. Unauthenticated requests write none: they had no effect, and anyone can send many.
    pub(super) fn tell(&self, api: &str, method: &str, connection: Option<&ConnectionInfo>, outcome: &str) {
        let Self { principal, vault, name, action, version, with_key } = self;
        if principal.is_empty() {
            return;
        }
        let (connection, peer) =
            connection.map_or((0, String::new()), |connection| (connection.id, connection.peer.to_string()));
        // A method may be any word of the caller's, but HTTP allows no control characters in it.
        let method = method.get(..20).unwrap_or(method);
        let version = version.map(|version| version.to_string());
        tracing::info!(
            target: "certmint::audit",
            principal, api, method, action, vault, name, version, with_key, outcome, peer, connection,
            "A caller asked for a change, a secret or a key"
        );
    }
}
