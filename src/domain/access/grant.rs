//! A grant: a principal has a role, on a vault and on some of its names.

use super::pattern::{NamePattern, VaultPattern, simplest};
use super::principal::PrincipalName;
use super::requested::Requested;
use super::role::{GRANTED_BY_ACCESS_ADMINISTRATORS, Role, Roles};
use super::rules::{Rules, RulesInput, Violation};
use crate::domain::{DataAction, Error, Result, Timestamp, VaultName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Most patterns of each list of a grant.
const MAX_PATTERNS: usize = 100;
/// Longest note, in characters; it is shown to a caller that the grant does not help.
const MAX_NOTE: usize = 256;

/// A grant as it is written: in the file of grants and in calls.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GrantInput {
    /// `token:NAME`, or `group:NAME`.
    pub principal: String,
    /// The name of a role, or its id.
    pub role: String,
    /// The name of a vault, or `*`.
    pub vault: String,
    /// Names and beginnings of names (`shop-*`); none: every name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// The issuers that may be asked: names and beginnings of names, `Self` and `Unknown` among them; none: every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuers: Option<Vec<String>>,
    /// What may be asked for; none: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesInput>,
    /// The roles that may be granted with it: names, ids, or `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_grant: Vec<String>,
    /// RFC 3339; from then on it is as if it were not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Which objects a grant reaches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Scope {
    pub vault: VaultPattern,
    /// Not empty, and without overlaps.
    pub names: Vec<NamePattern>,
    /// Of issuers that may be asked; not empty, and without overlaps.
    pub issuers: Vec<NamePattern>,
    /// What may be asked for; `None`: anything.
    pub rules: Option<Box<Rules>>,
}

impl Scope {
    /// Everything.
    pub fn everything() -> Self {
        let every = || vec![NamePattern::every()];
        Self { vault: VaultPattern::Every, names: every(), issuers: every(), rules: None }
    }

    /// Whether every object of the other one is one of these, and every request that it allows is allowed here.
    pub fn covers(&self, other: &Self) -> bool {
        let all = |own: &[NamePattern], others: &[NamePattern]| {
            others.iter().all(|pattern| own.iter().any(|own| own.covers(pattern)))
        };
        self.vault.covers(&other.vault)
            && all(&self.names, &other.names)
            && all(&self.issuers, &other.issuers)
            // Rules are not compared with each other: they have to be the same.
            && (self.rules.is_none() || self.rules == other.rules)
    }

    /// What of the request is not allowed, whatever its vault and name are.
    pub fn violation(&self, requested: &Requested<'_>) -> Option<Violation> {
        if !self.issuers.iter().any(|pattern| pattern.matches(requested.issuer)) {
            return Some(Violation::new("policy.issuer.name", requested.issuer));
        }
        self.rules.as_ref()?.violation(requested)
    }

    pub fn has_every_name(&self) -> bool {
        self.names.iter().any(NamePattern::is_every)
    }
}

/// Which roles its holder may grant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MayGrant {
    Every,
    These(Vec<Uuid>),
}

impl MayGrant {
    pub fn has(&self, role: Uuid) -> bool {
        match self {
            Self::Every => true,
            Self::These(roles) => roles.contains(&role),
        }
    }
}

/// Where a grant comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// `administrators` of the configuration.
    Configuration,
    /// The file that the configuration names.
    File,
}

/// What a principal may do where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// In lists, audit lines and the path to delete it.
    pub id: String,
    pub source: Source,
    pub principal: PrincipalName,
    pub role: Arc<Role>,
    pub scope: Scope,
    pub may_grant: MayGrant,
    pub expires: Option<Timestamp>,
    pub note: String,
}

impl Grant {
    /// Reads what was written; the problem names the member.
    pub fn parse(input: &GrantInput, id: String, source: Source, roles: &Roles) -> Result<Self> {
        let GrantInput { principal, role, vault, names, issuers, rules, may_grant, expires, note } = input;
        let role = roles.named(role)?.clone();
        let vault = VaultPattern::parse(vault).map_err(|error| Error::field("vault", error.message))?;
        let names = patterns("names", names.as_deref())?;
        let issuers = patterns("issuers", issuers.as_deref())?;
        let rules = rules.as_ref().map(Rules::parse).transpose()?.map(Box::new);
        if note.chars().count() > MAX_NOTE || note.chars().any(char::is_control) {
            return Err(Error::field("note", format!("It has up to {MAX_NOTE} characters in one line.")));
        }
        Ok(Self {
            id,
            source,
            principal: PrincipalName::parse(principal)?,
            scope: Scope { vault, names, issuers, rules },
            may_grant: granting(may_grant, &role, roles)?,
            role,
            expires: expires.as_deref().map(moment).transpose()?,
            note: note.clone(),
        })
    }

    /// One of the administrators of the configuration: everything, and for ever.
    pub fn of_administrator(number: usize, principal: PrincipalName) -> Self {
        Self {
            id: format!("administrator-{number}"),
            source: Source::Configuration,
            principal,
            role: Arc::new(Role::of_administrators()),
            scope: Scope::everything(),
            may_grant: MayGrant::Every,
            expires: None,
            note: String::new(),
        }
    }

    /// Whether it allows the action on this vault now, on whatever name.
    pub fn allows(&self, action: DataAction, vault: &VaultName, now: Timestamp) -> bool {
        self.role.actions.has(action) && self.scope.vault.matches(vault) && !self.is_over(now)
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

fn patterns(member: &str, texts: Option<&[String]>) -> Result<Vec<NamePattern>> {
    let Some(texts) = texts else { return Ok(vec![NamePattern::every()]) };
    if texts.is_empty() || texts.len() > MAX_PATTERNS {
        let problem = format!("Write 1 to {MAX_PATTERNS} patterns, or leave it out for all.");
        return Err(Error::field(member, problem));
    }
    let patterns: Result<Vec<_>> = texts.iter().map(|text| NamePattern::parse(text)).collect();
    patterns.map(simplest).map_err(|error| Error::field(member, error.message))
}

fn granting(names: &[String], role: &Role, roles: &Roles) -> Result<MayGrant> {
    if names.len() > MAX_PATTERNS {
        return Err(Error::field("may_grant", format!("It names up to {MAX_PATTERNS} roles.")));
    }
    if names.iter().any(|name| name == "*") {
        return Ok(MayGrant::Every);
    }
    let access_administrator = roles.find(super::role::ACCESS_ADMINISTRATOR).is_some_and(|known| known.id == role.id);
    if names.is_empty() && access_administrator {
        let eight = GRANTED_BY_ACCESS_ADMINISTRATORS.iter().filter_map(|name| roles.find(name));
        return Ok(MayGrant::These(eight.map(|role| role.id).collect()));
    }
    let named =
        |name: &String| roles.named(name).map(|role| role.id).map_err(|error| Error::field("may_grant", error.message));
    Ok(MayGrant::These(names.iter().map(named).collect::<Result<_>>()?))
}

fn moment(text: &str) -> Result<Timestamp> {
    let read = OffsetDateTime::parse(text, &Rfc3339);
    read.map(|at| Timestamp::from_seconds(at.unix_timestamp()))
        .map_err(|_| Error::field("expires", "Write a time of RFC 3339, such as \"2027-01-31T00:00:00Z\"."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> GrantInput {
        GrantInput {
            principal: "token:shop".into(),
            role: "Key Vault Certificates Officer".into(),
            vault: "default".into(),
            ..GrantInput::default()
        }
    }

    fn parse(input: &GrantInput) -> Result<Grant> {
        Grant::parse(input, "1".into(), Source::File, &Roles::default())
    }

    #[test]
    fn what_is_not_said_is_not_limited() {
        let grant = parse(&input()).unwrap();
        assert!(grant.scope.has_every_name() && grant.expires.is_none());
        assert_eq!(grant.may_grant, MayGrant::These(Vec::new()));
        let vault = VaultName::default_vault();
        assert!(grant.allows(DataAction::CertificatesCreate, &vault, Timestamp(i64::MAX)));
        assert!(!grant.allows(DataAction::SecretsGet, &vault, Timestamp(0)));
        assert!(!grant.allows(DataAction::CertificatesCreate, &VaultName::parse("other").unwrap(), Timestamp(0)));
    }

    #[test]
    fn a_grant_is_over_at_the_moment_that_it_says() {
        let grant = parse(&GrantInput { expires: Some("1970-01-01T00:00:10Z".into()), ..input() }).unwrap();
        assert!(!grant.is_over(Timestamp(9_999)) && grant.is_over(Timestamp(10_000)));
    }

    #[test]
    fn an_access_administrator_may_grant_eight_roles_if_nothing_else_is_said() {
        let roles = Roles::default();
        let of = |role: &str, may_grant: &[&str]| {
            let may_grant = may_grant.iter().map(|name| (*name).to_owned()).collect();
            parse(&GrantInput { role: role.into(), may_grant, ..input() }).unwrap().may_grant
        };
        let has = |may: &MayGrant, role: &str| may.has(roles.named(role).unwrap().id);
        let eight = of("Key Vault Data Access Administrator", &[]);
        assert!(has(&eight, "Key Vault Administrator") && has(&eight, "Key Vault Reader"));
        assert!(!has(&eight, "Key Vault Data Access Administrator") && !has(&eight, "certmint Requester"));
        let one = of("Key Vault Data Access Administrator", &["certmint Requester"]);
        assert!(has(&one, "certmint Requester") && !has(&one, "Key Vault Reader"));
        assert!(has(&of("Key Vault Reader", &["*"]), "certmint Auditor"));
    }

    #[test]
    fn problems_name_the_member() {
        for (wrong, member) in [
            (GrantInput { principal: "shop".into(), ..input() }, "principal"),
            (GrantInput { role: "Officer".into(), ..input() }, "role"),
            (GrantInput { vault: String::new(), ..input() }, "vault"),
            (GrantInput { vault: "a*".into(), ..input() }, "vault"),
            (GrantInput { names: Some(vec!["a*b".into()]), ..input() }, "names"),
            (GrantInput { names: Some(Vec::new()), ..input() }, "names"),
            (GrantInput { may_grant: vec!["x".into()], ..input() }, "may_grant"),
            (GrantInput { expires: Some("tomorrow".into()), ..input() }, "expires"),
            (GrantInput { note: "a\nb".into(), ..input() }, "note"),
        ] {
            let message = parse(&wrong).unwrap_err().message;
            assert!(message.starts_with(&format!("Property {member} has invalid value.")), "{message}");
        }
    }

    #[test]
    fn a_scope_covers_what_lies_in_it() {
        let scope = |vault: &str, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            parse(&GrantInput { vault: vault.into(), names: Some(names), ..input() }).unwrap().scope
        };
        assert!(scope("*", &["*"]).covers(&scope("a", &["web"])));
        assert!(scope("a", &["web-*", "api"]).covers(&scope("a", &["web-1", "api"])));
        assert!(!scope("a", &["web-*"]).covers(&scope("b", &["web-1"])));
        assert!(!scope("a", &["web-*"]).covers(&scope("a", &["web-1", "api"])));
        assert!(!scope("a", &["*"]).covers(&scope("*", &["web"])));
    }
}
