//! Checks all records of a store, for `certmint doctor --store`, which works without a server.

use super::adoption::Marks;
use super::body::Problem;
use super::codec::Codec;
use super::key::{self, Place};
use super::kinds::{IssuerStateRecord, Kind};
use super::lost_vaults::{NeedsRecord, SeenVaults};
use super::marks::Sweep;
use super::reseal::Next;
use super::scan::{Scan, certificate_of, holds_authenticated};
use crate::domain::{CertificateEntry, EntryState, Error, Reason, Result, Timestamp, VaultName};
use crate::keys::Sealer;
use crate::store::{Batch, Delete, Record, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Looks at a certificate that is written all the while; what cannot be caught in one state is in use.
const LOOKS: usize = 8;
/// Records of one look for those of no known kind.
const PAGE: usize = 100;

/// What is wrong with one record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The key of the record.
    pub key: String,
    /// What is wrong, in words for operators.
    pub problem: String,
    pub repair: Repair,
}

/// What helps against what is wrong with a record, beside restoring the store from a backup.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Repair {
    /// Deleting and purging the certificate.
    Purge,
    /// [`Inspection::remove`]: it is there, and of no use.
    Remove,
    /// As [`Repair::Remove`], and what is lost with it.
    Lose(&'static str),
    /// [`Inspection::protect`]: what is in this vault needs it.
    Protect(VaultName),
    /// A server that runs makes it anew.
    Server,
    /// Nothing: too much depends on it.
    Restore,
}

/// A look at a store.
pub struct Inspection<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) codec: Codec,
    marked: bool,
    /// The takeover of the store has begun, however long ago.
    begun: bool,
    pub(super) now: Timestamp,
    pub(super) needs_record: NeedsRecord,
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

/// Issuer objects by `vault/name`, and the records that belong to one.
#[derive(Default)]
struct Issuers {
    objects: BTreeSet<String>,
    others: Vec<(String, String)>,
}

impl Issuers {
    fn note(&mut self, kind: Kind, record: &Record, codec: &Codec) {
        let Some(Place { vault, name, .. }) = Place::of(&record.key) else { return };
        let place = format!("{vault}/{name}");
        match kind {
            Kind::Issuer => _ = self.objects.insert(place),
            Kind::IssuerHealth => self.others.push((record.key.clone(), place)),
            // One that is kept to cancel orders of an object that is gone is removed by itself.
            Kind::IssuerState
                if codec.verify::<IssuerStateRecord>(record).is_ok_and(|state| state.retired.is_none()) =>
            {
                self.others.push((record.key.clone(), place));
            }
            _ => {}
        }
    }

    /// What belongs to an issuer object that is gone.
    fn findings(&self) -> impl Iterator<Item = Finding> {
        let orphans = self.others.iter().filter(|(_, place)| !self.objects.contains(place));
        orphans.map(|(key, place)| Finding {
            key: key.clone(),
            problem: format!("it belongs to the issuer {place}, whose record is missing"),
            repair: Repair::Remove,
        })
    }
}

impl<'a> Inspection<'a> {
    /// Reads whether a record has to carry a code, as a server does at its start; `window` is that of [`super::Takeover`].
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn new(store: &'a dyn Store, sealer: Arc<Sealer>, window: Duration, now: Timestamp) -> Result<Self> {
        let codec = Codec::new(sealer);
        let Marks { marker, sweep } = Marks::read(store).await?;
        let (marked, begun) = (marker.is_some(), sweep.and_then(|record| codec.verify::<Sweep>(&record).ok()));
        let accepted = match &begun {
            Some(sweep) => sweep.holds(window, now),
            None => !holds_authenticated(store).await?,
        };
        if !marked && accepted {
            codec.tolerate();
        }
        Ok(Self { store, codec, marked, begun: begun.is_some(), now, needs_record: NeedsRecord::None })
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
        let (mut issuers, mut vaults) = (Issuers::default(), SeenVaults::default());
        for kind in Kind::ALL {
            let mut scan = Scan::new(self.store, kind.prefix());
            while let Some(page) = scan.next().await? {
                for record in page {
                    count += 1;
                    let problem = self.codec.problem(&record);
                    if let Some(place) = certificate_of(*kind, &record) {
                        self.note(*kind, &record, certificates.entry(place).or_default());
                    }
                    issuers.note(*kind, &record, &self.codec);
                    vaults.note(*kind, &record);
                    if let Some(problem) = problem {
                        findings.push(Finding {
                            // A replica that is there writes its record again.
                            repair: if *kind == Kind::Replica || self.is_removable(&problem) {
                                Repair::Remove
                            } else {
                                Repair::Purge
                            },
                            problem: problem.to_string(),
                            key: record.key,
                        });
                    }
                }
            }
        }
        let strangers = self.strangers().await?;
        count += strangers.len();
        findings.extend(strangers);
        for (place, certified) in &certificates {
            // Servers may write meanwhile, and the records of a certificate were read one after the other.
            if !certified.findings(place).is_empty() {
                findings.extend(self.look_again(place).await?);
            }
        }
        vaults.keep_records(&mut findings);
        findings.extend(issuers.findings());
        findings.extend(vaults.findings(&self.needs_record));
        self.look_at_cas(&mut findings).await?;
        Ok((count, findings))
    }

    /// The master keys beside the newest one that no record needs. None is known of a store of which not everything could be
    /// looked into.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn unused_keys(&self) -> Result<Vec<String>> {
        let mut unused: BTreeSet<String> = self.codec.master_keys().map(str::to_owned).collect();
        unused.remove(self.codec.newest_key());
        let mut scan = Scan::new(self.store, "");
        while !unused.is_empty() && self.codec.is_strict() {
            let Some(page) = scan.next().await? else { return Ok(unused.into_iter().collect()) };
            for record in page {
                let standing = self.codec.standing(&record);
                if matches!(standing.next, Next::Stays(_)) {
                    return Ok(Vec::new());
                }
                unused.retain(|key| !standing.keys.contains(key));
            }
        }
        Ok(Vec::new())
    }

    /// Records under keys of no kind that is known here. They are left alone by servers, which may be older than who
    /// wrote them.
    async fn strangers(&self) -> Result<Vec<Finding>> {
        let finding = |key| Finding {
            key,
            problem: "it is of no kind that this version knows: a newer one wrote it, or somebody else".to_owned(),
            repair: Repair::Remove,
        };
        // A list begins behind the empty key.
        let mut found: Vec<_> = self.store.get("").await?.map(|record| finding(record.key)).into_iter().collect();
        let mut after = String::new();
        'pages: loop {
            let page = self.store.list("", &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            for record in page {
                if let Some(kind) = Kind::of(&record.key) {
                    // Behind the last key of the kind.
                    after = format!("{}{}", kind.prefix(), char::MAX);
                    continue 'pages;
                }
                after.clone_from(&record.key);
                found.push(finding(record.key));
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    /// In a store of an earlier version a record without a code is as good as the others.
    fn is_removable(&self, problem: &Problem) -> bool {
        match problem {
            Problem::UnknownMasterKey(_) | Problem::Newer(_) => false,
            Problem::Bare => self.marked || !self.begun,
            Problem::Changed | Problem::Unreadable(_) | Problem::Elsewhere => true,
        }
    }

    /// What is missing of a certificate, or left over, as of a moment in which nobody wrote its entry.
    async fn look_again(&self, place: &str) -> Result<Vec<Finding>> {
        let entry = format!("{}{place}", Kind::Certificate.prefix());
        for _ in 0..LOOKS {
            let mut certified = Certified::default();
            let before = self.store.get(&entry).await?;
            if let Some(record) = &before {
                self.note(Kind::Certificate, record, &mut certified);
            }
            let versions = format!("{}{place}/", Kind::Version.prefix());
            let mut scan = Scan::new(self.store, &versions);
            while let Some(page) = scan.next().await? {
                page.iter().for_each(|record| self.note(Kind::Version, record, &mut certified));
            }
            for kind in [Kind::Pending, Kind::Suspended, Kind::Deleted, Kind::Purging] {
                if let Some(record) = self.store.get(&format!("{}{place}", kind.prefix())).await? {
                    self.note(kind, &record, &mut certified);
                }
            }
            let after = self.store.get(&entry).await?;
            if before.map(|record| record.revision) == after.map(|record| record.revision) {
                return Ok(certified.findings(place));
            }
        }
        Ok(Vec::new())
    }

    /// Removes a record that does not verify or belongs to nothing, and answers what is lost with it, if anything.
    ///
    /// # Errors
    /// For a record that is well or not there, and where the store is not available or somebody else changed it.
    pub async fn remove(&self, key: &str) -> Result<Option<&'static str>> {
        let refuse = |problem: &str| Err(Error::new(Reason::BadParameter, format!("The record {key} {problem}")));
        let Some(Record { key: found, revision, .. }) = self.store.get(key).await? else {
            return refuse("is not in the store.");
        };
        let lost = match self.findings().await?.1.iter().find(|finding| finding.key == key) {
            Some(Finding { repair: Repair::Remove, .. }) => None,
            Some(Finding { repair: Repair::Lose(what), .. }) => Some(*what),
            Some(Finding { repair: Repair::Protect(vault), .. }) => {
                return refuse(&format!(
                    "is not removed: the vault {vault} holds certificates, and would lose its purge protection and retention. Make it anew with --protect {vault}."
                ));
            }
            Some(finding) => return refuse(&format!("is not removed: {}.", finding.problem)),
            None => return refuse("is intact; only records that do not verify or belong to nothing can be removed."),
        };
        let deletes = vec![Delete { key: found, expected: revision }];
        match self.store.commit(Batch { deletes, ..Batch::default() }).await {
            Ok(_) => Ok(lost),
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

    fn note(&self, kind: Kind, record: &Record, certified: &mut Certified) {
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
        let finding = |key: String, problem: String, repair| Finding { key, problem, repair };
        if !self.has_entry {
            let orphans = self.versions.iter().chain(&self.others);
            let problem = format!("it belongs to the certificate {place}, whose record is missing");
            return orphans.map(|key| finding(key.clone(), problem.clone(), Repair::Remove)).collect();
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
                found.push(finding(
                    key,
                    "it is missing, and is the newest version of its certificate".into(),
                    Repair::Purge,
                ));
            }
        }
        let there = self.versions.len();
        if let Some(count) = entry.versions.filter(|count| usize::try_from(*count).ok() != Some(there)) {
            let problem = format!("its certificate has {count} versions, and {there} exist");
            found.push(finding(
                key::versions_of(&entry.vault, &entry.name).as_str().to_owned(),
                problem,
                Repair::Purge,
            ));
        }
        if matches!(entry.state, EntryState::Deleted { .. }) && !self.deleted {
            let problem = "it is missing: the deleted certificate is not listed, and not purged in time";
            found.push(finding(key::deleted(&entry.vault, &entry.name).to_string(), problem.into(), Repair::Purge));
        }
        found
    }
}

/// Whether a store that holds this record can be read: the key on the first line, then the body. It is read as it is,
/// and its value once more under a good code.
pub(crate) fn reads_a_record(sealer: &Arc<Sealer>, input: &[u8]) -> bool {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return false };
    let Ok(key) = std::str::from_utf8(&input[..end]) else { return false };
    if Kind::of(key).is_none() {
        return false;
    }
    let strict = Codec::new(Arc::clone(sealer));
    let tolerant = Codec::new(Arc::clone(sealer));
    tolerant.tolerate();
    let record = |body: Vec<u8>| Record { key: key.to_owned(), revision: 1, body, due: None };
    let given = record(input[end + 1..].to_vec());
    let read = tolerant.problem(&given).is_none() | strict.problem(&given).is_none();
    let value = serde_json::from_slice::<serde_json::Value>(&given.body)
        .ok()
        .and_then(|mut body| body.get_mut("value").map(serde_json::Value::take));
    let ours = value.map(|value| record(super::record_body(sealer, key, &value)));
    read | ours.is_some_and(|ours| strict.problem(&ours).is_none())
}
