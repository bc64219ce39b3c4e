//! The roles that every server has. They are Azure's, with their ids and their actions ("Azure built-in roles for
//! Security"), so that what was granted in Key Vault can be granted here, and four of ours.

use uuid::{Uuid, uuid};

const ADMINISTRATOR: &str = "Key Vault Administrator";
const READER: &str = "Key Vault Reader";
const CERTIFICATES_OFFICER: &str = "Key Vault Certificates Officer";
const CERTIFICATE_USER: &str = "Key Vault Certificate User";
const SECRETS_OFFICER: &str = "Key Vault Secrets Officer";
const SECRETS_USER: &str = "Key Vault Secrets User";
const CRYPTO_OFFICER: &str = "Key Vault Crypto Officer";
const CRYPTO_USER: &str = "Key Vault Crypto User";
const ENCRYPTION_USER: &str = "Key Vault Crypto Service Encryption User";
pub(super) const ACCESS_ADMINISTRATOR: &str = "Key Vault Data Access Administrator";

/// The eight roles that a Key Vault Data Access Administrator may grant where the grant does not say others.
pub(super) const GRANTED_BY_ACCESS_ADMINISTRATORS: [&str; 8] = [
    ADMINISTRATOR,
    CERTIFICATES_OFFICER,
    CRYPTO_OFFICER,
    ENCRYPTION_USER,
    CRYPTO_USER,
    READER,
    SECRETS_OFFICER,
    SECRETS_USER,
];

/// A name, an id, a description and the patterns of actions.
pub(super) type BuiltIn = (&'static str, Uuid, &'static str, &'static [&'static str]);

pub(super) const BUILT_IN: [BuiltIn; 14] = [
    (
        ADMINISTRATOR,
        uuid!("00482a5a-887f-4fb3-b363-3b7fe8e74483"),
        "Everything with certificates, keys, secrets, issuers and contacts.",
        &[
            "Microsoft.KeyVault/vaults/*",
            "certmint/backups/move",
            "certmint/installations/write",
            "certmint/webhooks/read",
            "certmint/webhooks/write",
        ],
    ),
    (
        READER,
        uuid!("21090545-7ca7-4776-b22c-e363652d74d2"),
        "Reads everything but the values of secrets.",
        &["Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/secrets/readMetadata/action"],
    ),
    (
        CERTIFICATES_OFFICER,
        uuid!("a4417e6f-fecd-4de8-b567-7b0420556985"),
        "Everything with certificates, issuers and contacts, but neither secrets nor keys.",
        &[
            "Microsoft.KeyVault/vaults/certificates/*",
            "Microsoft.KeyVault/vaults/certificatecas/*",
            "Microsoft.KeyVault/vaults/certificatecontacts/write",
        ],
    ),
    (
        CERTIFICATE_USER,
        uuid!("db79e9a7-68ee-4b58-9aeb-b90e7c24fcba"),
        "Reads certificates with their private keys.",
        &[
            "Microsoft.KeyVault/vaults/certificates/read",
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            "Microsoft.KeyVault/vaults/keys/read",
        ],
    ),
    (
        SECRETS_OFFICER,
        uuid!("b86a8fe4-44ce-4948-aee5-eccb2c155cd7"),
        "Everything with secrets.",
        &["Microsoft.KeyVault/vaults/secrets/*"],
    ),
    (
        SECRETS_USER,
        uuid!("4633458b-17de-408a-b874-0445c86b69e6"),
        "Reads secrets.",
        &[
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ],
    ),
    (
        CRYPTO_OFFICER,
        uuid!("14b46e9e-c2b7-41b4-b07b-48a6ebf60603"),
        "Everything with keys.",
        &["Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keyrotationpolicies/*"],
    ),
    (
        CRYPTO_USER,
        uuid!("12338af0-0e69-4776-bea7-57ae8d297424"),
        "Uses keys.",
        &[
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/update/action",
            "Microsoft.KeyVault/vaults/keys/backup/action",
            "Microsoft.KeyVault/vaults/keys/encrypt/action",
            "Microsoft.KeyVault/vaults/keys/decrypt/action",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
            "Microsoft.KeyVault/vaults/keys/sign/action",
            "Microsoft.KeyVault/vaults/keys/verify/action",
        ],
    ),
    (
        ENCRYPTION_USER,
        uuid!("e147488a-f6f5-4113-8e2d-b22465e65bf6"),
        "Reads keys, wraps and unwraps with them.",
        &[
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
        ],
    ),
    (
        ACCESS_ADMINISTRATOR,
        uuid!("8b54135c-b56d-4d72-a534-26097cfdc8d8"),
        "Grants and revokes roles, within its own vault and names.",
        &["Microsoft.Authorization/roleAssignments/*", "Microsoft.Authorization/*/read"],
    ),
    (
        "certmint Requester",
        uuid!("08c0f0ac-e979-40ee-bef3-0220758aa361"),
        "Asks for certificates and reads them, without their keys, and without a say about issuers.",
        &[
            "Microsoft.KeyVault/vaults/certificates/read",
            "Microsoft.KeyVault/vaults/certificates/create/action",
            "Microsoft.KeyVault/vaults/certificates/update/action",
        ],
    ),
    (
        "certmint Watcher",
        uuid!("53a4d3c2-0632-49cb-a7e9-281fda30d604"),
        "Reads certificates and follows their pending operations.",
        &["Microsoft.KeyVault/vaults/certificates/read"],
    ),
    (
        "certmint Agent",
        uuid!("3a6f5c0e-94a9-4c0b-9d1b-5a0c7f6f2b1e"),
        "Reads certificates with their private keys, follows their pending operations, and reports where they are installed.",
        &[
            "Microsoft.KeyVault/vaults/certificates/read",
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "certmint/installations/write",
        ],
    ),
    (
        "certmint Auditor",
        uuid!("7e3e0cfd-c710-4233-9b41-41522de883d7"),
        "Reads everything but the values of secrets, and reads grants.",
        &[
            "Microsoft.KeyVault/vaults/*/read",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            "Microsoft.Authorization/*/read",
            "certmint/audit/read",
            "certmint/masterkeys/read",
            "certmint/webhooks/read",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::super::role::Roles;
    use super::*;
    use crate::domain::DataAction;

    fn has(role: &str, action: DataAction) -> bool {
        Roles::default().named(role).unwrap().actions.has(action)
    }

    #[test]
    fn built_in_roles_allow_what_azures_do() {
        use DataAction as A;
        for (role, allows, refuses) in [
            (ADMINISTRATOR, &[A::SecretsGet, A::VaultsWrite, A::IssuersDelete, A::KeysSign][..], &[][..]),
            (
                READER,
                &[A::CertificatesRead, A::IssuersRead, A::KeysRead, A::SecretsReadMetadata],
                &[A::SecretsGet, A::CertificatesCreate, A::ContactsWrite, A::KeysSign, A::VaultsRead],
            ),
            (
                CERTIFICATES_OFFICER,
                &[A::CertificatesPurge, A::IssuersWrite, A::ContactsWrite],
                &[A::SecretsGet, A::SecretsReadMetadata, A::KeysRead, A::VaultsRead],
            ),
            (
                CERTIFICATE_USER,
                &[A::CertificatesRead, A::SecretsGet, A::KeysRead, A::KeysVerify, A::KeysWrap],
                &[A::CertificatesUpdate, A::KeysSign, A::KeysUnwrap, A::InstallationsWrite],
            ),
            (SECRETS_USER, &[A::SecretsGet, A::SecretsReadMetadata], &[A::CertificatesRead]),
            (CRYPTO_USER, &[A::KeysSign, A::KeysUnwrap, A::KeysVerify], &[A::CertificatesRead, A::SecretsGet]),
            (ENCRYPTION_USER, &[A::KeysRead, A::KeysWrap, A::KeysUnwrap], &[A::KeysSign, A::KeysDecrypt]),
            ("certmint Requester", &[A::CertificatesCreate, A::CertificatesUpdate], &[A::IssuersRead, A::SecretsGet]),
            (
                "certmint Agent",
                &[A::CertificatesRead, A::SecretsGet, A::InstallationsWrite],
                &[A::CertificatesUpdate, A::KeysSign, A::CertificatesCreate],
            ),
            ("certmint Watcher", &[A::CertificatesRead], &[A::CertificatesUpdate, A::SecretsReadMetadata]),
            (
                ACCESS_ADMINISTRATOR,
                &[A::RoleAssignmentsRead, A::RoleAssignmentsWrite, A::RoleAssignmentsDelete],
                &[A::CertificatesRead, A::VaultsRead, A::RoleDefinitionsWrite],
            ),
        ] {
            assert!(allows.iter().all(|action| has(role, *action)), "{role}");
            assert!(!refuses.iter().any(|action| has(role, *action)), "{role}");
        }
        assert_eq!(Roles::default().iter().count(), BUILT_IN.len());
    }

    #[test]
    fn what_an_access_administrator_may_grant_is_there() {
        let roles = Roles::default();
        assert!(GRANTED_BY_ACCESS_ADMINISTRATORS.iter().all(|name| roles.find(name).is_some()));
    }
}
