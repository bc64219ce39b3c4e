//! The data actions that guard what callers do, in the words of Azure's role-based access control where it has one
//! (`Microsoft.KeyVault/vaults/certificates/read`), so that roles that were written for Key Vault mean the same here.

/// Declares each action once, with its text.
macro_rules! actions {
    ($($action:ident = $text:literal,)+) => {
        /// What a caller may be allowed to do.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum DataAction {
            $(#[doc = $text] $action,)+
        }

        impl DataAction {
            pub const ALL: &[Self] = &[$(Self::$action),+];

            /// As roles name it.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$action => $text,)+
                }
            }
        }
    };
}

actions! {
    CertificatesRead = "Microsoft.KeyVault/vaults/certificates/read",
    CertificatesCreate = "Microsoft.KeyVault/vaults/certificates/create/action",
    CertificatesUpdate = "Microsoft.KeyVault/vaults/certificates/update/action",
    CertificatesImport = "Microsoft.KeyVault/vaults/certificates/import/action",
    CertificatesDelete = "Microsoft.KeyVault/vaults/certificates/delete",
    CertificatesRecover = "Microsoft.KeyVault/vaults/certificates/recover/action",
    CertificatesPurge = "Microsoft.KeyVault/vaults/certificates/purge/action",
    CertificatesBackup = "Microsoft.KeyVault/vaults/certificates/backup/action",
    CertificatesRestore = "Microsoft.KeyVault/vaults/certificates/restore/action",
    IssuersRead = "Microsoft.KeyVault/vaults/certificatecas/read",
    IssuersWrite = "Microsoft.KeyVault/vaults/certificatecas/write",
    IssuersDelete = "Microsoft.KeyVault/vaults/certificatecas/delete",
    ContactsWrite = "Microsoft.KeyVault/vaults/certificatecontacts/write",
    SecretsGet = "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    SecretsReadMetadata = "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    KeysRead = "Microsoft.KeyVault/vaults/keys/read",
    KeysSign = "Microsoft.KeyVault/vaults/keys/sign/action",
    KeysVerify = "Microsoft.KeyVault/vaults/keys/verify/action",
    KeysEncrypt = "Microsoft.KeyVault/vaults/keys/encrypt/action",
    KeysDecrypt = "Microsoft.KeyVault/vaults/keys/decrypt/action",
    KeysWrap = "Microsoft.KeyVault/vaults/keys/wrap/action",
    KeysUnwrap = "Microsoft.KeyVault/vaults/keys/unwrap/action",
    VaultsRead = "Microsoft.KeyVault/vaults/read",
    VaultsWrite = "Microsoft.KeyVault/vaults/write",
    BackupsMove = "certmint/backups/move",
    RoleAssignmentsRead = "Microsoft.Authorization/roleAssignments/read",
    RoleAssignmentsWrite = "Microsoft.Authorization/roleAssignments/write",
    RoleAssignmentsDelete = "Microsoft.Authorization/roleAssignments/delete",
    RoleDefinitionsWrite = "Microsoft.Authorization/roleDefinitions/write",
    RoleDefinitionsDelete = "Microsoft.Authorization/roleDefinitions/delete",
    AuditRead = "certmint/audit/read",
    MasterKeysRead = "certmint/masterkeys/read",
    MasterKeysWrite = "certmint/masterkeys/write",
    AccessSelf = "certmint/access/self",
    InstallationsWrite = "certmint/installations/write",
    WebhooksRead = "certmint/webhooks/read",
    WebhooksWrite = "certmint/webhooks/write",
}

/// What kind of request an action is, for limits of callers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RequestKind {
    /// Makes a version of a certificate, or begins to.
    Creation,
    /// Uses a key.
    KeyOperation,
    /// Reads a secret.
    Secret,
    Read,
    Change,
}

impl RequestKind {
    pub const ALL: [Self; 5] = [Self::Creation, Self::KeyOperation, Self::Secret, Self::Read, Self::Change];

    /// As settings and metrics name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Creation => "creations",
            Self::KeyOperation => "key_operations",
            Self::Secret => "secrets",
            Self::Read => "reads",
            Self::Change => "changes",
        }
    }
}

impl DataAction {
    /// What kind of request it is.
    pub const fn request_kind(self) -> RequestKind {
        match self {
            Self::CertificatesCreate | Self::CertificatesImport | Self::CertificatesRestore => RequestKind::Creation,
            Self::KeysSign
            | Self::KeysVerify
            | Self::KeysEncrypt
            | Self::KeysDecrypt
            | Self::KeysWrap
            | Self::KeysUnwrap => RequestKind::KeyOperation,
            Self::SecretsGet => RequestKind::Secret,
            Self::CertificatesRead
            | Self::IssuersRead
            | Self::SecretsReadMetadata
            | Self::KeysRead
            | Self::VaultsRead
            | Self::RoleAssignmentsRead
            | Self::AuditRead
            | Self::MasterKeysRead
            | Self::WebhooksRead
            | Self::AccessSelf => RequestKind::Read,
            Self::CertificatesUpdate
            | Self::CertificatesDelete
            | Self::CertificatesRecover
            | Self::CertificatesPurge
            | Self::CertificatesBackup
            | Self::IssuersWrite
            | Self::IssuersDelete
            | Self::ContactsWrite
            | Self::VaultsWrite
            | Self::MasterKeysWrite
            | Self::InstallationsWrite
            | Self::WebhooksWrite
            | Self::BackupsMove
            | Self::RoleAssignmentsWrite
            | Self::RoleAssignmentsDelete
            | Self::RoleDefinitionsWrite
            | Self::RoleDefinitionsDelete => RequestKind::Change,
        }
    }

    /// The action of a text; case matters, as in the contract.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.text() == text)
    }

    /// Whether it changes who may do what. That is refused without a grant even where refusals are otherwise only written
    /// down: what was granted then would count later.
    pub const fn changes_rights(self) -> bool {
        matches!(
            self,
            Self::RoleAssignmentsWrite
                | Self::RoleAssignmentsDelete
                | Self::RoleDefinitionsWrite
                | Self::RoleDefinitionsDelete
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_a_text_of_its_own() {
        for action in DataAction::ALL {
            assert_eq!(DataAction::parse(action.text()), Some(*action));
        }
        assert_eq!(DataAction::parse("Microsoft.KeyVault/vaults/*"), None);
    }
}
