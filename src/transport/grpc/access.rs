//! `certmint.v1.AccessService`: who the caller is, and who may do what.

use super::call::filled;
use super::certificates::{open, page_size};
use super::policy::time;
use crate::domain::access::{Grant, Made, MayGrant, NamePattern, Role, RoleSource, Rules, RulesInput, Source};
use crate::domain::{CertificateName, DataAction, Error, Result};
use crate::proto::v1;
use crate::service::{AccessQuestion, AllVaults, GrantFilter, Identity, Mode, Service};
use crate::transport::auth::{Principal, Proof};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct AccessCalls(pub(super) Service);

pub(super) fn grant(grant: &Grant) -> v1::Grant {
    let Grant { id, source, principal, role, scope, may_grant, expires, note } = grant;
    let texts = |patterns: &[NamePattern]| patterns.iter().map(ToString::to_string).collect();
    let (source, made) = match source {
        Source::Configuration => (v1::GrantSource::Configuration, None),
        Source::File => (v1::GrantSource::File, None),
        Source::Store(made) => (v1::GrantSource::Store, Some(made)),
    };
    let (created, created_by) = told(made);
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
        source: source.into(),
        created,
        created_by,
    }
}

/// When and by whom, where a call did it.
fn told(made: Option<&Made>) -> (Option<prost_types::Timestamp>, String) {
    made.map_or_else(Default::default, |Made { at, by }| (Some(time(*at)), by.clone()))
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

fn credential(caller: &Principal) -> v1::CallerCredential {
    let (identity, certificate) = (caller.identity.as_deref(), caller.by_certificate());
    let kind = match (identity, certificate, &caller.revoked) {
        (Some(_), _, _) => v1::CredentialKind::Jwt,
        (None, Some(_), _) => v1::CredentialKind::Certificate,
        (None, None, Some(_)) => v1::CredentialKind::Token,
        (None, None, None) => v1::CredentialKind::Development,
    };
    let provider = identity.map(|identity| &*identity.provider).or(certificate.map(Proof::provider));
    v1::CallerCredential {
        kind: kind.into(),
        provider: provider.unwrap_or_default().to_owned(),
        groups: caller.groups().iter().map(ToString::to_string).collect(),
        expires: caller.expires().map(time),
    }
}

pub(super) fn role(role: &Role) -> v1::Role {
    let Role { id, name, description, patterns, actions: _, source } = role;
    let (from, made) = match source {
        RoleSource::BuiltIn => (v1::RoleSource::BuiltIn, None),
        RoleSource::File => (v1::RoleSource::File, None),
        RoleSource::Store(made) => (v1::RoleSource::Store, Some(made)),
    };
    let (changed, changed_by) = told(made);
    v1::Role {
        id: id.to_string(),
        name: name.clone(),
        description: description.clone(),
        actions: patterns.clone(),
        built_in: *source == RoleSource::BuiltIn,
        source: from.into(),
        changed,
        changed_by,
    }
}

impl AccessCalls {
    pub(super) async fn who(&self, request: Request<v1::WhoAmIRequest>) -> Result<v1::WhoAmIResponse> {
        let (call, v1::WhoAmIRequest {}) = open(request)?;
        let Identity { principal, grants, mode } = self.0.grants().who_am_i(&call.permit(AllVaults).await?);
        let mode = match mode {
            Mode::Open => v1::AccessMode::Open,
            Mode::Enforce => v1::AccessMode::Enforce,
            Mode::Report => v1::AccessMode::Report,
        };
        let grants = grants.iter().map(|one| grant(one)).collect();
        let credential = Some(credential(&call.principal));
        Ok(v1::WhoAmIResponse { principal, grants, mode: mode.into(), credential })
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
        let grant = self.0.grants().check_access(&call.permit(question).await?)?;
        Ok(v1::CheckAccessResponse { allowed: grant.is_some(), grant_id: grant.unwrap_or_default() })
    }

    pub(super) async fn grants(&self, request: Request<v1::ListGrantsRequest>) -> Result<v1::ListGrantsResponse> {
        let (call, message) = open(request)?;
        let v1::ListGrantsRequest { principal, page_size: size, page_token } = message;
        let permit = call.permit(GrantFilter { principal, within: None }).await?;
        let page = self.0.grants().list_grants(&permit, page_size(size)?, &page_token)?;
        let grants = page.grants.iter().map(|one| grant(one)).collect();
        Ok(v1::ListGrantsResponse { grants, next_page_token: page.next_page_token })
    }

    pub(super) async fn roles(&self, request: Request<v1::ListRolesRequest>) -> Result<v1::ListRolesResponse> {
        let (call, v1::ListRolesRequest {}) = open(request)?;
        let roles = self.0.grants().roles(&call.permit(AllVaults).await?);
        Ok(v1::ListRolesResponse { roles: roles.iter().map(|one| role(one)).collect() })
    }
}
