//! The error type of the domain. `transport` maps it to each API.

use std::fmt;
use std::time::Duration;

/// Why a request was refused. The names are those of `certmint.v1.ErrorReason`; `docs/errors.md`
/// has the gRPC code, the HTTP status and the Azure code of each.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    BadParameter,
    Unauthenticated,
    /// They were good when the stream was opened.
    CredentialsExpired,
    CertificateNotFound,
    PendingNotFound,
    IssuerNotFound,
    ContactsNotFound,
    VaultNotFound,
    PendingInProgress,
    PendingNotInProgress,
    MergeForbidden,
    MergeKeyMismatch,
    AlreadyExists,
    RequestIdReused,
    /// The body of a request, or the message of a call, is above the limit.
    MessageTooLarge,
    DeletedButRecoverable,
    PurgeProtected,
    Throttled,
    WatchLimitExceeded,
    ResumeTokenExpired,
    ServerDraining,
    WatchMaxAge,
    StoreUnavailable,
    /// The caller's own deadline passed.
    DeadlineExceeded,
    NotSupported,
    Internal,
    SecretNotFound,
    KeyNotFound,
    SecretDisabled,
    /// The records of a certificate are being removed.
    BeingDeleted,
    /// A backup that cannot be read.
    MalformedBackup,
    KeyDisabled,
    /// The key's usage, or its time, does not allow it.
    KeyOperationForbidden,
    /// The CA of an issuer does not answer, or not now.
    IssuerUnavailable,
    /// Operations are open at an issuer.
    IssuerInUse,
    /// No grant of the caller allows it.
    AccessDenied,
    /// A grant allows the action, but not what is requested.
    RequestNotAllowed,
    /// They were enough when the stream was opened.
    AccessChanged,
    GrantNotFound,
    RoleNotFound,
    /// A grant or role that was not made through the API.
    NotChangeable,
    /// There are grants of it.
    RoleInUse,
    GrantLimitExceeded,
    /// The keys of an issuer of tokens are not available, so a token cannot be checked.
    IdentityUnavailable,
    /// The audit record of the request cannot be written.
    AuditUnavailable,
    /// Records cannot be brought under the newest master key now.
    ResealNotPossible,
    WebhookNotFound,
}

/// What a program can read of an error beside its reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Detail {
    /// A field of the request, by its Key Vault path (`policy.x509_props.subject`), and what is wrong with it.
    Field { path: String, problem: String },
    /// What the request was about: `certificate`, `pending`, `issuer`, `vault`, `grant` or
    /// `role`, and its name.
    Resource { kind: &'static str, name: String },
    /// The state that stood in the way.
    Precondition { kind: &'static str, subject: String, description: String },
    /// The limit that was reached.
    Quota { subject: String, description: String },
    /// A further fact, such as the `request_id` that is in progress.
    Fact { key: &'static str, value: String },
}

/// A refusal or a failure, in words for the caller. It never holds a secret; a cause that is not
/// the caller's business goes to the log where it is handled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    pub reason: Reason,
    pub message: String,
    pub details: Vec<Detail>,
    /// When a repeat makes sense, if waiting is the cure.
    pub retry_after: Option<Duration>,
}

impl Error {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), details: Vec::new(), retry_after: None }
    }

    /// A bad value of one field. `path` is the Key Vault name, e.g. `policy.key_props.key_size`.
    pub fn field(path: impl Into<String>, problem: impl Into<String>) -> Self {
        let (path, problem) = (path.into(), problem.into());
        Self::new(Reason::BadParameter, format!("Property {path} has invalid value. {problem}"))
            .with(Detail::Field { path, problem })
    }

    /// A request that is wrong as a whole.
    pub fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(Reason::BadParameter, message)
    }

    /// A defect of the server. The message says no more than that; the cause belongs in the log.
    pub fn internal() -> Self {
        Self::new(Reason::Internal, "The server failed to handle the request. The log of the server has the cause.")
    }

    #[must_use]
    pub fn with(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// The same in the words of another form of the request: each field of the first name has the second one there.
    #[must_use]
    pub fn renamed(mut self, names: &[(&str, &str)]) -> Self {
        for detail in &mut self.details {
            let Detail::Field { path, .. } = detail else { continue };
            let Some((_, name)) = names.iter().find(|(own, _)| own == path) else { continue };
            self.message = self.message.replacen(&format!("Property {path} "), &format!("Property {name} "), 1);
            (*name).clone_into(path);
        }
        self
    }

    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
