//! The policy of a certificate for a caller's own signing request: what the caller says of the policy and what the
//! request asks for have to agree, and what only one of them says is taken from there. Nothing of a request is dropped.

use super::policy::{Action, ContentType, KeyType, KeyUsage, LifetimeAction, Policy};
use super::policy_input::{LifetimeActionInput, PolicyInput};
use super::policy_judge::refusal;
use super::san::SubjectAlternativeNames;
use super::subject::{AttributeValue, DistinguishedName, common_name};
use super::text::{readable, shown};
use super::{Detail, Error, Result, Timestamp};
use std::collections::HashSet;
use std::net::IpAddr;

/// The path of the request in errors.
pub const CSR: &str = "csr";
/// How [`RequestFacts::others`] calls the extension of a server that staples (RFC 7633); a profile may give it.
pub const MUST_STAPLE: &str = "tlsFeature (must-staple)";
/// Most names of a list that an error shows.
const MAX_SHOWN: usize = 20;
/// Most characters of each of them: names that were not judged yet may be as long as the request.
const MAX_SHOWN_LENGTH: usize = 253;

/// What a signing request (PKCS#10) says of itself, once its signature was checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestFacts {
    /// SubjectPublicKeyInfo, DER, as a certificate for it has it, however the request writes it.
    pub public_key: Vec<u8>,
    pub key_type: KeyType,
    /// The subject as Windows writes it: the most specific part first. Empty if there is none.
    pub subject: String,
    /// What it asks for beside its subject; each `None` where it does not say.
    pub sans: Option<SubjectAlternativeNames>,
    pub ekus: Option<Vec<String>>,
    pub key_usage: Option<Vec<KeyUsage>>,
    pub ca: Option<bool>,
    /// Extensions that it asks for and that no policy has, by name or object identifier.
    pub others: Vec<String>,
}

type Problems = Vec<(String, String)>;

impl PolicyInput {
    /// The policy for a certificate of this request. Names and usages that are given here count, and those of the
    /// request have to be among them; what is not given is what the request asks for, and Key Vault's default where it
    /// does not ask. The key is the caller's: it is neither exportable nor used again, the secret is PEM unless said
    /// otherwise, and where a renewal is asked for a notice is sent in its place.
    ///
    /// # Errors
    /// `BadParameter`, with every member that is wrong or differs.
    pub fn requested(self, facts: &RequestFacts, now: Timestamp) -> Result<Policy> {
        let mut bad = Problems::new();
        self.compare_key(facts, &mut bad);
        self.compare_names(facts, &mut bad);
        self.compare_usages(facts, &mut bad);
        let said = Said::by(&self);
        let input = self.completed_by(facts);
        match (input.complete(now), bad.is_empty()) {
            (Ok(policy), true) => Ok(policy.for_a_callers_key()),
            (Ok(_), false) => Err(refusal(bad)),
            (Err(error), _) => Err(refusal(bad.into_iter().chain(said.of_the_request(error)?).collect())),
        }
    }

    /// What only the request says, and what follows from the key being the caller's.
    fn completed_by(self, facts: &RequestFacts) -> Self {
        let none = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
        let subject = if none(&self.subject) { Some(facts.subject.clone()) } else { self.subject };
        let sans = self.sans.filter(|names| !names.is_empty()).or_else(|| facts.sans.clone());
        let key_usage = || facts.key_usage.as_ref().map(|list| list.iter().map(|usage| usage.name().into()).collect());
        let notice = LifetimeActionInput {
            lifetime_percentage: Some(80),
            days_before_expiry: None,
            action: Some(Action::EmailContacts.name().to_owned()),
        };
        Self {
            exportable: Some(false),
            kty: Some(facts.key_type.kty().to_owned()),
            key_size: Some(i64::from(facts.key_type.bits())),
            curve: facts.key_type.curve().map(str::to_owned),
            reuse_key: Some(false),
            content_type: self
                .content_type
                .filter(|text| !text.is_empty())
                .or_else(|| Some(ContentType::Pem.media_type().to_owned())),
            subject,
            sans,
            ekus: self.ekus.or_else(|| facts.ekus.clone()),
            key_usage: self.key_usage.or_else(key_usage),
            lifetime_actions: self.lifetime_actions.or(Some(vec![notice])),
            ..self
        }
    }

    fn compare_key(&self, facts: &RequestFacts, bad: &mut Problems) {
        let is = described(facts.key_type);
        let mut differs = |member: &str| {
            let problem = format!("The key of the request is {is}: leave this out, or send a request for such a key.");
            bad.push((format!("policy.key_props.{member}"), problem));
        };
        if self.kty.as_deref().is_some_and(|kty| kty != facts.key_type.kty()) {
            differs("kty");
        }
        if self.key_size.is_some_and(|bits| bits != i64::from(facts.key_type.bits())) {
            differs("key_size");
        }
        if self.curve.as_deref().is_some_and(|curve| Some(curve) != facts.key_type.curve()) {
            differs("crv");
        }
        let held = "The private key of the request is the caller's, and this server does not have it: set it to false, or leave it out.";
        for (member, asked) in [("exportable", self.exportable), ("reuse_key", self.reuse_key)] {
            if asked == Some(true) {
                bad.push((format!("policy.key_props.{member}"), held.to_owned()));
            }
        }
    }

    fn compare_names(&self, facts: &RequestFacts, bad: &mut Problems) {
        // A subject of the policy that cannot be read is reported where the policy is completed.
        if let Some(subject) = self.subject.as_deref().filter(|subject| !subject.trim().is_empty())
            && let Ok(given) = attributes(subject)
            && !attributes(&facts.subject).is_ok_and(|asked| asked.iter().all(|one| given.contains(one)))
        {
            let problem = format!(
                "The request has the subject {}, which is not a part of the subject of the policy, {}: make them agree, or leave one of them empty.",
                shown(&facts.subject),
                shown(subject)
            );
            bad.push((CSR.to_owned(), problem));
        }
        if let Some(given) = self.sans.as_ref().filter(|names| !names.is_empty())
            && let Some(asked) = &facts.sans
        {
            let (given, asked) = (comparable(given), comparable(asked));
            // Neither was judged yet: both may be long.
            let held: HashSet<&String> = given.iter().collect();
            if asked.iter().any(|name| !held.contains(name)) {
                let problem = format!(
                    "The request asks for the alternative names {}, and the policy has {}: put all of them into the policy, or make a request for those of the policy.",
                    listed(&asked),
                    listed(&given)
                );
                bad.push((CSR.to_owned(), problem));
            }
        }
        match (facts.ca, self.ca.unwrap_or(false)) {
            (Some(true), false) => bad.push((
                CSR.to_owned(),
                "It asks for the certificate of a CA (basicConstraints CA:TRUE). Make a request without it, or set policy.x509_props.basic_constraints.ca to true for an issuer that signs CAs.".to_owned(),
            )),
            (Some(false), true) => bad.push((
                CSR.to_owned(),
                "It says that it is for no CA (basicConstraints CA:FALSE), and policy.x509_props.basic_constraints.ca is true: make them agree.".to_owned(),
            )),
            _ => {}
        }
    }

    fn compare_usages(&self, facts: &RequestFacts, bad: &mut Problems) {
        let mut compare = |what: &str, member: &str, asked: Vec<String>, given: &[String]| {
            let held: HashSet<String> = given.iter().map(|usage| usage.to_ascii_lowercase()).collect();
            if asked.iter().any(|usage| !held.contains(&usage.to_ascii_lowercase())) {
                let problem = format!(
                    "The request asks for the {what} {}, and the policy has {}: put all of them into policy.x509_props.{member}, or leave that out.",
                    listed(&asked),
                    listed(given)
                );
                bad.push((CSR.to_owned(), problem));
            }
        };
        if let (Some(given), Some(asked)) = (&self.key_usage, &facts.key_usage) {
            compare("key usages", "key_usage", asked.iter().map(|usage| usage.name().to_owned()).collect(), given);
        }
        if let (Some(given), Some(asked)) = (&self.ekus, &facts.ekus) {
            compare("extended key usages", "ekus", asked.clone(), given);
        }
    }
}

impl Policy {
    /// The policy for a request that comes after this one was stored: it counts as if the caller had said it, but for
    /// what it says of the key.
    ///
    /// # Errors
    /// As [`PolicyInput::requested`].
    pub fn requested_again(&self, facts: &RequestFacts, now: Timestamp) -> Result<Self> {
        let said = PolicyInput::of(self);
        let said = PolicyInput { exportable: None, kty: None, key_size: None, curve: None, reuse_key: None, ..said };
        let policy = said.requested(facts, now)?;
        Ok(Self { created: self.created, ..policy })
    }

    /// A key that is not here renews nothing; its end is announced in its place.
    fn for_a_callers_key(mut self) -> Self {
        let mut actions: Vec<LifetimeAction> = Vec::new();
        for LifetimeAction { trigger, action: _ } in self.lifetime_actions {
            let notice = LifetimeAction { trigger, action: Action::EmailContacts };
            if !actions.contains(&notice) {
                actions.push(notice);
            }
        }
        self.lifetime_actions = actions;
        self
    }
}

impl RequestFacts {
    /// The names of a policy that the request itself does not have: a CA that reads names from requests would leave
    /// them out. A common name counts as an alternative name.
    pub fn lacks(&self, policy: &Policy) -> Vec<String> {
        let whole = policy.with_common_name_in_sans();
        let wanted = whole.as_ref().unwrap_or(policy).x509.sans.clone().unwrap_or_default();
        let mut present = comparable(&self.sans.clone().unwrap_or_default());
        if let Ok(Some(name)) = common_name(&self.subject) {
            present.push(match name.parse::<IpAddr>() {
                Ok(address) => address.to_string(),
                Err(_) => name.to_ascii_lowercase(),
            });
        }
        comparable(&wanted).into_iter().filter(|name| !present.contains(name)).collect()
    }

    /// Refuses names of the policy that the request does not have.
    ///
    /// # Errors
    /// `BadParameter`, with those names.
    pub fn names_all_of(&self, policy: &Policy) -> Result<()> {
        let missing = self.lacks(policy);
        if missing.is_empty() {
            return Ok(());
        }
        let problem = format!(
            "The issuer takes the names from the request, which does not have {}: make a request that has all names of the policy.",
            listed(&missing)
        );
        Err(Error::field(CSR, problem))
    }
}

/// Which members the caller gave; problems of the others are those of the request.
struct Said {
    subject: bool,
    sans: bool,
    ekus: bool,
    key_usage: bool,
}

impl Said {
    fn by(input: &PolicyInput) -> Self {
        Self {
            subject: input.subject.as_ref().is_some_and(|text| !text.trim().is_empty()),
            sans: input.sans.as_ref().is_some_and(|names| !names.is_empty()),
            ekus: input.ekus.is_some(),
            key_usage: input.key_usage.is_some(),
        }
    }

    /// The problems of a policy, each at the place where its value came from.
    ///
    /// # Errors
    /// An error that names no member, as it is.
    fn of_the_request(&self, error: Error) -> Result<Problems> {
        let from_request = [
            ("policy.x509_props.subject", "subject", !self.subject),
            ("policy.x509_props.sans", "alternative names", !self.sans),
            ("policy.x509_props.ekus", "extended key usages", !self.ekus),
            ("policy.x509_props.key_usage", "key usages", !self.key_usage),
        ];
        let place = |path: &str| from_request.iter().find(|(member, _, from)| *from && path.starts_with(member));
        let problems: Problems = error
            .details
            .iter()
            .filter_map(|detail| match detail {
                Detail::Field { path, problem } => Some(match place(path) {
                    Some((member, what, _)) => {
                        let index = path.strip_prefix(member).unwrap_or_default();
                        (CSR.to_owned(), format!("Its {what}{index}: {problem}"))
                    }
                    None => (path.clone(), problem.clone()),
                }),
                _ => None,
            })
            .collect();
        if problems.is_empty() { Err(error) } else { Ok(problems) }
    }
}

/// A key type as a person calls it.
fn described(key: KeyType) -> String {
    match key.curve() {
        Some(curve) => format!("EC on {curve}"),
        None => format!("RSA with {} bits", key.bits()),
    }
}

/// The attributes of a name in the form in which they compare: without case and repeated spaces (RFC 5280 section 7.1).
fn attributes(subject: &str) -> Result<Vec<(String, String)>> {
    let name = DistinguishedName::parse(subject)?;
    let folded = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase(),
        AttributeValue::Der(der) => format!("{der:02x?}"),
    };
    Ok(name.parts.iter().flatten().map(|attribute| (attribute.oid.clone(), folded(&attribute.value))).collect())
}

/// All names in the form in which they compare.
fn comparable(names: &SubjectAlternativeNames) -> Vec<String> {
    let SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, shown_empty: _ } =
        names.clone().without_repetitions();
    let mailbox = |name: String| match name.rsplit_once('@') {
        Some((local, host)) => format!("{local}@{}", host.to_ascii_lowercase()),
        None => name,
    };
    let address = |name: String| name.parse::<IpAddr>().map_or(name, |address| address.to_string());
    let mut all: Vec<String> = dns_names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
    all.extend(ip_addresses.into_iter().map(address));
    all.extend(emails.into_iter().map(mailbox));
    all.extend(uris.into_iter().map(|uri| uri.trim_end_matches('/').to_owned()));
    all.extend(upns);
    all
}

/// The first names of a list for an error, each shortened: a request may have thousands, and long ones.
pub fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown =
        names.iter().take(MAX_SHOWN).map(|name| readable(name, MAX_SHOWN_LENGTH)).collect::<Vec<_>>().join(", ");
    if names.len() > MAX_SHOWN { format!("{shown} and {} more", names.len() - MAX_SHOWN) } else { shown }
}

#[cfg(test)]
#[path = "requested_policy_tests.rs"]
mod tests;
