//! Every method and every route, for every role, within its scope and outside: the expected answer is computed from the
//! tables below, which are those of Azure and of the contract written down a second time. What is not in them fails.

use crate::kit::{CALLERS, Server};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What each method needs; the names of actions without `Microsoft.KeyVault/vaults/`.
const METHODS: &[(&str, &[&str])] = &[
    (
        "certificates/read",
        &[
            "CertificateService/GetCertificate",
            "CertificateService/ListCertificates",
            "CertificateService/ListCertificateVersions",
            "CertificateService/GetCertificatePolicy",
            "CertificateService/GetPending",
            "CertificateService/ListPending",
            "CertificateService/WatchPending",
            "CertificateService/GetDeletedCertificate",
            "CertificateService/ListDeletedCertificates",
            "RenewalService/ListRenewals",
            "RenewalService/GetVaultRenewals",
            "InstallationService/ListInstallations",
        ],
    ),
    (
        "certificates/create/action",
        &[
            "CertificateService/CreateCertificate",
            "CertificateService/MergeCertificate",
            "RenewalService/RenewCertificate",
        ],
    ),
    (
        "certificates/update/action",
        &[
            "CertificateService/UpdateCertificate",
            "CertificateService/UpdateCertificatePolicy",
            "CertificateService/CancelPending",
            "CertificateService/DeletePending",
            "RenewalService/PauseRenewal",
            "RenewalService/ResumeRenewal",
            "RenewalService/SetRenewalWindow",
            "RenewalService/SetVaultRenewalWindow",
            "RenewalService/PauseVaultRenewals",
            "RenewalService/ResumeVaultRenewals",
        ],
    ),
    ("certificates/import/action", &["CertificateService/ImportCertificate"]),
    ("certificates/delete", &["CertificateService/DeleteCertificate"]),
    ("certificates/recover/action", &["CertificateService/RecoverDeletedCertificate"]),
    ("certificates/purge/action", &["CertificateService/PurgeDeletedCertificate"]),
    ("certificates/backup/action", &["CertificateService/BackupCertificate"]),
    ("certificates/restore/action", &["CertificateService/RestoreCertificate"]),
    (
        "certificatecas/read",
        &[
            "CertificateAdminService/GetIssuer",
            "CertificateAdminService/ListIssuers",
            "CertificateAdminService/CheckIssuer",
            "CertificateAdminService/ListProviders",
            "CertificateAuthorityService/GetAuthorityRequest",
            "CertificateAuthorityService/GetIssuedCertificate",
            "CertificateAuthorityService/ListAuthorities",
            "CertificateAuthorityService/ListIssuedCertificates",
        ],
    ),
    (
        "certificatecas/write",
        &[
            "CertificateAdminService/SetIssuer",
            "CertificateAdminService/UpdateIssuer",
            "CertificateAdminService/PauseIssuer",
            "CertificateAdminService/ResumeIssuer",
            "CertificateAdminService/RotateIssuerKey",
            "CertificateAdminService/DeactivateIssuer",
            "CertificateAuthorityService/ActivateAuthority",
            "CertificateAuthorityService/CreateAuthority",
            "CertificateAuthorityService/ImportAuthority",
            "CertificateAuthorityService/InstallAuthority",
            "CertificateAuthorityService/RetireAuthority",
            "CertificateAuthorityService/RevokeCertificate",
        ],
    ),
    ("certificatecas/delete", &["CertificateAdminService/DeleteIssuer"]),
    (
        "certificatecontacts/write",
        &[
            "CertificateAdminService/SetContacts",
            "CertificateAdminService/GetContacts",
            "CertificateAdminService/DeleteContacts",
        ],
    ),
    ("secrets/getSecret/action", &["SecretService/GetSecret"]),
    ("secrets/readMetadata/action", &["SecretService/ListSecrets", "SecretService/ListSecretVersions"]),
    ("keys/read", &["KeyService/GetKey", "KeyService/ListKeys", "KeyService/ListKeyVersions"]),
    ("keys/sign/action", &["KeyService/Sign"]),
    ("keys/verify/action", &["KeyService/Verify"]),
    ("keys/encrypt/action", &["KeyService/Encrypt"]),
    ("keys/decrypt/action", &["KeyService/Decrypt"]),
    ("keys/wrap/action", &["KeyService/WrapKey"]),
    ("keys/unwrap/action", &["KeyService/UnwrapKey"]),
    ("read", &["VaultService/GetVault", "VaultService/ListVaults"]),
    ("write", &["VaultService/CreateVault"]),
    (AUDIT, &["AuditService/ListAudit", "AuditService/ListAuditKeys"]),
    (INSTALLED, &["InstallationService/ReportInstallation"]),
    (MASTER_KEYS, &["MasterKeyService/GetMasterKeys"]),
    ("certmint/masterkeys/write", &["MasterKeyService/Reseal", "MasterKeyService/StopReseal"]),
    (HOOKS_READ, &["WebhookService/GetWebhook", "WebhookService/ListWebhooks", "WebhookService/ListDeliveries"]),
    (
        HOOKS_WRITE,
        &[
            "WebhookService/SetWebhook",
            "WebhookService/DeleteWebhook",
            "WebhookService/PauseWebhook",
            "WebhookService/ResumeWebhook",
            "WebhookService/TestWebhook",
            "WebhookService/Redeliver",
        ],
    ),
    // Everybody's.
    (
        SELF,
        &[
            "AccessService/WhoAmI",
            "AccessService/CheckAccess",
            "AccessService/ListGrants",
            "AccessService/ListRoles",
            "AccessService/GetGrant",
            "AccessService/GetRole",
        ],
    ),
    ("Microsoft.Authorization/roleAssignments/write", &["AccessService/CreateGrant"]),
    ("Microsoft.Authorization/roleAssignments/delete", &["AccessService/DeleteGrant"]),
    ("Microsoft.Authorization/roleDefinitions/write", &["AccessService/SetRole"]),
    ("Microsoft.Authorization/roleDefinitions/delete", &["AccessService/DeleteRole"]),
];

/// What no role of Azure's has.
const AUDIT: &str = "certmint/audit/read";
const MASTER_KEYS: &str = "certmint/masterkeys/read";

/// Webhooks.
const HOOKS_READ: &str = "certmint/webhooks/read";
const HOOKS_WRITE: &str = "certmint/webhooks/write";

/// What agents say.
const INSTALLED: &str = "certmint/installations/write";

/// What everybody may ask.
const SELF: &str = "certmint/access/self";

/// Data actions of the built-in roles, without the same beginning, but for those of another one; a star stands for any
/// text.
const ROLES: &[(&str, &[&str])] = &[
    ("Key Vault Administrator", &["*", HOOKS_READ]),
    ("Key Vault Reader", &["*/read", "secrets/readMetadata/action"]),
    ("Key Vault Certificates Officer", &["certificates/*", "certificatecas/*", "certificatecontacts/write"]),
    (
        "Key Vault Certificate User",
        &["certificates/read", "secrets/getSecret/action", "secrets/readMetadata/action", "keys/read"],
    ),
    ("Key Vault Secrets Officer", &["secrets/*"]),
    ("Key Vault Secrets User", &["secrets/getSecret/action", "secrets/readMetadata/action"]),
    ("Key Vault Crypto Officer", &["keys/*"]),
    (
        "Key Vault Crypto User",
        &[
            "keys/read",
            "keys/encrypt/action",
            "keys/decrypt/action",
            "keys/wrap/action",
            "keys/unwrap/action",
            "keys/sign/action",
            "keys/verify/action",
        ],
    ),
    ("Key Vault Crypto Service Encryption User", &["keys/read", "keys/wrap/action", "keys/unwrap/action"]),
    ("Key Vault Data Access Administrator", &["Microsoft.Authorization/roleAssignments/*"]),
    ("certmint Requester", &["certificates/read", "certificates/create/action", "certificates/update/action"]),
    ("certmint Watcher", &["certificates/read"]),
    ("certmint Agent", &["certificates/read", "secrets/getSecret/action", INSTALLED]),
    ("certmint Auditor", &["*/read", "secrets/readMetadata/action", AUDIT, MASTER_KEYS, HOOKS_READ]),
];

/// Routes that no method of the contract names: those of ours, and the writes of Key Vault that are always refused,
/// which say whether there is a certificate.
fn action_of_route(route: &str) -> Option<&'static str> {
    match route {
        "GET /certificates/issuers/{issuer_name}/ca"
        | "GET /certificates/issuers/{issuer_name}/ca/csr"
        | "GET /certificates/issuers/{issuer_name}/ca/issued"
        | "GET /certificates/issuers/{issuer_name}/ca/issued/{serial}" => Some("certificatecas/read"),
        "POST /certificates/issuers/{issuer_name}/ca/install"
        | "POST /certificates/issuers/{issuer_name}/ca/issued/{serial}/revoke"
        | "POST /certificates/{certificate_name}/{certificate_version}/revoke" => Some("certificatecas/write"),
        "GET /certificates/{certificate_name}/pending/watch" => Some("certificates/read"),
        "POST /certificates/{certificate_name}/renew" => Some("certificates/create/action"),
        _ => {
            let (verb, path) = route.split_once(' ').unwrap();
            if path.contains("/Microsoft.Authorization/") {
                return Some(match (verb, path.contains("/roleAssignments")) {
                    ("PUT", true) => "Microsoft.Authorization/roleAssignments/write",
                    ("DELETE", true) => "Microsoft.Authorization/roleAssignments/delete",
                    ("PUT", false) => "Microsoft.Authorization/roleDefinitions/write",
                    ("DELETE", false) => "Microsoft.Authorization/roleDefinitions/delete",
                    _ => SELF,
                });
            }
            let refused = path.starts_with("/secrets/{") || path.starts_with("/keys/{");
            (refused && verb != "GET").then_some("certificates/read")
        }
    }
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum About {
    Name,
    /// A list, or what finds its name later.
    Any,
    WholeVault,
    /// A vault that is not there yet.
    AllVaults,
}

fn allows(role: &str, action: &str) -> bool {
    let (_, patterns) = ROLES.iter().find(|(name, _)| *name == role).unwrap();
    let has = |action: &str| {
        patterns.iter().any(|pattern| match pattern.split_once('*') {
            _ if action.starts_with("Microsoft.") != pattern.starts_with("Microsoft.") => false,
            // `*/read` needs something before it.
            Some(("", end)) if !end.is_empty() => action.ends_with(end) && action.len() > end.len(),
            Some((begin, _)) => action.starts_with(begin),
            None => *pattern == action,
        } && (![AUDIT, MASTER_KEYS, HOOKS_READ].contains(&action) || *pattern == action))
    };
    let public = ["keys/verify/action", "keys/encrypt/action", "keys/wrap/action"].contains(&action);
    has(action) || public && has("keys/read")
}

fn action_of_method(method: &str) -> Option<&'static str> {
    METHODS.iter().find(|(_, methods)| methods.contains(&method)).map(|(action, _)| *action)
}

fn about(action: &str, names: bool) -> About {
    match action {
        _ if names => About::Name,
        // Without a name: the renewals of all certificates.
        "certificatecontacts/write" | "certificates/update/action" | HOOKS_READ | HOOKS_WRITE => About::WholeVault,
        // A role counts everywhere, and master keys are those of the whole server.
        MASTER_KEYS
        | "certmint/masterkeys/write"
        | "write"
        | "Microsoft.Authorization/roleDefinitions/write"
        | "Microsoft.Authorization/roleDefinitions/delete" => About::AllVaults,
        _ => About::Any,
    }
}

/// A grant of the role on `in-*` of the vault `default`, which the caller holds alone.
fn grant(role: &str) -> String {
    format!(
        "[[grant]]\nprincipal = \"token:shop\"\nrole = \"{role}\"\nvault = \"default\"\nnames = [\"in-*\"]\nissuers = [\"in-*\"]\n"
    )
}

/// Where a request goes, and whether the grant reaches it.
const PLACES: [(&str, &str, bool); 3] =
    [("default", "in-x", true), ("default", "out-x", false), ("two", "in-x", false)];

fn expected(role: &str, action: &str, about: About, vault: &str, within: bool) -> bool {
    action == SELF
        || allows(role, action)
            && match about {
                About::Name => within,
                About::Any => vault == "default",
                About::WholeVault | About::AllVaults => false,
            }
}

async fn server() -> Server {
    let server = Server::start("").await;
    let mut admin = certmint::proto::v1::vault_service_client::VaultServiceClient::new(server.channel(CALLERS[0]));
    let two = certmint::proto::v1::CreateVaultRequest { vault_name: "two".to_owned(), ..Default::default() };
    admin.create_vault(two).await.unwrap();
    server
}

/// The smallest message to a place, and whether it names an object there.
fn message(pool: &DescriptorPool, method: &str, vault: &str, name: &str) -> (Vec<u8>, bool) {
    let (service, method) = method.rsplit_once('/').unwrap();
    let service = pool.get_service_by_name(service).unwrap();
    let input = service.methods().find(|it| it.name() == method).unwrap().input();
    let mut message = DynamicMessage::new(input.clone());
    let mut named = false;
    for field in ["certificate_name", "secret_name", "key_name", "issuer_name"] {
        if input.get_field_by_name(field).is_some_and(|field| !field.is_list()) {
            message.set_field_by_name(field, Value::String(name.to_owned()));
            named = true;
        }
    }
    if input.get_field_by_name("vault_name").is_some() {
        message.set_field_by_name("vault_name", Value::String(vault.to_owned()));
    }
    (message.encode_to_vec(), named)
}

#[tokio::test]
async fn every_method_for_every_role_in_and_out_of_scope() {
    let server = server().await;
    let pool = DescriptorPool::decode(certmint::proto::DESCRIPTOR_SET).unwrap();
    let methods: Vec<String> = pool
        .services()
        .filter(|service| service.full_name().starts_with("certmint.v1."))
        .flat_map(|service| {
            let name = service.full_name().to_owned();
            service.methods().map(|method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
        })
        .collect();
    let without: Vec<&String> =
        methods.iter().filter(|method| action_of_method(&method["certmint.v1.".len()..]).is_none()).collect();
    assert!(without.is_empty(), "methods that are in no row of the table: {without:?}");
    let known: BTreeSet<&str> = methods.iter().map(|method| &method["certmint.v1.".len()..]).collect();
    let gone: Vec<&&str> =
        METHODS.iter().flat_map(|(_, names)| *names).filter(|name| !known.contains(**name)).collect();
    assert!(gone.is_empty(), "rows of methods that are not there: {gone:?}");

    let (mut wrong, mut tried, mut let_in) = (Vec::new(), 0, 0);
    for (role, _) in ROLES {
        server.regrant(&grant(role));
        for method in &methods {
            let action = action_of_method(&method["certmint.v1.".len()..]).unwrap();
            for (vault, name, within) in PLACES {
                let (message, named) = message(&pool, method, vault, name);
                let about = about(action, named);
                // A list of all vaults is in none.
                let everywhere = ["/ListVaults", "/ListProviders", "/ListAuditKeys", "/DeleteGrant"];
                let vault = if everywhere.iter().any(|end| method.ends_with(end)) { "default" } else { vault };
                let expected = expected(role, action, about, vault, within);
                let (code, reason) = server.call_raw("shop", method, &message).await;
                tried += 1;
                let_in += usize::from(expected);
                if (reason != "ACCESS_DENIED") != expected {
                    wrong.push(format!("{role}: {method} on {vault}/{name}: {code:?} {reason}, expected {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 1000 && let_in > 200, "{tried} {let_in}");
}

#[tokio::test]
async fn every_route_for_every_role_in_and_out_of_scope() {
    let server = server().await;
    let description: serde_json::Value = serde_json::from_slice(certmint::transport::rest::OPENAPI).unwrap();
    let of_contract: BTreeMap<String, String> = certmint::proto::rest_options()
        .into_iter()
        .flat_map(|(method, uris)| uris.into_iter().map(move |uri| (uri, method.clone())))
        .collect();
    let mut routes = Vec::new();
    for (path, verbs) in description["paths"].as_object().unwrap() {
        for verb in verbs.as_object().unwrap().keys().filter(|verb| *verb != "parameters") {
            let route = format!("{} {path}", verb.to_uppercase());
            let action = match of_contract.get(&route) {
                Some(method) => {
                    let (service, method) = method.trim_start_matches("certmint.v1.").rsplit_once('.').unwrap();
                    action_of_method(&format!("{service}/{method}"))
                }
                None => action_of_route(&route),
            };
            routes.push((route.clone(), action.unwrap_or_else(|| panic!("{route} is in no row of the table"))));
        }
    }
    let (mut wrong, mut tried, mut let_in) = (Vec::new(), 0, 0);
    for (role, _) in ROLES {
        server.regrant(&grant(role));
        for (route, action) in &routes {
            for (vault, name, within) in PLACES {
                let named = route.contains("_name}") || route.contains("{scope}");
                let expected = expected(role, action, about(action, named), vault, within);
                let request = filled(route, name);
                let reply = if request.ends_with("/watch") {
                    let answer = server.respond(&format!("{vault}.localhost:8443"), "shop", &request, "{}").await;
                    (answer.status().as_u16(), String::new())
                } else {
                    let reply = server.send_to(&format!("{vault}.localhost:8443"), "shop", &request, "{}").await;
                    (reply.status, reply.body)
                };
                tried += 1;
                let_in += usize::from(expected);
                let denied = reply.1.contains("ForbiddenByRbac") || request.ends_with("/watch") && reply.0 == 403;
                if denied == expected {
                    wrong.push(format!("{role}: {request} in {vault}: {} {}, expected {expected}", reply.0, reply.1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 1500 && let_in > 300, "{tried} {let_in}");
}

/// The path with names and versions in their places.
fn filled(route: &str, name: &str) -> String {
    let mut text = String::new();
    for (index, part) in route.split(['{', '}']).enumerate() {
        match (index % 2 == 1, part.ends_with("_version")) {
            (true, true) => text.push_str("0123456789abcdef0123456789abcdef"),
            (true, false) if part.ends_with("_id") => text.push_str("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
            (true, false) => text.push_str(name),
            (false, _) => text.push_str(part),
        }
    }
    text
}
