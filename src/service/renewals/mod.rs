//! Renewals: asked for by callers, listed, stopped and begun again, for a certificate or a vault. The worker renews what is due
//! (`service/jobs/renewal.rs`).

mod adopt;
mod list;
mod options;
mod pause;
mod survey;
mod vaults;

pub use list::{ListRenewals, RenewalPage, RenewalState, RenewalView};
pub use options::RenewalOptions;
pub(super) use pause::keep;
pub use vaults::WholeVault;
pub(super) use vaults::{VaultRules, waits_for};

use super::access::{Permit, Target};
use super::certificates::{Created, Creations, Entries, Renewing};
use super::context::Context;
use crate::domain::{
    Certificate, CertificateName, Error, RenewalTrigger, Renews, RequestId, Result, VaultName, Version, VersionSummary,
    text,
};
use crate::keys::chain;
use crate::service::CreateRequest;
use crate::service::certificates::not_found;
use std::sync::Arc;

/// Longest label of a batch, in characters.
const MAX_BATCH: usize = 64;

/// Which certificate to renew now.
#[derive(Clone, Debug)]
pub struct RenewRequest {
    pub vault: VaultName,
    pub name: CertificateName,
    /// Chosen by the caller to make the call safe to repeat.
    pub request_id: Option<RequestId>,
    /// What a REST client calls its request, by which a repeat is recognised for a while.
    pub client_request_id: Option<String>,
    /// A label for all renewals of one command; empty without.
    pub batch: String,
}

impl Target for RenewRequest {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str())
    }
}

/// Renews certificates on request, and says what will be renewed when.
#[derive(Clone)]
pub struct Renewals {
    context: Arc<Context>,
    entries: Entries,
    creations: Creations,
}

impl Renewals {
    pub(in crate::service) fn new(context: Arc<Context>, creations: Creations) -> Self {
        Self { entries: Entries::new(context.clone()), context, creations }
    }

    /// Begins a new version of a certificate by its policy, with the tags of the newest version, regardless of when it is
    /// due. The newest version is handed out until the new one is complete.
    ///
    /// Refused as a creation is, and with [`crate::domain::Reason::CertificateNotFound`] where no version was completed,
    /// with [`crate::domain::Reason::BadParameter`] where the key of the newest version is the caller's own.
    pub async fn renew(&self, wanted: Permit<RenewRequest>) -> Result<Created> {
        text::check("batch", &wanted.batch, MAX_BATCH)?;
        let renewing = self.renewing(&wanted).await?;
        let request = wanted.map(|RenewRequest { vault, name, request_id, client_request_id, batch: _ }| {
            CreateRequest { request_id, client_request_id, ..renewal_request(vault, name) }
        });
        self.creations.begin(&request, Some(&renewing)).await
    }

    /// What is renewed: the newest version.
    async fn renewing(&self, wanted: &RenewRequest) -> Result<Renewing> {
        let (_, entry) = self.entries.live(&wanted.vault, &wanted.name).await?;
        let latest = entry.latest.ok_or_else(|| not_found(&wanted.name))?;
        let newest = self.entries.newest(&entry, latest).await?;
        if newest.sealed_key.is_none() {
            return Err(Error::bad_parameter(format!(
                "The key of the certificate {} is the caller's own: create the next version with a signing request (csr).",
                entry.name
            )));
        }
        Ok(Renewing {
            renews: Renews { trigger: RenewalTrigger::Manual, replaces: latest, batch: wanted.batch.clone() },
            decided_from: None,
            newest: Some(Box::new(VersionSummary::of(&newest, chain::thumbprint(&newest.cer.0)))),
        })
    }
}

/// The request of a renewal: everything else is that of the certificate.
pub(in crate::service) fn renewal_request(vault: VaultName, name: CertificateName) -> CreateRequest {
    CreateRequest {
        vault,
        name,
        policy: None,
        csr: None,
        enabled: None,
        tags: None,
        preserve_cert_order: None,
        request_id: None,
        client_request_id: None,
    }
}

/// The newest version of an entry, where it is there.
pub(in crate::service) async fn newest(
    context: &Context,
    vault: &VaultName,
    name: &CertificateName,
    version: Version,
) -> Result<Option<Certificate>> {
    let found = context.load(&super::records::key::version(vault, name, version)).await?;
    Ok(found.map(|(_, certificate)| certificate))
}
