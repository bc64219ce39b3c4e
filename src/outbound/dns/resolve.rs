//! Queries: aliases of a name, its zone, the zone's servers, and TXT records.

use super::transfer::ask;
use super::{DnsError, Name};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{RData, RecordType};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A chain of aliases longer than this is a loop.
const ALIASES: usize = 8;

/// Asks one of several resolvers, the next one where one does not answer.
#[derive(Clone, Debug)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    timeout: Duration,
}

/// Where a name is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    pub origin: Name,
    /// The server that updates go to (SOA MNAME).
    pub primary: Name,
}

impl Resolver {
    /// # Errors
    /// No server.
    pub fn new(servers: Vec<SocketAddr>, timeout: Duration) -> Result<Self, DnsError> {
        if servers.is_empty() {
            return Err(DnsError::Settings("No DNS server is configured.".to_owned()));
        }
        Ok(Self { servers, timeout })
    }

    /// The resolvers of a file like `/etc/resolv.conf`.
    ///
    /// # Errors
    /// A text that names no server.
    pub fn from_resolv_conf(text: &str, timeout: Duration) -> Result<Self, DnsError> {
        let servers = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok())
            .map(|address| SocketAddr::new(address, 53))
            .collect();
        Self::new(servers, timeout)
    }

    /// The answer to a question; names that do not exist give an empty one.
    async fn query(&self, name: &Name, kind: RecordType) -> Result<Message, DnsError> {
        let mut problem = None;
        for server in &self.servers {
            let mut question = Message::query();
            question.metadata.recursion_desired = true;
            question.add_query(Query::query(name.clone(), kind));
            match ask(*server, &question, self.timeout).await {
                Ok(answer) => match answer.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok(answer),
                    code => {
                        let text = format!("The DNS server {server} answered {code} for {name} {kind}.");
                        problem = Some(DnsError::Unreachable(text));
                    }
                },
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.unwrap_or_else(|| DnsError::Settings("No DNS server is configured.".to_owned())))
    }

    /// The name at the end of a chain of aliases (CNAME), which may be the name itself.
    ///
    /// # Errors
    /// No answer, or a loop.
    pub async fn follow(&self, name: &Name) -> Result<Name, DnsError> {
        let mut at = name.clone();
        for _ in 0..ALIASES {
            let answer = self.query(&at, RecordType::CNAME).await?;
            let target = answer.answers.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if record.name == at => Some(target.0.clone()),
                _ => None,
            });
            match target {
                Some(target) => at = target,
                None => return Ok(at),
            }
        }
        Err(DnsError::Refused(format!("The aliases of {name} form a loop or are more than {ALIASES}.")))
    }

    /// The zone that a name is in: the nearest name above it with an SOA record of its own.
    ///
    /// # Errors
    /// No answer, or no zone up to the root.
    pub async fn zone(&self, name: &Name) -> Result<Zone, DnsError> {
        let mut at = name.clone();
        loop {
            let answer = self.query(&at, RecordType::SOA).await?;
            let found = answer.answers.iter().chain(&answer.authorities).find_map(|record| match &record.data {
                RData::SOA(soa) if record.name.zone_of(name) => {
                    Some(Zone { origin: record.name.clone(), primary: soa.mname.clone() })
                }
                _ => None,
            });
            match found {
                Some(zone) => return Ok(zone),
                None if at.is_root() => return Err(DnsError::Refused(format!("No zone was found for {name}."))),
                None => at = at.base_name(),
            }
        }
    }

    /// The addresses of a host, with this port.
    ///
    /// # Errors
    /// No answer, or no address.
    pub async fn addresses(&self, host: &Name, port: u16) -> Result<Vec<SocketAddr>, DnsError> {
        let mut found = BTreeSet::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let answer = self.query(host, kind).await?;
            found.extend(answer.answers.iter().filter_map(|record| match &record.data {
                RData::A(address) => Some(SocketAddr::new(IpAddr::V4(address.0), port)),
                RData::AAAA(address) => Some(SocketAddr::new(IpAddr::V6(address.0), port)),
                _ => None,
            }));
        }
        if found.is_empty() {
            return Err(DnsError::Refused(format!("The host {host} has no address.")));
        }
        Ok(found.into_iter().collect())
    }

    /// The servers that are authoritative for a zone: the first address of each.
    ///
    /// # Errors
    /// No answer, or none of them has an address.
    pub async fn authoritative(&self, zone: &Name) -> Result<Vec<SocketAddr>, DnsError> {
        let answer = self.query(zone, RecordType::NS).await?;
        let mut servers = BTreeSet::new();
        let mut problem = DnsError::Refused(format!("The zone {zone} names no server."));
        for record in &answer.answers {
            if let RData::NS(host) = &record.data {
                match self.addresses(&host.0, 53).await {
                    // IPv4 comes first in the order of addresses; one address of a server is enough.
                    Ok(addresses) => servers.extend(addresses.into_iter().take(1)),
                    Err(error) => problem = error,
                }
            }
        }
        if servers.is_empty() { Err(problem) } else { Ok(servers.into_iter().collect()) }
    }

    /// The texts at a name, each with its parts joined; none where there are no such records.
    ///
    /// # Errors
    /// No answer.
    pub async fn texts(&self, name: &Name) -> Result<Vec<String>, DnsError> {
        let answer = self.query(name, RecordType::TXT).await?;
        Ok(answer
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
                _ => None,
            })
            .collect())
    }

    /// A resolver that asks this server alone.
    pub fn only(&self, server: SocketAddr) -> Self {
        Self { servers: vec![server], timeout: self.timeout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_resolv_conf_are_read() {
        let text = "# comment\nsearch corp.example\nnameserver 192.0.2.1\n nameserver\t2001:db8::1\noptions rotate\n";
        let resolver = Resolver::from_resolv_conf(text, Duration::from_secs(1)).unwrap();
        assert_eq!(resolver.servers, ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()]);
        assert!(Resolver::from_resolv_conf("search corp.example\n", Duration::from_secs(1)).is_err());
    }
}
