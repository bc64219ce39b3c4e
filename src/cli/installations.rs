//! `certmint installations`: which host has which version.

use super::connection::{Installations, Session};
use super::failure::Exit;
use super::output::Output;
use super::{Result, json, text};
use crate::proto::v1::ListInstallationsRequest;
use serde_json::json;

/// Arguments of `certmint installations`.
#[derive(Clone, Debug, clap::Args)]
pub struct InstallationsArgs {
    /// The certificate
    name: String,
}

pub(super) async fn run(session: &Session, output: Output, args: InstallationsArgs) -> Result<Exit> {
    let request =
        ListInstallationsRequest { vault_name: session.vault(), certificate_name: args.name, ..Default::default() };
    let (installations, _) = session.all(request, Installations::list_installations).await?;
    output.result(
        || json!({ "installations": json::messages(&installations) }),
        || text::installations::installations(&installations),
    )?;
    Ok(Exit::Done)
}
