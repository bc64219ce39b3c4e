//! The table that maps each error to both APIs. It is looked up by reason, never by gRPC code, since one gRPC code maps
//! to several HTTP statuses. `docs/errors.md` documents it.

use crate::domain::Reason;
use http::StatusCode;
use tonic::Code;

/// What one reason is called on the wires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Row {
    pub reason: Reason,
    /// `reason` of `google.rpc.ErrorInfo`: the name of a value of `certmint.v1.ErrorReason`
    /// without its prefix.
    pub wire: &'static str,
    pub code: Code,
    pub http: StatusCode,
    /// `error.code` of the REST body.
    pub azure: &'static str,
    /// `error.innererror.code` of the REST body, if there is one.
    pub inner: Option<&'static str>,
}

const fn with_inner(row: Row, inner: &'static str) -> Row {
    let Row { reason, wire, code, http, azure, inner: _ } = row;
    Row { reason, wire, code, http, azure, inner: Some(inner) }
}

const fn entry(reason: Reason, wire: &'static str, code: Code, http: StatusCode, azure: &'static str) -> Row {
    Row { reason, wire, code, http, azure, inner: None }
}

/// Every reason, in the order of `Reason`.
pub static TABLE: [Row; 38] = {
    use {Code as C, Reason as R, StatusCode as S};
    [
        entry(R::BadParameter, "BAD_PARAMETER", C::InvalidArgument, S::BAD_REQUEST, "BadParameter"),
        entry(R::Unauthenticated, "UNAUTHENTICATED", C::Unauthenticated, S::UNAUTHORIZED, "Unauthorized"),
        entry(R::CredentialsExpired, "CREDENTIALS_EXPIRED", C::Unauthenticated, S::UNAUTHORIZED, "Unauthorized"),
        entry(R::CertificateNotFound, "CERTIFICATE_NOT_FOUND", C::NotFound, S::NOT_FOUND, "CertificateNotFound"),
        entry(R::PendingNotFound, "PENDING_NOT_FOUND", C::NotFound, S::NOT_FOUND, "PendingCertificateNotFound"),
        entry(R::IssuerNotFound, "ISSUER_NOT_FOUND", C::NotFound, S::NOT_FOUND, "CertificateIssuerNotFound"),
        entry(R::ContactsNotFound, "CONTACTS_NOT_FOUND", C::NotFound, S::NOT_FOUND, "ContactsNotFound"),
        entry(R::VaultNotFound, "VAULT_NOT_FOUND", C::NotFound, S::NOT_FOUND, "VaultNotFound"),
        entry(R::PendingInProgress, "PENDING_IN_PROGRESS", C::Aborted, S::CONFLICT, "Forbidden"),
        // 400 in the document, 403 in today's Azure (contract section 13).
        entry(
            R::PendingNotInProgress,
            "PENDING_NOT_IN_PROGRESS",
            C::FailedPrecondition,
            S::BAD_REQUEST,
            "BadParameter",
        ),
        entry(R::MergeForbidden, "MERGE_FORBIDDEN", C::FailedPrecondition, S::FORBIDDEN, "Forbidden"),
        entry(R::MergeKeyMismatch, "MERGE_KEY_MISMATCH", C::InvalidArgument, S::BAD_REQUEST, "BadParameter"),
        entry(R::AlreadyExists, "ALREADY_EXISTS", C::AlreadyExists, S::CONFLICT, "Conflict"),
        entry(R::RequestIdReused, "REQUEST_ID_REUSED", C::AlreadyExists, S::CONFLICT, "Conflict"),
        entry(
            R::MessageTooLarge,
            "MESSAGE_TOO_LARGE",
            C::ResourceExhausted,
            S::PAYLOAD_TOO_LARGE,
            "RequestBodyTooLarge",
        ),
        with_inner(
            entry(R::DeletedButRecoverable, "DELETED_BUT_RECOVERABLE", C::FailedPrecondition, S::CONFLICT, "Conflict"),
            "ObjectIsDeletedButRecoverable",
        ),
        entry(R::PurgeProtected, "PURGE_PROTECTED", C::FailedPrecondition, S::FORBIDDEN, "Forbidden"),
        entry(R::Throttled, "THROTTLED", C::ResourceExhausted, S::TOO_MANY_REQUESTS, "Throttled"),
        entry(R::WatchLimitExceeded, "WATCH_LIMIT_EXCEEDED", C::ResourceExhausted, S::TOO_MANY_REQUESTS, "Throttled"),
        entry(R::ResumeTokenExpired, "RESUME_TOKEN_EXPIRED", C::OutOfRange, S::GONE, "ResumeTokenExpired"),
        entry(R::ServerDraining, "SERVER_DRAINING", C::Unavailable, S::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        entry(R::WatchMaxAge, "WATCH_MAX_AGE", C::Unavailable, S::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        entry(R::StoreUnavailable, "STORE_UNAVAILABLE", C::Unavailable, S::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        entry(R::DeadlineExceeded, "DEADLINE_EXCEEDED", C::DeadlineExceeded, S::GATEWAY_TIMEOUT, "GatewayTimeout"),
        entry(R::NotSupported, "NOT_SUPPORTED", C::Unimplemented, S::NOT_IMPLEMENTED, "NotSupported"),
        entry(R::Internal, "INTERNAL", C::Internal, S::INTERNAL_SERVER_ERROR, "InternalServerError"),
        entry(R::SecretNotFound, "SECRET_NOT_FOUND", C::NotFound, S::NOT_FOUND, "SecretNotFound"),
        entry(R::KeyNotFound, "KEY_NOT_FOUND", C::NotFound, S::NOT_FOUND, "KeyNotFound"),
        with_inner(
            entry(R::SecretDisabled, "SECRET_DISABLED", C::FailedPrecondition, S::FORBIDDEN, "Forbidden"),
            "SecretDisabled",
        ),
        with_inner(
            entry(R::BeingDeleted, "BEING_DELETED", C::Aborted, S::CONFLICT, "Conflict"),
            "ObjectIsBeingDeleted",
        ),
        entry(R::MalformedBackup, "MALFORMED_BACKUP", C::InvalidArgument, S::BAD_REQUEST, "Malformed backup blob"),
        with_inner(
            entry(R::KeyDisabled, "KEY_DISABLED", C::FailedPrecondition, S::FORBIDDEN, "Forbidden"),
            "KeyDisabled",
        ),
        with_inner(
            entry(
                R::KeyOperationForbidden,
                "KEY_OPERATION_FORBIDDEN",
                C::FailedPrecondition,
                S::FORBIDDEN,
                "Forbidden",
            ),
            "KeyOperationForbidden",
        ),
        entry(R::IssuerUnavailable, "ISSUER_UNAVAILABLE", C::Unavailable, S::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        entry(R::IssuerInUse, "ISSUER_IN_USE", C::FailedPrecondition, S::CONFLICT, "Conflict"),
        with_inner(
            entry(R::AccessDenied, "ACCESS_DENIED", C::PermissionDenied, S::FORBIDDEN, "Forbidden"),
            "ForbiddenByRbac",
        ),
        with_inner(
            entry(R::RequestNotAllowed, "REQUEST_NOT_ALLOWED", C::PermissionDenied, S::FORBIDDEN, "Forbidden"),
            "ForbiddenByPolicy",
        ),
        with_inner(
            entry(R::AccessChanged, "ACCESS_CHANGED", C::PermissionDenied, S::FORBIDDEN, "Forbidden"),
            "ForbiddenByRbac",
        ),
    ]
};

/// The row of a reason.
pub fn row(reason: Reason) -> &'static Row {
    // Written out, so that a new reason does not compile without a row.
    let index = match reason {
        Reason::BadParameter => 0,
        Reason::Unauthenticated => 1,
        Reason::CredentialsExpired => 2,
        Reason::CertificateNotFound => 3,
        Reason::PendingNotFound => 4,
        Reason::IssuerNotFound => 5,
        Reason::ContactsNotFound => 6,
        Reason::VaultNotFound => 7,
        Reason::PendingInProgress => 8,
        Reason::PendingNotInProgress => 9,
        Reason::MergeForbidden => 10,
        Reason::MergeKeyMismatch => 11,
        Reason::AlreadyExists => 12,
        Reason::RequestIdReused => 13,
        Reason::MessageTooLarge => 14,
        Reason::DeletedButRecoverable => 15,
        Reason::PurgeProtected => 16,
        Reason::Throttled => 17,
        Reason::WatchLimitExceeded => 18,
        Reason::ResumeTokenExpired => 19,
        Reason::ServerDraining => 20,
        Reason::WatchMaxAge => 21,
        Reason::StoreUnavailable => 22,
        Reason::DeadlineExceeded => 23,
        Reason::NotSupported => 24,
        Reason::Internal => 25,
        Reason::SecretNotFound => 26,
        Reason::KeyNotFound => 27,
        Reason::SecretDisabled => 28,
        Reason::BeingDeleted => 29,
        Reason::MalformedBackup => 30,
        Reason::KeyDisabled => 31,
        Reason::KeyOperationForbidden => 32,
        Reason::IssuerUnavailable => 33,
        Reason::IssuerInUse => 34,
        Reason::AccessDenied => 35,
        Reason::RequestNotAllowed => 36,
        Reason::AccessChanged => 37,
    };
    &TABLE[index]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::ErrorReason;
    use std::collections::BTreeSet;

    #[test]
    fn each_reason_finds_its_own_row() {
        for entry in &TABLE {
            assert_eq!(row(entry.reason), entry);
        }
    }

    #[test]
    fn the_names_are_those_of_the_contract() {
        let ours: BTreeSet<&str> = TABLE.iter().map(|row| row.wire).collect();
        let contract: BTreeSet<&str> = (1..=100)
            .filter_map(|number| ErrorReason::try_from(number).ok())
            .map(|reason| reason.as_str_name().trim_start_matches("ERROR_REASON_"))
            .collect();
        assert_eq!(ours, contract);
    }

    #[test]
    fn the_page_of_errors_has_every_row() {
        let page = include_str!("../../docs/errors.md");
        for Row { reason: _, wire, code, http, azure, inner: _ } in &TABLE {
            let code = format!("{code:?}").chars().fold(String::new(), |mut name, c| {
                if c.is_uppercase() && !name.is_empty() {
                    name.push('_');
                }
                name.push(c.to_ascii_uppercase());
                name
            });
            let row = format!("| `{wire}` | `{code}` | {} | `{azure}` |", http.as_u16());
            assert!(page.contains(&row), "{row}");
        }
    }
}
