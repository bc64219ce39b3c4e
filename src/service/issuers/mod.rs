//! Issuer objects: set, change, read, list, delete.

mod ask;
mod authorities;
mod below;
mod bulkhead;
mod chain_way;
mod challenges;
mod check;
mod configured;
mod control;
mod health;
mod intend;
mod issuing;
mod profiles;
mod retire;
mod states;
mod windows;

pub(super) use ask::{Asked, Outcome, failure, waits};
pub use authorities::Authorities;
pub(super) use authorities::{Readable, place, signs};
pub use chain_way::ChainWay;
pub use control::{IssuerControl, IssuerVerdict, ProviderView};
pub use health::{FailingIssuer, IssuerHealth, OpenOperations};
pub(super) use intend::{Ca, serial_revoked};
pub(super) use issuing::Issuing;
pub(in crate::service) use profiles::is_reserved;
pub use profiles::{options_of, profiles_of};
pub(in crate::service) use retire::has_a_next;
pub(super) use windows::{CaWindows, WindowAnswer};

use crate::domain::issuer::{Administrator, LOCAL_CA, LOCAL_CA_IN_AZURE, Organization, is_local_ca};
use crate::domain::{Blob, Credentials, Error, IssuerConfig, IssuerInput, IssuerName, Result, VaultName, text};
use crate::issuer::provider::ChallengeKind;
use crate::keys::SealContext;
use crate::service::access::{IssuerRef, Permit};
use crate::service::ca::{Generations, IssuerObject};
use crate::service::context::Context;
use crate::service::records::{Bounds, List, Page, key};
use crate::service::retry::retry;
use crate::store::{Delete, Revision};
use authorities::not_found;
use configured::Configured;
use states::{Change, Secrets};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest text of one member of an issuer object, in characters.
const MAX_TEXT: usize = 1024;
/// Most administrators of an organization.
const MAX_ADMINISTRATORS: usize = 50;
/// Most options of an issuer object, secret ones included.
const MAX_OPTIONS: usize = 200;
/// Longest name of an option, and longest text of all options together, in bytes: a file of CA certificates fits.
const MAX_OPTION_NAME: usize = 200;
const MAX_OPTION_TEXT: usize = 256 * 1024;

/// A page of issuers in the order of their names.
#[derive(Clone, Debug)]
pub struct IssuerPage {
    pub issuers: Vec<IssuerConfig>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// Sets, changes, reads and removes issuer objects.
#[derive(Clone)]
pub struct IssuerObjects {
    context: Arc<Context>,
    issuing: Issuing,
    authorities: Authorities,
    generations: Generations,
}

impl IssuerObjects {
    pub(super) fn new(context: Arc<Context>, issuing: Issuing, authorities: Authorities) -> Self {
        let generations = Generations::new(context.clone(), authorities.clone());
        Self { context, issuing, authorities, generations }
    }

    /// What operators do beside it.
    pub fn control(&self) -> IssuerControl {
        IssuerControl::new(self.context.clone(), self.issuing.clone())
    }

    /// The key authorization of a token (http-01) or a host name (tls-alpn-01); none where no open order has it.
    ///
    /// # Errors
    /// Where the store is not available: it cannot be known now.
    pub async fn challenge(&self, kind: ChallengeKind, name: &str) -> Result<Option<String>> {
        self.issuing.challenge(kind, name).await
    }

    /// Creates the issuer or replaces it; a replaced one keeps its `created`, and a built-in
    /// authority keeps its keys. Refused where the provider is missing or not offered here.
    pub async fn set_issuer(&self, wanted: Permit<IssuerRef>, input: IssuerInput) -> Result<IssuerConfig> {
        let ((vault, name), caller) = (&*wanted, wanted.caller());
        check(&input)?;
        let provider = self.offered(input.provider.as_deref())?;
        retry!({
            let place = key::issuer(vault, name);
            let before = self.context.load(&place).await?;
            let now = self.context.now();
            let old = before.as_ref().map(|(_, issuer)| issuer);
            let mut issuer = IssuerConfig {
                name: old.map_or_else(|| name.clone(), |old| old.name.clone()),
                provider: provider.clone(),
                credentials: Credentials {
                    account_id: input.account_id.clone(),
                    sealed_password: self.seal_password(vault, name, &input)?,
                },
                organization: input.organization.clone(),
                enabled: input.enabled.unwrap_or(true),
                created: old.map_or(now, |old| old.created),
                updated: now,
                authority: old.and_then(|old| old.authority.clone()),
                options: said(&BTreeMap::new(), &input.options),
                paused: old.and_then(|old| old.paused.clone()),
            };
            old.map_or(Ok(()), |old| stays_a_ca(old, &issuer))?;
            self.stays_below(vault, old, &input).await?;
            profiles::keep(&mut issuer, old, &input.profiles)?;
            let secrets = said(&Secrets::new(), &input.secret_options);
            let change = Change { caller, vault, input: &input };
            let configured = self.issuing.configure(change, old, &mut issuer, secrets, input.password.clone()).await?;
            // Keys may have been made meanwhile.
            issuer.updated = self.context.now();
            if before.is_none() {
                issuer.created = issuer.updated;
            }
            let expected = before.map(|(record, _)| record.revision);
            self.commit_issuer(&wanted, expected, issuer, configured).await
        })
    }

    /// Changes what the input names and leaves the rest.
    pub async fn update_issuer(&self, wanted: Permit<IssuerRef>, input: IssuerInput) -> Result<IssuerConfig> {
        let ((vault, name), caller) = (&*wanted, wanted.caller());
        check(&input)?;
        retry!({
            let place = key::issuer(vault, name);
            let (record, old) = self.context.load(&place).await?.ok_or_else(|| not_found(name))?;
            let mut issuer = old.clone();
            if input.provider.is_some() {
                issuer.provider = self.offered(input.provider.as_deref())?;
            }
            if let Some(account_id) = &input.account_id {
                issuer.credentials.account_id = Some(account_id.clone());
            }
            if let Some(sealed) = self.seal_password(vault, name, &input)? {
                issuer.credentials.sealed_password = Some(sealed);
            }
            if let Some(organization) = &input.organization {
                issuer.organization = Some(merged(issuer.organization.take(), organization));
            }
            issuer.enabled = input.enabled.unwrap_or(issuer.enabled);
            stays_a_ca(&old, &issuer)?;
            self.stays_below(vault, Some(&old), &input).await?;
            let (secrets, password) = self.changed_secrets(vault, &old, &mut issuer, &input).await?;
            profiles::keep(&mut issuer, Some(&old), &input.profiles)?;
            let change = Change { caller, vault, input: &input };
            let configured = self.issuing.configure(change, Some(&old), &mut issuer, secrets, password).await?;
            issuer.updated = self.context.now();
            self.commit_issuer(&wanted, Some(record.revision), issuer, configured).await
        })
    }

    /// The issuer, without its password.
    pub async fn issuer(&self, wanted: Permit<IssuerRef>) -> Result<IssuerConfig> {
        let (vault, name) = &*wanted;
        let found = self.context.load(&key::issuer(vault, name)).await?;
        found.map(|(_, issuer)| issuer).ok_or_else(|| not_found(name))
    }

    /// Up to `page_size` issuers after the page that gave `page_token`.
    pub async fn issuers(&self, vault: Permit<VaultName>, page_size: usize, page_token: &str) -> Result<IssuerPage> {
        let paging = self.context.paging(List::Issuers, vec![vault.to_string()]);
        let position = paging.position(page_token)?;
        let mut page = Page::new(vault.shown(&vault, key::issuers_of(&vault)), position, page_size, Bounds::USUAL);
        while let Some(found) = page.next(&*self.context.store, &self.context.records).await? {
            for (key, issuer) in found {
                page.take(key, issuer);
            }
        }
        Ok(IssuerPage { next_page_token: paging.token(page.position()), issuers: page.items })
    }

    /// Removes the issuer and returns it as it was. Allowed while certificates refer to it: a built-in authority is
    /// retired, and its key stays until the last certificate that it signed has expired; one that is requested or next is
    /// given up. What another provider kept, such as the key of an account, is forgotten once no order is open at its CA.
    pub async fn delete_issuer(&self, wanted: Permit<IssuerRef>) -> Result<IssuerConfig> {
        let (vault, name) = &*wanted;
        retry!({
            let found = self.context.load(&key::issuer(vault, name)).await?;
            let (record, issuer) = found.ok_or_else(|| not_found(name))?;
            let mut batch = self.issuing.retire_issuer_state(vault, &issuer.name).await?;
            batch.deletes.push(Delete { key: record.key, expected: record.revision });
            batch.deletes.extend(self.issuing.forget_issuer_health(vault, &issuer.name).await?);
            batch.puts.extend(self.authorities.retire_authority(vault, &issuer).await?);
            batch.puts.extend(self.authorities.retire_waiting(vault, &issuer.name).await?);
            Ok(self.context.try_commit(batch).await?.map(|_| issuer))
        })
    }

    /// Writes the object, and makes its CA where that is still to be made. `None` where somebody else was faster.
    async fn commit_issuer(
        &self,
        wanted: &Permit<IssuerRef>,
        revision: Option<Revision>,
        issuer: IssuerConfig,
        configured: Configured,
    ) -> Result<Option<IssuerConfig>> {
        let (vault, Configured { mut beside, below }) = (&wanted.0, configured);
        let place = key::issuer(vault, &issuer.name);
        if let Some((parent, plan)) = below {
            let object = IssuerObject { revision, config: Some(issuer), beside };
            self.below(wanted, &parent, plan, object).await?;
            return Ok(self.context.load(&place).await?.map(|(_, issuer)| issuer));
        }
        beside.puts.push(self.context.records.put(&place, revision, &issuer, None)?);
        if self.context.try_commit(beside).await?.is_none() {
            return Ok(None);
        }
        self.issuing.activate(vault, &issuer).await;
        Ok(Some(issuer))
    }

    /// The secrets of an issuer that is changed, complete, and its options: those of another provider are left behind.
    async fn changed_secrets(
        &self,
        vault: &VaultName,
        old: &IssuerConfig,
        issuer: &mut IssuerConfig,
        input: &IssuerInput,
    ) -> Result<(Secrets, Option<Zeroizing<String>>)> {
        if !old.provider.eq_ignore_ascii_case(&issuer.provider) {
            issuer.options = said(&BTreeMap::new(), &input.options);
            return Ok((said(&Secrets::new(), &input.secret_options), input.password.clone()));
        }
        issuer.options = said(&old.options, &input.options);
        let provider = self.issuing.issuers.get(&issuer.provider);
        if provider.is_none_or(|provider| provider.state_in_object(vault, issuer).is_some()) {
            return Ok((said(&Secrets::new(), &input.secret_options), None));
        }
        let before = match self.issuing.issuer_state(vault, &old.name).await? {
            Some(held) => self.issuing.secret_options(&held)?,
            None => Secrets::new(),
        };
        let password = match (&input.password, &old.credentials.sealed_password) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(sealed)) => {
                let opened = self.context.keys.sealer().open(&sealed.0, &password_context(vault, &old.name))?;
                Some(Zeroizing::new(String::from_utf8_lossy(&opened).into_owned()))
            }
            (None, None) => None,
        };
        Ok((said(&before, &input.secret_options), password))
    }

    fn offered(&self, provider: Option<&str>) -> Result<String> {
        let mut offered = self.issuing.issuers.providers().join(", ");
        if self.issuing.issuers.get(LOCAL_CA).is_some() {
            offered.push_str(&format!(" ({LOCAL_CA_IN_AZURE} is an alias of {LOCAL_CA})"));
        }
        match provider {
            Some(provider) if self.issuing.issuers.get(provider).is_some() => Ok(provider.to_owned()),
            Some(provider) => {
                let given: String = provider.chars().take(60).collect();
                Err(Error::field(
                    "provider",
                    format!("{given} is not a provider of this server: use one of {offered}."),
                ))
            }
            None => Err(Error::field("provider", format!("It is required: use one of {offered}."))),
        }
    }

    fn seal_password(&self, vault: &VaultName, name: &IssuerName, input: &IssuerInput) -> Result<Option<Blob>> {
        let Some(password) = &input.password else { return Ok(None) };
        Ok(Some(Blob(self.context.keys.sealer().seal(password.as_bytes(), &password_context(vault, name))?)))
    }
}

fn password_context(vault: &VaultName, issuer: &IssuerName) -> SealContext {
    SealContext::new(vault, issuer.as_str(), "", "issuer.password")
}

/// What was said and is not said otherwise now; an empty text says nothing.
fn said<T: Clone + AsRef<str>>(before: &BTreeMap<String, T>, now: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    let said = before.iter().filter(|(name, _)| !now.contains_key(*name)).chain(now);
    let said = said.filter(|(_, text)| !text.as_ref().trim().is_empty());
    said.map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// A CA of this server stays one: certificates depend on it. What it was made of is its provider's to guard.
fn stays_a_ca(old: &IssuerConfig, new: &IssuerConfig) -> Result<()> {
    if old.ca().is_none() || is_local_ca(&new.provider) {
        return Ok(());
    }
    let name = &old.name;
    Err(Error::field(
        "provider",
        format!(
            "The issuer {name} is a CA of this server, and its provider cannot be changed: use another name for another provider, or delete the issuer first."
        ),
    ))
}

/// Members that a change names replace those that were there.
fn merged(old: Option<Organization>, new: &Organization) -> Organization {
    let old = old.unwrap_or_default();
    let named = new.without_administrators || !new.administrators.is_empty();
    let of = if named { new } else { &old };
    Organization {
        id: new.id.clone().or(old.id.clone()),
        administrators: of.administrators.clone(),
        without_administrators: of.without_administrators,
    }
}

fn check(input: &IssuerInput) -> Result<()> {
    let IssuerInput { provider, account_id, password, organization, enabled: _, options, secret_options, profiles: _ } =
        input;
    let readable = |path: &str, given: Option<&str>| match given.and_then(text_problem) {
        Some(problem) => Err(Error::field(path, problem)),
        None => Ok(()),
    };
    readable("provider", provider.as_deref())?;
    readable("credentials.account_id", account_id.as_deref())?;
    // A password is not read by people; any character but U+0000, which databases do not take, may be in it.
    if password.as_ref().is_some_and(|password| password.chars().count() > MAX_TEXT || password.contains('\0')) {
        let problem = format!("It is longer than {MAX_TEXT} characters, or holds U+0000.");
        return Err(Error::field("credentials.pwd", problem));
    }
    let given = options.iter().map(|(name, text)| (name, text.as_str()));
    check_options(given.chain(secret_options.iter().map(|(name, text)| (name, text.as_str()))))?;
    let Some(Organization { id, administrators, without_administrators: _ }) = organization else { return Ok(()) };
    readable("org_details.id", id.as_deref())?;
    if administrators.len() > MAX_ADMINISTRATORS {
        return Err(Error::field(
            "org_details.admin_details",
            format!("More than {MAX_ADMINISTRATORS} administrators."),
        ));
    }
    for (index, Administrator { first_name, last_name, email, phone }) in administrators.iter().enumerate() {
        let members = [("first_name", first_name), ("last_name", last_name), ("email", email), ("phone", phone)];
        for (member, given) in members {
            readable(&format!("org_details.admin_details[{index}].{member}"), given.as_deref())?;
        }
    }
    Ok(())
}

/// What holds for the options of any provider; what they mean is the provider's to check.
fn check_options<'a>(options: impl Iterator<Item = (&'a String, &'a str)>) -> Result<()> {
    let (mut count, mut total) = (0, 0);
    for (name, value) in options {
        if profiles::is_reserved(name) {
            return Err(Error::field(format!("options.{name}"), "Set it in the member profiles."));
        }
        if name.is_empty() || name.len() > MAX_OPTION_NAME || text::unreadable(name).is_some() {
            let problem = format!(
                "The name {} is empty, longer than {MAX_OPTION_NAME} bytes or not readable.",
                text::shown(name)
            );
            return Err(Error::field("options", problem));
        }
        count += 1;
        total += name.len() + value.len();
        // Files of text are among them.
        if value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Error::field(format!("options.{name}"), "It contains a control character: remove it."));
        }
    }
    if count > MAX_OPTIONS || total > MAX_OPTION_TEXT {
        let problem = format!("More than {MAX_OPTIONS} options, or more than {MAX_OPTION_TEXT} bytes of them.");
        return Err(Error::field("options", problem));
    }
    Ok(())
}

fn text_problem(given: &str) -> Option<String> {
    if given.chars().count() > MAX_TEXT {
        return Some(format!("It is longer than {MAX_TEXT} characters."));
    }
    text::problem(given)
}
