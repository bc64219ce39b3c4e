//! `certmint.v1.CertificateService`: lists, changes, deletion, backup.

use super::certificates::{Certificates, open, page_size, tags};
use super::policy_mask::{self, no_value, unknown};
use super::{call::optional_version, policy, reply};
use crate::domain::{Error, PolicyInput, Result, Tags};
use crate::proto::v1;
use crate::service::{ListRequest, UpdateRequest};
use prost_types::FieldMask;
use tonic::Request;

/// What a mask chose of an update.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    policy: Option<PolicyInput>,
    enabled: Option<bool>,
    tags: Option<Tags>,
}

impl Change {
    pub(super) fn of(
        policy: Option<v1::CertificatePolicy>,
        enabled: Option<bool>,
        labels: Option<Tags>,
        mask: Option<FieldMask>,
    ) -> Result<Self> {
        let policy = policy.unwrap_or_default();
        let named = |input: PolicyInput| (input != PolicyInput::default()).then_some(input);
        let Some(FieldMask { paths }) = mask else {
            return Ok(Self { policy: named(policy_mask::change(policy, None)?), enabled, tags: labels });
        };
        let mut change = Self::default();
        let mut of_policy = Vec::new();
        for path in paths {
            match path.as_str() {
                "policy" => change.policy = named(policy_mask::change(policy.clone(), None)?),
                "attributes" => change.enabled = enabled,
                "attributes.enabled" => change.enabled = Some(enabled.ok_or_else(|| no_value(&path))?),
                "tags" => change.tags = Some(labels.clone().unwrap_or_default()),
                other => match other.strip_prefix("policy.") {
                    Some(member) => of_policy.push(member.to_owned()),
                    None => return Err(unknown(other)),
                },
            }
        }
        if !of_policy.is_empty() {
            change.policy = named(policy_mask::change(policy, Some(&of_policy))?);
        }
        Ok(change)
    }
}

impl Certificates {
    pub(super) async fn listed(
        &self,
        request: Request<v1::ListCertificatesRequest>,
    ) -> Result<v1::ListCertificatesResponse> {
        let (call, message) = open(request)?;
        let v1::ListCertificatesRequest { vault_name, page_size: size, page_token, include_pending } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let wanted = ListRequest { vault, page_size: page_size(size)?, page_token, include_pending };
        let page = self.0.certificates().list_certificates(call.permit(wanted).await?).await?;
        let base = call.base();
        Ok(v1::ListCertificatesResponse {
            certificates: page.items.into_iter().map(|item| reply::item(item, &base, false)).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn versions(
        &self,
        request: Request<v1::ListCertificateVersionsRequest>,
    ) -> Result<v1::ListCertificateVersionsResponse> {
        let (call, message) = open(request)?;
        let v1::ListCertificateVersionsRequest { vault_name, certificate_name, page_size: size, page_token } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let wanted = ListRequest { vault, page_size: page_size(size)?, page_token, include_pending: false };
        let wanted = (wanted, name);
        let page = self.0.certificates().list_versions(call.permit(wanted).await?).await?;
        let base = call.base();
        Ok(v1::ListCertificateVersionsResponse {
            certificates: page.items.into_iter().map(|item| reply::item(item, &base, true)).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn update(
        &self,
        request: Request<v1::UpdateCertificateRequest>,
    ) -> Result<v1::UpdateCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::UpdateCertificateRequest {
            vault_name,
            certificate_name,
            certificate_version,
            policy,
            attributes,
            tags: labels,
            update_mask,
        } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let version = optional_version("certificate_version", &certificate_version)?;
        let v1::CertificateAttributes {
            enabled,
            not_before: _,
            expires: _,
            created: _,
            updated: _,
            recoverable_days: _,
            recovery_level: _,
        } = attributes.unwrap_or_default();
        let change = Change::of(policy, enabled, tags(labels), update_mask)?;
        let request =
            UpdateRequest { vault, name, version, policy: change.policy, enabled: change.enabled, tags: change.tags };
        let view = self.0.certificates().update_certificate(call.permit(request).await?).await?;
        Ok(v1::UpdateCertificateResponse { certificate: Some(reply::certificate(view, &call.base())) })
    }

    pub(super) async fn policy(
        &self,
        request: Request<v1::GetCertificatePolicyRequest>,
    ) -> Result<v1::GetCertificatePolicyResponse> {
        let (call, message) = open(request)?;
        let v1::GetCertificatePolicyRequest { vault_name, certificate_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let (name, policy) = self.0.certificates().policy(call.permit((vault, name)).await?).await?;
        let id = format!("{}/certificates/{name}/policy", call.base());
        Ok(v1::GetCertificatePolicyResponse { policy: Some(policy::reply(&policy, id)) })
    }

    pub(super) async fn update_policy(
        &self,
        request: Request<v1::UpdateCertificatePolicyRequest>,
    ) -> Result<v1::UpdateCertificatePolicyResponse> {
        let (call, message) = open(request)?;
        let v1::UpdateCertificatePolicyRequest { vault_name, certificate_name, policy, update_mask } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let policy = policy.ok_or_else(|| Error::field("policy", "It is required."))?;
        let input = policy_mask::change(policy, update_mask.as_ref().map(|mask| mask.paths.as_slice()))?;
        let (name, policy) = self.0.certificates().update_policy(call.permit((vault, name)).await?, &input).await?;
        let id = format!("{}/certificates/{name}/policy", call.base());
        Ok(v1::UpdateCertificatePolicyResponse { policy: Some(policy::reply(&policy, id)) })
    }

    pub(super) async fn remove(
        &self,
        request: Request<v1::DeleteCertificateRequest>,
    ) -> Result<v1::DeleteCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::DeleteCertificateRequest { vault_name, certificate_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let view = self.0.deletions().delete_certificate(call.permit((vault, name)).await?).await?;
        Ok(v1::DeleteCertificateResponse { deleted_certificate: Some(reply::deleted(view, &call.base())) })
    }

    pub(super) async fn deleted(
        &self,
        request: Request<v1::GetDeletedCertificateRequest>,
    ) -> Result<v1::GetDeletedCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::GetDeletedCertificateRequest { vault_name, certificate_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let view = self.0.deletions().deleted_certificate(call.permit((vault, name)).await?).await?;
        Ok(v1::GetDeletedCertificateResponse { deleted_certificate: Some(reply::deleted(view, &call.base())) })
    }

    pub(super) async fn list_deleted(
        &self,
        request: Request<v1::ListDeletedCertificatesRequest>,
    ) -> Result<v1::ListDeletedCertificatesResponse> {
        let (call, message) = open(request)?;
        let v1::ListDeletedCertificatesRequest { vault_name, page_size: size, page_token, include_pending } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let wanted = ListRequest { vault, page_size: page_size(size)?, page_token, include_pending };
        let page = self.0.certificates().list_deleted(call.permit(wanted).await?).await?;
        let base = call.base();
        Ok(v1::ListDeletedCertificatesResponse {
            deleted_certificates: page.items.into_iter().map(|item| reply::deleted_item(item, &base)).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn recover(
        &self,
        request: Request<v1::RecoverDeletedCertificateRequest>,
    ) -> Result<v1::RecoverDeletedCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::RecoverDeletedCertificateRequest { vault_name, certificate_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let view = self.0.deletions().recover_certificate(call.permit((vault, name)).await?).await?;
        Ok(v1::RecoverDeletedCertificateResponse { certificate: Some(reply::certificate(view, &call.base())) })
    }

    pub(super) async fn purge(
        &self,
        request: Request<v1::PurgeDeletedCertificateRequest>,
    ) -> Result<v1::PurgeDeletedCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::PurgeDeletedCertificateRequest { vault_name, certificate_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        self.0.deletions().purge_certificate(call.permit((vault, name)).await?).await?;
        Ok(v1::PurgeDeletedCertificateResponse {})
    }

    pub(super) async fn backup(
        &self,
        request: Request<v1::BackupCertificateRequest>,
    ) -> Result<v1::BackupCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::BackupCertificateRequest { vault_name, certificate_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let value = self.0.certificates().backup_certificate(call.permit((vault, name)).await?).await?;
        Ok(v1::BackupCertificateResponse { value: value.into() })
    }

    pub(super) async fn restore(
        &self,
        request: Request<v1::RestoreCertificateRequest>,
    ) -> Result<v1::RestoreCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::RestoreCertificateRequest { vault_name, value } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let restored = self.0.certificates().restore_certificate(call.permit(vault).await?, value.into()).await;
        call.note(|about| match &restored {
            Ok(view) => view.name.as_str().clone_into(&mut about.name),
            Err(refusal) => about.not_restored(refusal),
        });
        let view = restored?;
        Ok(v1::RestoreCertificateResponse { certificate: Some(reply::certificate(view, &call.base())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
    }

    #[test]
    fn a_mask_of_tags_without_tags_removes_them_all() {
        let change = Change::of(None, Some(false), None, mask(&["tags"])).unwrap();
        assert_eq!(change, Change { tags: Some(Tags::new()), ..Change::default() });
    }

    #[test]
    fn members_of_the_policy_can_be_named() {
        let policy = v1::CertificatePolicy {
            issuer: Some(v1::IssuerParameters { name: "Self".into(), ..Default::default() }),
            ..Default::default()
        };
        let change = Change::of(Some(policy), Some(false), None, mask(&["policy.issuer.name"])).unwrap();
        let input = PolicyInput { issuer_name: Some("Self".into()), ..PolicyInput::default() };
        assert_eq!(change, Change { policy: Some(input), ..Change::default() });
        assert!(Change::of(None, None, None, mask(&["policy.nothing"])).is_err());
        assert!(Change::of(None, None, None, mask(&["attributes.enabled"])).is_err());
        assert!(Change::of(None, None, None, mask(&["nothing"])).is_err());
    }
}
