//! Parsing of request bodies without a use case, for `crate::fuzzing`.

use super::body;
use super::material::{bytes, encryption_algorithm, signature_algorithm};
use super::model::contacts::ContactsBody;
use super::model::management::{RestoreBody, UpdateBody};
use super::model::policy::PolicyBody;
use super::model::requests::{
    AttributesBody, CancelBody, CreateBody, ImportBody, InstallBody, IssuerBody, KeyOperationBody, MergeBody,
    RenewBody, RevokeBody,
};
use super::pending::decoded;
use crate::domain::policy::Policy;
use crate::domain::{Contacts, IssuerInput, Tags, Timestamp};

/// Reads the bytes as every kind of body; whether they could be one of them, and a good one.
pub(crate) fn reads_a_body(body: &[u8], stored: &Policy, now: Timestamp) -> bool {
    let good = [
        creates(body, now),
        imports(body),
        merges(body),
        changes(body, stored, now),
        changes_a_policy(body, stored, now),
        sets_an_issuer(body),
        sets_contacts(body),
        uses_a_key(body),
        body::parse::<CancelBody>(body).is_ok_and(|body| body.cancellation_requested == Some(true)),
        body::parse::<InstallBody>(body).is_ok_and(|body| body.x5c.is_some()),
        body::parse::<RenewBody>(body).is_ok_and(|body| body.batch.is_some()),
        body::parse::<RevokeBody>(body).is_ok_and(|body| body.reason.is_some()),
        body::parse::<RestoreBody>(body).is_ok_and(|body| body.value.is_some()),
    ];
    good.contains(&true)
}

fn creates(body: &[u8], now: Timestamp) -> bool {
    let Ok(body) = body::parse(body) else { return false };
    let CreateBody {
        policy,
        attributes: _,
        tags,
        preserve_cert_order: _,
        csr: _,
        profile: _,
        validity: _,
        options: _,
        grpc: _,
    } = body;
    let _: Option<Tags> = tags.map(Tags::from);
    policy.and_then(PolicyBody::into_input).is_some_and(|policy| policy.complete(now).is_ok())
}

/// The value of an import has targets of its own.
fn imports(body: &[u8]) -> bool {
    let Ok(body) = body::parse(body) else { return false };
    let ImportBody { value, pwd: _, policy, attributes: _, tags, preserve_cert_order: _, grpc: _ } = body;
    let _: Option<Tags> = tags.map(Tags::from);
    let _ = policy.and_then(PolicyBody::into_input);
    value.is_some()
}

fn merges(body: &[u8]) -> bool {
    let Ok(body) = body::parse(body) else { return false };
    let MergeBody { x5c, attributes: _, tags: _ } = body;
    let entries: Vec<Vec<u8>> = x5c.unwrap_or_default().into_iter().map(decoded).collect();
    !entries.is_empty()
}

fn changes(body: &[u8], stored: &Policy, now: Timestamp) -> bool {
    let Ok(body) = body::parse(body) else { return false };
    let UpdateBody { policy, attributes, tags } = body;
    let AttributesBody { enabled } = attributes.unwrap_or_default();
    let policy = policy.and_then(PolicyBody::into_change).map(|change| change.change(stored, now).is_ok());
    policy.unwrap_or(tags.is_some() || enabled.is_some())
}

fn changes_a_policy(body: &[u8], stored: &Policy, now: Timestamp) -> bool {
    let Ok(body) = body::parse::<PolicyBody>(body) else { return false };
    body.into_change().is_some_and(|change| change.change(stored, now).is_ok())
}

fn sets_an_issuer(body: &[u8]) -> bool {
    body::parse::<IssuerBody>(body).is_ok_and(|body| IssuerInput::from(body).provider.is_some())
}

fn sets_contacts(body: &[u8]) -> bool {
    body::parse::<ContactsBody>(body).is_ok_and(|body| Contacts::try_from(body).is_ok())
}

fn uses_a_key(body: &[u8]) -> bool {
    let Ok(body) = body::parse(body) else { return false };
    let KeyOperationBody { alg, value, digest } = body;
    let alg = alg.unwrap_or_default();
    let known = signature_algorithm(&alg).is_ok() || encryption_algorithm(&alg).is_ok();
    let digest = digest.map(|digest| bytes("digest", Some(digest)).is_ok());
    known && bytes("value", value).is_ok() && digest.unwrap_or(true)
}
