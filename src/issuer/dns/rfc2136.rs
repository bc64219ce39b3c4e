//! Records by dynamic update (RFC 2136), signed with TSIG. Aliases are followed, so that
//! `_acme-challenge.x CNAME y.acme.example` delegates to a zone that certmint may write.

use super::TxtRecord;
use super::settings::{DnsSettings, Update};
use super::{SolveError, Solver, TIMEOUT, resolver};
use crate::clock::Clock;
use crate::outbound::dns::{Name, TsigKey, Updater, name};
use async_trait::async_trait;
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) struct Rfc2136 {
    update: Update,
    settings: DnsSettings,
    clock: Arc<dyn Clock>,
}

impl Rfc2136 {
    pub(super) fn new(update: Update, settings: DnsSettings, clock: Arc<dyn Clock>) -> Self {
        Self { update, settings, clock }
    }

    /// Where the record belongs after aliases, and who writes there.
    async fn place(&self, record: &TxtRecord) -> Result<(Name, Updater), SolveError> {
        let resolver = resolver(&self.settings).await?;
        let owner = resolver.follow(&record.owner_name()?).await?;
        let zone = match &self.update.zone {
            Some(zone) => name(zone)?,
            None => resolver.zone(&owner).await?.origin,
        };
        let key = match &self.update.key {
            Some(key) => Some(TsigKey::new(&key.name, &key.algorithm, &key.secret)?),
            None => None,
        };
        Ok((owner, Updater { server: self.server().await?, zone, key, timeout: TIMEOUT }))
    }

    async fn server(&self) -> Result<SocketAddr, SolveError> {
        let text = self.update.server.as_str();
        // An IPv6 address has colons without a port; a name or IPv4 address gets the port of DNS.
        let with_port = match text.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')) => {
                text.to_owned()
            }
            _ if text.contains(':') && !text.starts_with('[') => format!("[{text}]:53"),
            _ => format!("{text}:53"),
        };
        let found = tokio::net::lookup_host(&with_port).await.ok().and_then(|mut found| found.next());
        found.ok_or_else(|| SolveError::Retry(format!("The DNS server {text} of the option dns_server is not found.")))
    }
}

#[async_trait]
impl Solver for Rfc2136 {
    async fn present(&self, record: &TxtRecord) -> Result<(), SolveError> {
        let (owner, updater) = self.place(record).await?;
        Ok(updater.append(&owner, &record.value, self.settings.ttl, self.clock.now()).await?)
    }

    async fn remove(&self, record: &TxtRecord) -> Result<(), SolveError> {
        let (owner, updater) = self.place(record).await?;
        Ok(updater.remove(&owner, &record.value, self.clock.now()).await?)
    }
}
