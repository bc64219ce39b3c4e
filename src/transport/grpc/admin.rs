//! `certmint.v1.CertificateAdminService`: the issuers and contacts of a vault.

use super::call::filled;
use super::certificates::open;
use super::policy_mask::{no_value, unknown};
use super::{issuers, profiles, reply};
use crate::domain::issuer::{Administrator, IssuerInput, Organization};
use crate::domain::{Contact, Contacts, Error, Result};
use crate::proto::v1;
use crate::service::Service;
use tonic::Request;
use zeroize::Zeroizing;

/// Handles the calls of one service.
pub(super) struct Admin(pub(super) Service);

/// What a message says about an issuer; output-only fields are not read.
pub(super) fn input(issuer: Option<v1::Issuer>) -> Result<IssuerInput> {
    let Some(issuer) = issuer else { return Err(Error::field("issuer", "It is required.")) };
    let v1::Issuer {
        id: _,
        vault_name: _,
        issuer_name: _,
        provider,
        credentials,
        organization,
        attributes,
        ca_certificates: _,
        options,
        secret_options,
        pause: _,
        profiles,
        default_profile,
    } = issuer;
    let v1::IssuerCredentials { account_id, password } = credentials.unwrap_or_default();
    Ok(IssuerInput {
        provider: filled(provider),
        account_id: filled(account_id),
        password: filled(password).map(Zeroizing::new),
        organization: organization.map(|organization| {
            let v1::OrganizationDetails { id, administrators } = organization;
            Organization {
                id: filled(id),
                administrators: administrators.into_iter().map(administrator).collect(),
                without_administrators: false,
            }
        }),
        enabled: attributes.and_then(|attributes| attributes.enabled),
        options,
        secret_options: secret_options.into_iter().map(|(name, text)| (name, Zeroizing::new(text))).collect(),
        profiles: profiles::input(profiles, default_profile),
    })
}

fn administrator(administrator: v1::AdministratorDetails) -> Administrator {
    let v1::AdministratorDetails { first_name, last_name, email, phone } = administrator;
    Administrator {
        first_name: filled(first_name),
        last_name: filled(last_name),
        email: filled(email),
        phone: filled(phone),
    }
}

/// Keeps what the mask names; a name that the contract does not have is refused.
pub(super) fn masked(input: IssuerInput, mask: Option<prost_types::FieldMask>) -> Result<IssuerInput> {
    let Some(mask) = mask else { return Ok(input) };
    let mut kept = IssuerInput::default();
    for path in &mask.paths {
        match path.as_str() {
            "provider" => kept.provider.clone_from(&input.provider),
            "credentials" => {
                kept.account_id.clone_from(&input.account_id);
                kept.password.clone_from(&input.password);
            }
            "credentials.account_id" => kept.account_id.clone_from(&input.account_id),
            "credentials.password" => kept.password.clone_from(&input.password),
            "organization" => kept.organization.clone_from(&input.organization),
            "options" => kept.options.clone_from(&input.options),
            "secret_options" => kept.secret_options.clone_from(&input.secret_options),
            "profiles" => kept.profiles.profiles.clone_from(&input.profiles.profiles),
            "default_profile" => {
                kept.profiles.default = Some(input.profiles.default.clone().ok_or_else(|| no_value(path))?);
            }
            "attributes" => kept.enabled = input.enabled,
            "attributes.enabled" => kept.enabled = Some(input.enabled.ok_or_else(|| no_value(path))?),
            other => return Err(unknown(other)),
        }
    }
    Ok(kept)
}

/// What a message says about contacts.
pub(super) fn contacts_input(contacts: Option<v1::Contacts>) -> Result<Contacts> {
    let v1::Contacts { id: _, contacts } =
        contacts.ok_or_else(|| Error::field("contacts", "It is required: a list, which may be empty."))?;
    let contact = |v1::Contact { email, name, phone }| Contact { email, name: filled(name), phone: filled(phone) };
    Contacts::new(contacts.into_iter().map(contact).collect())
}

impl Admin {
    pub(super) async fn set(&self, request: Request<v1::SetIssuerRequest>) -> Result<v1::SetIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::SetIssuerRequest { vault_name, issuer_name, issuer } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        let issuer = self.0.issuers().set_issuer(call.permit((vault.clone(), name)).await?, input(issuer)?).await?;
        let warnings = self.0.issuers().control().issuer_warnings(&call.permit(vault.clone()).await?, &issuer).await;
        Ok(v1::SetIssuerResponse { issuer: Some(reply::issuer(issuer, vault.as_str(), &call.base())), warnings })
    }

    pub(super) async fn update(&self, request: Request<v1::UpdateIssuerRequest>) -> Result<v1::UpdateIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::UpdateIssuerRequest { vault_name, issuer_name, issuer, update_mask, removed_profiles } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        let mut input = masked(input(issuer)?, update_mask)?;
        input.profiles.profiles.extend(removed_profiles.into_iter().map(|name| (name, None)));
        let issuer = self.0.issuers().update_issuer(call.permit((vault.clone(), name)).await?, input).await?;
        let warnings = self.0.issuers().control().issuer_warnings(&call.permit(vault.clone()).await?, &issuer).await;
        Ok(v1::UpdateIssuerResponse { issuer: Some(reply::issuer(issuer, vault.as_str(), &call.base())), warnings })
    }

    pub(super) async fn get(&self, request: Request<v1::GetIssuerRequest>) -> Result<v1::GetIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::GetIssuerRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        let issuer = self.0.issuers().issuer(call.permit((vault.clone(), name)).await?).await?;
        let of_vault = call.permit(vault.clone()).await?;
        let healths = self.0.issuers().control().issuers_health(&of_vault, std::slice::from_ref(&issuer)).await?;
        let health = healths.into_iter().next().map(issuers::health);
        Ok(v1::GetIssuerResponse { issuer: Some(reply::issuer(issuer, vault.as_str(), &call.base())), health })
    }
}

impl Admin {
    pub(super) async fn set_contacts_of(
        &self,
        request: Request<v1::SetContactsRequest>,
    ) -> Result<v1::SetContactsResponse> {
        let (call, message) = open(request)?;
        let v1::SetContactsRequest { vault_name, contacts } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let contacts =
            self.0.vault_objects().set_contacts(call.permit(vault).await?, contacts_input(contacts)?).await?;
        Ok(v1::SetContactsResponse { contacts: Some(reply::contacts(&contacts, &call.base())) })
    }

    pub(super) async fn contacts_of(
        &self,
        request: Request<v1::GetContactsRequest>,
    ) -> Result<v1::GetContactsResponse> {
        let (call, message) = open(request)?;
        let v1::GetContactsRequest { vault_name } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let contacts = self.0.vault_objects().contacts(call.permit(vault).await?).await?;
        Ok(v1::GetContactsResponse { contacts: Some(reply::contacts(&contacts, &call.base())) })
    }

    pub(super) async fn delete_contacts_of(
        &self,
        request: Request<v1::DeleteContactsRequest>,
    ) -> Result<v1::DeleteContactsResponse> {
        let (call, message) = open(request)?;
        let v1::DeleteContactsRequest { vault_name } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let contacts = self.0.vault_objects().delete_contacts(call.permit(vault).await?).await?;
        Ok(v1::DeleteContactsResponse { contacts: Some(reply::contacts(&contacts, &call.base())) })
    }
}
