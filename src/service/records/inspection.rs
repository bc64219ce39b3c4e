//! Checks all records of a store, for `certmint doctor --store`, which works without a server.

use super::body::{self, Problem};
use super::codec::Codec;
use super::key::{self, Place};
use super::kinds::{
    ChallengeRecord, DeletedRecord, IssuerStateRecord, Kind, PendingRecord, PurgingRecord, RequestRecord,
};
use super::{Marker, Sweep};
use crate::domain::authority::AuthorityRecord;
use crate::domain::{
    Certificate, CertificateEntry, Contacts, EntryState, Error, IssuerConfig, Reason, Result, Timestamp, Vault,
};
use crate::keys::Sealer;
use crate::store::{Batch, Delete, Record, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records of one look.
const PAGE: usize = 500;

/// What is wrong with one record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The key of the record.
    pub key: String,
    /// What is wrong, in words for operators.
    pub problem: String,
    /// Whether [`Inspection::remove`] may remove it: it is there, and of no use.
    pub removable: bool,
}

/// A look at a store.
pub struct Inspection<'a> {
    store: &'a dyn Store,
    codec: Codec,
    marked: bool,
}

impl std::fmt::Debug for Inspection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inspection").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// What the records of one certificate say, by `vault/name`.
#[derive(Default)]
struct Certified {
    entry: Option<CertificateEntry>,
    /// The entry is there, whether it can be read or not.
    has_entry: bool,
    versions: Vec<String>,
    /// Other records that belong to the entry.
    others: Vec<String>,
    deleted: bool,
}

impl<'a> Inspection<'a> {
    /// Reads whether the store is marked, that is whether a record has to carry a code.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn new(store: &'a dyn Store, sealer: Arc<Sealer>) -> Result<Self> {
        let codec = Codec::new(sealer);
        let marked = store.get(key::marker().as_str()).await?.is_some();
        if !marked && !holds_authenticated(store).await? {
            codec.tolerate();
        }
        Ok(Self { store, codec, marked })
    }

    /// Whether a record without a code is one that somebody put there; else the store is of an earlier version and is
    /// taken over by the next start of a server.
    pub fn is_marked(&self) -> bool {
        self.marked
    }

    /// How many records there are, and those that do not verify, are missing, or belong to nothing.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn findings(&self) -> Result<(usize, Vec<Finding>)> {
        let (mut count, mut findings, mut certificates) = (0, Vec::new(), BTreeMap::<String, Certified>::new());
        for kind in Kind::ALL {
            let mut after = String::new();
            loop {
                let page = self.store.list(kind.prefix(), &after, PAGE).await?;
                let full = page.len() == PAGE;
                for record in page {
                    count += 1;
                    let problem = self.problem(*kind, &record);
                    self.note(*kind, &record, &mut certificates);
                    if let Some(problem) = problem {
                        findings.push(Finding {
                            key: record.key.clone(),
                            problem: problem.to_string(),
                            removable: !matches!(problem, Problem::UnknownMasterKey(_) | Problem::Newer(_)),
                        });
                    }
                    after = record.key;
                }
                if !full {
                    break;
                }
            }
        }
        findings.extend(certificates.iter().flat_map(|(place, certified)| certified.findings(place)));
        Ok((count, findings))
    }

    /// Removes a record that does not verify or belongs to nothing.
    ///
    /// # Errors
    /// For a record that is well or not there, and where the store is not available or somebody else changed it.
    pub async fn remove(&self, key: &str) -> Result<()> {
        let refuse = |problem: &str| Err(Error::new(Reason::BadParameter, format!("The record {key} {problem}")));
        let Some(Record { key: found, revision, .. }) = self.store.get(key).await? else {
            return refuse("is not in the store.");
        };
        match self.findings().await?.1.iter().find(|finding| finding.key == key) {
            Some(finding) if finding.removable => {}
            Some(finding) => return refuse(&format!("is not removed: {}.", finding.problem)),
            None => return refuse("is intact; only records that do not verify or belong to nothing can be removed."),
        }
        let deletes = vec![Delete { key: found, expected: revision }];
        match self.store.commit(Batch { deletes, ..Batch::default() }).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(_)) => refuse("was changed meanwhile. Repeat the command."),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the next start take the store over as one of a version before the codes, because such a version wrote to it
    /// after it was marked. Everything in it is believed then: only for an operator who trusts the database.
    ///
    /// # Errors
    /// Where the store is not available or somebody else changed it.
    pub async fn adopt(&self, now: Timestamp) -> Result<()> {
        let mut batch = Batch::default();
        let begun = self.store.get(key::sweep().as_str()).await?.map(|record| record.revision);
        batch.puts.push(self.codec.put(&key::sweep(), begun, &Sweep::begin(now), None)?);
        let marker = self.store.get(key::marker().as_str()).await?;
        batch.deletes.extend(marker.map(|Record { key, revision, .. }| Delete { key, expected: revision }));
        self.store.commit(batch).await?;
        Ok(())
    }

    fn problem(&self, kind: Kind, record: &Record) -> Option<Problem> {
        match kind {
            Kind::Certificate => self.codec.verify::<CertificateEntry>(record).err(),
            Kind::Version => self.codec.verify::<Certificate>(record).err(),
            Kind::Pending | Kind::Suspended | Kind::AbandonedOrder => self.codec.verify::<PendingRecord>(record).err(),
            Kind::Request | Kind::Repeat => self.codec.verify::<RequestRecord>(record).err(),
            Kind::Deleted => self.codec.verify::<DeletedRecord>(record).err(),
            Kind::Purging => self.codec.verify::<PurgingRecord>(record).err(),
            Kind::Contacts => self.codec.verify::<Contacts>(record).err(),
            Kind::Vault => self.codec.verify::<Vault>(record).err(),
            Kind::Issuer => self.codec.verify::<IssuerConfig>(record).err(),
            Kind::Authority => self.codec.verify::<AuthorityRecord>(record).err(),
            Kind::IssuerState => self.codec.verify::<IssuerStateRecord>(record).err(),
            Kind::Challenge => self.codec.verify::<ChallengeRecord>(record).err(),
            Kind::Meta => {
                let marker = self.codec.verify::<Marker>(record).err();
                marker.filter(|_| self.codec.verify::<Sweep>(record).is_err())
            }
        }
    }

    fn note(&self, kind: Kind, record: &Record, certificates: &mut BTreeMap<String, Certified>) {
        let Some(Place { vault, name, .. }) = Place::of(&record.key) else { return };
        let certified = match kind {
            Kind::Certificate | Kind::Version | Kind::Pending | Kind::Suspended | Kind::Deleted | Kind::Purging => {
                certificates.entry(format!("{vault}/{name}")).or_default()
            }
            Kind::AbandonedOrder
            | Kind::Request
            | Kind::Repeat
            | Kind::Contacts
            | Kind::Vault
            | Kind::Issuer
            | Kind::Authority
            | Kind::IssuerState
            | Kind::Challenge
            | Kind::Meta => return,
        };
        match kind {
            Kind::Certificate => {
                certified.has_entry = true;
                certified.entry = self.codec.verify(record).ok();
            }
            Kind::Version => certified.versions.push(record.key.clone()),
            _ => {
                certified.deleted |= kind == Kind::Deleted;
                certified.others.push(record.key.clone());
            }
        }
    }
}

impl Certified {
    /// What is missing, or is there without what it belongs to.
    fn findings(&self, place: &str) -> Vec<Finding> {
        let finding = |key: String, problem: String, removable| Finding { key, problem, removable };
        if !self.has_entry {
            let orphans = self.versions.iter().chain(&self.others);
            let problem = format!("it belongs to the certificate {place}, whose record is missing");
            return orphans.map(|key| finding(key.clone(), problem.clone(), true)).collect();
        }
        let mut found = Vec::new();
        let Some(entry) = &self.entry else { return found };
        // While they are removed or restored, not all are there.
        if entry.state == EntryState::Purging {
            return found;
        }
        if let Some(latest) = entry.latest {
            let key = key::version(&entry.vault, &entry.name, latest).to_string();
            if !self.versions.contains(&key) {
                found.push(finding(key, "it is missing, and is the newest version of its certificate".into(), false));
            }
        }
        let there = self.versions.len();
        if let Some(count) = entry.versions.filter(|count| usize::try_from(*count).ok() != Some(there)) {
            let problem = format!("its certificate has {count} versions, and {there} exist");
            found.push(finding(key::versions_of(&entry.vault, &entry.name).as_str().to_owned(), problem, false));
        }
        if matches!(entry.state, EntryState::Deleted { .. }) && !self.deleted {
            let problem = "it is missing: the deleted certificate is not listed, and not purged in time";
            found.push(finding(key::deleted(&entry.vault, &entry.name).to_string(), problem.into(), false));
        }
        found
    }
}

/// Whether any record carries a code.
pub(in crate::service) async fn holds_authenticated(store: &dyn Store) -> Result<bool> {
    for kind in Kind::ALL {
        let mut after = String::new();
        loop {
            let page = store.list(kind.prefix(), &after, PAGE).await?;
            if page.iter().any(|record| body::carries_a_code(&record.body)) {
                return Ok(true);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after.clone_from(&last.key),
                _ => break,
            }
        }
    }
    Ok(false)
}
