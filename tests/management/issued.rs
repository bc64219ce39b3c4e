//! The log of a built-in CA: an intent with each operation, how it ended, and what no deletion changes.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::permit;
use certmint::domain::issued::IssuedState;
use certmint::domain::{IssuerInput, IssuerName, Reason, RevocationReason, Serial, Timestamp};
use certmint::service::{
    CaOptions, IssuedFilter, IssuedRef, IssuedView, ListAuthorities, ListIssued, PendingRef, RevokeRequest,
    RevokeWhich, ServiceOptions, record_body,
};
use certmint::store::{Batch, Delete, Put, Store};
use serde_json::Value;
use std::time::Duration;

fn corp() -> IssuerName {
    IssuerName::parse("corp").unwrap()
}

async fn set(harness: &Harness) {
    let input = IssuerInput { provider: Some("LocalCA".into()), ..IssuerInput::default() };
    harness.service.issuers().set_issuer(permit(&harness.service, (vault(), corp())).await, input).await.unwrap();
}

async fn began(harness: &Harness, name: &str) {
    harness.service.creations().create(permit(&harness.service, create(name, "corp")).await).await.unwrap();
}

fn all() -> ListIssued {
    ListIssued {
        vault: vault(),
        issuer: Some(corp()),
        since: None,
        until: None,
        name: None,
        filter: None,
        page_size: 100,
        page_token: String::new(),
    }
}

async fn list(harness: &Harness, wanted: ListIssued) -> Vec<IssuedView> {
    let page = harness.service.certificate_authorities().list_issued(permit(&harness.service, wanted).await).await;
    let page = page.unwrap();
    assert_eq!(page.next_page_token, "");
    page.issued
}

async fn log(harness: &Harness) -> Vec<IssuedView> {
    list(harness, all()).await
}

async fn states(harness: &Harness) -> Vec<(String, IssuedState)> {
    let log = log(harness).await;
    log.into_iter().map(|view| (view.issued.asked.certificate.unwrap().to_string(), view.issued.state)).collect()
}

async fn by_serial(harness: &Harness, text: &str) -> Result<IssuedView, Reason> {
    let wanted = IssuedRef { vault: vault(), issuer: Some(corp()), serial: Serial::spellings(text).unwrap() };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().issued(&wanted).await.map_err(|error| error.reason)
}

async fn cer(harness: &Harness, name: &str) -> Vec<u8> {
    let wanted = permit(&harness.service, (vault(), named(name))).await;
    harness.service.certificates().certificate(wanted).await.unwrap().issued.unwrap().cer.0
}

fn pending(name: &str) -> PendingRef {
    PendingRef { vault: vault(), name: named(name), request_id: None }
}

#[tokio::test]
async fn what_is_signed_is_stored_before_and_is_what_was_stored() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    began(&harness, "web").await;
    let before = log(&harness).await;
    let [IssuedView { issued: intended, .. }] = &before[..] else { panic!("{before:?}") };
    assert_eq!((intended.state, intended.asked.principal.as_str()), (IssuedState::Intended, "test"));
    let tbs = intended.tbs.clone().unwrap().0;
    harness.work().await;
    let leaf = cer(&harness, "web").await;
    let (_, certificate) = x509_parser::parse_x509_certificate(&leaf).unwrap();
    assert_eq!(certificate.tbs_certificate.as_ref(), tbs);
    let after = log(&harness).await;
    let [IssuedView { issued, .. }] = &after[..] else { panic!("{after:?}") };
    assert_eq!(
        (issued.state, issued.cer.as_ref().map(|cer| &cer.0), issued.tbs.is_none()),
        (IssuedState::Issued, Some(&leaf), true)
    );
    assert_eq!(certificate.raw_serial(), issued.serial.bytes());
    assert_eq!(issued.content.not_after.seconds(), certificate.validity().not_after.timestamp());
    assert_eq!(
        (&issued.serial, &issued.asked, &issued.content),
        (&intended.serial, &intended.asked, &intended.content)
    );
}

#[tokio::test]
async fn a_certificate_is_found_by_its_serial_number_in_any_spelling() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    began(&harness, "web").await;
    harness.work().await;
    let (_, certificate) = x509_parser::parse_x509_certificate(&cer(&harness, "web").await)
        .map(|(rest, it)| (rest.len(), it.raw_serial().to_vec()))
        .unwrap();
    let hex: String = certificate.iter().map(|byte| format!("{byte:02x}")).collect();
    let pairs = |separator: &str| {
        hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect::<Vec<_>>().join(separator)
    };
    let decimal = u128::from_str_radix(&hex, 16).unwrap().to_string();
    for text in [
        hex.clone(),
        hex.to_uppercase(),
        pairs(":"),
        pairs("-"),
        pairs(" "),
        format!("0x{hex}"),
        format!("00{hex}"),
        decimal,
    ] {
        assert_eq!(by_serial(&harness, &text).await.unwrap().issued.serial.to_string(), hex, "{text}");
    }
    assert_eq!(by_serial(&harness, "0102").await.unwrap_err(), Reason::CertificateNotFound);
}

#[tokio::test]
async fn each_end_of_an_operation_ends_its_intent() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    for name in ["cancelled", "deleted", "removed", "overdue"] {
        began(&harness, name).await;
    }
    let service = &harness.service;
    service.pending().cancel(permit(service, pending("cancelled")).await).await.unwrap();
    service.pending().delete_pending(permit(service, pending("deleted")).await).await.unwrap();
    service.deletions().delete_certificate(permit(service, (vault(), named("removed"))).await).await.unwrap();
    let states_now = states(&harness).await;
    let mut open: Vec<&str> =
        states_now.iter().filter(|(_, state)| *state == IssuedState::Intended).map(|(name, _)| name.as_str()).collect();
    open.sort_unstable();
    assert_eq!(open, ["cancelled", "overdue"]);
    harness.clock.advance(Duration::from_secs(40 * 24 * 3600));
    harness.work().await;
    assert!(states(&harness).await.iter().all(|(_, state)| *state == IssuedState::Abandoned));
    assert_eq!(states(&harness).await.len(), 4);
}

#[tokio::test]
async fn a_deletion_and_a_purge_change_nothing_in_the_log() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    began(&harness, "web").await;
    harness.work().await;
    let before = log(&harness).await;
    harness.delete("web").await;
    let service = &harness.service;
    service.deletions().purge_certificate(permit(service, (vault(), named("web"))).await).await.unwrap();
    service.issuers().delete_issuer(permit(service, (vault(), corp())).await).await.unwrap();
    harness.work().await;
    assert_eq!(log(&harness).await[0].issued, before[0].issued);
    harness.later(360 + 390).await;
    assert_eq!(log(&harness).await.len(), 1);
    harness.later(40).await;
    assert!(log(&harness).await.is_empty());
    let left: Vec<String> = harness.store.keys().await.into_iter().filter(|key| key.starts_with("issued")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn an_operation_goes_on_with_the_ca_that_its_issuer_has_by_then() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    began(&harness, "web").await;
    let service = &harness.service;
    service.issuers().delete_issuer(permit(service, (vault(), corp())).await).await.unwrap();
    set(&harness).await;
    harness.work().await;
    let log = log(&harness).await;
    let states: Vec<IssuedState> = log.iter().map(|view| view.issued.state).collect();
    assert_eq!(states, [IssuedState::Abandoned, IssuedState::Issued]);
    let [old, new] = &log[..] else { panic!("{log:?}") };
    assert_ne!((&old.issued.authority, &old.issued.serial), (&new.issued.authority, &new.issued.serial));
    assert_eq!(new.issued.asked, old.issued.asked);
    assert_eq!(new.issued.cer.as_ref().unwrap().0, cer(&harness, "web").await);
}

/// Takes the log away, as a version without it would have left the store.
async fn forget_the_log(harness: &Harness) {
    for key in harness.store.keys().await.into_iter().filter(|key| key.starts_with("issued")) {
        let record = harness.store.get(&key).await.unwrap().unwrap();
        let deletes = vec![Delete { key, expected: record.revision }];
        harness.store.commit(Batch { deletes, ..Batch::default() }).await.unwrap();
    }
}

#[tokio::test]
async fn an_operation_of_a_version_without_the_log_gets_the_number_that_version_would_sign() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    began(&harness, "web").await;
    forget_the_log(&harness).await;
    let key = "pending/default/web";
    let record = harness.store.get(key).await.unwrap().unwrap();
    let mut body: Value = serde_json::from_slice(&record.body).unwrap();
    body["value"].as_object_mut().unwrap().remove("intent").unwrap();
    let body = record_body(&harness.sealer, key, &body["value"]);
    let put = Put { key: key.into(), expected: Some(record.revision), body, due: record.due };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    harness.work().await;
    let log = log(&harness).await;
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].issued.state, log[0].issued.asked.principal.as_str()), (IssuedState::Issued, ""));
    let leaf = cer(&harness, "web").await;
    assert_eq!(x509_parser::parse_x509_certificate(&leaf).unwrap().1.raw_serial(), log[0].issued.serial.bytes());
}

#[tokio::test]
async fn versions_of_before_the_log_are_taken_over_once_and_again_within_the_window() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    for name in ["a", "b"] {
        began(&harness, name).await;
    }
    harness.work().await;
    let before = log(&harness).await;
    forget_the_log(&harness).await;
    let (window, cas) = (Duration::from_secs(3600), harness.service.certificate_authorities());
    assert_eq!(cas.adopt_issued(window).await.unwrap(), Some(2));
    let after = log(&harness).await;
    assert_eq!(after.len(), 2);
    for (before, after) in before.iter().zip(&after) {
        let (before, after) = (&before.issued, &after.issued);
        assert_eq!((&before.serial, before.state, &before.cer), (&after.serial, after.state, &after.cer));
        assert_eq!((&before.asked.version, &before.content.names), (&after.asked.version, &after.content.names));
        assert_eq!(before.content, after.content);
    }
    // A replica of a version without the log completed one meanwhile.
    forget_the_log_but_the_mark(&harness).await;
    assert_eq!(cas.adopt_issued(window).await.unwrap(), Some(2));
    harness.clock.advance(window);
    assert_eq!(cas.adopt_issued(window).await.unwrap(), Some(0));
    forget_the_log_but_the_mark(&harness).await;
    assert_eq!(cas.adopt_issued(window).await.unwrap(), None);
}

async fn forget_the_log_but_the_mark(harness: &Harness) {
    let mark = harness.store.get("issued-adoption/versions").await.unwrap().unwrap();
    forget_the_log(harness).await;
    let put = Put { key: mark.key, expected: None, body: mark.body, due: None };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
}

#[tokio::test]
async fn the_log_is_listed_by_period_name_and_state_page_by_page() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    let begin = Timestamp::from_seconds(1_800_000_000);
    for number in 0..7_u64 {
        began(&harness, &format!("c{number}")).await;
        if number < 5 {
            harness.work().await;
        }
        harness.clock.advance(Duration::from_secs(1));
    }
    let names = |views: &[IssuedView]| -> Vec<String> {
        views.iter().map(|view| view.issued.asked.certificate.as_ref().unwrap().to_string()).collect()
    };
    let period = ListIssued {
        since: Some(begin.plus(Duration::from_secs(2))),
        until: Some(begin.plus(Duration::from_secs(5))),
        ..all()
    };
    assert_eq!(names(&list(&harness, period).await), ["c2", "c3", "c4"]);
    assert_eq!(names(&list(&harness, ListIssued { name: Some(named("C3")), ..all() }).await), ["c3"]);
    let open = ListIssued { filter: IssuedFilter::parse("Intended"), ..all() };
    assert_eq!(names(&list(&harness, open).await), ["c5", "c6"]);
    assert!(list(&harness, ListIssued { filter: IssuedFilter::parse("revoked"), ..all() }).await.is_empty());
    let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let wanted = ListIssued { page_size: 3, page_token: token, issuer: None, ..all() };
        let wanted = permit(&harness.service, wanted).await;
        let page = harness.service.certificate_authorities().list_issued(wanted).await.unwrap();
        seen.extend(names(&page.issued));
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (7, 3));
    let wanted =
        permit(&harness.service, ListAuthorities { vault: vault(), issuer: IssuerName::parse("other").ok() }).await;
    let refused = harness.service.certificate_authorities().authorities(&wanted).await.unwrap_err();
    assert_eq!(refused.reason, Reason::IssuerNotFound);
}

#[tokio::test]
async fn a_revocation_is_on_a_list_soon_though_the_clock_was_an_hour_ahead() {
    let ca = CaOptions { listen: Some(([127, 0, 0, 1], 0).into()), ..CaOptions::default() };
    let harness = Harness::new(ServiceOptions { ca, ..ServiceOptions::default() }).await;
    set(&harness).await;
    harness.clock.advance(Duration::from_secs(3600));
    began(&harness, "web").await;
    harness.work().await;
    let which = RevokeWhich::Version(named("web"), None);
    let reason = RevocationReason::Superseded;
    let request = RevokeRequest { vault: vault(), which, reason, invalidity_time: None, disable: None };
    let request = permit(&harness.service, request).await;
    let authorities = harness.service.certificate_authorities();
    authorities.revoke(request, harness.service.certificates()).await.unwrap();
    harness.clock.set(Timestamp::from_seconds(1_800_000_000));
    harness.work().await;
    harness.clock.advance(Duration::from_secs(11));
    harness.work().await;
    let listed = harness.store.list("revoked/", "", 10).await.unwrap();
    let crl = &harness.store.body(&listed[0].key).await.unwrap()["value"]["revocation"]["crl"];
    assert!(crl.is_number(), "{listed:?}");
}

#[tokio::test]
async fn an_operation_whose_record_in_the_log_is_damaged_waits_and_says_so() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness).await;
    began(&harness, "web").await;
    let intended = log(&harness).await.remove(0).issued;
    let place = format!("issued/{}/{}", intended.authority, intended.serial);
    let good = harness.store.get(&place).await.unwrap().unwrap();
    let put =
        |body: &[u8], expected| Put { key: place.clone(), expected: Some(expected), body: body.into(), due: None };
    let damaged = Batch { puts: vec![put(b"damaged", good.revision)], ..Batch::default() };
    let revision = harness.store.commit(damaged).await.unwrap();
    harness.work().await;
    let waits = harness.store.body("pending/default/web").await.unwrap().to_string();
    assert!(waits.contains(&format!("The record {place}")), "{waits}");
    // Once it was restored.
    let restored = Batch { puts: vec![put(&good.body, revision)], ..Batch::default() };
    harness.store.commit(restored).await.unwrap();
    harness.clock.advance(Duration::from_secs(120));
    harness.work().await;
    assert_eq!(states(&harness).await, [("web".to_owned(), IssuedState::Issued)]);
}
