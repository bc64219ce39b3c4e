//! Roles: names for lists of data actions. The built-in ones are Azure's, with their ids and their actions ("Azure
//! built-in roles for Security"), so that what was granted in Key Vault can be granted here, and three of ours.

use super::action_set::ActionSet;
use crate::domain::{DataAction, Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
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

/// A name, an id and the patterns of actions.
type BuiltIn = (&'static str, Uuid, &'static str, &'static [&'static str]);

const BUILT_IN: [BuiltIn; 13] = [
    (
        ADMINISTRATOR,
        uuid!("00482a5a-887f-4fb3-b363-3b7fe8e74483"),
        "Everything with certificates, keys, secrets, issuers and contacts.",
        &["Microsoft.KeyVault/vaults/*", "certmint/backups/move"],
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
        "certmint Auditor",
        uuid!("7e3e0cfd-c710-4233-9b41-41522de883d7"),
        "Reads everything but the values of secrets, the grants, and the audit records.",
        &[
            "Microsoft.KeyVault/vaults/*/read",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            "Microsoft.Authorization/*/read",
            "certmint/audit/read",
        ],
    ),
];

/// Longest name and description of a role, in characters.
const MAX_NAME: usize = 128;
const MAX_DESCRIPTION: usize = 1024;
/// Most patterns of a role, and the longest of them.
const MAX_PATTERNS: usize = 64;
const MAX_PATTERN: usize = 256;
/// How patterns begin that can name an action.
const NAMESPACES: [&str; 3] = ["Microsoft.KeyVault/", "Microsoft.Authorization/", "certmint/"];

/// A named list of data actions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Role {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    /// As they were written, with their stars.
    pub patterns: Vec<String>,
    /// What of them there is here.
    pub actions: ActionSet,
    pub built_in: bool,
}

impl Role {
    /// A role of an installation's own.
    pub fn custom(id: Uuid, name: &str, description: &str, patterns: Vec<String>) -> Result<Self> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(Error::field("name", format!("A role has a name of 1 to {MAX_NAME} characters.")));
        }
        if description.chars().count() > MAX_DESCRIPTION || description.chars().any(char::is_control) {
            return Err(Error::field("description", format!("It has up to {MAX_DESCRIPTION} characters in one line.")));
        }
        if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
            return Err(Error::field("actions", format!("A role has 1 to {MAX_PATTERNS} data actions.")));
        }
        for pattern in &patterns {
            let begins =
                |start: &&str| pattern.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
            let known = pattern == "*" || NAMESPACES.iter().any(begins);
            if !known || pattern.len() > MAX_PATTERN || !pattern.bytes().all(|byte| byte.is_ascii_graphic()) {
                let shown: String = pattern.chars().filter(|c| !c.is_control()).take(80).collect();
                return Err(Error::field(
                    "actions",
                    format!(
                        "`{shown}` is not a data action, such as Microsoft.KeyVault/vaults/certificates/read; a * stands for any text."
                    ),
                ));
            }
        }
        let actions = actions(patterns.iter().map(String::as_str));
        Ok(Self { id, name: name.to_owned(), description: description.to_owned(), patterns, actions, built_in: false })
    }

    /// What the administrators of the configuration have: everything. It is not in the list of roles.
    pub fn of_administrators() -> Self {
        Self {
            id: Uuid::nil(),
            name: "administrator of the configuration".to_owned(),
            description: "Everything, on every vault.".to_owned(),
            patterns: vec!["*".to_owned()],
            actions: ActionSet::ALL,
            built_in: true,
        }
    }

    fn built_in((name, id, description, patterns): BuiltIn) -> Self {
        Self {
            id,
            name: name.to_owned(),
            description: description.to_owned(),
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            actions: actions(patterns.iter().copied()),
            built_in: true,
        }
    }
}

/// What the patterns allow. Who reads a key may do with its public half what anybody could do elsewhere ("can be
/// performed by principals with read access").
fn actions<'a>(patterns: impl IntoIterator<Item = &'a str>) -> ActionSet {
    use DataAction as A;
    let set = ActionSet::of_patterns(patterns);
    if set.has(A::KeysRead) { set.with(A::KeysVerify).with(A::KeysEncrypt).with(A::KeysWrap) } else { set }
}

/// The roles that there are.
#[derive(Clone, Debug)]
pub struct Roles(BTreeMap<Uuid, Arc<Role>>);

impl Default for Roles {
    /// The built-in ones.
    fn default() -> Self {
        Self(BUILT_IN.into_iter().map(|role| (role.1, Arc::new(Role::built_in(role)))).collect())
    }
}

impl Roles {
    /// By its id, or by its name, whose case does not matter.
    pub fn find(&self, name_or_id: &str) -> Option<&Arc<Role>> {
        let by_id = Uuid::try_parse(name_or_id).ok().and_then(|id| self.0.get(&id));
        by_id.or_else(|| self.0.values().find(|role| role.name.eq_ignore_ascii_case(name_or_id)))
    }

    pub fn get(&self, id: Uuid) -> Option<&Arc<Role>> {
        self.0.get(&id)
    }

    /// As [`Roles::find`]; the error names those that there are.
    pub fn named(&self, name_or_id: &str) -> Result<&Arc<Role>> {
        self.find(name_or_id).ok_or_else(|| {
            let shown: String = name_or_id.chars().filter(|c| !c.is_control()).take(80).collect();
            let known: Vec<&str> = self.0.values().map(|role| role.name.as_str()).take(40).collect();
            Error::field("role", format!("There is no role `{shown}`. There are: {}.", known.join(", ")))
        })
    }

    /// Adds a custom role, or replaces the one of this id. A name belongs to one role.
    pub fn set(&mut self, role: Role) -> Result<()> {
        if self.0.get(&role.id).is_some_and(|old| old.built_in) {
            return Err(Error::field("id", format!("{} is a built-in role, which cannot be changed.", role.id)));
        }
        let taken = |other: &&Arc<Role>| other.id != role.id && other.name.eq_ignore_ascii_case(&role.name);
        if let Some(other) = self.0.values().find(taken) {
            return Err(Error::field(
                "name",
                format!("There is a role {} already, with the id {}.", other.name, other.id),
            ));
        }
        self.0.insert(role.id, Arc::new(role));
        Ok(())
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                &[A::CertificatesUpdate, A::KeysSign, A::KeysUnwrap],
            ),
            (SECRETS_USER, &[A::SecretsGet, A::SecretsReadMetadata], &[A::CertificatesRead]),
            (CRYPTO_USER, &[A::KeysSign, A::KeysUnwrap, A::KeysVerify], &[A::CertificatesRead, A::SecretsGet]),
            (ENCRYPTION_USER, &[A::KeysRead, A::KeysWrap, A::KeysUnwrap], &[A::KeysSign, A::KeysDecrypt]),
            ("certmint Requester", &[A::CertificatesCreate, A::CertificatesUpdate], &[A::IssuersRead, A::SecretsGet]),
            ("certmint Watcher", &[A::CertificatesRead], &[A::CertificatesUpdate, A::SecretsReadMetadata]),
            (ACCESS_ADMINISTRATOR, &[], &[A::CertificatesRead, A::VaultsRead]),
        ] {
            assert!(allows.iter().all(|action| has(role, *action)), "{role}");
            assert!(!refuses.iter().any(|action| has(role, *action)), "{role}");
        }
        assert_eq!(Roles::default().iter().count(), BUILT_IN.len());
    }

    #[test]
    fn a_role_is_found_by_name_and_by_id() {
        let roles = Roles::default();
        let id = "A4417E6F-fecd-4de8-b567-7b0420556985";
        assert_eq!(roles.named(id).unwrap().name, CERTIFICATES_OFFICER);
        assert_eq!(roles.named("key vault certificates officer").unwrap().id, roles.named(id).unwrap().id);
        let message = roles.named("Officer").unwrap_err().message;
        assert!(message.contains("There is no role `Officer`") && message.contains(READER), "{message}");
        assert!(GRANTED_BY_ACCESS_ADMINISTRATORS.iter().all(|name| roles.find(name).is_some()));
    }

    #[test]
    fn a_custom_role_has_actions_with_stars_and_a_name_of_its_own() {
        let custom = |name: &str, patterns: &[&str]| {
            let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            Role::custom(Uuid::from_u128(7), name, "", patterns)
        };
        let role = custom("Renewer", &["Microsoft.KeyVault/vaults/certificates/*/action"]).unwrap();
        assert!(role.actions.has(DataAction::CertificatesCreate) && !role.actions.has(DataAction::CertificatesRead));
        let mut roles = Roles::default();
        roles.set(role).unwrap();
        roles.set(custom("renewer", &["*"]).unwrap()).unwrap();
        assert!(roles.named("RENEWER").unwrap().actions.has(DataAction::SecretsGet), "replaced");
        for (name, patterns, problem) in [
            ("", &["*"][..], "A role has a name"),
            ("a\nb", &["*"], "A role has a name"),
            ("a", &[], "1 to 64 data actions"),
            ("a", &["certificates/read"], "is not a data action"),
            ("a", &["Microsoft.KeyVault/vaults/certificates/ read"], "is not a data action"),
        ] {
            let message = custom(name, patterns).unwrap_err().message;
            assert!(message.contains(problem), "{message}");
        }
        let taken = Role::custom(Uuid::from_u128(8), "key vault reader", "", vec!["*".to_owned()]).unwrap();
        assert!(roles.set(taken).unwrap_err().message.contains("already"));
        let reader = Role::custom(BUILT_IN[1].1, "Mine", "", vec!["*".to_owned()]).unwrap();
        assert!(roles.set(reader).unwrap_err().message.contains("built-in"));
    }
}
