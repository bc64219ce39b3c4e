//! Orders as a plug-in gets them, and its answers as the service takes them: bounded, in readable words, and without
//! secrets.

use super::words::{Secrets, words};
use crate::domain::policy::{IssuerParameters, KeyProperties, KeyType, Policy, X509Properties};
use crate::domain::{Action, ActionKind, Timestamp};
use crate::issuer::provider::{Order, Progress, RenewalWindow};
use crate::issuer::{Checkpoint, FailureClass, IssuerError, Step};
use crate::proto::plugin::v1 as pb;
use crate::proto::plugin::v1::progress::Outcome;
use std::time::Duration;

/// The largest checkpoint, in bytes.
const MAX_CHECKPOINT: usize = 64 * 1024;
/// The longest chain that a plug-in may answer.
const MAX_CHAIN: usize = 32;
/// Most actions, and their texts together, in bytes: they are stored with the operation.
const MAX_ACTIONS: usize = 250;
const MAX_ACTION_BYTES: usize = 64 * 1024;
/// Longest words and references, in characters.
const MAX_WORDS: usize = 500;
const MAX_REFERENCE: usize = 200;
const MAX_VALUE: usize = 8 * 1024;
/// A plug-in that changes its checkpoint at every call would turn in circles without a pause.
const LEAST_WAIT: Duration = Duration::from_millis(100);
/// The end of the year 9999: what lies behind cannot be written.
const LAST_SECOND: i64 = 253_402_300_799;

pub(super) fn key_type(key_type: KeyType) -> pb::KeyType {
    match key_type {
        KeyType::Rsa2048 => pb::KeyType::Rsa2048,
        KeyType::Rsa3072 => pb::KeyType::Rsa3072,
        KeyType::Rsa4096 => pb::KeyType::Rsa4096,
        KeyType::P256 => pb::KeyType::P256,
        KeyType::P384 => pb::KeyType::P384,
        KeyType::P521 => pb::KeyType::P521,
        KeyType::P256K => pb::KeyType::P256k,
    }
}

pub(super) fn order(order: &Order) -> pb::Order {
    let Order { vault, certificate, request_id, version, csr, policy, created, replaces, sealed_key: _, intent: _ } =
        order;
    pb::Order {
        request_id: request_id.to_string(),
        vault_name: vault.to_string(),
        certificate_name: certificate.to_string(),
        certificate_version: version.to_string(),
        csr_der: csr.clone(),
        spec: Some(spec(policy)),
        replaces_der: replaces.clone().unwrap_or_default(),
        created: Some(prost_types::Timestamp {
            seconds: created.seconds(),
            nanos: i32::try_from(created.0.rem_euclid(1000) * 1_000_000).unwrap_or_default(),
        }),
    }
}

fn spec(policy: &Policy) -> pb::CertificateSpec {
    let Policy {
        key,
        content_type: _,
        x509,
        lifetime_actions: _,
        issuer,
        enabled: _,
        created: _,
        updated: _,
        granted: _,
    } = policy;
    let KeyProperties { exportable: _, key_type: kind, reuse_key: _ } = key;
    let X509Properties { subject, sans, ekus, key_usage: _, validity_months, ca } = x509;
    let IssuerParameters { name: _, certificate_type, certificate_transparency } = issuer;
    let sans = sans.clone().unwrap_or_default().without_repetitions();
    pb::CertificateSpec {
        subject: subject.clone(),
        dns_names: sans.dns_names,
        ip_addresses: sans.ip_addresses,
        emails: sans.emails,
        uris: sans.uris,
        upns: sans.upns,
        key_type: key_type(*kind).into(),
        validity_months: *validity_months,
        extended_key_usages: ekus.clone(),
        key_usages: x509.usages_to_sign(*kind).iter().map(|usage| usage.name().to_owned()).collect(),
        ca: *ca,
        certificate_type: certificate_type.clone().unwrap_or_default(),
        certificate_transparency: *certificate_transparency,
    }
}

/// # Errors
/// An answer that is outside of the contract: the fate of the order is unknown.
pub(super) fn progress(plugin: &str, answer: Option<pb::Progress>, secrets: &Secrets) -> Result<Progress, IssuerError> {
    let broken =
        |what: String| IssuerError::Retry { after: None, source: format!("The plug-in {plugin} {what}.").into() };
    let pb::Progress { checkpoint, provider_ref, outcome } = answer.unwrap_or_default();
    if checkpoint.len() > MAX_CHECKPOINT {
        return Err(broken(format!("answered a checkpoint of {} bytes, more than {MAX_CHECKPOINT}", checkpoint.len())));
    }
    let reference = words(&provider_ref, MAX_REFERENCE, secrets);
    match outcome {
        Some(Outcome::Pending(pb::Pending { status_details, next_after, actions })) => {
            let mut details = words(&status_details, MAX_WORDS, secrets);
            if !reference.is_empty() && !details.contains(&reference) {
                details = format!("{details} Reference at the CA: {reference}.").trim().to_owned();
            }
            let mut progress = Progress::new(Step::Pending {
                checkpoint: Checkpoint(checkpoint),
                details: Some(details).filter(|details| !details.is_empty()),
                again: duration(next_after).unwrap_or_default().max(LEAST_WAIT),
            });
            progress.actions = bounded(actions, secrets);
            Ok(progress)
        }
        Some(Outcome::Issued(pb::Issued { chain_der })) if chain_der.len() > MAX_CHAIN => {
            let message =
                format!("The plug-in {plugin} answered {} certificates, more than {MAX_CHAIN}.", chain_der.len());
            Ok(Progress::failed(FailureClass::IssuerError, message))
        }
        // The service checks it against the request.
        Some(Outcome::Issued(pb::Issued { chain_der })) => Ok(Progress::new(Step::Issued { chain: chain_der })),
        Some(Outcome::Failed(pb::Failed { class, message, provider_code })) => {
            let class = match pb::FailureClass::try_from(class) {
                Ok(pb::FailureClass::RequestRejected) => FailureClass::RequestRejected,
                _ => FailureClass::IssuerError,
            };
            Ok(Progress::failed(class, verdict(plugin, &message, &provider_code, &reference, secrets)))
        }
        Some(Outcome::Cancelled(pb::Cancelled {})) => Ok(Progress::new(Step::Cancelled)),
        None => Err(broken("answered without an outcome that this server knows".to_owned())),
    }
}

fn verdict(plugin: &str, message: &str, code: &str, reference: &str, secrets: &Secrets) -> String {
    let mut said = words(message, MAX_WORDS, secrets);
    if said.is_empty() {
        said = format!("The plug-in {plugin} gave no reason.");
    }
    let code = words(code, MAX_REFERENCE, secrets);
    let more: Vec<String> = [("code", code.as_str()), ("reference", reference)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(what, text)| format!("{what} {text}"))
        .collect();
    if more.is_empty() { said } else { format!("{said} ({})", more.join(", ")) }
}

fn bounded(actions: Vec<pb::Action>, secrets: &Secrets) -> Vec<Action> {
    let mut room = MAX_ACTION_BYTES;
    let mut kept = Vec::new();
    for pb::Action { kind, name, value, expires } in actions.into_iter().take(MAX_ACTIONS) {
        let kind = match pb::ActionKind::try_from(kind) {
            Ok(pb::ActionKind::DnsTxt) => ActionKind::DnsTxt,
            Ok(pb::ActionKind::HttpFile) => ActionKind::HttpFile,
            Ok(pb::ActionKind::Approval) => ActionKind::Approval,
            Ok(pb::ActionKind::OrganizationValidation) => ActionKind::OrganizationValidation,
            Ok(pb::ActionKind::Unspecified) | Err(_) => continue,
        };
        let (name, value) = (words(&name, MAX_WORDS, secrets), words(&value, MAX_VALUE, secrets));
        let Some(left) = room.checked_sub(name.len() + value.len()) else { break };
        room = left;
        kept.push(Action { kind, name, value, expires: expires.and_then(timestamp) });
    }
    kept
}

fn duration(given: Option<prost_types::Duration>) -> Option<Duration> {
    given.and_then(|given| Duration::try_from(given).ok())
}

fn timestamp(given: prost_types::Timestamp) -> Option<Timestamp> {
    (0..=LAST_SECOND).contains(&given.seconds).then(|| Timestamp::from_seconds(given.seconds))
}

/// None where the CA has no opinion, or answers a window that is none.
pub(super) fn window(answer: pb::RenewalInfoResponse, secrets: &Secrets) -> Option<RenewalWindow> {
    let pb::RenewalInfoResponse { start, end, explanation_url, ask_again } = answer;
    let (start, end) = (timestamp(start?)?, timestamp(end?)?);
    let explanation = words(&explanation_url, MAX_WORDS, secrets);
    let ask_again = duration(ask_again).unwrap_or_default();
    (start <= end).then(|| RenewalWindow {
        start,
        end,
        explanation: Some(explanation).filter(|url| !url.is_empty()),
        ask_again: ask_again.clamp(Duration::from_secs(60), Duration::from_secs(86_400)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(outcome: Outcome) -> Result<Progress, IssuerError> {
        let secrets = Secrets::new(["hunter22"].into_iter());
        let answer =
            pb::Progress { checkpoint: b"c".to_vec(), provider_ref: "order\n7".into(), outcome: Some(outcome) };
        progress("Corp", Some(answer), &secrets)
    }

    #[test]
    fn words_of_a_plug_in_are_one_bounded_line_without_secrets() {
        let details = format!("waits\r\nfor hunter22 {}", "x".repeat(9999));
        let action = |kind: i32| pb::Action { kind, name: "a\nb".into(), value: "hunter22".into(), expires: None };
        let pending = pb::Pending { status_details: details, next_after: None, actions: vec![action(3), action(99)] };
        let Progress { step: Step::Pending { details, again, .. }, actions, .. } =
            read(Outcome::Pending(pending)).unwrap()
        else {
            panic!()
        };
        let details = details.unwrap();
        assert!(details.starts_with("waits for (hidden) xxx") && details.len() < 800, "{details}");
        assert!(details.ends_with("Reference at the CA: order 7."), "{details}");
        assert_eq!((again, actions.len()), (LEAST_WAIT, 1));
        assert_eq!((actions[0].name.as_str(), actions[0].value.as_str()), ("a b", "(hidden)"));
    }

    #[test]
    fn a_verdict_names_the_code_of_the_ca_and_whose_fault_it_was() {
        for (class, expected) in [
            (1, FailureClass::RequestRejected),
            (2, FailureClass::IssuerError),
            (0, FailureClass::IssuerError),
            (77, FailureClass::IssuerError),
        ] {
            let failed = pb::Failed { class, message: "no hunter22".into(), provider_code: "E5".into() };
            let Step::Failed { class, message } = read(Outcome::Failed(failed)).unwrap().step else { panic!() };
            assert_eq!((class, message.as_str()), (expected, "no (hidden) (code E5, reference order 7)"));
        }
    }

    #[test]
    fn answers_outside_of_the_contract_leave_the_order_open() {
        let huge = pb::Progress { checkpoint: vec![0; MAX_CHECKPOINT + 1], ..Default::default() };
        for (answer, reason) in [(None, "without an outcome"), (Some(huge), "a checkpoint of 65537 bytes")] {
            let error = progress("Corp", answer, &Secrets::default()).unwrap_err();
            assert!(matches!(error, IssuerError::Retry { .. }) && error.to_string().contains(reason), "{error}");
        }
        let many = pb::Issued { chain_der: vec![Vec::new(); MAX_CHAIN + 1] };
        assert!(matches!(read(Outcome::Issued(many)).unwrap().step, Step::Failed { .. }));
    }

    #[test]
    fn waits_and_times_that_cannot_be_are_left_out() {
        let negative = prost_types::Duration { seconds: -5, nanos: 0 };
        assert_eq!(duration(Some(negative)), None);
        for seconds in [-1, i64::MAX, LAST_SECOND + 1] {
            assert_eq!(timestamp(prost_types::Timestamp { seconds, nanos: 0 }), None);
        }
    }
}
