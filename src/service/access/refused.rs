//! The refusals, in the words of Key Vault.

use super::target::Target;
use crate::domain::access::{Role, Violation, shown};
use crate::domain::{CertificateName, DataAction, Detail, Error, Reason, VaultName};

/// No grant allows it. Azure's text to the letter, with line ends and the blank after the quote: its tools read it.
pub(in crate::service) fn denied(principal: &str, action: DataAction, target: &impl Target) -> Error {
    let vault = target.vault().map_or("*", |vault| vault.as_str());
    let name = target.name().or_else(|| target.names().first().map(|name| name.as_str()));
    let object = name.map(|name| (collection(action), name));
    let path = object.map(|(collection, name)| format!("/{collection}/{name}")).unwrap_or_default();
    let text = action.text();
    let message = format!(
        "Caller is not authorized to perform action on resource.\r\n\
         If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\n\
         Caller: name={principal};iss=certmint\r\n\
         Action: '{text}'\r\n\
         Resource: '/providers/microsoft.keyvault/vaults/{vault}{path}'\r\n\
         Assignment: (not found)\r\n\
         DenyAssignmentId: null\r\n\
         DecisionReason: 'DeniedWithNoValidRBAC' \r\n\
         Vault: {vault};location=certmint\r\n"
    );
    let resource = match object {
        Some((collection, name)) => Detail::Resource { kind: kind(collection), name: name.to_owned() },
        None => Detail::Resource { kind: "vault", name: vault.to_owned() },
    };
    Error::new(Reason::AccessDenied, message)
        .with(resource)
        .with(fact("innerCode", "ForbiddenByRbac"))
        .with(fact("action", text))
        .with(fact("vault", vault))
        .with(fact("name", name.unwrap_or_default()))
        .with(fact("principal", principal))
}

/// A grant allows the action, or the caller may do everything, but not this.
pub(super) fn by_rules(vault: &VaultName, name: &CertificateName, violation: &Violation, by: &str) -> Error {
    not_allowed(violation.member, format!("{} is not allowed by {by}.", violation.value))
        .with(Detail::Resource { kind: "certificate", name: name.to_string() })
        .with(fact("innerCode", "ForbiddenByPolicy"))
        .with(fact("vault", vault.as_str()))
        .with(fact("name", name.as_str()))
}

/// A grant that would go beyond what its maker may grant.
pub(super) fn beyond(principal: &str, action: DataAction, excess: &Violation) -> Error {
    not_allowed(excess.member, format!("The grants of {principal} do not let it grant or revoke {}.", excess.value))
        .with(fact("innerCode", "ForbiddenByPolicy"))
        .with(fact("action", action.text()))
        .with(fact("principal", principal))
}

fn not_allowed(member: &str, problem: String) -> Error {
    Error::new(Reason::RequestNotAllowed, format!("Property {member} has a value that is not allowed. {problem}"))
        .with(Detail::Field { path: member.to_owned(), problem })
}

fn fact(key: &'static str, value: &str) -> Detail {
    Detail::Fact { key, value: value.to_owned() }
}

pub(super) fn no_grant(id: &str) -> Error {
    let id = shown(id);
    Error::new(
        Reason::GrantNotFound,
        format!("There is no grant {id}. `certmint access list` lists those that you may see."),
    )
    .with(Detail::Resource { kind: "grant", name: id })
}

pub(super) fn no_role(name: &str) -> Error {
    let name = shown(name);
    Error::new(Reason::RoleNotFound, format!("There is no role {name}. `certmint access roles` lists them."))
        .with(Detail::Resource { kind: "role", name })
}

pub(super) fn exists(kind: &'static str, id: &str) -> Error {
    Error::new(
        Reason::AlreadyExists,
        format!(
            "There is another {kind} with the id {id}. A {kind} is not changed: make a new one, and delete this one."
        ),
    )
    .with(Detail::Resource { kind, name: id.to_owned() })
}

/// What was not made through the API is not changed there: it is in the file or the configuration, or built in.
pub(super) fn not_changeable(kind: &'static str, name: &str, is_fixed: bool) -> Error {
    let problem = match (kind, is_fixed) {
        ("role", true) => "It is built in: create a role with another name.",
        (_, true) => "It is one of the administrators of the configuration.",
        (_, false) => "It comes from the file of grants: change it there.",
    };
    Error::new(Reason::NotChangeable, format!("The {kind} {name} cannot be changed through the API. {problem}"))
        .with(Detail::Resource { kind, name: name.to_owned() })
        .with(Detail::Precondition { kind: "SOURCE", subject: name.to_owned(), description: problem.to_owned() })
}

pub(super) fn in_use(role: &Role, grants: usize) -> Error {
    let problem = format!("There are {grants} grants of it. Revoke them first.");
    Error::new(Reason::RoleInUse, format!("The role {} cannot be deleted. {problem}", role.name))
        .with(Detail::Resource { kind: "role", name: role.name.clone() })
        .with(Detail::Precondition { kind: "GRANTS", subject: role.id.to_string(), description: problem })
}

pub(super) fn too_many(problem: String) -> Error {
    let quota = Detail::Quota { subject: "grants of this server".to_owned(), description: problem.clone() };
    Error::new(Reason::GrantLimitExceeded, problem).with(quota)
}

/// Ends a stream that shows more than its caller may see now.
pub(in crate::service) fn changed() -> Error {
    Error::new(
        Reason::AccessChanged,
        "The rights of the caller were changed, and this stream shows more than they allow. Open it again.",
    )
}

/// Where objects stand that the action is about.
fn collection(action: DataAction) -> &'static str {
    use DataAction as A;
    match action {
        A::SecretsGet | A::SecretsReadMetadata => "secrets",
        A::KeysRead | A::KeysSign | A::KeysVerify | A::KeysEncrypt | A::KeysDecrypt | A::KeysWrap | A::KeysUnwrap => {
            "keys"
        }
        A::IssuersRead | A::IssuersWrite | A::IssuersDelete => "certificates/issuers",
        _ => "certificates",
    }
}

fn kind(collection: &str) -> &'static str {
    match collection {
        "secrets" => "secret",
        "keys" => "key",
        "certificates/issuers" => "issuer",
        _ => "certificate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_azure_to_the_letter() {
        let vault = VaultName::parse("shop").unwrap();
        let name = CertificateName::parse("web").unwrap();
        let error = denied("token:ci", DataAction::SecretsGet, &(vault.clone(), name));
        assert_eq!(
            error.message,
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: name=token:ci;iss=certmint\r\nAction: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'\r\nResource: '/providers/microsoft.keyvault/vaults/shop/secrets/web'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: shop;location=certmint\r\n"
        );
        let error = denied("token:ci", DataAction::CertificatesRead, &vault);
        assert!(error.message.contains("Resource: '/providers/microsoft.keyvault/vaults/shop'\r\n"), "{error}");
        assert!(error.details.contains(&Detail::Resource { kind: "vault", name: "shop".into() }));
    }
}
