//! The records of built-in CAs that somebody edited: each is refused by its name where it is needed, and what does not need
//! it goes on.

use crate::records::doctor::doctor;
use crate::records::place::{A, Life, Place, policy};
use certmint::service::CaOptions;
use std::time::Duration;

/// Two CAs of one vault, with a certificate each, of which that of the first is revoked; as the keys of its records, by
/// kind, and its serial number.
struct Filled {
    place: Place,
    authority: String,
    serial: String,
    /// Of the other CA.
    other: String,
}

async fn issue(life: &Life, name: &str, issuer: &str) -> String {
    life.ok(A, &format!("POST /certificates/{name}/create"), &policy(issuer, "")).await;
    life.work().await;
    let path = format!("GET /certificates/issuers/{issuer}/ca/issued?name={name}");
    life.ok(A, &path, "").await["value"][0]["serial"].as_str().unwrap().to_owned()
}

async fn filled() -> Filled {
    let mut place = Place::new();
    place.limits.ca = CaOptions { listen: Some(([127, 0, 0, 1], 0).into()), ..CaOptions::default() };
    place.filled().await;
    let life = place.open().await;
    life.ok(A, "PUT /certificates/issuers/second", r#"{"provider":"LocalCA"}"#).await;
    let serial = issue(&life, "one", "ca").await;
    let other = issue(&life, "two", "second").await;
    life.ok(A, &format!("POST /certificates/issuers/ca/ca/issued/{serial}/revoke"), r#"{"reason":"superseded"}"#).await;
    place.clock.advance(Duration::from_secs(11));
    assert_eq!(life.work().await, Vec::<String>::new());
    let log = life.ok(A, &format!("GET /certificates/issuers/ca/ca/issued/{serial}"), "").await;
    let authority = log["authority"].as_str().unwrap().to_owned();
    Filled { place, authority, serial, other }
}

impl Filled {
    /// The key of the only record of a kind that belongs to the first CA and its certificate.
    fn key(&self, kind: &str) -> String {
        let keys = self.place.keys(&format!("{kind}/"));
        let of_one = |key: &&String| match kind {
            "issued-by-key" => key.ends_with(&self.serial),
            "issued" | "issued-by-time" | "revoked" => key.contains(&self.authority) && key.ends_with(&self.serial),
            _ => key.contains(&self.authority),
        };
        keys.iter().find(of_one).unwrap_or_else(|| panic!("{kind}: {keys:?}")).clone()
    }

    /// A digit of the first CA's name is another one, which is in the body of each of its records.
    fn edit(&self, key: &str) {
        let body = self.place.body(key);
        let place = body.find(r#""value":"#).unwrap();
        let changed = body[place..].replacen(r#""authority":""#, r#""authority": ""#, 1);
        let changed = if changed == body[place..] {
            changed.replacen(r#""generation":1"#, r#""generation":2"#, 1)
        } else {
            changed
        };
        assert_ne!(changed, body[place..], "{body}");
        self.place.write(key, &format!("{}{changed}", &body[..place]));
    }
}

#[tokio::test]
async fn every_kind_of_record_of_a_ca_that_was_edited_is_named_by_doctor() {
    let filled = filled().await;
    for kind in ["authorities", "issued", "issued-by-time", "issued-by-key", "revoked", "crls", "responders"] {
        let key = filled.key(kind);
        filled.edit(&key);
        let (code, text) = doctor(&filled.place, &[]);
        assert_eq!(code, Some(1));
        assert!(text.contains(&format!("fail  {key}: its authentication code does not match")), "{kind}: {text}");
    }
}

#[tokio::test]
async fn a_ca_whose_record_was_edited_revokes_nothing_and_the_other_one_goes_on() {
    let filled = filled().await;
    let key = filled.key("authorities");
    filled.edit(&key);
    let life = filled.place.open().await;
    let Filled { serial, other, .. } = &filled;
    let revoke = |issuer: &str, serial: &str| format!("POST /certificates/issuers/{issuer}/ca/issued/{serial}/revoke");
    let worse = r#"{"reason":"keyCompromise"}"#;
    let reply = life.send(A, &revoke("ca", serial), worse).await;
    assert!(reply.status == 500 && reply.body.contains(&key), "{} {}", reply.status, reply.body);
    // No other CA is made, whose name might be the same.
    let reply = life.send(A, "PUT /certificates/issuers/third", r#"{"provider":"LocalCA"}"#).await;
    assert!(reply.status == 500 && reply.body.contains(&key), "{} {}", reply.status, reply.body);
    // What nobody knows may be of the one that cannot be read.
    life.refuses(A, "GET /certificates/issuers/second/ca/issued/0102", &key).await;
    life.ok(A, &format!("GET /certificates/issuers/second/ca/issued/{other}"), "").await;
    life.ok(A, &revoke("second", other), r#"{"reason":"superseded"}"#).await;
    issue(&life, "three", "second").await;
}

#[tokio::test]
async fn an_entry_of_the_log_that_was_edited_is_refused_and_the_list_goes_on() {
    let filled = filled().await;
    let key = filled.key("issued");
    filled.edit(&key);
    let life = filled.place.open().await;
    let Filled { serial, other, .. } = &filled;
    life.refuses(A, &format!("GET /certificates/issuers/ca/ca/issued/{serial}"), &key).await;
    let page = life.ok(A, "GET /certificates/issuers/ca/ca/issued", "").await;
    assert!(page["value"].as_array().unwrap().iter().all(|it| it["serial"] != *serial.as_str()), "{page}");
    life.ok(A, &format!("GET /certificates/issuers/second/ca/issued/{other}"), "").await;
}

#[tokio::test]
async fn a_key_whose_index_was_edited_is_not_signed_for_again() {
    let filled = filled().await;
    let key = filled.key("issued-by-key");
    filled.edit(&key);
    let life = filled.place.open().await;
    let body = policy("ca", r#""reuse_key":true"#);
    let reply = life.send(A, "POST /certificates/one/create", &body).await;
    assert!(reply.status == 500 && reply.body.contains(&key), "{} {}", reply.status, reply.body);
    issue(&life, "fresh", "ca").await;
}

#[tokio::test]
async fn a_list_loses_no_entry_by_a_record_that_was_edited_and_is_not_served_from_one() {
    let filled = filled().await;
    let id = &filled.authority;
    let list = async |life: &Life| life.service.publications().crl(id, None).await.map(|list| list.unwrap().bytes);
    let digits: Vec<char> = filled.serial.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    let serial: Vec<u8> = digits.chunks(2).map(byte).collect();
    let is_on = |bytes: &[u8]| bytes.windows(serial.len()).any(|part| part == serial);
    assert!(is_on(&list(&filled.place.open().await).await.unwrap()));
    let key = filled.key("revoked");
    filled.edit(&key);
    {
        let life = filled.place.open().await;
        filled.place.clock.advance(Duration::from_secs(86_400));
        life.work().await;
        assert!(is_on(&list(&life).await.unwrap()), "a list was made without an entry that was on it");
    }
    let key = filled.key("crls");
    filled.edit(&key);
    let life = filled.place.open().await;
    let refused = list(&life).await.unwrap_err();
    assert!(refused.message.contains(&key), "{refused:?}");
}
