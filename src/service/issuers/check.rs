//! Checks that the issuer of a policy exists and can issue it.

use super::{Ca, Issuing};
use crate::domain::{Detail, Error, IssuerName, Policy, RequestFacts, Result, VaultName};
use crate::issuer::provider::Needs;
use crate::service::records::key;

impl Issuing {
    /// The issuer must be there before the operation begins: an unknown name is the caller's mistake, and
    /// so is a policy that its CA cannot express, or a request of the caller's own (`csr`) that it cannot take. Answers
    /// what the issuer needs of the request, and the issuer itself where it is a CA of this server.
    pub(in crate::service) async fn check_issuer(
        &self,
        vault: &VaultName,
        policy: &Policy,
        csr: Option<&RequestFacts>,
    ) -> Result<(Needs, Option<Ca>)> {
        let issuer = &policy.issuer;
        if issuer.is_manual() {
            return Ok((Needs::default(), None));
        }
        if issuer.is_self() {
            return takes(self.issuers.self_signed().needs(), csr).map(|_| (Needs::default(), None));
        }
        let name = IssuerName::parse(&issuer.name)?;
        let Some((_, config)) = self.context.load(&key::issuer(vault, &name)).await? else {
            return Err(Error::field(
                "policy.issuer.name",
                format!("There is no issuer named {name} in this vault: set it first (PUT /certificates/issuers/{name}), or use Self or Unknown."),
            )
            .with(Detail::Resource { kind: "issuer", name: name.to_string() }));
        };
        if !config.enabled {
            return Err(Error::field(
                "policy.issuer.name",
                format!("The issuer {name} is disabled: enable it, or use another one."),
            ));
        }
        let Some(provider) = self.issuers.get(&config.provider) else {
            return Err(Error::field(
                "policy.issuer.name",
                format!("The issuer {name} has the provider {}, which this server does not offer.", config.provider),
            ));
        };
        let Some(kept) = self.state_of(&**provider, vault, &config).await? else {
            return Err(Error::field(
                "policy.issuer.name",
                format!("The issuer {name} has no state of its provider: set it again."),
            ));
        };
        provider.accept(policy, kept.state())?;
        takes(provider.needs(), csr)?;
        csr.map_or(Ok(()), |request| provider.accept_request(request, policy, kept.state()))?;
        let ca = match provider.is_ca() {
            true => Some(self.ca(provider.clone(), kept.state().clone(), vault).await?),
            false => None,
        };
        Ok((provider.needs(), ca))
    }
}

/// An issuer that signs with the private key of the certificate has none where the caller made the request.
fn takes(needs: Needs, csr: Option<&RequestFacts>) -> Result<Needs> {
    if csr.is_some() && needs.sealed_key {
        return Err(Error::field(
            "csr",
            "The issuer signs with the certificate's own private key, which stays with the caller: sign the certificate yourself, or use another issuer.",
        ));
    }
    Ok(needs)
}
