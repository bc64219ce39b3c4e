//! What the audit ledger and the audit log say of a request that changes something, reads a secret or uses a key: who did
//! what to which object, and the outcome; the same over both APIs, and nothing from bodies. Lines of the log have the
//! target `certmint::audit`, so that they can be filtered.

use super::listener::ConnectionInfo;
use crate::domain::text::readable;
use crate::domain::{DataAction, Detail, Error, Reason, Version};
use crate::proto::{ContractMethod, methods};
use crate::service::{Asks, Decision, Facts, Scope, SecretView};
use http::{HeaderValue, Method};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Characters of what a client calls its request.
const MAX_CLIENT_ID: usize = 100;

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
    /// Whom the client certificate of the connection names, where the caller is known by a token.
    pub(super) beside: Option<Arc<str>>,
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
    /// What callers need for it, where it is known.
    pub(super) needs: Option<DataAction>,
}

/// What is known of a request from its beginning.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    /// `rest` or `grpc`.
    pub(super) face: &'static str,
    /// The effective one of a REST request.
    pub(super) method: Method,
    pub(super) origin: Option<Origin>,
    /// What the client calls its request.
    pub(super) client_request_id: Option<HeaderValue>,
}

/// A request as the ledger knows it: what is put into `record` by the time of a commit, the commit's line has. `asks` is
/// asked with what callers need for it.
pub(super) fn scope(
    asks: impl Fn(Option<DataAction>) -> Asks + Send + Sync + 'static,
    envelope: Envelope,
    record: &Arc<Mutex<AuditRecord>>,
) -> Arc<Scope> {
    let (known, filled) = (record.clone(), record.clone());
    Scope::request(
        move || asks(known.lock().unwrap_or_else(PoisonError::into_inner).needs),
        move || filled.lock().unwrap_or_else(PoisonError::into_inner).facts(&envelope),
    )
}

/// What a request is to the ledger. A backup holds the private key, if only sealed.
pub(super) fn asks(needs: Option<DataAction>, changes: bool) -> Asks {
    use DataAction as A;
    match needs {
        Some(
            A::SecretsGet
            | A::KeysSign
            | A::KeysVerify
            | A::KeysEncrypt
            | A::KeysDecrypt
            | A::KeysWrap
            | A::KeysUnwrap
            | A::CertificatesBackup,
        ) => Asks::Material,
        _ if changes => Asks::Change,
        _ => Asks::Read,
    }
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
            beside: None,
            vault: String::new(),
            name: String::new(),
            action: "none",
            version: None,
            with_key: None,
            right: AuditedRight::default(),
            needs: None,
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

    /// The same for the ledger.
    fn facts(&self, envelope: &Envelope) -> Facts {
        let Self { principal, beside, vault, name, action, version, with_key, right, needs } = self;
        let Envelope { face, method, origin, client_request_id } = envelope;
        let (decision, grant) = right.words();
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        // A header of the caller's: of bounded length, and without what is invisible.
        let client_request_id = client_request_id.as_ref().and_then(|id| id.to_str().ok());
        let client_request_id = client_request_id.map(|id| readable(id, MAX_CLIENT_ID)).unwrap_or_default();
        Facts {
            principal: principal.to_string(),
            auth: principal.split_once(':').map_or(&**principal, |(kind, _)| kind).to_owned(),
            certificate: text(beside.as_deref()),
            peer: origin.map(|origin| origin.peer.to_string()).unwrap_or_default(),
            face: (*face).to_owned(),
            action: text(needs.map(DataAction::text)),
            operation: operation(face, method.as_str(), action),
            vault: vault.clone(),
            name: name.clone(),
            version: version.map(|version| version.to_string()).unwrap_or_default(),
            decision: text(decision),
            grant: text(grant),
            with_key: *with_key,
            client_request_id,
            ..Facts::default()
        }
    }

    /// Whether it is recorded although it may only read; `None` where nobody is known who asked.
    pub(super) fn is_news(&self) -> Option<bool> {
        (!self.principal.is_empty()).then(|| self.right.is_told())
    }

    /// Writes the line. Unauthenticated requests write none: they had no effect, and anyone can send many.
    pub(super) fn tell(&self, api: &str, method: &str, connection: Option<Origin>, outcome: &str) {
        let Self { principal, beside, vault, name, action, version, with_key, right, needs: _ } = self;
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
            principal = &**principal, certificate = beside.as_deref(), api, method, action, vault, name, version, with_key, decision, grant, outcome, peer,
            connection,
            "A caller asked for a change, a secret or a key"
        );
    }
}

/// The method of the contract that a route has, else its verb and its template.
fn operation(face: &str, method: &str, action: &'static str) -> String {
    static METHODS: OnceLock<HashMap<String, String>> = OnceLock::new();
    if face == "grpc" {
        return action.to_owned();
    }
    let route = format!("{} {action}", method.get(..20).unwrap_or(method));
    let known = METHODS.get_or_init(|| {
        let of = |ContractMethod { name, rest, .. }: ContractMethod| {
            let path = name.rsplit_once('.').map(|(service, method)| format!("{service}/{method}")).unwrap_or_default();
            rest.into_iter().map(move |route| (route, path.clone()))
        };
        methods().into_iter().flat_map(of).collect()
    });
    known.get(&route).cloned().unwrap_or(route)
}
