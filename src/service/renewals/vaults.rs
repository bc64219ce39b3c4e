//! What holds for all renewals of a vault, and when those of a certificate may begin: maintenance windows and pauses.

use super::Renewals;
use crate::domain::renewal::{MaintenanceWindow, Opening, VaultRenewals};
use crate::domain::{Error, Pause, Renewal, Result, VaultName};
use crate::service::access::{CertificateRef, Permit, Target};
use crate::service::context::Context;
use crate::service::records::key;
use crate::service::retry::retry;
use crate::store::Batch;

/// All certificates of a vault: whoever decides over their renewals may change each of them.
#[derive(Clone, Debug)]
pub struct WholeVault(pub VaultName);

impl Target for WholeVault {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.0)
    }

    fn needs_every_name(&self) -> bool {
        true
    }
}

/// What stands against all renewals of a vault.
pub(in crate::service) struct VaultRules {
    pub(in crate::service) paused: Option<Pause>,
    window: Option<MaintenanceWindow>,
}

impl VaultRules {
    /// Those of a vault. A record of them that was changed outside stops no renewal, and is logged.
    pub(in crate::service) async fn of(context: &Context, vault: &VaultName) -> Result<Self> {
        let VaultRenewals { vault: _, maintenance, paused } = stored(context, vault).await?;
        let window = maintenance.and_then(|text| MaintenanceWindow::parse(&text).ok());
        Ok(Self { paused, window: window.or_else(|| context.options.renewal.window.clone()) })
    }

    /// When this renewal may begin: by the window of the certificate, or else by that of the vault.
    pub(in crate::service) fn window(&self, renewal: &Renewal) -> Option<MaintenanceWindow> {
        let own = renewal.maintenance.as_ref().and_then(|text| MaintenanceWindow::parse(text).ok());
        own.or_else(|| self.window.clone())
    }
}

/// Why a renewal does not begin before a window opens.
pub(in crate::service) fn waits_for(window: &MaintenanceWindow, opening: Opening) -> String {
    format!("Waits for the maintenance window `{window}`, which opens at {}.", opening.from.date_time())
}

/// What is stored for a vault.
async fn stored(context: &Context, vault: &VaultName) -> Result<VaultRenewals> {
    let place = key::vault_renewals(vault);
    let found = match context.store.get(place.as_str()).await? {
        Some(record) => context.records.unless_damaged::<VaultRenewals>(&record)?,
        None => None,
    };
    Ok(found.unwrap_or_else(|| VaultRenewals::new(vault.clone())))
}

/// The text of a window as it is kept; none where the text is empty.
fn window(given: &str) -> Result<Option<String>> {
    if given.trim().is_empty() {
        return Ok(None);
    }
    let window = MaintenanceWindow::parse(given).map_err(|problem| Error::field("window", problem))?;
    Ok(Some(window.to_string()))
}

impl Renewals {
    /// Sets when the renewals of a certificate may begin; an empty text leaves it to the vault.
    ///
    /// # Errors
    /// [`crate::domain::Reason::BadParameter`] where the text is no window.
    pub async fn set_window(&self, wanted: Permit<CertificateRef>, text: &str) -> Result<super::RenewalView> {
        let window = window(text)?;
        self.change(wanted, |renewal| renewal.maintenance.clone_from(&window)).await
    }

    /// What holds for all renewals of a vault.
    pub async fn of_vault(&self, vault: Permit<VaultName>) -> Result<VaultRenewals> {
        stored(&self.context, &vault).await
    }

    /// Sets when the renewals of a vault may begin; an empty text leaves it to the configuration. Certificates with a
    /// window of their own keep it.
    ///
    /// # Errors
    /// [`crate::domain::Reason::BadParameter`] where the text is no window.
    pub async fn set_vault_window(&self, wanted: Permit<WholeVault>, text: &str) -> Result<VaultRenewals> {
        let window = window(text)?;
        self.change_vault(&wanted, |renewals| renewals.maintenance.clone_from(&window)).await
    }

    /// Stops the automatic renewals of a vault. A second pause changes the reason alone.
    pub async fn pause_vault(&self, wanted: Permit<WholeVault>, reason: &str) -> Result<VaultRenewals> {
        let reason = Pause::reason(reason)?;
        let now = self.context.now();
        self.change_vault(&wanted, |renewals| {
            renewals.paused = Some(Pause::or_begun(renewals.paused.as_ref(), reason, now));
        })
        .await
    }

    /// Lets the renewals of a vault go on. Those of paused certificates and issuers stay paused.
    pub async fn resume_vault(&self, wanted: Permit<WholeVault>) -> Result<VaultRenewals> {
        self.change_vault(&wanted, |renewals| renewals.paused = None).await
    }

    async fn change_vault(
        &self,
        WholeVault(vault): &WholeVault,
        change: impl Fn(&mut VaultRenewals),
    ) -> Result<VaultRenewals> {
        self.context.vaults.find(vault).await?;
        retry!({
            let place = key::vault_renewals(vault);
            let expected = self.context.store.get(place.as_str()).await?.map(|record| record.revision);
            let mut renewals = stored(&self.context, vault).await?;
            change(&mut renewals);
            let puts = vec![self.context.records.put(&place, expected, &renewals, None)?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| renewals.clone()))
        })
    }
}
