//! Bringing a store under another master key while it is in use: afterwards the old one is not needed, and nothing that was
//! damaged before is good.

use crate::around::{Around, store_around};
use crate::permit::permit;
use crate::records::place::{A, B, Life, Place, policy, vault};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::domain::{Reason, Timestamp};
use certmint::keys::{MasterKeys, Sealer};
use certmint::service::{AuditOptions, CaOptions, MasterKeyObjects, MasterKeyStatus, ResealEnd, ResealRequest};
use certmint::store::sqlite::Sqlite;
use certmint::store::{Batch, Put, Revision, Store, StoreError};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// That of the place.
const OLD: &str = "k1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW: &str = "k2 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const RESEAL: ResealRequest = ResealRequest { counts_only: false };

/// Asks about the master keys of a life: `keys!(life, status(RESEAL))`.
macro_rules! keys {
    ($life:expr, $method:ident($target:expr)) => {
        MasterKeyObjects::of(&$life.service).$method(permit(&$life.service, $target).await).await
    };
}

fn sealer(lines: &[&str]) -> Sealer {
    Sealer::new(MasterKeys::from_text(&lines.join("\n")).unwrap())
}

/// Everything that is sealed or authenticated: certificates, operations, CAs with lists and responders, issuers with
/// passwords, the ledger with its key.
async fn filled() -> Place {
    let mut place = Place::new();
    place.limits.audit = AuditOptions::default();
    place.limits.ca = CaOptions { listen: Some(([127, 0, 0, 1], 0).into()), ..CaOptions::default() };
    place.filled().await;
    let life = place.open().await;
    life.service.audit().begin().await.unwrap();
    let issuer = r#"{"provider":"LocalCA","credentials":{"account_id":"intermediate","pwd":"the password"}}"#;
    life.ok(A, "PUT /certificates/issuers/second", issuer).await;
    life.ok(A, "POST /certificates/one/create", &policy("second", "")).await;
    life.work().await;
    life.service.certificate_authorities().begin_publishing().await.unwrap();
    place.clock.advance(Duration::from_secs(11));
    life.work().await;
    life.work().await;
    life.ok(A, "PUT /certificates/issuers/old", r#"{"provider":"LocalCA"}"#).await;
    life.ok(A, "POST /certificates/two/create", &policy("old", "")).await;
    life.work().await;
    life.ok(A, "DELETE /certificates/issuers/old", "").await;
    life.service.audit().end().await;
    place
}

/// Takes steps until the walk has ended.
async fn walk(place: &Place, life: &Life) -> MasterKeyStatus {
    for _ in 0..1000 {
        life.work().await;
        let status = keys!(life, status(RESEAL)).unwrap();
        if status.reseal.as_ref().is_none_or(|work| work.ended.is_some()) {
            return status;
        }
        place.clock.advance(Duration::from_secs(5));
    }
    panic!("it does not end: {:?}", keys!(life, status(RESEAL)));
}

async fn reseal(place: &Place, life: &Life) -> MasterKeyStatus {
    keys!(life, begin(RESEAL)).unwrap();
    walk(place, life).await
}

fn counts(status: &MasterKeyStatus) -> Vec<(&str, Option<u64>)> {
    status.keys.iter().map(|key| (key.id.as_str(), key.records)).collect()
}

fn end(status: &MasterKeyStatus) -> ResealEnd {
    status.reseal.as_ref().unwrap().ended.unwrap().1
}

/// The ids of the master keys that a body needs, by its texts alone.
fn named_keys(body: &str, found: &mut Vec<String>) {
    fn look(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => {
                let Ok(bytes) = STANDARD.decode(text) else { return };
                if let [1, length, rest @ ..] = &bytes[..]
                    && rest.len() > 88
                    && let Some(id) = rest.get(..usize::from(*length))
                    && (id == b"k1" || id == b"k2")
                {
                    found.push(String::from_utf8(id.to_vec()).unwrap());
                }
            }
            Value::Array(all) => all.iter().for_each(|one| look(one, found)),
            Value::Object(members) => members.values().for_each(|one| look(one, found)),
            _ => {}
        }
    }
    let value: Value = serde_json::from_str(body).unwrap();
    found.extend(value["mac"].as_str().and_then(|mac| mac.split_once(':')).map(|(id, _)| id.to_owned()));
    look(&value["value"], found);
}

/// The keys of records that need this master key.
fn needing(place: &Place, id: &str) -> Vec<String> {
    let needs = |key: &String| {
        let mut found = Vec::new();
        named_keys(&place.body(key), &mut found);
        found.iter().any(|found| found == id)
    };
    place.keys("").into_iter().filter(needs).collect()
}

/// What callers see of certificates, with their keys.
async fn seen(life: &Life) -> Vec<Value> {
    let mut seen = Vec::new();
    for vault in [A, B] {
        for name in ["web", "other", "locked"] {
            seen.push(life.ok(vault, &format!("GET /secrets/{name}"), "").await);
            seen.push(life.ok(vault, &format!("GET /certificates/{name}"), "").await);
        }
        seen.push(life.ok(vault, "GET /certificates/contacts", "").await);
        seen.push(life.ok(vault, "GET /certificates/manual/pending", "").await);
        seen.push(life.ok(vault, "GET /deletedcertificates/gone", "").await);
    }
    seen
}

#[tokio::test]
async fn every_record_comes_under_the_newest_key_and_the_old_one_can_be_taken_out() {
    let place = filled().await;
    let before = {
        let life = place.open().await;
        seen(&life).await
    };
    let kinds = |keys: &[String]| -> Vec<String> {
        let mut kinds: Vec<String> = keys.iter().map(|key| key.split('/').next().unwrap().to_owned()).collect();
        kinds.dedup();
        kinds
    };
    let all = place.keys("");
    for kind in
        ["audit", "audit-keys", "authorities", "crls", "issued", "issuers", "kept", "pending", "responders", "versions"]
    {
        assert!(kinds(&all).contains(&kind.to_owned()), "there is no {kind}: {:?}", kinds(&all));
    }
    assert_eq!(needing(&place, "k1"), all);

    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    let status = reseal(&place, &life).await;
    let work = status.reseal.clone().unwrap();
    assert_eq!(
        (end(&status), work.pass, work.left.damaged, work.left.unknown),
        (ResealEnd::Done, 2, 0, 0),
        "{status:?}"
    );
    assert!(work.resealed >= all.len() as u64, "{} of {}", work.resealed, all.len());
    let count = status.keys[1].records.unwrap();
    assert_eq!(counts(&status), [("k1", Some(0)), ("k2", Some(count))]);
    assert!(count >= all.len() as u64);
    assert_eq!(needing(&place, "k1"), Vec::<String>::new());
    drop(life);

    let life = place.open_on(Arc::new(place.store()), sealer(&[NEW])).await.unwrap();
    life.service.check_master_keys().await.unwrap();
    assert_eq!(seen(&life).await, before);
    // The CA signs, the order of the caller goes on, the issuer keeps its password, the ledger its key.
    life.ok(A, "POST /certificates/later/create", &policy("second", "")).await;
    assert_eq!(life.work().await, Vec::<String>::new());
    life.ok(A, "POST /deletedcertificates/kept/recover", "").await;
    life.ok(A, "PATCH /certificates/issuers/second", r#"{"attributes":{"enabled":false}}"#).await;
    life.service.audit().begin().await.unwrap();
    life.service.audit().end().await;
    drop(life);
    let store = place.store();
    let inspection = certmint::service::Inspection::new(
        &store,
        Arc::new(sealer(&[NEW])),
        Duration::from_secs(86_400),
        Timestamp::from_seconds(1_800_000_000),
    );
    assert_eq!(inspection.await.unwrap().findings().await.unwrap().1, []);
}

#[tokio::test]
async fn the_beginning_and_the_end_have_a_line_in_the_ledger_and_the_steps_have_none() {
    let place = filled().await;
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    let before = place.keys("audit/").len();
    reseal(&place, &life).await;
    let lines: Vec<String> = place.keys("audit/").split_off(before).iter().map(|key| place.body(key)).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[1].contains("end of a reseal") && lines[1].contains("were brought under the master key k2"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_damaged_record_is_named_and_stays_as_it_is() {
    let place = filled().await;
    let (edited, moved) = (place.version(A, "other"), "contacts/team-b");
    place.edit(&edited, r#""enabled":true"#, r#""enabled":false"#);
    place.moved("contacts/team-a", moved);
    let before = (place.body(&edited), place.body(moved));
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    let status = reseal(&place, &life).await;
    assert_eq!((end(&status), status.unread, status.keys[0].records), (ResealEnd::Done, 2, Some(0)), "{status:?}");
    let named: Vec<String> = status.reseal.unwrap().left.named.into_iter().map(|(key, _)| key).collect();
    assert_eq!(named, [moved.to_owned(), edited.clone()]);
    assert_eq!((place.body(&edited), place.body(moved)), before);
    life.refuses(A, "GET /certificates/other", &edited).await;
    drop(life);
    let life = place.open_on(Arc::new(place.store()), sealer(&[NEW])).await.unwrap();
    let refused = life.send(A, "GET /certificates/other", "").await;
    assert!(refused.status == 500 && refused.body.contains(&edited), "{}", refused.body);
    life.ok(A, "GET /secrets/web", "").await;
}

#[tokio::test]
async fn a_record_with_a_good_code_that_cannot_be_read_counts_for_its_key() {
    let place = filled().await;
    let key = "contacts/team-b";
    let value = serde_json::json!({"of": "a newer version"});
    place.write(key, std::str::from_utf8(&certmint::service::record_body(&sealer(&[OLD]), key, &value)).unwrap());
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    let status = reseal(&place, &life).await;
    assert_eq!((end(&status), status.unread, status.keys[0].records), (ResealEnd::Done, 1, Some(1)), "{status:?}");
    assert_eq!(needing(&place, "k1"), [key]);
}

/// A store that takes no batch with one of the records, as if that had become too large.
struct Picky {
    inner: Sqlite,
    key: &'static str,
}

#[async_trait]
impl Around for Picky {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        if batch.puts.iter().any(|put| put.key == self.key) {
            return Err(StoreError::Broken("the body is too large".into()));
        }
        self.inner.commit(batch).await
    }
}

store_around!(Picky);

#[tokio::test]
async fn a_record_that_the_store_does_not_take_holds_up_no_other_one() {
    let place = filled().await;
    let key = "contacts/team-b";
    let store = Arc::new(Picky { inner: place.store(), key });
    let life = place.open_on(store, sealer(&[OLD, NEW])).await.unwrap();
    let status = reseal(&place, &life).await;
    assert_eq!((end(&status), status.keys[0].records, status.unread), (ResealEnd::Done, Some(1), 1), "{status:?}");
    assert_eq!(status.reseal.unwrap().left.named[0].0, key);
    assert_eq!(needing(&place, "k1"), [key]);
}

#[tokio::test]
async fn it_goes_on_where_it_was_after_the_end_of_a_process() {
    let mut place = filled().await;
    place.reseal_rate = 7;
    let all = place.keys("").len();
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    keys!(life, begin(RESEAL)).unwrap();
    for _ in 0..3 {
        assert_eq!(life.work().await, Vec::<String>::new());
        place.clock.advance(Duration::from_secs(1));
    }
    let status = keys!(life, status(RESEAL)).unwrap();
    let looked = status.reseal.unwrap().looked_at;
    assert!(looked >= 21 && (looked as usize) < all, "{looked} of {all}");
    let left = needing(&place, "k1").len();
    assert!(left < all && left > 0, "{left} of {all}");
    drop(life);
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    let status = keys!(life, status(RESEAL)).unwrap();
    assert_eq!(status.reseal.unwrap().looked_at, looked);
    // Nobody asks for it again.
    let status = walk(&place, &life).await;
    assert_eq!((end(&status), status.keys[0].records), (ResealEnd::Done, Some(0)));
    assert_eq!(needing(&place, "k1"), Vec::<String>::new());
}

#[tokio::test]
async fn it_can_be_stopped_and_begun_again() {
    let mut place = filled().await;
    place.reseal_rate = 5;
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    keys!(life, begin(RESEAL)).unwrap();
    life.work().await;
    let stopped = keys!(life, stop(RESEAL)).unwrap();
    assert_eq!(end(&stopped), ResealEnd::Stopped);
    assert!(!needing(&place, "k1").is_empty());
    place.clock.advance(Duration::from_secs(3600));
    life.work().await;
    assert_eq!(keys!(life, status(RESEAL)).unwrap().reseal, stopped.reseal);
    let status = reseal(&place, &life).await;
    assert_eq!((end(&status), status.keys[0].records), (ResealEnd::Done, Some(0)));
}

#[tokio::test]
async fn a_count_writes_nothing_and_says_what_needs_which_key() {
    let place = filled().await;
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    life.ok(A, "PUT /certificates/contacts", r#"{"contacts":[{"email":"new@example.com"}]}"#).await;
    let old = needing(&place, "k1");
    keys!(life, begin(ResealRequest { counts_only: true })).unwrap();
    let status = walk(&place, &life).await;
    let new = needing(&place, "k2");
    assert_eq!(needing(&place, "k1"), old);
    assert_eq!(counts(&status), [("k1", Some(old.len() as u64)), ("k2", Some(new.len() as u64))]);
    MasterKeyObjects::of(&life.service).keep_up().await.unwrap();
    let text = life.service.metrics().text();
    assert!(text.contains(&format!("certmint_sealed_records{{master_key=\"k1\"}} {}\n", old.len())), "{text}");
}

#[tokio::test]
async fn a_server_with_two_keys_counts_by_itself_once_a_day() {
    let place = filled().await;
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    MasterKeyObjects::of(&life.service).keep_up().await.unwrap();
    let first = walk(&place, &life).await;
    assert!(first.reseal.unwrap().counts_only && first.keys[0].records.unwrap() > 0);
    MasterKeyObjects::of(&life.service).keep_up().await.unwrap();
    assert_eq!(walk(&place, &life).await.counted, first.counted);
    place.clock.advance(Duration::from_secs(25 * 3600));
    MasterKeyObjects::of(&life.service).keep_up().await.unwrap();
    assert!(walk(&place, &life).await.counted > first.counted);
}

#[tokio::test]
async fn a_count_goes_on_where_servers_begin_to_write_with_another_key() {
    let place = filled().await;
    let life = place.open_on(Arc::new(place.store()), sealer(&[NEW, OLD])).await.unwrap();
    MasterKeyObjects::of(&life.service).keep_up().await.unwrap();
    let work = keys!(life, status(RESEAL)).unwrap().reseal.unwrap();
    assert_eq!((work.to.as_str(), work.ended), ("k1", None));
    drop(life);
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    let status = walk(&place, &life).await;
    assert_eq!((end(&status), status.counted.is_some()), (ResealEnd::Done, true), "{status:?}");
    assert!(status.keys[0].records.unwrap() > 0, "{status:?}");
}

#[tokio::test]
async fn an_operation_at_an_issuer_is_left_alone_until_its_step_is_over() {
    let place = Place::new();
    let life = place.open().await;
    life.ok("default", "POST /certificates/web/create", &policy("Self", "")).await;
    drop(life);
    let store: Arc<dyn Store> = Arc::new(place.store());
    let life = place.open_on(store.clone(), sealer(&[OLD, NEW])).await.unwrap();
    let step = life.service.jobs().claim(1).await.unwrap().pop().unwrap();
    assert_eq!(step.key(), "pending/default/web");
    keys!(life, begin(RESEAL)).unwrap();
    life.work().await;
    let work = keys!(life, status(RESEAL)).unwrap().reseal.unwrap();
    assert_eq!((work.ended, needing(&place, "k1")), (None, vec!["pending/default/web".to_owned()]));
    // Its result is taken.
    life.service.jobs().step(step).await.unwrap();
    life.ok("default", "GET /certificates/web", "").await;
    let status = walk(&place, &life).await;
    assert_eq!((end(&status), needing(&place, "k1")), (ResealEnd::Done, Vec::new()));
}

#[tokio::test]
async fn the_longest_step_of_a_replica_that_was_killed_is_waited_for() {
    let mut place = Place::new();
    place.limits.limits.work_lease = Duration::from_secs(600);
    let life = place.open().await;
    life.ok("default", "POST /certificates/web/create", &policy("Self", "")).await;
    drop(life);
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    let step = life.service.jobs().claim(1).await.unwrap().pop().unwrap();
    assert_eq!(step.key(), "pending/default/web");
    drop(step);
    let status = reseal(&place, &life).await;
    assert_eq!((end(&status), needing(&place, "k1")), (ResealEnd::Done, Vec::new()), "{status:?}");
}

#[tokio::test]
async fn it_is_refused_while_another_replica_lacks_the_key_or_writes_with_another_one() {
    let place = filled().await;
    let store: Arc<dyn Store> = Arc::new(place.store());
    let one = place.open_on(store.clone(), sealer(&[OLD, NEW])).await.unwrap();
    let since = Timestamp::from_seconds(1_800_000_000);
    MasterKeyObjects::of(&one.service).announce(since).await.unwrap();
    for (keys, says) in
        [(&[OLD][..], "does not have the master key k2"), (&[NEW, OLD], "still writes with another master key")]
    {
        let other = place.open_on(store.clone(), sealer(keys)).await.unwrap();
        MasterKeyObjects::of(&other.service).announce(since).await.unwrap();
        let refused = keys!(one, begin(RESEAL)).unwrap_err();
        assert_eq!(refused.reason, Reason::ResealNotPossible);
        assert!(refused.message.contains(says), "{}", refused.message);
        MasterKeyObjects::of(&other.service).leave().await.unwrap();
    }
    let killed = place.open_on(store.clone(), sealer(&[OLD])).await.unwrap();
    MasterKeyObjects::of(&killed.service).announce(since).await.unwrap();
    drop(killed);
    place.clock.advance(Duration::from_secs(181));
    MasterKeyObjects::of(&one.service).announce(since).await.unwrap();
    let status = reseal(&place, &one).await;
    assert_eq!(end(&status), ResealEnd::Done);
    assert_eq!(status.replicas.len(), 1, "{:?}", status.replicas);
    place.clock.advance(Duration::from_secs(25 * 3600));
    MasterKeyObjects::of(&one.service).announce(since).await.unwrap();
    assert_eq!(place.keys("replicas/").len(), 1);
}

#[tokio::test]
async fn replicas_that_write_meanwhile_lose_nothing() {
    let mut place = filled().await;
    place.reseal_rate = 10;
    let store: Arc<dyn Store> = Arc::new(place.store());
    let one = place.open_on(store.clone(), sealer(&[OLD, NEW])).await.unwrap();
    let two = place.open_on(store.clone(), sealer(&[OLD, NEW])).await.unwrap();
    keys!(one, begin(RESEAL)).unwrap();
    let mut names = Vec::new();
    for round in 0..8 {
        let name = format!("new-{round}");
        two.ok(A, &format!("POST /certificates/{name}/create"), &policy("Self", "")).await;
        let tags = format!(r#"{{"tags":{{"round":"{round}"}}}}"#);
        let before = two.ok(A, "GET /certificates/web", "").await;
        let (mine, theirs) = tokio::join!(one.work(), two.ok(A, "PATCH /certificates/web", &tags));
        assert_eq!(mine, Vec::<String>::new());
        assert_eq!((&theirs["tags"]["round"], &theirs["kid"]), (&Value::from(round.to_string()), &before["kid"]));
        two.work().await;
        place.clock.advance(Duration::from_secs(1));
        names.push(name);
    }
    let status = walk(&place, &one).await;
    assert_eq!((end(&status), status.keys[0].records), (ResealEnd::Done, Some(0)), "{status:?}");
    drop((one, two));
    let life = place.open_on(store, sealer(&[NEW])).await.unwrap();
    for name in names {
        life.ok(A, &format!("GET /secrets/{name}"), "").await;
    }
    assert_eq!(life.ok(A, "GET /certificates/web", "").await["tags"]["round"], "7");
}

#[tokio::test]
async fn a_replica_that_writes_with_the_old_key_all_the_while_is_told_at_the_end() {
    let place = filled().await;
    let store: Arc<dyn Store> = Arc::new(place.store());
    let one = place.open_on(store.clone(), sealer(&[OLD, NEW])).await.unwrap();
    let other = place.open_on(store, sealer(&[NEW, OLD])).await.unwrap();
    keys!(one, begin(RESEAL)).unwrap();
    for round in 0..1000 {
        let contacts = format!(r#"{{"contacts":[{{"email":"a{round}@example.com"}}]}}"#);
        other.ok(B, "PUT /certificates/contacts", &contacts).await;
        let due = one.service.jobs().claim(16).await.unwrap();
        for due in due {
            one.service.jobs().step(due).await.unwrap();
        }
        let status = keys!(one, status(RESEAL)).unwrap();
        if status.reseal.as_ref().unwrap().ended.is_some() {
            assert_eq!(end(&status), ResealEnd::Incomplete, "{status:?}");
            return;
        }
        place.clock.advance(Duration::from_secs(5));
    }
    panic!("it does not end");
}

#[tokio::test]
async fn a_replica_without_the_newest_key_leaves_the_walk_to_others() {
    let place = filled().await;
    let store: Arc<dyn Store> = Arc::new(place.store());
    let one = place.open_on(store.clone(), sealer(&[OLD, NEW])).await.unwrap();
    let behind = place.open_on(store, sealer(&[NEW, OLD])).await.unwrap();
    keys!(one, begin(RESEAL)).unwrap();
    behind.work().await;
    let work = keys!(one, status(RESEAL)).unwrap().reseal.unwrap();
    assert_eq!((work.looked_at, work.ended), (0, None));
    assert_eq!(end(&walk(&place, &one).await), ResealEnd::Done);
}

#[tokio::test]
async fn a_store_whose_records_are_still_getting_codes_is_not_counted() {
    let place = Place::new();
    place.filled().await;
    place.strip_all();
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    for counts_only in [true, false] {
        let refused = keys!(life, begin(ResealRequest { counts_only })).unwrap_err();
        assert_eq!(refused.reason, Reason::ResealNotPossible);
    }
    MasterKeyObjects::of(&life.service).keep_up().await.unwrap();
    assert_eq!(place.keys("reseals/"), Vec::<String>::new());
}

#[tokio::test]
async fn a_record_of_the_walk_that_was_edited_is_made_anew_and_one_of_a_newer_version_counts_for_its_key() {
    let place = filled().await;
    let store: Arc<dyn Store> = Arc::new(place.store());
    let tomorrow = "tomorrow/team-a/web";
    let body = certmint::service::record_body(&sealer(&[OLD]), tomorrow, &serde_json::json!({"a": 1}));
    let puts = vec![Put { key: tomorrow.to_owned(), expected: None, body, due: None }];
    store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    place.write("reseals/latest", r#"{"format":1,"mac":"k1:AAAA","value":{}}"#);
    let life = place.open_on(store, sealer(&[OLD, NEW])).await.unwrap();
    let status = reseal(&place, &life).await;
    assert_eq!((end(&status), status.unread), (ResealEnd::Done, 1));
    assert_eq!(status.keys[0].records, Some(1), "the record of the newer version");
    assert_eq!(status.reseal.unwrap().left.named[0].0, tomorrow);
}

#[tokio::test]
async fn a_repeat_of_a_creation_still_answers_with_the_same_operation() {
    let place = Place::new();
    let life = place.open().await;
    let create = |life: &Life| {
        let request = crate::permit::new_certificate(vault("default"), "web", "Unknown");
        let request = certmint::service::CreateRequest {
            request_id: Some(certmint::domain::RequestId::parse("0123456789abcdef0123456789abcdef").unwrap()),
            ..request
        };
        let service = life.service.clone();
        async move { service.creations().create(permit(&service, request).await).await.unwrap() }
    };
    let first = create(&life).await;
    drop(life);
    let life = place.open_on(Arc::new(place.store()), sealer(&[OLD, NEW])).await.unwrap();
    assert_eq!(end(&reseal(&place, &life).await), ResealEnd::Done);
    let again = create(&life).await;
    assert_eq!((again.operation.request_id, again.resume_token), (first.operation.request_id, first.resume_token));
}
