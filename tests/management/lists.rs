//! A page of a list costs what it shows.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::Status;
use certmint::service::watch::{Subscriber, WatchRequest};
use certmint::service::{ItemPage, ListPending, ListRequest, ServiceOptions, record_body};
use certmint::store::{Batch, Put, Store};
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;

fn expected(page_token: &str) -> ListRequest {
    ListRequest { vault: vault(), page_size: 25, page_token: page_token.into(), include_pending: false }
}

/// Copies of the entry `web` under other names: lists need no more than the entry.
async fn copies(harness: &Harness, names: impl Iterator<Item = String>) {
    let entry = harness.store.body("certificates/default/web").await.unwrap();
    let puts: Vec<Put> = names.map(|name| harness.copy("certificates", &entry, &["name"], &name)).collect();
    harness.store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
}

async fn page(harness: &Harness, token: &str) -> (ItemPage, usize) {
    harness.store.reset();
    let page = ask!(harness.service, certificates.list_certificates(expected(token))).unwrap();
    (page, harness.store.read.load(Ordering::SeqCst))
}

/// The token behind so many certificates.
async fn token_after(harness: &Harness, mut count: usize) -> String {
    let mut token = String::new();
    while count > 0 {
        let page_size = count.min(1000);
        let expected = ListRequest { page_size, ..expected(&token) };
        token = ask!(harness.service, certificates.list_certificates(expected.clone())).unwrap().next_page_token;
        count -= page_size;
    }
    token
}

#[tokio::test]
async fn a_page_reads_one_record_more_than_it_shows() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue("web").await;
    copies(&harness, (0..5000).map(|number| format!("c{number:05}"))).await;
    let (first, read) = page(&harness, "").await;
    assert_eq!((first.items.len(), read), (25, 26));
    let (middle, read) = page(&harness, &token_after(&harness, 2501).await).await;
    assert_eq!((middle.items[0].name.as_str(), middle.items.len(), read), ("c02501", 25, 26));
    let (last, read) = page(&harness, &token_after(&harness, 4991).await).await;
    assert_eq!((last.items.len(), last.next_page_token.as_str(), read), (10, "", 10));
}

#[tokio::test]
async fn what_is_not_shown_bounds_the_page_and_loses_nothing() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue("web").await;
    ask!(harness.service, creations.create(create("zz", "Unknown"))).unwrap();
    // Three thousand that were never completed stand before the one that was.
    let entry = harness.store.body("certificates/default/zz").await.unwrap();
    let copy = |number| harness.copy("certificates", &entry, &["name"], &format!("a{number:05}"));
    let puts: Vec<Put> = (0..3000).map(copy).collect();
    harness.store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    let (mut token, mut shown, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let (page, read) = page(&harness, &token).await;
        assert!(read <= 1126, "{read} records for one page");
        shown.extend(page.items);
        pages += 1;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((shown.len(), pages), (1, 3));
}

#[tokio::test]
async fn operations_in_other_states_bound_the_page_and_lose_nothing() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue("web").await;
    ask!(harness.service, creations.create(create("zz", "Unknown"))).unwrap();
    let ended = harness.store.body("pending/default/web").await.unwrap();
    let puts = |numbers: std::ops::Range<usize>| -> Vec<Put> {
        let copy = |number| harness.copy("pending", &ended, &["operation", "certificate"], &format!("a{number:05}"));
        numbers.map(copy).collect()
    };
    harness.store.commit(Batch { puts: puts(0..25_000), ..Batch::default() }).await.unwrap();
    let mut expected = ListPending {
        vault: Some(vault()),
        prefix: String::new(),
        statuses: vec![Status::InProgress],
        page_size: 25,
        page_token: String::new(),
    };
    let (mut shown, mut pages) = (Vec::new(), 0);
    loop {
        harness.store.reset();
        let page = ask!(harness.service, pending.list_pending(expected.clone())).unwrap();
        let read = harness.store.read.load(Ordering::SeqCst);
        assert!(read <= 11_026, "{read} records for one page");
        shown.extend(page.operations.iter().map(|operation| operation.certificate.to_string()));
        pages += 1;
        expected.page_token = page.next_page_token;
        if expected.page_token.is_empty() {
            break;
        }
    }
    assert_eq!((shown, pages), (vec!["zz".to_owned()], 3));
    expected.statuses.clear();
    harness.store.reset();
    assert_eq!(ask!(harness.service, pending.list_pending(expected.clone())).unwrap().operations.len(), 25);
    assert_eq!(harness.store.read.load(Ordering::SeqCst), 26);
}

#[tokio::test]
async fn a_list_does_not_trust_a_summary_of_another_version() {
    let harness = Harness::new(ServiceOptions::default()).await;
    harness.issue("web").await;
    let (before, _) = page(&harness, "").await;
    let entry = harness.store.get("certificates/default/web").await.unwrap().unwrap();
    let mut body: serde_json::Value = serde_json::from_slice(&entry.body).unwrap();
    // As a version of certmint wrote it that knew of no summaries, and as one that forgot to change it.
    for summary in [None, Some("a76827a18b63421c917da80f28e9913d")] {
        let value = body["value"].as_object_mut().unwrap();
        match summary {
            None => drop(value.remove("summary")),
            Some(version) => {
                let mut stale = serde_json::to_value(before.items[0].updated).unwrap();
                stale = serde_json::json!({"version": version, "thumbprint": "AAAA", "enabled": false, "not_before": stale,
                    "expires": stale, "created": stale, "updated": stale, "tags": null});
                value.insert("summary".into(), stale);
            }
        }
        let revision = harness.store.get("certificates/default/web").await.unwrap().unwrap().revision;
        let put = Put {
            key: entry.key.clone(),
            expected: Some(revision),
            body: record_body(&harness.sealer, &entry.key, &body["value"]),
            due: None,
        };
        harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
        let (after, _) = page(&harness, "").await;
        assert_eq!(after.items, before.items);
    }
}

#[tokio::test]
async fn deleted_certificates_cost_the_list_of_the_others_nothing_for_ever() {
    let harness = Harness::new(ServiceOptions::default()).await;
    for name in ["a", "b", "c"] {
        harness.issue(name).await;
    }
    harness.delete("b").await;
    let (live, _) = page(&harness, "").await;
    assert_eq!(live.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    let deleted = ask!(harness.service, certificates.list_deleted(expected(""))).unwrap();
    assert_eq!(deleted.items.iter().map(|item| item.item.name.as_str()).collect::<Vec<_>>(), ["b"]);
    ask!(harness.service, deletions.purge_certificate((vault(), named("b")))).unwrap();
    let (_, read) = page(&harness, "").await;
    assert_eq!(read, 2);
}

/// Statements of a page, whatever it shows.
const ASKED: usize = 4;

#[tokio::test]
async fn a_page_of_any_list_asks_a_handful_of_questions() {
    let harness = Harness::new(ServiceOptions::default()).await;
    for number in 0..30 {
        harness.issue(&format!("c{number:02}")).await;
    }
    for number in 0..12 {
        harness.delete(&format!("c{number:02}")).await;
    }
    // As an earlier version stored them: without what lists show of the newest version.
    for key in harness.store.keys().await.into_iter().filter(|key| key.starts_with("certificates/")) {
        let record = harness.store.get(&key).await.unwrap().unwrap();
        let mut body: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
        body["value"].as_object_mut().unwrap().remove("summary");
        let body = record_body(&harness.sealer, &key, &body["value"]);
        let put = Put { key, expected: Some(record.revision), body, due: record.due };
        harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    }
    let asked = || harness.store.asked.swap(0, Ordering::SeqCst);
    asked();
    for size in [1, 5, 25, 1000] {
        let expected = ListRequest { page_size: size, ..expected("") };
        let page = ask!(harness.service, certificates.list_certificates(expected.clone())).unwrap();
        assert_eq!(page.items.len(), size.min(18));
        let questions = asked();
        assert!(questions <= ASKED, "{questions} for {size} certificates");
        let page = ask!(harness.service, certificates.list_deleted(expected.clone())).unwrap();
        assert_eq!(page.items.len(), size.min(12));
        let questions = asked();
        assert!(questions <= ASKED, "{questions} for {size} deleted certificates");
        let page = ask!(harness.service, materials.keys(vault(), size, "")).unwrap();
        assert_eq!(page.certificates.len(), size.min(18));
        let questions = asked();
        assert!(questions <= ASKED, "{questions} for {size} keys");
    }
}

#[tokio::test]
async fn pages_of_keys_show_each_once_wherever_they_end() {
    let harness = Harness::new(ServiceOptions::default()).await;
    for number in 0..7 {
        harness.issue(&format!("c{number}")).await;
        ask!(harness.service, creations.create(create(&format!("c{number}-waits"), "Unknown"))).unwrap();
    }
    for size in 1..9 {
        let (mut token, mut names) = (String::new(), Vec::new());
        loop {
            let page = ask!(harness.service, materials.keys(vault(), size, &token)).unwrap();
            assert!(page.certificates.len() <= size);
            names.extend(page.certificates.iter().map(|certificate| certificate.name.to_string()));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(names, (0..7).map(|number| format!("c{number}")).collect::<Vec<_>>(), "{size}");
    }
}

#[tokio::test]
async fn a_watch_of_many_names_asks_one_question_for_them() {
    use futures_util::StreamExt;
    let harness = Harness::new(ServiceOptions::default()).await;
    let names: Vec<_> = (0..40).map(|number| named(&format!("c{number}"))).collect();
    for name in &names[..20] {
        ask!(harness.service, creations.create(create(name.as_str(), "Unknown"))).unwrap();
    }
    harness.store.reset();
    let request = WatchRequest { names, ..watch_of_everything() };
    let who = Subscriber { principal: "a".into(), connection: 1 };
    let stream = harness
        .service
        .watch()
        .open(permit(&harness.service, request).await, &who, CancellationToken::new())
        .await
        .unwrap();
    let shown = stream.take(20).filter(|item| std::future::ready(item.is_ok())).count().await;
    assert_eq!((shown, harness.store.asked.load(Ordering::SeqCst)), (20, 1));
}

fn watch_of_everything() -> WatchRequest {
    WatchRequest { vault: Some(vault()), ..WatchRequest::default() }
}
