//! Issuer objects whose CA another CA signs.

use super::IssuerObjects;
use crate::domain::{Error, IssuerConfig, IssuerInput, Result, VaultName};
use crate::keys::authority::Plan;
use crate::service::access::{IssuerRef, Permit};
use crate::service::ca::{IssuerObject, NewAuthority, Parent};

impl IssuerObjects {
    /// Makes the CA of an issuer object that another CA signs, with the object.
    pub(super) async fn below(
        &self,
        wanted: &Permit<IssuerRef>,
        parent: &str,
        plan: Plan,
        object: IssuerObject,
    ) -> Result<()> {
        let parent = Parent::of_option(parent).map_err(|refusal| Error::field("options.parent", refusal.message))?;
        if let Parent::Issuer(parent) = &parent {
            wanted.terms().check_another(&wanted.0, parent.as_str())?;
        }
        let Plan { subject, with_intermediate: _, key_type, validity_months } = plan;
        let vault = wanted.0.clone();
        let issuer = object.config.as_ref().map_or_else(|| wanted.1.clone(), |config| config.name.clone());
        let new = NewAuthority { vault, issuer, parent, subject: Some(subject), key_type, validity_months };
        self.generations.make_for(wanted.caller(), new, object).await.map(|_| ())
    }

    /// A CA that is there keeps the one that signed it: a change may say no other.
    pub(super) async fn stays_below(
        &self,
        vault: &VaultName,
        old: Option<&IssuerConfig>,
        input: &IssuerInput,
    ) -> Result<()> {
        let said = input.options.get("parent").map(|text| text.trim()).filter(|text| !text.is_empty());
        let (Some(old), Some(said)) = (old, said) else { return Ok(()) };
        let Some(held) = old.ca() else { return Ok(()) };
        if self.generations.is_below(vault, held, said).await? {
            return Ok(());
        }
        let problem = format!(
            "The CA of the issuer {} has another parent, which cannot be changed: set another issuer, or make the next CA (certmint ca create).",
            old.name
        );
        Err(Error::field("options.parent", problem))
    }
}
