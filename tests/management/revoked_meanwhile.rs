//! Revocations that come between two looks at the log of a CA: nothing that was revoked is handed out enabled.

use crate::false_provider::{Call, FalseProvider};
use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::{IssuerInput, IssuerName, PolicyInput, RevocationReason, Serial};
use certmint::issuer::provider::Progress;
use certmint::issuer::{Checkpoint, Step};
use certmint::service::{CreateRequest, MergeRequest, PendingRef, RevokeRequest, RevokeWhich, Service, ServiceOptions};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::sync::Arc;
use std::time::Duration;

const A_MINUTE: Duration = Duration::from_secs(60);

fn corp() -> IssuerName {
    IssuerName::parse("corp").unwrap()
}

async fn with_ca() -> Harness {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, corp(), "LocalCA").await;
    harness
}

async fn set(harness: &Harness, issuer: IssuerName, provider: &str) {
    let input = IssuerInput { provider: Some(provider.to_owned()), ..IssuerInput::default() };
    ask!(harness.service, issuers.set_issuer((vault(), issuer), input)).unwrap();
}

/// A request of a caller that has the key, and the certificate that a CA elsewhere makes of it.
fn own_key() -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["own.example".to_owned()]).unwrap();
    let csr = params.serialize_request(&key).unwrap().der().to_vec();
    (params.not_before, params.not_after) = (date_time_ymd(2027, 1, 1), date_time_ymd(2028, 1, 1));
    (csr, params.self_signed(&key).unwrap().der().to_vec())
}

fn with_request(name: &str, issuer: &str, csr: &[u8]) -> CreateRequest {
    CreateRequest {
        policy: Some(PolicyInput { issuer_name: Some(issuer.to_owned()), ..PolicyInput::default() }),
        csr: Some(csr.to_vec()),
        ..create(name, issuer)
    }
}

/// The key of the record of the only certificate `web` in the log, and its serial number.
async fn logged(harness: &Harness) -> (String, Serial) {
    let keys = harness.store.keys().await;
    let mut leaves = Vec::new();
    for key in keys.into_iter().filter(|key| key.starts_with("issued/")) {
        let value = harness.store.body(&key).await.unwrap()["value"].clone();
        if value["asked"]["certificate"] == "web" {
            leaves.push((key, value["serial"].as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(leaves.len(), 1, "{leaves:?}");
    let (key, serial) = leaves.remove(0);
    (key, Serial::spellings(&serial).unwrap().remove(0))
}

async fn revoke(service: Service, serial: Serial) {
    let wanted = RevokeRequest {
        vault: vault(),
        which: RevokeWhich::Serial(Some(corp()), vec![serial]),
        reason: RevocationReason::KeyCompromise,
        invalidity_time: None,
        disable: None,
    };
    let wanted = permit(&service, wanted).await;
    service.certificate_authorities().revoke(wanted, service.certificates()).await.unwrap();
}

#[tokio::test]
async fn a_serial_number_that_is_revoked_while_it_is_signed_is_not_handed_out() {
    let harness = with_ca().await;
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    let (key, serial) = logged(&harness).await;
    // Once it is looked whether it may be signed.
    harness.store.after_reads_of(&key, 1, revoke(harness.service.clone(), serial));
    harness.work().await;
    assert!(harness.store.took_place());
    let view = ask!(harness.service, certificates.certificate((vault(), named("web")))).unwrap();
    assert!(view.issued.is_none(), "{view:?}");
    let pending = harness.store.body("pending/default/web").await.unwrap().to_string();
    assert!(pending.contains("revoked before it was signed"), "{pending}");
    let state = harness.store.body(&key).await.unwrap()["value"]["state"].clone();
    assert_eq!(state, "abandoned");
}

#[tokio::test]
async fn a_key_that_is_reported_during_a_restore_comes_back_out_of_use() {
    let harness = with_ca().await;
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    harness.work().await;
    let (_, serial) = logged(&harness).await;
    let made = ask!(harness.service, certificates.certificate((vault(), named("web")))).unwrap();
    let version = made.issued.unwrap().version;
    let backup = ask!(harness.service, certificates.backup_certificate((vault(), named("web")))).unwrap();
    harness.delete("web").await;
    ask!(harness.service, deletions.purge_certificate((vault(), named("web")))).unwrap();
    harness.work().await;
    // The keys of the backup were compared with the log by then, and the certificate is not to be found yet.
    let place = format!("versions/default/web/{version}");
    harness.store.before_commit_of(&place, revoke(harness.service.clone(), serial));
    let restored = ask!(harness.service, certificates.restore_certificate(vault(), backup)).unwrap();
    assert!(harness.store.took_place());
    assert!(!restored.issued.unwrap().enabled, "what is answered");
    let found = ask!(harness.service, certificates.certificate((vault(), named("web")))).unwrap();
    assert!(!found.issued.unwrap().enabled, "what is stored");
}

#[tokio::test]
async fn an_order_that_a_ca_has_when_its_key_is_reported_completes_out_of_use() {
    let (csr, signed) = own_key();
    let provider = FalseProvider::new("Outside", move |call: Call| {
        let step = match call.at.0.is_empty() {
            true => Step::Pending { checkpoint: Checkpoint(b"ordered".to_vec()), details: None, again: A_MINUTE },
            false => Step::Issued { chain: vec![signed.clone()] },
        };
        std::future::ready(Ok(Progress::new(step)))
    });
    let options = ServiceOptions::default();
    let harness = Harness::with_issuers(options, |_, issuers| issuers.with_provider(Arc::new(provider))).await;
    set(&harness, corp(), "LocalCA").await;
    set(&harness, IssuerName::parse("outside").unwrap(), "Outside").await;
    ask!(harness.service, creations.create(with_request("web", "corp", &csr))).unwrap();
    ask!(harness.service, creations.create(with_request("held", "outside", &csr))).unwrap();
    harness.work().await;
    let (_, serial) = logged(&harness).await;
    revoke(harness.service.clone(), serial).await;
    harness.clock.advance(2 * A_MINUTE);
    harness.work().await;
    let held = ask!(harness.service, certificates.certificate((vault(), named("held")))).unwrap();
    assert!(!held.issued.unwrap().enabled);
}

#[tokio::test]
async fn a_key_that_is_reported_while_a_version_is_stored_takes_the_version_out_of_use() {
    let harness = with_ca().await;
    let (csr, _) = own_key();
    ask!(harness.service, creations.create(with_request("web", "corp", &csr))).unwrap();
    harness.work().await;
    let (_, serial) = logged(&harness).await;
    let made = ask!(harness.service, creations.create(with_request("held", "corp", &csr))).unwrap();
    // The key was looked at before it was signed for, and the version is not to be found yet.
    let place = format!("versions/default/held/{}", made.operation.version);
    harness.store.before_commit_of(&place, revoke(harness.service.clone(), serial));
    harness.work().await;
    assert!(harness.store.took_place());
    let held = ask!(harness.service, certificates.certificate((vault(), named("held")))).unwrap();
    assert!(!held.issued.unwrap().enabled);
}

#[tokio::test]
async fn a_key_that_is_reported_while_its_certificate_is_merged_takes_the_version_out_of_use() {
    let harness = with_ca().await;
    let (csr, signed) = own_key();
    ask!(harness.service, creations.create(with_request("web", "corp", &csr))).unwrap();
    harness.work().await;
    let (_, serial) = logged(&harness).await;
    let made = ask!(harness.service, creations.create(with_request("held", "Unknown", &csr))).unwrap();
    let place = format!("versions/default/held/{}", made.operation.version);
    harness.store.before_commit_of(&place, revoke(harness.service.clone(), serial));
    let wanted = PendingRef { vault: vault(), name: named("held"), request_id: None };
    let request = MergeRequest { wanted, x5c: vec![signed], enabled: None, tags: None };
    let merged = ask!(harness.service, pending.merge(request)).unwrap();
    assert!(harness.store.took_place());
    assert!(!merged.issued.unwrap().enabled, "what is answered");
    let held = ask!(harness.service, certificates.certificate((vault(), named("held")))).unwrap();
    assert!(!held.issued.unwrap().enabled, "what is stored");
}
