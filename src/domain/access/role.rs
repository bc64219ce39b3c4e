//! Roles: names for lists of data actions.

use super::action_set::ActionSet;
use super::built_in::{BUILT_IN, BuiltIn};
use super::given::shown;
use super::grant::Made;
use crate::domain::text;
use crate::domain::{DataAction, Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

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
    pub source: RoleSource,
}

/// Where a role comes from. Of two with the same name the first of these is found by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RoleSource {
    /// Every server has it.
    BuiltIn,
    /// The file of grants.
    File,
    /// The store: who set it last, and when.
    Store(Made),
}

impl RoleSource {
    fn rank(&self) -> u8 {
        match self {
            Self::BuiltIn => 0,
            Self::File => 1,
            Self::Store(_) => 2,
        }
    }
}

impl Role {
    /// A role of an installation's own.
    pub fn custom(id: Uuid, name: &str, description: &str, patterns: Vec<String>, source: RoleSource) -> Result<Self> {
        let name = name.trim();
        if name.is_empty() {
            return Err(Error::field("name", format!("A role has a name of 1 to {MAX_NAME} characters.")));
        }
        text::check("name", name, MAX_NAME)?;
        text::check("description", description, MAX_DESCRIPTION)?;
        if patterns.is_empty() || patterns.len() > MAX_PATTERNS {
            return Err(Error::field("actions", format!("A role has 1 to {MAX_PATTERNS} data actions.")));
        }
        for pattern in &patterns {
            let begins =
                |start: &&str| pattern.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
            let known = pattern == "*" || NAMESPACES.iter().any(begins);
            if !known || pattern.len() > MAX_PATTERN || !pattern.bytes().all(|byte| byte.is_ascii_graphic()) {
                let shown = shown(pattern);
                return Err(Error::field(
                    "actions",
                    format!(
                        "`{shown}` is not a data action, such as Microsoft.KeyVault/vaults/certificates/read; a * stands for any text."
                    ),
                ));
            }
        }
        let actions = actions(patterns.iter().map(String::as_str));
        Ok(Self { id, name: name.to_owned(), description: description.to_owned(), patterns, actions, source })
    }

    /// One of the store. What a version before wrote may have characters that are refused today.
    pub fn restored(id: Uuid, name: &str, description: &str, patterns: Vec<String>, made: Made) -> Result<Self> {
        let (name, description) = (text::readable(name, MAX_NAME), text::readable(description, MAX_DESCRIPTION));
        Self::custom(id, &name, &description, patterns, RoleSource::Store(made))
    }

    /// What the administrators of the configuration have: everything. It is not in the list of roles.
    pub fn of_administrators() -> Self {
        Self {
            id: Uuid::nil(),
            name: "administrator of the configuration".to_owned(),
            description: "Everything, on every vault.".to_owned(),
            patterns: vec!["*".to_owned()],
            actions: ActionSet::ALL,
            source: RoleSource::BuiltIn,
        }
    }

    /// Stands for a role that is not there any more: a grant of it allows nothing.
    pub fn missing(id: Uuid) -> Self {
        Self {
            id,
            name: id.to_string(),
            description: "This role is missing.".to_owned(),
            patterns: Vec::new(),
            actions: ActionSet::default(),
            source: RoleSource::File,
        }
    }

    fn built_in((name, id, description, patterns): BuiltIn) -> Self {
        Self {
            id,
            name: name.to_owned(),
            description: description.to_owned(),
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            actions: actions(patterns.iter().copied()),
            source: RoleSource::BuiltIn,
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
        let named = |role: &&Arc<Role>| role.name.eq_ignore_ascii_case(name_or_id);
        by_id.or_else(|| self.0.values().filter(named).min_by_key(|role| role.source.rank()))
    }

    pub fn get(&self, id: Uuid) -> Option<&Arc<Role>> {
        self.0.get(&id)
    }

    /// As [`Roles::find`]; the error names those that there are.
    pub fn named(&self, name_or_id: &str) -> Result<&Arc<Role>> {
        self.find(name_or_id).ok_or_else(|| {
            let shown = shown(name_or_id);
            let known: Vec<&str> = self.0.values().map(|role| role.name.as_str()).take(40).collect();
            Error::field("role", format!("There is no role `{shown}`. There are: {}.", known.join(", ")))
        })
    }

    /// Adds a custom role, or replaces the one of this id. A name belongs to one role, is none of what stands for a role
    /// elsewhere, and looks like itself alone.
    pub fn set(&mut self, role: Role) -> Result<()> {
        if role.name == "*" || Uuid::try_parse(&role.name).is_ok() {
            let problem = "A role is also named by its id, and * stands for every role: give it another name.";
            return Err(Error::field("name", problem));
        }
        if role.name.split_whitespace().collect::<Vec<_>>().join(" ") != role.name {
            return Err(Error::field("name", "One space separates the words of a name."));
        }
        if self.0.get(&role.id).is_some_and(|old| old.source == RoleSource::BuiltIn) {
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

    /// Adds a role of the store, unless there is one with its id already: the file may have got one since.
    pub fn add_stored(&mut self, role: Role) {
        self.0.entry(role.id).or_insert_with(|| Arc::new(role));
    }

    /// In the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_role_is_found_by_name_and_by_id() {
        let roles = Roles::default();
        let id = "A4417E6F-fecd-4de8-b567-7b0420556985";
        assert_eq!(roles.named(id).unwrap().name, "Key Vault Certificates Officer");
        assert_eq!(roles.named("key vault certificates officer").unwrap().id, roles.named(id).unwrap().id);
        let message = roles.named("Officer").unwrap_err().message;
        assert!(message.contains("There is no role `Officer`") && message.contains("Key Vault Reader"), "{message}");
    }

    #[test]
    fn a_custom_role_has_actions_with_stars_and_a_name_of_its_own() {
        let custom = |name: &str, patterns: &[&str]| {
            let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
            Role::custom(Uuid::from_u128(7), name, "", patterns, RoleSource::File)
        };
        let role = custom("Renewer", &["Microsoft.KeyVault/vaults/certificates/*/action"]).unwrap();
        assert!(role.actions.has(DataAction::CertificatesCreate) && !role.actions.has(DataAction::CertificatesRead));
        let mut roles = Roles::default();
        roles.set(role).unwrap();
        roles.set(custom("renewer", &["*"]).unwrap()).unwrap();
        assert!(roles.named("RENEWER").unwrap().actions.has(DataAction::SecretsGet), "replaced");
        for (name, patterns, problem) in [
            ("", &["*"][..], "A role has a name"),
            ("a\nb", &["*"], "U+000A, a control character"),
            ("\u{202e}a", &["*"], "U+202E, an invisible character"),
            ("a", &[], "1 to 64 data actions"),
            ("a", &["certificates/read"], "is not a data action"),
            ("a", &["Microsoft.KeyVault/vaults/certificates/ read"], "is not a data action"),
        ] {
            let message = custom(name, patterns).unwrap_err().message;
            assert!(message.contains(problem), "{message}");
        }
        let all = |id: Uuid, name: &str| Role::custom(id, name, "", vec!["*".to_owned()], RoleSource::File).unwrap();
        let taken = all(Uuid::from_u128(8), "key vault reader");
        assert!(roles.set(taken).unwrap_err().message.contains("already"));
        for name in ["*", "a4417e6f-fecd-4de8-b567-7b0420556985", "certmint\u{a0}Requester", "certmint  Requester"] {
            let refused = roles.set(all(Uuid::from_u128(8), name)).unwrap_err().message;
            assert!(refused.contains("name"), "{name}: {refused}");
        }
        let reader = all(BUILT_IN[1].1, "Mine");
        assert!(roles.set(reader).unwrap_err().message.contains("built-in"));
    }

    #[test]
    fn a_role_of_the_store_gives_way_to_one_of_the_file() {
        let role = |id: u128, name: &str, source: RoleSource| {
            Role::custom(Uuid::from_u128(id), name, "", vec!["*".to_owned()], source).unwrap()
        };
        let stored = || RoleSource::Store(Made { at: Timestamp(0), by: "token:a".into() });
        let mut roles = Roles::default();
        roles.set(role(7, "Renewer", RoleSource::File)).unwrap();
        roles.add_stored(role(7, "Other", stored()));
        roles.add_stored(role(1, "renewer", stored()));
        assert_eq!(roles.named("Renewer").unwrap().id, Uuid::from_u128(7));
        assert_eq!(roles.get(Uuid::from_u128(7)).unwrap().name, "Renewer");
        assert!(roles.get(Uuid::from_u128(1)).is_some() && roles.find("Other").is_none());
    }
}
