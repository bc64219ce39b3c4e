//! Revoking a certificate that a CA of this server signed, or was to sign. It is acknowledged when the log has it; the
//! revocation list follows within seconds.

use super::CertificateAuthorities;
use super::adopt::is_signed;
use super::list::no_such_serial;
use super::revoked_cross::without_cross;
use super::view::{AuthorityView, GATHERED, IssuedView};
use crate::domain::access::Visible;
use crate::domain::issued::{Door, IssuedRecord, IssuedState};
use crate::domain::{
    Certificate, CertificateName, DataAction, Error, IssuerName, Reason, Result, Revocation, RevocationReason, Serial,
    Timestamp, VaultName, Version,
};
use crate::keys::authority;
use crate::keys::issued::{issuer_of, serial_of, signed_part};
use crate::service::access::{CertificateRef, Permit, Right, Target, denied};
use crate::service::audit::found;
use crate::service::certificates::Certificates;
use crate::service::context::Context;
use crate::service::records::{RevokedRecord, key};
use crate::service::retry::retry;
use crate::store::{Batch, Put, Record};
use std::collections::HashMap;

/// Other certificates of one key that are named in an answer.
const MOST_NAMED: usize = 100;

/// Which certificate is revoked.
#[derive(Clone, Debug)]
pub enum RevokeWhich {
    /// A version of a certificate of the vault; `None`: the newest.
    Version(CertificateName, Option<Version>),
    /// By serial number, in what its text may mean ([`Serial::spellings`]).
    Serial(Option<IssuerName>, Vec<Serial>),
    /// X.509, DER.
    Certificate(Vec<u8>),
}

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct RevokeRequest {
    pub vault: VaultName,
    pub which: RevokeWhich,
    pub reason: RevocationReason,
    /// Since when the key is in other hands.
    pub invalidity_time: Option<Timestamp>,
    /// Whether the version is disabled as well; `None`: where its key is compromised, and the caller may disable it
    /// without a revocation.
    pub disable: Option<bool>,
}

impl Target for RevokeRequest {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        match &self.which {
            RevokeWhich::Version(name, _) => Some(name.as_str()),
            RevokeWhich::Serial(issuer, _) => issuer.as_ref().map(IssuerName::as_str),
            RevokeWhich::Certificate(_) => None,
        }
    }

    fn needs_every_name(&self) -> bool {
        true
    }
}

/// The names for which the caller may do what a revocation does.
struct Reach {
    revokes: Visible,
    disables: Visible,
    /// Certificates themselves.
    reads: Visible,
    /// Issuers: what they are. What they signed is for who may revoke it, too.
    reads_issuers: Visible,
}

impl Reach {
    fn of(right: &Right) -> Self {
        Self {
            revokes: right.visible(),
            disables: right.names_for(DataAction::CertificatesUpdate),
            reads: right.names_for(DataAction::CertificatesRead),
            reads_issuers: right.names_for(DataAction::IssuersRead),
        }
    }

    fn revokes(&self, issued: &IssuedRecord) -> bool {
        shows_name(&self.revokes, issued) || shows_issuer(&self.revokes, issued)
    }

    /// Whether the version may be disabled: by who may do so without a revocation, for a grant with its own name, not only
    /// that of its issuer.
    fn disables(&self, issued: &IssuedRecord) -> bool {
        shows_name(&self.disables, issued)
    }

    fn reads(&self, issued: &IssuedRecord) -> bool {
        let issuers = [&self.revokes, &self.reads_issuers];
        shows_name(&self.reads, issued) || issuers.into_iter().all(|visible| shows_issuer(visible, issued))
    }
}

fn shows_name(visible: &Visible, issued: &IssuedRecord) -> bool {
    let name = issued.asked.certificate.as_ref().map(CertificateName::as_str);
    name.is_some_and(|name| visible.shows(&issued.asked.vault, name)) || visible.is_everything()
}

fn shows_issuer(visible: &Visible, issued: &IssuedRecord) -> bool {
    visible.shows(&issued.asked.vault, issued.asked.issuer.as_str())
}

/// What was revoked.
#[derive(Clone, Debug)]
pub struct Revoked {
    pub certificate: IssuedView,
    /// After a compromise, the other certificates of the key that are in force; at most 100.
    pub same_key: Vec<IssuedView>,
}

impl CertificateAuthorities {
    /// Revokes a certificate. A repeat answers the first revocation, but a compromise of the key replaces another reason.
    ///
    /// # Errors
    /// `BadParameter` for one of another CA and for one that has expired; `CertificateNotFound`; `AccessDenied` where the
    /// version is to be disabled and the caller may not do that.
    pub async fn revoke(&self, request: Permit<RevokeRequest>, certificates: &Certificates) -> Result<Revoked> {
        let RevokeRequest { reason, invalidity_time, disable, .. } = *request;
        let by = request.caller().principal().to_owned();
        let reach = Reach::of(request.right());
        let issued = retry!({
            let (record, mut issued) = self.find(&request).await?;
            if matches!(request.which, RevokeWhich::Version(..)) && !reach.revokes(&issued) {
                return Err(of_another_ca());
            }
            if disable == Some(true) && !reach.disables(&issued) {
                return Err(may_not_disable(&by, &issued));
            }
            let now = self.context.now();
            if issued.content.not_after < now {
                return Err(Error::bad_parameter(format!(
                    "The certificate {} has expired: nothing accepts it any more.",
                    issued.serial
                )));
            }
            if invalidity_time.is_some_and(|since| since > now) {
                return Err(Error::field("invalidity_time", "It is in the future."));
            }
            let again = issued.revocation.as_ref().map(|known| known.reason);
            let worse = reason == RevocationReason::KeyCompromise && again != Some(RevocationReason::KeyCompromise);
            if again.is_some() && !worse {
                return Ok(Some(issued));
            }
            issued.revocation = Some(match issued.revocation.take() {
                Some(first) => Revocation { reason, invalidity_time, crl: None, ..first },
                None => Revocation { time: now, reason, invalidity_time, by: by.clone(), crl: None },
            });
            Ok(self.commit_revocation(&record, &issued, now).await?.then_some(issued))
        })?;
        // Who may revoke what an issuer signed may not take the secrets of all who asked it out of service.
        if disable.unwrap_or(reason == RevocationReason::KeyCompromise) && reach.disables(&issued) {
            disable_version(certificates, &issued).await?;
        }
        let same_key = match reason {
            RevocationReason::KeyCompromise => self.in_force_of_key(&issued, &reach).await?,
            _ => Vec::new(),
        };
        tracing::info!(
            vault = %issued.asked.vault, issuer = %issued.asked.issuer, serial = %issued.serial,
            reason = issued.revocation.as_ref().map(|it| it.reason.word()), "a certificate was revoked"
        );
        Ok(Revoked { certificate: self.view(issued).await?, same_key })
    }

    /// The log, and what makes the next list, in one commit; false where somebody else was faster.
    async fn commit_revocation(&self, record: &Record, issued: &IssuedRecord, now: Timestamp) -> Result<bool> {
        let Some(revocation) = &issued.revocation else { return Ok(false) };
        let shard = self.shard_of(&issued.asked.vault, &issued.authority, &issued.serial).await?;
        let place = key::revoked(&issued.authority, shard, &issued.serial);
        // One that is damaged is replaced.
        let there = self.context.store.get(place.as_str()).await?;
        if let Some(there) = &there {
            self.context.records.unless_damaged::<RevokedRecord>(there)?;
        }
        let there = there.map(|there| there.revision);
        let revoked = RevokedRecord {
            vault: issued.asked.vault.clone(),
            authority: issued.authority.clone(),
            shard,
            serial: issued.serial.clone(),
            revocation: revocation.clone(),
            not_after: issued.content.not_after,
        };
        found(|found| found.detail = format!("{} {}", issued.serial, revocation.reason.word()));
        let due = self.log.due(issued);
        let mut puts = vec![
            self.context.records.replace(record, issued, due)?,
            self.context.records.put(&place, there, &revoked, Some(now.plus(GATHERED)))?,
        ];
        puts.extend(another_responder(&self.context, issued, now).await?);
        puts.extend(without_cross(&self.context, issued).await?);
        let committed = self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
        if committed.is_some() {
            self.context.metrics.operations.ca("revoked");
        }
        Ok(committed.is_some())
    }

    /// On which list of its authority a certificate is. Authorities of versions without records have one.
    pub(super) async fn shard_of(&self, vault: &VaultName, authority: &str, serial: &Serial) -> Result<u32> {
        let found = self.context.load(&key::authority(vault, authority)).await?;
        Ok(found.map_or(0, |(_, record)| record.shard_of(serial)))
    }

    async fn find(&self, request: &RevokeRequest) -> Result<(Record, IssuedRecord)> {
        let vault = &request.vault;
        match &request.which {
            RevokeWhich::Serial(issuer, serials) => {
                let known = self.of(vault, issuer.as_ref()).await?;
                for serial in serials {
                    for authority in &known.views {
                        if let Some(found) = self.context.load(&key::issued(&authority.id, serial)).await?
                            && found.1.asked.vault == *vault
                        {
                            return Ok(found);
                        }
                    }
                }
                Err(known.not_found(no_such_serial(serials)))
            }
            RevokeWhich::Version(name, version) => self.of_version(vault, name, *version).await,
            RevokeWhich::Certificate(der) => self.of_certificate(vault, der).await,
        }
    }

    /// Of a version that is deleted and can be recovered, too.
    async fn of_version(
        &self,
        vault: &VaultName,
        name: &CertificateName,
        version: Option<Version>,
    ) -> Result<(Record, IssuedRecord)> {
        let missing = || {
            let text = version.map_or_else(String::new, |version| format!(" of the version {version}"));
            Error::new(Reason::CertificateNotFound, format!("There is no certificate {name}{text} to revoke."))
        };
        let wanted = match version {
            Some(version) => Some(version),
            None => self.context.load(&key::certificate(vault, name)).await?.and_then(|(_, entry)| entry.latest),
        };
        let place = key::version(vault, name, wanted.ok_or_else(missing)?);
        let (_, certificate) = self.context.load(&place).await?.ok_or_else(missing)?;
        let signer = certificate.chain.first().and_then(|signer| authority::identifier(&signer.0));
        let known = self.of(vault, None).await?;
        let authority = known.views.iter().find(|known| Some(&known.id) == signer.as_ref());
        let (Some(authority), Some(serial)) = (authority.cloned(), serial_of(&certificate.cer.0)) else {
            return Err(known.not_found(of_another_ca()));
        };
        let place = key::issued(&authority.id, &serial);
        match self.context.load(&place).await? {
            // Serial and signer are what the version says of itself.
            Some((record, issued)) if is_of(&issued, &certificate.cer.0) => Ok((record, issued)),
            Some(_) => Err(of_another_ca()),
            // Older than the log, and not taken over yet.
            None => self.adopted(certificate, &authority).await,
        }
    }

    async fn adopted(&self, version: Certificate, authority: &AuthorityView) -> Result<(Record, IssuedRecord)> {
        let owner = (authority.record.vault.clone(), authority.record.issuer.clone());
        let owners = HashMap::from([(authority.id.clone(), owner)]);
        let (issued, signer) = self.as_issued(version, &owners).ok_or_else(of_another_ca)?;
        if !is_signed(&self.context, &issued, signer).await? {
            return Err(of_another_ca());
        }
        self.adopt(&issued).await?;
        let found = self.context.load(&key::issued(&issued.authority, &issued.serial)).await?;
        found.ok_or_else(Error::internal)
    }

    async fn of_certificate(&self, vault: &VaultName, der: &[u8]) -> Result<(Record, IssuedRecord)> {
        let unreadable = || Error::field("certificate", "It is no certificate (X.509) in DER.");
        let serial = serial_of(der).ok_or_else(unreadable)?;
        let (key_id, _) = issuer_of(der).ok_or_else(unreadable)?;
        let known = self.of(vault, None).await?;
        for authority in &known.views {
            if key_id.is_some() && key_id != authority.key_id {
                continue;
            }
            let Some((record, issued)) = self.context.load(&key::issued(&authority.id, &serial)).await? else {
                continue;
            };
            if issued.asked.vault != *vault {
                continue;
            }
            if is_of(&issued, der) {
                return Ok((record, issued));
            }
        }
        Err(known.not_found(of_another_ca()))
    }

    /// The other certificates of a key that are valid, issued and not revoked, as far as the caller may see them.
    async fn in_force_of_key(&self, revoked: &IssuedRecord, reach: &Reach) -> Result<Vec<IssuedView>> {
        let now = self.context.now();
        let mut found = Vec::new();
        for issued in self.log.of_key(&revoked.content.key).await? {
            let other = (&issued.authority, &issued.serial) != (&revoked.authority, &revoked.serial);
            let in_force = issued.state == IssuedState::Issued && issued.content.not_after > now;
            let same_vault = issued.asked.vault == revoked.asked.vault;
            if other && in_force && issued.revocation.is_none() && same_vault && reach.reads(&issued) {
                found.push(self.view(issued).await?);
            }
            if found.len() == MOST_NAMED {
                break;
            }
        }
        Ok(found)
    }
}

/// Where the certificate of a responder is revoked: it is replaced at once, as clients do not ask whether it was.
async fn another_responder(context: &Context, issued: &IssuedRecord, now: Timestamp) -> Result<Option<Put>> {
    if issued.asked.door != Door::Authority {
        return Ok(None);
    }
    let found = context.load(&key::responder(&issued.authority)).await?;
    let Some((record, responder)) = found else { return Ok(None) };
    let is_its = responder.current.as_ref().is_some_and(|current| Some(&current.cer) == issued.cer.as_ref());
    is_its.then(|| context.records.replace(&record, &responder, Some(now))).transpose()
}

/// Whether it is the entry of this certificate. Two signatures over the same bytes are the same certificate.
fn is_of(issued: &IssuedRecord, der: &[u8]) -> bool {
    let known = match (&issued.tbs, &issued.cer) {
        (Some(tbs), _) => Some(tbs.0.as_slice()),
        (None, Some(cer)) => signed_part(&cer.0),
        (None, None) => None,
    };
    known.is_some() && known == signed_part(der)
}

fn may_not_disable(principal: &str, issued: &IssuedRecord) -> Error {
    match &issued.asked.certificate {
        Some(name) => {
            let target: CertificateRef = (issued.asked.vault.clone(), name.clone());
            denied(principal, DataAction::CertificatesUpdate, &target)
        }
        None => Error::field("disable", "It is the certificate of no version of the vault."),
    }
}

fn of_another_ca() -> Error {
    Error::bad_parameter("No CA of this vault signed the certificate: ask the CA that signed it to revoke it.")
}

/// Takes the version of the certificate out of use.
async fn disable_version(certificates: &Certificates, issued: &IssuedRecord) -> Result<()> {
    let (Some(name), Some(version)) = (&issued.asked.certificate, issued.asked.version) else { return Ok(()) };
    match issued.state {
        IssuedState::Issued => certificates.disable(&issued.asked.vault, name, version).await,
        IssuedState::Intended | IssuedState::Abandoned => Ok(()),
    }
}
