//! Where requests may go whose address a caller chose: the address of a connection is looked at after its name was
//! resolved, so that no name leads elsewhere.

use super::proxy::{Named, host_of};
use super::{Error, ErrorKind};
use std::net::IpAddr;

/// What may be connected to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Guard {
    allowed: Vec<Named>,
    loopback: bool,
}

impl Guard {
    /// `allowed` are host names (with the names below them), addresses, networks or `*`; where there are none, everything
    /// is allowed but what [`Guard::permits`] names. `loopback` allows this machine beside them.
    ///
    /// # Errors
    /// An entry that is none of these.
    pub fn new(allowed: &[String], loopback: bool) -> Result<Self, Error> {
        let allowed = allowed.iter().map(|entry| Named::parse("webhooks.allow", entry)).collect::<Result<_, _>>()?;
        Ok(Self { allowed, loopback })
    }

    /// Whether this address may be connected to for this host. Link-local addresses, at which clouds have their metadata,
    /// those of this machine, and what is no address of one machine only where an address or a network of the list has
    /// them.
    pub(super) fn permits(&self, host: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if self.allowed.iter().any(|entry| entry.has_address(address)) || (self.loopback && address.is_loopback()) {
            return true;
        }
        !is_special(address) && (self.allowed.is_empty() || self.names(host))
    }

    /// Whether a proxy may be asked for this host, whose address is not known here.
    pub(super) fn permits_by_proxy(&self, host: &str) -> bool {
        match host_of(host).parse() {
            Ok(address) => self.permits(host, address),
            Err(_) => self.allowed.is_empty() || self.names(host),
        }
    }

    fn names(&self, host: &str) -> bool {
        self.allowed.iter().any(|entry| entry.has_host(host))
    }

    pub(super) fn refusal(host: &str) -> Error {
        let message = format!("{host} is not reached from here: its address is not allowed (webhooks.allow).");
        Error::new(ErrorKind::Request, message)
    }
}

fn is_special(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return true;
    }
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast() || address.octets()[0] == 0,
        // fe80::/10, and the addresses at which clouds have their metadata in IPv6.
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[0] == 0xfd00 && address.segments()[1] == 0xec2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str], loopback: bool) -> Guard {
        Guard::new(&allowed.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>(), loopback).unwrap()
    }

    fn permits(guard: &Guard, host: &str, address: &str) -> bool {
        guard.permits(host, address.parse().unwrap())
    }

    #[test]
    fn without_a_list_everything_is_reached_but_this_machine_and_metadata() {
        let open = guard(&[], false);
        for good in ["192.0.2.1", "10.0.0.7", "2001:db8::1", "fd12::1"] {
            assert!(permits(&open, "hooks.example", good), "{good}");
        }
        let metadata =
            ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0", "224.0.0.1"];
        for bad in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "127.9.9.9", "0.1.2.3"].iter().chain(&metadata) {
            assert!(!permits(&open, "hooks.example", bad), "{bad}");
        }
        assert!(permits(&guard(&[], true), "localhost", "127.0.0.1"));
        assert!(!permits(&guard(&[], true), "localhost", "169.254.169.254"));
    }

    #[test]
    fn a_list_names_hosts_and_networks() {
        let listed = guard(&["corp.example", "10.0.0.0/8", "127.0.0.1"], false);
        assert!(permits(&listed, "hooks.corp.example", "192.0.2.1"));
        assert!(permits(&listed, "elsewhere.example", "10.1.2.3"));
        assert!(permits(&listed, "localhost", "127.0.0.1"));
        assert!(!permits(&listed, "elsewhere.example", "192.0.2.1"));
        assert!(!permits(&listed, "hooks.corp.example", "169.254.169.254"), "a name does not lead there");
        assert!(!listed.permits_by_proxy("elsewhere.example") && listed.permits_by_proxy("corp.example"));
        assert!(Guard::new(&["10.0.0.0/33".to_owned()], false).unwrap_err().to_string().contains("webhooks.allow"));
    }
}
