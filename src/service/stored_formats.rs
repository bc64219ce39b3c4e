//! Bodies that released versions wrote: each loads, and nothing of it gets lost. A format that changes adds a file
//! beside the old ones; a file that was released is never edited.

use super::records::{self, PendingRecord, RequestRecord, Stored};
use crate::domain::pending::Transition;
use crate::domain::{Certificate, CertificateEntry, IssuerConfig};
use serde::Serialize;
use serde_json::{Map, Value};

/// What the version of format 1 wrote: operations of each state, a tombstone, certificates, issuers with and
/// without a key, and the events of all transitions.
const V1: &str = include_str!("../../tests/data/stored-v1.json");

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

#[test]
fn bodies_of_format_1_load_and_lose_nothing() {
    let file: Map<String, Value> = serde_json::from_str(V1).unwrap();
    let mut lost = Vec::new();
    let mut kinds = std::collections::BTreeSet::new();
    for (key, body) in file["records"].as_object().unwrap() {
        let kind = key.split('/').next().unwrap();
        kinds.insert(kind);
        lost.extend(match kind {
            "pending" | "orders" => read_and_write::<PendingRecord>(key, body),
            "requests" | "repeats" => read_and_write::<RequestRecord>(key, body),
            "certificates" => read_and_write::<CertificateEntry>(key, body),
            "versions" => read_and_write::<Certificate>(key, body),
            "issuers" => read_and_write::<IssuerConfig>(key, body),
            other => panic!("{other}"),
        });
    }
    let events = file["events"].as_array().unwrap();
    for event in events {
        lost.extend(read_and_write::<Transition>("an event", event));
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>().join(" "),
        "certificates issuers orders pending repeats requests versions"
    );
    assert!(events.len() >= 5, "{} events", events.len());
}

#[test]
fn a_body_of_a_newer_format_is_refused() {
    let file: Map<String, Value> = serde_json::from_str(V1).unwrap();
    let mut body = file["records"]["certificates/default/done"].clone();
    records::decode::<CertificateEntry>("it", body.to_string().as_bytes()).unwrap();
    body["format"] = 2.into();
    assert!(records::decode::<CertificateEntry>("it", body.to_string().as_bytes()).is_err());
}
