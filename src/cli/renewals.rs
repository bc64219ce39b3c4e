//! `certmint renewals`: what is renewed when.

use super::ca::time;
use super::connection::{Renewals, Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{ListRenewalsRequest, PauseRenewalRequest, Renewal, ResumeRenewalRequest};
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

/// The commands of `certmint renewals`.
#[derive(Clone, Debug, clap::Subcommand)]
enum RenewalsCommand {
    /// Stop the automatic renewals of a certificate
    Pause {
        /// The certificate
        name: String,
        /// Why, for people
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Let the automatic renewals of a certificate go on
    Resume {
        /// The certificate
        name: String,
    },
}

pub(super) async fn run(session: &Session, output: Output, args: RenewalsArgs) -> Result<Exit> {
    match args.command {
        None => list(session, output, args.list).await,
        Some(RenewalsCommand::Pause { name, reason }) => {
            let request = PauseRenewalRequest { vault_name: session.vault(), certificate_name: name, reason };
            let answer = session.call(Repeat::Safe, request, Renewals::pause_renewal);
            print(output, answer.await?.renewal)
        }
        Some(RenewalsCommand::Resume { name }) => {
            let request = ResumeRenewalRequest { vault_name: session.vault(), certificate_name: name };
            let answer = session.call(Repeat::Safe, request, Renewals::resume_renewal);
            print(output, answer.await?.renewal)
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
