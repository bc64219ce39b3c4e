//! Revocation lists and responders where somebody else writes at the same time: no list loses an entry, and none is given
//! up that has a key.

use crate::management::harness::{Harness, Other, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::policy::KeyType;
use certmint::domain::{Blob, IssuerInput, IssuerName, RevocationReason, Serial};
use certmint::service::{
    AuthorityRef, BaseUrl, CaOptions, ListAuthorities, NewAuthority, Parent, RevokeRequest, RevokeWhich,
    ServiceOptions, record_body,
};
use certmint::store::{Batch, Delete, Put, Record, Store};
use std::time::Duration;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

const SECONDS: Duration = Duration::from_secs(11);
const DAY: Duration = Duration::from_secs(86_401);

fn corp() -> IssuerName {
    IssuerName::parse("corp").unwrap()
}

/// A service whose CA `corp` publishes, and the identifier of that CA.
async fn publishing() -> (Harness, String) {
    let base_url = BaseUrl::try_from("http://pki.example".to_owned()).ok();
    let ca = CaOptions { base_url, ..CaOptions::default() };
    let harness = Harness::new(ServiceOptions { ca, ..ServiceOptions::default() }).await;
    let input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
    ask!(harness.service, issuers.set_issuer((vault(), corp()), input)).unwrap();
    harness.work().await;
    let wanted = permit(&harness.service, ListAuthorities { vault: vault(), issuer: Some(corp()) }).await;
    let id = harness.service.certificate_authorities().authorities(&wanted).await.unwrap()[0].id.clone();
    (harness, id)
}

async fn revoke(harness: &Harness, name: &str) {
    let wanted = RevokeRequest {
        vault: vault(),
        which: RevokeWhich::Version(named(name), None),
        reason: RevocationReason::Superseded,
        invalidity_time: None,
        disable: None,
    };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().revoke(wanted, harness.service.certificates()).await.unwrap();
}

/// The number of the list of a CA, and how many entries it has.
async fn list(harness: &Harness, id: &str) -> (u64, usize) {
    let body = harness.store.body(&format!("crls/{id}/0")).await.unwrap();
    let der = serde_json::from_value::<Blob>(body["value"]["der"].clone()).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&der.0).unwrap();
    let number = list.crl_number().unwrap().to_string().parse().unwrap();
    (number, list.iter_revoked_certificates().count())
}

/// A list with three entries whose records, and those of the log, are lost.
async fn robbed() -> (Harness, String) {
    let (harness, id) = publishing().await;
    for name in ["one", "two", "three"] {
        ask!(harness.service, creations.create(create(name, "corp"))).unwrap();
        harness.work().await;
        revoke(&harness, name).await;
    }
    harness.clock.advance(SECONDS);
    harness.work().await;
    assert_eq!(list(&harness, &id).await.1, 3);
    for key in harness.store.keys().await {
        if key.starts_with("revoked/") || key.starts_with("issued") {
            let Record { key, revision, .. } = harness.store.get(&key).await.unwrap().unwrap();
            let deletes = vec![Delete { key, expected: revision }];
            harness.store.commit(Batch { deletes, ..Batch::default() }).await.unwrap();
        }
    }
    (harness, id)
}

#[tokio::test]
async fn rows_that_are_made_anew_are_all_there_though_somebody_else_writes_one_of_them() {
    let (harness, id) = robbed().await;
    harness.store.there_is(Other::Overtakes, "revoked/");
    let before = list(&harness, &id).await;
    harness.clock.advance(DAY);
    harness.work().await;
    let after = list(&harness, &id).await;
    assert!(after.0 > before.0 && after.1 == 3, "{after:?} after {before:?}");
    assert_eq!(harness.store.keys().await.iter().filter(|key| key.starts_with("revoked/")).count(), 3);
}

#[tokio::test]
async fn no_list_is_made_without_the_entries_whose_rows_cannot_be_written() {
    let (harness, id) = robbed().await;
    harness.store.there_is(Other::IsAlwaysFaster, "revoked/");
    let before = list(&harness, &id).await;
    harness.clock.advance(DAY);
    for due in harness.service.jobs().claim(64).await.unwrap() {
        // That of the list fails, and is repeated.
        let _ = harness.service.jobs().step(due).await;
    }
    assert_eq!(list(&harness, &id).await, before);
    harness.store.heal();
    harness.clock.advance(Duration::from_secs(3600));
    harness.work().await;
    let after = list(&harness, &id).await;
    assert!(after.0 > before.0 && after.1 == 3, "{after:?} after {before:?}");
}

async fn due(harness: &Harness, key: &str) -> bool {
    harness.store.get(key).await.unwrap().unwrap().due.is_some()
}

#[tokio::test]
async fn a_ca_whose_next_one_begins_to_sign_at_the_same_time_goes_on_with_its_list_and_its_responder() {
    let (harness, id) = publishing().await;
    let (crl, responder) = (format!("crls/{id}/0"), format!("responders/{id}"));
    let signs = harness.store.get(&format!("authorities/default/{id}")).await.unwrap().unwrap();
    let wanted = NewAuthority {
        vault: vault(),
        issuer: corp(),
        parent: Parent::OwnRoot,
        subject: None,
        key_type: KeyType::P256,
        validity_months: 240,
    };
    let cas = harness.service.certificate_authorities();
    cas.create_authority(permit(&harness.service, wanted).await).await.unwrap();
    // Its key is needed until a certificate that it signed has ended.
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    harness.work().await;
    let of = AuthorityRef { vault: vault(), issuer: corp(), authority: None };
    cas.activate_authority(permit(&harness.service, of).await).await.unwrap();
    let before = (list(&harness, &id).await.0, harness.store.body(&responder).await.unwrap());
    // Both are due, and find the authority as it was before, and the issuer object as it is now.
    harness.store.read_outdated(signs);
    harness.later(20).await;
    assert!(due(&harness, &crl).await && due(&harness, &responder).await);
    harness.store.heal();
    harness.clock.advance(Duration::from_secs(3600));
    harness.work().await;
    assert!(list(&harness, &id).await.0 > before.0);
    assert_ne!(harness.store.body(&responder).await.unwrap()["value"]["current"], before.1["value"]["current"]);
}

#[tokio::test]
async fn what_is_not_due_any_more_though_its_ca_has_a_key_is_due_again_at_the_next_look() {
    let (harness, id) = publishing().await;
    let keys = [format!("crls/{id}/0"), format!("responders/{id}")];
    for key in &keys {
        let Record { key, revision, body, due: _ } = harness.store.get(key).await.unwrap().unwrap();
        let puts = vec![Put { key, expected: Some(revision), body, due: None }];
        harness.store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    }
    harness.service.certificate_authorities().begin_publishing().await.unwrap();
    for key in &keys {
        assert!(due(&harness, key).await, "{key}");
    }
    // Nothing is written a second time.
    harness.work().await;
    harness.store.reset();
    harness.service.certificate_authorities().begin_publishing().await.unwrap();
    assert_eq!(harness.store.commits.load(std::sync::atomic::Ordering::SeqCst), 0);
    // That of a CA whose key was erased is left alone.
    ask!(harness.service, issuers.delete_issuer((vault(), corp()))).unwrap();
    harness.later(1).await;
    harness.later(60).await;
    harness.later(1).await;
    harness.service.certificate_authorities().begin_publishing().await.unwrap();
    let kept = harness.store.body(&format!("authorities/default/{id}")).await.unwrap();
    assert!(kept["value"].get("sealed_key").is_none(), "{kept}");
    assert!(!due(&harness, &keys[0]).await);
}

#[tokio::test]
async fn the_daily_list_does_not_wait_until_the_log_was_read() {
    let (harness, id) = robbed().await;
    let before = list(&harness, &id).await;
    harness.store.put_out_of_reach("issued/");
    harness.clock.advance(DAY);
    let mut failed = 0;
    for due in harness.service.jobs().claim(64).await.unwrap() {
        failed += usize::from(due.key().starts_with("crls/") && harness.service.jobs().step(due).await.is_err());
    }
    let after = list(&harness, &id).await;
    assert!(failed == 1 && after.0 > before.0 && after.1 == 3, "{after:?} after {before:?}, {failed}");
}

#[tokio::test]
async fn a_ca_of_a_version_that_noted_no_number_has_one_before_a_list_can_be_lost() {
    let (harness, id) = robbed().await;
    let before = list(&harness, &id).await;
    let key = format!("authorities/default/{id}");
    let mut value = harness.store.body(&key).await.unwrap()["value"].clone();
    value["lists"]["last_crl"] = 0.into();
    let Record { revision, due, .. } = harness.store.get(&key).await.unwrap().unwrap();
    let body = record_body(&harness.sealer, &key, &value);
    let put = Put { key: key.clone(), expected: Some(revision), body, due };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    // As it begins, and each minute.
    harness.service.certificate_authorities().begin_publishing().await.unwrap();
    let Record { key, revision, .. } = harness.store.get(&format!("crls/{id}/0")).await.unwrap().unwrap();
    let deletes = vec![Delete { key, expected: revision }];
    harness.store.commit(Batch { deletes, ..Batch::default() }).await.unwrap();
    harness.service.certificate_authorities().begin_publishing().await.unwrap();
    harness.work().await;
    assert!(list(&harness, &id).await.0 > before.0);
}

#[tokio::test]
async fn a_responder_whose_certificate_is_revoked_gets_another_one_at_once() {
    let (harness, id) = publishing().await;
    let current = async || {
        let body = harness.store.body(&format!("responders/{id}")).await.unwrap();
        serde_json::from_value::<Blob>(body["value"]["current"]["cer"].clone()).unwrap()
    };
    let before = current().await;
    let serial = x509_parser::parse_x509_certificate(&before.0).unwrap().1.raw_serial().to_vec();
    let wanted = RevokeRequest {
        vault: vault(),
        which: RevokeWhich::Serial(Some(corp()), vec![Serial::new(&serial).unwrap()]),
        reason: RevocationReason::KeyCompromise,
        invalidity_time: None,
        disable: None,
    };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().revoke(wanted, harness.service.certificates()).await.unwrap();
    harness.work().await;
    assert_ne!(current().await, before);
}
