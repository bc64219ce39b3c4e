//! The table that maps each error to both APIs. It is looked up by reason, never by gRPC code, since one gRPC code maps
//! to several HTTP statuses. `docs/errors.md` has the same table for people, written from this one.

use crate::domain::Reason;
use crate::proto::v1::ErrorReason;
use http::StatusCode;
use tonic::Code;

/// What one reason is called on the wires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    contract: ErrorReason,
    pub code: Code,
    pub http: StatusCode,
    /// `error.code` of the REST body.
    pub azure: &'static str,
    /// `error.innererror.code` of the REST body, if there is one.
    pub inner: Option<&'static str>,
    /// When it is answered, for the page.
    pub when: &'static str,
    /// What the caller can do, for the page.
    pub cure: &'static str,
}

impl Row {
    /// `reason` of `google.rpc.ErrorInfo`: the name of the value of `certmint.v1.ErrorReason` without its prefix.
    pub fn wire(&self) -> &'static str {
        let name = self.contract.as_str_name();
        name.strip_prefix("ERROR_REASON_").unwrap_or(name)
    }
}

macro_rules! inner {
    () => {
        None
    };
    ($inner:literal) => {
        Some($inner)
    };
}

/// `REASON = gRPC code, HTTP status, Azure code [/ inner Azure code]; when; what to do;`. A reason that has no line does
/// not compile, nor one that the contract does not know.
macro_rules! errors {
    ($($reason:ident = $code:ident, $http:ident, $azure:literal $(/ $inner:literal)?; $when:literal; $cure:literal;)*) => {
        /// The row of a reason.
        pub fn row(reason: Reason) -> &'static Row {
            match reason {
                $(Reason::$reason => {
                    static ROW: Row = Row {
                        contract: ErrorReason::$reason,
                        code: Code::$code,
                        http: StatusCode::$http,
                        azure: $azure,
                        inner: inner!($($inner)?),
                        when: $when,
                        cure: $cure,
                    };
                    &ROW
                })*
            }
        }

        /// Every reason, in the order of the page.
        #[cfg(test)]
        const ALL: &[Reason] = &[$(Reason::$reason),*];
    };
}

errors! {
    BadParameter = InvalidArgument, BAD_REQUEST, "BadParameter";
    "a name, a member of the body or a parameter is wrong";
    "correct what the message names";
    Unauthenticated = Unauthenticated, UNAUTHORIZED, "Unauthorized";
    "no bearer token, or one that is not accepted (the message tells an expired one, a wrong audience and a wrong issuer apart); with `WWW-Authenticate`";
    "send a token; the Azure SDKs do so after the challenge";
    CredentialsExpired = Unauthenticated, UNAUTHORIZED, "Unauthorized";
    "the token of a stream is no longer accepted, or expired more than 60 s ago";
    "open the stream again with another token and resume with the last resume token";
    CertificateNotFound = NotFound, NOT_FOUND, "CertificateNotFound";
    "no certificate of that name, or no such version";
    "check vault (the host), name and version";
    PendingNotFound = NotFound, NOT_FOUND, "PendingCertificateNotFound";
    "no pending operation: never made, deleted, overwritten, or `request_id` names another one";
    "read it without `request_id`, or create again";
    IssuerNotFound = NotFound, NOT_FOUND, "CertificateIssuerNotFound";
    "no issuer of that name; or, for `/ca`, one without a CA on this server";
    "list the issuers";
    ContactsNotFound = NotFound, NOT_FOUND, "ContactsNotFound";
    "the vault has no contacts";
    "set them";
    VaultNotFound = NotFound, NOT_FOUND, "VaultNotFound";
    "no vault of that name, if the server does not create vaults on demand";
    "`certmint vault list`; check the host; `certmint vault create`";
    PendingInProgress = Aborted, CONFLICT, "Forbidden";
    "create or import while a pending operation is in progress";
    "wait, merge it, or delete it";
    // 400 in the document, 403 in today's Azure (contract section 13).
    PendingNotInProgress = FailedPrecondition, BAD_REQUEST, "BadParameter";
    "cancel or merge of an operation that has ended";
    "read how it ended; create a new version";
    MergeForbidden = FailedPrecondition, FORBIDDEN, "Forbidden";
    "merge while the operation is with an issuer";
    "wait, or cancel first";
    MergeKeyMismatch = InvalidArgument, BAD_REQUEST, "BadParameter";
    "the merged certificate has another key than the request, or the imported one another than the key beside it";
    "merge what was issued for the `csr` of this operation";
    AlreadyExists = AlreadyExists, CONFLICT, "Conflict";
    "restore over a name that is in use; creation of an existing vault";
    "restore into another vault, or delete and purge what has the name";
    RequestIdReused = AlreadyExists, CONFLICT, "Conflict";
    "a `request_id` that was used for another create";
    "choose a new one";
    MessageTooLarge = ResourceExhausted, PAYLOAD_TOO_LARGE, "RequestBodyTooLarge";
    "the body, or the message of a call, has more than 1 MiB; for a restore, more than a 3 MiB backup needs";
    "send less; the limits are `limits.request_body_bytes` and `limits.backup_bytes`";
    DeletedButRecoverable = FailedPrecondition, CONFLICT, "Conflict" / "ObjectIsDeletedButRecoverable";
    "create, import or restore under the name of a deleted certificate";
    "recover it, or purge it first";
    PurgeProtected = FailedPrecondition, FORBIDDEN, "Forbidden";
    "purge in a vault that forbids it";
    "wait until the retention is over";
    Throttled = ResourceExhausted, TOO_MANY_REQUESTS, "Throttled";
    "too many key requests are waiting, from this caller or in total, or the work would miss the deadline of the request; or the caller asks more often than `access.per_caller` allows; or a vault has as many reports of installations as it takes; or there are as many webhooks as may be";
    "repeat after `Retry-After`; the limits are `limits.key_queue_time`, `limits.key_queue_share`, `limits.key_queue`, `access.per_caller`, `vaults.installations`, `webhooks.per_vault` and `webhooks.total`";
    WatchLimitExceeded = ResourceExhausted, TOO_MANY_REQUESTS, "Throttled";
    "too many watch streams of the connection, the caller or the server";
    "watch many certificates on one stream";
    ResumeTokenExpired = OutOfRange, GONE, "ResumeTokenExpired";
    "the log no longer reaches back to the token, or it belongs to another server";
    "watch again without a token";
    ServerDraining = Unavailable, SERVICE_UNAVAILABLE, "ServiceUnavailable";
    "the server is shutting down";
    "connect again and resume with the last token";
    WatchMaxAge = Unavailable, SERVICE_UNAVAILABLE, "ServiceUnavailable";
    "a stream reached its maximum age";
    "connect again and resume with the last token";
    StoreUnavailable = Unavailable, SERVICE_UNAVAILABLE, "ServiceUnavailable";
    "the database cannot be reached, is busy, or its disk is full";
    "repeat after `Retry-After`. Nothing was stored, unless a connection to PostgreSQL broke during the commit: a repeat with the same `request_id` is safe";
    DeadlineExceeded = DeadlineExceeded, GATEWAY_TIMEOUT, "GatewayTimeout";
    "the caller's own deadline passed, or `limits.request_timeout`";
    "use a longer one, or none for a watch";
    NotSupported = Unimplemented, NOT_IMPLEMENTED, "NotSupported";
    "a method, or a compression, that this server does not offer";
    "reflection lists the methods";
    Internal = Internal, INTERNAL_SERVER_ERROR, "InternalServerError";
    "an internal error, or a record that was changed, moved or removed in the database; the message names it";
    "the log has the cause; `x-ms-request-id` identifies the response; `certmint doctor --store` lists such records";
    SecretNotFound = NotFound, NOT_FOUND, "SecretNotFound";
    "the secret view of a certificate that does not exist, or was never completed";
    "check vault (the host), name and version";
    KeyNotFound = NotFound, NOT_FOUND, "KeyNotFound";
    "the same for the key view";
    "check vault (the host), name and version";
    SecretDisabled = FailedPrecondition, FORBIDDEN, "Forbidden" / "SecretDisabled";
    "the version is disabled";
    "enable the certificate";
    BeingDeleted = Aborted, CONFLICT, "Conflict" / "ObjectIsBeingDeleted";
    "the records of a certificate of that name are being removed, or a restore is writing them";
    "repeat after `Retry-After`";
    MalformedBackup = InvalidArgument, BAD_REQUEST, "Malformed backup blob";
    "a backup that is damaged, or was encrypted with a master key that this server does not have";
    "use another copy, or add that master key to the server";
    KeyDisabled = FailedPrecondition, FORBIDDEN, "Forbidden" / "KeyDisabled";
    "the version is disabled";
    "enable the certificate";
    KeyOperationForbidden = FailedPrecondition, FORBIDDEN, "Forbidden" / "KeyOperationForbidden";
    "the key usage does not allow the operation, or the certificate is not yet or no longer valid";
    "look at `key_ops`; use a version that is valid";
    IssuerUnavailable = Unavailable, SERVICE_UNAVAILABLE, "ServiceUnavailable";
    "a command for the account of an issuer, and its CA does not answer or cannot do it now";
    "repeat it; `certmint issuer check` says more";
    IssuerInUse = FailedPrecondition, CONFLICT, "Conflict";
    "`DeleteIssuer` with `only_if_idle`, or a change of the provider, while operations are open at the issuer; a further CA for an issuer that has one that is requested or next";
    "cancel them, wait, or delete it anyway (`--force`); activate or retire that CA";
    AccessDenied = PermissionDenied, FORBIDDEN, "Forbidden" / "ForbiddenByRbac";
    "no grant of the caller allows it; it says nothing about whether the object exists";
    "ask an administrator for a grant: the message has the principal, the action and the resource ([access.md](access.md))";
    RequestNotAllowed = PermissionDenied, FORBIDDEN, "Forbidden" / "ForbiddenByPolicy";
    "a grant allows the action, but not what is requested";
    "request what the message says is allowed";
    AccessChanged = PermissionDenied, FORBIDDEN, "Forbidden" / "ForbiddenByRbac";
    "ends a stream that shows more than its caller may see now";
    "open it again; what is still allowed is shown";
    GrantNotFound = NotFound, NOT_FOUND, "RoleAssignmentNotFound";
    "no grant of that id, or one that the caller may not know of";
    "list the grants";
    RoleNotFound = NotFound, NOT_FOUND, "RoleDefinitionDoesNotExist";
    "no role of that name or id";
    "list the roles";
    NotChangeable = FailedPrecondition, CONFLICT, "Conflict";
    "a change of a grant or role of the configuration or its file, or of a role that every server has";
    "change the file; make a role of another name";
    RoleInUse = FailedPrecondition, CONFLICT, "RoleDefinitionHasAssignments";
    "deletion of a role of which there are grants";
    "revoke them first";
    GrantLimitExceeded = ResourceExhausted, CONFLICT, "RoleAssignmentLimitExceeded";
    "a grant or role beyond `access.stored_grants`, `access.stored_grants_bytes` or `access.stored_roles`, or the 501st of one principal";
    "revoke what is not needed; write several names into one grant";
    IdentityUnavailable = Unavailable, SERVICE_UNAVAILABLE, "ServiceUnavailable";
    "the keys of the issuer of the token cannot be read: none are known, or not the one of the token, which may be new";
    "repeat after `Retry-After`; the token may be good. The log of the server says what fails";
    AuditUnavailable = Unavailable, SERVICE_UNAVAILABLE, "ServiceUnavailable";
    "the audit record of the request cannot be written, and `audit.on_failure` is `refuse`. A change may have been made: its record is stored with it";
    "repeat after `Retry-After`; the log has the cause ([audit.md](audit.md))";
    ResealNotPossible = FailedPrecondition, CONFLICT, "Conflict";
    "`Reseal` while another replica does not have the newest master key or writes with another one, or while records of a version without authentication codes are taken over";
    "do what the message names ([operations.md](operations.md#master-keys))";
    WebhookNotFound = NotFound, NOT_FOUND, "WebhookNotFound";
    "no webhook of that name in the vault";
    "list them (`certmint webhook list`)";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_of_the_contract_is_used_once() {
        let ours: BTreeSet<&str> = ALL.iter().map(|reason| row(*reason).wire()).collect();
        let contract: BTreeSet<&str> = (1..=100)
            .filter_map(|number| ErrorReason::try_from(number).ok())
            .map(|reason| reason.as_str_name().trim_start_matches("ERROR_REASON_"))
            .collect();
        assert_eq!(ours, contract);
    }

    /// `InvalidArgument` is `INVALID_ARGUMENT`.
    fn upper(code: Code) -> String {
        format!("{code:?}").chars().fold(String::new(), |mut name, c| {
            if c.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
            name
        })
    }

    #[test]
    fn the_page_of_errors_is_written_from_the_table() {
        let mut written =
            "| reason | gRPC code | HTTP | Azure code | when | what to do |\n|---|---|---|---|---|---|\n".to_owned();
        for reason in ALL {
            let row = row(*reason);
            let Row { contract: _, code, http, azure, inner, when, cure } = row;
            let (wire, code, http) = (row.wire(), upper(*code), http.as_u16());
            let inner = inner.map(|inner| format!("; inner error `{inner}`")).unwrap_or_default();
            written.push_str(&format!("| `{wire}` | `{code}` | {http} | `{azure}` | {when}{inner} | {cure} |\n"));
        }
        crate::written::compare("docs/errors.md", "## The reasons\n\n", &written);
    }
}
