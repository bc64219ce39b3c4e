//! The contract of issuers: one function per promise, run for each issuer.

use crate::orders::{Harness, KEY_TYPES, NOW, issuer, named};
use certmint::domain::policy::KeyType;
use certmint::domain::{CertificateName, IssuerConfig, IssuerName, PolicyInput, RequestId};
use certmint::issuer::{Checkpoint, FailureClass, Issuer, IssuerError, Order, Step};
use certmint::keys::chain::check_issued;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The part of each certificate that is signed.
fn contents(step: Step) -> Vec<Vec<u8>> {
    let Step::Issued { chain } = step else { panic!("not issued: {step:?}") };
    chain.iter().map(|der| X509Certificate::from_der(der).unwrap().1.tbs_certificate.as_ref().to_vec()).collect()
}

async fn a_repeat_signs_the_same_content(issuer: &dyn Issuer, order: &Order) {
    let first = contents(issuer.advance(order, &Checkpoint::default()).await.unwrap());
    for _ in 0..2 {
        assert_eq!(contents(issuer.advance(order, &Checkpoint::default()).await.unwrap()), first);
    }
}

async fn what_is_issued_passes_the_check_of_the_core(issuer: &dyn Issuer, order: &Order) {
    let Step::Issued { chain } = issuer.advance(order, &Checkpoint::default()).await.unwrap() else { panic!() };
    let checked = check_issued(&chain, &order.csr, &order.policy, NOW).unwrap();
    assert_eq!(checked.leaf, chain[0]);
    assert_eq!(checked.rest, chain[1..]);
    assert!(checked.not_before < NOW && NOW < checked.expires);
}

async fn a_cancellation_is_granted_and_may_be_repeated(issuer: &dyn Issuer, order: &Order) {
    for checkpoint in [Checkpoint::default(), Checkpoint(vec![1, 2, 3])] {
        assert_eq!(issuer.cancel(order, &checkpoint).await.unwrap(), Step::Cancelled);
    }
}

async fn a_waiting_order_keeps_its_checkpoint(issuer: &dyn Issuer, order: &Order) {
    for given in [Checkpoint::default(), Checkpoint(vec![1, 2, 3])] {
        let Step::Pending { checkpoint, again, .. } = issuer.advance(order, &given).await.unwrap() else { panic!() };
        assert_eq!(checkpoint, given);
        assert!(!again.is_zero());
    }
}

fn issuers_that_sign(harness: &Harness) -> Vec<Option<IssuerConfig>> {
    vec![
        None,
        Some(harness.local_ca(false, KeyType::P256, None)),
        Some(harness.local_ca(true, KeyType::P384, Some("Example CA"))),
        Some(issuer("test", None)),
        Some(issuer("TEST", Some("keyvaultuser"))),
        Some(issuer("Test", Some("complete"))),
    ]
}

#[tokio::test]
async fn every_issuer_that_signs_keeps_its_promises() {
    let harness = Harness::new();
    for config in issuers_that_sign(&harness) {
        let order = harness.order(KeyType::P256, named("CN=a.example"), config);
        let issuer = harness.issuer(&order);
        a_repeat_signs_the_same_content(issuer, &order).await;
        what_is_issued_passes_the_check_of_the_core(issuer, &order).await;
        a_cancellation_is_granted_and_may_be_repeated(issuer, &order).await;
    }
}

#[tokio::test]
async fn every_key_type_is_signed_by_itself_and_by_each_authority() {
    let harness = Harness::new();
    for key_type in KEY_TYPES {
        for config in [None, Some(harness.local_ca(true, key_type, None))] {
            let order = harness.order(key_type, named("CN=a.example"), config);
            what_is_issued_passes_the_check_of_the_core(harness.issuer(&order), &order).await;
        }
    }
}

#[tokio::test]
async fn another_request_or_version_has_another_serial_number() {
    let harness = Harness::new();
    let order = harness.order(KeyType::P256, named("CN=a"), Some(harness.local_ca(false, KeyType::P256, None)));
    let serial = async |order: &Order| {
        let chain = harness.issue(order).await;
        X509Certificate::from_der(&chain[0]).unwrap().1.raw_serial().to_vec()
    };
    let mut other_request = order.clone();
    other_request.request_id = RequestId::parse("c76827a18b63421c917da80f28e9913d").unwrap();
    let mut other_issuer = order.clone();
    other_issuer.issuer = Some(harness.local_ca(false, KeyType::P256, None));
    let serials = [serial(&order).await, serial(&other_request).await, serial(&other_issuer).await];
    assert!(serials.iter().all(|serial| serial.len() == 16 && (0x40..0x80).contains(&serial[0])), "{serials:x?}");
    assert!(serials[0] != serials[1] && serials[0] != serials[2] && serials[1] != serials[2]);
}

#[tokio::test]
async fn the_test_issuer_holds_until_it_is_cancelled() {
    let harness = Harness::new();
    let order = harness.order(KeyType::P256, named("CN=a"), Some(issuer("Test", Some("Hold"))));
    a_waiting_order_keeps_its_checkpoint(harness.issuer(&order), &order).await;
    a_cancellation_is_granted_and_may_be_repeated(harness.issuer(&order), &order).await;
}

#[tokio::test]
async fn the_test_issuer_fails_by_the_fault_that_its_account_names() {
    let harness = Harness::new();
    for (account, expected) in [("fail", FailureClass::IssuerError), ("reject", FailureClass::RequestRejected)] {
        let order = harness.order(KeyType::P256, named("CN=a"), Some(issuer("Test", Some(account))));
        for _ in 0..2 {
            let step = harness.issuer(&order).advance(&order, &Checkpoint::default()).await.unwrap();
            let Step::Failed { class, message } = step else { panic!("{step:?}") };
            assert_eq!(class, expected);
            assert!(!message.is_empty());
        }
    }
}

#[tokio::test]
async fn a_ca_certificate_is_refused_by_the_local_ca_and_made_by_self() {
    let harness = Harness::new();
    let input = || PolicyInput { ca: Some(true), ..named("CN=Own CA") };
    let order = harness.order(KeyType::P256, input(), Some(harness.local_ca(false, KeyType::P256, None)));
    let step = harness.issuer(&order).advance(&order, &Checkpoint::default()).await.unwrap();
    let Step::Failed { class: FailureClass::RequestRejected, message } = step else { panic!("{step:?}") };
    assert!(message.contains("basic_constraints.ca"), "{message}");
    let chain = harness.issue(&harness.order(KeyType::P256, input(), None)).await;
    assert!(X509Certificate::from_der(&chain[0]).unwrap().1.is_ca());
}

#[tokio::test]
async fn an_issuer_without_a_usable_authority_is_misconfigured() {
    let harness = Harness::new();
    let mut expired = harness.order(KeyType::P256, named("CN=a"), Some(harness.local_ca(false, KeyType::P256, None)));
    expired.created = NOW.plus_months(240);
    let missing = harness.order(KeyType::P256, named("CN=a"), Some(issuer("LocalCA", None)));
    for (order, sentence) in [(expired, "expired"), (missing, "no CA key")] {
        let error = harness.issuer(&order).advance(&order, &Checkpoint::default()).await.unwrap_err();
        assert!(matches!(error, IssuerError::Misconfigured { .. }), "{error:?}");
        assert!(error.to_string().contains(sentence), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_was_sealed_for_another_place_is_not_used() {
    let harness = Harness::new();
    let mut moved = harness.order(KeyType::P256, named("CN=a"), None);
    moved.certificate = CertificateName::parse("other").unwrap();
    let mut config = harness.local_ca(false, KeyType::P256, None);
    config.name = IssuerName::parse("other").unwrap();
    let foreign = harness.order(KeyType::P256, named("CN=a"), Some(config));
    for order in [moved, foreign] {
        let error = harness.issuer(&order).advance(&order, &Checkpoint::default()).await.unwrap_err();
        assert!(matches!(error, IssuerError::Retry { .. }), "{error:?}");
        assert!(error.to_string().contains("could not be opened"), "{error}");
    }
}

#[test]
fn providers_compare_without_case() {
    let harness = Harness::new();
    assert_eq!(harness.issuers.providers(), ["LocalCA", "Test"]);
    assert!(harness.issuers.get("localca").is_some() && harness.issuers.get("TEST").is_some());
    assert!(harness.issuers.get("Self").is_none() && harness.issuers.get("DigiCert").is_none());
}
