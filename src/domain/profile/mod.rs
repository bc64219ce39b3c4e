//! Profiles of a CA of this server: named rules for what it signs. A request chooses one by the certificate type of its
//! policy (`issuer.cty`, which unmodified clients of Key Vault can send); its rules are met, or the request is refused
//! with every rule that it breaks. The validity alone is cut to what the profile allows.

mod judge;
mod lifetime;
mod names;
mod text;

pub use lifetime::Lifetime;
pub use text::{NamesText, ProfileText};

use super::attribute_type::is_oid;
use super::granted::Revocation;
use super::policy::{KeyType, KeyUsage};
use super::text::shown;
use super::{Error, Result};
use names::NameRules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most profiles of an issuer.
pub const MAX_PROFILES: usize = 50;
/// Longest name of a profile, in characters.
const MAX_NAME: usize = 64;
/// Most entries of one list of a profile.
const MAX_RULES: usize = 100;
/// Purposes that only the CA itself may give: no profile lists them.
const OF_THE_CA: [&str; 2] = ["1.3.6.1.5.5.7.3.9", "2.5.29.37.0"];

/// The profiles of an issuer as they are set.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profiles {
    /// For requests that name none; without one they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    pub profiles: BTreeMap<String, ProfileText>,
}

/// A change of profiles: each that it names is set, or removed where it is `None`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProfilesInput {
    pub profiles: BTreeMap<String, Option<ProfileText>>,
    pub default: Option<String>,
}

/// The rules of one profile. What is `None` or empty is not restricted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    name: String,
    /// The longest, and where the request says none.
    validity: (Option<Lifetime>, Option<Lifetime>),
    names: Option<NameRules>,
    keys: Vec<KeyRule>,
    ekus: Option<Vec<String>>,
    key_usage: Option<Vec<KeyUsage>>,
    subject: (SubjectRule, Option<String>),
    max_names: Option<usize>,
    revocation: Revocation,
    must_staple: bool,
}

/// Where the subject comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SubjectRule {
    FromRequest,
    CommonNameFromFirstName,
    Empty,
}

/// Keys that a certificate may be for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct KeyRule {
    key: KeyType,
    /// Longer ones of the kind too.
    and_longer: bool,
}

impl ProfilesInput {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty() && self.default.is_none()
    }
}

impl Profiles {
    /// Whether there are none: then there are no rules.
    pub fn is_empty(&self) -> bool {
        self.profiles.is_empty()
    }

    /// The longest that a certificate lives under any of them; `None` where one of them has no limit, and where there are
    /// none.
    pub fn longest(&self) -> Option<Lifetime> {
        let limits = self.profiles.values().map(|text| Lifetime::parse(text.max_validity.as_deref()?).ok());
        limits.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// These profiles after a change. A default that is removed leaves none.
    ///
    /// # Errors
    /// The member, and what is wrong with it.
    pub fn changed(mut self, input: &ProfilesInput) -> Result<Self> {
        for (name, text) in &input.profiles {
            match text {
                Some(text) => {
                    Profile::parse(name, text)?;
                    self.profiles.insert(name.clone(), text.clone());
                }
                None => {
                    self.profiles.remove(name);
                }
            }
        }
        if self.profiles.len() > MAX_PROFILES {
            return Err(Error::field("profiles", format!("More than {MAX_PROFILES} profiles.")));
        }
        self.default = self.default.filter(|name| self.profiles.contains_key(name));
        if let Some(name) = &input.default {
            if !self.profiles.contains_key(name) {
                return Err(Error::field("default_profile", self.unknown(name)));
            }
            self.default = Some(name.clone());
        }
        Ok(self)
    }

    /// The profile for a certificate type; `None` where there are no profiles, and so no rules.
    ///
    /// # Errors
    /// `BadParameter` for a type that is none of them, and for none where there is no default.
    pub fn chosen(&self, certificate_type: Option<&str>) -> Result<Option<Profile>> {
        if self.is_empty() {
            return Ok(None);
        }
        let wanted = certificate_type.filter(|name| !name.is_empty()).or(self.default.as_deref());
        let Some(wanted) = wanted else {
            let problem = format!("The issuer has profiles: name one of {}.", self.names());
            return Err(Error::field("policy.issuer.cty", problem));
        };
        let Some(text) = self.profiles.get(wanted) else {
            return Err(Error::field("policy.issuer.cty", self.unknown(wanted)));
        };
        Profile::parse(wanted, text).map(Some)
    }

    fn names(&self) -> String {
        self.profiles.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    fn unknown(&self, name: &str) -> String {
        let names = if self.is_empty() { "it has none".to_owned() } else { format!("use one of {}", self.names()) };
        format!("{} is not a profile of the issuer: {names}.", shown(name))
    }
}

impl Profile {
    /// Reads the rules of a profile.
    ///
    /// # Errors
    /// `BadParameter`, with the member that cannot be read.
    pub fn parse(name: &str, text: &ProfileText) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.chars().count() > MAX_NAME || !name.chars().all(plain) {
            let problem = format!(
                "{} is not a name of a profile: use 1 to {MAX_NAME} letters, digits, -, _ and dots.",
                shown(name)
            );
            return Err(Error::field("profiles", problem));
        }
        let ProfileText {
            max_validity,
            validity,
            names,
            keys,
            ekus,
            key_usage,
            subject,
            o,
            max_names,
            revocation,
            must_staple,
        } = text;
        let bad = |member: &str, problem: String| Error::field(format!("profiles.{name}.{member}"), problem);
        let lifetime = |member: &str, text: &Option<String>| {
            text.as_deref().map(|text| Lifetime::parse(text).map_err(|problem| bad(member, problem))).transpose()
        };
        let (max_validity, validity) = (lifetime("max_validity", max_validity)?, lifetime("validity", validity)?);
        if let (Some(most), Some(usual)) = (max_validity, validity)
            && usual > most
        {
            return Err(bad("validity", format!("It is longer than max_validity, {most}.")));
        }
        // Over gRPC an empty list cannot be told from none: read and sent back, the rule would be gone.
        for (member, list) in [("ekus", ekus), ("key_usage", key_usage)] {
            if list.as_ref().is_some_and(Vec::is_empty) {
                return Err(bad(member, "It is empty: list what may be asked for, or leave it out.".to_owned()));
            }
        }
        let keys = read_list("keys", keys.as_deref(), &bad, KeyRule::parse)?;
        let ekus = ekus.as_ref().map(|list| read_list("ekus", Some(list), &bad, purpose)).transpose()?;
        let usage = |word: &str| KeyUsage::parse(word).ok_or_else(|| format!("{} is not a key usage.", shown(word)));
        let key_usage = key_usage.as_ref().map(|list| read_list("key_usage", Some(list), &bad, usage)).transpose()?;
        let subject = match subject.as_deref() {
            None | Some("" | "from-request") => SubjectRule::FromRequest,
            Some("cn-from-first-name") => SubjectRule::CommonNameFromFirstName,
            Some("empty") => SubjectRule::Empty,
            Some(other) => {
                let problem = format!("{} is none: use from-request, cn-from-first-name or empty.", shown(other));
                return Err(bad("subject", problem));
            }
        };
        let organization = o.clone().filter(|text| !text.is_empty());
        if organization.is_some() && subject == SubjectRule::Empty {
            return Err(bad("o", "An empty subject has no organization: leave it out.".to_owned()));
        }
        // What no subject may have could never be met.
        if let Some(problem) = organization.as_deref().and_then(judge::organization_problem) {
            return Err(bad("o", problem));
        }
        if *max_names == Some(0) {
            return Err(bad("max_names", "0 names leave nothing to certify: use 1 or more.".to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            validity: (max_validity, validity),
            names: names.as_ref().map(|names| NameRules::parse(names, &bad)).transpose()?,
            keys,
            ekus,
            key_usage,
            subject: (subject, organization),
            max_names: max_names.and_then(|most| usize::try_from(most).ok()),
            revocation: Revocation::parse(revocation.as_deref()).map_err(|problem| bad("revocation", problem))?,
            must_staple: must_staple.unwrap_or(false),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Reads each entry of a list.
fn read_list<T>(
    member: &str,
    list: Option<&[String]>,
    bad: &impl Fn(&str, String) -> Error,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>> {
    let list = list.unwrap_or_default();
    if list.len() > MAX_RULES {
        return Err(bad(member, format!("More than {MAX_RULES} entries.")));
    }
    let read =
        |(index, text): (usize, &String)| read(text).map_err(|problem| bad(&format!("{member}[{index}]"), problem));
    list.iter().enumerate().map(read).collect()
}

fn purpose(text: &str) -> Result<String, String> {
    if OF_THE_CA.contains(&text) {
        return Err(format!("Only a CA may have {text} (OCSPSigning, anyExtendedKeyUsage): remove it."));
    }
    if !is_oid(text) {
        return Err(format!("{} is not an object identifier such as 1.3.6.1.5.5.7.3.1.", shown(text)));
    }
    Ok(text.to_owned())
}

impl KeyRule {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, and_longer) = text.strip_suffix('+').map_or((text, false), |name| (name, true));
        let all = [
            KeyType::Rsa2048,
            KeyType::Rsa3072,
            KeyType::Rsa4096,
            KeyType::P256,
            KeyType::P384,
            KeyType::P521,
            KeyType::P256K,
        ];
        let found = all.into_iter().find(|key| key_name(*key) == name);
        match found {
            Some(key) if key.is_rsa() || !and_longer => Ok(Self { key, and_longer }),
            _ => Err(format!(
                "{} is none: use RSA-2048, RSA-3072, RSA-4096 (with + for longer ones too), EC-P256, EC-P384, EC-P521 or EC-P256K.",
                shown(text)
            )),
        }
    }

    fn allows(self, key: KeyType) -> bool {
        self.key == key || (self.and_longer && key.is_rsa() && key.bits() >= self.key.bits())
    }

    fn text(self) -> String {
        format!("{}{}", key_name(self.key), if self.and_longer { "+" } else { "" })
    }
}

/// What rules call a key.
fn key_name(key: KeyType) -> String {
    match key.curve() {
        Some(curve) => format!("EC-{}", curve.replacen('-', "", 1)),
        None => format!("RSA-{}", key.bits()),
    }
}

#[cfg(test)]
mod tests;
