//! The takeover of a store of a version before the codes, where several processes take part in it, one of them fails,
//! or somebody puts its beginning back.

use crate::around::{Around, store_around};
use crate::records::place::{A, B, Place};
use async_trait::async_trait;
use certmint::domain::Reason;
use certmint::keys::{MasterKeys, Sealer};
use certmint::service::{Authenticated, record_body};
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, Put, Record, Revision, Store, StoreError};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A store of an earlier version.
async fn old_store() -> Place {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    place
}

#[tokio::test]
async fn a_process_that_starts_after_the_first_write_with_a_code_accepts_the_others_without() {
    let place = old_store().await;
    let first = place.open().await;
    assert_eq!(place.keys("meta/"), ["meta/sweep"], "it began before it writes anything");
    first.ok(A, "PUT /certificates/contacts", r#"{"contacts":[{"email":"new@a.example"}]}"#).await;
    drop(first);
    let second = place.open().await;
    assert!(matches!(second.service.authenticate_records(DAY).await.unwrap(), Authenticated::Until(_)));
    second.ok(B, "GET /certificates/contacts", "").await;
    second.ok(B, "GET /secrets/web", "").await;
}

/// Takes no writes.
struct ReadOnly(Sqlite);

store_around!(ReadOnly);

#[async_trait]
impl Around for ReadOnly {
    fn inner(&self) -> &dyn Store {
        &self.0
    }

    async fn commit(&self, _: Batch) -> Result<Revision, StoreError> {
        Err(StoreError::Unavailable("the disk is full".into()))
    }
}

#[tokio::test]
async fn a_process_that_cannot_say_that_it_begins_does_not_start() {
    let place = old_store().await;
    let started = place.open_on(Arc::new(ReadOnly(place.store())), Place::sealer()).await;
    assert_eq!(started.map(drop).unwrap_err().reason, Reason::StoreUnavailable);
}

#[tokio::test]
async fn a_process_with_other_master_keys_begins_nothing() {
    let place = old_store().await;
    let started = place.open_on(Arc::new(place.store()), Sealer::new(MasterKeys::random())).await;
    let error = started.map(drop).unwrap_err();
    assert!(error.message.contains("sealed with master keys that this server does not have"), "{error}");
    assert_eq!(place.keys("meta/"), [""; 0]);
    place.open().await.ok(A, "GET /secrets/web", "").await;
}

/// Another process begins the takeover, and writes, while this one looks at the records for the first time.
struct Beside {
    inner: Sqlite,
    begun: AtomicBool,
    now: i64,
}

store_around!(Beside);

#[async_trait]
impl Around for Beside {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        if !self.begun.swap(true, Ordering::SeqCst) {
            let put = |key: &str, expected, value: &Value| {
                let body = record_body(&Place::sealer(), key, value);
                Batch { puts: vec![Put { key: key.to_owned(), expected, body, due: None }], ..Batch::default() }
            };
            self.inner.commit(put("meta/sweep", None, &json!({ "started": self.now }))).await?;
            let contacts = self.inner.get("contacts/team-a").await?.unwrap();
            let body: Value = serde_json::from_slice(&contacts.body).unwrap();
            self.inner.commit(put("contacts/team-a", Some(contacts.revision), &body["value"])).await?;
        }
        self.inner.list(prefix, after, limit).await
    }
}

#[tokio::test]
async fn a_process_that_starts_while_another_one_begins_takes_part() {
    let place = old_store().await;
    let beside = Beside { inner: place.store(), begun: AtomicBool::new(false), now: 1_800_000_000_000 };
    let life = place.open_on(Arc::new(beside), Place::sealer()).await.unwrap();
    assert!(matches!(life.service.authenticate_records(DAY).await.unwrap(), Authenticated::Until(_)));
    life.ok(A, "GET /certificates/contacts", "").await;
    life.ok(B, "GET /certificates/contacts", "").await;
}

/// The store after its takeover, robbed of its mark, with a record without a code and an older copy of the beginning.
async fn replayed() -> Place {
    let place = old_store().await;
    drop(place.open().await);
    let beginning = place.body("meta/sweep");
    let life = place.open().await;
    assert_eq!(life.service.authenticate_records(Duration::ZERO).await.unwrap(), Authenticated::All);
    drop(life);
    place.remove("meta/authenticated");
    place.write("meta/sweep", &beginning);
    place.strip("contacts/team-a");
    place
}

#[tokio::test]
async fn the_beginning_of_a_takeover_that_is_put_back_later_opens_nothing() {
    let place = replayed().await;
    place.clock.advance(8 * DAY + Duration::from_secs(1));
    for _ in 0..2 {
        let life = place.open().await;
        life.service.authenticate_records(DAY).await.unwrap();
        life.refuses(A, "GET /certificates/contacts", "contacts/team-a").await;
        assert_eq!(place.keys("meta/"), ["meta/sweep"]);
    }
}

#[tokio::test]
async fn a_takeover_that_was_cut_short_goes_on_within_a_week() {
    let place = replayed().await;
    place.clock.advance(8 * DAY);
    let life = place.open().await;
    assert_eq!(life.service.authenticate_records(DAY).await.unwrap(), Authenticated::All);
    life.ok(A, "GET /certificates/contacts", "").await;
}
