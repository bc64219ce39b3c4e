//! The settings of the port, with their defaults and the reasons for them.

use super::budget::BudgetOptions;
use crate::domain::duration;
use crate::limits::positive;
use serde::Deserialize;
use std::time::Duration;

/// How connections are accepted, kept and ended.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerOptions {
    /// Open connections altogether; one more is closed at once. Default 20,000.
    #[serde(deserialize_with = "positive")]
    pub max_connections: usize,
    /// Open connections of one peer: an IPv4 address or an IPv6 /64, since that is what one client of IPv6 holds.
    /// Half of `max_connections` (10,000) by default, because many clients may stand behind one balancer or NAT.
    #[serde(deserialize_with = "positive")]
    pub max_connections_per_peer: usize,
    /// How long a peer may take from connecting to the end of the TLS handshake. Default 10 s.
    #[serde(with = "duration")]
    pub handshake_timeout: Duration,
    /// How long a peer may take to send a whole HTTP/1 request head, or the HTTP/2 connection preface. It is also how
    /// long an HTTP/1 connection may stay idle between requests. Default 15 s.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// How long a peer may leave sent bytes unread before the connection is cut, and how long a response may wait for
    /// its peer to read before it is ended. Default 60 s.
    #[serde(with = "duration")]
    pub write_timeout: Duration,
    /// The largest head of a request, in bytes. HTTP/2 announces it in SETTINGS; HTTP/1 answers 431. Default 16 KiB,
    /// never below 8 KiB.
    #[serde(deserialize_with = "positive")]
    pub max_header_bytes: u32,
    /// The most fields that the head of a request may have; one more is answered 431. Default 100.
    #[serde(deserialize_with = "positive")]
    pub max_header_fields: usize,
    /// Open HTTP/2 streams per connection. Above it a client waits without an error, also for unary calls: limits of
    /// the application must be lower. Default 1024.
    #[serde(deserialize_with = "positive")]
    pub max_concurrent_streams: u32,
    /// An HTTP/2 connection that was silent for this long is pinged. Default 30 s.
    #[serde(with = "duration")]
    pub keepalive_interval: Duration,
    /// A ping that is not answered in this time ends the connection. Default 20 s.
    #[serde(with = "duration")]
    pub keepalive_timeout: Duration,
    /// Streams that the server resets because of the peer's errors, before the connection is ended (RUSTSEC-2024-0003).
    /// Default 1024; well-behaved clients that cancel many streams could reach a lower one.
    pub max_local_error_resets: usize,
    /// Streams that the peer opened and reset before they were accepted, before the connection is ended (rapid reset,
    /// CVE-2023-44487). Default 100.
    pub max_pending_accept_resets: usize,
    /// The age at which a connection is asked to close, plus or minus 10 %, so that clients spread over replicas again.
    /// Default 30 min.
    #[serde(with = "duration")]
    pub max_age: Duration,
    /// The time that an aged connection has to finish its requests. Default 60 s.
    #[serde(with = "duration")]
    pub age_grace: Duration,
    /// The time that connections have to finish their requests at shutdown. Default 15 s; watch streams end over
    /// the first ten (`shutdown.spread`).
    #[serde(with = "duration")]
    pub drain: Duration,
    /// After this time shutdown no longer waits for anything. Default 30 s.
    #[serde(with = "duration")]
    pub hard_stop: Duration,
    /// Limits on the memory of requests and responses.
    pub budget: BudgetOptions,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_peer: 10_000,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(60),
            max_header_bytes: 16 * 1024,
            max_header_fields: 100,
            max_concurrent_streams: 1024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            max_local_error_resets: 1024,
            max_pending_accept_resets: 100,
            max_age: Duration::from_secs(30 * 60),
            age_grace: Duration::from_secs(60),
            drain: Duration::from_secs(15),
            hard_stop: Duration::from_secs(30),
            budget: BudgetOptions::default(),
        }
    }
}

impl ListenerOptions {
    /// The age at which this connection is asked to go: `max_age`, 10 % more or less by the connection's id.
    pub(super) fn age_of(&self, connection: u64) -> Duration {
        // splitmix64's finalizer: neighbouring ids land far apart.
        let mut mixed = connection.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let permille = u32::try_from((mixed >> 33) % 201).unwrap_or(100);
        self.max_age.saturating_mul(900 + permille) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_spread_over_ten_percent_on_both_sides() {
        let options = ListenerOptions { max_age: Duration::from_secs(1000), ..ListenerOptions::default() };
        let ages: Vec<u64> = (1..=1000).map(|id| options.age_of(id).as_secs()).collect();
        assert!(ages.iter().all(|age| (900..=1100).contains(age)));
        for tenth in 0..10 {
            let (low, high) = (900 + tenth * 20, 920 + tenth * 20);
            let hits = ages.iter().filter(|age| (low..high).contains(*age)).count();
            assert!((60..=140).contains(&hits), "{hits} of 1000 between {low} and {high}");
        }
    }
}
