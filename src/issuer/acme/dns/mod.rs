//! dns-01 (RFC 8555 section 8.4): the DNS providers that write the records, and the check that they are visible.
//! Records are added next to others and removed one by one.

mod acme_dns;
mod check;
mod exec;
mod httpreq;
mod rfc2136;
mod settings;

pub(super) use check::{Persistent, Seen, persistent, visible};
pub use exec::{Hook, HookForm};
pub(super) use settings::{DnsSettings, options};

use super::jws::{authorization_digest, base64url};
use super::state::DnsRecord;
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
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What solvers work with. One for the process.
#[derive(Clone)]
pub struct Tools {
    pub clients: Arc<dyn Clients>,
    /// Programs of the server's configuration, by name: an issuer object can only name them, so
    /// that nobody runs a program of his choice through the API.
    pub hooks: Arc<BTreeMap<String, Hook>>,
    pub clock: Arc<dyn Clock>,
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
    async fn present(&self, record: &DnsRecord) -> Result<(), SolveError>;
    async fn remove(&self, record: &DnsRecord) -> Result<(), SolveError>;
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

impl DnsRecord {
    /// The owner name, before aliases.
    pub(super) fn owner(&self) -> String {
        format!("_acme-challenge.{}.", self.domain.trim_end_matches('.'))
    }

    /// The text of the record.
    pub(super) fn value(&self) -> String {
        base64url(&authorization_digest(&self.key_authorization))
    }

    fn owner_name(&self) -> Result<Name, DnsError> {
        name(&self.owner())
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
