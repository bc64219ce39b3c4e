//! How large the bodies of each route may be, of requests and of answers.

use super::authorization_routes::Authorization;
use super::routes::Endpoint;
use crate::limits::Limits;

/// What a body with a backup has beside it, in bytes, at most.
const BESIDE_BACKUP: usize = 4 * 1024;

/// How many bytes the body of a request may have; `None` where it is not read.
pub(super) fn of(endpoint: Endpoint, limits: &Limits) -> Option<usize> {
    match endpoint {
        Endpoint::Restore => Some(of_backup(limits)),
        Endpoint::Create
        | Endpoint::Renew
        | Endpoint::CancelPending
        | Endpoint::Merge
        | Endpoint::SetIssuer
        | Endpoint::UpdateIssuer
        | Endpoint::InstallCa
        | Endpoint::RevokeIssued
        | Endpoint::RevokeVersion
        | Endpoint::Import
        | Endpoint::UseKey(_)
        | Endpoint::UpdateCertificate
        | Endpoint::UpdateVersion
        | Endpoint::UpdatePolicy
        | Endpoint::SetContacts
        | Endpoint::Authorization(Authorization::Assign | Authorization::SetDefinition) => {
            Some(limits.request_body_bytes)
        }
        _ => None,
    }
}

/// A body that holds a backup, in base64.
pub(super) fn of_backup(limits: &Limits) -> usize {
    let limit = (limits.backup_bytes / 3).saturating_mul(4).saturating_add(BESIDE_BACKUP);
    limit.max(limits.request_body_bytes)
}

/// Whether many answers of this kind, which may be large, must not be in the making at once.
pub(super) fn answer_is_large(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Backup
            | Endpoint::ListCertificates
            | Endpoint::ListVersions
            | Endpoint::ListDeleted
            | Endpoint::ListIssuers
            | Endpoint::ListIssued
            | Endpoint::ListKeys
            | Endpoint::ListKeyVersions
            | Endpoint::ListSecrets
            | Endpoint::ListSecretVersions
    )
}
