//! The methods of `certmint.v1.AccessService` that change grants and roles, and read one of them.

use super::access::{AccessCalls, grant, role};
use super::call::{Call, filled};
use super::certificates::open;
use crate::domain::access::{GrantInput, RulesInput, VaultPattern, chosen_id};
use crate::domain::{Error, Result};
use crate::proto::v1;
use crate::service::{AllVaults, AnyRole, GrantRef, NewGrant, NewRole, RoleRef};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::Request;
use uuid::Uuid;

impl AccessCalls {
    pub(super) async fn create_grant(
        &self,
        request: Request<v1::CreateGrantRequest>,
    ) -> Result<v1::CreateGrantResponse> {
        let (call, message) = open(request)?;
        let v1::CreateGrantRequest {
            grant_id,
            principal,
            role,
            vault_name,
            names,
            issuers,
            rules,
            may_grant,
            expires,
            note,
        } = message;
        note_id(&call, &grant_id);
        let vault = vaults(&call, &vault_name).await?.to_string();
        let id = chosen("grant_id", &grant_id)?;
        let some = |patterns: Vec<String>| (!patterns.is_empty()).then_some(patterns);
        let rules = rules.map(rules_input).transpose()?;
        let expires = expires.map(written).transpose()?;
        let (names, issuers) = (some(names), some(issuers));
        let input = GrantInput { principal, role, vault, names, issuers, rules, may_grant, expires, note };
        let made = self.0.grants().create_grant(call.permit(NewGrant::new(id, input)?).await?).await?;
        call.note(|record| record.name.clone_from(&made.id));
        Ok(v1::CreateGrantResponse { grant: Some(grant(&made)) })
    }

    pub(super) async fn grant(&self, request: Request<v1::GetGrantRequest>) -> Result<v1::GetGrantResponse> {
        let (call, v1::GetGrantRequest { grant_id }) = open(request)?;
        let permit = call.permit(reference(given("grant_id", grant_id)?)).await?;
        let found = self.0.grants().grant(&permit).await?;
        Ok(v1::GetGrantResponse { grant: Some(grant(&found)) })
    }

    pub(super) async fn delete_grant(
        &self,
        request: Request<v1::DeleteGrantRequest>,
    ) -> Result<v1::DeleteGrantResponse> {
        let (call, v1::DeleteGrantRequest { grant_id }) = open(request)?;
        note_id(&call, &grant_id);
        let permit = call.permit(reference(grant_id.clone())).await?;
        given("grant_id", grant_id)?;
        let gone = self.0.grants().delete_grant(permit).await?;
        call.note(|record| {
            record.name.clone_from(&gone.id);
            record.vault = gone.scope.vault.to_string();
        });
        Ok(v1::DeleteGrantResponse { grant: Some(grant(&gone)) })
    }

    pub(super) async fn set_role(&self, request: Request<v1::SetRoleRequest>) -> Result<v1::SetRoleResponse> {
        let (call, v1::SetRoleRequest { role_id, name, description, actions }) = open(request)?;
        self.note_role(&call, if role_id.is_empty() { &name } else { &role_id });
        call.precheck(&AnyRole)?;
        let id = chosen("role_id", &role_id)?;
        let wanted = NewRole { id, name, description, actions };
        let set = self.0.grants().set_role(call.permit(wanted).await?).await?;
        call.note(|record| record.name = set.id.to_string());
        Ok(v1::SetRoleResponse { role: Some(role(&set)) })
    }

    pub(super) async fn role(&self, request: Request<v1::GetRoleRequest>) -> Result<v1::GetRoleResponse> {
        let (call, v1::GetRoleRequest { role: named }) = open(request)?;
        let found = self.0.grants().role(&given("role", named)?, &call.permit(AllVaults).await?)?;
        Ok(v1::GetRoleResponse { role: Some(role(&found)) })
    }

    pub(super) async fn delete_role(&self, request: Request<v1::DeleteRoleRequest>) -> Result<v1::DeleteRoleResponse> {
        let (call, v1::DeleteRoleRequest { role: named }) = open(request)?;
        self.note_role(&call, &named);
        let permit = call.permit(RoleRef(named.clone())).await?;
        given("role", named)?;
        let gone = self.0.grants().delete_role(permit).await?;
        call.note(|record| record.name = gone.id.to_string());
        Ok(v1::DeleteRoleResponse { role: Some(role(&gone)) })
    }

    /// Puts down which role a call is about, also where it is refused: never a text of the caller.
    fn note_role(&self, call: &Call, name_or_id: &str) {
        match self.0.grants().id_of_role(name_or_id.trim()) {
            Some(id) => call.note(|record| record.name = id.to_string()),
            None => note_id(call, name_or_id),
        }
    }
}

/// Puts down which grant or role a call is about, also where it is refused.
fn note_id(call: &Call, id: &str) {
    if let Ok(id) = Uuid::try_parse(id) {
        call.note(|record| record.name = id.to_string());
    }
}

/// The vault that a message names, the one of the host, or `*` for every one. The access is checked before the other
/// fields.
async fn vaults(call: &Call, name: &str) -> Result<VaultPattern> {
    if name == "*" {
        call.note(|record| name.clone_into(&mut record.vault));
        call.precheck(&VaultPattern::Every)?;
        return Ok(VaultPattern::Every);
    }
    call.vault_alone(name).await.map(VaultPattern::One)
}

fn reference(id: String) -> GrantRef {
    GrantRef { id, within: None }
}

fn given(field: &str, text: String) -> Result<String> {
    filled(text).ok_or_else(|| Error::field(field, "It is missing."))
}

/// An id that a caller chose, if any.
fn chosen(field: &str, text: &str) -> Result<Option<Uuid>> {
    if text.is_empty() { Ok(None) } else { chosen_id(field, text).map(Some) }
}

fn written(at: prost_types::Timestamp) -> Result<String> {
    let read = OffsetDateTime::from_unix_timestamp(at.seconds).ok();
    let text = read.filter(|read| (1..=9999).contains(&read.year())).and_then(|read| read.format(&Rfc3339).ok());
    text.ok_or_else(|| Error::field("expires", "Choose a time in the years 1 to 9999."))
}

fn rules_input(rules: v1::RequestRules) -> Result<RulesInput> {
    let v1::RequestRules {
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
    } = rules;
    let mut attributes = BTreeMap::new();
    for v1::SubjectRule { attribute, values } in subject {
        if attributes.insert(attribute.clone(), values).is_some() {
            return Err(Error::field("rules.subject", format!("{attribute} is listed twice.")));
        }
    }
    let months = u32::try_from(max_validity_months);
    let months = months.map_err(|_| Error::field("rules.max_validity_months", "It must not be negative."))?;
    Ok(RulesInput {
        dns,
        wildcards,
        ip,
        uri,
        email,
        subject: attributes,
        key_types,
        max_validity_months: Some(months).filter(|months| *months > 0),
        ekus,
        exportable,
        reuse_key,
        ca,
    })
}
