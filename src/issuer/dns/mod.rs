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

/// How long one question or update may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the records of one order may take to be removed. The certificate waits no longer.
pub(super) const CLEANING: Duration = Duration::from_secs(10);
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
