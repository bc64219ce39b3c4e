//! What operators do with issuers over gRPC beside setting them, and how issuers fare.

use super::admin::Admin;
use super::certificates::{open, page_size};
use super::policy::time;
use super::reply;
use crate::domain::{IssuerConfig, Result};
use crate::proto::v1;
use crate::service::{
    AllVaults, IssuerHealth, IssuerSchema, IssuerVerdict, OpenOperations, OptionKind, OptionSchema, ProviderHealth,
    ProviderView,
};
use tonic::Request;

/// A count as the contract has it.
pub(super) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn health(health: IssuerHealth) -> v1::IssuerHealth {
    let IssuerHealth { last_success, last_failure, last_error, open, notice } = health;
    let OpenOperations { count: open, more, next_try } = open;
    v1::IssuerHealth {
        last_success: last_success.map(time),
        last_failure: last_failure.map(time),
        last_error,
        open_operations: count(open),
        more_open_operations: more,
        next_try: next_try.map(time),
        notice,
    }
}

/// A provider as the contract has it.
pub(crate) fn provider(view: ProviderView) -> v1::IssuerProvider {
    let ProviderView { schema: IssuerSchema { provider, summary, options }, members, described } = view;
    v1::IssuerProvider {
        name: provider.to_owned(),
        summary: summary.to_owned(),
        fields: members.into_iter().map(option).collect(),
        options: options.into_iter().map(option).collect(),
        undescribed: !described,
    }
}

fn option(option: OptionSchema) -> v1::IssuerOption {
    use v1::IssuerOptionKind as Kind;
    let OptionSchema { name, kind, required, default, help } = option;
    let (mut choices, mut minimum, mut maximum) = (Vec::new(), 0, 0);
    let kind = match kind {
        OptionKind::Text => Kind::Text,
        OptionKind::Url => Kind::Url,
        OptionKind::Boolean => Kind::Boolean,
        OptionKind::Integer { least, most } => {
            (minimum, maximum) = (least, most);
            Kind::Integer
        }
        OptionKind::Choice(values) => {
            choices = values.iter().map(|value| (*value).to_owned()).collect();
            Kind::Choice
        }
        OptionKind::List => Kind::List,
        OptionKind::File => Kind::File,
        OptionKind::Secret => Kind::Secret,
        OptionKind::Map => Kind::Map,
    };
    v1::IssuerOption {
        name: name.to_owned(),
        kind: kind.into(),
        required,
        default_value: default.unwrap_or_default().to_owned(),
        secret: kind == Kind::Secret,
        choices,
        minimum,
        maximum,
        description: help.to_owned(),
    }
}

impl Admin {
    pub(super) async fn list(&self, request: Request<v1::ListIssuersRequest>) -> Result<v1::ListIssuersResponse> {
        let (call, message) = open(request)?;
        let v1::ListIssuersRequest { vault_name, page_size: size, page_token, with_health } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let objects = self.0.issuers();
        let page = objects.issuers(call.permit(vault.clone()).await?, page_size(size)?, &page_token).await?;
        let healths = if with_health {
            objects.control().issuers_health(&call.permit(vault).await?, &page.issuers).await?
        } else {
            Vec::new()
        };
        let mut healths = healths.into_iter();
        let base = call.base();
        let item = |issuer: IssuerConfig| v1::IssuerItem {
            id: format!("{base}/certificates/issuers/{}", issuer.name),
            issuer_name: issuer.name.to_string(),
            enabled: issuer.enabled,
            paused: issuer.paused.is_some(),
            provider: issuer.provider,
            health: healths.next().map(health),
        };
        Ok(v1::ListIssuersResponse {
            issuers: page.issuers.into_iter().map(item).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn check(&self, request: Request<v1::CheckIssuerRequest>) -> Result<v1::CheckIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::CheckIssuerRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let IssuerVerdict { health, warnings } = {
            let name = call.issuer(&vault, &issuer_name)?;
            let wanted = call.permit((vault, name)).await?;
            self.0.issuers().control().try_issuer(wanted).await?
        };
        let (verdict, message) = match health {
            ProviderHealth::Good(message) => (v1::IssuerVerdict::Good, message),
            ProviderHealth::Unknown(message) => (v1::IssuerVerdict::Unknown, message),
            ProviderHealth::Bad(message) => (v1::IssuerVerdict::Bad, message),
        };
        Ok(v1::CheckIssuerResponse { verdict: verdict.into(), message, warnings })
    }

    pub(super) async fn pause(&self, request: Request<v1::PauseIssuerRequest>) -> Result<v1::PauseIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::PauseIssuerRequest { vault_name, issuer_name, reason } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        let wanted = call.permit((vault.clone(), name)).await?;
        let issuer = self.0.issuers().control().pause_issuer(wanted, &reason).await?;
        Ok(v1::PauseIssuerResponse { issuer: Some(reply::issuer(issuer, vault.as_str(), &call.base())) })
    }

    pub(super) async fn resume(&self, request: Request<v1::ResumeIssuerRequest>) -> Result<v1::ResumeIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::ResumeIssuerRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        let wanted = call.permit((vault.clone(), name)).await?;
        let issuer = self.0.issuers().control().resume_issuer(wanted).await?;
        Ok(v1::ResumeIssuerResponse { issuer: Some(reply::issuer(issuer, vault.as_str(), &call.base())) })
    }

    pub(super) async fn rotate(
        &self,
        request: Request<v1::RotateIssuerKeyRequest>,
    ) -> Result<v1::RotateIssuerKeyResponse> {
        let (call, message) = open(request)?;
        let v1::RotateIssuerKeyRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        let wanted = call.permit((vault.clone(), name)).await?;
        let issuer = self.0.issuers().control().rotate_issuer_key(wanted).await?;
        Ok(v1::RotateIssuerKeyResponse { issuer: Some(reply::issuer(issuer, vault.as_str(), &call.base())) })
    }

    pub(super) async fn deactivate(
        &self,
        request: Request<v1::DeactivateIssuerRequest>,
    ) -> Result<v1::DeactivateIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::DeactivateIssuerRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        let wanted = call.permit((vault.clone(), name)).await?;
        let issuer = self.0.issuers().control().deactivate_issuer(wanted).await?;
        Ok(v1::DeactivateIssuerResponse { issuer: Some(reply::issuer(issuer, vault.as_str(), &call.base())) })
    }

    pub(super) async fn delete(&self, request: Request<v1::DeleteIssuerRequest>) -> Result<v1::DeleteIssuerResponse> {
        let (call, message) = open(request)?;
        let v1::DeleteIssuerRequest { vault_name, issuer_name, only_if_idle } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.issuer(&vault, &issuer_name)?;
        // A missing issuer is reported before anything else.
        let wanted = || call.permit((vault.clone(), name.clone()));
        let (objects, control) = (self.0.issuers(), self.0.issuers().control());
        objects.issuer(wanted().await?).await?;
        let wanted_by_caller = wanted().await?;
        if only_if_idle {
            control.require_idle(&wanted_by_caller).await?;
        }
        let open_operations = count(control.open_operations(&wanted_by_caller).await?.count);
        let issuer = objects.delete_issuer(wanted_by_caller).await?;
        let issuer = Some(reply::issuer(issuer, vault.as_str(), &call.base()));
        Ok(v1::DeleteIssuerResponse { issuer, open_operations })
    }

    pub(super) async fn providers(
        &self,
        request: Request<v1::ListProvidersRequest>,
    ) -> Result<v1::ListProvidersResponse> {
        let (call, v1::ListProvidersRequest {}) = open(request)?;
        let providers = self.0.issuers().control().providers(call.permit(AllVaults).await?);
        Ok(v1::ListProvidersResponse { providers: providers.into_iter().map(provider).collect() })
    }
}
