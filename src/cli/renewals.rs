//! `certmint renewals`: what is renewed when, and what it waits for.

use super::ca::time;
use super::connection::{Renewals, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{
    GetVaultRenewalsRequest, ListRenewalsRequest, PauseRenewalRequest, PauseVaultRenewalsRequest, Renewal,
    ResumeRenewalRequest, ResumeVaultRenewalsRequest, SetRenewalWindowRequest, SetVaultRenewalWindowRequest,
    VaultRenewals,
};
use prost_types::Timestamp;
use serde_json::json;

/// Arguments of `certmint renewals`.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RenewalsArgs {
    #[command(subcommand)]
    command: Option<RenewalsCommand>,

    #[command(flatten)]
    list: ListArgs,
}

/// Which renewals to list.
#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    /// Only certificates of this issuer
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    issuer: String,

    /// Only those that are to begin by then, such as 2026-11-30 or 2026-11-30T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    due_before: Option<Timestamp>,

    /// Also certificates that are not renewed by themselves
    #[arg(long)]
    all: bool,
}

/// A certificate, or all of the vault.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The certificate
    name: Option<String>,

    /// All certificates of the vault
    #[arg(long)]
    all: bool,
}

/// The commands of `certmint renewals`.
#[derive(Clone, Debug, clap::Subcommand)]
enum RenewalsCommand {
    /// Stop the automatic renewals of a certificate, or of the vault
    Pause {
        #[command(flatten)]
        which: Which,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Let the automatic renewals of a certificate go on, or those of the vault
    Resume {
        #[command(flatten)]
        which: Which,
    },
    /// Say when due renewals may begin
    ///
    /// What is due waits for the window, but not with less than a twentieth of the life left.
    Window {
        #[command(flatten)]
        which: Which,
        /// A cron line, its time zone and a length, such as "0 3 * * Tue Europe/Berlin 2h"; "always" for no window;
        /// "" leaves it to the vault, or to the configuration
        #[arg(long, value_name = "TEXT")]
        at: String,
    },
    /// Show what holds for all renewals of the vault
    Vault,
}

pub(super) async fn run(session: &Session, output: Output, args: RenewalsArgs) -> Result<Exit> {
    let vault_name = session.vault();
    match args.command {
        None => list(session, output, args.list).await,
        Some(RenewalsCommand::Pause { which: Which { name: Some(certificate_name), all: _ }, reason }) => {
            let request = PauseRenewalRequest { vault_name, certificate_name, reason };
            let answer = session.call(Repeat::Safe, request, Renewals::pause_renewal);
            print(output, answer.await?.renewal)
        }
        Some(RenewalsCommand::Pause { which: Which { name: None, all: _ }, reason }) => {
            let request = PauseVaultRenewalsRequest { vault_name, reason };
            let answer = session.call(Repeat::Safe, request, Renewals::pause_vault_renewals);
            print_vault(output, answer.await?.renewals)
        }
        Some(RenewalsCommand::Resume { which: Which { name: Some(certificate_name), all: _ } }) => {
            let request = ResumeRenewalRequest { vault_name, certificate_name };
            let answer = session.call(Repeat::Safe, request, Renewals::resume_renewal);
            print(output, answer.await?.renewal)
        }
        Some(RenewalsCommand::Resume { which: Which { name: None, all: _ } }) => {
            let request = ResumeVaultRenewalsRequest { vault_name };
            let answer = session.call(Repeat::Safe, request, Renewals::resume_vault_renewals);
            print_vault(output, answer.await?.renewals)
        }
        Some(RenewalsCommand::Window { which: Which { name: Some(certificate_name), all: _ }, at }) => {
            let request = SetRenewalWindowRequest { vault_name, certificate_name, window: at };
            let answer = session.call(Repeat::Safe, request, Renewals::set_renewal_window);
            print(output, answer.await?.renewal)
        }
        Some(RenewalsCommand::Window { which: Which { name: None, all: _ }, at }) => {
            let request = SetVaultRenewalWindowRequest { vault_name, window: at };
            let answer = session.call(Repeat::Safe, request, Renewals::set_vault_renewal_window);
            print_vault(output, answer.await?.renewals)
        }
        Some(RenewalsCommand::Vault) => {
            let answer =
                session.call(Repeat::Safe, GetVaultRenewalsRequest { vault_name }, Renewals::get_vault_renewals);
            print_vault(output, answer.await?.renewals)
        }
    }
}

async fn list(session: &Session, output: Output, args: ListArgs) -> Result<Exit> {
    let ListArgs { issuer, due_before, all } = args;
    let request = ListRenewalsRequest {
        vault_name: session.vault(),
        issuer,
        due_before,
        include_unplanned: all,
        ..Default::default()
    };
    let (renewals, _) = session.all(request, Renewals::list_renewals).await?;
    output.result(|| json!({ "renewals": json::messages(&renewals) }), || text::renewals::renewals(&renewals))?;
    Ok(Exit::Done)
}

fn print(output: Output, renewal: Option<Renewal>) -> Result<Exit> {
    let renewal = renewal.ok_or_else(|| Failure::incomplete_answer("renewal"))?;
    output.result(|| json!({ "renewal": json::message(&renewal) }), || text::renewals::renewal(&renewal))?;
    Ok(Exit::Done)
}

fn print_vault(output: Output, renewals: Option<VaultRenewals>) -> Result<Exit> {
    let renewals = renewals.ok_or_else(|| Failure::incomplete_answer("renewals"))?;
    output.result(|| json!({ "renewals": json::message(&renewals) }), || text::renewals::of_vault(&renewals))?;
    Ok(Exit::Done)
}
