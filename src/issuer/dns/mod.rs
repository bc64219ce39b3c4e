//! TXT records that prove names to a CA: who writes them, and whether they can be seen. Records are
//! added beside others and removed one by one. ACME (dns-01, RFC 8555 section 8.4) and CAs with an
//! API of their own share it.

mod acme_dns;
mod check;
mod exec;
mod httpreq;
mod rfc2136;
mod settings;

pub(super) use check::{Persistent, Seen, persistent, visible};
pub use exec::{Hook, HookForm};
pub(super) use settings::{DnsSettings, Need, options};

use crate::clock::Clock;
use crate::issuer::IssuerError;
use crate::outbound::dns::{DnsError, Name, Resolver, name};
use crate::outbound::{self, Clients};
use async_trait::async_trait;
use settings::Writer;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

/// How long one question or update may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the records of one order may take to be removed. The certificate waits no longer.
const CLEANING: Duration = Duration::from_secs(10);
/// After so long no further record is begun in a step. The shortest lease of work is longer.
const WRITING: Duration = Duration::from_secs(2);
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What providers that prove names work with. One for the process.
#[derive(Clone)]
pub struct Tools {
    pub clients: Arc<dyn Clients>,
    /// Programs of the server's configuration, by name: an issuer object can only name them, so
    /// that nobody runs a program of his choice through the API.
    pub hooks: Arc<BTreeMap<String, Hook>>,
    pub clock: Arc<dyn Clock>,
    /// Whether this process answers http-01.
    pub http_01: bool,
    /// Whether this process answers tls-alpn-01.
    pub tls_alpn_01: bool,
}

/// Why a record could not be written, removed or looked for.
#[derive(Debug)]
pub(super) enum SolveError {
    Retry(String),
    Misconfigured(String),
}

impl From<DnsError> for SolveError {
    fn from(error: DnsError) -> Self {
        match error {
            DnsError::Unreachable(text) => Self::Retry(text),
            DnsError::Refused(text) | DnsError::Settings(text) => Self::Misconfigured(text),
        }
    }
}

impl From<outbound::Error> for SolveError {
    fn from(error: outbound::Error) -> Self {
        if error.is_retryable() { Self::Retry(error.to_string()) } else { Self::Misconfigured(error.to_string()) }
    }
}

impl From<SolveError> for IssuerError {
    fn from(error: SolveError) -> Self {
        match error {
            SolveError::Retry(text) => Self::Retry { after: None, source: text.into() },
            SolveError::Misconfigured(text) => Self::Misconfigured { source: text.into() },
        }
    }
}

/// Writes and removes records. Repeats change nothing.
#[async_trait]
pub(super) trait Solver: Send + Sync {
    async fn present(&self, record: &TxtRecord) -> Result<(), SolveError>;
    async fn remove(&self, record: &TxtRecord) -> Result<(), SolveError>;
}

/// The solver of an issuer object.
pub(super) fn solver(settings: &DnsSettings, tools: &Tools) -> Result<Box<dyn Solver>, SolveError> {
    Ok(match &settings.writer {
        Some(Writer::Rfc2136(update)) => {
            Box::new(rfc2136::Rfc2136::new(update.clone(), settings.clone(), Arc::clone(&tools.clock)))
        }
        Some(Writer::Exec { hook }) => match tools.hooks.get(hook) {
            Some(hook) => Box::new(exec::Exec::new(hook.clone())),
            None => {
                return Err(SolveError::Misconfigured(format!(
                    "The server's configuration has no hook {hook:?} for DNS records."
                )));
            }
        },
        Some(Writer::HttpReq(http)) => Box::new(httpreq::HttpReq::new(http.clone(), tools.clients.client(None)?)),
        Some(Writer::AcmeDns(accounts)) => {
            Box::new(acme_dns::AcmeDns::new(accounts.clone(), tools.clients.client(None)?))
        }
        None => return Err(SolveError::Misconfigured("The option dns_provider is not set.".to_owned())),
    })
}

/// Writes the records after the first `done`, as many as there is time for in one step. Answers how many are written
/// now: the next step goes on there, so that a step is never longer than its lease, however slow the server is.
///
/// # Errors
/// Where the first of them could not be written.
pub(super) async fn write(solver: &dyn Solver, records: &[TxtRecord], done: usize) -> Result<usize, SolveError> {
    let until = Instant::now() + WRITING;
    let first = done.min(records.len());
    let mut written = first;
    for record in &records[first..] {
        match solver.present(record).await {
            Ok(()) => written += 1,
            Err(error) if written == first => return Err(error),
            // What was written is kept; the next step says what is wrong.
            Err(_) => break,
        }
        if Instant::now() >= until {
            break;
        }
    }
    Ok(written)
}

/// Removes records within a bounded time, since nobody waits for that. Answers which are left, by their place.
pub(super) async fn erase(solver: &dyn Solver, records: &[TxtRecord]) -> Vec<usize> {
    let (mut left, until) = (Vec::new(), Instant::now() + CLEANING);
    for (place, record) in records.iter().enumerate() {
        match timeout_at(until, solver.remove(record)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => warn!(record = record.owner, ?error, "a DNS record could not be removed"),
            Err(_) => warn!(record = record.owner, "a DNS record could not be removed in time"),
        }
        left.push(place);
    }
    left
}

/// A TXT record to write or to look for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct TxtRecord {
    /// The owner name, before aliases, with a dot at its end.
    pub(super) owner: String,
    /// The text of the record.
    pub(super) value: String,
    /// The host name that it proves, without `*.`.
    pub(super) domain: String,
    /// For programs that make owner and text themselves (ACME only, RFC 8555 section 8.1).
    pub(super) token: String,
    pub(super) key_authorization: String,
}

impl TxtRecord {
    fn owner_name(&self) -> Result<Name, DnsError> {
        name(&self.owner)
    }
}

/// The resolver of an issuer object: its own, else the system's.
async fn resolver(settings: &DnsSettings) -> Result<Resolver, DnsError> {
    if !settings.resolvers.is_empty() {
        return Resolver::new(settings.resolvers.clone(), TIMEOUT);
    }
    let text = tokio::fs::read_to_string(RESOLV_CONF)
        .await
        .map_err(|error| DnsError::Settings(format!("{RESOLV_CONF}: {error}. Set the option dns_resolvers.")))?;
    Resolver::from_resolv_conf(&text, TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes its time for each record, and refuses one.
    #[derive(Default)]
    struct Slow {
        takes: Duration,
        refuses: Option<String>,
        did: Mutex<Vec<String>>,
    }

    impl Slow {
        async fn act(&self, record: &TxtRecord) -> Result<(), SolveError> {
            tokio::time::sleep(self.takes).await;
            if self.refuses.as_ref() == Some(&record.owner) {
                return Err(SolveError::Retry("no".into()));
            }
            self.did.lock().unwrap().push(record.owner.clone());
            Ok(())
        }
    }

    #[async_trait]
    impl Solver for Slow {
        async fn present(&self, record: &TxtRecord) -> Result<(), SolveError> {
            self.act(record).await
        }

        async fn remove(&self, record: &TxtRecord) -> Result<(), SolveError> {
            self.act(record).await
        }
    }

    fn records(count: usize) -> Vec<TxtRecord> {
        let record = |number| TxtRecord {
            owner: format!("n{number}."),
            value: String::new(),
            domain: String::new(),
            token: String::new(),
            key_authorization: String::new(),
        };
        (0..count).map(record).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_writes_as_many_records_as_there_is_time_for_and_the_next_goes_on() {
        let (solver, records) = (Slow { takes: Duration::from_millis(700), ..Slow::default() }, records(7));
        let (mut done, mut steps) = (0, 0);
        while done < records.len() {
            let begun = Instant::now();
            done = write(&solver, &records, done).await.unwrap();
            assert!(begun.elapsed() < WRITING + Duration::from_secs(1), "{:?}", begun.elapsed());
            steps += 1;
        }
        assert_eq!((steps, solver.did.lock().unwrap().len()), (3, 7), "each once");
        assert_eq!(write(&solver, &records, 99).await.unwrap(), 7, "more than there are");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_written_before_a_failure_is_kept_and_the_failure_is_said_by_the_next_step() {
        let (solver, records) = (Slow { refuses: Some("n2.".into()), ..Slow::default() }, records(4));
        assert_eq!(write(&solver, &records, 0).await.unwrap(), 2);
        assert!(matches!(write(&solver, &records, 2).await, Err(SolveError::Retry(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn removing_records_takes_no_longer_than_its_bound() {
        let (solver, records) = (Slow { takes: Duration::from_secs(3), ..Slow::default() }, records(100));
        let begun = Instant::now();
        let left = erase(&solver, &records).await;
        assert!(begun.elapsed() <= CLEANING, "{:?}", begun.elapsed());
        assert_eq!(left.len(), 97);
        let refusing = Slow { refuses: Some("n1.".into()), ..Slow::default() };
        assert_eq!(erase(&refusing, &records[..3]).await, [1]);
    }
}
