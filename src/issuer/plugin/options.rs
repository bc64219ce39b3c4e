//! What an issuer object of a plug-in is checked for before the plug-in is asked: its options exist, required ones are
//! there, and values are of their kind.

use super::description::Description;
use crate::domain;
use crate::issuer::provider::{IssuerInput, OptionKind, OptionSchema};

/// Where callers find a field of an issuer object.
pub(super) fn path(field: &str) -> String {
    match field {
        "account_id" => "credentials.account_id".to_owned(),
        "password" => "credentials.pwd".to_owned(),
        "organization_id" => "org_details.id".to_owned(),
        option => format!("options.{option}"),
    }
}

fn problem(field: &str, problem: impl Into<String>) -> domain::Error {
    domain::Error::field(path(field), problem)
}

/// # Errors
/// The first option that is wrong, and how; never its value.
pub(super) fn check(description: &Description, input: &IssuerInput) -> domain::Result<()> {
    let Description { schema, members, .. } = description;
    let find = |name: &str| schema.options.iter().find(|option| is_called(option, name));
    let provider = schema.provider;
    for (name, value) in &input.options {
        let Some(known) = find(name) else {
            let names: Vec<&str> = schema.options.iter().map(|option| option.name).collect();
            let hint = if names.is_empty() {
                format!("{provider} has no options: leave it out.")
            } else {
                format!("Unknown option. {provider} has: {}.", names.join(", "))
            };
            return Err(problem(&domain::text::readable(name, 60), hint));
        };
        if let Some(wrong) = wrong(&known.kind, value.trim()) {
            return Err(problem(name, wrong));
        }
    }
    for name in input.secrets.keys() {
        if find(name).is_none_or(|known| known.kind != OptionKind::Secret) {
            let name = domain::text::readable(name, 60);
            return Err(problem(&name, format!("{provider} has no such secret option.")));
        }
    }
    let blank = |text: &str| text.trim().is_empty();
    let missing_option = schema.options.iter().find(|option| {
        let given = match option.kind {
            OptionKind::Secret => input.secrets.get(option.name).is_some_and(|secret| !blank(secret)),
            OptionKind::Map => input.options.keys().any(|name| is_called(option, name)),
            _ => input.options.get(option.name).is_some_and(|value| !blank(value)),
        };
        option.required && option.default.is_none() && !given
    });
    let missing_member = members.iter().find(|member| {
        let given = match member.name {
            "account_id" => input.account_id.as_deref().is_some_and(|id| !blank(id)),
            "password" => input.password.as_ref().is_some_and(|password| !password.is_empty()),
            _ => input.organization.as_ref().and_then(|it| it.id.as_deref()).is_some_and(|id| !blank(id)),
        };
        member.required && !given
    });
    match missing_option.or(missing_member) {
        Some(missing) => Err(problem(missing.name, format!("Required: {}", missing.help))),
        None => Ok(()),
    }
}

fn is_called(option: &OptionSchema, name: &str) -> bool {
    match option.kind {
        OptionKind::Map => name.strip_prefix(option.name).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.')),
        _ => option.name == name,
    }
}

fn wrong(kind: &OptionKind, value: &str) -> Option<String> {
    if *kind == OptionKind::Secret {
        return Some("A secret: send it as a secret option.".to_owned());
    }
    if value.is_empty() {
        return None;
    }
    match kind {
        OptionKind::Boolean if value != "true" && value != "false" => Some("Must be true or false.".to_owned()),
        OptionKind::Integer { least, most } => match value.parse::<u64>() {
            Ok(number) if (*least..=*most).contains(&number) => None,
            _ if *most == u64::MAX => Some(format!("Must be a number, at least {least}.")),
            _ => Some(format!("Must be a number from {least} to {most}.")),
        },
        OptionKind::Choice(choices) if !choices.contains(&value) => {
            Some(format!("Must be one of {}.", choices.join(", ")))
        }
        OptionKind::Url
            if !value.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some() && uri.host().is_some()) =>
        {
            Some("Not an address: write it with its scheme, such as https://ca.example.".to_owned())
        }
        _ => None,
    }
}
