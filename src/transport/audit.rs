//! The audit log: one line for each request that changes something, reads a secret or uses a key: who did what to which
//! object, and the outcome. Lines have the target `certmint::audit`, so that they can be filtered, and are the same
//! over both APIs. They contain nothing from bodies.

use super::listener::ConnectionInfo;
use crate::domain::{Detail, Error, Reason, Version};
use crate::service::{Decision, SecretView};
use std::net::SocketAddr;
use std::sync::Arc;

/// The connection of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    id: u64,
    peer: SocketAddr,
}

impl Origin {
    pub(super) fn of(connection: &ConnectionInfo) -> Self {
        Self { id: connection.id, peer: connection.peer }
    }

    /// The number of the connection.
    pub(super) fn connection(self) -> u64 {
        self.id
    }
}

/// What a request turned out to be about. Texts are empty until they are known.
#[derive(Clone, Debug)]
pub(super) struct AuditRecord {
    pub(super) principal: Arc<str>,
    pub(super) vault: String,
    /// Of the certificate or the issuer, where it is one.
    pub(super) name: String,
    /// The template of a path, or the name of a method; never a text of the caller.
    pub(super) action: &'static str,
    /// Of a secret or a key: the one that was asked for, then the one that it turned out to be.
    pub(super) version: Option<Version>,
    /// Whether the secret that was read had the private key in it.
    pub(super) with_key: Option<bool>,
    pub(super) right: AuditedRight,
}

/// How the request was decided.
#[derive(Clone, Debug, Default)]
pub(super) enum AuditedRight {
    /// Nobody is checked, or the request did not come so far.
    #[default]
    Unasked,
    /// By the grant of this id.
    Allowed(String),
    Denied,
    /// It was let through, because refusals are only written down.
    WouldDeny {
        /// Whether there was none like it within the last minute.
        is_new: bool,
    },
}

impl AuditedRight {
    /// Of a request that was allowed.
    pub(super) fn of(decision: Decision<'_>) -> Self {
        match decision {
            Decision::Open => Self::Unasked,
            Decision::Allowed(grant) => Self::Allowed(grant.to_owned()),
            Decision::WouldDeny { is_new } => Self::WouldDeny { is_new },
        }
    }

    /// Whether a request leaves a line that leaves none otherwise.
    pub(super) fn is_told(&self) -> bool {
        matches!(self, Self::Denied | Self::WouldDeny { is_new: true })
    }

    fn words(&self) -> (Option<&'static str>, Option<&str>) {
        match self {
            Self::Unasked => (None, None),
            Self::Allowed(grant) => (Some("allow"), Some(grant)),
            Self::Denied => (Some("deny"), None),
            Self::WouldDeny { .. } => (Some("would_deny"), None),
        }
    }
}

impl Default for AuditRecord {
    fn default() -> Self {
        Self {
            principal: "".into(),
            vault: String::new(),
            name: String::new(),
            action: "none",
            version: None,
            with_key: None,
            right: AuditedRight::default(),
        }
    }
}

impl AuditRecord {
    /// A secret leaves.
    pub(super) fn secret(&mut self, view: &SecretView) {
        (self.version, self.with_key) = (Some(view.certificate.version), Some(view.certificate.exportable));
    }

    /// How the request was refused: for want of a grant or by a rule, which may be after its action was allowed, or for
    /// another reason.
    pub(super) fn refused(&mut self, reason: Reason) {
        if matches!(reason, Reason::AccessDenied | Reason::RequestNotAllowed) {
            self.right = AuditedRight::Denied;
        }
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
    pub(super) fn tell(&self, api: &str, method: &str, connection: Option<Origin>, outcome: &str) {
        let Self { principal, vault, name, action, version, with_key, right } = self;
        if principal.is_empty() {
            return;
        }
        let (connection, peer) = connection.map_or((0, String::new()), |Origin { id, peer }| (id, peer.to_string()));
        let (decision, grant) = right.words();
        // A method may be any word of the caller's, but HTTP allows no control characters in it.
        let method = method.get(..20).unwrap_or(method);
        let version = version.map(|version| version.to_string());
        tracing::info!(
            target: "certmint::audit",
            principal = &**principal, api, method, action, vault, name, version, with_key, decision, grant, outcome, peer,
            connection,
            "A caller asked for a change, a secret or a key"
        );
    }
}
