//! The in-process providers in the conformance suite, and their further promises.

use crate::orders::{Case, Harness, KEY_TYPES, NOW, issuer, named};
use crate::suite::{Subject, keeps_every_promise};
use async_trait::async_trait;
use certmint::clock::ManualClock;
use certmint::domain::policy::KeyType;
use certmint::domain::{CertificateName, IssuerConfig, IssuerName, PolicyInput, RequestId, Timestamp, VaultName};
use certmint::issuer::provider::{CaInput, Health, IssuerInput, Order, Provider, State};
use certmint::issuer::{Checkpoint, FailureClass, IssuerError, Step};
use certmint::keys::authority::common_name_of;
use certmint::keys::chain::check_issued;
use certmint::keys::{Caller, random_id};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The part of each certificate that is signed.
fn contents(step: Step) -> Vec<Vec<u8>> {
    let Step::Issued { chain } = step else { panic!("not issued: {step:?}") };
    chain.iter().map(|der| X509Certificate::from_der(der).unwrap().1.tbs_certificate.as_ref().to_vec()).collect()
}

async fn a_repeat_signs_the_same_content(harness: &Harness, order: &Case) {
    let first = contents(harness.advance(order).await.unwrap());
    for _ in 0..2 {
        assert_eq!(contents(harness.advance(order).await.unwrap()), first);
    }
}

async fn what_is_issued_passes_the_check_of_the_core(harness: &Harness, order: &Case) {
    let chain = harness.issue(order).await;
    let checked = check_issued(&chain, &order.csr, &order.policy, NOW).unwrap();
    assert_eq!(checked.leaf, chain[0]);
    assert_eq!(checked.rest, chain[1..]);
    assert!(checked.not_before < NOW && NOW < checked.expires);
}

async fn a_cancellation_is_granted_and_may_be_repeated(harness: &Harness, order: &Case) {
    for checkpoint in [Checkpoint::default(), Checkpoint(vec![1, 2, 3])] {
        assert_eq!(harness.cancel_at(order, &checkpoint).await.unwrap(), Step::Cancelled);
    }
}

async fn a_waiting_order_keeps_its_checkpoint(harness: &Harness, order: &Case) {
    for given in [Checkpoint::default(), Checkpoint(vec![1, 2, 3])] {
        let Step::Pending { checkpoint, again, .. } = harness.advance_at(order, &given).await.unwrap() else {
            panic!()
        };
        assert_eq!(checkpoint, given);
        assert!(!again.is_zero());
    }
}

/// A provider of this process in the suite of all providers.
struct InProcess {
    harness: Harness,
    issuer: Option<IssuerConfig>,
    refused: Vec<IssuerInput>,
}

impl InProcess {
    fn new(issuer: impl FnOnce(&Harness) -> Option<IssuerConfig>, refused: Vec<IssuerInput>) -> Self {
        let harness = Harness::new();
        Self { issuer: issuer(&harness), harness, refused }
    }

    fn case(&self) -> Case {
        self.harness.order(KeyType::P256, named("CN=a.example"), self.issuer.clone())
    }
}

#[async_trait]
impl Subject for InProcess {
    fn provider(&self) -> Arc<dyn Provider> {
        self.harness.provider(&self.case()).0
    }

    fn input(&self) -> IssuerInput {
        let account_id = self.issuer.as_ref().and_then(|issuer| issuer.credentials.account_id.clone());
        IssuerInput { account_id, ca: Some(ca_input()), ..IssuerInput::default() }
    }

    fn state(&self) -> Option<State> {
        Some(self.harness.provider(&self.case()).1)
    }

    fn refused(&self) -> Vec<IssuerInput> {
        self.refused.clone()
    }

    fn order(&self) -> Order {
        let mut order = self.case().order;
        order.request_id = RequestId::from_uuid(random_id());
        order
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    fn now(&self) -> Timestamp {
        NOW
    }
}

fn ca_input() -> CaInput {
    CaInput {
        vault: VaultName::default_vault(),
        issuer: IssuerName::parse("MyIssuer").unwrap(),
        caller: Caller::new("test", None),
        clock: Arc::new(ManualClock::at(NOW)),
        taken_names: Default::default(),
        named_account_id: None,
        named_organization_id: None,
    }
}

#[tokio::test]
async fn self_keeps_every_promise() {
    keeps_every_promise(&InProcess::new(|_| None, Vec::new())).await;
}

#[tokio::test]
async fn the_local_ca_keeps_every_promise() {
    let wrong = IssuerInput {
        account_id: Some("both".into()),
        ca: Some(CaInput { named_account_id: Some("both".into()), ..ca_input() }),
        ..IssuerInput::default()
    };
    let made = |harness: &Harness| Some(harness.local_ca(true, KeyType::P256, None));
    keeps_every_promise(&InProcess::new(made, vec![wrong])).await;
}

#[tokio::test]
async fn the_test_issuer_keeps_every_promise() {
    keeps_every_promise(&InProcess::new(|_| Some(issuer("Test", Some("complete"))), Vec::new())).await;
}

#[tokio::test]
async fn the_local_ca_makes_its_ca_once_under_a_free_name() {
    let (harness, vault) = (Harness::new(), VaultName::default_vault());
    let provider = harness.issuers.get("LocalCA").unwrap();
    let empty = provider.state_in_object(&vault, &issuer("LocalCA", None)).unwrap();
    assert!(provider.authority(&empty).is_none());
    let taken_names = ["myissuer ca (default)".to_owned()].into();
    let input = IssuerInput { ca: Some(CaInput { taken_names, ..ca_input() }), ..IssuerInput::default() };
    let made = provider.configure(&input, Some(&empty)).await.unwrap();
    let authority = provider.authority(&made).unwrap();
    assert_eq!(common_name_of(&authority.chain[0].0).unwrap(), "MyIssuer CA (default) 2");
    let again = provider.configure(&input, Some(&made)).await.unwrap();
    assert_eq!(provider.authority(&again), Some(authority));
}

#[tokio::test]
async fn the_check_of_a_local_ca_says_whether_its_key_opens_and_fits() {
    let (harness, other) = (Harness::new(), Harness::new());
    let check = async |config: IssuerConfig| {
        let (provider, state) = harness.provider(&harness.order(KeyType::P256, named("CN=a"), Some(config)));
        provider.check(&state).await
    };
    let good = harness.local_ca(false, KeyType::P256, Some("Example CA"));
    let Health::Good(text) = check(good.clone()).await else { panic!() };
    assert!(text.contains("Example CA"), "{text}");
    let mut mixed = good;
    mixed.authority.as_mut().unwrap().sealed_key =
        harness.local_ca(false, KeyType::P256, None).authority.unwrap().sealed_key;
    for bad in [mixed, other.local_ca(false, KeyType::P256, None), issuer("LocalCA", None)] {
        assert!(matches!(check(bad).await, Health::Bad(_)));
    }
}

#[test]
fn the_private_key_of_a_certificate_goes_only_to_whom_signs_with_it() {
    let harness = Harness::new();
    assert!(harness.issuers.self_signed().needs().sealed_key);
    assert!(!harness.issuers.get("LocalCA").unwrap().needs().sealed_key);
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
        a_repeat_signs_the_same_content(&harness, &order).await;
        what_is_issued_passes_the_check_of_the_core(&harness, &order).await;
        a_cancellation_is_granted_and_may_be_repeated(&harness, &order).await;
    }
}

#[tokio::test]
async fn every_key_type_is_signed_by_itself_and_by_each_authority() {
    let harness = Harness::new();
    for key_type in KEY_TYPES {
        for config in [None, Some(harness.local_ca(true, key_type, None))] {
            let order = harness.order(key_type, named("CN=a.example"), config);
            what_is_issued_passes_the_check_of_the_core(&harness, &order).await;
        }
    }
}

#[tokio::test]
async fn another_request_or_version_has_another_serial_number() {
    let harness = Harness::new();
    let order = harness.order(KeyType::P256, named("CN=a"), Some(harness.local_ca(false, KeyType::P256, None)));
    let serial = async |order: &Case| {
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
    a_waiting_order_keeps_its_checkpoint(&harness, &order).await;
    a_cancellation_is_granted_and_may_be_repeated(&harness, &order).await;
}

#[tokio::test]
async fn the_test_issuer_fails_by_the_fault_that_its_account_names() {
    let harness = Harness::new();
    for (account, expected) in [("fail", FailureClass::IssuerError), ("reject", FailureClass::RequestRejected)] {
        let order = harness.order(KeyType::P256, named("CN=a"), Some(issuer("Test", Some(account))));
        for _ in 0..2 {
            let step = harness.advance(&order).await.unwrap();
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
    let step = harness.advance(&order).await.unwrap();
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
        let error = harness.advance(&order).await.unwrap_err();
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
        let error = harness.advance(&order).await.unwrap_err();
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
