//! Stores of versions before authentication codes.

use crate::records::place::{A, Place};
use certmint::service::Authenticated;
use serde_json::Value;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// What a released version wrote.
const STORED: [&str; 2] = [include_str!("../data/stored-v1.json"), include_str!("../data/stored-v1-management.json")];

#[tokio::test]
async fn a_store_of_an_earlier_version_gets_its_codes_at_the_first_start() {
    let place = Place::new();
    // The keys of the files were sealed by another server; without one of its own a process would not start.
    place.open().await.issued("default", "aaa").await;
    place.strip_all();
    let mut stored = Vec::new();
    for file in STORED {
        let file: Value = serde_json::from_str(file).unwrap();
        for (key, body) in file["records"].as_object().unwrap() {
            // The file has another id in this key than the order had.
            if !key.starts_with("orders/") {
                place.write(key, &body.to_string());
                stored.push((key.clone(), body.clone()));
            }
        }
    }
    let life = place.open().await;
    assert_eq!(life.service.authenticate_records(Duration::ZERO).await.unwrap(), Authenticated::All);
    for (key, before) in stored {
        let body: Value = serde_json::from_str(&place.body(&key)).unwrap();
        assert!(body["mac"].as_str().unwrap().starts_with("k1:"), "{key}");
        for (member, value) in before["value"].as_object().into_iter().flatten() {
            assert_eq!(&body["value"][member], value, "{key}: {member}");
        }
    }
    assert_eq!(place.keys("meta/"), ["meta/authenticated"]);
    life.ok("default", "GET /certificates/done", "").await;
    drop(life);
    place.strip("contacts/default");
    place.open().await.refuses("default", "GET /certificates/contacts", "contacts/default").await;
}

#[tokio::test]
async fn what_replicas_of_the_earlier_version_write_is_accepted_until_the_window_is_over() {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    let life = place.open().await;
    assert!(matches!(life.service.authenticate_records(DAY).await.unwrap(), Authenticated::Until(_)));
    assert_eq!(place.keys("meta/"), ["meta/sweep"]);
    drop(life);
    // A replica of the earlier version writes it again.
    place.strip("contacts/team-a");
    place.clock.advance(DAY);
    let life = place.open().await;
    life.ok(A, "GET /certificates/contacts", "").await;
    assert_eq!(life.service.authenticate_records(DAY).await.unwrap(), Authenticated::All);
    life.ok(A, "GET /certificates/contacts", "").await;
    assert_eq!(place.keys("meta/"), ["meta/authenticated"]);
    drop(life);
    place.strip("contacts/team-a");
    place.open().await.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
}

/// Every write of a new version has a code, so the store has to say before the first one that others have none.
#[tokio::test]
async fn a_process_that_ends_after_its_first_write_leaves_a_store_that_the_next_one_takes_over() {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    let life = place.open().await;
    assert_eq!(place.keys("meta/"), ["meta/sweep"]);
    life.ok("new", "PUT /certificates/contacts", r#"{"contacts":[{"email":"a@b.example"}]}"#).await;
    drop(life);
    let life = place.open().await;
    life.ok(A, "GET /certificates/contacts", "").await;
    assert_eq!(life.service.authenticate_records(Duration::ZERO).await.unwrap(), Authenticated::All);
    life.ok(A, "GET /certificates/contacts", "").await;
    assert_eq!(place.keys("meta/"), ["meta/authenticated"]);
}

#[tokio::test]
async fn a_record_that_names_another_object_is_not_taken_over() {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    let key = place.version("team-b", "web");
    place.moved(&place.version(A, "web"), &key);
    let life = place.open().await;
    assert_eq!(life.service.authenticate_records(Duration::ZERO).await.unwrap(), Authenticated::All);
    life.refuses("team-b", "GET /secrets/web", &key).await;
}

#[tokio::test]
async fn a_server_configured_to_refuse_adopts_nothing() {
    let mut place = Place::new();
    place.filled().await;
    place.strip_all();
    place.limits.takeover.accept = false;
    let life = place.open().await;
    assert_eq!(life.service.authenticate_records(Duration::ZERO).await.unwrap(), Authenticated::All);
    life.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
    drop(life);
    assert_eq!(place.keys("meta/"), [""; 0]);
    // Another start may take it over.
    place.limits.takeover.accept = true;
    let life = place.open().await;
    life.ok(A, "GET /certificates/contacts", "").await;
}

#[tokio::test]
async fn a_repeat_after_the_adoption_gets_everything_since_the_creation() {
    let place = Place::new();
    let request = "POST /certificates/web/create";
    let body = crate::records::place::policy("Unknown", "");
    assert_eq!(place.open().await.send_as("once", A, request, &body).await.status, 202);
    let before = place.body(&place.keys("repeats/")[0]);
    let revision = |place: &Place| -> i64 {
        let database = rusqlite::Connection::open(place.file()).unwrap();
        let sql = "SELECT revision FROM records WHERE key LIKE 'repeats/%'";
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let written = revision(&place);
    assert!(!before.contains("revision"), "{before}");
    place.strip_all();
    // As the creation left it.
    place.sql(&format!("UPDATE records SET revision = {written} WHERE key LIKE 'repeats/%'"));
    let life = place.open().await;
    life.service.authenticate_records(Duration::ZERO).await.unwrap();
    let after: Value = serde_json::from_str(&place.body(&place.keys("repeats/")[0])).unwrap();
    assert_eq!(after["value"]["revision"], written);
    assert!(revision(&place) > written);
    assert_eq!(life.send_as("once", A, request, &body).await.status, 202);
}
