//! What operators do with issuers beside setting them: try, pause, and change the account at the CA.

use super::Issuing;
use super::authorities::not_found;
use super::health::{FailingIssuer, IssuerHealth, OpenOperations};
use super::states::Kept;
use crate::domain::issuer::is_local_ca;
use crate::domain::{Detail, Error, IssuerConfig, IssuerName, Pause, Reason, Result, VaultName};
use crate::issuer::provider::{AccountCommand, Health, IssuerSchema, OptionSchema, Provider};
use crate::issuer::{IssuerError, Issuers};
use crate::service::access::{AllVaults, IssuerRef, Permit};
use crate::service::ca::notices;
use crate::service::context::Context;
use crate::service::records::{PendingRecord, key};
use crate::service::retry::retry;
use crate::store::Batch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a CA may take to answer an operator.
const PATIENCE: Duration = Duration::from_secs(25);
/// Records of one look, and looks after a pause: what is beyond them goes on by itself within minutes.
const PAGE: usize = 500;
const PAGES: usize = 4;

/// A provider that this server offers.
#[derive(Clone, Debug)]
pub struct ProviderView {
    pub schema: IssuerSchema,
    /// Members of Key Vault's issuer object that it reads.
    pub members: Vec<OptionSchema>,
    /// Whether both are known; those of a plug-in once it has answered.
    pub described: bool,
}

impl ProviderView {
    /// Of all providers.
    pub fn of(issuers: &Issuers) -> Vec<Self> {
        let of = |provider: &Arc<dyn Provider>| Self {
            schema: provider.schema(),
            members: provider.members(),
            described: provider.is_described(),
        };
        issuers.all().map(of).collect()
    }
}

/// Whether an issuer can work.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuerVerdict {
    pub health: Health,
    /// What will keep orders from succeeding although the credentials are good.
    pub warnings: Vec<String>,
}

/// Tries, pauses and resumes issuers, changes their accounts, and says how they fare.
#[derive(Clone)]
pub struct IssuerControl {
    context: Arc<Context>,
    issuing: Issuing,
}

impl IssuerControl {
    pub(super) fn new(context: Arc<Context>, issuing: Issuing) -> Self {
        Self { context, issuing }
    }

    /// How these issuers of a vault fare, in their order. What an error says, and what is open, only as far as the
    /// caller may read the certificates that it is about.
    pub async fn issuers_health(
        &self,
        vault: &Permit<VaultName>,
        issuers: &[IssuerConfig],
    ) -> Result<Vec<IssuerHealth>> {
        let names: Vec<IssuerName> = issuers.iter().map(|issuer| issuer.name.clone()).collect();
        let mut healths = self.issuing.issuers_health(vault, &names, &vault.right().readable_certificates()).await?;
        let is_ca = |issuer: &IssuerConfig| is_local_ca(&issuer.provider);
        if issuers.iter().any(is_ca) {
            let all = self.issuing.authorities.recorded_of(vault).await?;
            for (issuer, health) in issuers.iter().zip(&mut healths).filter(|(issuer, _)| is_ca(issuer)) {
                health.notice = notices(&self.context, &all, &issuer.name).await?.join(" ");
            }
        }
        Ok(healths)
    }

    /// What is open at an issuer.
    pub async fn open_operations(&self, wanted: &Permit<IssuerRef>) -> Result<OpenOperations> {
        self.issuing.open_operations(&wanted.0, &wanted.1).await
    }

    /// Issuers whose last call from this replica failed within the last hour; the first few of them.
    pub fn failing_issuers(&self) -> Vec<FailingIssuer> {
        self.issuing.failing_issuers()
    }

    /// Working and failing issuers by provider, for metrics.
    pub(in crate::service) fn issuer_counts(&self) -> BTreeMap<&'static str, (usize, usize)> {
        self.issuing.issuer_counts()
    }

    /// The providers that this server offers.
    pub fn providers(&self, _: Permit<AllVaults>) -> Vec<ProviderView> {
        ProviderView::of(&self.issuing.issuers)
    }

    /// Tries the credentials of an issuer, without side effects.
    ///
    /// # Errors
    /// `IssuerNotFound`; that the CA refuses them is an answer.
    pub async fn try_issuer(&self, wanted: Permit<IssuerRef>) -> Result<IssuerVerdict> {
        let (vault, name) = &*wanted;
        let issuer = self.issuer(vault, name).await?;
        let Some(provider) = self.issuing.issuers.get(&issuer.provider) else {
            let health = Health::Bad(format!("This server does not offer the provider {}.", issuer.provider));
            return Ok(IssuerVerdict { health, warnings: Vec::new() });
        };
        let Some(kept) = self.issuing.state_of(&**provider, vault, &issuer).await? else {
            let health = Health::Bad("The issuer has no state of its provider: set it again.".to_owned());
            return Ok(IssuerVerdict { health, warnings: Vec::new() });
        };
        let health = match tokio::time::timeout(PATIENCE, provider.check(kept.state())).await {
            Ok(health) => health,
            Err(_) => Health::Unknown(format!("The CA did not answer within {} s.", PATIENCE.as_secs())),
        };
        Ok(IssuerVerdict { health, warnings: self.warnings(vault, &issuer, &**provider, &kept).await })
    }

    /// What will keep orders of an issuer from succeeding. Nothing where it cannot be said.
    pub async fn issuer_warnings(&self, vault: &Permit<VaultName>, issuer: &IssuerConfig) -> Vec<String> {
        let Some(provider) = self.issuing.issuers.get(&issuer.provider) else { return Vec::new() };
        match self.issuing.state_of(&**provider, vault, issuer).await {
            Ok(Some(kept)) => self.warnings(vault, issuer, &**provider, &kept).await,
            Ok(None) | Err(_) => Vec::new(),
        }
    }

    /// Stops the calls of an issuer's CA. What is open waits, deadlines go on. A second pause changes the reason alone.
    pub async fn pause_issuer(&self, wanted: Permit<IssuerRef>, reason: &str) -> Result<IssuerConfig> {
        let reason = Pause::reason(reason)?;
        let now = self.context.now();
        self.change_issuer(&wanted, |issuer| {
            issuer.paused = Some(Pause::or_begun(issuer.paused.as_ref(), reason, now));
        })
        .await
    }

    /// Ends a pause, and lets what waits go on.
    pub async fn resume_issuer(&self, wanted: Permit<IssuerRef>) -> Result<IssuerConfig> {
        let issuer = self.change_issuer(&wanted, |issuer| issuer.paused = None).await?;
        self.expedite_operations(&wanted.0, &wanted.1).await?;
        Ok(issuer)
    }

    /// Gives the account at the CA another key. Each state is committed before the CA is asked; a command that was cut
    /// short is finished by the next one.
    pub async fn rotate_issuer_key(&self, wanted: Permit<IssuerRef>) -> Result<IssuerConfig> {
        self.command(&wanted, AccountCommand::PrepareKey).await?;
        self.command(&wanted, AccountCommand::RollKey).await
    }

    /// Ends the account at the CA for good.
    pub async fn deactivate_issuer(&self, wanted: Permit<IssuerRef>) -> Result<IssuerConfig> {
        self.command(&wanted, AccountCommand::Deactivate).await
    }

    /// Refuses where operations are open at an issuer.
    pub async fn require_idle(&self, wanted: &Permit<IssuerRef>) -> Result<()> {
        let OpenOperations { count, more, next_try: _ } = self.open_operations(wanted).await?;
        // What was not counted may be open.
        if count == 0 && !(more && self.issuing.has_orders(&wanted.0, &wanted.1).await?) {
            return Ok(());
        }
        let count = count.max(1);
        let least = if more { "at least " } else { "" };
        let operations = if count == 1 { "operation is" } else { "operations are" };
        let name = &wanted.1;
        let message = format!("{least}{count} {operations} in progress at the issuer {name}.");
        let description =
            "Cancel them, wait for their end, or delete the issuer without only_if_idle (--force on the command line)."
                .to_owned();
        Err(Error::new(Reason::IssuerInUse, message)
            .with(Detail::Resource { kind: "issuer", name: name.to_string() })
            .with(Detail::Precondition { kind: "ISSUER_IDLE", subject: name.to_string(), description }))
    }

    async fn warnings(
        &self,
        vault: &VaultName,
        issuer: &IssuerConfig,
        provider: &dyn Provider,
        kept: &Kept,
    ) -> Vec<String> {
        let mut warnings = warnings(issuer, provider, kept);
        if provider.is_ca() {
            match self.ca_notices(vault, &issuer.name).await {
                Ok(notices) => warnings.extend(notices.into_iter().map(|notice| format!("The CA: {notice}"))),
                Err(error) => {
                    tracing::debug!(%vault, issuer = %issuer.name, %error, "the CAs of an issuer could not be read");
                }
            }
        }
        warnings
    }

    async fn ca_notices(&self, vault: &VaultName, name: &IssuerName) -> Result<Vec<String>> {
        let all = self.issuing.authorities.recorded_of(vault).await?;
        notices(&self.context, &all, name).await
    }

    async fn issuer(&self, vault: &VaultName, name: &IssuerName) -> Result<IssuerConfig> {
        let found = self.context.load(&key::issuer(vault, name)).await?;
        found.map(|(_, issuer)| issuer).ok_or_else(|| not_found(name))
    }

    async fn command(&self, (vault, name): &IssuerRef, command: AccountCommand) -> Result<IssuerConfig> {
        retry!({
            let issuer = self.issuer(vault, name).await?;
            let no_account = || {
                let message = format!("An issuer of the provider {} has no account at a CA.", issuer.provider);
                Error::new(Reason::BadParameter, message)
            };
            let not_offered = || {
                let message = format!("This server does not offer the provider {} of the issuer.", issuer.provider);
                Error::new(Reason::BadParameter, message)
            };
            let provider = self.issuing.issuers.get(&issuer.provider).ok_or_else(not_offered)?;
            let Some(Kept::Record(held)) = self.issuing.state_of(&**provider, vault, &issuer).await? else {
                return Err(no_account());
            };
            let answer = tokio::time::timeout(PATIENCE, provider.command(command, &held.state)).await;
            let state = match answer {
                Ok(Ok(state)) => state,
                Ok(Err(error)) => return Err(refused(error)),
                Err(_) => return Err(unavailable("The CA did not answer in time. Repeat the command.".to_owned())),
            };
            let puts = vec![self.issuing.next_issuer_state(&held, &state)?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| issuer))
        })
    }

    async fn change_issuer(
        &self,
        (vault, name): &IssuerRef,
        change: impl Fn(&mut IssuerConfig),
    ) -> Result<IssuerConfig> {
        retry!({
            let found = self.context.load(&key::issuer(vault, name)).await?;
            let (record, mut issuer) = found.ok_or_else(|| not_found(name))?;
            let before = issuer.clone();
            change(&mut issuer);
            if issuer == before {
                return Ok(Some(issuer));
            }
            let puts = vec![self.context.records.replace(&record, &issuer, None)?];
            Ok(self.context.try_commit(Batch { puts, ..Batch::default() }).await?.map(|_| issuer))
        })
    }

    /// Makes what is open at an issuer due. A record that somebody else changes meanwhile goes on anyway.
    async fn expedite_operations(&self, vault: &VaultName, name: &IssuerName) -> Result<()> {
        let (prefix, mut after) = (key::pendings_of(Some(vault)), String::new());
        for _ in 0..PAGES {
            let page = self.context.store.list(prefix.as_str(), &after, PAGE).await?;
            let full = page.len() == PAGE;
            for record in page {
                after.clone_from(&record.key);
                let Ok(mut pending) = self.context.records.read::<PendingRecord>(&record) else { continue };
                let operation = &pending.operation;
                if operation.in_progress() && operation.issuer.name.eq_ignore_ascii_case(name.as_str()) {
                    let due = pending.expedite(&record, self.context.now(), self.context.limits().work_lease);
                    let puts = vec![self.context.records.replace(&record, &pending, Some(due))?];
                    self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
                }
            }
            if !full {
                break;
            }
        }
        Ok(())
    }
}

fn warnings(issuer: &IssuerConfig, provider: &dyn Provider, kept: &Kept) -> Vec<String> {
    let mut warnings = provider.warnings(kept.state());
    if !issuer.enabled {
        warnings.push("The issuer is disabled: no certificate can be ordered from it.".to_owned());
    }
    if issuer.paused.is_some() {
        warnings.push("The issuer is paused: its CA is not asked until it is resumed.".to_owned());
    }
    warnings
}

fn refused(error: IssuerError) -> Error {
    match error {
        IssuerError::Retry { after, source } => {
            let error = unavailable(format!("The CA could not do it now: {source}"));
            Error { retry_after: after, ..error }
        }
        IssuerError::Misconfigured { source } => Error::new(Reason::BadParameter, source.to_string()),
    }
}

fn unavailable(message: String) -> Error {
    Error::new(Reason::IssuerUnavailable, message)
}
