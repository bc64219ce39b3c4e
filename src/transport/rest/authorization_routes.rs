//! The routes of Azure's role assignments and definitions, as Managed HSM has them in its data plane: a scope, and what
//! stands there. The scope is the vault of the host, or names of it.

use http::Method;

/// What is asked of role assignments and definitions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Authorization {
    ListAssignments,
    GetAssignment,
    Assign,
    Unassign,
    ListDefinitions,
    GetDefinition,
    SetDefinition,
    DeleteDefinition,
}

pub(super) const AUTHORIZATION_ROUTES: [(Method, &str, Authorization); 13] = [
    (Method::GET, "/providers/Microsoft.Authorization/roleDefinitions", Authorization::ListDefinitions),
    (Method::GET, "/providers/Microsoft.Authorization/roleDefinitions/{role_id}", Authorization::GetDefinition),
    (Method::PUT, "/providers/Microsoft.Authorization/roleDefinitions/{role_id}", Authorization::SetDefinition),
    (Method::DELETE, "/providers/Microsoft.Authorization/roleDefinitions/{role_id}", Authorization::DeleteDefinition),
    (Method::GET, "/providers/Microsoft.Authorization/roleAssignments", Authorization::ListAssignments),
    (Method::GET, "/providers/Microsoft.Authorization/roleAssignments/{grant_id}", Authorization::GetAssignment),
    (Method::PUT, "/providers/Microsoft.Authorization/roleAssignments/{grant_id}", Authorization::Assign),
    (Method::DELETE, "/providers/Microsoft.Authorization/roleAssignments/{grant_id}", Authorization::Unassign),
    (
        Method::GET,
        "/certificates/{scope}/providers/Microsoft.Authorization/roleDefinitions",
        Authorization::ListDefinitions,
    ),
    (
        Method::GET,
        "/certificates/{scope}/providers/Microsoft.Authorization/roleAssignments",
        Authorization::ListAssignments,
    ),
    (
        Method::GET,
        "/certificates/{scope}/providers/Microsoft.Authorization/roleAssignments/{grant_id}",
        Authorization::GetAssignment,
    ),
    (
        Method::PUT,
        "/certificates/{scope}/providers/Microsoft.Authorization/roleAssignments/{grant_id}",
        Authorization::Assign,
    ),
    (
        Method::DELETE,
        "/certificates/{scope}/providers/Microsoft.Authorization/roleAssignments/{grant_id}",
        Authorization::Unassign,
    ),
];
