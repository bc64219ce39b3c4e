//! `certmint issuer`.

use super::connection::{Admin, Repeat, Session};
use super::failure::{Exit, Failure};
use super::issuer_input::ValueArgs;
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{
    DeleteIssuerRequest, GetIssuerRequest, Issuer, ListIssuersRequest, SetIssuerRequest, UpdateIssuerRequest,
};
use serde_json::json;

/// The commands of `certmint issuer`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum IssuerCommand {
    /// Create an issuer, or replace it
    Set {
        /// The issuer
        name: String,
        /// `LocalCA` (or `OneCertV2-PrivateCA`), a certificate authority built into the server; `ACME`, or a preset of
        /// it such as `LetsEncrypt`; or `Test`, where the server allows it
        #[arg(long)]
        provider: String,
        #[command(flatten)]
        values: ValueArgs,
    },
    /// Change some values of an issuer
    Update {
        /// The issuer
        name: String,
        /// The provider
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        values: ValueArgs,
    },
    /// Print an issuer
    Show {
        /// The issuer
        name: String,
    },
    /// List the issuers of the vault
    List,
    /// Delete an issuer
    Delete {
        /// The issuer
        name: String,
    },
}

/// A command with all that it needs from this machine.
pub(super) enum Prepared {
    Set(String, Issuer),
    Update(String, Issuer),
    Show(String),
    List,
    Delete(String),
}

impl IssuerCommand {
    /// Reads the password, if there is one to read.
    pub(super) fn prepare(self) -> Result<Prepared> {
        Ok(match self {
            Self::Set { name, provider, values } => Prepared::Set(name, values.into_issuer(Some(provider))?),
            Self::Update { name, provider, values } => {
                let issuer = values.into_issuer(provider)?;
                if issuer == Issuer::default() {
                    return Err(Failure::usage("there is nothing to change: give at least one option"));
                }
                Prepared::Update(name, issuer)
            }
            Self::Show { name } => Prepared::Show(name),
            Self::List => Prepared::List,
            Self::Delete { name } => Prepared::Delete(name),
        })
    }
}

pub(super) async fn run(session: &Session, output: Output, command: Prepared) -> Result<Exit> {
    let vault_name = session.vault();
    let issuer = match command {
        Prepared::Set(issuer_name, issuer) => {
            let request = SetIssuerRequest { vault_name, issuer_name, issuer: Some(issuer) };
            let rpc = session.call(Repeat::Safe, request, Admin::set_issuer);
            rpc.await?.issuer
        }
        Prepared::Update(issuer_name, issuer) => {
            // Without a mask: what is in the message is written.
            let request = UpdateIssuerRequest { vault_name, issuer_name, issuer: Some(issuer), update_mask: None };
            let rpc = session.call(Repeat::Safe, request, Admin::update_issuer);
            rpc.await?.issuer
        }
        Prepared::Show(issuer_name) => Some(fetch(session, issuer_name).await?),
        Prepared::List => return list(session, output).await,
        Prepared::Delete(issuer_name) => {
            let request = DeleteIssuerRequest { vault_name, issuer_name };
            let rpc = session.call(Repeat::Never, request, Admin::delete_issuer);
            rpc.await?.issuer
        }
    };
    let issuer = issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))?;
    output.result(|| json!({ "issuer": json::message(&issuer) }), || text::issuer(&issuer))?;
    Ok(Exit::Done)
}

/// Reads an issuer.
pub(super) async fn fetch(session: &Session, issuer_name: String) -> Result<Issuer> {
    let request = GetIssuerRequest { vault_name: session.vault(), issuer_name };
    let rpc = session.call(Repeat::Safe, request, Admin::get_issuer);
    rpc.await?.issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))
}

async fn list(session: &Session, output: Output) -> Result<Exit> {
    let request = ListIssuersRequest { vault_name: session.vault(), ..Default::default() };
    let (issuers, _) = session.all(request, Admin::list_issuers).await?;
    output.result(|| json!({ "issuers": json::messages(&issuers) }), || text::issuers(&issuers))?;
    Ok(Exit::Done)
}
