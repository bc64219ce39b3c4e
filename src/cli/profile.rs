//! `certmint ca profile`: the rules of a built-in CA.

use super::connection::{Admin, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::policy::eku;
use super::{Result, issuer, json, text};
use crate::proto::v1::{Issuer, IssuerProfile, IssuerProfileNames, UpdateIssuerRequest};
use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

/// The commands of `certmint ca profile`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ProfileCommand {
    /// Set a profile: its rules are the ones that are given here
    Set(Box<SetArgs>),
    /// List the profiles of a CA with their rules
    List {
        /// The issuer
        #[arg(long, value_name = "NAME")]
        issuer: String,
    },
    /// Delete a profile; without any, the CA has no rules
    Delete {
        /// The profile
        name: String,
        /// The issuer
        #[arg(long, value_name = "NAME")]
        issuer: String,
    },
}

/// Arguments of `certmint ca profile set`.
#[derive(Clone, Debug, clap::Args)]
pub struct SetArgs {
    /// The profile; requests choose it by --certificate-type
    name: String,

    /// The issuer, of the provider LocalCA
    #[arg(long, value_name = "NAME")]
    issuer: String,

    /// Make it the profile of requests that name none
    #[arg(long)]
    default: bool,

    #[command(flatten)]
    validity: ValidityArgs,

    #[command(flatten)]
    names: NameArgs,

    #[command(flatten)]
    uses: UseArgs,

    #[command(flatten)]
    subject: SubjectArgs,

    /// How certificates say where their status is
    #[arg(long, value_enum, value_name = "HOW")]
    revocation: Option<RevocationArg>,

    /// Certificates ask servers to staple
    #[arg(long)]
    must_staple: bool,
}

/// How long certificates of a profile live.
#[derive(Clone, Debug, Default, clap::Args)]
struct ValidityArgs {
    /// The longest validity: P90D, PT8H (ISO 8601, without months and years)
    #[arg(long, value_name = "DURATION")]
    max_validity: Option<String>,

    /// The validity where the request names none
    #[arg(long, value_name = "DURATION")]
    validity: Option<String>,
}

/// What certificates of a profile are for.
#[derive(Clone, Debug, Default, clap::Args)]
struct UseArgs {
    /// A key that is allowed: EC-P256, RSA-2048, RSA-2048+ (and longer) [repeatable]
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,

    /// An extended key usage that is allowed: an object identifier, or a name such as serverAuth [repeatable]
    #[arg(long = "eku", value_name = "USAGE", value_parser = eku)]
    ekus: Vec<String>,

    /// A key usage that is allowed, such as digitalSignature [repeatable]
    #[arg(long = "key-usage", value_name = "USAGE")]
    key_usages: Vec<String>,
}

/// The subject of a profile.
#[derive(Clone, Debug, Default, clap::Args)]
struct SubjectArgs {
    /// Where the subject comes from
    #[arg(long, value_enum, value_name = "RULE")]
    subject: Option<SubjectArg>,

    /// The organization that the subject must have
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    organization: Option<String>,

    /// The most alternative names
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    max_names: Option<u32>,
}

/// Which names a profile allows. With any of these, kinds that are not named are not allowed.
#[derive(Clone, Debug, Default, clap::Args)]
struct NameArgs {
    /// A DNS name, or `*.corp.example` for every name of one label more [repeatable]
    #[arg(long = "dns", value_name = "PATTERN")]
    dns_names: Vec<String>,

    /// An IP address, or a network such as 10.0.0.0/8 [repeatable]
    #[arg(long = "ip", value_name = "NETWORK")]
    ip_addresses: Vec<String>,

    /// An e-mail address, or `@corp.example` for all of a host [repeatable]
    #[arg(long = "email", value_name = "PATTERN")]
    emails: Vec<String>,

    /// A URI, or the beginning of URIs with a `*` behind it [repeatable]
    #[arg(long = "uri", value_name = "PATTERN")]
    uris: Vec<String>,

    /// A user principal name, or `@corp.example` [repeatable]
    #[arg(long = "upn", value_name = "PATTERN")]
    upns: Vec<String>,

    /// Wildcard names that --dns covers may be asked for
    #[arg(long)]
    wildcards: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum SubjectArg {
    FromRequest,
    CnFromFirstName,
    Empty,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum RevocationArg {
    Auto,
    Crl,
    Ocsp,
    None,
}

/// The word of a value in the contract.
fn word<T: ValueEnum>(value: Option<T>) -> String {
    value.and_then(|value| value.to_possible_value()).map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl SetArgs {
    fn into_request(self) -> UpdateIssuerRequest {
        let Self { name, issuer, default, validity, names, uses, subject, revocation, must_staple } = self;
        let ValidityArgs { max_validity, validity } = validity;
        let UseArgs { keys, ekus, key_usages } = uses;
        let SubjectArgs { subject, organization, max_names } = subject;
        let profile = IssuerProfile {
            max_validity: max_validity.unwrap_or_default(),
            validity: validity.unwrap_or_default(),
            names: names.into_message(),
            keys,
            ekus,
            key_usages,
            subject: word(subject),
            organization: organization.unwrap_or_default(),
            max_names: max_names.unwrap_or(0),
            revocation: word(revocation),
            must_staple,
        };
        let changed = Issuer {
            default_profile: if default { name.clone() } else { String::new() },
            profiles: [(name, profile)].into(),
            ..Issuer::default()
        };
        UpdateIssuerRequest { issuer_name: issuer, issuer: Some(changed), ..UpdateIssuerRequest::default() }
    }
}

impl NameArgs {
    fn into_message(self) -> Option<IssuerProfileNames> {
        let Self { dns_names, ip_addresses, emails, uris, upns, wildcards } = self;
        let names = IssuerProfileNames { dns_names, ip_addresses, emails, uris, upns, wildcards };
        (names != IssuerProfileNames::default()).then_some(names)
    }
}

pub(super) async fn run(session: &Session, output: Output, command: ProfileCommand) -> Result<Exit> {
    let request = match command {
        ProfileCommand::List { issuer: name } => {
            let issuer = issuer::fetch(session, name).await?;
            return shown(output, &issuer);
        }
        ProfileCommand::Set(args) => args.into_request(),
        ProfileCommand::Delete { name, issuer: issuer_name } => {
            let known = issuer::fetch(session, issuer_name.clone()).await?;
            if !known.profiles.contains_key(&name) {
                return Err(
                    Failure::new(Exit::NotFound, format!("the issuer {issuer_name} has no profile {name}")).boxed()
                );
            }
            UpdateIssuerRequest {
                issuer_name,
                issuer: Some(Issuer::default()),
                removed_profiles: vec![name],
                ..UpdateIssuerRequest::default()
            }
        }
    };
    let request = UpdateIssuerRequest { vault_name: session.vault(), ..request };
    let set: Vec<String> = request.issuer.iter().flat_map(|issuer| issuer.profiles.keys().cloned()).collect();
    let answer = session.call(Repeat::Safe, request, Admin::update_issuer).await?;
    let issuer = answer.issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))?;
    // A server that knows no profiles ignores them.
    if let Some(name) = set.iter().find(|name| !issuer.profiles.contains_key(*name)) {
        let message = format!("the server did not take the profile {name}: it is too old");
        return Err(Failure::new(Exit::Error, message).boxed());
    }
    if issuer.profiles.is_empty() {
        output.note("the CA has no profiles any more: it signs whatever a policy asks for");
    }
    shown(output, &issuer)
}

fn shown(output: Output, issuer: &Issuer) -> Result<Exit> {
    let Issuer { issuer_name, profiles, default_profile, .. } = issuer;
    output.result(
        || {
            let profiles: serde_json::Map<_, _> =
                profiles.iter().map(|(name, profile)| (name.clone(), json::message(profile))).collect();
            json!({ "issuer_name": issuer_name, "profiles": profiles, "default_profile": default_profile })
        },
        || text::profiles(profiles, default_profile),
    )?;
    Ok(Exit::Done)
}
