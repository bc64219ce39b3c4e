//! The options of a provider, for `issuer set --help` and `issuer providers`: as the server has them, or, where none
//! is reached, as this program does.

use super::connection::{Admin, Repeat, Session};
use super::failure::{Exit, Failure};
use super::options::ClientOptions;
use super::output::Output;
use super::{Cli, KnownProviders, Result, json};
use crate::proto::v1::{IssuerOption, IssuerOptionKind, IssuerProvider, ListProvidersRequest};
use clap::CommandFactory;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;
use tokio::time::timeout;

/// How long a server may take before the help of this program is printed.
const PATIENCE: Duration = Duration::from_secs(3);

/// `certmint issuer providers [PROVIDER]`.
pub(super) async fn providers(options: &ClientOptions, output: Output, provider: Option<String>) -> Result<Exit> {
    let session = Session::open(options).await?;
    let known = session.call(Repeat::Safe, ListProvidersRequest {}, Admin::list_providers).await?.providers;
    let shown = match provider {
        Some(name) => vec![find(&known, &name)?.clone()],
        None => known,
    };
    output.result(|| json!({ "providers": json::messages(&shown) }), || shown.iter().map(describe).collect())?;
    Ok(Exit::Done)
}

/// `certmint issuer set|update --help`, with the options of a provider where one is named.
pub(super) async fn help(
    options: &ClientOptions,
    output: Output,
    command: &str,
    provider: Option<String>,
    known: KnownProviders,
) -> Result<Exit> {
    let (providers, source) = match timeout(PATIENCE, from_server(options)).await {
        Ok(Ok(providers)) => (providers, "as the server has them"),
        _ => (known(), "as this program has them; no server was reached"),
    };
    let mut text = usage(command);
    text.push('\n');
    match provider {
        Some(name) => {
            let _ = writeln!(text, "Provider ({source}):\n\n{}", describe(find(&providers, &name)?).trim_end());
        }
        None => {
            let _ = writeln!(text, "Providers ({source}); --provider NAME --help prints the options of one:\n");
            for IssuerProvider { name, summary, .. } in &providers {
                let _ = writeln!(text, "  {name:<20}  {summary}");
            }
        }
    }
    output.raw(text.as_bytes())?;
    Ok(Exit::Done)
}

async fn from_server(options: &ClientOptions) -> Result<Vec<IssuerProvider>> {
    let session = Session::open(options).await?;
    Ok(session.call(Repeat::Never, ListProvidersRequest {}, Admin::list_providers).await?.providers)
}

fn usage(command: &str) -> String {
    let mut cli = Cli::command();
    cli.build();
    let found = cli.find_subcommand_mut("issuer").and_then(|issuer| issuer.find_subcommand_mut(command));
    found.map(|command| command.render_long_help().to_string()).unwrap_or_default()
}

fn find<'a>(providers: &'a [IssuerProvider], name: &str) -> Result<&'a IssuerProvider> {
    // The other word for it, as everywhere.
    let wanted = if name.eq_ignore_ascii_case("OneCertV2-PrivateCA") { "LocalCA" } else { name };
    providers.iter().find(|provider| provider.name.eq_ignore_ascii_case(wanted)).ok_or_else(|| {
        let names: Vec<&str> = providers.iter().map(|provider| provider.name.as_str()).collect();
        Failure::usage(format!("{name} is not a provider: use one of {}", names.join(", ")))
    })
}

fn describe(provider: &IssuerProvider) -> String {
    let IssuerProvider { name, summary, fields, options, undescribed } = provider;
    let mut text = format!("{name}: {summary}\n");
    for field in fields {
        let argument = match field.name.as_str() {
            "password" => "--password-file FILE".to_owned(),
            "organization_id" => "--organization-id ID".to_owned(),
            _ => format!("--account-id {}", value(field)),
        };
        line(&mut text, &argument, field);
    }
    for option in options {
        let argument = match option.secret {
            true => format!("--secret-option {}=FILE", option.name),
            false => format!("--option {}", named(option)),
        };
        line(&mut text, &argument, option);
    }
    if *undescribed {
        text.push_str("  Its options are not known yet: ask again when the plug-in runs.\n");
    } else if fields.is_empty() && options.is_empty() {
        text.push_str("  It has no options.\n");
    }
    text.push('\n');
    text
}

fn line(text: &mut String, argument: &str, option: &IssuerOption) {
    let mut notes = Vec::new();
    if option.required {
        notes.push("[required]".to_owned());
    }
    if !option.default_value.is_empty() {
        notes.push(format!("[default: {}]", option.default_value));
    }
    if option.kind() == IssuerOptionKind::Integer {
        notes.push(format!("[{} to {}]", option.minimum, option.maximum));
    }
    let notes = notes.iter().map(|note| format!(" {note}")).collect::<String>();
    let _ = writeln!(text, "  {argument}\n          {}{notes}", option.description);
}

fn named(option: &IssuerOption) -> String {
    match option.kind() {
        IssuerOptionKind::Map => format!("{}.KEY=VALUE", option.name),
        _ => format!("{}={}", option.name, value(option)),
    }
}

fn value(option: &IssuerOption) -> String {
    match option.kind() {
        IssuerOptionKind::Boolean => "true|false".to_owned(),
        IssuerOptionKind::Choice => option.choices.join("|"),
        IssuerOptionKind::Integer => "NUMBER".to_owned(),
        IssuerOptionKind::Url => "URL".to_owned(),
        IssuerOptionKind::List => "A,B".to_owned(),
        IssuerOptionKind::File => "FILE".to_owned(),
        _ => "TEXT".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_shown_as_it_is_written() {
        let option = |name: &str, kind: IssuerOptionKind| IssuerOption {
            name: name.into(),
            kind: kind.into(),
            description: "What it is.".into(),
            ..IssuerOption::default()
        };
        let challenge = IssuerOption {
            choices: vec!["a".into(), "b".into()],
            default_value: "a".into(),
            ..option("challenge", IssuerOptionKind::Choice)
        };
        let secret = IssuerOption { secret: true, required: true, ..option("key", IssuerOptionKind::Secret) };
        let provider = IssuerProvider {
            name: "ACME".into(),
            summary: "Any CA.".into(),
            fields: vec![option("password", IssuerOptionKind::Secret)],
            options: vec![challenge, secret, option("profiles", IssuerOptionKind::Map)],
            undescribed: false,
        };
        assert_eq!(
            describe(&provider),
            "ACME: Any CA.\n  --password-file FILE\n          What it is.\n  --option challenge=a|b\n          What it \
             is. [default: a]\n  --secret-option key=FILE\n          What it is. [required]\n  --option \
             profiles.KEY=VALUE\n          What it is.\n\n"
        );
        let bare = IssuerProvider { name: "Corp".into(), summary: "A CA.".into(), ..IssuerProvider::default() };
        assert_eq!(describe(&bare), "Corp: A CA.\n  It has no options.\n\n");
        let unknown = describe(&IssuerProvider { undescribed: true, ..bare });
        assert!(unknown.contains("not known yet") && !unknown.contains("no options"), "{unknown}");
        assert!(find(&[provider], "acne").unwrap_err().message.contains("use one of ACME"));
    }

    #[test]
    fn the_help_of_the_command_says_how_it_is_called() {
        assert!(usage("set").contains("certmint issuer set"), "{}", usage("set"));
    }
}
