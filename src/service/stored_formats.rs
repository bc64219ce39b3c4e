//! Bodies that released versions wrote: each loads, and nothing of it gets lost. A format that changes adds a file
//! beside the old ones; a file that was released is never edited.

use super::records::{self, DeletedRecord, Kind, LeavingRecord, PendingRecord, RequestRecord, Stored};
use crate::domain::authority::AuthorityRecord;
use crate::domain::pending::Transition;
use crate::domain::{Certificate, CertificateEntry, Contacts, IssuerConfig, Vault};
use serde::Serialize;
use serde_json::{Map, Value};

/// What the version of format 1 wrote: operations of each state, a tombstone, certificates, issuers with and
/// without a key, and the events of all transitions.
const V1: &str = include_str!("../../tests/data/stored-v1.json");
/// What it wrote of deleted and imported certificates, contacts, vaults, and a purge that was cut short.
const V1_MANAGEMENT: &str = include_str!("../../tests/data/stored-v1-management.json");
/// What it wrote of authorities: one that signs, one that has signed nothing, one that is retired.
const V1_AUTHORITIES: &str = include_str!("../../tests/data/stored-v1-authorities.json");

/// Everything that `old` says is said by `new` as well; `new` may say more.
fn missing(place: &str, old: &Value, new: &Value) -> Vec<String> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .iter()
            .flat_map(|(name, value)| missing(&format!("{place}.{name}"), value, new.get(name).unwrap_or(&Value::Null)))
            .collect(),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            old.iter().zip(new).flat_map(|(old, new)| missing(&format!("{place}[]"), old, new)).collect()
        }
        (old, new) if old == new => Vec::new(),
        (old, new) => vec![format!("{place}: {old} became {new}")],
    }
}

fn read_and_write<T: Stored + Serialize>(place: &str, body: &Value) -> Vec<String> {
    let value: T = records::decode(place, body.to_string().as_bytes()).unwrap();
    let again: Value = serde_json::from_slice(&records::encode(&value).unwrap()).unwrap();
    missing(place, &body["value"], &again["value"])
}

/// A kind that is new does not compile without its type here, and has no fixture until one is made.
fn of_kind(kind: Kind, key: &str, body: &Value) -> Vec<String> {
    match kind {
        Kind::Pending | Kind::Kept | Kind::Tombstone => read_and_write::<PendingRecord>(key, body),
        Kind::Request | Kind::Repeat => read_and_write::<RequestRecord>(key, body),
        Kind::Certificate => read_and_write::<CertificateEntry>(key, body),
        Kind::Version => read_and_write::<Certificate>(key, body),
        Kind::Issuer => read_and_write::<IssuerConfig>(key, body),
        Kind::Deleted => read_and_write::<DeletedRecord>(key, body),
        Kind::Leaving => read_and_write::<LeavingRecord>(key, body),
        Kind::Contacts => read_and_write::<Contacts>(key, body),
        Kind::Vault => read_and_write::<Vault>(key, body),
        Kind::Authority => read_and_write::<AuthorityRecord>(key, body),
    }
}

fn bodies(file: &str) -> (Map<String, Value>, Vec<Value>) {
    let mut file: Map<String, Value> = serde_json::from_str(file).unwrap();
    let events = file.remove("events").unwrap();
    let Value::Object(records) = file.remove("records").unwrap() else { panic!("no records") };
    (records, events.as_array().unwrap().clone())
}

#[test]
fn bodies_of_format_1_load_and_lose_nothing() {
    let mut lost = Vec::new();
    let mut some_events = false;
    for (records, events) in [bodies(V1), bodies(V1_MANAGEMENT), bodies(V1_AUTHORITIES)] {
        for (key, body) in &records {
            let kind = Kind::of(key).unwrap_or_else(|| panic!("{key} is of no kind"));
            lost.extend(of_kind(kind, key, body));
        }
        some_events |= !events.is_empty();
        for event in &events {
            lost.extend(read_and_write::<Transition>("an event", event));
        }
    }
    assert!(some_events);
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn every_kind_of_record_has_a_stored_body() {
    let files = [bodies(V1), bodies(V1_MANAGEMENT), bodies(V1_AUTHORITIES)].map(|(records, _)| records);
    let stored: Vec<Kind> = files.iter().flat_map(Map::keys).filter_map(|key| Kind::of(key)).collect();
    let without: Vec<&Kind> = Kind::ALL.iter().filter(|kind| !stored.contains(kind)).collect();
    assert!(without.is_empty(), "kinds of records without a fixture in tests/data: {without:?}");
}

/// Keys are made from kinds alone: no prefix is written beside them.
#[test]
fn no_key_begins_with_a_word_of_its_own() {
    let source = include_str!("records.rs");
    let (_, keys) = source.split_once("mod key {").unwrap();
    let (keys, _) = keys.split_once("\n}\n").unwrap();
    assert!(keys.matches("format!(\"").count() >= 3);
    assert_eq!(keys.matches("format!(\"").count(), keys.matches("format!(\"{}").count());
}

#[test]
fn a_body_of_a_newer_format_is_refused() {
    let file: Map<String, Value> = serde_json::from_str(V1).unwrap();
    let mut body = file["records"]["certificates/default/done"].clone();
    records::decode::<CertificateEntry>("it", body.to_string().as_bytes()).unwrap();
    body["format"] = 2.into();
    assert!(records::decode::<CertificateEntry>("it", body.to_string().as_bytes()).is_err());
}
