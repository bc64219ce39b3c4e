//! Revocations that come between two looks at the log of a CA: nothing that was revoked is handed out enabled.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::{IssuerInput, IssuerName, RevocationReason, Serial};
use certmint::service::{RevokeRequest, RevokeWhich, Service, ServiceOptions};

fn corp() -> IssuerName {
    IssuerName::parse("corp").unwrap()
}

async fn with_ca() -> Harness {
    let harness = Harness::new(ServiceOptions::default()).await;
    let input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
    ask!(harness.service, issuers.set_issuer((vault(), corp()), input)).unwrap();
    harness
}

/// The key of the record of the only leaf in the log, and its serial number.
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
