//! What was taken back: orders that may not go on, CAs and cross certificates that were revoked or given up; and records
//! without which an order cannot end.

use crate::false_provider::{Call, FalseProvider};
use crate::management::cas::{activate, authorities, further, input, name, of, revoke, serial, set};
use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::access::{AccessFile, FileInput, PrincipalName};
use certmint::domain::{Blob, DataAction, IssuerInput, PolicyInput, Reason, RevocationReason};
use certmint::issuer::provider::Progress;
use certmint::issuer::{IssuerError, Step};
use certmint::service::{
    AccessOptions, Caller, CallerLimits, CreateRequest, GrantLimits, Mode, Parent, PendingRef, RevokeRequest,
    RevokeWhich, Service, ServiceOptions,
};
use certmint::store::{Batch, Put, Record, Store};
use rcgen::{CertificateParams, KeyPair};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TWO_MINUTES: Duration = Duration::from_secs(120);

/// What a CA was asked for.
type Calls = Arc<Mutex<Vec<&'static str>>>;

/// With an issuer `outside` whose answers to orders are lost.
async fn with_lost_answers(options: ServiceOptions) -> (Harness, Calls) {
    let calls = Calls::default();
    let seen = calls.clone();
    let provider = FalseProvider::new("Outside", move |call: Call| {
        seen.lock().unwrap().push(if call.cancelling { "cancel" } else { "order" });
        std::future::ready(match call.cancelling {
            true => Ok(Progress::new(Step::Cancelled)),
            false => Err(IssuerError::Retry { after: None, source: "the answer was lost".into() }),
        })
    });
    let harness = Harness::with_issuers(options, |_, issuers| issuers.with_provider(Arc::new(provider))).await;
    (harness, calls)
}

fn outside() -> IssuerInput {
    IssuerInput { provider: Some("Outside".to_owned()), ..IssuerInput::default() }
}

async fn pending(harness: &Harness, name: &str) -> String {
    harness.store.body(&format!("pending/default/{name}")).await.unwrap()["value"].to_string()
}

/// The operation failed, for this reason, and its CA was asked to cancel what it may have.
async fn was_withdrawn(harness: &Harness, calls: &Calls, why: &str) {
    let failed = pending(harness, "waits").await;
    assert!(failed.contains("Request rejected") && failed.contains(why), "{failed}");
    assert_eq!(*calls.lock().unwrap(), ["order", "cancel"]);
    let left: Vec<String> = harness.store.keys().await.into_iter().filter(|key| key.starts_with("orders/")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_cancelled_when_its_key_is_reported() {
    let (harness, calls) = with_lost_answers(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    ask!(harness.service, issuers.set_issuer((vault(), name("outside")), outside())).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["own.example".to_owned()]).unwrap();
    let csr = params.serialize_request(&key).unwrap().der().to_vec();
    let request = |name: &str, issuer: &str| CreateRequest {
        policy: Some(PolicyInput { issuer_name: Some(issuer.to_owned()), ..PolicyInput::default() }),
        csr: Some(csr.clone()),
        ..create(name, issuer)
    };
    ask!(harness.service, creations.create(request("own", "corp"))).unwrap();
    ask!(harness.service, creations.create(request("waits", "outside"))).unwrap();
    harness.work().await;
    assert_eq!(*calls.lock().unwrap(), ["order"]);
    let wanted = RevokeRequest {
        vault: vault(),
        which: RevokeWhich::Version(named("own"), None),
        reason: RevocationReason::KeyCompromise,
        invalidity_time: None,
        disable: None,
    };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().revoke(wanted, harness.service.certificates()).await.unwrap();
    harness.clock.advance(TWO_MINUTES);
    harness.work().await;
    was_withdrawn(&harness, &calls, "reported as compromised").await;
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_cancelled_when_a_rule_forbids_it() {
    let access = AccessOptions {
        mode: Mode::Enforce,
        administrators: vec![PrincipalName::parse("token:test").unwrap()],
        file: AccessFile::default(),
        limits: GrantLimits::default(),
        per_caller: CallerLimits::default(),
    };
    let (harness, calls) = with_lost_answers(ServiceOptions { access, ..ServiceOptions::default() }).await;
    let (caller, service) = (Caller::new("token:test", None), &harness.service);
    let of_issuer = (vault(), name("outside"));
    let wanted = service.access().check(&caller, DataAction::IssuersRead, of_issuer).await.unwrap();
    service.issuers().set_issuer(wanted, outside()).await.unwrap();
    let request = create("waits", "outside");
    let wanted = service.access().check(&caller, DataAction::CertificatesCreate, request).await.unwrap();
    service.creations().create(wanted).await.unwrap();
    harness.work().await;
    let text = "[[vault_rules]]\nvault = \"default\"\nrules = { key_types = [\"RSA\"] }";
    let input: FileInput = toml::from_str(text).unwrap();
    let (access, file) = (service.access(), AccessFile::parse(&input).unwrap());
    // On a thread that may wait, as the server does it.
    std::thread::scope(|scope| scope.spawn(|| access.replace_file(file)).join()).unwrap().unwrap();
    harness.clock.advance(TWO_MINUTES);
    harness.work().await;
    was_withdrawn(&harness, &calls, "the rules of the vault do not allow").await;
}

/// What is under this key cannot be read any more; the record as it was, at the revision of now.
async fn damage(harness: &Harness, key: &str) -> Record {
    let good = harness.store.get(key).await.unwrap().unwrap();
    let put = Put { key: key.to_owned(), expected: Some(good.revision), body: b"damaged".to_vec(), due: good.due };
    let revision = harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    Record { revision, ..good }
}

async fn restore(harness: &Harness, Record { key, revision, body, due }: Record) {
    let put = Put { key, expected: Some(revision), body, due };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
}

#[tokio::test]
async fn an_order_that_a_damaged_record_keeps_from_its_end_says_so_and_goes_on_once_it_is_restored() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    let key = format!("authorities/default/{}", authorities(&harness, "corp").await[0].id);
    let good = damage(&harness, &key).await;
    harness.work().await;
    let waits = pending(&harness, "web").await;
    assert!(waits.contains("Issuing") && waits.contains(&format!("The record {key}")), "{waits}");
    restore(&harness, good).await;
    harness.clock.advance(TWO_MINUTES);
    harness.work().await;
    let web = ask!(harness.service, certificates.certificate((vault(), named("web")))).unwrap();
    assert!(web.issued.is_some(), "{}", pending(&harness, "web").await);
}

#[tokio::test]
async fn an_order_whose_entry_in_the_log_is_damaged_can_be_deleted_and_ends_at_its_deadline() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    for certificate in ["deleted", "overdue"] {
        ask!(harness.service, creations.create(create(certificate, "corp"))).unwrap();
    }
    for key in harness.store.keys().await.into_iter().filter(|key| key.starts_with("issued/")) {
        let good = harness.store.get(&key).await.unwrap().unwrap();
        let put = Put { key, expected: Some(good.revision), body: b"damaged".to_vec(), due: None };
        harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    }
    let wanted = PendingRef { vault: vault(), name: named("deleted"), request_id: None };
    ask!(harness.service, pending.delete_pending(wanted)).unwrap();
    harness.clock.advance(Duration::from_secs(40 * 86_400));
    harness.work().await;
    let failed = pending(&harness, "overdue").await;
    assert!(failed.contains("Failed") && failed.contains("did not decide before the deadline"), "{failed}");
}

/// The certificates that are handed out above a new leaf.
async fn above_a_leaf(harness: &Harness, name: &str) -> Vec<Blob> {
    ask!(harness.service, creations.create(create(name, "corp"))).unwrap();
    harness.work().await;
    ask!(harness.service, certificates.certificate((vault(), named(name)))).unwrap().issued.unwrap().chain
}

#[tokio::test]
async fn a_cross_certificate_that_was_revoked_is_handed_out_no_more() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    let second = further(&harness, "corp", Parent::OwnRoot, "CN=Corp 2").await.unwrap().authority;
    let cross = second.record.above.cross.unwrap();
    activate(&harness, "corp").await;
    assert_eq!(above_a_leaf(&harness, "before").await, std::slice::from_ref(&cross));
    let third = further(&harness, "corp", Parent::OwnRoot, "CN=Corp 3").await.unwrap().authority;
    let next_cross = third.record.above.cross.unwrap();
    revoke(&harness, "corp", serial(&cross)).await;
    assert_eq!(above_a_leaf(&harness, "after").await, second.record.chain);
    let crosses: Vec<Option<Blob>> =
        authorities(&harness, "corp").await.into_iter().map(|it| it.record.above.cross).collect();
    assert_eq!(crosses, [None, None, Some(next_cross.clone())], "that of another root stays");
    // One that is revoked before it was ever handed out.
    revoke(&harness, "corp", serial(&next_cross)).await;
    activate(&harness, "corp").await;
    assert_eq!(above_a_leaf(&harness, "last").await, third.record.chain);
}

#[tokio::test]
async fn a_ca_that_the_one_above_revoked_is_not_attached() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "root", &[]).await;
    set(&harness, "issuing", &[("parent", "root")]).await;
    let leaf_ca = authorities(&harness, "issuing").await.remove(0).record.chain.remove(0);
    ask!(harness.service, issuers.delete_issuer((vault(), name("issuing")))).unwrap();
    revoke(&harness, "root", serial(&leaf_ca)).await;
    let attach = IssuerInput { account_id: Some("attach".to_owned()), ..input(&[]) };
    let refused = ask!(harness.service, issuers.set_issuer((vault(), name("issuing")), attach)).unwrap_err();
    assert_eq!(refused.reason, Reason::BadParameter, "{refused:?}");
    assert!(format!("{refused:?}").contains("was revoked by the CA above it on 2027-"), "{refused:?}");
    let there = ask!(harness.service, issuers.issuer((vault(), name("issuing"))));
    assert_eq!(there.unwrap_err().reason, Reason::IssuerNotFound);
}

#[tokio::test]
async fn the_root_of_a_ca_that_was_given_up_is_not_among_those_to_trust() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    further(&harness, "corp", Parent::OwnRoot, "CN=Corp 2").await.unwrap();
    let roots = async |service: &Service| {
        let file = service.publications().roots("default", "corp").await.unwrap().unwrap();
        (String::from_utf8(file.bytes.to_vec()).unwrap().matches("BEGIN CERTIFICATE").count(), file.modified)
    };
    let (count, before) = roots(&harness.service).await;
    assert_eq!(count, 2);
    harness.clock.advance(TWO_MINUTES);
    let wanted = permit(&harness.service, of("corp")).await;
    harness.service.certificate_authorities().retire_authority(wanted).await.unwrap();
    let (count, after) = roots(&harness.service).await;
    assert_eq!(count, 1);
    assert!(after > before, "caches learn that the file is another one");
}

#[tokio::test]
async fn a_root_does_not_take_the_place_of_a_ca_below_another_one_unasked() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "root", &[]).await;
    set(&harness, "issuing", &[("parent", "root")]).await;
    let refused = further(&harness, "issuing", Parent::Unspecified, "CN=Issuing 2").await.unwrap_err();
    assert_eq!(refused.reason, Reason::BadParameter, "{refused:?}");
    assert!(format!("{refused:?}").contains("--parent-issuer NAME"), "{refused:?}");
    assert_eq!(authorities(&harness, "issuing").await.len(), 1);
    let made = further(&harness, "issuing", Parent::OwnRoot, "CN=Issuing 2").await.unwrap();
    assert_eq!(made.authority.record.chain.len(), 1);
    // In the place of a root, and where there is none, nothing else is meant.
    for issuer in ["root", "new"] {
        further(&harness, issuer, Parent::Unspecified, "CN=Another").await.unwrap();
    }
}
