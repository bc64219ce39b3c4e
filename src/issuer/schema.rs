//! The options of a provider: their names and kinds, for checks, forms and help.

use super::provider::IssuerInput;
use crate::domain;

/// The options of a provider: for forms, for checks, and for `issuer set --help`.
#[derive(Clone, Debug)]
pub struct IssuerSchema {
    pub provider: &'static str,
    pub summary: &'static str,
    pub options: Vec<OptionSchema>,
}

/// One option.
#[derive(Clone, Debug)]
pub struct OptionSchema {
    pub name: &'static str,
    pub kind: OptionKind,
    pub required: bool,
    pub default: Option<&'static str>,
    /// One sentence.
    pub help: &'static str,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OptionKind {
    Text,
    Url,
    Boolean,
    Integer {
        least: u64,
        most: u64,
    },
    Choice(&'static [&'static str]),
    /// Separated by commas.
    List,
    /// The content of a text file: `NAME=PATH` on the command line sends what is in the file.
    File,
    /// Stored sealed, never answered: `--secret-option NAME=FILE`.
    Secret,
    /// Any number of options `NAME.KEY`.
    Map,
}

impl OptionSchema {
    pub(super) fn is_called(&self, name: &str) -> bool {
        match self.kind {
            OptionKind::Map => name.strip_prefix(self.name).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.')),
            _ => self.name == name,
        }
    }

    /// What is wrong with a value that is not empty.
    fn problem(&self, value: &str) -> Option<String> {
        match &self.kind {
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
        }
    }
}

impl IssuerSchema {
    /// What holds for every option: it exists, and its value is of its kind. An empty value says nothing.
    ///
    /// # Errors
    /// The option, and what is wrong with it; of an unknown one, the names that there are.
    pub fn check(&self, input: &IssuerInput) -> domain::Result<()> {
        let find = |name: &str| self.options.iter().find(|option| option.is_called(name));
        let refuse = |name: &str, problem: String| Err(domain::Error::field(format!("options.{name}"), problem));
        for (name, value) in &input.options {
            let Some(known) = find(name) else {
                let names: Vec<&str> = self.options.iter().map(|option| option.name).collect();
                return refuse(name, format!("Unknown option. {} has: {}.", self.provider, names.join(", ")));
            };
            let value = value.trim();
            if let Some(problem) = known.problem(value).filter(|_| !value.is_empty()) {
                return refuse(name, problem);
            }
        }
        for name in input.secrets.keys() {
            if find(name).is_none_or(|known| known.kind != OptionKind::Secret) {
                let secret = self.options.iter().filter(|option| option.kind == OptionKind::Secret);
                let names: Vec<&str> = secret.map(|option| option.name).collect();
                let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return refuse(name, format!("{} has no such secret option. It has: {has}.", self.provider));
            }
        }
        Ok(())
    }
}
