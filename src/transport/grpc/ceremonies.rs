//! The generations of a CA inside the server: made, requested from another CA, brought along, activated and given up.

use super::authorities::Authorities;
use super::call::filled;
use super::certificates::open;
use super::policy::time;
use crate::domain::authority::{AuthorityRecord, AuthorityState};
use crate::domain::policy::KeyType;
use crate::domain::subject::DistinguishedName;
use crate::domain::{Error, IssuerName, Result};
use crate::proto::v1;
use crate::service::{AuthorityRef, AuthorityView, Ceremony, ImportAuthority, InstallAuthority, NewAuthority, Parent};
use tonic::Request;
use zeroize::Zeroizing;

/// Where nothing else is said: 20 years.
const MONTHS: u32 = 240;
const MOST_MONTHS: u32 = 600;

pub(super) fn authority(view: AuthorityView) -> v1::Authority {
    let AuthorityView { id, record, state, subject, key_type, key_id: _, validity, notice } = view;
    let AuthorityRecord {
        vault,
        issuer,
        chain,
        sealed_key: _,
        last_expiry,
        created,
        generation,
        retired,
        lists: _,
        above,
    } = record;
    let state = match state {
        AuthorityState::Requested => v1::AuthorityState::Requested,
        AuthorityState::Next => v1::AuthorityState::Next,
        AuthorityState::Active => v1::AuthorityState::Active,
        AuthorityState::Retired => v1::AuthorityState::Retired,
        AuthorityState::Gone => v1::AuthorityState::Gone,
    };
    v1::Authority {
        authority: id,
        vault_name: vault.to_string(),
        issuer_name: issuer.to_string(),
        generation: i32::try_from(generation).unwrap_or(i32::MAX),
        state: state.into(),
        chain: chain.into_iter().map(|certificate| certificate.0.into()).collect(),
        subject,
        key_type: key_type.to_owned(),
        not_before: validity.map(|(begin, _)| time(begin)),
        not_after: validity.map(|(_, end)| time(end)),
        create_time: Some(time(created)),
        retire_time: retired.map(time),
        last_expiry: last_expiry.map(time),
        cross: above.cross.map(|cross| cross.0.into()).unwrap_or_default(),
        notice: notice.unwrap_or_default(),
    }
}

fn parent(kind: i32, issuer: &str) -> Result<Parent> {
    let parent = match v1::AuthorityParent::try_from(kind) {
        Ok(v1::AuthorityParent::Unspecified) => Parent::Unspecified,
        Ok(v1::AuthorityParent::OwnRoot) => Parent::OwnRoot,
        Ok(v1::AuthorityParent::OwnIntermediate) => Parent::OwnIntermediate,
        Ok(v1::AuthorityParent::External) => Parent::External,
        Ok(v1::AuthorityParent::Issuer) => {
            let parsed = IssuerName::parse(issuer);
            return parsed.map(Parent::Issuer).map_err(|refusal| Error::field("parent_issuer", refusal.message));
        }
        Err(_) => return Err(Error::field("parent", format!("{kind} is not a parent."))),
    };
    if !issuer.is_empty() {
        return Err(Error::field("parent_issuer", "Leave it empty, or use AUTHORITY_PARENT_ISSUER."));
    }
    Ok(parent)
}

fn key_type(name: &str) -> Result<KeyType> {
    match name {
        "" | "P-256" => Ok(KeyType::P256),
        "P-384" => Ok(KeyType::P384),
        "RSA-3072" => Ok(KeyType::Rsa3072),
        "RSA-4096" => Ok(KeyType::Rsa4096),
        _ => Err(Error::field("key_type", "Must be one of P-256, P-384, RSA-3072, RSA-4096.")),
    }
}

fn months(given: i32) -> Result<u32> {
    match u32::try_from(given) {
        Ok(0) => Ok(MONTHS),
        Ok(months) if months <= MOST_MONTHS => Ok(months),
        _ => Err(Error::field(
            "validity_months",
            format!("Must be a number from 1 to {MOST_MONTHS}, or 0 for {MONTHS}."),
        )),
    }
}

impl Authorities {
    pub(super) async fn create(
        &self,
        request: Request<v1::CreateAuthorityRequest>,
    ) -> Result<v1::CreateAuthorityResponse> {
        let (call, message) = open(request)?;
        let v1::CreateAuthorityRequest {
            vault_name,
            issuer_name,
            parent,
            subject,
            key_type: kind,
            validity_months,
            parent_issuer,
        } = message;
        let parent = self::parent(parent, &parent_issuer)?;
        let parse =
            |text: String| DistinguishedName::parse(&text).map_err(|refusal| Error::field("subject", refusal.message));
        let vault = call.vault(&vault_name).await?;
        let wanted = NewAuthority {
            issuer: call.issuer(&vault, &issuer_name)?,
            vault,
            parent,
            subject: filled(subject).map(parse).transpose()?,
            key_type: key_type(&kind)?,
            validity_months: months(validity_months)?,
        };
        let done = self.0.certificate_authorities().create_authority(call.permit(wanted).await?).await?;
        let Ceremony { authority: view, warnings } = done;
        Ok(v1::CreateAuthorityResponse { authority: Some(authority(view)), warnings })
    }

    pub(super) async fn request(
        &self,
        request: Request<v1::GetAuthorityRequestRequest>,
    ) -> Result<v1::GetAuthorityRequestResponse> {
        let (call, message) = open(request)?;
        let v1::GetAuthorityRequestRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let issuer = call.issuer(&vault, &issuer_name)?;
        let wanted = call.permit(AuthorityRef { vault, issuer, authority: None }).await?;
        let csr = self.0.certificate_authorities().authority_request(&wanted).await?;
        Ok(v1::GetAuthorityRequestResponse { csr: csr.0.into() })
    }

    pub(super) async fn install(
        &self,
        request: Request<v1::InstallAuthorityRequest>,
    ) -> Result<v1::InstallAuthorityResponse> {
        let (call, message) = open(request)?;
        let v1::InstallAuthorityRequest { vault_name, issuer_name, certificates } = message;
        let vault = call.vault(&vault_name).await?;
        let issuer = call.issuer(&vault, &issuer_name)?;
        let of = AuthorityRef { vault, issuer, authority: None };
        let wanted = InstallAuthority { of, certificates: certificates.into_iter().map(|it| it.to_vec()).collect() };
        let done = self.0.certificate_authorities().install_authority(call.permit(wanted).await?).await?;
        let Ceremony { authority: view, warnings } = done;
        Ok(v1::InstallAuthorityResponse { authority: Some(authority(view)), warnings })
    }

    pub(super) async fn import(
        &self,
        request: Request<v1::ImportAuthorityRequest>,
    ) -> Result<v1::ImportAuthorityResponse> {
        let (call, message) = open(request)?;
        let v1::ImportAuthorityRequest { vault_name, issuer_name, value, password, crl } = message;
        let vault = call.vault(&vault_name).await?;
        let wanted = ImportAuthority {
            issuer: call.issuer(&vault, &issuer_name)?,
            vault,
            value: Zeroizing::new(value.to_vec()),
            password: Zeroizing::new(password),
            crl: (!crl.is_empty()).then(|| crl.to_vec()),
        };
        let done = self.0.certificate_authorities().import_authority(call.permit(wanted).await?).await?;
        let Ceremony { authority: view, warnings } = done;
        Ok(v1::ImportAuthorityResponse { authority: Some(authority(view)), warnings })
    }

    pub(super) async fn activate(
        &self,
        request: Request<v1::ActivateAuthorityRequest>,
    ) -> Result<v1::ActivateAuthorityResponse> {
        let (call, message) = open(request)?;
        let v1::ActivateAuthorityRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let issuer = call.issuer(&vault, &issuer_name)?;
        let wanted = call.permit(AuthorityRef { vault, issuer, authority: None }).await?;
        let done = self.0.certificate_authorities().activate_authority(wanted).await?;
        Ok(v1::ActivateAuthorityResponse { authority: Some(authority(done.authority)) })
    }

    pub(super) async fn retire(
        &self,
        request: Request<v1::RetireAuthorityRequest>,
    ) -> Result<v1::RetireAuthorityResponse> {
        let (call, message) = open(request)?;
        let v1::RetireAuthorityRequest { vault_name, issuer_name, authority: id } = message;
        let vault = call.vault(&vault_name).await?;
        let issuer = call.issuer(&vault, &issuer_name)?;
        let wanted = call.permit(AuthorityRef { vault, issuer, authority: filled(id) }).await?;
        let done = self.0.certificate_authorities().retire_authority(wanted).await?;
        Ok(v1::RetireAuthorityResponse { authority: Some(authority(done.authority)) })
    }
}
