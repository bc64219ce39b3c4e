//! What callers need for each method and each route: the `action` options of the contract, which routes have by the
//! `rest` options of the same methods.

use crate::domain::{DataAction, Error, Result};
use crate::proto::{ContractMethod, methods};
use std::collections::HashMap;
use std::sync::OnceLock;

/// Routes that belong to no method of the contract, or to one that has no URI of Key Vault.
const OWN_ROUTES: [(&str, DataAction); 22] = [
    ("POST /certificates/{certificate_name}/renew", DataAction::CertificatesCreate),
    ("GET /certificates/issuers/{issuer_name}/ca", DataAction::IssuersRead),
    ("GET /certificates/issuers/{issuer_name}/ca/csr", DataAction::IssuersRead),
    ("POST /certificates/issuers/{issuer_name}/ca/install", DataAction::IssuersWrite),
    ("GET /certificates/issuers/{issuer_name}/ca/issued", DataAction::IssuersRead),
    ("GET /certificates/issuers/{issuer_name}/ca/issued/{serial}", DataAction::IssuersRead),
    ("POST /certificates/issuers/{issuer_name}/ca/issued/{serial}/revoke", DataAction::IssuersWrite),
    ("POST /certificates/{certificate_name}/{certificate_version}/revoke", DataAction::IssuersWrite),
    ("GET /certificates/{certificate_name}/pending/watch", DataAction::CertificatesRead),
    ("GET /providers/Microsoft.Authorization/roleDefinitions", DataAction::AccessSelf),
    ("GET /providers/Microsoft.Authorization/roleDefinitions/{role_id}", DataAction::AccessSelf),
    ("PUT /providers/Microsoft.Authorization/roleDefinitions/{role_id}", DataAction::RoleDefinitionsWrite),
    ("DELETE /providers/Microsoft.Authorization/roleDefinitions/{role_id}", DataAction::RoleDefinitionsDelete),
    ("GET /providers/Microsoft.Authorization/roleAssignments", DataAction::AccessSelf),
    ("GET /providers/Microsoft.Authorization/roleAssignments/{grant_id}", DataAction::AccessSelf),
    ("PUT /providers/Microsoft.Authorization/roleAssignments/{grant_id}", DataAction::RoleAssignmentsWrite),
    ("DELETE /providers/Microsoft.Authorization/roleAssignments/{grant_id}", DataAction::RoleAssignmentsDelete),
    ("GET /certificates/{scope}/providers/Microsoft.Authorization/roleAssignments", DataAction::AccessSelf),
    ("GET /certificates/{scope}/providers/Microsoft.Authorization/roleAssignments/{grant_id}", DataAction::AccessSelf),
    (
        "PUT /certificates/{scope}/providers/Microsoft.Authorization/roleAssignments/{grant_id}",
        DataAction::RoleAssignmentsWrite,
    ),
    (
        "DELETE /certificates/{scope}/providers/Microsoft.Authorization/roleAssignments/{grant_id}",
        DataAction::RoleAssignmentsDelete,
    ),
    ("GET /certificates/{scope}/providers/Microsoft.Authorization/roleDefinitions", DataAction::AccessSelf),
];

/// The writes of Key Vault that are refused here: the refusal shows whether there is a certificate of the name.
pub(super) const REFUSED_WRITE: DataAction = DataAction::CertificatesRead;

/// Of a method, by its path without the first slash (`certmint.v1.KeyService/Sign`), or of a route
/// (`POST /keys/{key_name}/sign`).
pub(super) fn action_of(method_or_route: &str) -> Option<DataAction> {
    static ACTIONS: OnceLock<HashMap<String, DataAction>> = OnceLock::new();
    ACTIONS.get_or_init(actions).get(method_or_route).copied()
}

/// An action that is not known is a defect of the contract, which a test finds; nothing is permitted then.
pub(super) fn required(action: Option<DataAction>) -> Result<DataAction> {
    action.ok_or_else(|| {
        tracing::error!("a method of the contract has no action; it is refused");
        Error::internal()
    })
}

fn actions() -> HashMap<String, DataAction> {
    let mut actions: HashMap<String, DataAction> =
        OWN_ROUTES.into_iter().map(|(route, action)| (route.to_owned(), action)).collect();
    for ContractMethod { name, rest, action } in methods() {
        if let Some(action) = DataAction::parse(&action) {
            actions.extend(rest.into_iter().map(|route| (route, action)));
            let path = name.rsplit_once('.').map(|(service, method)| format!("{service}/{method}"));
            actions.extend(path.map(|path| (path, action)));
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_has_an_action_that_is_known() {
        let without: Vec<String> = methods()
            .into_iter()
            .filter(|method| DataAction::parse(&method.action).is_none())
            .map(|method| format!("{}: {:?}", method.name, method.action))
            .collect();
        assert!(without.is_empty(), "methods whose option (action) is missing or unknown:\n{}", without.join("\n"));
    }

    #[test]
    fn every_action_guards_a_method() {
        let methods = methods();
        let guards = |action: &&DataAction| methods.iter().any(|method| method.action == action.text());
        // Asked for inside of a restore, and of a question about others.
        let inside = |action: &DataAction| matches!(action, DataAction::BackupsMove | DataAction::RoleAssignmentsRead);
        assert!(DataAction::ALL.iter().all(|action| inside(action) || guards(&action)));
    }

    #[test]
    fn each_method_needs_what_key_vault_asks_for_it() {
        for (method, action) in [
            ("CertificateService/MergeCertificate", "certificates/create/action"),
            ("CertificateService/CancelPending", "certificates/update/action"),
            ("CertificateService/WatchPending", "certificates/read"),
            ("CertificateAdminService/GetContacts", "certificatecontacts/write"),
            ("CertificateAdminService/SetIssuer", "certificatecas/write"),
            ("SecretService/ListSecrets", "secrets/readMetadata/action"),
            ("SecretService/GetSecret", "secrets/getSecret/action"),
            ("KeyService/UnwrapKey", "keys/unwrap/action"),
            ("VaultService/CreateVault", "write"),
        ] {
            let found = action_of(&format!("certmint.v1.{method}")).map(DataAction::text);
            assert_eq!(found, Some(format!("Microsoft.KeyVault/vaults/{action}").as_str()), "{method}");
        }
        assert_eq!(action_of("certmint.v1.CertificateService/NoSuch"), None);
    }
}
