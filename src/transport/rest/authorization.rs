//! Azure's role assignments and definitions, for its libraries and tools: the grants that reach the vault of the host,
//! and the roles. What a grant is bound to beside names (issuers, rules, an end) has no place in this form.

use super::answer::{Answer, json};
use super::authorization_routes::Authorization;
use super::call::Call;
use super::failure::Failure;
use super::model::authorization::{
    AssignmentAnswer, AssignmentBody, AssignmentProperties, DefinitionAnswer, DefinitionBody, DefinitionProperties,
    PermissionBody,
};
use crate::domain::access::{GrantInput, NamePattern, chosen_id, shown};
use crate::domain::{Error, Result};
use crate::service::{AllVaults, AnyRole, GrantFilter, GrantRef, NewGrant, NewRole, RoleRef};
use axum::body::Body;
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

/// How the actions of rights begin.
const RIGHTS: &str = "Microsoft.Authorization/";
/// Most names of a scope, as of a grant.
const MAX_NAMES: usize = 100;
/// Filters that leave everything in the scope of the path.
const SCOPES: [&str; 2] = ["atScope()", "atScopeAndBelow()"];

/// What a grant has in other words than an assignment, and a role than a definition.
const OF_ASSIGNMENTS: [(&str, &str); 4] = [
    ("principal", "properties.principalId"),
    ("role", "properties.roleDefinitionId"),
    ("vault", "scope"),
    ("names", "scope"),
];
const OF_DEFINITIONS: [(&str, &str); 4] = [
    ("id", "roleDefinitionName"),
    ("name", "properties.roleName"),
    ("description", "properties.description"),
    ("actions", "properties.permissions"),
];

/// The id of the assignment or definition that a path is about.
pub(super) fn id_in(path: &str, first: &str, second: &str) -> Option<Uuid> {
    let (_, id) = parts(first, second);
    let has_one = path.contains("{grant_id}") || path.contains("{role_id}");
    has_one.then(|| Uuid::try_parse(id).ok()).flatten()
}

/// Answers a request; the scope comes before the id, and is missing where it is the vault.
pub(super) async fn answer(
    call: &Call<'_>,
    asked: Authorization,
    first: &str,
    second: &str,
    body: &mut Body,
) -> Result<Answer, Failure> {
    match asked {
        Authorization::ListAssignments => list(call, first).await,
        Authorization::GetAssignment => get(call, first, second).await,
        Authorization::Assign => assign(call, first, second, body).await,
        Authorization::Unassign => unassign(call, first, second).await,
        Authorization::ListDefinitions => definitions(call, first).await,
        Authorization::GetDefinition => definition(call, first).await,
        Authorization::SetDefinition => set_definition(call, first, body).await,
        Authorization::DeleteDefinition => delete_definition(call, first).await,
    }
}

async fn list(call: &Call<'_>, scope: &str) -> Result<Answer, Failure> {
    let names = names(scope)?;
    let filter = call.address.query("$filter");
    let principal = filtered_principal(filter)?;
    let (size, token) = call.page()?;
    let within = Some((call.vault(), names.unwrap_or_else(|| vec![NamePattern::every()])));
    let wanted = GrantFilter { principal: principal.unwrap_or_default(), within };
    let page = call.service.grants().list_grants(&call.permit(wanted).await?, size, token)?;
    let value = page.grants.iter().map(|grant| AssignmentAnswer::new(grant)).collect();
    let encoded = utf8_percent_encode(scope, NON_ALPHANUMERIC).to_string();
    let place = match scope {
        "" => call.links.url("providers", &["Microsoft.Authorization", "roleAssignments"]),
        _ => call.links.url("certificates", &[&encoded, "providers", "Microsoft.Authorization", "roleAssignments"]),
    };
    let parameter = |filter: &str| format!("&$filter={}", utf8_percent_encode(filter, NON_ALPHANUMERIC));
    let parameters = filter.map(parameter).unwrap_or_default();
    Ok(call.list(value, &place, &page.next_page_token, &parameters))
}

async fn get(call: &Call<'_>, first: &str, second: &str) -> Result<Answer, Failure> {
    let (scope, id) = parts(first, second);
    let wanted = reference(call, scope, id)?;
    let grant = call.service.grants().grant(&call.permit(wanted).await?).await?;
    Ok(Answer::json(StatusCode::OK, json(&AssignmentAnswer::new(&grant))))
}

async fn assign(call: &Call<'_>, first: &str, second: &str, body: &mut Body) -> Result<Answer, Failure> {
    let (scope, id) = parts(first, second);
    let names = names(scope)?;
    let id = chosen_id("roleAssignmentName", id)?;
    let AssignmentBody { properties } = call.body(body).await?;
    let AssignmentProperties { principal_id, role_definition_id, condition } = properties.unwrap_or_default();
    if condition.is_some_and(|condition| !condition.is_null()) {
        let problem = "Conditions are not offered: make the grant with rules or may_grant over gRPC.";
        return Err(Error::field("properties.condition", problem).into());
    }
    let missing = |member: &str| Error::field(member, "It is required.");
    let principal = principal_id.ok_or_else(|| missing("properties.principalId"))?;
    let role = role_definition_id.ok_or_else(|| missing("properties.roleDefinitionId"))?;
    // `…/roleDefinitions/ID`, or the id alone.
    let role =
        chosen_id("properties.roleDefinitionId", role.trim_end_matches('/').rsplit('/').next().unwrap_or_default())?;
    let input = GrantInput {
        principal,
        role: role.to_string(),
        vault: call.vault().to_string(),
        names: names.map(|names| names.iter().map(ToString::to_string).collect()),
        ..GrantInput::default()
    };
    let permit = call.permit(NewGrant::new(Some(id), input)?).await?;
    let made = call.service.grants().create_grant(permit).await.map_err(|error| error.renamed(&OF_ASSIGNMENTS))?;
    call.note(|record| record.name.clone_from(&made.id));
    Ok(Answer::json(StatusCode::CREATED, json(&AssignmentAnswer::new(&made))))
}

async fn unassign(call: &Call<'_>, first: &str, second: &str) -> Result<Answer, Failure> {
    let (scope, id) = parts(first, second);
    let wanted = reference(call, scope, id)?;
    let gone = call.service.grants().delete_grant(call.permit(wanted).await?).await?;
    call.note(|record| record.name.clone_from(&gone.id));
    Ok(Answer::json(StatusCode::OK, json(&AssignmentAnswer::new(&gone))))
}

async fn definitions(call: &Call<'_>, scope: &str) -> Result<Answer, Failure> {
    names(scope)?;
    let is_known = |given: &&str| SCOPES.iter().any(|known| given.trim().eq_ignore_ascii_case(known));
    if let Some(filter) = call.address.query("$filter").filter(|given| !is_known(given)) {
        return Err(unknown_filter(filter, &SCOPES.join(" and ")).into());
    }
    let roles = call.service.grants().roles(&call.permit(AllVaults).await?);
    let value = roles.iter().map(|role| DefinitionAnswer::new(role)).collect();
    Ok(call.list(value, "", "", ""))
}

async fn definition(call: &Call<'_>, id: &str) -> Result<Answer, Failure> {
    let role = call.service.grants().role(id, &call.permit(AllVaults).await?)?;
    Ok(Answer::json(StatusCode::OK, json(&DefinitionAnswer::new(&role))))
}

async fn set_definition(call: &Call<'_>, id: &str, body: &mut Body) -> Result<Answer, Failure> {
    call.precheck_of(&AnyRole)?;
    let id = chosen_id("roleDefinitionName", id)?;
    let DefinitionBody { properties } = call.body(body).await?;
    let DefinitionProperties { role_name, description, permissions, assignable_scopes } =
        properties.unwrap_or_default();
    if assignable_scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope != "/")) {
        return Err(Error::field("properties.assignableScopes", "A role counts everywhere: [\"/\"].").into());
    }
    let mut actions = Vec::new();
    for permission in permissions.unwrap_or_default() {
        let PermissionBody { actions: own, not_actions, data_actions, not_data_actions } = permission;
        let excluded = [not_actions, not_data_actions].into_iter().flatten().any(|patterns| !patterns.is_empty());
        if excluded {
            let problem = "A role names what it allows: notActions and notDataActions are not offered.";
            return Err(Error::field("properties.permissions", problem).into());
        }
        let own = own.unwrap_or_default();
        // Elsewhere they are about resources, and give no data: `*` is no right to read secrets.
        let about_rights = |action: &str| {
            let begin = action.get(..RIGHTS.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(RIGHTS))
        };
        if own.iter().any(|action| !about_rights(action)) {
            let problem = "Only those of Microsoft.Authorization/ count here: write what a role may do with data into dataActions.";
            return Err(Error::field("properties.permissions.actions", problem).into());
        }
        actions.extend(own.into_iter().chain(data_actions.unwrap_or_default()));
    }
    let name = role_name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string());
    let wanted = NewRole { id: Some(id), name, description: description.unwrap_or_default(), actions };
    let permit = call.permit(wanted).await?;
    let set = call.service.grants().set_role(permit).await.map_err(|error| error.renamed(&OF_DEFINITIONS))?;
    call.note(|record| record.name = set.id.to_string());
    Ok(Answer::json(StatusCode::CREATED, json(&DefinitionAnswer::new(&set))))
}

async fn delete_definition(call: &Call<'_>, id: &str) -> Result<Answer, Failure> {
    let gone = call.service.grants().delete_role(call.permit(RoleRef(id.to_owned())).await?).await?;
    call.note(|record| record.name = gone.id.to_string());
    Ok(Answer::json(StatusCode::OK, json(&DefinitionAnswer::new(&gone))))
}

/// A scope and an id, of which the scope is missing where it is the vault.
fn parts<'a>(first: &'a str, second: &'a str) -> (&'a str, &'a str) {
    if second.is_empty() { ("", first) } else { (first, second) }
}

fn reference(call: &Call<'_>, scope: &str, id: &str) -> Result<GrantRef> {
    let names = names(scope)?.unwrap_or_else(|| vec![NamePattern::every()]);
    Ok(GrantRef { id: id.to_owned(), within: Some((call.vault(), names)) })
}

/// The names of a scope, of which there may be several with commas; `None` for the vault.
fn names(scope: &str) -> Result<Option<Vec<NamePattern>>> {
    if scope.is_empty() {
        return Ok(None);
    }
    if scope.split(',').count() > MAX_NAMES {
        return Err(Error::field("scope", format!("It has up to {MAX_NAMES} names.")));
    }
    let names: Result<Vec<_>> = scope.split(',').map(NamePattern::parse).collect();
    names.map(Some).map_err(|error| Error::field("scope", error.message))
}

/// The principal of `principalId eq 'token:ci'` or `assignedTo('token:ci')`; `None` for all.
fn filtered_principal(filter: Option<&str>) -> Result<Option<String>> {
    let Some(filter) = filter.map(str::trim) else { return Ok(None) };
    if SCOPES.iter().any(|known| filter.eq_ignore_ascii_case(known)) {
        return Ok(None);
    }
    let inner = [("principalId eq '", "'"), ("assignedTo('", "')")].iter().find_map(|(begin, end)| {
        let (start, rest) = filter.split_at_checked(begin.len())?;
        let rest = rest.strip_suffix(end).filter(|principal| !principal.contains('\''));
        rest.filter(|_| start.eq_ignore_ascii_case(begin))
    });
    match inner {
        Some(principal) => Ok(Some(principal.to_owned())),
        None => Err(unknown_filter(filter, "atScope(), principalId eq 'PRINCIPAL' and assignedTo('PRINCIPAL')")),
    }
}

fn unknown_filter(given: &str, known: &str) -> Error {
    Error::field("$filter", format!("`{}` is not offered. There are {known}.", shown(given)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_azures_tools_are_read() {
        let read = |text: &str| filtered_principal(Some(text)).map_err(|_| ());
        assert_eq!(read("atScope()"), Ok(None));
        assert_eq!(read("principalId eq 'token:CI'"), Ok(Some("token:CI".to_owned())));
        assert_eq!(read("assignedTo('token:ci')"), Ok(Some("token:ci".to_owned())));
        for bad in ["", "principalId eq ", "principalId eq 'a' or 'b'", "assignedTo('a'", "ſ"] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_scope_is_names_with_commas() {
        let read = |text: &str| names(text).map(|names| names.map(|names| names.len()));
        assert_eq!((read(""), read("web"), read("shop-*,web")), (Ok(None), Ok(Some(1)), Ok(Some(2))));
        assert!(read("a b").is_err() && read("web,").is_err());
    }
}
