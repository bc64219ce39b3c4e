//! The values of an issuer as command line options; passwords come from a file or standard input.

use super::Result;
use super::failure::Failure;
use super::trust::unreadable;
use crate::proto::v1::{AdministratorDetails, Issuer, IssuerAttributes, IssuerCredentials, OrganizationDetails};
use clap::builder::NonEmptyStringValueParser;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A password is no file of this size.
const MAX_PASSWORD_BYTES: u64 = 64 * 1024;
/// The server takes no more.
const MAX_OPTION_BYTES: u64 = 256 * 1024;

/// What `issuer set` and `issuer update` have in common.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ValueArgs {
    /// The account at the provider
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    account_id: Option<String>,

    /// Read the password from standard input
    #[arg(long, conflicts_with = "password_file")]
    password_stdin: bool,

    /// Read the password from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The identifier of the organization
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    organization_id: Option<String>,

    /// An administrator: "FIRST LAST <EMAIL> PHONE", each part is optional [repeatable]
    #[arg(long = "admin", value_name = "PERSON", value_parser = administrator)]
    administrators: Vec<AdministratorDetails>,

    /// An option of the provider; if its name ends in `_file`, the file to read its value from
    /// [repeatable]
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = named)]
    options: Vec<(String, String)>,

    /// A secret option of the provider, read from a file, or from standard input if it is `-` [repeatable]
    #[arg(long = "secret-option", value_name = "NAME=FILE", value_parser = named)]
    secret_options: Vec<(String, String)>,

    /// Do not allow certificates to be ordered from it
    #[arg(long, conflicts_with = "enabled")]
    disabled: bool,

    /// Allow certificates to be ordered from it
    #[arg(long)]
    enabled: bool,
}

/// Options of a LocalCA that have a word of their own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CaValueArgs {
    /// Who signs the CA of a LocalCA: the issuer of the vault whose CA does, or "external" for a CA elsewhere [default: a
    /// root of its own]
    #[arg(long, value_name = "PARENT", value_parser = NonEmptyStringValueParser::new())]
    parent: Option<String>,

    /// The subject of the CA of a LocalCA, such as "CN=Example Root, O=Example"
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    subject: Option<String>,

    /// The key of the CA of a LocalCA: P-256, P-384, RSA-3072 or RSA-4096
    #[arg(long, value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    key_type: Option<String>,
}

impl ValueArgs {
    /// With options that were said in words of their own.
    pub(super) fn with_ca(mut self, ca: CaValueArgs) -> Self {
        let CaValueArgs { parent, subject, key_type } = ca;
        let said = [("parent", parent), ("subject", subject), ("key_type", key_type)];
        self.options.extend(said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        self
    }

    /// The values that were given; the others are left out of the message.
    pub(super) fn into_issuer(self, provider: Option<String>) -> Result<Issuer> {
        let Self {
            account_id,
            password_stdin,
            password_file,
            organization_id,
            administrators,
            options,
            secret_options,
            disabled,
            enabled,
        } = self;
        let from_stdin = secret_options.iter().filter(|(_, file)| file == "-").count() + usize::from(password_stdin);
        if from_stdin > 1 {
            return Err(Failure::usage("only one secret can be read from standard input"));
        }
        let password = match (password_stdin, password_file) {
            (true, _) => Some(password(io::stdin().lock()).map_err(|error| unreadable(Path::new("-"), &error))?),
            (false, Some(file)) => {
                let read = File::open(&file).and_then(password);
                Some(read.map_err(|error| unreadable(&file, &error))?)
            }
            (false, None) => None,
        };
        if password.as_ref().is_some_and(|password| password.is_empty()) {
            return Err(Failure::usage("the password is empty"));
        }
        let credentials = (account_id.is_some() || password.is_some()).then(|| IssuerCredentials {
            account_id: account_id.unwrap_or_default(),
            password: password.map(|password| password.to_string()).unwrap_or_default(),
        });
        let organization = (organization_id.is_some() || !administrators.is_empty())
            .then(|| OrganizationDetails { id: organization_id.unwrap_or_default(), administrators });
        let attributes =
            (disabled || enabled).then(|| IssuerAttributes { enabled: Some(enabled), ..Default::default() });
        Ok(Issuer {
            provider: provider.unwrap_or_default(),
            credentials,
            organization,
            attributes,
            options: each_once(options)?.into_iter().map(option_value).collect::<Result<_>>()?,
            secret_options: each_once(secret_options)?.into_iter().map(secret_value).collect::<Result<_>>()?,
            ..Default::default()
        })
    }
}

/// `NAME=TEXT`.
fn named(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn each_once(options: Vec<(String, String)>) -> Result<Vec<(String, String)>> {
    for (index, (name, _)) in options.iter().enumerate() {
        if options[..index].iter().any(|(before, _)| before == name) {
            return Err(Failure::usage(format!("the option {name} is given twice")));
        }
    }
    Ok(options)
}

/// The server does not read files of this machine, so their content is sent. An empty value removes the option.
fn option_value((name, value): (String, String)) -> Result<(String, String)> {
    if !name.ends_with("_file") || value.is_empty() {
        return Ok((name, value));
    }
    let path = PathBuf::from(value);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(MAX_OPTION_BYTES + 1).read_to_string(&mut text));
    read.map_err(|error| unreadable(&path, &error))?;
    if text.len() as u64 > MAX_OPTION_BYTES {
        let error = io::Error::new(io::ErrorKind::InvalidData, "too large for an option");
        return Err(unreadable(&path, &error));
    }
    Ok((name, text))
}

fn secret_value((name, file): (String, String)) -> Result<(String, String)> {
    let path = PathBuf::from(&file);
    let read = match file.as_str() {
        // An empty value removes the option.
        "" => Ok(Zeroizing::new(String::new())),
        "-" => password(io::stdin().lock()),
        _ => File::open(&path).and_then(password),
    };
    let secret = read.map_err(|error| unreadable(&path, &error))?;
    Ok((name, secret.to_string()))
}

/// The text without the trailing line end that editors and `echo` add.
pub(super) fn password(source: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(MAX_PASSWORD_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too large for a password"));
    }
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(text)
}

/// `First Last <email> phone`.
fn administrator(text: &str) -> std::result::Result<AdministratorDetails, String> {
    let wrong = || "write \"FIRST LAST <EMAIL> PHONE\"".to_owned();
    let (names, email, phone) = match text.split_once('<') {
        None => (text.trim(), "", ""),
        Some((names, rest)) => {
            let (email, phone) = rest.split_once('>').ok_or_else(wrong)?;
            (names.trim(), email.trim(), phone.trim())
        }
    };
    let (first, last) = names.split_once(char::is_whitespace).unwrap_or((names, ""));
    if [first, email, phone].iter().all(|part| part.is_empty()) {
        return Err(wrong());
    }
    Ok(AdministratorDetails {
        first_name: first.to_owned(),
        last_name: last.trim().to_owned(),
        email: email.to_owned(),
        phone: phone.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> [String; 4] {
        let AdministratorDetails { first_name, last_name, email, phone } = administrator(text).unwrap();
        [first_name, last_name, email, phone]
    }

    #[test]
    fn administrators_are_names_an_address_and_a_number() {
        assert_eq!(
            parts("Ann de Vries <ann@example.com> +31 20 1"),
            ["Ann", "de Vries", "ann@example.com", "+31 20 1"]
        );
        assert_eq!(parts("<ann@example.com>"), ["", "", "ann@example.com", ""]);
        assert_eq!(parts("Ann"), ["Ann", "", "", ""]);
        assert!(administrator("").is_err() && administrator("Ann <ann@example.com").is_err());
    }

    #[test]
    fn a_password_loses_its_line_end_and_nothing_else() {
        assert_eq!(password(&b" two words \r\n"[..]).unwrap().as_str(), " two words ");
        assert!(password(&vec![b'a'; 65_537][..]).is_err());
    }

    #[test]
    fn only_what_was_given_is_in_the_message() {
        let issuer = ValueArgs { disabled: true, ..Default::default() }.into_issuer(None).unwrap();
        assert_eq!((&issuer.credentials, &issuer.organization), (&None, &None));
        assert_eq!(issuer.attributes.unwrap().enabled, Some(false));
    }
}
