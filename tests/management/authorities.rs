//! What becomes of the key of a built-in CA when its issuer object is deleted.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::issuer::Organization;
use certmint::domain::{IssuerConfig, IssuerInput, IssuerName, Reason};
use certmint::service::{ServiceOptions, record_body};
use certmint::store::{Batch, Put, Store};
use serde_json::Value;

fn corp() -> IssuerName {
    IssuerName::parse("corp").unwrap()
}

fn input(id: Option<&str>) -> IssuerInput {
    let organization =
        id.map(|id| Organization { id: Some(id.into()), administrators: Vec::new(), without_administrators: false });
    IssuerInput { provider: Some("LocalCA".into()), organization, ..IssuerInput::default() }
}

async fn set(harness: &Harness, name: &str, id: Option<&str>) -> IssuerConfig {
    let name = IssuerName::parse(name).unwrap();
    ask!(harness.service, issuers.set_issuer((vault(), name), input(id))).unwrap()
}

/// The records of authorities, as they are kept.
async fn kept(harness: &Harness) -> Vec<Value> {
    let mut all = Vec::new();
    for key in harness.store.keys().await.into_iter().filter(|key| key.starts_with("authorities/")) {
        all.push(harness.store.body(&key).await.unwrap()["value"].clone());
    }
    all
}

/// A leaf of the issuer for so many months.
async fn leaf(harness: &Harness, name: &str, months: i64) {
    let mut request = create(name, "corp");
    request.policy.as_mut().unwrap().validity_months = Some(months);
    ask!(harness.service, creations.create(request)).unwrap();
    harness.work().await;
    let bundle = ask!(harness.service, certificates.certificate((vault(), named(name)))).unwrap();
    assert!(bundle.issued.is_some());
}

fn common_name(issuer: &IssuerConfig) -> String {
    let root = issuer.authority.as_ref().unwrap().chain.last().unwrap();
    x509_parser::parse_x509_certificate(&root.0).unwrap().1.subject().to_string()
}

#[tokio::test]
async fn the_key_of_a_deleted_ca_is_kept_until_its_last_certificate_has_expired() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let issuer = set(&harness, "corp", None).await;
    leaf(&harness, "long", 3).await;
    leaf(&harness, "short", 1).await;
    ask!(harness.service, issuers.delete_issuer((vault(), corp()))).unwrap();
    let chain = issuer.authority.unwrap().chain;
    assert_eq!(
        harness.service.authorities().ca(permit(&harness.service, (vault(), corp())).await).await.unwrap(),
        chain
    );
    // A purge takes the certificate, not what the CA signed.
    harness.delete("long").await;
    ask!(harness.service, deletions.purge_certificate((vault(), named("long")))).unwrap();
    harness.later(80).await;
    assert!(kept(&harness).await[0]["sealed_key"].is_string());
    harness.later(20).await;
    let records = kept(&harness).await;
    assert!(records.len() == 1 && records[0].get("sealed_key").is_none(), "{records:?}");
    let error = harness.service.authorities().ca(permit(&harness.service, (vault(), corp())).await).await.unwrap_err();
    assert_eq!(error.reason, Reason::IssuerNotFound);
}

#[tokio::test]
async fn the_key_of_a_ca_that_signed_nothing_goes_after_a_day() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", None).await;
    ask!(harness.service, issuers.delete_issuer((vault(), corp()))).unwrap();
    harness.work().await;
    assert!(kept(&harness).await[0]["sealed_key"].is_string());
    harness.later(2).await;
    assert!(kept(&harness).await[0].get("sealed_key").is_none());
}

#[tokio::test]
async fn another_ca_never_gets_a_name_that_one_of_the_vault_had() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let mut names = vec![common_name(&set(&harness, "corp", Some("Example Root")).await)];
    for _ in 0..2 {
        ask!(harness.service, issuers.delete_issuer((vault(), corp()))).unwrap();
        harness.later(2).await;
        names.push(common_name(&set(&harness, "corp", Some("Example Root")).await));
    }
    names.push(common_name(&set(&harness, "other", Some("EXAMPLE  root")).await));
    names.push(common_name(&set(&harness, "third", Some("Example Root 2")).await));
    let expected = ["Example Root", "Example Root 2", "Example Root 3", "EXAMPLE  root 4", "Example Root 2 2"];
    assert_eq!(names, expected.map(|name| format!("CN={name}")));
    let made = set(&harness, "plain", None).await;
    assert_eq!(common_name(&made), "CN=plain CA (default)");
    ask!(harness.service, issuers.delete_issuer((vault(), IssuerName::parse("plain").unwrap()))).unwrap();
    assert_eq!(common_name(&set(&harness, "plain", None).await), "CN=plain CA (default) 2");
}

#[tokio::test]
async fn a_new_ca_signs_after_an_old_one_was_deleted_and_both_are_counted() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", Some("Example Root")).await;
    leaf(&harness, "one", 12).await;
    ask!(harness.service, issuers.delete_issuer((vault(), corp()))).unwrap();
    let second = set(&harness, "corp", Some("Example Root")).await;
    leaf(&harness, "two", 24).await;
    assert_eq!(
        harness.service.authorities().ca(permit(&harness.service, (vault(), corp())).await).await.unwrap(),
        second.authority.unwrap().chain
    );
    let mut ends: Vec<bool> = kept(&harness).await.iter().map(|record| record["last_expiry"].is_i64()).collect();
    ends.sort_unstable();
    assert_eq!(ends, [true, true]);
}

#[tokio::test]
async fn the_last_expiry_is_written_once_a_day_and_not_for_each_certificate() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", None).await;
    leaf(&harness, "first", 12).await;
    harness.store.reset();
    for number in 0..5 {
        leaf(&harness, &format!("c{number}"), 12).await;
    }
    // A creation, a claim that is no commit, and the completion.
    assert_eq!(harness.store.commits.load(std::sync::atomic::Ordering::SeqCst), 10);
}

#[tokio::test]
async fn what_a_ca_of_an_older_version_signed_is_taken_to_live_as_long_as_the_ca() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", None).await;
    // Older versions kept no record beside the issuer.
    let key = harness.store.keys().await.into_iter().find(|key| key.starts_with("authorities/")).unwrap();
    let record = harness.store.get(&key).await.unwrap().unwrap();
    let deletes = vec![certmint::store::Delete { key: record.key, expected: record.revision }];
    harness.store.commit(Batch { deletes, ..Batch::default() }).await.unwrap();
    ask!(harness.service, issuers.delete_issuer((vault(), corp()))).unwrap();
    harness.later(19 * 365).await;
    assert!(kept(&harness).await[0]["sealed_key"].is_string());
    assert_eq!(common_name(&set(&harness, "corp", None).await), "CN=corp CA (default) 2");
    harness.later(2 * 365).await;
    assert!(
        kept(&harness)
            .await
            .iter()
            .filter(|record| record.get("retired").is_some())
            .all(|it| it.get("sealed_key").is_none())
    );
}

#[tokio::test]
async fn an_issuer_of_an_older_version_signs_and_is_recorded() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", None).await;
    let key = harness.store.keys().await.into_iter().find(|key| key.starts_with("authorities/")).unwrap();
    let record = harness.store.get(&key).await.unwrap().unwrap();
    let deletes = vec![certmint::store::Delete { key: record.key, expected: record.revision }];
    harness.store.commit(Batch { deletes, ..Batch::default() }).await.unwrap();
    leaf(&harness, "one", 1).await;
    let records = kept(&harness).await;
    let created = 1_800_000_000_000_i64;
    assert!(records[0]["last_expiry"].as_i64().unwrap() > created + 19 * 365 * 86_400_000, "{records:?}");
}

#[tokio::test]
async fn a_provider_that_was_changed_by_an_older_version_hides_the_ca_and_gets_it_back() {
    let harness = Harness::new(ServiceOptions::default()).await;
    let issuer = set(&harness, "corp", None).await;
    let key = "issuers/default/corp";
    let record = harness.store.get(key).await.unwrap().unwrap();
    let mut body: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
    body["value"]["provider"] = "Test".into();
    let body = record_body(&harness.sealer, key, &body["value"]);
    let put = Put { key: key.into(), expected: Some(record.revision), body, due: None };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    let error = harness.service.authorities().ca(permit(&harness.service, (vault(), corp())).await).await.unwrap_err();
    assert!(error.message.contains("has no CA"), "{error}");
    let again = set(&harness, "corp", None).await;
    assert_eq!(again.authority, issuer.authority);
}
