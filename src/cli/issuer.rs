//! `certmint issuer`.

use super::connection::{Repeat, Session};
use super::failure::{Exit, Failure};
use super::issuer_input::ValueArgs;
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{
    DeleteIssuerRequest, GetIssuerRequest, Issuer, ListIssuersRequest, SetIssuerRequest, UpdateIssuerRequest,
};
use serde_json::json;

const PAGE_SIZE: i32 = 1000;

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
            let rpc = session.call_admin(Repeat::Safe, request, async |mut client, it| client.set_issuer(it).await);
            rpc.await?.issuer
        }
        Prepared::Update(issuer_name, issuer) => {
            // Without a mask: what is in the message is written.
            let request = UpdateIssuerRequest { vault_name, issuer_name, issuer: Some(issuer), update_mask: None };
            let rpc = session.call_admin(Repeat::Safe, request, async |mut client, it| client.update_issuer(it).await);
            rpc.await?.issuer
        }
        Prepared::Show(issuer_name) => Some(fetch(session, issuer_name).await?),
        Prepared::List => return list(session, output).await,
        Prepared::Delete(issuer_name) => {
            let request = DeleteIssuerRequest { vault_name, issuer_name };
            let rpc = session.call_admin(Repeat::Never, request, async |mut client, it| client.delete_issuer(it).await);
            rpc.await?.issuer
        }
    };
    let issuer = issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))?;
    output.result(|| json!({ "issuer": json::issuer(&issuer) }), || text::issuer(&issuer))?;
    Ok(Exit::Done)
}

/// Reads an issuer.
pub(super) async fn fetch(session: &Session, issuer_name: String) -> Result<Issuer> {
    let request = GetIssuerRequest { vault_name: session.vault(), issuer_name };
    let rpc = session.call_admin(Repeat::Safe, request, async |mut client, it| client.get_issuer(it).await);
    rpc.await?.issuer.ok_or_else(|| Failure::incomplete_answer("issuer"))
}

async fn list(session: &Session, output: Output) -> Result<Exit> {
    let mut request =
        ListIssuersRequest { vault_name: session.vault(), page_size: PAGE_SIZE, page_token: String::new() };
    let mut issuers = Vec::new();
    loop {
        let rpc =
            session.call_admin(Repeat::Safe, request.clone(), async |mut client, it| client.list_issuers(it).await);
        let page = rpc.await?;
        issuers.extend(page.issuers);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output.result(
        || json!({ "issuers": issuers.iter().map(json::issuer_item).collect::<Vec<_>>() }),
        || text::issuers(&issuers),
    )?;
    Ok(Exit::Done)
}
