//! `certmint vault`.

use super::connection::{Repeat, Session};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{CreateVaultRequest, GetVaultRequest, ListVaultsRequest};
use serde_json::json;

const PAGE_SIZE: i32 = 1000;

/// The commands of `certmint vault`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum VaultCommand {
    /// Make a vault; its settings stay as they are from then on
    Create {
        /// The vault: 1 to 63 letters, digits and hyphens
        name: String,
        /// For how many days a deletion can be undone: 7 to 90 [default: as the server is configured]
        #[arg(long, value_name = "DAYS")]
        retention_days: Option<i32>,
        /// Let nobody purge before that time is over
        #[arg(long)]
        purge_protection: bool,
    },
    /// List the vaults of the configuration and those that were made
    List,
    /// Print a vault
    Show {
        /// The vault [default: the one that the other commands use]
        name: Option<String>,
    },
}

pub(super) async fn run(session: &Session, output: Output, command: VaultCommand) -> Result<Exit> {
    let vault = match command {
        VaultCommand::Create { name, retention_days, purge_protection } => {
            let purge_protection = purge_protection.then_some(true);
            let request = CreateVaultRequest { vault_name: name, retention_days, purge_protection };
            let rpc = session.call_vaults(Repeat::Never, request, async |mut client, it| client.create_vault(it).await);
            rpc.await?.vault
        }
        VaultCommand::List => return list(session, output).await,
        VaultCommand::Show { name } => {
            let request = GetVaultRequest { vault_name: name.unwrap_or_else(|| session.vault()) };
            let rpc = session.call_vaults(Repeat::Safe, request, async |mut client, it| client.get_vault(it).await);
            rpc.await?.vault
        }
    };
    let vault = vault.ok_or_else(|| Failure::incomplete_answer("vault"))?;
    output.result(|| json!({ "vault": json::manage::vault(&vault) }), || text::manage::vault(&vault))?;
    Ok(Exit::Done)
}

async fn list(session: &Session, output: Output) -> Result<Exit> {
    let mut request = ListVaultsRequest { page_size: PAGE_SIZE, page_token: String::new() };
    let mut vaults = Vec::new();
    loop {
        let rpc =
            session.call_vaults(Repeat::Safe, request.clone(), async |mut client, it| client.list_vaults(it).await);
        let page = rpc.await?;
        vaults.extend(page.vaults);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output.result(
        || json!({ "vaults": vaults.iter().map(json::manage::vault).collect::<Vec<_>>() }),
        || text::manage::vaults(&vaults),
    )?;
    Ok(Exit::Done)
}
