//! `certmint.v1.AccessService`: who the caller is, and who may do what.

use super::call::filled;
use super::certificates::{open, page_size};
use super::policy::time;
use crate::domain::access::{Grant, MayGrant, NamePattern, Role, Rules, RulesInput, Source};
use crate::domain::{CertificateName, DataAction, Error, Result};
use crate::proto::v1;
use crate::service::{AccessQuestion, AllVaults, Identity, Mode, Service};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct AccessCalls(pub(super) Service);

fn grant(grant: &Grant) -> v1::Grant {
    let Grant { id, source, principal, role, scope, may_grant, expires, note } = grant;
    let texts = |patterns: &[NamePattern]| patterns.iter().map(ToString::to_string).collect();
    v1::Grant {
        id: id.clone(),
        principal: principal.to_string(),
        role: role.name.clone(),
        role_id: role.id.to_string(),
        vault: scope.vault.to_string(),
        names: texts(&scope.names),
        issuers: texts(&scope.issuers),
        rules: scope.rules.as_deref().map(rules),
        may_grant: match may_grant {
            MayGrant::Every => vec!["*".to_owned()],
            MayGrant::These(roles) => roles.iter().map(ToString::to_string).collect(),
        },
        expires: expires.map(time),
        note: note.clone(),
        source: match source {
            Source::Configuration => v1::GrantSource::Configuration,
            Source::File => v1::GrantSource::File,
        }
        .into(),
    }
}

fn rules(rules: &Rules) -> v1::RequestRules {
    let RulesInput {
        dns,
        wildcards,
        ip,
        uri,
        email,
        subject,
        key_types,
        max_validity_months,
        ekus,
        exportable,
        reuse_key,
        ca,
    } = rules.input().clone();
    let attribute = |(attribute, values)| v1::SubjectRule { attribute, values };
    v1::RequestRules {
        dns,
        wildcards,
        ip,
        uri,
        email,
        subject: subject.into_iter().map(attribute).collect(),
        key_types,
        max_validity_months: max_validity_months.and_then(|months| i32::try_from(months).ok()).unwrap_or(0),
        ekus,
        exportable,
        reuse_key,
        ca,
    }
}

fn role(role: &Role) -> v1::Role {
    let Role { id, name, description, patterns, actions: _, built_in } = role;
    v1::Role {
        id: id.to_string(),
        name: name.clone(),
        description: description.clone(),
        actions: patterns.clone(),
        built_in: *built_in,
    }
}

impl AccessCalls {
    pub(super) async fn who(&self, request: Request<v1::WhoAmIRequest>) -> Result<v1::WhoAmIResponse> {
        let (call, v1::WhoAmIRequest {}) = open(request)?;
        let Identity { principal, grants, mode } = self.0.access_questions().who_am_i(&call.permit(AllVaults).await?);
        let mode = match mode {
            Mode::Open => v1::AccessMode::Open,
            Mode::Enforce => v1::AccessMode::Enforce,
            Mode::Report => v1::AccessMode::Report,
        };
        let grants = grants.iter().map(|one| grant(one)).collect();
        Ok(v1::WhoAmIResponse { principal, grants, mode: mode.into() })
    }

    pub(super) async fn check(&self, request: Request<v1::CheckAccessRequest>) -> Result<v1::CheckAccessResponse> {
        let (call, message) = open(request)?;
        let v1::CheckAccessRequest { principal, action, vault_name, name } = message;
        let vault = call.vault(&vault_name).await?;
        let known = DataAction::parse(&action).ok_or_else(|| {
            let problem = "It is not a data action, such as Microsoft.KeyVault/vaults/certificates/read.";
            Error::field("action", problem)
        })?;
        let name = filled(name).map(|name| CertificateName::parse(&name)).transpose()?;
        let question = AccessQuestion { principal: filled(principal), action: known, vault, name };
        let grant = self.0.access_questions().check_access(&call.permit(question).await?)?;
        Ok(v1::CheckAccessResponse { allowed: grant.is_some(), grant_id: grant.unwrap_or_default() })
    }

    pub(super) async fn grants(&self, request: Request<v1::ListGrantsRequest>) -> Result<v1::ListGrantsResponse> {
        let (call, message) = open(request)?;
        let v1::ListGrantsRequest { principal, page_size: size, page_token } = message;
        let permit = call.permit(AllVaults).await?;
        let page = self.0.access_questions().grants(&permit, &principal, page_size(size)?, &page_token)?;
        let grants = page.grants.iter().map(|one| grant(one)).collect();
        Ok(v1::ListGrantsResponse { grants, next_page_token: page.next_page_token })
    }

    pub(super) async fn roles(&self, request: Request<v1::ListRolesRequest>) -> Result<v1::ListRolesResponse> {
        let (call, v1::ListRolesRequest {}) = open(request)?;
        let roles = self.0.access_questions().roles(&call.permit(AllVaults).await?);
        Ok(v1::ListRolesResponse { roles: roles.iter().map(|one| role(one)).collect() })
    }
}
