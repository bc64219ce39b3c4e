//! Parsing of messages without a use case, for `crate::fuzzing`.

use super::keys::{encryption_algorithm, signature_algorithm};
use super::management::Change;
use super::{admin, certificates, policy, policy_mask, watch};
use crate::domain::policy::Policy;
use crate::domain::{Result, Timestamp};
use crate::proto::v1;
use prost::Message;

/// Reads the bytes as every request that holds more than names; whether they could be one of them, and a good one.
/// Empty bytes are a message, and say nothing.
pub(crate) fn reads_a_message(message: &[u8], stored: &Policy, now: Timestamp) -> bool {
    let good = [
        good(message, |request| creates(request, now)),
        good(message, |request: v1::ImportCertificateRequest| {
            certificates::tags(request.tags);
            request.policy.map(policy::input).transpose().map(|_| request.bundle.is_some())
        }),
        good(message, |request: v1::MergeCertificateRequest| Ok(!request.x509_certificates.is_empty())),
        good(message, changes),
        good(message, |request: v1::UpdateCertificatePolicyRequest| {
            let mask = request.update_mask.as_ref().map(|mask| mask.paths.as_slice());
            policy_mask::change(request.policy.unwrap_or_default(), mask)?.change(stored, now).map(|_| true)
        }),
        good(message, |request: v1::SetIssuerRequest| admin::input(request.issuer).map(|_| true)),
        good(message, |request: v1::UpdateIssuerRequest| {
            admin::masked(admin::input(request.issuer)?, request.update_mask).map(|_| true)
        }),
        good(message, |request: v1::SetContactsRequest| admin::contacts_input(request.contacts).map(|_| true)),
        good(message, |request: v1::ListPendingRequest| {
            certificates::page_size(request.page_size)?;
            watch::statuses(&request.statuses).map(|statuses| !statuses.is_empty())
        }),
        good(message, |request: v1::SignRequest| signature_algorithm(request.algorithm).map(|_| true)),
        good(message, |request: v1::VerifyRequest| signature_algorithm(request.algorithm).map(|_| true)),
        good(message, |request: v1::EncryptRequest| encryption_algorithm(request.algorithm).map(|_| true)),
        good(message, |request: v1::UnwrapKeyRequest| encryption_algorithm(request.algorithm).map(|_| true)),
        good(message, |request: v1::RestoreCertificateRequest| Ok(!request.value.is_empty())),
        good(message, |request: v1::WatchPendingRequest| watch::statuses(&request.statuses).map(|_| true)),
    ];
    !message.is_empty() && good.contains(&true)
}

fn good<M: Message + Default>(message: &[u8], read: impl FnOnce(M) -> Result<bool>) -> bool {
    M::decode(message).is_ok_and(|message| read(message).unwrap_or(false))
}

fn creates(request: v1::CreateCertificateRequest, now: Timestamp) -> Result<bool> {
    certificates::tags(request.tags);
    let Some(policy) = request.policy else { return Ok(false) };
    policy::input(policy)?.complete(now).map(|_| true)
}

fn changes(request: v1::UpdateCertificateRequest) -> Result<bool> {
    let enabled = certificates::enabled(request.attributes);
    let change = Change::of(request.policy, enabled, certificates::tags(request.tags), request.update_mask)?;
    Ok(change != Change::default())
}
