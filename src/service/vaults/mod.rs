//! Vaults and their contacts.

mod absent;
mod contacts;
pub(super) mod known;
pub(super) mod options;
mod used;

pub use known::Vaults;
pub use options::{NamedVault, VaultOptions};

use super::access::{AllVaults, Permit, Target};
use super::context::Context;
use super::records::{List, MAX_PAGE, key};
use super::retry::retry;
use crate::domain::{Detail, Error, Reason, Result, RetentionDays, Vault, VaultName, VaultSettings};
use crate::store::Batch;
use std::sync::Arc;

/// A page of vaults in the order of their names.
#[derive(Clone, Debug)]
pub struct VaultPage {
    pub vaults: Vec<Vault>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// A vault to be made; `None` takes what the configuration says of vaults in general.
#[derive(Clone, Debug)]
pub struct NewVault {
    pub name: VaultName,
    pub retention_days: Option<RetentionDays>,
    pub purge_protection: Option<bool>,
}

impl Target for NewVault {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.name)
    }

    fn concerns_every_vault(&self) -> bool {
        true
    }
}

/// Makes, reads and lists vaults, and keeps their contacts.
#[derive(Clone)]
pub struct VaultObjects {
    context: Arc<Context>,
}

impl VaultObjects {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    /// A vault with its settings.
    pub async fn vault(&self, name: Permit<VaultName>) -> Result<Vault> {
        self.context.vaults.find(&name).await
    }

    /// Creates a vault. Its settings cannot be changed later. [`Reason::AlreadyExists`] where it is there;
    /// [`Reason::BadParameter`] where the store holds certificates of it that would be kept less well than so far.
    pub async fn create_vault(&self, wanted: Permit<NewVault>) -> Result<Vault> {
        let NewVault { name, retention_days, purge_protection } = &*wanted;
        retry!({
            let there = match self.context.vaults.known(name) {
                Some(_) => true,
                None => match self.context.load(&key::vault(name)).await? {
                    Some((_, vault)) => {
                        // Made at another replica: from now on it is known here, too.
                        self.context.vaults.learn(vault);
                        true
                    }
                    None => false,
                },
            };
            if there {
                return Err(Error::new(
                    Reason::AlreadyExists,
                    format!("A vault named {name} already exists. Its settings cannot be changed."),
                )
                .with(Detail::Resource { kind: "vault", name: name.to_string() }));
            }
            let defaults = self.context.options.vaults.defaults();
            let settings = VaultSettings {
                retention_days: retention_days.unwrap_or(defaults.retention_days),
                purge_protection: purge_protection.unwrap_or(defaults.purge_protection),
            };
            if let Some(floor) = self.context.vaults.floor(name).await?.filter(|floor| !settings.keeps_what(*floor)) {
                return Err(weaker(name, floor));
            }
            let vault = Vault { name: name.clone(), settings, created: Some(self.context.now()) };
            let puts = vec![self.context.records.put(&key::vault(name), None, &vault, None)?];
            let committed = self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
            Ok(committed.map(|_| {
                self.context.vaults.learn(vault.clone());
                vault
            }))
        })
    }

    /// Up to `page_size` vaults after the page that gave `page_token`: those of the configuration, those that callers
    /// made, and where every name is a vault those that hold something; of them those that the caller may read.
    pub async fn list_vaults(
        &self,
        wanted: Permit<AllVaults>,
        page_size: usize,
        page_token: &str,
    ) -> Result<VaultPage> {
        let paging = self.context.paging(List::Vaults, Vec::new());
        let after = paging.position(page_token)?.unwrap_or_default();
        let size = page_size.clamp(1, MAX_PAGE);
        let visible = wanted.right().visible();
        let (vaults, position) = match visible.vaults() {
            None => self.context.vaults.page(&after, size).await?,
            Some(named) => {
                let rest: Vec<&VaultName> = named.filter(|name| name.as_str() > after.as_str()).collect();
                let (page, more) = rest.split_at(size.min(rest.len()));
                let mut vaults = Vec::with_capacity(page.len());
                for name in page {
                    match self.context.vaults.find(name).await {
                        Ok(vault) => vaults.push(vault),
                        Err(error) if error.reason == Reason::VaultNotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                (vaults, page.last().filter(|_| !more.is_empty()).map(ToString::to_string))
            }
        };
        Ok(VaultPage { next_page_token: paging.token(position.as_deref()), vaults })
    }

    /// Learns of vaults that were made at other processes of the same store.
    pub async fn refresh_vaults(&self) -> Result<()> {
        self.context.vaults.refresh().await
    }
}

fn weaker(name: &VaultName, floor: VaultSettings) -> Error {
    let VaultSettings { retention_days, purge_protection } = floor;
    let field = if purge_protection { "purge_protection" } else { "retention_days" };
    let protection = if purge_protection { "purge protection and " } else { "" };
    Error::field(
        field,
        format!(
            "the vault {name} holds certificates already, and they would be kept less well than so far. Use {protection}a retention of {retention_days} days, restore the record of the vault from a backup, or name the vault in the configuration of the server."
        ),
    )
}
