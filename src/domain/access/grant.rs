//! A grant: a principal has a role, on a vault and on some of its names.

use super::built_in::{ACCESS_ADMINISTRATOR, GRANTED_BY_ACCESS_ADMINISTRATORS};
use super::pattern::{NamePattern, VaultPattern, simplest};
use super::principal::PrincipalName;
use super::requested::Requested;
use super::role::{Role, Roles};
use super::rules::{Rules, RulesInput, Violation};
use crate::domain::text;
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
    /// `token:NAME`, `jwt:ISSUER:ID`, `client:ID`, `group:ISSUER:VALUE`, `spiffe://DOMAIN/PATH` or `x509:NAME:ID`.
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
        let all = |own: &[NamePattern], others: &[NamePattern]| NamePattern::uncovered(own, others).is_none();
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

    /// Whether every role of the other one is one of these.
    pub fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Every => *self == Self::Every,
            Self::These(roles) => roles.iter().all(|role| self.has(*role)),
        }
    }

    /// As [`GrantInput`] has it, with ids.
    fn written(&self) -> Vec<String> {
        match self {
            Self::Every => vec!["*".to_owned()],
            Self::These(roles) => roles.iter().map(ToString::to_string).collect(),
        }
    }
}

/// By whom and when something was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Made {
    pub at: Timestamp,
    /// A principal.
    pub by: String,
}

/// Where a grant comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// `administrators` of the configuration.
    Configuration,
    /// The file that the configuration names.
    File,
    /// The store: a caller made it.
    Store(Made),
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
        text::check("note", note, MAX_NOTE)?;
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

    /// One of the store, as [`Grant::written`] put it down. Its roles may be gone since: a role that is not there
    /// allows nothing.
    pub fn restored(written: &GrantInput, id: String, made: Made, roles: &Roles) -> Result<Self> {
        let known = |text: &str| {
            let id = Uuid::try_parse(text);
            id.map_err(|_| Error::field("role", "It is not the id of a role."))
        };
        let id_of_role = known(&written.role)?;
        let may_grant = match written.may_grant.as_slice() {
            [every] if every == "*" => MayGrant::Every,
            roles => MayGrant::These(roles.iter().map(|id| known(id)).collect::<Result<_>>()?),
        };
        let role = roles.get(id_of_role).cloned().unwrap_or_else(|| Arc::new(Role::missing(id_of_role)));
        // Any role that is there: what depends on it comes from here. A note of before may have what none has today.
        let role_there = "Key Vault Reader".to_owned();
        let note = text::readable(&written.note, MAX_NOTE);
        let reader = GrantInput { role: role_there, may_grant: Vec::new(), note, ..written.clone() };
        Ok(Self { role, may_grant, ..Self::parse(&reader, id, Source::Store(made), roles)? })
    }

    /// Everything that was said of it, for [`Grant::restored`]: roles by their ids.
    pub fn written(&self) -> GrantInput {
        let Self { id: _, source: _, principal, role, scope, may_grant, expires, note } = self;
        let Scope { vault, names, issuers, rules } = scope;
        let texts = |patterns: &[NamePattern]| Some(patterns.iter().map(ToString::to_string).collect());
        GrantInput {
            principal: principal.to_string(),
            role: role.id.to_string(),
            vault: vault.to_string(),
            names: texts(names),
            issuers: texts(issuers),
            rules: rules.as_deref().map(|rules| rules.input().clone()),
            may_grant: may_grant.written(),
            expires: expires.map(written_moment),
            note: note.clone(),
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
    let access_administrator = roles.find(ACCESS_ADMINISTRATOR).is_some_and(|known| known.id == role.id);
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

/// Every time that was read can be written in this form; one that could not would have expired.
fn written_moment(at: Timestamp) -> String {
    let written = OffsetDateTime::from_unix_timestamp(at.seconds()).ok().and_then(|at| at.format(&Rfc3339).ok());
    written.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
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
            (GrantInput { note: "a\u{202e}b".into(), ..input() }, "note"),
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

    #[test]
    fn what_was_written_down_is_restored_even_without_its_role() {
        let roles = Roles::default();
        let rules = RulesInput { dns: vec!["*.shop.example".into()], wildcards: true, ..RulesInput::default() };
        let full = GrantInput {
            role: "Key Vault Data Access Administrator".into(),
            names: Some(vec!["shop-*".into(), "web".into()]),
            issuers: Some(vec!["Self".into()]),
            rules: Some(rules),
            expires: Some("2027-01-31T00:00:00Z".into()),
            note: "shop team".into(),
            ..input()
        };
        let made = Made { at: Timestamp(7), by: "token:admin".into() };
        for input in [full, input(), GrantInput { may_grant: vec!["*".into()], ..input() }] {
            let grant = Grant::parse(&input, "1".into(), Source::Store(made.clone()), &roles).unwrap();
            assert_eq!(Grant::restored(&grant.written(), "1".into(), made.clone(), &roles).unwrap(), grant);
        }
        let gone = GrantInput { role: Uuid::from_u128(9).to_string(), ..input() };
        let grant = Grant::restored(&gone, "1".into(), made, &roles).unwrap();
        assert_eq!((grant.role.id, grant.role.actions.iter().count()), (Uuid::from_u128(9), 0));
    }
}
