//! What the CAs of this server publish, for anybody: certificates, revocation lists and OCSP answers. Strangers ask, so
//! that an authority that is not there costs no question to the store, and a file no more than one each second. Files that
//! were read go on while the store is not available.

use super::CertificateAuthorities;
use super::crl::NUMBERS;
use super::first::missing;
use super::kept::{Answers, Lists, Published};
use super::responder::{RESPONDER_KEY, seal_context};
use crate::domain::authority::{AuthorityRecord, AuthorityState};
use crate::domain::issued::{IssuedRecord, IssuedState};
use crate::domain::{Error, IssuerName, Reason, Result, Serial, Timestamp, VaultName};
use crate::keys::authority::{self, Signer};
use crate::keys::certificate::{BACKDATE, key_id};
use crate::keys::ocsp::{Refusal, Request, Responder, Status};
use crate::keys::responder::key_bits;
use crate::keys::{Caller, SealedKey, Work, open_key};
use crate::service::context::Context;
use crate::service::records::{Kind, ResponderKey, ResponderRecord, RevokedRecord, Scan, key};
use crate::store::Batch;
use der::Encode;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long the list of authorities is believed; an unknown one is looked for again after a second.
const DIRECTORY: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);
/// An OCSP answer is good from a quarter of an hour ago until tomorrow.
const ANSWER_BEGINS: Duration = Duration::from_secs(900);
const ANSWER_ENDS: Duration = Duration::from_secs(24 * 3600);
/// Signing an answer is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// On whose behalf keys work for strangers: all of them have one share of the threads.
const STRANGERS: &str = "published";

/// What OCSP answers.
#[derive(Clone, Debug)]
pub struct Answered {
    pub answer: Published,
    /// `good`, `revoked`, `unknown`, or why it has no signature.
    pub status: &'static str,
    /// Good for others who ask the same.
    pub is_cacheable: bool,
}

#[derive(Default)]
struct Directory {
    read: Option<Instant>,
    authorities: Arc<HashMap<String, AuthorityRecord>>,
}

/// Reads what is published.
#[derive(Clone)]
pub struct Publications {
    context: Arc<Context>,
    directory: Arc<tokio::sync::Mutex<Directory>>,
    lists: Arc<tokio::sync::Mutex<Lists>>,
    answers: Arc<Mutex<Answers>>,
}

impl CertificateAuthorities {
    /// Begins to publish for the authorities of versions that did not, and of servers whose configuration did not say
    /// so: the worker makes their lists and responders.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn begin_publishing(&self) -> Result<()> {
        if !self.context.options.ca.publishes() {
            return Ok(());
        }
        let mut scan = Scan::new(&*self.context.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            for there in page {
                let Ok(mut record) = self.context.records.read::<AuthorityRecord>(&there) else { continue };
                let Some(id) = record.chain.first().and_then(|der| authority::identifier(&der.0)) else { continue };
                if record.state() == AuthorityState::Gone {
                    continue;
                }
                let mut puts = missing(&self.context, &record, &id, self.context.now()).await?;
                if notes_number(&self.context, &mut record, &id).await? {
                    puts.push(self.context.records.replace(&there, &record, there.due)?);
                }
                if !puts.is_empty() {
                    self.context.try_commit(Batch { puts, ..Batch::default() }).await?;
                }
            }
        }
        Ok(())
    }
}

/// Whether the record of an authority is to say up to which number it has lists: versions that did not write it down
/// lose it with a list.
async fn notes_number(context: &Context, authority: &mut AuthorityRecord, id: &str) -> Result<bool> {
    if authority.lists.last_crl > 0 {
        return Ok(false);
    }
    let places: Vec<_> = (0..authority.lists.shards.max(1)).map(|shard| Some(key::crl(id, shard))).collect();
    let lists = context.load_many(&places).await?;
    // One that is damaged is made anew.
    let highest = lists.into_iter().flatten().flatten().map(|list| list.number).max().unwrap_or(0);
    authority.lists.last_crl = if highest > 0 { highest.saturating_add(NUMBERS) } else { 0 };
    Ok(highest > 0)
}

impl Publications {
    pub(in crate::service) fn new(context: Arc<Context>) -> Self {
        Self { context, directory: Arc::default(), lists: Arc::default(), answers: Arc::default() }
    }

    /// The time of this server.
    pub fn now(&self) -> Timestamp {
        self.context.now()
    }

    /// The certificate of an authority (X.509, DER).
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn certificate(&self, id: &str) -> Result<Option<Published>> {
        let Some(authority) = self.authority(id).await? else { return Ok(None) };
        let signer = authority.chain.first().map(|der| der.0.clone());
        Ok(signer.map(|der| Published::new(der, authority.created, None)))
    }

    /// The certificates of every authority of an issuer that clients may still meet, their roots, as PEM.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn roots(&self, vault: &str, issuer: &str) -> Result<Option<Published>> {
        let (Ok(vault), Ok(issuer)) = (VaultName::parse(vault), IssuerName::parse(issuer)) else { return Ok(None) };
        let directory = self.directory(DIRECTORY).await?;
        let mut found: Vec<&AuthorityRecord> =
            directory.values().filter(|it| it.vault == vault && it.issuer == issuer).collect();
        // What is given up changes the file, too.
        let newest = found.iter().map(|it| it.retired.unwrap_or(it.created)).max();
        found.retain(|it| it.is_met());
        found.sort_by_key(|it| (it.created, it.generation));
        let mut roots: Vec<&[u8]> = Vec::new();
        for root in found.iter().filter_map(|it| it.chain.last()) {
            if !roots.contains(&root.0.as_slice()) {
                roots.push(&root.0);
            }
        }
        let mut text = String::new();
        for root in &roots {
            let encoded = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, root);
            text.push_str(&encoded.map_err(|_| Error::internal())?);
        }
        let newest = newest.filter(|_| !roots.is_empty());
        Ok(newest.map(|newest| Published::new(text.into_bytes(), newest, None)))
    }

    /// A revocation list (DER); `shard` as the address names it.
    ///
    /// # Errors
    /// Where the store is not available.
    pub async fn crl(&self, id: &str, shard: Option<u32>) -> Result<Option<Published>> {
        let Some(authority) = self.authority(id).await? else { return Ok(None) };
        let shard = match (authority.lists.shards, shard) {
            (0 | 1, None) => 0,
            (shards, Some(shard)) if shards > 1 && shard < shards => shard,
            _ => return Ok(None),
        };
        let place = (id.to_owned(), shard);
        // Held while it is read: a list that many ask for at once is read once.
        let mut lists = self.lists.lock().await;
        if let Some(young) = lists.young(&place) {
            return Ok(young.file.clone());
        }
        let found = match self.context.load(&key::crl(id, shard)).await {
            Ok(found) => found,
            Err(error) => return lists.meanwhile(&place).map(Some).ok_or(error),
        };
        let made = found.map(|(_, crl)| crl).filter(|crl| !crl.der.0.is_empty());
        let file = made.map(|crl| Published::new(crl.der.0, crl.this_update.plus(BACKDATE), Some(crl.next_update)));
        lists.keep(place, file.clone());
        Ok(file)
    }

    /// The answer to an OCSP request (DER). Every request has one, if only one without a signature.
    pub async fn ocsp(&self, id: &str, request: &[u8]) -> Answered {
        match self.answer(id, request).await {
            Ok(answered) => answered,
            Err(refusal) => Answered {
                answer: Published::new(refusal.answer(), self.context.now(), None),
                status: refusal.word(),
                is_cacheable: false,
            },
        }
    }

    async fn answer(&self, id: &str, request: &[u8]) -> std::result::Result<Answered, Refusal> {
        let authority = self.authority(id).await.map_err(unavailable)?.ok_or(Refusal::Unauthorized)?;
        let request = Request::read(request)?;
        let signer = authority.chain.first().and_then(|der| Signer::read(&der.0).ok()).ok_or(Refusal::Internal)?;
        let name = signer.name().to_der().map_err(|_| Refusal::Internal)?;
        let bits = key_bits(signer.public_key()).map_err(|_| Refusal::Internal)?;
        let serials = request.serials(&name, &bits)?;
        let statuses = self.statuses(&authority, id, &serials).await.map_err(unavailable)?;
        let status = statuses.first().map_or("none", |status| status.word());
        let cached = request.cacheable().map(|question| [id.as_bytes(), &question].concat());
        if let Some(question) = &cached
            && let Some(answer) = lock(&self.answers).known(question, &statuses)
        {
            return Ok(Answered { answer, status, is_cacheable: true });
        }
        let answer = self.sign(id, request, statuses.clone()).await?;
        let is_cacheable = cached.is_some();
        if let Some(question) = cached {
            lock(&self.answers).keep(question, statuses, answer.clone());
        }
        Ok(Answered { answer, status, is_cacheable })
    }

    async fn sign(&self, id: &str, request: Request, statuses: Vec<Status>) -> std::result::Result<Published, Refusal> {
        let found = self.context.load(&key::responder(id)).await.map_err(unavailable)?;
        let (_, record) = found.ok_or(Refusal::TryLater)?;
        let context = seal_context(&record);
        let ResponderRecord { current: Some(current), .. } = record else { return Err(Refusal::TryLater) };
        let ResponderKey { sealed_key, public_key, cer, not_after } = current;
        let now = self.context.now();
        if not_after <= now {
            return Err(Refusal::TryLater);
        }
        let responder = Responder {
            key_id: key_id(&public_key.0).map_err(|_| Refusal::Internal)?,
            certificate: cer.0,
            this_update: now.minus(ANSWER_BEGINS),
            next_update: now.plus(ANSWER_ENDS).min(not_after),
            produced: now,
        };
        let expires = responder.next_update;
        let sealed = SealedKey { sealed: sealed_key, context, public_key: public_key.0 };
        let sealer = self.context.keys.sealer().clone();
        let caller = Caller::new(STRANGERS, Some(Instant::now() + PATIENCE));
        let sign = move || request.answer(&statuses, &responder, &open_key(&sealer, &sealed)?);
        let answer = self.context.keys.run(&caller, Work::Use(RESPONDER_KEY), sign).await.map_err(unavailable)?;
        Ok(Published::new(answer, now, Some(expires)))
    }

    /// Good is only what was issued; what was revoked is revoked in every state, and so is what the log has not, or not
    /// any more, and lists have.
    pub(super) async fn statuses(
        &self,
        authority: &AuthorityRecord,
        id: &str,
        serials: &[Option<Serial>],
    ) -> Result<Vec<Status>> {
        let places: Vec<_> =
            serials.iter().map(|serial| serial.as_ref().map(|serial| key::issued(id, serial))).collect();
        let found = self.context.load_many(&places).await?;
        let unknown: Vec<_> = serials
            .iter()
            .zip(&found)
            .map(|(serial, found)| {
                let serial = serial.as_ref().filter(|_| !matches!(found, Ok(Some(_))))?;
                Some(key::revoked(id, authority.shard_of(serial), serial))
            })
            .collect();
        let listed = self.context.load_many(&unknown).await?;
        found
            .into_iter()
            .zip(listed)
            .map(|(found, listed)| {
                if let Ok(Some(RevokedRecord { revocation: it, .. })) = listed {
                    return Ok(Status::Revoked(it.time, it.reason));
                }
                Ok(match found? {
                    Some(IssuedRecord { revocation: Some(it), .. }) => Status::Revoked(it.time, it.reason),
                    Some(IssuedRecord { state: IssuedState::Issued, .. }) => Status::Good,
                    _ => Status::Unknown,
                })
            })
            .collect()
    }

    /// All authorities, as they were half a minute ago at most.
    pub(super) async fn all(&self) -> Result<Arc<HashMap<String, AuthorityRecord>>> {
        self.directory(DIRECTORY).await
    }

    async fn authority(&self, id: &str) -> Result<Option<AuthorityRecord>> {
        if let Some(known) = self.directory(DIRECTORY).await?.get(id) {
            return Ok(Some(known.clone()));
        }
        Ok(self.directory(SECOND).await?.get(id).cloned())
    }

    /// All authorities, as they were at most so long ago; those that are known go on while they cannot be read.
    async fn directory(&self, age: Duration) -> Result<Arc<HashMap<String, AuthorityRecord>>> {
        let mut directory = self.directory.lock().await;
        if directory.read.is_some_and(|read| read.elapsed() < age) {
            return Ok(directory.authorities.clone());
        }
        match self.read_authorities().await {
            Ok(authorities) => {
                *directory = Directory { read: Some(Instant::now()), authorities: Arc::new(authorities) };
            }
            Err(error) if directory.read.is_none() || age < DIRECTORY => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the CAs could not be read: what is known of them is published");
                // Nobody tries again for a second.
                directory.read = Instant::now().checked_sub(DIRECTORY.saturating_sub(SECOND)).or(directory.read);
            }
        }
        Ok(directory.authorities.clone())
    }

    async fn read_authorities(&self) -> Result<HashMap<String, AuthorityRecord>> {
        let mut authorities = HashMap::new();
        let mut scan = Scan::new(&*self.context.store, Kind::Authority.prefix());
        while let Some(page) = scan.next().await? {
            for record in page {
                let Ok(record) = self.context.records.read::<AuthorityRecord>(&record) else { continue };
                let id = record.chain.first().and_then(|signer| authority::identifier(&signer.0));
                authorities.extend(id.map(|id| (id, record)));
            }
        }
        Ok(authorities)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Whole values are put in: nothing half done can be seen.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(error: Error) -> Refusal {
    match error.reason {
        Reason::StoreUnavailable | Reason::Throttled | Reason::DeadlineExceeded => Refusal::TryLater,
        _ => Refusal::Internal,
    }
}
