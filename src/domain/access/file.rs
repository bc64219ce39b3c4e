//! The file of grants and roles: what an installation keeps under version control.

use super::grant::{Grant, GrantInput, Source};
use super::pattern::VaultPattern;
use super::role::{Role, RoleSource, Roles};
use super::rules::{Rules, RulesInput};
use super::vault_rules::VaultRules;
use crate::domain::{Detail, Error, Result};
use serde::Deserialize;
use std::sync::Arc;
use uuid::{Builder, Uuid};

/// A role as it is written in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleInput {
    pub name: String,
    /// Data actions, in which `*` stands for any text.
    pub actions: Vec<String>,
    #[serde(default)]
    pub description: String,
    /// None: one that follows from the name.
    #[serde(default)]
    pub id: Option<String>,
}

/// Rules of a vault as they are written in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultRulesInput {
    /// The name of a vault, or `*`.
    pub vault: String,
    pub rules: RulesInput,
}

/// The file as it is written: tables `[[grant]]`, `[[role]]` and `[[vault_rules]]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileInput {
    pub role: Vec<RoleInput>,
    pub grant: Vec<GrantInput>,
    pub vault_rules: Vec<VaultRulesInput>,
}

/// What the file says.
#[derive(Clone, Debug, Default)]
pub struct AccessFile {
    pub roles: Vec<Role>,
    pub grants: Vec<Arc<Grant>>,
    pub vault_rules: VaultRules,
}

impl AccessFile {
    /// Reads what was written. All of it is good, or the first problem is named with its place.
    pub fn parse(input: &FileInput) -> Result<Self> {
        let mut known = Roles::default();
        let mut roles = Vec::with_capacity(input.role.len());
        for (number, written) in (1..).zip(&input.role) {
            let RoleInput { name, actions, description, id } = written;
            let id = match id {
                None => Ok(id_of(name)),
                Some(text) => Uuid::try_parse(text).map_err(|_| Error::field("id", format!("`{text}` is not a UUID."))),
            };
            let role = id
                .and_then(|id| Role::custom(id, name, description, actions.clone(), RoleSource::File))
                .and_then(|role| match known.get(role.id) {
                    Some(other) if other.source != RoleSource::BuiltIn => {
                        Err(Error::field("id", format!("The role {} has the same id, {}.", other.name, role.id)))
                    }
                    _ => known.set(role.clone()).map(|()| role),
                })
                .map_err(|error| at(&format!("[[role]] number {number} ({name})"), &error))?;
            roles.push(role);
        }
        let grant = |(number, written): (usize, &GrantInput)| {
            Grant::parse(written, format!("file-{number}"), Source::File, &known)
                .map(Arc::new)
                .map_err(|error| at(&format!("[[grant]] number {number} ({})", written.principal), &error))
        };
        let grants: Vec<_> = (1..).zip(&input.grant).map(grant).collect::<Result<_>>()?;
        super::table::bounded(&grants)?;
        let rules = |(number, VaultRulesInput { vault, rules }): (usize, &VaultRulesInput)| {
            let pattern = VaultPattern::parse(vault).map_err(|error| Error::field("vault", error.message));
            let read = pattern.and_then(|pattern| Ok((pattern, Rules::parse(rules)?)));
            read.map_err(|error| at(&format!("[[vault_rules]] number {number} ({vault})"), &error))
        };
        let vault_rules = VaultRules((1..).zip(&input.vault_rules).map(rules).collect::<Result<_>>()?);
        Ok(Self { roles, grants, vault_rules })
    }
}

/// The problem of a member, with its place in the file.
fn at(place: &str, error: &Error) -> Error {
    let problem = error.details.iter().find_map(|detail| match detail {
        Detail::Field { path, problem } => Some(format!("{path}: {problem}")),
        _ => None,
    });
    Error::bad_parameter(format!("{place}: {}", problem.unwrap_or_else(|| error.message.clone())))
}

/// The same for the same name, in any case (FNV-1a of 128 bits, as a UUID of version 8).
fn id_of(name: &str) -> Uuid {
    let step =
        |hash: u128, byte: u8| (hash ^ u128::from(byte.to_ascii_lowercase())).wrapping_mul(0x1000000000000000000013b);
    let hash = name.trim().bytes().fold(0x6c62272e07bb014262b821756295c58d, step);
    Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str) -> RoleInput {
        let actions = vec!["Microsoft.KeyVault/vaults/certificates/read".to_owned()];
        RoleInput { name: name.into(), actions, description: String::new(), id: None }
    }

    fn grant(role: &str) -> GrantInput {
        GrantInput {
            principal: "token:shop".into(),
            role: role.into(),
            vault: "default".into(),
            ..GrantInput::default()
        }
    }

    #[test]
    fn grants_may_name_roles_of_the_file() {
        let grants = vec![grant("looker"), grant("Key Vault Reader")];
        let input = FileInput { role: vec![role("Looker")], grant: grants, vault_rules: Vec::new() };
        let file = AccessFile::parse(&input).unwrap();
        assert_eq!((file.roles.len(), file.grants.len()), (1, 2));
        assert_eq!((file.grants[0].id.as_str(), file.grants[0].role.id), ("file-1", file.roles[0].id));
        assert_eq!(id_of("Looker"), id_of(" lookeR"));
        assert_ne!(id_of("Looker"), id_of("Lookers"));
    }

    #[test]
    fn problems_have_their_place() {
        let problem = |role: Vec<RoleInput>, grant: Vec<GrantInput>| {
            AccessFile::parse(&FileInput { role, grant, vault_rules: Vec::new() }).unwrap_err().message
        };
        let message = problem(Vec::new(), vec![grant("Key Vault Reader"), grant("Nobody")]);
        assert!(message.starts_with("[[grant]] number 2 (token:shop): role: There is no role `Nobody`."), "{message}");
        let message = problem(vec![role("a"), role("A")], Vec::new());
        assert!(message.starts_with("[[role]] number 2 (A): id: The role a has the same id"), "{message}");
        let message = problem(vec![role("Key Vault Reader")], Vec::new());
        assert!(message.starts_with("[[role]] number 1 (Key Vault Reader): name: There is a role"), "{message}");
    }
}
