//! Vaults whose record is missing or does not verify: what is deleted in them would be kept as nobody said.

use super::contents;
use super::inspection::{Finding, Inspection, Repair};
use super::key::{self, Place};
use super::kinds::Kind;
use crate::domain::{Error, Reason, Result, Timestamp, Vault, VaultName, VaultSettings};
use crate::service::VaultOptions;
use crate::store::{Batch, Record, StoreError};
use std::collections::BTreeSet;

/// Which vaults need a record.
#[derive(Clone, Debug, Default)]
pub(super) enum NeedsRecord {
    /// None: every name is a vault from its first use.
    #[default]
    None,
    /// All but those of the configuration.
    AllBut(BTreeSet<VaultName>),
}

/// The vaults of a store, by what is in it.
#[derive(Debug, Default)]
pub(super) struct SeenVaults {
    used: BTreeSet<String>,
    recorded: BTreeSet<String>,
}

impl SeenVaults {
    pub(super) fn note(&mut self, kind: Kind, record: &Record) {
        let Some(Place { vault, .. }) = Place::of(&record.key) else { return };
        let names = match kind {
            Kind::Vault => &mut self.recorded,
            kind if contents::KINDS.contains(&kind) => &mut self.used,
            _ => return,
        };
        if !names.contains(vault) {
            names.insert(vault.to_owned());
        }
    }

    /// Where the record of a vault that holds something could be removed, it is to be made anew instead. For the end of a
    /// look: some kinds of what a vault holds are read after the vaults.
    pub(super) fn keep_records(&self, findings: &mut [Finding]) {
        for finding in findings.iter_mut().filter(|finding| finding.repair == Repair::Remove) {
            let place = Place::of(&finding.key).filter(|place| place.kind == Kind::Vault);
            let used = place.map(|place| place.vault).filter(|vault| self.used.contains(*vault));
            if let Some(vault) = used.and_then(|vault| VaultName::parse(vault).ok()) {
                finding.repair = Repair::Protect(vault);
            }
        }
    }

    /// The vaults that hold something without a record.
    pub(super) fn findings(&self, needs: &NeedsRecord) -> Vec<Finding> {
        let NeedsRecord::AllBut(configured) = needs else { return Vec::new() };
        let names = self.used.difference(&self.recorded).filter_map(|name| VaultName::parse(name).ok());
        names
            .filter(|name| !configured.contains(name))
            .map(|name| Finding {
                key: key::vault(&name).to_string(),
                problem: format!("it is missing, and the vault {name} holds certificates, which a server refuses"),
                repair: Repair::Protect(name),
            })
            .collect()
    }
}

impl Inspection<'_> {
    /// Every vault but those of the configuration and the default one has a record; without this call none needs one.
    #[must_use]
    pub fn expect_records_but_of(mut self, configured: &VaultOptions) -> Self {
        let names = configured.named().map(|(name, _)| name);
        self.needs_record = NeedsRecord::AllBut(names.chain([VaultName::default_vault()]).collect());
        self
    }

    /// Makes the record of a vault anew that is missing or does not verify, with the strictest settings: the longest
    /// retention and purge protection.
    ///
    /// # Errors
    /// Where it is no name of a vault, where the record is well, where there is nothing in the vault, and where the store
    /// is not available or somebody else changed the record meanwhile.
    pub async fn protect(&self, vault: &str, now: Timestamp) -> Result<()> {
        let name = &VaultName::parse(vault)?;
        let key = key::vault(name);
        let refuse = |problem: &str| Err(Error::new(Reason::BadParameter, format!("The record {key} {problem}")));
        let found = self.store.get(key.as_str()).await?;
        match &found {
            Some(record) if self.codec.verify::<Vault>(record).is_ok() => return refuse("is intact; it is kept."),
            Some(_) => {}
            None if contents::holds_something(self.store, name).await? => {}
            None => {
                return refuse("is not needed: there is nothing in the vault. Make it with `certmint vault create`.");
            }
        }
        let vault = Vault { name: name.clone(), settings: VaultSettings::STRICTEST, created: Some(now) };
        let puts = vec![self.codec.put(&key, found.map(|record| record.revision), &vault, None)?];
        match self.store.commit(Batch { puts, ..Batch::default() }).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(_)) => refuse("was changed meanwhile. Repeat the command."),
            Err(error) => Err(error.into()),
        }
    }
}
