//! The OCSP responders of the CAs of this server: a key for each, with a certificate that is in the CA's log before it is
//! signed, as any other.

use super::first::is_last;
use super::log::{IssuedLog, random_serial};
use crate::domain::authority::AuthorityState;
use crate::domain::issued::{Door, IssuedContent, IssuedFor, IssuedRecord, IssuedState};
use crate::domain::policy::KeyType;
use crate::domain::{Blob, Error, IssuerName, Result, Serial};
use crate::keys::authority::Signer;
use crate::keys::certificate::signed;
use crate::keys::issued::{content_of, key_hash};
use crate::keys::{Caller, KeyPair, SealContext, SealedKey, Work, open_key, responder};
use crate::service::context::Context;
use crate::service::issuers::Authorities;
use crate::service::records::{NextResponder, ResponderKey, ResponderRecord, key};
use crate::store::{Batch, Record};
use std::sync::Arc;
use std::time::Duration;

/// The type of the responders' keys: an answer costs a signature.
pub(super) const RESPONDER_KEY: KeyType = KeyType::P256;
/// Half of the life of the certificate is left when the next one is made.
const RENEWED: Duration = Duration::from_secs(15 * 24 * 3600);

/// Makes the keys of responders.
#[derive(Clone)]
pub(in crate::service) struct Responders {
    context: Arc<Context>,
    authorities: Authorities,
    log: IssuedLog,
}

/// What the key of a responder was sealed for.
pub(super) fn seal_context(record: &ResponderRecord) -> SealContext {
    SealContext::responder_key(record.vault.as_str(), &record.authority)
}

impl Responders {
    pub(in crate::service) fn new(context: Arc<Context>, authorities: Authorities) -> Self {
        Self { log: IssuedLog::new(context.clone()), context, authorities }
    }

    /// Takes the next step: stores what will be signed, or signs it.
    pub(in crate::service) async fn step(&self, record: &Record, responder: ResponderRecord) -> Result<()> {
        let place = key::authority(&responder.vault, &responder.authority);
        let authority = self.context.load(&place).await?.map(|(_, authority)| authority);
        let sealed = match &authority {
            Some(authority) => self.authorities.key_of(authority).await?,
            None => None,
        };
        let (Some(authority), Some(sealed)) = (authority.as_ref(), sealed) else {
            if authority.is_some_and(|authority| authority.state() != AuthorityState::Gone) {
                // Another one began to sign after the record was read: the next look finds the key in it.
                tracing::warn!(
                    authority = responder.authority,
                    "the key of a CA is missing: its OCSP responder waits for it"
                );
                return Ok(());
            }
            // The key of the CA is erased: nothing depends on it any more.
            let puts = vec![self.context.records.replace(record, &responder, None)?];
            return self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ());
        };
        let signer = authority.chain.first().ok_or_else(Error::internal)?.clone();
        match responder.next.clone() {
            Some(next) => self.sign(record, responder, next, sealed, &signer.0).await,
            None => self.intend(record, responder, &signer.0, authority.issuer.clone()).await,
        }
    }

    async fn intend(
        &self,
        record: &Record,
        mut responder: ResponderRecord,
        signer: &[u8],
        issuer: IssuerName,
    ) -> Result<()> {
        let (sealer, context, signer) = (self.context.keys.sealer().clone(), seal_context(&responder), signer.to_vec());
        let (serial, now) = (random_serial(), self.context.now());
        let number = <[u8; 16]>::try_from(serial.bytes()).map_err(|_| Error::internal())?;
        let make = move || {
            let key = KeyPair::generate(RESPONDER_KEY)?;
            let made = responder::responder(&signer, &key.public_key_der(), number, now)?;
            Ok((sealer.seal(&key.to_pkcs8(), &context)?, key.public_key_der(), made))
        };
        let made = self.context.keys.run(&Caller::server(), Work::Generate(RESPONDER_KEY), make).await?;
        let (sealed, public_key, made) = made;
        let asked = IssuedFor {
            vault: responder.vault.clone(),
            issuer,
            certificate: None,
            version: None,
            request_id: None,
            principal: String::new(),
            door: Door::Authority,
            profile: String::new(),
        };
        let issued = IssuedRecord {
            authority: responder.authority.clone(),
            serial: serial.clone(),
            state: IssuedState::Intended,
            content: IssuedContent {
                subject: "OCSP responder".to_owned(),
                names: Vec::new(),
                not_before: made.not_before,
                not_after: made.not_after,
                key: key_hash(&public_key),
            },
            tbs: Some(Blob(made.tbs)),
            cer: None,
            asked,
            created: now,
            revocation: None,
        };
        let mut batch = Batch::default();
        self.log.store(&mut batch, &issued)?;
        responder.next = Some(NextResponder { sealed_key: sealed.into(), public_key: public_key.into(), serial });
        batch.puts.push(self.context.records.replace(record, &responder, Some(now))?);
        if self.context.try_commit(batch).await?.is_some() {
            self.log.count(IssuedState::Intended);
        }
        Ok(())
    }

    async fn sign(
        &self,
        record: &Record,
        mut responder: ResponderRecord,
        next: NextResponder,
        sealed: SealedKey,
        signer: &[u8],
    ) -> Result<()> {
        let NextResponder { sealed_key, public_key, serial } = next;
        let Some((place, mut issued)) = self.issued(&responder.authority, &serial).await? else {
            // Nothing that could be signed is stored: begin again.
            responder.next = None;
            let puts = vec![self.context.records.replace(record, &responder, Some(self.context.now()))?];
            return self.context.try_commit(Batch { puts, ..Batch::default() }).await.map(|_| ());
        };
        let (sealer, tbs) = (self.context.keys.sealer().clone(), issued.tbs.take().unwrap_or_default());
        let key_type = Signer::read(signer)?.key_type()?;
        let sign = move || signed(&tbs.0, &open_key(&sealer, &sealed)?);
        let cer = self.context.keys.run(&Caller::server(), Work::Use(key_type), sign).await?;
        if let Some(content) = content_of(&cer) {
            issued.content.subject = content.subject;
        }
        issued.state = IssuedState::Issued;
        issued.cer = Some(Blob(cer.clone()));
        let not_after = issued.content.not_after;
        let due = self.log.due(&issued);
        responder.next = None;
        responder.current = Some(ResponderKey { sealed_key, public_key, cer: Blob(cer), not_after });
        let renewal = (!is_last(&responder, signer)?).then(|| not_after.minus(RENEWED));
        let puts = vec![
            self.context.records.replace(&place, &issued, due)?,
            self.context.records.replace(record, &responder, renewal)?,
        ];
        if self.context.try_commit(Batch { puts, ..Batch::default() }).await?.is_some() {
            self.log.count(IssuedState::Issued);
        }
        Ok(())
    }

    /// The intent with this number, if it is still one.
    async fn issued(&self, authority: &str, serial: &Serial) -> Result<Option<(Record, IssuedRecord)>> {
        let found = self.context.load(&key::issued(authority, serial)).await?;
        let can_be_signed = |issued: &IssuedRecord| {
            issued.state == IssuedState::Intended && issued.tbs.is_some() && issued.revocation.is_none()
        };
        Ok(found.filter(|(_, issued)| can_be_signed(issued)))
    }
}
