//! What the tokens of an issuer have to say, and who their caller is. The order is that of the checks: what is cheap or
//! decides what comes next is first, and nothing of a token is believed before its signature.

use super::algorithm::Algorithm;
use super::audience::{check_own, without_slash};
use super::claims::{self, Path, has, texts};
use super::client::{Client, MAX_CLIENTS};
use super::options::JwtOptions;
use super::refusal::{Cause, Refusal};
use super::token::{Claims, Header, Type};
use crate::domain::Timestamp;
use crate::domain::access::{Groups, PrincipalName};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How far the clocks of issuer and server may be apart.
const LEEWAY: Duration = Duration::from_secs(60);

/// Claims that only the tokens of a login have (OpenID Connect Core 1.0 sections 2 and 3.3.2.11).
const OF_LOGINS: [&str; 3] = ["nonce", "at_hash", "c_hash"];

/// Most groups of a token: each of them is looked for with each request.
const MAX_GROUPS: usize = 500;

/// Where an issuer leaves groups out, it says here where to ask for them (OpenID Connect Core 1.0 section 5.6.2).
const ELSEWHERE: &str = "_claim_names";

/// Who a token stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// `jwt:NAME:ID`, or `client:ID` of a federated client.
    pub principal: Arc<str>,
    /// The name of the issuer in the configuration.
    pub provider: Arc<str>,
    /// None of a federated client.
    pub groups: Groups,
    /// The `exp` of the token.
    pub expires: Timestamp,
}

impl Identity {
    /// From when on the token is not accepted any more: its `exp`, and the leeway.
    pub fn ends(&self) -> Timestamp {
        self.expires.plus(LEEWAY)
    }
}

/// The rules of one issuer.
#[derive(Debug)]
pub(super) struct Rules {
    name: Arc<str>,
    audiences: Vec<String>,
    principal: Vec<Path>,
    groups: Vec<Path>,
    required: Vec<(Path, Vec<String>)>,
    max_age: Duration,
    algorithms: Vec<Algorithm>,
    access_tokens_only: bool,
    clients: Vec<Client>,
}

impl Rules {
    /// # Errors
    /// The setting and what is wrong with it.
    pub(super) fn of(options: &JwtOptions) -> Result<Self, String> {
        let paths = |setting: &str, names: &[String]| -> Result<Vec<Path>, String> {
            let parsed = names.iter().map(|name| Path::parse(name));
            parsed.collect::<Result<_, _>>().map_err(|problem| format!("{setting}: {problem}"))
        };
        let principal = paths("principal", options.principal.all())?;
        if principal.is_empty() {
            return Err("principal: name a claim".to_owned());
        }
        let mut required = Vec::new();
        for (name, values) in &options.require {
            let path = Path::parse(name).map_err(|problem| format!("require: {problem}"))?;
            if values.all().is_empty() {
                return Err(format!("require: {name} has no value"));
            }
            required.push((path, values.all().to_vec()));
        }
        if options.algorithms.is_empty() {
            return Err("algorithms: the list is empty, so no token could be accepted".to_owned());
        }
        Ok(Self {
            name: options.name.as_str().into(),
            audiences: audiences(&options.audiences)?,
            principal,
            groups: paths("groups", &options.groups)?,
            required,
            max_age: options.max_age,
            algorithms: options.algorithms.clone(),
            access_tokens_only: options.access_tokens_only,
            clients: Vec::new(),
        })
    }

    /// Knows a client by its tokens of this issuer.
    ///
    /// # Errors
    /// Where another client has the same.
    pub(super) fn add(&mut self, client: Client) -> Result<(), String> {
        if let Some(other) = self.clients.iter().find(|known| !known.is_apart(&client)) {
            return Err(format!("the client {} has the same subject and audience", other.id));
        }
        if self.clients.len() == MAX_CLIENTS {
            return Err(format!("the issuer has more than {MAX_CLIENTS} clients"));
        }
        self.clients.push(client);
        Ok(())
    }

    /// The algorithm of the signature, where the header is one of an access token with an accepted algorithm.
    pub(super) fn algorithm(&self, header: &Header) -> Result<Algorithm, Refusal> {
        if header.has_critical {
            return Err(Refusal::new(Cause::Critical, "its header has crit"));
        }
        if header.typ == Type::Other {
            return Err(Refusal::new(Cause::Type, "its typ is not JWT or at+jwt"));
        }
        let accepted = |algorithm: &Algorithm| self.algorithms.contains(algorithm);
        let refused = || Refusal::new(Cause::Algorithm, "its alg is not one of those that are accepted");
        header.alg.filter(accepted).ok_or_else(refused)
    }

    /// Who calls, by the claims of a token whose signature is good.
    pub(super) fn identify(&self, header: &Header, claims: &Claims, now: Timestamp) -> Result<Identity, Refusal> {
        let client = self.clients.iter().find(|client| client.is_of(claims));
        if client.is_none() {
            self.check_audience(claims)?;
        }
        let expires = self.check_times(claims, now.seconds())?;
        self.check_claims(claims)?;
        self.check_type(header, claims)?;
        let (principal, groups) = match client {
            Some(client) => (client.principal.clone(), Groups::default()),
            None => (self.principal(claims)?, self.groups(claims)?),
        };
        Ok(Identity { principal, provider: self.name.clone(), groups, expires })
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Refusal> {
        let named: Vec<&str> = claims.get("aud").map(texts).into_iter().flatten().collect();
        if named.iter().any(|one| self.audiences.iter().any(|own| own == without_slash(one))) {
            return Ok(());
        }
        let found = if named.is_empty() { "none".to_owned() } else { named.join(", ") };
        Err(Refusal::audience(self.audiences.first().map_or("", String::as_str), &found))
    }

    fn check_times(&self, claims: &Claims, now: i64) -> Result<Timestamp, Refusal> {
        let leeway = i64::try_from(LEEWAY.as_secs()).unwrap_or(i64::MAX);
        let read = |name: &str| {
            claims::seconds(claims, name).map_err(|()| Refusal::new(Cause::Claim, format!("its {name} is not a time")))
        };
        let (expires, not_before, issued) = (read("exp")?, read("nbf")?, read("iat")?);
        let expires = expires.ok_or_else(|| Refusal::new(Cause::Claim, "it has no exp"))?;
        if now >= expires.saturating_add(leeway) {
            return Err(Refusal::new(Cause::Expired, format!("it expired {} s ago", now.saturating_sub(expires))));
        }
        for (name, begins) in [("nbf", not_before), ("iat", issued)] {
            if let Some(begins) = begins.filter(|begins| now < begins.saturating_sub(leeway)) {
                let ahead = begins.saturating_sub(now);
                return Err(Refusal::new(Cause::NotYetValid, format!("its {name} is {ahead} s in the future")));
            }
        }
        // Without iat the rest of its time counts: it cannot be longer than all of it.
        let age = expires.saturating_sub(issued.unwrap_or(now));
        if age > i64::try_from(self.max_age.as_secs()).unwrap_or(i64::MAX) {
            return Err(Refusal::new(Cause::Lifetime, format!("it is good for {age} s, longer than max_age")));
        }
        Ok(Timestamp::from_seconds(expires))
    }

    fn check_claims(&self, claims: &Claims) -> Result<(), Refusal> {
        for (path, values) in &self.required {
            let found = path.find(claims);
            if !found.is_some_and(|found| values.iter().any(|value| has(found, value))) {
                return Err(Refusal::new(Cause::Claim, format!("{} does not have the required value", path.as_str())));
            }
        }
        Ok(())
    }

    /// A header that says so is believed: nobody gets an ID token with the type of an access token (RFC 9068 section 4).
    fn check_type(&self, header: &Header, claims: &Claims) -> Result<(), Refusal> {
        let of_login = OF_LOGINS.iter().find(|name| claims.contains_key(**name));
        let is_id_token = of_login.is_some() || claims.get("typ").and_then(Value::as_str) == Some("ID");
        if self.access_tokens_only && header.typ == Type::Any && is_id_token {
            return Err(Refusal::new(Cause::Type, "it is the token of a login, not an access token"));
        }
        Ok(())
    }

    /// The values of its claims, joined. All but the last have no colon, so that two callers never get one name.
    fn principal(&self, claims: &Claims) -> Result<Arc<str>, Refusal> {
        let refused = |path: &Path, what: &str| Refusal::new(Cause::Principal, format!("{} {what}", path.as_str()));
        let mut name = format!("jwt:{}", self.name);
        for (number, path) in self.principal.iter().enumerate() {
            let value = path.find(claims).and_then(claims::text).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| refused(path, "is missing or is not text"))?;
            if number + 1 < self.principal.len() && value.contains(':') {
                return Err(refused(path, "has a colon, and is not the last of the principal's claims"));
            }
            name.push(':');
            name.push_str(&value);
        }
        match PrincipalName::parse(&name) {
            Ok(name) => Ok(name.into()),
            Err(_) => {
                let last = self.principal.last().ok_or_else(|| Refusal::new(Cause::Principal, "no claim"))?;
                Err(refused(last, "is not a name: up to 255 printable ASCII characters without spaces and quotes"))
            }
        }
    }

    fn groups(&self, claims: &Claims) -> Result<Groups, Refusal> {
        let mut groups = BTreeSet::new();
        for path in &self.groups {
            let Some(found) = path.find(claims) else {
                let elsewhere = claims.get(ELSEWHERE).and_then(|names| names.get(path.claim())).is_some();
                if elsewhere || path.claim() == "groups" && claims.contains_key("hasgroups") {
                    let detail = format!("its issuer left {} out because there are too many; use roles", path.as_str());
                    return Err(Refusal::new(Cause::Groups, detail));
                }
                continue;
            };
            let named = texts(found).map(|value| PrincipalName::parse(&format!("group:{}:{value}", self.name)));
            // One that is no name cannot stand in a grant either.
            groups.extend(named.filter_map(Result::ok));
        }
        if groups.len() > MAX_GROUPS {
            return Err(Refusal::new(Cause::Groups, format!("it names more than {MAX_GROUPS} groups")));
        }
        Ok(groups.into_iter().collect())
    }
}

/// Audiences without a slash at their end, as they are compared.
fn audiences(given: &[String]) -> Result<Vec<String>, String> {
    if given.is_empty() {
        return Err("audiences: name what tokens for this server are issued for".to_owned());
    }
    for audience in given {
        let plain = without_slash(audience);
        if plain.is_empty() || audience.len() > 255 || !audience.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "audiences: `{}` is not a value of aud: write 1 to 255 printable ASCII characters without spaces",
                super::refusal::shown(audience)
            ));
        }
        check_own(audience, false).map_err(|problem| format!("audiences: {problem}"))?;
    }
    Ok(given.iter().map(|audience| without_slash(audience).to_owned()).collect())
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
