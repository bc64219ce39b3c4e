//! Private keys: generation, sealing, requests, certificates, chains.

mod algorithm_name;
mod alternative_names;
mod asn1;
mod audit_key;
pub mod authenticator;
pub mod authority;
mod authority_key;
mod authority_names;
pub mod backup;
mod bundle;
mod caller;
mod caller_certificate;
pub mod certificate;
pub mod chain;
mod constraints;
pub mod crl;
mod defect;
pub mod digest;
pub mod export;
pub mod extensions;
mod facts;
pub mod hierarchy;
pub mod import;
pub mod issued;
pub mod jwk;
mod key_cache;
mod key_form;
pub mod key_pair;
mod key_pool;
mod leaf_rules;
mod link;
pub mod master_key_lines;
mod master_keys;
mod name_text;
pub mod names;
pub mod ocsp;
mod oid;
pub mod operations;
mod options;
mod pem;
mod pkcs12;
pub mod pointers;
mod public_half;
mod purposes;
pub mod random;
pub(crate) mod raw_rsa;
mod reader;
pub mod request;
pub mod request_reader;
pub mod responder;
mod rewritten_key;
pub(crate) mod rounds;
pub mod seal;
mod sealed_key;
mod signature;
mod turns;
mod unusable_key;
mod webhook_secret;
mod work;
mod workers;
mod x509;
mod x509_name;

pub use audit_key::{AuditKey, audit_key_id, verify_audit_signature};
pub use authenticator::{Authenticator, Mismatch, Purpose};
pub use authority_key::AuthorityKey;
pub use caller::Caller;
pub(crate) use caller_certificate::{CallerCertificate, CallerName};
pub(crate) use defect::defect;
pub(crate) use facts::certificate_facts;
pub use key_pair::KeyPair;
pub use master_key_lines::MasterKeyLines;
pub use master_keys::MasterKeys;
pub use options::KeyOptions;
pub(crate) use public_half::of_certificate as public_key_of;
pub use random::random_id;
pub use reader::ImportLimits;
pub use seal::{SealContext, Sealer};
pub use sealed_key::SealedKey;
pub(crate) use sealed_key::{open_key, open_pkcs8};
pub use webhook_secret::WebhookSecret;
pub use work::Work;
pub use workers::{NotRun, QueueLoad};

use crate::domain::policy::ContentType;
use crate::domain::policy::KeyType;
use crate::domain::{Blob, CertificateFacts, Error, Policy, Result, Timestamp};
use crate::limits::Limits;
use chain::OrderedChain;
use key_cache::KeyCache;
use key_pool::{KeyPool, ReadyKey};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};
use uuid::Uuid;
use workers::{QueueOptions, Workers};
use zeroize::Zeroizing;

/// Keys are made ahead only after this: a server that starts has better things to do.
const HEAD_START: Duration = Duration::from_secs(1);

/// What a new pending operation keeps of a key that was made here.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// PKCS#8, sealed.
    pub sealed_key: Blob,
    /// PKCS#10 in DER.
    pub csr: Vec<u8>,
}

/// A certificate with its key on its way in (`import::read`), and the password of either.
pub struct ImportValue {
    pub bytes: Zeroizing<Vec<u8>>,
    pub password: Zeroizing<String>,
}

/// What an import keeps of it.
#[derive(Clone, Debug)]
pub struct ImportedKey {
    /// PKCS#8, sealed.
    pub sealed_key: Blob,
    pub chain: OrderedChain,
    pub facts: CertificateFacts,
    /// In which form it came.
    pub form: ContentType,
}

/// Work that waits, runs and is done ahead, for metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyLoad {
    pub queue: QueueLoad,
    pub ready_rsa_2048: usize,
    pub ready_rsa_3072: usize,
    pub ready_rsa_4096: usize,
}

/// Where request ids and versions come from.
pub type NewId = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// Makes and opens keys for the services. Its threads end when it is dropped.
pub struct Keys {
    sealer: Arc<Sealer>,
    new_id: NewId,
    /// `None`: work runs where it is asked for.
    workers: Option<Workers>,
    ready: KeyPool,
    opened: Arc<KeyCache>,
    import: ImportLimits,
    reseal_rate: u32,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("load", &self.load()).finish_non_exhaustive()
    }
}

impl Keys {
    /// Starts the threads; the error is that of the system that could not.
    pub fn new(sealer: Arc<Sealer>, options: &KeyOptions, limits: &Limits) -> io::Result<Self> {
        let queue = QueueOptions { jobs: limits.key_queue, time: limits.key_queue_time, share: limits.key_queue_share };
        let workers = Workers::start(options.workers, queue)?;
        Ok(Self {
            sealer,
            new_id: Arc::new(random_id),
            ready: KeyPool::start(options, workers.watcher(), HEAD_START)?,
            workers: Some(workers),
            opened: Arc::new(KeyCache::start(options.opened.into(), options.opened_for)?),
            import: limits.into(),
            reseal_rate: options.reseal_rate,
        })
    }

    /// Without threads: all work is done, and paid for, by who asks for it, and nothing is made
    /// ahead. For runs that have to be repeatable; `new_id` is their source of ids.
    pub fn inline(sealer: Arc<Sealer>, new_id: NewId) -> Self {
        Self {
            sealer,
            new_id,
            workers: None,
            ready: KeyPool::none(),
            opened: Arc::new(KeyCache::none()),
            import: ImportLimits::default(),
            reseal_rate: KeyOptions::default().reseal_rate,
        }
    }

    /// A new request id or version: random but for [`Keys::inline`].
    pub fn new_id(&self) -> Uuid {
        (self.new_id)()
    }

    /// A key for the policy, sealed for `context`, and the request that goes to the issuer. The
    /// key is the one of `reuse` where that is of the type that the policy asks for, else new.
    ///
    /// [`Reason::Throttled`](crate::domain::Reason::Throttled) if too much already waits, of this
    /// caller or of all, or where it would not be done before the caller's deadline.
    pub async fn create(
        &self,
        caller: &Caller,
        policy: &Policy,
        context: SealContext,
        reuse: Option<SealedKey>,
    ) -> Result<NewKey> {
        let key_type = policy.key.key_type;
        if key_type == KeyType::P256 && reuse.is_none() {
            // Quicker than handing it over to another thread and back.
            return finish(&KeyPair::generate(key_type)?, policy, &self.sealer, &context);
        }
        // Taken before it waits: what counts as ready has its key, and the next request does not count on the same one.
        let ready = if reuse.is_none() { self.ready.take(key_type) } else { None };
        let work = match (&reuse, &ready) {
            (Some(_), _) => Work::Reuse(key_type),
            (None, Some(_)) => Work::Ready(key_type),
            (None, None) => Work::Generate(key_type),
        };
        let (policy, sealer) = (policy.clone(), Arc::clone(&self.sealer));
        let job = move || {
            let old = reuse.map(|old| open_key(&sealer, &old)).transpose()?;
            let there = old.filter(|key| key.key_type() == key_type).or_else(|| ready.and_then(ReadyKey::used));
            let key = match there {
                Some(key) => key,
                None => KeyPair::generate(key_type)?,
            };
            finish(&key, &policy, &sealer, &context)
        };
        self.run(caller, work, job).await
    }

    /// Reads a certificate with its key and seals the key for `context`. Files may ask for seconds
    /// of key derivation, so they wait with the work that takes long.
    pub async fn import(
        &self,
        caller: &Caller,
        value: ImportValue,
        preserve_order: bool,
        now: Timestamp,
        context: SealContext,
    ) -> Result<ImportedKey> {
        let (sealer, limits) = (Arc::clone(&self.sealer), self.import);
        let work = Work::Import { rounds: rounds::asked_for([&value.bytes[..]], limits.rounds) };
        let job = move || {
            let ImportValue { bytes, password } = value;
            let read = import::read(&bytes, &password, preserve_order, now, limits)?;
            let import::Imported { key, chain, facts, form } = read;
            let sealed_key = sealer.seal(&key.to_pkcs8(), &context)?.into();
            Ok(ImportedKey { sealed_key, chain, facts, form })
        };
        self.run(caller, work, job).await
    }

    /// Opens a key and hands its PKCS#8 to `work`, which only writes it out, away from the threads that serve requests.
    /// It is not read as a key: for RSA that takes longer than all the rest, and what was sealed was one.
    pub async fn with_pkcs8<T, F>(&self, caller: &Caller, key: SealedKey, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&[u8]) -> Result<T> + Send + 'static,
    {
        let sealer = Arc::clone(&self.sealer);
        self.run(caller, Work::Small, move || work(&open_pkcs8(&sealer, &key)?)).await
    }

    /// Opens a key and hands it to `work` (signing, decrypting), away from the threads that serve requests. It is
    /// likely to be used again soon, so it stays opened for a while, as [`KeyOptions::opened_for`] has it.
    pub async fn with_kept_key<T, F>(&self, caller: &Caller, key_type: KeyType, key: SealedKey, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&KeyPair) -> Result<T> + Send + 'static,
    {
        if let Some(opened) = self.opened.find(&key) {
            if opened.key_type() == KeyType::P256 {
                // Quicker than handing it over to another thread and back.
                return work(&opened);
            }
            return self.run(caller, Work::Use(key_type), move || work(&opened)).await;
        }
        let (sealer, kept) = (Arc::clone(&self.sealer), Arc::clone(&self.opened));
        let job = move || {
            let opened = Arc::new(open_key(&sealer, &key)?);
            kept.keep(&key, &opened);
            work(&opened)
        };
        self.run(caller, Work::Use(key_type), job).await
    }

    /// Reads the certificates that somebody sends as `entries`. Where that asks for much key derivation, it waits with
    /// the work that takes long; how much is only known when it is read.
    pub async fn certificates(&self, caller: &Caller, entries: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let limits = self.import;
        let seen = rounds::asked_for(entries.iter().map(Vec::as_slice), limits.rounds);
        let cheap = move || Ok((chain::parse_cheaply(&entries, limits), entries));
        match self.run(caller, Work::Small, cheap).await? {
            (Some(parsed), _) => parsed,
            (None, entries) => {
                let rounds = seen.max(pkcs12::Budget::FEW);
                self.run(caller, Work::Read { rounds }, move || chain::parse(&entries, limits)).await
            }
        }
    }

    /// The revocation list of the CA of a certificate (X.509, DER), of a file as people send it.
    ///
    /// # Errors
    /// `BadParameter` for the member `crl`, with what is wrong.
    pub async fn revocation_list(&self, caller: &Caller, file: Vec<u8>, authority: Vec<u8>) -> Result<crl::Read> {
        let limits = self.import;
        let read = move || crl::read_file(&file, &authority, limits).map_err(|problem| Error::field("crl", problem));
        self.run(caller, Work::Small, read).await
    }

    /// Does the work for `caller`, when it is his turn, away from the threads that serve requests.
    pub async fn run<T, F>(&self, caller: &Caller, work: Work, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        match &self.workers {
            Some(workers) => workers.run(caller, work, job).await,
            None => job(),
        }
    }

    /// For secrets that are not keys, such as passwords of issuers: quick enough to be called
    /// anywhere.
    pub fn sealer(&self) -> &Arc<Sealer> {
        &self.sealer
    }

    /// Records that are brought under the newest master key in a second, at most.
    pub fn reseal_rate(&self) -> u32 {
        self.reseal_rate
    }

    pub fn load(&self) -> KeyLoad {
        KeyLoad {
            queue: self.workers.as_ref().map(Workers::load).unwrap_or_default(),
            ready_rsa_2048: self.ready.count(KeyType::Rsa2048),
            ready_rsa_3072: self.ready.count(KeyType::Rsa3072),
            ready_rsa_4096: self.ready.count(KeyType::Rsa4096),
        }
    }
}

fn finish(key: &KeyPair, policy: &Policy, sealer: &Sealer, context: &SealContext) -> Result<NewKey> {
    let csr = request::certificate_request(key, policy)?;
    let sealed_key = sealer.seal(&key.to_pkcs8(), context)?.into();
    Ok(NewKey { sealed_key, csr })
}
