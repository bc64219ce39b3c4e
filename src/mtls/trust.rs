//! All CAs whose client certificates are accepted, and who a certificate stands for.

use super::cause::{Cause, Counts};
use super::entry::Entry;
use super::judged::CertificateIdentity;
use super::options::{CertificateOptions, SpiffeOptions, X509Options};
use super::shown::{Shown, Verdict};
use crate::clock::Clock;
use crate::domain::access::shown;
use crate::domain::{Result, Serial, Timestamp};
use crate::keys::CallerCertificate;
use async_trait::async_trait;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Most sections of a kind.
const MAX_ENTRIES: usize = 32;
/// Between two lines of the log about refused certificates of one cause.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// A section of the configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("[[auth.{table}]] {entry}: {problem}")]
pub struct CertificateError {
    /// `spiffe` or `x509`.
    table: &'static str,
    /// Its trust domain or name.
    entry: String,
    problem: String,
}

/// What the configuration says of client certificates.
#[derive(Clone, Copy, Debug)]
pub struct TrustOptions<'a> {
    pub spiffe: &'a [SpiffeOptions],
    pub x509: &'a [X509Options],
    pub certificates: &'a CertificateOptions,
}

/// Knows which certificates the CAs of this server have revoked.
#[async_trait]
pub trait Revocations: Send + Sync + 'static {
    /// Whether a CA of this name (DER) revoked the certificate with this number; not where there is none.
    ///
    /// # Errors
    /// Where it cannot be known now.
    async fn has_revoked(&self, issuer: &[u8], serial: &Serial) -> Result<bool>;
}

/// The CAs of the configuration.
pub struct ClientTrust {
    entries: Vec<Entry>,
    /// Counts the changes of files.
    number: AtomicU64,
    check_every: Duration,
    clock: Arc<dyn Clock>,
    revocations: OnceLock<Arc<dyn Revocations>>,
    /// Of certificates that no section knows.
    unknown: Counts,
    /// When the next line of each cause may be written.
    tell_at: [AtomicI64; Cause::ALL.len()],
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| &entry.name)).finish()
    }
}

impl ClientTrust {
    /// Reads the files.
    ///
    /// # Errors
    /// The section and what is wrong with it.
    pub fn open(options: TrustOptions<'_>, clock: &Arc<dyn Clock>) -> std::result::Result<Self, CertificateError> {
        let TrustOptions { spiffe, x509, certificates } = options;
        let now = clock.now();
        let mut entries: Vec<Entry> = Vec::new();
        for one in spiffe {
            let failed = |problem| CertificateError { table: "spiffe", entry: shown(&one.trust_domain), problem };
            check_new(spiffe.len(), entries.iter().any(|known| *known.name == *one.trust_domain)).map_err(failed)?;
            entries.push(Entry::spiffe(one, now).map_err(failed)?);
        }
        let domains = entries.len();
        for one in x509 {
            let failed = |problem| CertificateError { table: "x509", entry: shown(&one.name), problem };
            check_new(x509.len(), entries[domains..].iter().any(|known| *known.name == *one.name)).map_err(failed)?;
            entries.push(Entry::x509(one, now).map_err(failed)?);
        }
        Ok(Self {
            entries,
            number: AtomicU64::new(0),
            check_every: certificates.check_every,
            clock: clock.clone(),
            revocations: OnceLock::new(),
            unknown: Counts::default(),
            tell_at: std::array::from_fn(|_| AtomicI64::new(i64::MIN)),
        })
    }

    /// From now on certificates that these CAs revoked are refused.
    pub fn ask(&self, revocations: Arc<dyn Revocations>) {
        // Told once, at the start: a second time is the same.
        let _ = self.revocations.set(revocations);
    }

    /// Reads the files again; whether one had changed. A file that cannot be used leaves its CAs as they were.
    ///
    /// # Errors
    /// Why a file cannot be used; the others were read all the same.
    pub fn reload(&self) -> std::result::Result<bool, String> {
        let now = self.clock.now();
        let (mut changed, mut problem) = (false, None);
        for entry in &self.entries {
            match entry.roots.reload(now) {
                Ok(new) => changed |= new,
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        if changed {
            self.number.fetch_add(1, Ordering::SeqCst);
        }
        problem.map_or(Ok(changed), Err)
    }

    /// How often certificates are looked at again while nobody asks.
    pub fn check_every(&self) -> Duration {
        self.check_every
    }

    /// Who shows these certificates. What was found is good for a while, for the requests of a connection.
    ///
    /// # Errors
    /// Why they are not accepted.
    pub async fn identify(&self, shown: &Shown) -> std::result::Result<Arc<CertificateIdentity>, Cause> {
        let mut verdict = shown.verdict.lock().await;
        let now = self.clock.now();
        // Before the files are looked at: what came from older ones is not good then.
        let number = self.number.load(Ordering::SeqCst);
        if let Some(known) = &*verdict
            && known.number == number
            && (known.from..known.until).contains(&now)
        {
            return known.found.clone();
        }
        let (found, until) = match self.judge(shown, now).await {
            Ok((identity, until)) => (Ok(identity), until),
            Err(cause) => (Err(cause), now.plus(self.check_every)),
        };
        let known = Verdict { number, from: now, until, found: found.clone() };
        *verdict = (found != Err(Cause::Unavailable)).then_some(known);
        found
    }

    async fn judge(
        &self,
        shown: &Shown,
        now: Timestamp,
    ) -> std::result::Result<(Arc<CertificateIdentity>, Timestamp), Cause> {
        let refused = |counts: &Counts, name: &str, cause: Cause, detail: &str| {
            counts.refused(cause);
            self.tell(name, cause, detail, now);
            cause
        };
        let leaf = shown.chain.first().ok_or(Cause::Malformed)?;
        let leaf = CallerCertificate::read(leaf)
            .map_err(|part| refused(&self.unknown, "", Cause::Malformed, &format!("{part} cannot be read")))?;
        // A trust domain judges its ids alone: no other CA speaks for it, and it for nothing else.
        let domain = self.entries.iter().find(|entry| entry.is_domain_of(&leaf));
        let entries = self.entries.iter().filter(|entry| match domain {
            Some(domain) => std::ptr::eq(*entry, domain),
            None => !entry.is_spiffe(),
        });
        let mut last = None;
        for entry in entries {
            let named = entry.roots.verify(&shown.chain, now).and_then(|until| Ok((until, entry.principal(&leaf)?)));
            let (until, principal) = match named {
                Ok(named) => named,
                // A CA that knows it says more than those that do not.
                Err((cause, detail)) => {
                    if last.as_ref().is_none_or(|(_, known, _)| *known <= cause) {
                        last = Some((entry, cause, detail));
                    }
                    continue;
                }
            };
            if let Some(cause) = self.revoked(&leaf).await {
                return Err(refused(&entry.counts, &entry.label(), cause, &principal));
            }
            entry.counts.accepted();
            let ends = shown.chain.iter().filter_map(|der| CallerCertificate::read(der).ok());
            // It is good to the end of the second that it names (RFC 5280 section 4.1.2.5).
            let ends = ends.map(|one| one.not_after.plus(Duration::from_secs(1))).filter(|end| *end > now);
            let until = ends.fold(until.min(now.plus(self.check_every)), Timestamp::min);
            let (provider, expires) = (entry.name.clone(), leaf.not_after);
            return Ok((Arc::new(CertificateIdentity { principal, provider, expires }), until));
        }
        Err(match last {
            Some((_, Cause::UnknownIssuer, _)) | None => refused(&self.unknown, "", Cause::UnknownIssuer, ""),
            Some((entry, cause, detail)) => refused(&entry.counts, &entry.label(), cause, &detail),
        })
    }

    async fn revoked(&self, leaf: &CallerCertificate) -> Option<Cause> {
        match self.revocations.get()?.has_revoked(&leaf.issuer, &leaf.serial).await {
            Ok(true) => Some(Cause::Revoked),
            Ok(false) => None,
            Err(_) => Some(Cause::Unavailable),
        }
    }

    /// A line for each cause once a minute at most: anybody can show many.
    fn tell(&self, entry: &str, cause: Cause, detail: &str, now: Timestamp) {
        let Some(place) = Cause::ALL.iter().position(|(known, _)| *known == cause) else { return };
        let tell_at = self.tell_at[place].load(Ordering::Relaxed);
        let next = now.plus(TELL_EVERY).0;
        // A clock that was set back must not silence it.
        let may = (now.0 >= tell_at || tell_at > next)
            && self.tell_at[place].compare_exchange(tell_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if may {
            tracing::warn!(entry, cause = cause.name(), detail, "A client certificate is refused");
        }
    }

    /// How many judgements ended how, by section (empty: none of these) and outcome.
    pub fn counts(&self) -> Vec<(String, &'static str, u64)> {
        let own = self.entries.iter().map(|entry| (entry.label(), &entry.counts));
        let all = own.chain([(String::new(), &self.unknown)]);
        let counted = |(label, counts): (String, &Counts)| {
            counts.all().map(|(outcome, count)| (label.clone(), outcome, count)).collect::<Vec<_>>()
        };
        all.flat_map(counted).collect()
    }
}

fn check_new(entries: usize, is_known: bool) -> std::result::Result<(), String> {
    if entries > MAX_ENTRIES {
        return Err(format!("there are more than {MAX_ENTRIES} sections"));
    }
    if is_known { Err("another section has this name".to_owned()) } else { Ok(()) }
}
