//! Role assignments and definitions, as Managed HSM writes them (`rbac.json` of the Key Vault data plane).

use crate::domain::access::{Grant, NamePattern, Role, RoleSource};
use serde::{Deserialize, Serialize};

/// Where the paths of assignments and definitions go on behind their scope.
const PROVIDER: &str = "providers/Microsoft.Authorization";

/// `PUT …/roleAssignments/{name}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AssignmentBody {
    pub(crate) properties: Option<AssignmentProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AssignmentProperties {
    #[serde(rename = "principalId")]
    pub(crate) principal_id: Option<String>,
    #[serde(rename = "roleDefinitionId")]
    pub(crate) role_definition_id: Option<String>,
    /// What narrows an assignment in Azure: not offered, so it must not be passed over.
    pub(crate) condition: Option<serde_json::Value>,
}

/// `PUT …/roleDefinitions/{name}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DefinitionBody {
    pub(crate) properties: Option<DefinitionProperties>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct DefinitionProperties {
    #[serde(rename = "roleName")]
    pub(crate) role_name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) permissions: Option<Vec<PermissionBody>>,
    #[serde(rename = "assignableScopes")]
    pub(crate) assignable_scopes: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PermissionBody {
    pub(crate) actions: Option<Vec<String>>,
    #[serde(rename = "notActions")]
    pub(crate) not_actions: Option<Vec<String>>,
    #[serde(rename = "dataActions")]
    pub(crate) data_actions: Option<Vec<String>>,
    #[serde(rename = "notDataActions")]
    pub(crate) not_data_actions: Option<Vec<String>>,
}

/// An assignment.
#[derive(Serialize)]
pub(crate) struct AssignmentAnswer {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    properties: AssignmentShown,
}

#[derive(Serialize)]
struct AssignmentShown {
    scope: String,
    #[serde(rename = "roleDefinitionId")]
    role_definition_id: String,
    #[serde(rename = "principalId")]
    principal_id: String,
}

impl AssignmentAnswer {
    pub(crate) fn new(grant: &Grant) -> Self {
        let scope = scope(&grant.scope.names);
        let base = scope.trim_end_matches('/');
        Self {
            id: format!("{base}/{PROVIDER}/roleAssignments/{}", grant.id),
            name: grant.id.clone(),
            kind: "Microsoft.Authorization/roleAssignments",
            properties: AssignmentShown {
                role_definition_id: definition_id(&grant.role),
                principal_id: grant.principal.to_string(),
                scope,
            },
        }
    }
}

/// The scope of these names: `/` for all of the vault, else `/certificates/NAMES`, with commas where there are several.
fn scope(names: &[NamePattern]) -> String {
    if names.iter().any(NamePattern::is_every) {
        return "/".to_owned();
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    format!("/certificates/{}", names.join(","))
}

fn definition_id(role: &Role) -> String {
    format!("Microsoft.KeyVault/{PROVIDER}/roleDefinitions/{}", role.id)
}

/// A definition.
#[derive(Serialize)]
pub(crate) struct DefinitionAnswer<'a> {
    id: String,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    properties: DefinitionShown<'a>,
}

#[derive(Serialize)]
struct DefinitionShown<'a> {
    #[serde(rename = "roleName")]
    role_name: &'a str,
    description: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "assignableScopes")]
    assignable_scopes: [&'static str; 1],
    permissions: [PermissionShown<'a>; 1],
}

#[derive(Serialize)]
struct PermissionShown<'a> {
    actions: [&'static str; 0],
    #[serde(rename = "notActions")]
    not_actions: [&'static str; 0],
    #[serde(rename = "dataActions")]
    data_actions: &'a [String],
    #[serde(rename = "notDataActions")]
    not_data_actions: [&'static str; 0],
}

impl<'a> DefinitionAnswer<'a> {
    pub(crate) fn new(role: &'a Role) -> Self {
        Self {
            id: definition_id(role),
            name: role.id.to_string(),
            kind: "Microsoft.Authorization/roleDefinitions",
            properties: DefinitionShown {
                role_name: &role.name,
                description: &role.description,
                kind: if role.source == RoleSource::BuiltIn { "AKVBuiltInRole" } else { "CustomRole" },
                assignable_scopes: ["/"],
                permissions: [PermissionShown {
                    actions: [],
                    not_actions: [],
                    data_actions: &role.patterns,
                    not_data_actions: [],
                }],
            },
        }
    }
}
