//! Makes a further authority of an issuer: a root of its own, one below the CA of another issuer, or a request to a CA
//! that is not of this server.

use super::generations::{Brought, Generations, IssuerObject, seal_context};
use super::parts::{Below, MadeBelow};
use super::view::AuthorityView;
use crate::domain::authority::{Above, Stage};
use crate::domain::policy::KeyType;
use crate::domain::subject::DistinguishedName;
use crate::domain::{Error, IssuerName, Result, VaultName};
use crate::keys::authority::{self, Plan};
use crate::keys::hierarchy::authority_request;
use crate::keys::{Caller, KeyPair, Work};
use crate::service::access::Target;
use crate::service::records::key;

/// Who signs the certificate of an authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Parent {
    /// Nobody said: itself, if that is so of the present one, or there is none.
    Unspecified,
    /// Itself: a root that signs leaves.
    OwnRoot,
    /// A root that signs one intermediate, which signs leaves.
    OwnIntermediate,
    /// The CA of another issuer of the vault.
    Issuer(IssuerName),
    /// A CA that is not of this server signs its request.
    External,
}

impl Parent {
    /// As the option of an issuer object says it: `external`, or the name of an issuer.
    ///
    /// # Errors
    /// `BadParameter` for what is no name of an issuer either.
    pub fn of_option(text: &str) -> Result<Self> {
        if text == "external" { Ok(Self::External) } else { IssuerName::parse(text).map(Self::Issuer) }
    }
}

/// A further authority of an issuer.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    pub vault: VaultName,
    pub issuer: IssuerName,
    pub parent: Parent,
    /// `None`: a common name made of those of issuer and vault.
    pub subject: Option<DistinguishedName>,
    pub key_type: KeyType,
    /// Not for one whose certificate another program signs.
    pub validity_months: u32,
}

impl Target for NewAuthority {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.issuer.as_str())
    }
}

/// What came of a call, and what may surprise.
#[derive(Clone, Debug)]
pub struct Ceremony {
    pub authority: AuthorityView,
    pub warnings: Vec<String>,
}

impl Generations {
    /// Makes a further authority, if none is requested or next.
    ///
    /// # Errors
    /// `BadParameter` where another CA signed the present one, and nobody said who signs the next one.
    pub(in crate::service) async fn make(&self, caller: &Caller, wanted: NewAuthority) -> Result<Ceremony> {
        let object = self.refuse_second(&wanted.vault, &wanted.issuer).await?;
        if wanted.parent == Parent::Unspecified && object.is_below_another() {
            let issuer = &wanted.issuer;
            let problem = format!(
                "Another CA signed the present one of the issuer {issuer}: say who signs the next one (certmint ca create --parent-issuer NAME, --parent external, --parent intermediate), or that it is a root, which clients have to trust first (--parent root)."
            );
            return Err(Error::field("parent", problem));
        }
        self.make_for(caller, wanted, object).await
    }

    /// As [`Generations::make`], for an issuer that has no authority that signs or waits, and is written with it.
    pub(in crate::service) async fn make_for(
        &self,
        caller: &Caller,
        wanted: NewAuthority,
        object: IssuerObject,
    ) -> Result<Ceremony> {
        let NewAuthority { vault, issuer, parent, subject, key_type, validity_months } = wanted;
        let subject = self.free_subject(&vault, &issuer, subject.as_ref()).await?;
        let brought = match parent {
            Parent::External => return self.request(caller, &vault, &issuer, key_type, subject, object).await,
            Parent::Issuer(parent) => {
                let (vault, issuer, parent) = (&vault, &issuer, &parent);
                let below = Below { vault, issuer, parent, subject, key_type, validity_months };
                let MadeBelow { authority, cross } = self.below(caller, below).await?;
                Brought { cross, has_own_root: false, ..Brought::made(authority) }
            }
            Parent::Unspecified | Parent::OwnRoot | Parent::OwnIntermediate => {
                let with_intermediate = parent == Parent::OwnIntermediate;
                let plan = Plan { subject, with_intermediate, key_type, validity_months };
                let (sealer, of) = (self.context.keys.sealer().clone(), (vault.clone(), issuer.clone()));
                let clock = self.context.clock.clone();
                let make = move || authority::create_authority(&sealer, &of.0, &of.1, &plan, clock.now());
                Brought::made(self.context.keys.run(caller, Work::Generate(key_type), make).await?)
            }
        };
        let (authority, warnings) = self.bring(&vault, &issuer, brought, object).await?;
        Ok(Ceremony { authority, warnings })
    }

    async fn request(
        &self,
        caller: &Caller,
        vault: &VaultName,
        issuer: &IssuerName,
        key_type: KeyType,
        subject: DistinguishedName,
        object: IssuerObject,
    ) -> Result<Ceremony> {
        let (sealer, context) = (self.context.keys.sealer().clone(), seal_context(vault, issuer));
        let make = move || {
            let key = KeyPair::generate(key_type)?;
            Ok((sealer.seal(&key.to_pkcs8(), &context)?, authority_request(&key, &subject)?, key.public_key_der()))
        };
        let (sealed, csr, public) = self.context.keys.run(caller, Work::Generate(key_type), make).await?;
        let mut record = self.new_record(vault, issuer, Vec::new()).await?;
        record.sealed_key = Some(sealed.into());
        record.above = Above { stage: Some(Stage::Requested), csr: Some(csr.into()), cross: None, external: true };
        let place = key::authority(vault, &authority::identifier_of_key(&public));
        let mut batch = self.with_object(vault, issuer, object)?;
        batch.puts.push(self.context.records.put(&place, None, &record, None)?);
        self.commit_new(batch).await?;
        Ok(Ceremony { authority: AuthorityView::of(record)?, warnings: Vec::new() })
    }
}
