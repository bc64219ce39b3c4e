//! Bodies written by released versions: each must load without losing anything. A changed format adds a file next to
//! the old ones; a released file is never edited.

use super::records::{Codec, Kind, OfKind, PendingRecord, Place, Stored, decode_event, encode_event, record_body};
use crate::domain::{Certificate, CertificateEntry};
use crate::keys::{MasterKeys, Sealer};
use crate::store::Record;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the version of format 1 wrote: operations of each state, an abandoned order, certificates, issuers with and
/// without a key, and the events of all transitions.
const V1: &str = include_str!("../../tests/data/stored-v1.json");
/// What it wrote of deleted and imported certificates, contacts, vaults, and a purge that was cut short.
const V1_MANAGEMENT: &str = include_str!("../../tests/data/stored-v1-management.json");
/// Bodies of each kind with a code, made by another program from the description of the form, and the master key.
const V1_AUTHENTICATED: &str = include_str!("../../tests/data/stored-v1-authenticated.json");
/// What it wrote of authorities: one that signs, one that has signed nothing, one that is retired.
const V1_AUTHORITIES: &str = include_str!("../../tests/data/stored-v1-authorities.json");
/// What it wrote of issuer objects with options, of their states, and of challenges.
const V1_PROVIDERS: &str = include_str!("../../tests/data/stored-v1-providers.json");
/// What it wrote of an issuer object that is paused, of the state of one that is gone, and of how issuers fare.
const V1_OPERATORS: &str = include_str!("../../tests/data/stored-v1-operators.json");

/// What it wrote of a certificate for a caller's own request, whose key is not here.
const V1_OWN_REQUESTS: &str = include_str!("../../tests/data/stored-v1-own-requests.json");
/// What it wrote of a certificate that was deleted under purge protection.
const V1_PROTECTED: &str = include_str!("../../tests/data/stored-v1-protected.json");
/// What it wrote of an issuer object with profiles, and of an operation under one.
const V1_PROFILES: &str = include_str!("../../tests/data/stored-v1-profiles.json");
/// What it wrote in the log of a CA: a certificate that was revoked, an intent, one that was abandoned, and their indexes.
const V1_ISSUED: &str = include_str!("../../tests/data/stored-v1-issued.json");

/// What it wrote of a certificate whose renewal was tried, and of that operation.
const V1_RENEWALS: &str = include_str!("../../tests/data/stored-v1-renewals.json");

/// What it wrote of grants, of a role, and of their last changes.
const V1_RIGHTS: &str = include_str!("../../tests/data/stored-v1-rights.json");
/// What it wrote of the audit ledger.
const V1_AUDIT: &str = include_str!("../../tests/data/stored-v1-audit.json");

/// What it wrote of the replicas of a store, and of a walk that brings records under the newest master key.
const V1_MASTER_KEYS: &str = include_str!("../../tests/data/stored-v1-master-keys.json");

/// What it wrote of a record that it parked.
const V1_PARKED: &str = include_str!("../../tests/data/stored-v1-parked.json");

/// What it wrote of the renewals of vaults.
const V1_VAULT_RENEWALS: &str = include_str!("../../tests/data/stored-v1-vault-renewals.json");

/// What it wrote of versions on hosts.
const V1_INSTALLATIONS: &str = include_str!("../../tests/data/stored-v1-installations.json");

/// What it wrote of webhooks, and of what is sent to them.
const V1_WEBHOOKS: &str = include_str!("../../tests/data/stored-v1-webhooks.json");

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

fn codec(master_keys: MasterKeys) -> Codec {
    Codec::new(Arc::new(Sealer::new(master_keys)))
}

/// One that accepts bodies of versions before the codes.
fn tolerant() -> Codec {
    let codec = codec(MasterKeys::random());
    codec.tolerate();
    codec
}

fn record(key: &str, body: Vec<u8>) -> Record {
    Record { key: key.to_owned(), revision: 1, body, due: None }
}

fn read_and_write<T: Stored + Serialize>(codec: &Codec, record: &Record) -> Vec<String> {
    let value: T = codec.read(record).unwrap_or_else(|error| panic!("{}: {error}", record.key));
    let again: Value = serde_json::from_slice(&codec.replace(record, &value, None).unwrap().body).unwrap();
    let body: Value = serde_json::from_slice(&record.body).unwrap();
    missing(&record.key, &body["value"], &again["value"])
}

/// A kind that is new has no fixture until one is made.
fn of_kind(codec: &Codec, record: &Record) -> Vec<String> {
    struct ReadAndWrite<'a>(&'a Codec, &'a Record);
    impl OfKind for ReadAndWrite<'_> {
        type Answer = Vec<String>;

        fn of<T: Stored + Serialize>(self) -> Self::Answer {
            read_and_write::<T>(self.0, self.1)
        }
    }
    let kind = Kind::of(&record.key).unwrap_or_else(|| panic!("{} is of no kind", record.key));
    kind.with_type(ReadAndWrite(codec, record))
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
    let files = [
        V1,
        V1_MANAGEMENT,
        V1_AUTHORITIES,
        V1_PROVIDERS,
        V1_PARKED,
        V1_OPERATORS,
        V1_OWN_REQUESTS,
        V1_PROTECTED,
        V1_PROFILES,
        V1_ISSUED,
        V1_RENEWALS,
        V1_AUDIT,
        V1_INSTALLATIONS,
    ];
    for (records, events) in files.map(bodies) {
        let codec = tolerant();
        for (key, body) in &records {
            // The file has another id in the key than the order had.
            let key = match body["value"]["operation"]["request_id"].as_str() {
                Some(id) if key.starts_with("orders/") => format!("orders/default/{id}"),
                _ => key.clone(),
            };
            lost.extend(of_kind(&codec, &record(&key, body.to_string().into_bytes())));
        }
        some_events |= !events.is_empty();
        for event in &events {
            let transition = decode_event(event.to_string().as_bytes()).unwrap();
            let again: Value = serde_json::from_slice(&encode_event(&transition).unwrap()).unwrap();
            lost.extend(missing("an event", &event["value"], &again["value"]));
        }
    }
    assert!(some_events);
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// The records with codes, and their master key.
fn authenticated() -> (Vec<Record>, Codec) {
    let file: Value = serde_json::from_str(V1_AUTHENTICATED).unwrap();
    let master_keys = MasterKeys::from_text(file["master_key"].as_str().unwrap()).unwrap();
    let records = file["records"].as_object().unwrap();
    let text = |body: &Value| body.as_str().unwrap().as_bytes().to_vec();
    (records.iter().map(|(key, body)| record(key, text(body))).collect(), codec(master_keys))
}

#[test]
fn bodies_with_codes_verify_and_lose_nothing() {
    let (records, codec) = authenticated();
    let lost: Vec<String> = records.iter().flat_map(|record| of_kind(&codec, record)).collect();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// Without a code nobody believes them, not even in a store of a version before the codes.
#[test]
fn rights_and_what_is_said_of_master_keys_load_with_a_code_and_never_without() {
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let codec = Codec::new(sealer.clone());
    codec.tolerate();
    let always_coded = [V1_RIGHTS, V1_MASTER_KEYS, V1_VAULT_RENEWALS, V1_WEBHOOKS].map(|file| bodies(file).0);
    for (key, body) in always_coded.into_iter().flatten() {
        assert!(refused(&codec, &record(&key, body.to_string().into_bytes())), "{key}");
        let lost = of_kind(&codec, &record(&key, record_body(&sealer, &key, &body["value"])));
        assert!(lost.is_empty(), "{}", lost.join("\n"));
    }
}

/// Versions before the codes ignore unknown members.
#[test]
fn a_body_with_a_code_is_one_without_for_an_older_version() {
    #[derive(serde::Deserialize)]
    struct Body<T> {
        format: u32,
        value: T,
    }
    for record in authenticated().0 {
        if Kind::of(&record.key) == Some(Kind::Certificate) {
            let body: Body<CertificateEntry> = serde_json::from_slice(&record.body).unwrap();
            assert_eq!((body.format, body.value.vault.as_str()), (1, "default"));
        }
    }
}

#[test]
fn a_body_under_the_key_of_another_object_is_refused_with_and_without_a_code() {
    let elsewhere = |key: &str| key.replace("/default/", "/other/").replace("contacts/default", "contacts/other");
    let (with, codec) = authenticated();
    for moved in with {
        let moved = Record { key: elsewhere(&moved.key), ..moved };
        if moved.key.contains("other") {
            assert!(refused(&codec, &moved), "{}", moved.key);
        }
    }
    for (key, body) in bodies(V1).0 {
        // What names no vault in its value is bound by its code alone.
        if !key.starts_with("issuers/") && !key.starts_with("requests/") && !key.starts_with("repeats/") {
            assert!(refused(&tolerant(), &record(&elsewhere(&key), body.to_string().into_bytes())), "{key}");
        }
    }
}

/// The texts in a value that have the form of a sealed value.
fn that_look_sealed(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let is_sealed = STANDARD.decode(text).is_ok_and(|bytes| Sealer::master_key_of(&bytes).is_some());
            found.extend(is_sealed.then(|| text.clone()));
        }
        Value::Array(all) => all.iter().for_each(|one| that_look_sealed(one, found)),
        Value::Object(members) => members.values().for_each(|one| that_look_sealed(one, found)),
        _ => {}
    }
}

/// What a kind does not name stays under its old master key for ever, and is lost with it.
#[test]
fn every_sealed_value_is_named_by_its_kind() {
    struct Names<'a>(&'a Record);
    impl OfKind for Names<'_> {
        type Answer = Vec<String>;

        fn of<T: Stored + Serialize>(self) -> Self::Answer {
            let value: T = tolerant().read(self.0).unwrap_or_else(|error| panic!("{}: {error}", self.0.key));
            let place = Place::of(&self.0.key).unwrap();
            value.sealed(&place).into_iter().map(|(blob, _)| STANDARD.encode(&blob.0)).collect()
        }
    }
    let mut kinds = BTreeSet::new();
    for (key, body) in
        [V1, V1_MANAGEMENT, V1_AUTHORITIES, V1_PROVIDERS, V1_OPERATORS, V1_PROFILES, V1_ISSUED, V1_RENEWALS, V1_AUDIT]
            .into_iter()
            .flat_map(|file| bodies(file).0)
    {
        let key = match body["value"]["operation"]["request_id"].as_str() {
            Some(id) if key.starts_with("orders/") => format!("orders/default/{id}"),
            _ => key,
        };
        let mut sealed = Vec::new();
        that_look_sealed(&body["value"], &mut sealed);
        let Some(kind) = Kind::of(&key) else { panic!("{key} is of no kind") };
        let named = kind.with_type(Names(&record(&key, body.to_string().into_bytes())));
        let forgotten: Vec<&String> = sealed.iter().filter(|text| !named.contains(text)).collect();
        assert!(
            forgotten.is_empty(),
            "{key}: {forgotten:?} is sealed, and src/service/records/sealed.rs does not say so"
        );
        kinds.extend((!sealed.is_empty()).then(|| kind.prefix()));
    }
    assert!(kinds.len() >= 5, "the stored bodies have sealed values of {kinds:?} alone");
}

/// A release that knows no certificate without a key reads an empty one in its place.
#[test]
fn a_missing_key_is_stored_as_an_empty_one() {
    let (records, _) = bodies(V1_OWN_REQUESTS);
    for (key, body) in records {
        let codec = tolerant();
        let record = record(&key, body.to_string().into_bytes());
        let again = if key.starts_with("versions/") {
            let certificate: Certificate = codec.read(&record).unwrap();
            assert_eq!(certificate.sealed_key, None);
            codec.replace(&record, &certificate, None)
        } else {
            let pending: PendingRecord = codec.read(&record).unwrap();
            assert_eq!(pending.sealed_key, None);
            codec.replace(&record, &pending, None)
        };
        let again: Value = serde_json::from_slice(&again.unwrap().body).unwrap();
        assert_eq!(again["value"]["sealed_key"], "");
    }
}

fn refused(codec: &Codec, record: &Record) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| of_kind(codec, record))).is_err()
}

#[test]
fn every_kind_of_record_has_a_stored_body() {
    let (with, _) = authenticated();
    let others = [
        V1_AUTHORITIES,
        V1_PROVIDERS,
        V1_PARKED,
        V1_OPERATORS,
        V1_ISSUED,
        V1_RIGHTS,
        V1_AUDIT,
        V1_INSTALLATIONS,
        V1_MASTER_KEYS,
        V1_VAULT_RENEWALS,
        V1_WEBHOOKS,
    ];
    let keys = with.into_iter().map(|record| record.key);
    let keys = keys.chain(others.into_iter().flat_map(|file| bodies(file).0.into_iter().map(|(key, _)| key)));
    let stored: Vec<Kind> = keys.filter_map(|key| Kind::of(&key)).collect();
    let without: Vec<&Kind> = Kind::ALL.iter().filter(|kind| !stored.contains(kind)).collect();
    assert!(without.is_empty(), "kinds of records without a fixture in tests/data: {without:?}");
}

/// Keys are made from kinds alone: no prefix is written beside them.
#[test]
fn no_key_begins_with_a_word_of_its_own() {
    let (_, keys) = include_str!("records/key.rs").split_once("/// A key in a vault;").unwrap();
    assert!(keys.matches("format!(\"").count() >= 3);
    assert_eq!(keys.matches("format!(\"").count(), keys.matches("format!(\"{}").count());
}

#[test]
fn a_body_of_a_newer_format_is_refused() {
    let file: Map<String, Value> = serde_json::from_str(V1).unwrap();
    let key = "certificates/default/done";
    let mut body = file["records"][key].clone();
    tolerant().read::<CertificateEntry>(&record(key, body.to_string().into_bytes())).unwrap();
    body["format"] = 2.into();
    assert!(tolerant().read::<CertificateEntry>(&record(key, body.to_string().into_bytes())).is_err());
}
