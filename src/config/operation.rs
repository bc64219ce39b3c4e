//! Operational settings: the operators' port, shutdown.

use super::BaseDomain;
use crate::domain::duration;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The port for operators: `/livez`, `/readyz`, `/metrics` and `/openapi.json` over plain HTTP.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// An address and port, or `off`. Default `127.0.0.1:9443`; off in development mode, where many servers may run
    /// on one machine. Anyone who can reach it can read the metrics.
    pub listen: AdminListen,
    /// Host names that requests to the port may use, besides IP addresses, `localhost`, names without a dot, and
    /// the hosts of the TLS port. Default none.
    pub hosts: Vec<BaseDomain>,
    /// If the store takes longer than this to answer, the server is not ready. Default 2 s.
    #[serde(with = "duration")]
    pub store_timeout: Duration,
    /// If streams are behind the log for longer than this, the server is not ready. Default 10 s.
    #[serde(with = "duration")]
    pub tail_lag: Duration,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: AdminListen::Default,
            hosts: Vec::new(),
            store_timeout: Duration::from_secs(2),
            tail_lag: Duration::from_secs(10),
        }
    }
}

/// Where the operators' port is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AdminListen {
    /// As the mode has it.
    #[default]
    Default,
    Off,
    At(SocketAddr),
}

impl AdminListen {
    /// The address, if there is a port.
    pub fn address(self, dev: bool) -> Option<SocketAddr> {
        match self {
            Self::At(address) => Some(address),
            Self::Default if !dev => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9443))),
            Self::Default | Self::Off => None,
        }
    }
}

impl FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "default" => Ok(Self::Default),
            address => address
                .parse()
                .map(Self::At)
                .map_err(|_| format!("`{address}` is neither an address and port, such as 127.0.0.1:9443, nor `off`")),
        }
    }
}

impl<'de> Deserialize<'de> for AdminListen {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Shutdown.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownSettings {
    /// How long new connections are still accepted after the server reports not ready, so that load balancers notice.
    /// Default 5 s; none in development mode.
    pub delay: Option<Delay>,
    /// The time over which open watch streams are then closed one by one, so that their clients do not all reconnect to
    /// the other replicas at once. Must be below `listener.drain`, `listener.age_grace` and `listener.hard_stop`, after
    /// which open requests are cut. Default 10 s, or two thirds of the shortest of those; none in development mode.
    pub spread: Option<Delay>,
}

impl ShutdownSettings {
    /// The wait of this mode.
    pub fn delay(&self, dev: bool) -> Duration {
        match &self.delay {
            Some(Delay(delay)) => *delay,
            None if dev => Duration::ZERO,
            None => Duration::from_secs(5),
        }
    }

    /// Over how long streams are closed in this mode, where what is open is cut after `cut`.
    pub fn spread(&self, dev: bool, cut: Duration) -> Duration {
        match &self.spread {
            Some(Delay(spread)) => *spread,
            None if dev => Duration::ZERO,
            None => Duration::from_secs(10).min(cut * 2 / 3),
        }
    }
}

/// A duration that is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Delay(#[serde(with = "duration")] pub Duration);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_port_is_where_it_was_put_or_where_the_mode_has_it() {
        let address = |text: &str, dev| text.parse::<AdminListen>().unwrap().address(dev).map(|at| at.to_string());
        assert_eq!(address("default", false).as_deref(), Some("127.0.0.1:9443"));
        assert_eq!((address("default", true), address("off", false)), (None, None));
        assert_eq!(address("[::]:1", true).as_deref(), Some("[::]:1"));
        assert!("localhost:1".parse::<AdminListen>().unwrap_err().contains("nor `off`"));
    }

    #[test]
    fn the_stop_is_short_in_development_unless_it_was_asked_for() {
        let seconds = Duration::from_secs;
        let asked: ShutdownSettings = toml::from_str("delay = '2s'\nspread = '3s'").unwrap();
        assert_eq!((asked.delay(true), asked.delay(false)), (seconds(2), seconds(2)));
        assert_eq!((asked.spread(true, seconds(15)), asked.spread(false, seconds(15))), (seconds(3), seconds(3)));
        let none = ShutdownSettings::default();
        assert_eq!((none.delay(true), none.delay(false)), (Duration::ZERO, seconds(5)));
        assert_eq!((none.spread(true, seconds(15)), none.spread(false, seconds(15))), (Duration::ZERO, seconds(10)));
        assert_eq!(none.spread(false, seconds(3)), seconds(2), "a shorter drain was asked for");
    }
}
