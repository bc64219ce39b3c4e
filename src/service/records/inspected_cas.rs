//! What is wrong with the records of CAs: a certificate that the log lost, or that has lost its place on a list or in
//! the log's other orders, and what belongs to a CA that is gone.

use super::authorities::{CrlRecord, IssuedIndex, RevokedRecord};
use super::inspection::{Finding, Inspection, Repair};
use super::key::{self, Place};
use super::kinds::{Kind, Stored};
use super::scan::Scan;
use crate::domain::authority::{AuthorityRecord, AuthorityState};
use crate::domain::issued::IssuedRecord;
use crate::domain::revocation::LISTED_AFTER_THE_END;
use crate::domain::{Result, Serial, VaultName};
use crate::keys::crl;
use crate::store::{MAX_KEYS, Record};
use std::collections::{BTreeMap, BTreeSet};

const LOST_ENTRY: &str = "a revocation: the certificate may be valid again";
const LOST_CERTIFICATE: &str = "what the log and OCSP know of a certificate, a compromise of its key among it";
const LOST_TRACE: &str = "a trace of the certificate that is missing";

/// The CAs, and what was found that belongs to none.
#[derive(Default)]
struct Cas {
    /// By identifier; `None` where the record does not verify.
    known: BTreeMap<String, Option<AuthorityRecord>>,
    /// How much belongs to a CA without a record, by the key that the record would have.
    orphans: BTreeMap<String, usize>,
    /// Keys of lists that there have to be.
    lists: BTreeSet<String>,
    /// The CAs that have a first list: with each, their whole logs are looked at.
    listing: BTreeSet<String>,
    /// By the key of the record.
    findings: BTreeMap<String, Finding>,
}

/// Where one record is, another one has to be.
struct Expected {
    /// What is there, as it was read.
    by: Record,
    wanted: String,
    finding: Finding,
}

impl Cas {
    fn find(&mut self, key: &str, problem: String, repair: Repair) {
        self.add(Finding { key: key.to_owned(), problem, repair });
    }

    fn add(&mut self, finding: Finding) {
        self.findings.entry(finding.key.clone()).or_insert(finding);
    }

    /// What helps where something is lost that the log of this CA has.
    fn repair_by_log(&self, id: &str) -> Repair {
        let signs = self.known.get(id).and_then(Option::as_ref).is_some_and(|it| it.state() != AuthorityState::Gone);
        if signs && self.listing.contains(id) { Repair::Server } else { Repair::Restore }
    }

    /// Notes what belongs to a CA; whether that is there.
    fn belongs(&mut self, vault: &VaultName, id: &str) -> bool {
        let is_known = self.known.contains_key(id);
        if !is_known {
            *self.orphans.entry(key::authority(vault, id).to_string()).or_default() += 1;
        }
        is_known
    }
}

impl Inspection<'_> {
    /// Adds what is missing of the CAs or belongs to none, and says of what is damaged whether it can be done without.
    pub(super) async fn look_at_cas(&self, findings: &mut Vec<Finding>) -> Result<()> {
        let mut cas = Cas::default();
        let mut scan = Scan::new(self.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                let id = Place::of(&record.key).map(|place| place.name.to_owned()).unwrap_or_default();
                if self.store.get(key::crl(&id, 0).as_str()).await?.is_some() {
                    cas.listing.insert(id.clone());
                }
                cas.known.insert(id, self.codec.verify(&record).ok());
            }
        }
        for finding in findings.iter_mut().filter(|finding| finding.repair == Repair::Remove) {
            if let Some(record) = self.store.get(&finding.key).await?.filter(|record| self.codec.is_damaged(record)) {
                finding.repair = self.repair_of_ca(&cas, &record).await?;
            }
        }
        self.look_at_log(&mut cas).await?;
        self.look_at_orders(&mut cas).await?;
        self.look_at_revoked(&mut cas).await?;
        self.look_at_publications(&mut cas).await?;
        for (key, count) in std::mem::take(&mut cas.orphans) {
            // One that was made meanwhile is there.
            if self.store.get(&key).await?.is_none() {
                let problem = format!(
                    "it is missing: {count} records of its log, lists and responders belong to it, and none of them is shown, published or revoked"
                );
                cas.find(&key, problem, Repair::Restore);
            }
        }
        for key in std::mem::take(&mut cas.lists) {
            if self.store.get(&key).await?.is_none() {
                cas.find(&key, "it is missing: the CA publishes no revocation list".to_owned(), Repair::Server);
            }
        }
        findings.extend(cas.findings.into_values());
        Ok(())
    }

    /// What helps against a damaged record, by what else says the same.
    async fn repair_of_ca(&self, cas: &Cas, damaged: &Record) -> Result<Repair> {
        let Some(Place { kind, vault, name, id }) = Place::of(&damaged.key) else { return Ok(Repair::Remove) };
        Ok(match kind {
            Kind::Authority => Repair::Restore,
            Kind::Crl if cas.known.contains_key(vault) => Repair::Server,
            Kind::Issued => Repair::Lose(LOST_CERTIFICATE),
            Kind::Revoked if self.is_revoked_elsewhere(vault, name, id).await? => Repair::Server,
            Kind::Revoked => Repair::Lose(LOST_ENTRY),
            Kind::IssuedByTime | Kind::IssuedByKey => {
                let serial = name.rsplit('-').next().and_then(serial_of);
                for authority in cas.known.keys() {
                    let Some(serial) = &serial else { break };
                    if self.sound::<IssuedRecord>(key::issued(authority, serial).as_str()).await?.is_some() {
                        return Ok(cas.repair_by_log(authority));
                    }
                }
                Repair::Remove
            }
            _ => Repair::Remove,
        })
    }

    /// Whether the log or the last list has a revocation, so that its record is made anew.
    async fn is_revoked_elsewhere(&self, authority: &str, shard: &str, serial: &str) -> Result<bool> {
        let (Ok(shard), Some(serial)) = (shard.parse(), serial_of(serial)) else { return Ok(false) };
        let issued = self.sound::<IssuedRecord>(key::issued(authority, &serial).as_str()).await?;
        let listed = self.sound::<CrlRecord>(key::crl(authority, shard).as_str()).await?;
        let entry = crl::integer(serial.bytes());
        let holds = |list: CrlRecord| list.der.0.windows(entry.len()).any(|part| part == entry);
        Ok(issued.is_some_and(|issued| issued.revocation.is_some()) || listed.is_some_and(holds))
    }

    async fn sound<T: Stored>(&self, key: &str) -> Result<Option<T>> {
        Ok(self.store.get(key).await?.and_then(|record| self.codec.verify(&record).ok()))
    }

    /// Each certificate of the log has its other places, and one on a list where it is revoked.
    async fn look_at_log(&self, cas: &mut Cas) -> Result<()> {
        let mut scan = Scan::new(self.store, Kind::Issued.prefix());
        while let Some(page) = scan.next().await? {
            let mut expected = Vec::new();
            for record in page {
                let Ok(issued) = self.codec.verify::<IssuedRecord>(&record) else { continue };
                let IssuedRecord { authority, serial, created, content, asked, revocation, .. } = &issued;
                if !cas.belongs(&asked.vault, authority) {
                    continue;
                }
                let repair = cas.repair_by_log(authority);
                let mut want = |wanted: String, what: &str| {
                    let problem = format!("it is missing: {what} lacks the certificate {}", record.key);
                    let finding = Finding { key: wanted.clone(), problem, repair: repair.clone() };
                    expected.push(Expected { by: record.clone(), wanted, finding });
                };
                want(key::issued_by_time(authority, *created, serial).to_string(), "the log in the order of time");
                want(key::issued_by_key(&content.key, serial).to_string(), "the log by key");
                let is_listed = content.not_after.plus(LISTED_AFTER_THE_END) > self.now;
                if let (Some(Some(owner)), Some(_), true) = (cas.known.get(authority), revocation, is_listed) {
                    let shard = owner.shard_of(serial);
                    want(key::revoked(authority, shard, serial).to_string(), "the next revocation list");
                }
            }
            self.look_for(expected, cas).await?;
        }
        Ok(())
    }

    /// What stands in the other orders of the log is in the log.
    async fn look_at_orders(&self, cas: &mut Cas) -> Result<()> {
        for kind in [Kind::IssuedByTime, Kind::IssuedByKey] {
            let mut scan = Scan::new(self.store, kind.prefix());
            while let Some(page) = scan.next().await? {
                let mut expected = Vec::new();
                for record in page {
                    let Ok(index) = self.codec.verify::<IssuedIndex>(&record) else { continue };
                    let name = Place::of(&record.key).map(|place| place.name).unwrap_or_default();
                    let Some(serial) = name.rsplit('-').next().and_then(serial_of) else { continue };
                    if !cas.known.contains_key(&index.authority) {
                        continue;
                    }
                    let wanted = key::issued(&index.authority, &serial).to_string();
                    let problem = format!("it belongs to {wanted}, which is missing in the log of its CA");
                    let finding = Finding { key: record.key.clone(), problem, repair: Repair::Lose(LOST_TRACE) };
                    expected.push(Expected { by: record, wanted, finding });
                }
                self.look_for(expected, cas).await?;
            }
        }
        Ok(())
    }

    /// What is on a list is in the log, unless another program signed it.
    async fn look_at_revoked(&self, cas: &mut Cas) -> Result<()> {
        let mut scan = Scan::new(self.store, Kind::Revoked.prefix());
        while let Some(page) = scan.next().await? {
            let mut expected = Vec::new();
            for record in page {
                let Ok(revoked) = self.codec.verify::<RevokedRecord>(&record) else { continue };
                let RevokedRecord { vault, authority, shard, serial, revocation, not_after } = &revoked;
                if !cas.belongs(vault, authority) {
                    continue;
                }
                if revocation.crl.is_some() {
                    cas.lists.insert(key::crl(authority, *shard).to_string());
                }
                // The revocations of another program were by nobody here.
                if !revocation.by.is_empty() && *not_after > self.now {
                    let wanted = key::issued(authority, serial).to_string();
                    let problem = format!("it is missing, and was revoked: {}", record.key);
                    let finding = Finding { key: wanted.clone(), problem, repair: Repair::Restore };
                    expected.push(Expected { by: record, wanted, finding });
                }
            }
            self.look_for(expected, cas).await?;
        }
        Ok(())
    }

    /// What is published is that of a CA, and nothing is missing of one that publishes.
    async fn look_at_publications(&self, cas: &mut Cas) -> Result<()> {
        for kind in [Kind::Crl, Kind::Responder] {
            let mut scan = Scan::new(self.store, kind.prefix());
            while let Some(page) = scan.next().await? {
                for record in page {
                    let id = Place::of(&record.key).map(|place| place.vault).unwrap_or_default();
                    let Some(owner) = cas.known.get(id) else {
                        let problem = format!("it belongs to the CA {id}, whose record is missing");
                        cas.find(&record.key, problem, Repair::Lose("what the CA published"));
                        continue;
                    };
                    // A responder is made together with the lists.
                    if let (Kind::Responder, Some(owner)) = (kind, owner)
                        && owner.state() != AuthorityState::Gone
                    {
                        let shards = 0..owner.lists.shards.max(1);
                        cas.lists.extend(shards.map(|shard| key::crl(id, shard).to_string()));
                    }
                }
            }
        }
        Ok(())
    }

    /// Finds what is not there, unless the record that expects it is gone or another one by now.
    async fn look_for(&self, expected: Vec<Expected>, cas: &mut Cas) -> Result<()> {
        for expected in expected.chunks(MAX_KEYS) {
            let keys: Vec<String> = expected.iter().map(|it| it.wanted.clone()).collect();
            let found = self.store.get_many(&keys).await?;
            for (Expected { by, wanted: _, finding }, found) in expected.iter().zip(found) {
                if found.is_none() && self.store.get(&by.key).await?.is_some_and(|now| now.revision == by.revision) {
                    cas.add(finding.clone());
                }
            }
        }
        Ok(())
    }
}

fn serial_of(text: &str) -> Option<Serial> {
    Serial::spellings(text).ok()?.into_iter().next()
}
