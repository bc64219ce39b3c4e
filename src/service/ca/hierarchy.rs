//! The generations of an issuer's authorities: a next one is made, requested from another CA or brought along, then
//! activated in one commit; the one before is retired, and signs revocation lists only.

use super::CertificateAuthorities;
use super::generations::{Brought, seal_context};
use super::making::{Ceremony, NewAuthority, Parent};
use super::revoked_above::revoked_above;
use super::view::AuthorityView;
use crate::domain::authority::{Above, AuthorityRecord, AuthorityState, Stage};
use crate::domain::issuer::Authority;
use crate::domain::{Blob, Error, IssuerName, Result, VaultName};
use crate::keys::hierarchy::{check_cas, check_chain, subject_of_request};
use crate::keys::{ImportValue, Work, authority, crl};
use crate::service::access::{Permit, Target};
use crate::service::issuers::place;
use crate::service::records::key;
use crate::service::retry::retry;
use crate::store::{Batch, Record};
use zeroize::Zeroizing;

/// An authority of an issuer; `None`: the one that the call can only mean.
#[derive(Clone, Debug)]
pub struct AuthorityRef {
    pub vault: VaultName,
    pub issuer: IssuerName,
    pub authority: Option<String>,
}

/// A certificate that another CA signed, with what is above it.
#[derive(Clone, Debug)]
pub struct InstallAuthority {
    pub of: AuthorityRef,
    /// In any form that people send (`keys::chain`).
    pub certificates: Vec<Vec<u8>>,
}

/// A CA that another program had.
pub struct ImportAuthority {
    pub vault: VaultName,
    pub issuer: IssuerName,
    /// PKCS #12, or PEM with a key.
    pub value: Zeroizing<Vec<u8>>,
    pub password: Zeroizing<String>,
    /// Its last revocation list, if it published any: in any form that people send (`keys::crl`).
    pub crl: Option<Vec<u8>>,
}

impl Target for AuthorityRef {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.issuer.as_str())
    }
}

impl Target for InstallAuthority {
    fn vault(&self) -> Option<&VaultName> {
        self.of.vault()
    }

    fn name(&self) -> Option<&str> {
        self.of.name()
    }
}

impl Target for ImportAuthority {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.issuer.as_str())
    }
}

impl CertificateAuthorities {
    /// Makes a further authority: one of our own is the next one, or signs at once where the issuer has none; one that
    /// another CA signs begins with a request.
    ///
    /// # Errors
    /// `BadParameter` for a name that is taken, for a parent that signs no CAs, and where the parent has to be said;
    /// `IssuerInUse` while another one is requested or next; `AccessDenied` where the caller may not do the same for the
    /// parent.
    pub async fn create_authority(&self, wanted: Permit<NewAuthority>) -> Result<Ceremony> {
        if let Parent::Issuer(parent) = &wanted.parent {
            wanted.terms().check_another(&wanted.vault, parent.as_str())?;
        }
        self.generations.make(wanted.caller(), (*wanted).clone()).await
    }

    /// The request of an authority whose certificate is still to come (PKCS #10, DER).
    ///
    /// # Errors
    /// `BadParameter` where none is requested.
    pub async fn authority_request(&self, wanted: &Permit<AuthorityRef>) -> Result<Blob> {
        let (_, record) = self.in_state(wanted, AuthorityState::Requested).await?;
        record.above.csr.ok_or_else(Error::internal)
    }

    /// Takes the certificate of a requested authority. It signs at once where the issuer has no other, else it is next.
    ///
    /// # Errors
    /// `BadParameter` with what is wrong with the certificate or its chain.
    pub async fn install_authority(&self, wanted: Permit<InstallAuthority>) -> Result<Ceremony> {
        let given = self.context.keys.certificates(wanted.caller(), wanted.certificates.clone()).await?;
        retry!({
            let (record, mut authority) = self.in_state(&wanted.of, AuthorityState::Requested).await?;
            let csr = authority.above.csr.clone().ok_or_else(Error::internal)?;
            let (now, given) = (self.context.now(), given.clone());
            let check = move || check_chain(&given, &csr.0, now);
            let mut checked = self.context.keys.run(wanted.caller(), Work::Small, check).await?;
            let name = self.free_name(&authority.vault, &authority.issuer, &checked.chain[0], "certificates").await?;
            if name != subject_of_request(&authority.above.csr.clone().unwrap_or_default().0)? {
                checked.warnings.push(format!("The name of the certificate, \"{name}\", is not that of the request."));
            }
            authority.chain = checked.chain.into_iter().map(Blob).collect();
            authority.above = Above { stage: Some(Stage::Next), csr: None, cross: None, external: true };
            let object = self.generations.object(&authority.vault, &authority.issuer).await?;
            let has_one = object.config.as_ref().is_some_and(|config| config.authority.is_some());
            let settled = match has_one {
                true => self.generations.stays_next(&record, authority, object).await?,
                false => self.generations.settle(Some(&record), authority, object).await?,
            };
            Ok(settled.map(|authority| Ceremony { authority, warnings: checked.warnings.clone() }))
        })
    }

    /// Takes over a CA that another program had, with its key.
    ///
    /// # Errors
    /// `BadParameter` with what is wrong with the file, and for a key that is an authority already.
    pub async fn import_authority(&self, wanted: Permit<ImportAuthority>) -> Result<Ceremony> {
        let ImportAuthority { vault, issuer, value, password, crl } = &*wanted;
        let object = self.generations.refuse_second(vault, issuer).await?;
        let value = ImportValue { bytes: value.clone(), password: password.clone() };
        let (context, now) = (seal_context(vault, issuer), self.context.now());
        let imported = self.context.keys.import(wanted.caller(), value, false, now, context).await?;
        let chain: Vec<Vec<u8>> = std::iter::once(imported.chain.leaf).chain(imported.chain.rest).collect();
        let warnings = check_cas(&chain, now)?;
        self.free_name(vault, issuer, &chain[0], "value").await?;
        let entries = match crl {
            Some(file) => self.context.keys.revocation_list(wanted.caller(), file.clone(), chain[0].clone()).await?,
            None => crl::Read::default(),
        };
        let made = Authority {
            chain: chain.into_iter().map(Blob).collect(),
            sealed_key: imported.sealed_key,
            handed: Vec::new(),
        };
        if let Some(place) = place(vault, &made.chain)
            && self.context.has(&place).await?
        {
            return Err(Error::field("value", "Its key is that of an authority of this vault already."));
        }
        self.generations.claim(vault, &made.chain, entries.number).await?;
        let external = made.chain.len() > 1;
        let brought = Brought { made, earlier: Some(entries), cross: None, has_own_root: !external, external };
        let (authority, mut said) = self.generations.bring(vault, issuer, brought, object).await?;
        said.extend(warnings);
        Ok(Ceremony { authority, warnings: said })
    }

    /// The next authority of an issuer begins to sign, and the present one is retired, in one commit.
    ///
    /// # Errors
    /// `BadParameter` where none is next, and for one that was revoked by a CA above it.
    pub async fn activate_authority(&self, wanted: Permit<AuthorityRef>) -> Result<Ceremony> {
        retry!({
            let (record, authority) = self.in_state(&wanted, AuthorityState::Next).await?;
            if let Some(revoked) = revoked_above(&self.context, &wanted.vault, &authority.chain).await? {
                return Err(Error::bad_parameter(format!("{revoked}: retire this CA, and make another one.")));
            }
            let object = self.generations.object(&wanted.vault, &wanted.issuer).await?;
            let done = self.generations.settle(Some(&record), authority, object).await?;
            Ok(done.map(|authority| Ceremony { authority, warnings: Vec::new() }))
        })
    }

    /// Gives up an authority that is requested or next. The one that signs is retired by activating another, or by
    /// deleting its issuer.
    ///
    /// # Errors
    /// `BadParameter` where there is none.
    pub async fn retire_authority(&self, wanted: Permit<AuthorityRef>) -> Result<Ceremony> {
        retry!({
            let found = match self.in_state(&wanted, AuthorityState::Next).await {
                Ok(found) => found,
                Err(_) => self.in_state(&wanted, AuthorityState::Requested).await?,
            };
            let (record, mut authority) = found;
            authority.retired = Some(self.context.now());
            let due = authority.erasable_at();
            let puts = vec![self.context.records.replace(&record, &authority, due)?];
            let committed = self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
            let view = AuthorityView::of(authority)?;
            Ok(committed.map(|_| Ceremony { authority: view, warnings: Vec::new() }))
        })
    }

    /// The name of a CA certificate that somebody brings, which no CA of another issuer of the vault has: clients that look
    /// for lists and answers by names would take those of one for the other's.
    async fn free_name(&self, vault: &VaultName, issuer: &IssuerName, der: &[u8], field: &str) -> Result<String> {
        let name = authority::subject_of(der)?;
        let all = self.authorities.readable_of(vault).await?.records;
        for record in all.iter().filter(|record| record.issuer != *issuer) {
            let signer = record.chain.first();
            let is_same = signer.is_some_and(|signer| authority::subject_of(&signer.0).is_ok_and(|it| it == name));
            if is_same && signer.is_some_and(|signer| authority::identifier(&signer.0) != authority::identifier(der)) {
                let other = &record.issuer;
                return Err(Error::field(
                    field,
                    format!("A CA of the issuer {other} has the name \"{name}\" already."),
                ));
            }
        }
        Ok(name)
    }

    /// The authority of an issuer that is in this state.
    async fn in_state(&self, wanted: &AuthorityRef, state: AuthorityState) -> Result<(Record, AuthorityRecord)> {
        let AuthorityRef { vault, issuer, authority: id } = wanted;
        let known = self.of(vault, Some(issuer)).await?;
        let found = known.views.iter().find(|it| it.state == state && id.as_ref().is_none_or(|id| *id == it.id));
        let Some(found) = found.cloned() else {
            let missing = format!("The issuer {issuer} has no authority that is {}.", state.word());
            return Err(known.not_found(Error::bad_parameter(missing)));
        };
        let place = key::authority(vault, &found.id);
        self.context.load(&place).await?.ok_or_else(|| self.context.records.missing(place.as_str()))
    }
}
