//! One million revoked certificates at one CA: every list is made, has each of its entries once, and its number rises.
//! Long: `make soak` runs it.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::{Blob, IssuerInput, IssuerName, RevocationReason};
use certmint::service::{CaOptions, ListAuthorities, RevokeRequest, RevokeWhich, ServiceOptions, record_body};
use certmint::store::{Batch, Put, Store};
use serde_json::Value;
use std::time::{Duration, Instant};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

const SHARDS: u32 = 128;
/// Records of one commit.
const BATCH: usize = 5_000;

/// The records of so many revoked certificates, made of those of one.
async fn fill(harness: &Harness, id: &str, count: usize) {
    let serial_of_one = revoked_one(harness, id).await;
    let (log, listed) = (
        harness.store.body(&format!("issued/{id}/{serial_of_one}")).await.unwrap()["value"].clone(),
        listed(harness, id, &serial_of_one).await,
    );
    let copy = |value: &Value, key: String, serial: &str, shard: u32| {
        let mut value = value.clone();
        value["serial"] = serial.into();
        if value.get("shard").is_some() {
            value["shard"] = shard.into();
            // As after its first list.
            value["revocation"]["crl"] = 1.into();
        }
        Put { expected: None, body: record_body(&harness.sealer, &key, &value), due: None, key }
    };
    for first in (0..count).step_by(BATCH) {
        let mut puts = Vec::with_capacity(2 * BATCH);
        for number in first..count.min(first + BATCH) {
            let serial = format!("40{number:030x}");
            let shard = shard_of(&serial);
            puts.push(copy(&log, format!("issued/{id}/{serial}"), &serial, shard));
            puts.push(copy(&listed, format!("revoked/{id}/{shard}/{serial}"), &serial, shard));
        }
        harness.store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    }
}

/// By the last byte of the number.
fn shard_of(serial: &str) -> u32 {
    u32::from_str_radix(&serial[serial.len() - 2..], 16).unwrap() % SHARDS
}

async fn revoked_one(harness: &Harness, id: &str) -> String {
    ask!(harness.service, creations.create(create("web", "corp"))).unwrap();
    harness.work().await;
    let wanted = RevokeRequest {
        vault: vault(),
        which: RevokeWhich::Version(named("web"), None),
        reason: RevocationReason::Superseded,
        invalidity_time: None,
        disable: None,
    };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().revoke(wanted, harness.service.certificates()).await.unwrap();
    let prefix = format!("revoked/{id}/");
    let key = harness.store.keys().await.into_iter().find(|key| key.starts_with(&prefix)).unwrap();
    key.rsplit('/').next().unwrap().to_owned()
}

async fn listed(harness: &Harness, id: &str, serial: &str) -> Value {
    harness.store.body(&format!("revoked/{id}/{}/{serial}", shard_of(serial))).await.unwrap()["value"].clone()
}

/// The number of a list, its entries, and its size in bytes.
async fn list(harness: &Harness, id: &str, shard: u32) -> (u64, usize, usize) {
    let body = harness.store.body(&format!("crls/{id}/{shard}")).await.unwrap();
    let der = serde_json::from_value::<Blob>(body["value"]["der"].clone()).unwrap();
    let (_, list) = CertificateRevocationList::from_der(&der.0).unwrap();
    let number = list.crl_number().unwrap().to_string().parse().unwrap();
    let mut serials: Vec<_> = list.iter_revoked_certificates().map(|entry| entry.raw_serial().to_vec()).collect();
    let count = serials.len();
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), count, "an entry twice on list {shard}");
    (number, count, der.0.len())
}

async fn played(count: usize) {
    let text = format!("listen = '127.0.0.1:0'\nbase_url = 'http://pki.example'\ncrl_shards = {SHARDS}");
    let ca: CaOptions = toml::from_str(&text).unwrap();
    let harness = Harness::new(ServiceOptions { ca, ..ServiceOptions::default() }).await;
    let input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
    let corp = IssuerName::parse("corp").unwrap();
    ask!(harness.service, issuers.set_issuer((vault(), corp.clone()), input)).unwrap();
    harness.work().await;
    let wanted = permit(&harness.service, ListAuthorities { vault: vault(), issuer: Some(corp) }).await;
    let id = harness.service.certificate_authorities().authorities(&wanted).await.unwrap()[0].id.clone();
    let begun = Instant::now();
    fill(&harness, &id, count).await;
    eprintln!("million: {count} revoked certificates in {:.1?}", begun.elapsed());
    let mut before = vec![0; SHARDS as usize];
    for _ in 0..2 {
        let begun = Instant::now();
        // The daily look, which reads all of the log and all lists.
        harness.clock.advance(Duration::from_secs(86_401));
        harness.work().await;
        let (mut entries, mut bytes, mut largest) = (0, 0, 0);
        for shard in 0..SHARDS {
            let (number, count, size) = list(&harness, &id, shard).await;
            assert!(number > before[shard as usize], "list {shard}: {number}");
            before[shard as usize] = number;
            (entries, bytes, largest) = (entries + count, bytes + size, largest.max(size));
        }
        assert_eq!(entries, count + 1);
        eprintln!("million: {SHARDS} lists of {bytes} bytes, {largest} the largest, in {:.1?}", begun.elapsed());
    }
}

#[tokio::test]
async fn thousands_of_revoked_certificates_are_on_their_lists() {
    played(3_000).await;
}

#[tokio::test]
#[ignore = "minutes: make soak"]
async fn one_million_revoked_certificates_are_on_their_lists() {
    played(1_000_000).await;
}
