//! `certmint vault`.

use super::connection::{Repeat, Session, Vaults};
use super::failure::{Exit, Failure};
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::{CreateVaultRequest, GetVaultRequest, ListVaultsRequest};
use serde_json::json;

/// The commands of `certmint vault`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum VaultCommand {
    /// Create a vault; its settings cannot be changed later
    Create {
        /// The vault: 1 to 63 letters, digits and hyphens
        name: String,
        /// For how many days a deleted certificate can be recovered: 7 to 90 [default: that of the server]
        #[arg(long, value_name = "DAYS")]
        retention_days: Option<i32>,
        /// Forbid purging before that time has passed
        #[arg(long)]
        purge_protection: bool,
    },
    /// List the vaults
    List,
    /// Print a vault
    Show {
        /// The vault [default: that of --vault]
        name: Option<String>,
    },
}

pub(super) async fn run(session: &Session, output: Output, command: VaultCommand) -> Result<Exit> {
    let vault = match command {
        VaultCommand::Create { name, retention_days, purge_protection } => {
            let purge_protection = purge_protection.then_some(true);
            let request = CreateVaultRequest { vault_name: name, retention_days, purge_protection };
            let rpc = session.call(Repeat::Never, request, Vaults::create_vault);
            rpc.await?.vault
        }
        VaultCommand::List => return list(session, output).await,
        VaultCommand::Show { name } => {
            let request = GetVaultRequest { vault_name: name.unwrap_or_else(|| session.vault()) };
            let rpc = session.call(Repeat::Safe, request, Vaults::get_vault);
            rpc.await?.vault
        }
    };
    let vault = vault.ok_or_else(|| Failure::incomplete_answer("vault"))?;
    output.result(|| json!({ "vault": json::message(&vault) }), || text::manage::vault(&vault))?;
    Ok(Exit::Done)
}

async fn list(session: &Session, output: Output) -> Result<Exit> {
    let request = ListVaultsRequest::default();
    let (vaults, _) = session.all(request, Vaults::list_vaults).await?;
    output.result(|| json!({ "vaults": json::messages(&vaults) }), || text::manage::vaults(&vaults))?;
    Ok(Exit::Done)
}
