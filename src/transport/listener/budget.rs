//! Limits on the total bytes that requests and responses may hold: for the process, one principal, all anonymous
//! requests, and the anonymous requests of one peer.

use super::known::Known;
use crate::domain::{Error, Reason, duration};
use crate::limits::positive;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::net::IpAddr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

const MIB: usize = 1024 * 1024;

/// The limits on what callers can make the server hold. A request, and a connection, is anonymous until it has shown
/// credentials that are accepted.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetOptions {
    /// Bytes held for all requests: heads and bodies being read, answers waiting to be sent. Default 256 MiB.
    #[serde(deserialize_with = "some_requests")]
    pub bytes: usize,
    /// Of these, bytes held for one principal. Default 64 MiB.
    #[serde(deserialize_with = "some_requests")]
    pub principal_bytes: usize,
    /// Of these, bytes held for all anonymous requests. Default 32 MiB.
    #[serde(deserialize_with = "some_requests")]
    pub anonymous_bytes: usize,
    /// Of these, bytes held for the anonymous requests of one peer. Default 8 MiB.
    #[serde(deserialize_with = "some_requests")]
    pub anonymous_peer_bytes: usize,
    /// Open requests of an anonymous connection, counted until the last byte of the answer has left. Default 32.
    #[serde(deserialize_with = "positive")]
    pub anonymous_streams: usize,
    /// Open anonymous connections. At the limit the oldest one of the peer with the most is closed to make room for
    /// the next; others wait in the queue of the system. Default 512.
    #[serde(deserialize_with = "positive")]
    pub anonymous_connections: usize,
    /// The age below which an anonymous connection is not closed to make room. Default 2 s.
    #[serde(with = "duration")]
    pub anonymous_grace: Duration,
    /// Answers that nobody reads for `listener.write_timeout` are ended. A connection with so many of them is closed;
    /// an anonymous one at the first. Default 8.
    #[serde(deserialize_with = "positive")]
    pub stalled_answers: usize,
    /// Answers that may be large (backups, lists) and are being made at the same time; a principal may have
    /// half of them, the others wait their turn. Default 32.
    #[serde(deserialize_with = "positive")]
    pub large_answers: usize,
}

impl Default for BudgetOptions {
    fn default() -> Self {
        Self {
            bytes: 256 * MIB,
            principal_bytes: 64 * MIB,
            anonymous_bytes: 32 * MIB,
            anonymous_peer_bytes: 8 * MIB,
            anonymous_streams: 32,
            anonymous_connections: 512,
            anonymous_grace: Duration::from_secs(2),
            stalled_answers: 8,
            large_answers: 32,
        }
    }
}

/// Less lets no request in, whatever it is.
const FEWEST: usize = 64 * 1024;

fn some_requests<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(from)?;
    if bytes >= FEWEST {
        return Ok(bytes);
    }
    Err(D::Error::custom(format!("{bytes} bytes let no request in; use {FEWEST} or more")))
}

/// The limit that a request met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Overrun {
    /// `bytes`.
    Process,
    /// `principal_bytes`.
    Principal,
    /// `anonymous_bytes`.
    Anonymous,
    /// `anonymous_peer_bytes`.
    Peer,
    /// `anonymous_streams`.
    Streams,
}

impl Overrun {
    /// Every limit with its name in metrics.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Process, "process"),
        (Self::Principal, "principal"),
        (Self::Anonymous, "anonymous"),
        (Self::Peer, "peer"),
        (Self::Streams, "streams"),
    ];

    /// The limit, as described to the caller.
    pub fn error(self) -> Error {
        let message = match self {
            Self::Process => "The server has reached its limit on the bytes of requests and responses in memory.",
            Self::Principal => {
                "The requests and unread responses of this caller have reached the limit on bytes in memory. Read the \
                 responses of open requests first."
            }
            Self::Anonymous | Self::Peer => {
                "Requests without credentials have reached the limit on bytes in memory. Send credentials, or try \
                 again later."
            }
            Self::Streams => {
                "This connection has too many open requests without credentials. Send credentials, or wait for the \
                 answers of open requests."
            }
        };
        Error::new(Reason::Throttled, message).retry_after(Duration::from_secs(1))
    }
}

/// A limit on bytes, within the limit of its parent.
#[derive(Debug)]
pub(super) struct Share {
    used: AtomicUsize,
    limit: usize,
    cause: Overrun,
    parent: Option<Arc<Self>>,
}

impl Share {
    fn new(limit: usize, cause: Overrun, parent: Option<&Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit, cause, parent: parent.cloned() })
    }

    fn take(&self, bytes: usize) -> Result<(), Overrun> {
        // What is refused counts at no time: it would refuse others beside it.
        let within = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Acquire, Relaxed, within).map_err(|_| self.cause)?;
        let taken = self.parent.as_ref().map_or(Ok(()), |parent| parent.take(bytes));
        if taken.is_err() {
            self.used.fetch_sub(bytes, Relaxed);
        }
        taken
    }

    fn force(&self, bytes: usize) {
        self.used.fetch_add(bytes, Relaxed);
        if let Some(parent) = &self.parent {
            parent.force(bytes);
        }
    }

    /// The parent first: it counts at no time what somebody else may have taken of this share again.
    fn give(&self, bytes: usize) {
        if let Some(parent) = &self.parent {
            parent.give(bytes);
        }
        self.used.fetch_sub(bytes, Release);
    }
}

/// Bytes taken from a share; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Charge {
    share: Arc<Share>,
    bytes: usize,
}

impl Charge {
    pub(super) fn take(share: &Arc<Share>, bytes: usize) -> Result<Self, Overrun> {
        share.take(bytes)?;
        Ok(Self { share: Arc::clone(share), bytes })
    }

    /// For bytes that are already held: counts them even above the limit, so that the next ones are refused.
    pub(super) fn force(share: &Arc<Share>, bytes: usize) -> Self {
        share.force(bytes);
        Self { share: Arc::clone(share), bytes }
    }

    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Overrun> {
        self.share.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// So many of its bytes, for what holds them from here on; those that it has not are counted even above the limit.
    /// Nothing is given back in between, which another request could take.
    pub(super) fn part(&mut self, bytes: usize) -> Self {
        let own = bytes.min(self.bytes);
        self.bytes -= own;
        self.share.force(bytes - own);
        Self { share: Arc::clone(&self.share), bytes }
    }

    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.share.give(less);
        self.bytes -= less;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn share(&self) -> &Arc<Share> {
        &self.share
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.share.give(self.bytes);
    }
}

/// What one principal may hold.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) share: Arc<Share>,
    pub(super) turns: Arc<Semaphore>,
}

/// What the budget has counted. Levels first, then what only grows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BudgetStats {
    /// Bytes that are held for all requests.
    pub bytes: u64,
    /// Those of anonymous requests.
    pub anonymous_bytes: u64,
    /// Open anonymous requests.
    pub anonymous_requests: u64,
    /// Open anonymous connections.
    pub anonymous_connections: u64,
    /// Requests that were refused, in the order of [`Overrun::ALL`].
    pub refused: [u64; 5],
    /// Responses that were ended because they were not read.
    pub stalled: u64,
    /// Connections closed because of unread answers.
    pub stalled_connections: u64,
    /// Anonymous connections closed to make room.
    pub displaced: u64,
}

/// The whole budget of a port.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) options: BudgetOptions,
    pub(super) turns: Arc<Semaphore>,
    total: Arc<Share>,
    anonymous: Arc<Share>,
    peers: Mutex<Known<IpAddr, Share>>,
    principals: Mutex<Known<String, Holder>>,
    pub(super) anonymous_requests: AtomicUsize,
    pub(super) counters: BudgetCounters,
}

#[derive(Debug, Default)]
pub(super) struct BudgetCounters {
    refused: [AtomicU64; 5],
    pub(super) stalled: AtomicU64,
    pub(super) stalled_connections: AtomicU64,
}

impl Budget {
    pub(super) fn new(options: BudgetOptions) -> Arc<Self> {
        let total = Share::new(options.bytes, Overrun::Process, None);
        let anonymous = Share::new(options.anonymous_bytes, Overrun::Anonymous, Some(&total));
        Arc::new(Self {
            turns: Arc::new(Semaphore::new(options.large_answers.clamp(1, Semaphore::MAX_PERMITS))),
            options,
            total,
            anonymous,
            peers: Mutex::default(),
            principals: Mutex::default(),
            anonymous_requests: AtomicUsize::new(0),
            counters: BudgetCounters::default(),
        })
    }

    /// The share of a peer's anonymous requests.
    pub(super) fn peer(&self, peer: IpAddr) -> Arc<Share> {
        let limit = self.options.anonymous_peer_bytes;
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(peer, || Share::new(limit, Overrun::Peer, Some(&self.anonymous)))
    }

    /// What a principal may hold, over all of its connections.
    pub(super) fn principal(&self, name: &str) -> Arc<Holder> {
        let turns = (self.options.large_answers / 2).clamp(1, Semaphore::MAX_PERMITS);
        let share = || Share::new(self.options.principal_bytes, Overrun::Principal, Some(&self.total));
        let mut principals = self.principals.lock().unwrap_or_else(PoisonError::into_inner);
        principals.get(name.to_owned(), || Arc::new(Holder { share: share(), turns: Arc::new(Semaphore::new(turns)) }))
    }

    pub(super) fn count_refusal(&self, cause: Overrun) {
        let index = Overrun::ALL.iter().position(|(known, _)| *known == cause).unwrap_or_default();
        self.counters.refused[index].fetch_add(1, Relaxed);
    }

    pub(super) fn stats(&self, anonymous_connections: usize) -> BudgetStats {
        let BudgetCounters { refused, stalled, stalled_connections } = &self.counters;
        BudgetStats {
            bytes: self.total.used.load(Relaxed) as u64,
            anonymous_bytes: self.anonymous.used.load(Relaxed) as u64,
            anonymous_requests: self.anonymous_requests.load(Relaxed) as u64,
            anonymous_connections: anonymous_connections as u64,
            refused: std::array::from_fn(|index| refused[index].load(Relaxed)),
            stalled: stalled.load(Relaxed),
            stalled_connections: stalled_connections.load(Relaxed),
            displaced: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Arc<Budget> {
        Budget::new(BudgetOptions {
            bytes: 100,
            principal_bytes: 60,
            anonymous_bytes: 30,
            anonymous_peer_bytes: 20,
            ..BudgetOptions::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_limit_refuses_what_is_above_it_and_is_free_again_afterwards() {
        let budget = budget();
        let (one, two) = (budget.peer(ip("192.0.2.1")), budget.peer(ip("192.0.2.2")));
        let first = Charge::take(&one, 20).unwrap();
        assert_eq!(Charge::take(&one, 1).unwrap_err(), Overrun::Peer);
        assert_eq!(Charge::take(&two, 11).unwrap_err(), Overrun::Anonymous);
        let (alice, bob) = (budget.principal("alice"), budget.principal("bob"));
        assert_eq!(Charge::take(&alice.share, 61).unwrap_err(), Overrun::Principal);
        let held = Charge::take(&alice.share, 60).unwrap();
        assert_eq!(Charge::take(&bob.share, 21).unwrap_err(), Overrun::Process);
        assert_eq!((budget.stats(0).bytes, budget.stats(0).anonymous_bytes), (80, 20), "a refusal takes nothing");
        drop((first, held));
        assert_eq!(budget.stats(0).bytes, 0);
    }

    #[test]
    fn what_is_held_already_is_counted_above_the_limit_and_stops_the_next() {
        let budget = budget();
        let alice = budget.principal("alice");
        let mut forced = Charge::force(&alice.share, 90);
        assert_eq!(Charge::take(&alice.share, 1).unwrap_err(), Overrun::Principal);
        forced.shrink_to(10);
        assert!(forced.grow(50).is_ok() && forced.grow(1).is_err());
    }

    #[test]
    fn a_budget_that_lets_nothing_in_is_refused() {
        for name in ["bytes", "principal_bytes", "anonymous_bytes", "anonymous_peer_bytes"] {
            let error = toml::from_str::<BudgetOptions>(&format!("{name} = 65535")).unwrap_err();
            assert!(error.message().contains("65535 bytes let no request in; use 65536 or more"), "{error}");
            toml::from_str::<BudgetOptions>(&format!("{name} = 65536")).unwrap();
        }
        for name in ["anonymous_streams", "anonymous_connections", "stalled_answers", "large_answers"] {
            assert!(toml::from_str::<BudgetOptions>(&format!("{name} = 0")).is_err(), "{name}");
        }
    }

    #[test]
    fn one_name_is_one_share_while_anybody_uses_it_and_is_forgotten_then() {
        let budget = budget();
        let alice = budget.principal("alice");
        assert!(Arc::ptr_eq(&alice, &budget.principal("alice")));
        for number in 0..1000 {
            budget.principal(&format!("principal-{number}"));
        }
        assert!(budget.principals.lock().unwrap().live.len() <= 65);
        assert!(Arc::ptr_eq(&alice, &budget.principal("alice")));
    }
}
