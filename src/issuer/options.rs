//! What holds for the options of every issuer object: they exist, and their values are of their kind.

use super::provider::{IssuerInput, IssuerSchema, OptionKind};
use crate::domain;

/// A problem of an option, as a field error.
pub(super) fn problem(name: &str, problem: impl Into<String>) -> domain::Error {
    domain::Error::field(format!("options.{name}"), problem)
}

/// The items of a list.
pub(super) fn list(text: Option<&str>) -> Vec<String> {
    let items = text.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// What holds for every option: it exists, and its value is of its kind.
///
/// # Errors
/// The option and what is wrong with it.
pub(super) fn check(schema: &IssuerSchema, input: &IssuerInput) -> domain::Result<()> {
    let find = |name: &str| {
        schema.options.iter().find(|option| match option.kind {
            OptionKind::Map => {
                name.strip_prefix(option.name).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'))
            }
            _ => option.name == name,
        })
    };
    for (name, value) in &input.options {
        let Some(known) = find(name) else {
            let names: Vec<&str> = schema.options.iter().map(|option| option.name).collect();
            return Err(problem(name, format!("Unknown option. {} has: {}.", schema.provider, names.join(", "))));
        };
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        let wrong = match &known.kind {
            OptionKind::Secret => Some("A secret: send it as a secret option.".to_owned()),
            OptionKind::Boolean if value != "true" && value != "false" => Some("Must be true or false.".to_owned()),
            OptionKind::Integer { least, most } => match value.parse::<u64>() {
                Ok(number) if (*least..=*most).contains(&number) => None,
                _ => Some(format!("Must be a number from {least} to {most}.")),
            },
            OptionKind::Choice(choices) if !choices.contains(&value) => {
                Some(format!("Must be one of {}.", choices.join(", ")))
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(problem(name, wrong));
        }
    }
    for name in input.secrets.keys() {
        match find(name) {
            Some(known) if known.kind == OptionKind::Secret => {}
            _ => return Err(problem(name, format!("{} has no such secret option.", schema.provider))),
        }
    }
    Ok(())
}
