//! What a plug-in says of itself, checked and bounded.

use super::link::PROTOCOL;
use super::message::key_type;
use super::words::{Secrets, words};
use crate::domain::{self, Policy};
use crate::issuer::IssuerError;
use crate::issuer::provider::{IssuerSchema, OptionKind, OptionSchema};
use crate::proto::plugin::v1 as pb;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Most options of a plug-in.
const MAX_OPTIONS: usize = 100;
/// Most values of a choice, certificate types and key types.
const MAX_VALUES: usize = 50;
/// Longest name of an option, and longest sentence, in characters.
const MAX_NAME: usize = 100;
const MAX_HELP: usize = 300;
/// All texts that plug-ins gave in the life of the process, in bytes: they are never given back.
const MAX_INTERNED: usize = 1024 * 1024;
/// Members of the issuer object that a plug-in can read.
const MEMBERS: [&str; 3] = ["account_id", "password", "organization_id"];

/// What a plug-in said of itself.
#[derive(Clone, Debug)]
pub(super) struct Description {
    pub(super) schema: IssuerSchema,
    pub(super) members: Vec<OptionSchema>,
    certificate_types: Vec<String>,
    key_types: Vec<pb::KeyType>,
    pub(super) exactly_once: bool,
    pub(super) common_name_in_sans: bool,
    pub(super) watch: bool,
    pub(super) version: String,
    /// The number of the connection that it was given on; a later one may lead to another version.
    pub(super) connection: u64,
}

impl Description {
    /// # Errors
    /// What the plug-in has to change, or that it speaks no version of the contract that this server speaks.
    pub(super) fn read(name: &'static str, answer: pb::DescribeResponse, connection: u64) -> Result<Self, IssuerError> {
        let pb::DescribeResponse {
            protocol_versions,
            summary,
            plugin_version,
            options,
            members,
            certificate_types,
            key_types,
            submit_semantics,
            common_name_in_sans,
            watch,
        } = answer;
        let wrong = |problem: String| IssuerError::Misconfigured {
            source: format!("The plug-in {name} cannot be used: {problem}.").into(),
        };
        let pb::VersionRange { minimum, maximum } = protocol_versions.unwrap_or_default();
        if !(minimum..=maximum).contains(&PROTOCOL) {
            return Err(wrong(format!(
                "it speaks the versions {minimum} to {maximum} of the contract, and this server speaks {PROTOCOL}"
            )));
        }
        if options.len() > MAX_OPTIONS || certificate_types.len() > MAX_VALUES || key_types.len() > MAX_VALUES {
            return Err(wrong(format!("it describes more than {MAX_OPTIONS} options or {MAX_VALUES} types")));
        }
        if let Some(member) = members.iter().find(|member| !MEMBERS.contains(&member.name.as_str())) {
            let member = words(&member.name, MAX_NAME, &Secrets::default());
            return Err(wrong(format!("{member} is no member of an issuer object that it can read")));
        }
        let mut summary = words(&summary, MAX_HELP, &Secrets::default());
        if summary.is_empty() {
            summary = "A CA behind a plug-in".to_owned();
        }
        let schemas = |options: Vec<pb::Option>| {
            let mut names = HashSet::new();
            options
                .into_iter()
                .map(|option| match names.insert(option.name.clone()) {
                    true => schema(option),
                    false => Err("an option stands twice".to_owned()),
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let secret_member = |member: &OptionSchema| member.name == "password" || member.kind != OptionKind::Secret;
        let members = schemas(members).map_err(wrong)?;
        if !members.iter().all(secret_member) {
            return Err(wrong("of the members of an issuer object only the password is a secret".to_owned()));
        }
        Ok(Self {
            schema: IssuerSchema {
                provider: name,
                summary: interned(&sentence(summary)).map_err(wrong)?,
                options: schemas(options).map_err(wrong)?,
            },
            members,
            certificate_types: certificate_types
                .iter()
                .map(|kind| words(kind, MAX_NAME, &Secrets::default()))
                .collect(),
            // Those of a later version of the contract cannot be ordered from here.
            key_types: key_types.into_iter().filter_map(|kind| pb::KeyType::try_from(kind).ok()).collect(),
            exactly_once: submit_semantics == i32::from(pb::SubmitSemantics::ExactlyOnce),
            common_name_in_sans,
            watch,
            version: words(&plugin_version, MAX_NAME, &Secrets::default()),
            connection,
        })
    }

    /// Refuses what the plug-in said it cannot order.
    pub(super) fn accept(&self, policy: &Policy) -> domain::Result<()> {
        let name = self.schema.provider;
        let wanted = policy.issuer.certificate_type.as_deref().unwrap_or_default();
        let known = &self.certificate_types;
        if !known.is_empty() && !known.iter().any(|kind| kind.eq_ignore_ascii_case(wanted)) {
            let problem = format!("The issuer's provider {name} offers: {}.", known.join(", "));
            return Err(domain::Error::field("policy.issuer.cty", problem));
        }
        if !self.key_types.is_empty() && !self.key_types.contains(&key_type(policy.key.key_type)) {
            let offered: Vec<&str> =
                self.key_types.iter().map(|kind| kind.as_str_name().trim_start_matches("KEY_TYPE_")).collect();
            let problem = format!("The issuer's provider {name} offers keys of: {}.", offered.join(", "));
            return Err(domain::Error::field("policy.key_props.kty", problem));
        }
        Ok(())
    }
}

fn sentence(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('.') {
        text.push('.');
    }
    text
}

fn schema(option: pb::Option) -> Result<OptionSchema, String> {
    let pb::Option { name, kind, required, default_value, choices, minimum, maximum, description } = option;
    let readable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(readable) {
        let name = words(&name, MAX_NAME, &Secrets::default());
        return Err(format!("{name:?} is no name of an option"));
    }
    let line = |text: &str| words(text, MAX_HELP, &Secrets::default());
    let kind = match pb::OptionKind::try_from(kind).unwrap_or_default() {
        pb::OptionKind::Unspecified | pb::OptionKind::Text => OptionKind::Text,
        pb::OptionKind::Url => OptionKind::Url,
        pb::OptionKind::Boolean => OptionKind::Boolean,
        pb::OptionKind::Integer => {
            OptionKind::Integer { least: minimum, most: if maximum == 0 { u64::MAX } else { maximum } }
        }
        pb::OptionKind::Choice => OptionKind::Choice(interned_list(&choices)?),
        pb::OptionKind::List => OptionKind::List,
        pb::OptionKind::File => OptionKind::File,
        pb::OptionKind::Secret => OptionKind::Secret,
        pb::OptionKind::Map => OptionKind::Map,
    };
    let default = line(&default_value);
    if kind == OptionKind::Secret && !default.is_empty() {
        return Err(format!("the secret option {name} has a default"));
    }
    let default = if default.is_empty() { None } else { Some(interned(&default)?) };
    let mut help = line(&description);
    if help.is_empty() {
        help = "The plug-in does not describe it".to_owned();
    }
    Ok(OptionSchema { name: interned(&name)?, kind, required, default, help: interned(&sentence(help))? })
}

/// Texts for the life of the process. A schema has such texts, and a plug-in describes itself at run time: equal texts
/// are kept once, and all of them are bounded in sum (decision 50).
#[derive(Default)]
struct Interned {
    texts: HashSet<&'static str>,
    lists: HashSet<&'static [&'static str]>,
    bytes: usize,
}

static INTERNED: Mutex<Option<Interned>> = Mutex::new(None);

fn with_interned<T>(keep: impl FnOnce(&mut Interned) -> Result<T, String>) -> Result<T, String> {
    let mut guard = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    keep(guard.get_or_insert_default())
}

impl Interned {
    fn count(&mut self, bytes: usize) -> Result<(), String> {
        if self.bytes + bytes > MAX_INTERNED {
            return Err("plug-ins have described themselves with too many different texts; restart the server".into());
        }
        self.bytes += bytes;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<&'static str, String> {
        if let Some(known) = self.texts.get(text) {
            return Ok(known);
        }
        self.count(text.len())?;
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        self.texts.insert(kept);
        Ok(kept)
    }
}

/// A text for the life of the process.
pub(super) fn interned(text: &str) -> Result<&'static str, String> {
    with_interned(|kept| kept.text(text))
}

fn interned_list(values: &[String]) -> Result<&'static [&'static str], String> {
    if values.len() > MAX_VALUES {
        return Err(format!("a choice has more than {MAX_VALUES} values"));
    }
    with_interned(|kept| {
        let line = |value: &String| words(value, MAX_HELP, &Secrets::default());
        let values = values.iter().map(|value| kept.text(&line(value))).collect::<Result<Vec<_>, _>>()?;
        if let Some(known) = kept.lists.get(values.as_slice()) {
            return Ok(*known);
        }
        kept.count(std::mem::size_of_val(values.as_slice()))?;
        let list: &'static [&'static str] = Box::leak(values.into_boxed_slice());
        kept.lists.insert(list);
        Ok(list)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PolicyInput, Timestamp};

    fn option(name: &str, kind: pb::OptionKind) -> pb::Option {
        pb::Option { name: name.into(), kind: kind.into(), ..Default::default() }
    }

    fn answer(options: Vec<pb::Option>) -> pb::DescribeResponse {
        let protocol_versions = Some(pb::VersionRange { minimum: 1, maximum: 3 });
        pb::DescribeResponse { protocol_versions, options, ..Default::default() }
    }

    #[test]
    fn a_description_becomes_a_schema_of_sentences() {
        let choice = pb::Option { choices: vec!["a".into(), "b".into()], ..option("kind", pb::OptionKind::Choice) };
        let secret = pb::Option { description: "The\ntoken".into(), ..option("token", pb::OptionKind::Secret) };
        let read = || Description::read("Corp", answer(vec![choice.clone(), secret.clone()]), 1).unwrap();
        let schema = read().schema;
        assert_eq!(schema.summary, "A CA behind a plug-in.");
        assert_eq!(schema.options[0].kind, OptionKind::Choice(&["a", "b"]));
        assert_eq!(schema.options[1].help, "The token.");
        assert!(std::ptr::eq(schema.options[1].help, read().schema.options[1].help), "kept once");
    }

    #[test]
    fn descriptions_that_cannot_be_used_are_refused_with_the_reason() {
        let newer = pb::VersionRange { minimum: 2, maximum: 4 };
        let twice = vec![option("a", pb::OptionKind::Text), option("a", pb::OptionKind::Url)];
        let default = pb::Option { default_value: "x".into(), ..option("token", pb::OptionKind::Secret) };
        let member = pb::DescribeResponse { members: vec![option("phone", pb::OptionKind::Text)], ..answer(vec![]) };
        for (answer, reason) in [
            (pb::DescribeResponse { protocol_versions: Some(newer), ..answer(vec![]) }, "versions 2 to 4"),
            (pb::DescribeResponse::default(), "versions 0 to 0"),
            (answer(twice), "stands twice"),
            (answer(vec![default]), "has a default"),
            (answer(vec![option("a b\n", pb::OptionKind::Text)]), "no name of an option"),
            (answer(vec![option("a", pb::OptionKind::Text); 101]), "more than 100 options"),
            (member, "phone is no member"),
        ] {
            let error = Description::read("Corp", answer, 1).unwrap_err();
            assert!(
                matches!(error, IssuerError::Misconfigured { .. }) && error.to_string().contains(reason),
                "{error}"
            );
        }
    }
    #[test]
    fn what_cannot_be_ordered_is_refused_with_what_can() {
        let offers = pb::DescribeResponse {
            certificate_types: vec!["OV-SSL".into()],
            key_types: vec![pb::KeyType::Rsa2048.into(), pb::KeyType::P384.into(), 99],
            ..answer(vec![])
        };
        let offers = Description::read("Corp", offers, 1).unwrap();
        let ask = |cty: &str, curve: &str| {
            let input = PolicyInput {
                kty: Some("EC".into()),
                curve: Some(curve.into()),
                subject: Some("CN=a".into()),
                certificate_type: Some(cty.into()),
                ..PolicyInput::default()
            };
            offers.accept(&input.complete(Timestamp(0)).unwrap())
        };
        ask("ov-ssl", "P-384").unwrap();
        for (cty, curve, path, offered) in [
            ("EV-SSL", "P-384", "policy.issuer.cty", "offers: OV-SSL."),
            ("OV-SSL", "P-256", "policy.key_props.kty", "offers keys of: RSA_2048, P384."),
        ] {
            let error = ask(cty, curve).unwrap_err();
            assert!(error.message.contains(path) && error.message.contains(offered), "{error}");
        }
    }
}
