//! `certmint.v1.VaultService`: the vaults of the server.

use super::certificates::{open, page_size};
use super::policy::time;
use crate::domain::{Result, RetentionDays, Vault, VaultSettings};
use crate::proto::v1;
use crate::service::{AllVaults, NewVault, Service};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct VaultCalls(pub(super) Service);

fn reply(vault: Vault) -> v1::Vault {
    let Vault { name, settings, created } = vault;
    let VaultSettings { retention_days, purge_protection } = settings;
    v1::Vault {
        vault_name: name.to_string(),
        retention_days: i32::try_from(retention_days.get()).unwrap_or(i32::MAX),
        purge_protection,
        created: created.map(time),
    }
}

impl VaultCalls {
    pub(super) async fn create(&self, request: Request<v1::CreateVaultRequest>) -> Result<v1::CreateVaultResponse> {
        let (call, message) = open(request)?;
        let v1::CreateVaultRequest { vault_name, retention_days, purge_protection } = message;
        let name = call.new_vault(&vault_name)?;
        // A negative number is out of range like any other.
        let days = retention_days.map(|days| RetentionDays::new(u32::try_from(days).unwrap_or(0))).transpose()?;
        let wanted = NewVault { name, retention_days: days, purge_protection };
        let vault = self.0.vault_objects().create_vault(call.permit(wanted).await?).await?;
        Ok(v1::CreateVaultResponse { vault: Some(reply(vault)) })
    }

    pub(super) async fn get(&self, request: Request<v1::GetVaultRequest>) -> Result<v1::GetVaultResponse> {
        let (call, message) = open(request)?;
        let v1::GetVaultRequest { vault_name } = message;
        let name = call.vault_alone(&vault_name).await?;
        Ok(v1::GetVaultResponse { vault: Some(reply(self.0.vault_objects().vault(call.permit(name).await?).await?)) })
    }

    pub(super) async fn list(&self, request: Request<v1::ListVaultsRequest>) -> Result<v1::ListVaultsResponse> {
        let (call, message) = open(request)?;
        let v1::ListVaultsRequest { page_size: size, page_token } = message;
        let page =
            self.0.vault_objects().list_vaults(call.permit(AllVaults).await?, page_size(size)?, &page_token).await?;
        Ok(v1::ListVaultsResponse {
            vaults: page.vaults.into_iter().map(reply).collect(),
            next_page_token: page.next_page_token,
        })
    }
}
