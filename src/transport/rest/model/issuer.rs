//! Issuer objects in responses. They never contain the password.

use super::super::answer::Links;
use super::Attributes;
use crate::domain::issuer::{Administrator, Organization};
use crate::domain::profile::{ProfileText, Profiles};
use crate::domain::{Credentials, IssuerConfig};
use crate::service::{options_of, profiles_of};
use serde::Serialize;
use std::collections::BTreeMap;

/// An issuer.
#[derive(Serialize)]
pub(crate) struct IssuerAnswer<'a> {
    id: String,
    provider: &'a str,
    /// absent if none were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<CredentialsAnswer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_details: Option<OrganizationAnswer<'a>>,
    attributes: Attributes,
    /// Beside Key Vault's members, and only if there are some.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    profiles: BTreeMap<String, ProfileText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_profile: Option<String>,
}

#[derive(Serialize)]
struct CredentialsAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'a str>,
}

#[derive(Serialize)]
struct OrganizationAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// Always 0 in the real service, and always there.
    zip: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_details: Option<Vec<AdministratorAnswer<'a>>>,
}

#[derive(Serialize)]
struct AdministratorAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
}

#[derive(Serialize)]
pub(crate) struct IssuerItem<'a> {
    id: String,
    provider: &'a str,
}

impl<'a> IssuerItem<'a> {
    pub(crate) fn new(issuer: &'a IssuerConfig, links: &Links) -> Self {
        Self { id: links.id("certificates", &["issuers", issuer.name.as_str()]), provider: &issuer.provider }
    }
}

impl<'a> IssuerAnswer<'a> {
    pub(crate) fn new(issuer: &'a IssuerConfig, links: &Links) -> Self {
        let IssuerConfig {
            name,
            provider,
            credentials,
            organization,
            enabled,
            created,
            updated,
            authority: _,
            options: _,
            // Of this server alone: told over gRPC.
            paused: _,
        } = issuer;
        // What cannot be read was logged; here it is only shown.
        let Profiles { default: default_profile, profiles } = profiles_of(issuer).unwrap_or_default();
        let Credentials { account_id, sealed_password } = credentials;
        let credentials = (account_id.is_some() || sealed_password.is_some())
            .then_some(CredentialsAnswer { account_id: account_id.as_deref() });
        Self {
            id: links.id("certificates", &["issuers", name.as_str()]),
            provider,
            credentials,
            org_details: organization.as_ref().map(OrganizationAnswer::from),
            attributes: Attributes::new(*enabled, *created, *updated),
            options: options_of(issuer),
            profiles,
            default_profile,
        }
    }
}

impl<'a> From<&'a Organization> for OrganizationAnswer<'a> {
    fn from(organization: &'a Organization) -> Self {
        let Organization { id, administrators, without_administrators } = organization;
        let admin_details = (*without_administrators || !administrators.is_empty())
            .then(|| administrators.iter().map(AdministratorAnswer::from).collect());
        Self { id: id.as_deref(), zip: 0, admin_details }
    }
}

impl<'a> From<&'a Administrator> for AdministratorAnswer<'a> {
    fn from(administrator: &'a Administrator) -> Self {
        let Administrator { first_name, last_name, email, phone } = administrator;
        Self {
            first_name: first_name.as_deref(),
            last_name: last_name.as_deref(),
            email: email.as_deref(),
            phone: phone.as_deref(),
        }
    }
}
