//! Issuer objects: set, change, read, list, delete.

use super::records::{self, key};
use super::{CONFLICT_ATTEMPTS, Service, contended, put};
use crate::domain::issuer::{Administrator, Organization};
use crate::domain::policy::KeyType;
use crate::domain::{
    Authority, Blob, Credentials, Detail, Error, IssuerConfig, IssuerInput, IssuerName, Reason, Result, VaultName,
};
use crate::keys::{SealContext, authority};
use crate::store::{Batch, Delete, Revision};

/// The provider whose keys this server makes itself.
const LOCAL_CA: &str = "LocalCA";
/// Longest text of one member of an issuer object, in characters.
const MAX_TEXT: usize = 1024;
/// Most administrators of an organization.
const MAX_ADMINISTRATORS: usize = 50;

/// A page of issuers in the order of their names.
#[derive(Clone, Debug)]
pub struct IssuerPage {
    pub issuers: Vec<IssuerConfig>,
    /// The key to continue after; empty on the last page.
    pub next_page_token: String,
}

impl Service {
    /// Creates the issuer or replaces it; a replaced one keeps its `created`, and a built-in
    /// authority keeps its keys. Refused where the provider is missing or not offered here.
    pub async fn set_issuer(&self, vault: &VaultName, name: &IssuerName, input: IssuerInput) -> Result<IssuerConfig> {
        check(&input)?;
        let provider = self.offered(input.provider.as_deref())?;
        for _ in 0..CONFLICT_ATTEMPTS {
            let place = key::issuer(vault, name);
            let before = self.load::<IssuerConfig>(&place).await?;
            let now = self.now();
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
            };
            self.give_authority(vault, &mut issuer).await?;
            let expected = before.map(|(record, _)| record.revision);
            if self.commit_issuer(place, expected, &issuer).await? {
                return Ok(issuer);
            }
        }
        Err(contended())
    }

    /// Changes what the input names and leaves the rest.
    pub async fn update_issuer(
        &self,
        vault: &VaultName,
        name: &IssuerName,
        input: IssuerInput,
    ) -> Result<IssuerConfig> {
        check(&input)?;
        for _ in 0..CONFLICT_ATTEMPTS {
            let place = key::issuer(vault, name);
            let (record, mut issuer) = self.load::<IssuerConfig>(&place).await?.ok_or_else(|| not_found(name))?;
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
            issuer.updated = self.now();
            self.give_authority(vault, &mut issuer).await?;
            if self.commit_issuer(place, Some(record.revision), &issuer).await? {
                return Ok(issuer);
            }
        }
        Err(contended())
    }

    /// The issuer, without its password.
    pub async fn issuer(&self, vault: &VaultName, name: &IssuerName) -> Result<IssuerConfig> {
        let found = self.load::<IssuerConfig>(&key::issuer(vault, name)).await?;
        found.map(|(_, issuer)| issuer).ok_or_else(|| not_found(name))
    }

    /// Up to `page_size` issuers after the page that gave `page_token`.
    pub async fn issuers(&self, vault: &VaultName, page_size: usize, page_token: &str) -> Result<IssuerPage> {
        let prefix = key::issuers_of(vault);
        let after = match page_token {
            "" => String::new(),
            name => match IssuerName::parse(name) {
                Ok(name) => key::issuer(vault, &name),
                Err(_) => return Err(Error::field("page_token", "It is not a token of this list. Begin without one.")),
            },
        };
        let page_size = page_size.clamp(1, super::pending::MAX_PAGE);
        let mut page = self.store.list(&prefix, &after, page_size + 1).await?;
        let more = page.len() > page_size;
        page.truncate(page_size);
        let issuers: Vec<IssuerConfig> = page.iter().map(records::read).collect::<Result<_>>()?;
        let next_page_token = issuers.last().filter(|_| more).map(|issuer| issuer.name.key()).unwrap_or_default();
        Ok(IssuerPage { issuers, next_page_token })
    }

    /// Removes the issuer and answers it as it was. Allowed while certificates refer to it.
    pub async fn delete_issuer(&self, vault: &VaultName, name: &IssuerName) -> Result<IssuerConfig> {
        for _ in 0..CONFLICT_ATTEMPTS {
            let found = self.load::<IssuerConfig>(&key::issuer(vault, name)).await?;
            let (record, issuer) = found.ok_or_else(|| not_found(name))?;
            let deletes = vec![Delete { key: record.key, expected: record.revision }];
            if self.try_commit(Batch { deletes, ..Batch::default() }).await?.is_some() {
                return Ok(issuer);
            }
        }
        Err(contended())
    }

    async fn commit_issuer(&self, place: String, expected: Option<Revision>, issuer: &IssuerConfig) -> Result<bool> {
        let puts = vec![put(place, expected, issuer, None)?];
        Ok(self.try_commit(Batch { puts, ..Batch::default() }).await?.is_some())
    }

    fn offered(&self, provider: Option<&str>) -> Result<String> {
        let offered = self.issuers.providers().join(", ");
        match provider {
            Some(provider) if self.issuers.get(provider).is_some() => Ok(provider.to_owned()),
            Some(provider) => Err(Error::field(
                "provider",
                format!(
                    "{} is not a provider of this server: use one of {offered}.",
                    provider.chars().take(60).collect::<String>()
                ),
            )),
            None => Err(Error::field("provider", format!("It is required: use one of {offered}."))),
        }
    }

    fn seal_password(&self, vault: &VaultName, name: &IssuerName, input: &IssuerInput) -> Result<Option<Blob>> {
        let Some(password) = &input.password else { return Ok(None) };
        let context = SealContext::new(vault, name.as_str(), "", "issuer.password");
        Ok(Some(Blob(self.keys.sealer().seal(password.as_bytes(), &context)?)))
    }

    /// A built-in authority gets its keys when it is first set, and keeps them.
    async fn give_authority(&self, vault: &VaultName, issuer: &mut IssuerConfig) -> Result<()> {
        if !issuer.provider.eq_ignore_ascii_case(LOCAL_CA) || issuer.authority.is_some() {
            return Ok(());
        }
        let with_intermediate = match issuer.credentials.account_id.as_deref() {
            None | Some("" | "root") => false,
            Some("intermediate") => true,
            Some(_) => {
                return Err(Error::field(
                    "credentials.account_id",
                    "A LocalCA takes \"root\" (the root signs) or \"intermediate\" (an intermediate signs).",
                ));
            }
        };
        let (sealer, vault, name) = (self.keys.sealer().clone(), vault.clone(), issuer.name.clone());
        let (organization, now) = (issuer.organization.clone(), self.now());
        let make = move || {
            authority::create_authority(
                &sealer,
                &vault,
                &name,
                organization.as_ref(),
                with_intermediate,
                KeyType::P256,
                now,
            )
        };
        let authority: Authority = self.keys.run(make).await?;
        issuer.authority = Some(authority);
        Ok(())
    }
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
    let IssuerInput { provider, account_id, password, organization, enabled: _ } = input;
    let long = |text: Option<&str>| text.is_some_and(|text| text.chars().count() > MAX_TEXT || text.contains('\0'));
    let refuse =
        |path: &str| Err(Error::field(path, format!("It is longer than {MAX_TEXT} characters, or holds U+0000.")));
    if long(provider.as_deref()) {
        return refuse("provider");
    }
    if long(account_id.as_deref()) {
        return refuse("credentials.account_id");
    }
    if long(password.as_ref().map(|password| password.as_str())) {
        return refuse("credentials.pwd");
    }
    let Some(Organization { id, administrators, without_administrators: _ }) = organization else { return Ok(()) };
    if long(id.as_deref()) {
        return refuse("org_details.id");
    }
    if administrators.len() > MAX_ADMINISTRATORS {
        return Err(Error::field(
            "org_details.admin_details",
            format!("More than {MAX_ADMINISTRATORS} administrators."),
        ));
    }
    for Administrator { first_name, last_name, email, phone } in administrators {
        if [first_name, last_name, email, phone].into_iter().any(|text| long(text.as_deref())) {
            return refuse("org_details.admin_details");
        }
    }
    Ok(())
}

fn not_found(name: &IssuerName) -> Error {
    Error::new(Reason::IssuerNotFound, "Issuer not found")
        .with(Detail::Resource { kind: "issuer", name: name.to_string() })
}
