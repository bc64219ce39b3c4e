//! All issuers whose tokens are accepted, and who a token stands for.

use super::algorithm::Algorithm;
use super::cache::{Accepted, Cache, TokenHash};
use super::client::Client;
use super::fetch::{Fetcher, Origin};
use super::kept::{self, KeptFile};
use super::options::{FederatedOptions, JwtOptions};
use super::refusal::{Cause, Refusal, shown};
use super::refused::Refused;
use super::rules::Rules;
use super::source::{Source, SourceState};
use super::token::{Token, is_jwt};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::outbound::Clients;
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::sync::CancellationToken;

/// Most issuers of a configuration, and most values of `iss` of one.
const MAX_ISSUERS: usize = 32;
/// Longest name.
const MAX_NAME: usize = 32;
/// Longest value of `iss`.
const MAX_ISS: usize = 255;

/// An entry of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("[[auth.{table}]] {entry}: {problem}")]
pub struct JwtError {
    /// `jwt` or `client`.
    table: &'static str,
    /// Its name or id.
    entry: String,
    problem: String,
}

/// What the configuration says of tokens of other issuers.
#[derive(Clone, Copy, Debug)]
pub struct IssuersOptions<'a> {
    pub issuers: &'a [JwtOptions],
    pub clients: &'a [FederatedOptions],
}

/// The issuers of the configuration.
pub struct Issuers {
    providers: Vec<Provider>,
    /// By the value of `iss`: the provider, and which of its sources.
    by_iss: HashMap<String, (usize, usize)>,
    /// Counts the changes of keys.
    number: Arc<AtomicU64>,
    cache: Cache,
    clock: Arc<dyn Clock>,
    /// Of tokens of an issuer that is none of these.
    refused: Refused,
}

struct Provider {
    name: String,
    rules: Rules,
    sources: Vec<Source>,
    refused: Refused,
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.providers.iter().map(|provider| &provider.name)).finish()
    }
}

impl Issuers {
    /// With the keys that were kept in the data folder, and those of files; nothing is fetched yet.
    ///
    /// # Errors
    /// The entry and what is wrong with it.
    pub fn open(
        options: IssuersOptions<'_>,
        clients: &Arc<dyn Clients>,
        data_dir: &Path,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, JwtError> {
        let mut this = Self {
            providers: Vec::new(),
            by_iss: HashMap::new(),
            number: Arc::default(),
            cache: Cache::default(),
            clock: clock.clone(),
            refused: Refused::default(),
        };
        kept::remove_parts(data_dir, clock.now());
        for one in options.issuers {
            let failed = |problem| JwtError { table: "jwt", entry: shown(&one.name), problem };
            this.add(one, clients, data_dir).map_err(failed)?;
        }
        let mut ids = HashSet::new();
        for one in options.clients {
            let failed = |problem| JwtError { table: "client", entry: shown(&one.id), problem };
            if !ids.insert(one.id.as_str()) {
                return Err(failed("another entry has this id".to_owned()));
            }
            this.add_client(one).map_err(failed)?;
        }
        Ok(this)
    }

    fn add(&mut self, options: &JwtOptions, clients: &Arc<dyn Clients>, data_dir: &Path) -> Result<(), String> {
        let JwtOptions { name, issuers, jwks_file, jwks_uri, ca_file, token_file, keep_keys, .. } = options;
        check_name(name)?;
        if self.providers.len() == MAX_ISSUERS {
            return Err(format!("there are more than {MAX_ISSUERS} entries"));
        }
        if self.providers.iter().any(|known| known.name == *name) {
            return Err("another entry has this name".to_owned());
        }
        if issuers.is_empty() || issuers.len() > MAX_ISSUERS {
            return Err(format!("issuers: write 1 to {MAX_ISSUERS} values of iss"));
        }
        let origins: Vec<Origin> = match (jwks_file, jwks_uri) {
            (Some(_), Some(_)) => return Err("jwks_file and jwks_uri: set one of them".to_owned()),
            (Some(file), None) => vec![Origin::File(file.clone())],
            (None, Some(address)) => vec![Origin::Address(address.clone())],
            (None, None) => issuers.iter().cloned().map(Origin::Discovery).collect(),
        };
        if jwks_file.is_some() && (ca_file.is_some() || token_file.is_some()) {
            return Err("ca_file and token_file have no use beside jwks_file: nothing is fetched".to_owned());
        }
        let provider = self.providers.len();
        for (place, iss) in issuers.iter().enumerate() {
            if iss.is_empty() || iss.len() > MAX_ISS || !iss.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!(
                    "issuers: `{}` is not a value of iss: write 1 to {MAX_ISS} printable ASCII characters without spaces",
                    shown(iss)
                ));
            }
            // Keys that are shared are those of the one source.
            let source = if origins.len() == 1 { 0 } else { place };
            if self.by_iss.insert(iss.clone(), (provider, source)).is_some() {
                return Err(format!("issuers: {iss} stands twice, here or in another entry"));
            }
        }
        let rules = Rules::of(options)?;
        let mut sources = Vec::with_capacity(origins.len());
        for origin in origins {
            let kept = KeptFile::new(data_dir, name, &origin.whole());
            let fetcher = Fetcher::new(origin, options, clients.clone())?;
            let (clock, number) = (self.clock.clone(), self.number.clone());
            sources.push(Source::open(name.as_str().into(), fetcher, kept, *keep_keys, clock, number)?);
        }
        self.providers.push(Provider { name: name.clone(), rules, sources, refused: Refused::default() });
        Ok(())
    }

    fn add_client(&mut self, options: &FederatedOptions) -> Result<(), String> {
        let client = Client::of(options)?;
        let provider = self.providers.iter_mut().find(|provider| provider.name == options.provider);
        let provider =
            provider.ok_or_else(|| format!("provider: there is no [[auth.jwt]] {}", shown(&options.provider)))?;
        provider.rules.add(client)
    }

    /// Keeps the keys of all issuers until the server stops.
    pub async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let sources = self.providers.iter().flat_map(|provider| &provider.sources);
        join_all(sources.map(|source| source.follow(shutdown.clone()))).await;
    }

    /// Who a token stands for; `None` where it is no JWT. `hash` is the SHA-256 of the token.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub async fn identify(&self, token: &[u8], hash: &TokenHash) -> Option<Result<Accepted, Refusal>> {
        if !is_jwt(token) {
            return None;
        }
        let now = self.clock.now();
        // Before the keys are looked at: a result that came from older ones is found by nobody then.
        let number = self.number.load(Ordering::SeqCst);
        if let Some(known) = self.cache.find(hash, number, now) {
            return Some(Ok(known));
        }
        let checked = self.check(token).await;
        if let Ok(accepted) = &checked {
            self.cache.keep(*hash, accepted, number, now);
        }
        Some(checked)
    }

    async fn check(&self, token: &[u8]) -> Result<Accepted, Refusal> {
        let counted = |refused: &Refused, name: &str, refusal: Refusal| {
            refused.count(name, &refusal, self.clock.now());
            refusal
        };
        let token = Token::parse(token).map_err(|refusal| counted(&self.refused, "", refusal))?;
        // Not believed yet: it says which keys to try.
        let iss = token.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let Some((provider, source)) = self.by_iss.get(iss).copied() else {
            return Err(counted(&self.refused, "", Refusal::issuer(if iss.is_empty() { "none" } else { iss })));
        };
        let provider = &self.providers[provider];
        let checked = self.check_of(provider, &provider.sources[source], iss, &token).await;
        checked.map_err(|refusal| counted(&provider.refused, &provider.name, refusal))
    }

    async fn check_of(
        &self,
        provider: &Provider,
        source: &Source,
        iss: &str,
        token: &Token<'_>,
    ) -> Result<Accepted, Refusal> {
        let algorithm = provider.rules.algorithm(&token.header)?;
        let signed = match signed_by(source, algorithm, token, self.clock.now()) {
            // Keys rotate: one that is not known is looked for.
            None => {
                source.renewed().await;
                signed_by(source, algorithm, token, self.clock.now())
            }
            known => known,
        };
        match signed {
            Some(Some(withdrawn)) => {
                let identity = Arc::new(provider.rules.identify(&token.header, &token.claims, self.clock.now())?);
                Ok(Accepted { identity, withdrawn })
            }
            Some(None) => Err(Refusal::new(Cause::Signature, "its signature is not of the key that it names")),
            // A key that is not known may be a new one: it cannot be told while the issuer does not answer.
            None if source.set().is_none() || !source.is_current() => Err(Refusal::unavailable(iss)),
            None => {
                let kid = token.header.kid.as_deref().unwrap_or("(none)");
                let detail = format!("its issuer lists no key for it, kid {}", shown(kid));
                Err(Refusal::new(Cause::Key, detail))
            }
        }
    }

    /// The names, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.providers.iter().map(|provider| provider.name.as_str())
    }

    /// The keys of each source.
    pub fn sources(&self) -> Vec<SourceState> {
        self.providers.iter().flat_map(|provider| &provider.sources).map(Source::state).collect()
    }

    /// How many tokens were refused, by issuer (empty: none of these) and cause.
    pub fn refused(&self) -> Vec<(&str, &'static str, u64)> {
        let own = self.providers.iter().map(|provider| (provider.name.as_str(), &provider.refused));
        let all = own.chain([("", &self.refused)]);
        all.flat_map(|(name, refused)| refused.counts().map(move |(cause, count)| (name, cause, count))).collect()
    }
}

/// The end of the key whose signature it is, or `None` in it where the signature is not good; `None` where no key that is
/// known can have made it.
fn signed_by(
    source: &Source,
    algorithm: Algorithm,
    token: &Token<'_>,
    now: Timestamp,
) -> Option<Option<CancellationToken>> {
    let set = source.set()?;
    let candidates = set.find(token.header.kid.as_deref(), algorithm, now);
    let good = candidates.iter().find(|one| one.key.verifies(algorithm, token.signed, &token.signature));
    (!candidates.is_empty()).then(|| good.map(|one| one.withdrawn.clone()))
}

fn check_name(name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if plain && !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('-') {
        return Ok(());
    }
    Err(format!("name: write up to {MAX_NAME} of a to z, 0 to 9 and -, not beginning with -"))
}
