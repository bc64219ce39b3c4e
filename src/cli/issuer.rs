//! `certmint issuer`.

use super::connection::{Admin, Repeat, Session};
use super::failure::{Exit, Failure};
use super::issuer_input::{CaValueArgs, ValueArgs};
use super::options::ClientOptions;
use super::output::Output;
use super::{KnownProviders, Result, issuer_help, json, text};
use crate::proto::v1::{
    CheckIssuerRequest, DeactivateIssuerRequest, DeleteIssuerRequest, GetIssuerRequest, GetIssuerResponse, Issuer,
    IssuerVerdict, ListIssuersRequest, PauseIssuerRequest, ResumeIssuerRequest, RotateIssuerKeyRequest,
    SetIssuerRequest, UpdateIssuerRequest,
};
use serde_json::json;

/// The commands of `certmint issuer`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum IssuerCommand {
    /// Create an issuer, or replace it
    #[command(disable_help_flag = true)]
    Set {
        /// The issuer
        #[arg(required_unless_present = "help")]
        name: Option<String>,
        /// `LocalCA` (or `OneCertV2-PrivateCA`), a certificate authority built into the server; `ACME`, or a preset of
        /// it such as `LetsEncrypt`; `DigiCert`; `GlobalSign`, `GlobalSignAtlas`; a plug-in; or `Test`, where the server allows it
        /// (`issuer providers` lists them)
        #[arg(long, required_unless_present = "help")]
        provider: Option<String>,
        #[command(flatten)]
        values: Box<ValueArgs>,
        #[command(flatten)]
        ca: Box<CaValueArgs>,
        /// Print help; with --provider its options
        #[arg(short = 'h', long)]
        help: bool,
    },
    /// Change some values of an issuer
    #[command(disable_help_flag = true)]
    Update {
        /// The issuer
        #[arg(required_unless_present = "help")]
        name: Option<String>,
        /// The provider
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        values: Box<ValueArgs>,
        /// Print help; with --provider its options
        #[arg(short = 'h', long)]
        help: bool,
    },
    /// Print an issuer
    Show {
        /// The issuer
        name: String,
    },
    /// List the issuers of the vault with their health
    List,
    /// Try the credentials of an issuer, without side effects
    Check {
        /// The issuer
        name: String,
    },
    /// Stop asking the CA of an issuer: what is open waits, and its deadlines go on
    Pause {
        /// The issuer
        name: String,
        /// The reason, shown to requesters
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// End a pause
    Resume {
        /// The issuer
        name: String,
    },
    /// Give the account at the CA another key (ACME)
    RotateKey {
        /// The issuer
        name: String,
    },
    /// End the account at the CA for good (ACME)
    Deactivate {
        /// The issuer
        name: String,
        /// The name once more: the account cannot be had back
        #[arg(long, value_name = "ISSUER")]
        confirm: String,
    },
    /// Print the providers of the server with their options
    Providers {
        /// Only this one
        provider: Option<String>,
    },
    /// Delete an issuer
    Delete {
        /// The issuer
        name: String,
        /// Also while operations are open at it: they wait until it is set again, they are cancelled, or their deadline
        #[arg(long)]
        force: bool,
    },
}

/// A command with all that it needs from this machine.
enum Prepared {
    Set(String, Issuer),
    Update(String, Issuer),
    Show(String),
    List,
    Check(String),
    Pause(String, String),
    Resume(String),
    RotateKey(String),
    Deactivate(String),
    Delete(String, bool),
    Help(&'static str, Option<String>),
    Providers(Option<String>),
}

impl IssuerCommand {
    /// Reads the password, if there is one to read.
    fn prepare(self) -> Result<Prepared> {
        let missing = || Failure::usage("the name of the issuer is missing");
        Ok(match self {
            Self::Set { help: true, provider, .. } => Prepared::Help("set", provider),
            Self::Update { help: true, provider, .. } => Prepared::Help("update", provider),
            Self::Set { name, provider, values, ca, help: false } => {
                Prepared::Set(name.ok_or_else(missing)?, values.with_ca(*ca).into_issuer(provider)?)
            }
            Self::Update { name, provider, values, help: false } => {
                let issuer = values.into_issuer(provider)?;
                if issuer == Issuer::default() {
                    return Err(Failure::usage("there is nothing to change: give at least one option"));
                }
                Prepared::Update(name.ok_or_else(missing)?, issuer)
            }
            Self::Show { name } => Prepared::Show(name),
            Self::List => Prepared::List,
            Self::Check { name } => Prepared::Check(name),
            Self::Pause { name, reason } => Prepared::Pause(name, reason),
            Self::Resume { name } => Prepared::Resume(name),
            Self::RotateKey { name } => Prepared::RotateKey(name),
            Self::Deactivate { name, confirm } if confirm.eq_ignore_ascii_case(&name) => Prepared::Deactivate(name),
            Self::Deactivate { name, confirm: _ } => {
                return Err(Failure::usage(format!("--confirm does not say {name}; nothing was done")));
            }
            Self::Providers { provider } => Prepared::Providers(provider),
            Self::Delete { name, force } => Prepared::Delete(name, force),
        })
    }
}

pub(super) async fn run(
    options: &ClientOptions,
    output: Output,
    command: IssuerCommand,
    known: KnownProviders,
) -> Result<Exit> {
    match command.prepare()? {
        Prepared::Help(command, provider) => issuer_help::help(options, output, command, provider, known).await,
        Prepared::Providers(provider) => issuer_help::providers(options, output, provider).await,
        prepared => call(&Session::open(options).await?, output, prepared).await,
    }
}

async fn call(session: &Session, output: Output, command: Prepared) -> Result<Exit> {
    let vault_name = session.vault();
    let issuer = match command {
        Prepared::Set(issuer_name, issuer) => {
            let request = SetIssuerRequest { vault_name, issuer_name, issuer: Some(issuer) };
            let answer = session.call(Repeat::Safe, request, Admin::set_issuer).await?;
            warn(output, &answer.warnings);
            answer.issuer
        }
        Prepared::Update(issuer_name, issuer) => {
            // Without a mask: what is in the message is written.
            let request =
                UpdateIssuerRequest { vault_name, issuer_name, issuer: Some(issuer), ..UpdateIssuerRequest::default() };
            let answer = session.call(Repeat::Safe, request, Admin::update_issuer).await?;
            warn(output, &answer.warnings);
            answer.issuer
        }
        Prepared::Show(issuer_name) => return show(session, output, issuer_name).await,
        Prepared::List => return list(session, output).await,
        Prepared::Check(issuer_name) => return check(session, output, issuer_name).await,
        Prepared::Pause(issuer_name, reason) => {
            let request = PauseIssuerRequest { vault_name, issuer_name, reason };
            session.call(Repeat::Safe, request, Admin::pause_issuer).await?.issuer
        }
        Prepared::Resume(issuer_name) => {
            let request = ResumeIssuerRequest { vault_name, issuer_name };
            session.call(Repeat::Safe, request, Admin::resume_issuer).await?.issuer
        }
        Prepared::RotateKey(issuer_name) => {
            let request = RotateIssuerKeyRequest { vault_name, issuer_name };
            session.call(Repeat::Never, request, Admin::rotate_issuer_key).await?.issuer
        }
        Prepared::Deactivate(issuer_name) => {
            let request = DeactivateIssuerRequest { vault_name, issuer_name };
            session.call(Repeat::Never, request, Admin::deactivate_issuer).await?.issuer
        }
        Prepared::Delete(issuer_name, force) => {
            let request = DeleteIssuerRequest { vault_name, issuer_name, only_if_idle: !force };
            let answer = session.call(Repeat::Never, request, Admin::delete_issuer).await?;
            if answer.open_operations > 0 {
                let waiting = match answer.open_operations {
                    1 => "One operation was in progress at it, and waits".to_owned(),
                    count => format!("{count} operations were in progress at it, and wait"),
                };
                output.note(&waiting);
            }
            answer.issuer
        }
        Prepared::Help(..) | Prepared::Providers(_) => None,
    };
    let issuer = issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))?;
    output.result(|| json!({ "issuer": json::message(&issuer) }), || text::issuer(&issuer))?;
    Ok(Exit::Done)
}

fn warn(output: Output, warnings: &[String]) {
    for warning in warnings {
        output.note(warning);
    }
}

async fn show(session: &Session, output: Output, issuer_name: String) -> Result<Exit> {
    let request = GetIssuerRequest { vault_name: session.vault(), issuer_name };
    let GetIssuerResponse { issuer, health } = session.call(Repeat::Safe, request, Admin::get_issuer).await?;
    let issuer = issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))?;
    let shown = || format!("{}{}", text::issuer(&issuer), health.as_ref().map(text::issuer_health).unwrap_or_default());
    let health = health.as_ref().map(json::message);
    output.result(|| json!({ "issuer": json::message(&issuer), "health": health }), shown)?;
    Ok(Exit::Done)
}

/// Good, or what is wrong; the exit code says which.
async fn check(session: &Session, output: Output, issuer_name: String) -> Result<Exit> {
    let request = CheckIssuerRequest { vault_name: session.vault(), issuer_name };
    let answer = session.call(Repeat::Safe, request, Admin::check_issuer).await?;
    let (word, exit) = match answer.verdict() {
        IssuerVerdict::Good => ("OK", Exit::Done),
        IssuerVerdict::Bad => ("BAD", Exit::Error),
        IssuerVerdict::Unknown | IssuerVerdict::Unspecified => ("UNKNOWN", Exit::Unavailable),
    };
    let shown = || {
        let warnings = answer.warnings.iter().map(|warning| format!("warning: {warning}\n"));
        format!("{word}: {}\n{}", text::printable(&answer.message), warnings.collect::<String>())
    };
    output.result(|| json::message(&answer), shown)?;
    Ok(exit)
}

/// Reads an issuer.
pub(super) async fn fetch(session: &Session, issuer_name: String) -> Result<Issuer> {
    let request = GetIssuerRequest { vault_name: session.vault(), issuer_name };
    let rpc = session.call(Repeat::Safe, request, Admin::get_issuer);
    rpc.await?.issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))
}

async fn list(session: &Session, output: Output) -> Result<Exit> {
    let request = ListIssuersRequest { vault_name: session.vault(), with_health: true, ..Default::default() };
    let (issuers, _) = session.all(request, Admin::list_issuers).await?;
    output.result(|| json!({ "issuers": json::messages(&issuers) }), || text::issuers(&issuers))?;
    Ok(Exit::Done)
}
