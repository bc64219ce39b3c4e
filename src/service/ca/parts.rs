//! What the CA of an issuer signs for CAs themselves: the certificate by which a root vouches for the next one, and that
//! of a CA below it. In its log before it is signed, as any other.

use super::generations::{Generations, seal_context};
use super::log::random_serial;
use super::options::pointers;
use super::revoked_above::revoked_above;
use crate::domain::authority::AuthorityRecord;
use crate::domain::issued::{Door, IssuedContent, IssuedFor, IssuedRecord, IssuedState};
use crate::domain::issuer::Authority;
use crate::domain::policy::KeyType;
use crate::domain::subject::DistinguishedName;
use crate::domain::{Blob, Error, IssuerConfig, IssuerName, Result, Serial, VaultName};
use crate::keys::authority::{self, Signer, ToBeSigned};
use crate::keys::certificate::signed;
use crate::keys::hierarchy::{
    Subordinate, can_cross_sign, cross_certificate, refuses_root, refuses_subject, signs_no_authority,
    subordinate_certificate,
};
use crate::keys::issued::{content_of, key_hash};
use crate::keys::{Caller, KeyPair, SealedKey, Work, open_key, public_key_of};
use crate::service::issuers::signs;
use crate::service::records::key;
use crate::store::Batch;

/// The CA that signs.
pub(super) struct Signing<'a> {
    pub(super) vault: &'a VaultName,
    pub(super) issuer: &'a IssuerName,
    pub(super) authority: &'a Authority,
}

/// A CA that another issuer's CA is to sign.
pub(super) struct Below<'a> {
    pub(super) vault: &'a VaultName,
    pub(super) issuer: &'a IssuerName,
    /// The issuer whose CA signs.
    pub(super) parent: &'a IssuerName,
    pub(super) subject: DistinguishedName,
    pub(super) key_type: KeyType,
    pub(super) validity_months: u32,
}

/// A CA that was made below another one.
pub(super) struct MadeBelow {
    pub(super) authority: Authority,
    /// By which an earlier root vouches for the one above it.
    pub(super) cross: Option<Blob>,
}

impl Generations {
    /// The certificate by which the root that signs vouches for the root of the next authority; `None` where it cannot.
    pub(super) async fn cross(
        &self,
        issuer: &IssuerConfig,
        active: &Authority,
        next: &AuthorityRecord,
    ) -> Result<Option<Blob>> {
        let ([old_root], Some(new_root)) = (&active.chain[..], next.chain.last()) else { return Ok(None) };
        let is_believed = refuses_root(&active.chain, &new_root.0)?.is_none();
        if !can_cross_sign(&old_root.0, next.chain.len() - 1) || next.chain.len() > 2 || !is_believed {
            return Ok(None);
        }
        let serial = random_serial();
        let made = cross_certificate(&old_root.0, &new_root.0, number(&serial)?, self.context.now())?;
        let content = content_of(&new_root.0).ok_or_else(Error::internal)?;
        let signing = Signing { vault: &next.vault, issuer: &issuer.name, authority: active };
        self.sign_part(&signing, made, serial, content).await.map(Some)
    }

    /// Makes the key of a CA, and lets the CA of another issuer of the vault sign its certificate.
    ///
    /// # Errors
    /// `BadParameter` where that issuer has no CA that signs, or one that may not sign CAs.
    pub(super) async fn below(&self, caller: &Caller, wanted: Below<'_>) -> Result<MadeBelow> {
        let Below { vault, issuer, parent, subject, key_type, validity_months } = wanted;
        let above = self.active_of(vault, parent, issuer).await?;
        if let Some(problem) = refuses_subject(&above.chain, &subject)? {
            return Err(Error::field("subject", problem));
        }
        let (serial, now) = (random_serial(), self.context.now());
        let id = above.chain.first().and_then(|der| authority::identifier(&der.0)).ok_or_else(Error::internal)?;
        let place = key::authority(vault, &id);
        let record = self.context.load(&place).await?.map(|(_, record)| record);
        let shards = record.as_ref().map_or(1, |record| record.lists.shards);
        let found = self.context.options.ca.base().map(|base| pointers(base, &id, shards, &serial));
        let (sealer, context) = (self.context.keys.sealer().clone(), seal_context(vault, issuer));
        let (signer, number) = (above.chain[0].clone(), number(&serial)?);
        let make = move || {
            let key = KeyPair::generate(key_type)?;
            let public_key = key.public_key_der();
            let wanted = Subordinate { subject: &subject, public_key: &public_key, serial: number, validity_months };
            let made = subordinate_certificate(&signer.0, &wanted, found.as_ref(), now)?;
            let content = IssuedContent {
                subject: subject.to_string(),
                names: Vec::new(),
                not_before: made.not_before,
                not_after: made.not_after,
                key: key_hash(&public_key),
            };
            Ok((sealer.seal(&key.to_pkcs8(), &context)?, made, content))
        };
        let (sealed_key, made, content) = self.context.keys.run(caller, Work::Generate(key_type), make).await?;
        let signing = Signing { vault, issuer: parent, authority: &above };
        let cer = self.sign_part(&signing, made, serial, content).await?;
        let chain: Vec<Blob> = std::iter::once(cer).chain(above.chain.iter().cloned()).collect();
        let cross = match record.and_then(|record| record.above.cross) {
            Some(cross) if self.reaches(vault, &cross, chain.len() - 1).await? => Some(cross),
            _ => None,
        };
        Ok(MadeBelow { authority: Authority { chain, sealed_key: sealed_key.into(), handed: Vec::new() }, cross })
    }

    /// Whether a CA is signed by the one of an issuer of the vault, or where `parent` is `external` by none of them.
    pub(in crate::service) async fn is_below(&self, vault: &VaultName, held: &Authority, parent: &str) -> Result<bool> {
        let Some(above) = held.chain.get(1) else { return Ok(false) };
        let Some(id) = authority::identifier(&above.0) else { return Ok(false) };
        let record = self.context.load(&key::authority(vault, &id)).await?;
        Ok(match record {
            Some((_, record)) => IssuerName::parse(parent).is_ok_and(|parent| parent.key() == record.issuer.key()),
            None => parent == "external",
        })
    }

    /// The CA of an issuer that is to sign the one of another.
    async fn active_of(&self, vault: &VaultName, parent: &IssuerName, child: &IssuerName) -> Result<Authority> {
        let refuse = |problem: String| Err(Error::field("parent", problem));
        if parent == child {
            return refuse(format!("{parent} is the issuer itself: leave it out for a root of its own."));
        }
        let Some((_, config)) = self.context.load(&key::issuer(vault, parent)).await? else {
            return refuse(format!("There is no issuer {parent} in this vault: use the name of one with a CA."));
        };
        let Some(above) = config.ca() else {
            return refuse(format!("The issuer {parent} has no CA on this server that signs."));
        };
        if let Some(problem) = signs_no_authority(&above.chain) {
            return refuse(format!("The CA of the issuer {parent} cannot sign another one: {problem}."));
        }
        let signer = above.chain.first().map(|der| Signer::read(&der.0)).ok_or_else(Error::internal)??;
        if signer.not_after() <= self.context.now() {
            return refuse(format!("The CA of the issuer {parent} has expired."));
        }
        if let Some(revoked) = revoked_above(&self.context, vault, &above.chain).await? {
            return refuse(format!(
                "The CA of the issuer {parent} signs no other one: \"{}\" was revoked.",
                revoked.ca
            ));
        }
        Ok(above.clone())
    }

    /// Whether the root that signed a cross certificate allows so many CAs below it.
    async fn reaches(&self, vault: &VaultName, cross: &Blob, below: usize) -> Result<bool> {
        let all = self.authorities.readable_of(vault).await?.records;
        let mut roots = all.iter().filter_map(|record| record.chain.last());
        Ok(roots.find(|root| signs(root, cross)).is_some_and(|root| can_cross_sign(&root.0, below)))
    }

    /// Stores what a CA is to sign, signs it, and puts the certificate (X.509, DER) into the log.
    async fn sign_part(
        &self,
        signing: &Signing<'_>,
        made: ToBeSigned,
        serial: Serial,
        content: IssuedContent,
    ) -> Result<Blob> {
        let Signing { vault, issuer, authority: active } = *signing;
        let signer = active.chain.first().ok_or_else(Error::internal)?;
        let id = authority::identifier(&signer.0).ok_or_else(Error::internal)?;
        let ToBeSigned { tbs, not_before, not_after } = made;
        let mut issued = IssuedRecord {
            authority: id.clone(),
            serial: serial.clone(),
            state: IssuedState::Intended,
            content: IssuedContent { not_before, not_after, ..content },
            tbs: Some(Blob(tbs.clone())),
            cer: None,
            asked: IssuedFor {
                vault: vault.clone(),
                issuer: issuer.clone(),
                certificate: None,
                version: None,
                request_id: None,
                principal: String::new(),
                door: Door::Authority,
                profile: String::new(),
            },
            created: self.context.now(),
            revocation: None,
        };
        let mut batch = Batch::default();
        self.log.store(&mut batch, &issued)?;
        self.commit_new(batch).await?;
        self.log.count(IssuedState::Intended);
        let sealed = SealedKey {
            sealed: active.sealed_key.clone(),
            context: seal_context(vault, issuer),
            public_key: public_key_of(&signer.0).unwrap_or_default(),
        };
        let (sealer, key_type) = (self.context.keys.sealer().clone(), Signer::read(&signer.0)?.key_type()?);
        let sign = move || signed(&tbs, &open_key(&sealer, &sealed)?);
        let cer = self.context.keys.run(&Caller::server(), Work::Use(key_type), sign).await?;
        let found = self.context.load(&key::issued(&id, &serial)).await?;
        let (there, known) = found.ok_or_else(Error::internal)?;
        // Revoked meanwhile, or given up: it is not handed out.
        if known.state != IssuedState::Intended || known.revocation.is_some() {
            return Err(crate::service::retry::contended());
        }
        if let Some(content) = content_of(&cer) {
            issued.content.subject = content.subject;
        }
        issued.state = IssuedState::Issued;
        (issued.tbs, issued.cer) = (None, Some(Blob(cer.clone())));
        let puts = vec![self.context.records.replace(&there, &issued, self.log.due(&issued))?];
        self.commit_new(Batch { puts, ..Batch::default() }).await?;
        self.log.count(IssuedState::Issued);
        self.authorities.note_end(vault, &id, not_after).await?;
        Ok(Blob(cer))
    }
}

/// A serial number as certificates have it.
fn number(serial: &Serial) -> Result<[u8; 16]> {
    <[u8; 16]>::try_from(serial.bytes()).map_err(|_| Error::internal())
}
