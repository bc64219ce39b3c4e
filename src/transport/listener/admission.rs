//! Admission of connections: limits on open ones, and counters of refused ones.

use crate::peers::holder;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the port has seen since it was opened. Each counter only grows, except `open`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ListenerStats {
    /// Connections that are open now.
    pub open: u64,
    /// Connections that were let in.
    pub accepted: u64,
    /// Connections closed at once, because `max_connections` were open.
    pub refused_total: u64,
    /// Connections closed at once, because their peer had `max_connections_per_peer` open.
    pub refused_peer: u64,
    /// TLS handshakes that failed or took too long.
    pub handshakes_failed: u64,
    /// Failures to accept, such as no free file descriptor.
    pub accept_errors: u64,
    /// Connections that were asked to go because of their age.
    pub aged: u64,
    /// Connections cut at the end of their grace.
    pub cut: u64,
}

/// The live form of [`ListenerStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) refused_total: AtomicU64,
    pub(super) refused_peer: AtomicU64,
    pub(super) handshakes_failed: AtomicU64,
    pub(super) accept_errors: AtomicU64,
    pub(super) aged: AtomicU64,
    pub(super) cut: AtomicU64,
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    Total,
    Peer,
}

/// Counts open connections.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) counters: Counters,
    max: usize,
    max_per_peer: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_peer: HashMap<IpAddr, usize>,
}

/// One open connection; dropped with it.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    peer: IpAddr,
}

impl Admission {
    pub(super) fn new(max: usize, max_per_peer: usize) -> Arc<Self> {
        Arc::new(Self { counters: Counters::default(), max, max_per_peer, open: Mutex::default() })
    }

    /// Lets a connection in, or says which limit is reached.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Permit, Refusal> {
        let peer = holder(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.max {
            self.counters.refused_total.fetch_add(1, Relaxed);
            return Err(Refusal::Total);
        }
        let of_peer = open.per_peer.get(&peer).copied().unwrap_or(0);
        if of_peer >= self.max_per_peer {
            self.counters.refused_peer.fetch_add(1, Relaxed);
            return Err(Refusal::Peer);
        }
        open.per_peer.insert(peer, of_peer + 1);
        open.total += 1;
        drop(open);
        self.counters.accepted.fetch_add(1, Relaxed);
        Ok(Permit { admission: Arc::clone(self), peer })
    }

    pub(super) fn stats(&self) -> ListenerStats {
        let Counters { accepted, refused_total, refused_peer, handshakes_failed, accept_errors, aged, cut } =
            &self.counters;
        ListenerStats {
            open: self.open.lock().unwrap_or_else(PoisonError::into_inner).total as u64,
            accepted: accepted.load(Relaxed),
            refused_total: refused_total.load(Relaxed),
            refused_peer: refused_peer.load(Relaxed),
            handshakes_failed: handshakes_failed.load(Relaxed),
            accept_errors: accept_errors.load(Relaxed),
            aged: aged.load(Relaxed),
            cut: cut.load(Relaxed),
        }
    }
}

impl Permit {
    pub(super) fn counters(&self) -> &Counters {
        &self.admission.counters
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.per_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.per_peer.remove(&self.peer);
            }
        }
    }
}

/// Lets one line through in ten seconds, and says how many it kept back.
#[derive(Debug, Default)]
pub(super) struct LogThrottle {
    last: Option<Instant>,
    kept_back: u64,
}

impl LogThrottle {
    /// `Some(n)` when a line may be written now; `n` lines were kept back since the last one.
    pub(super) fn line(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.duration_since(last) < Duration::from_secs(10)) {
            self.kept_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn limits_hold_per_peer_and_in_total_and_end_with_the_connection() {
        let admission = Admission::new(3, 2);
        let first = admission.admit(ip("192.0.2.1")).unwrap();
        let _second = admission.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(admission.admit(ip("192.0.2.1")).unwrap_err(), Refusal::Peer);
        let _third = admission.admit(ip("192.0.2.2")).unwrap();
        assert_eq!(admission.admit(ip("192.0.2.3")).unwrap_err(), Refusal::Total);
        drop(first);
        assert_eq!(admission.stats().open, 2);
        drop(admission.admit(ip("192.0.2.1")).unwrap());
        let stats = admission.stats();
        assert_eq!((stats.accepted, stats.refused_peer, stats.refused_total), (4, 1, 1));
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_nothing_is_kept_of_those_who_left() {
        let admission = Admission::new(10, 1);
        let held = admission.admit(ip("2001:db8:1:2::1")).unwrap();
        assert_eq!(admission.admit(ip("2001:db8:1:2:ffff::9")).unwrap_err(), Refusal::Peer);
        drop(admission.admit(ip("2001:db8:1:3::1")).unwrap());
        drop(held);
        assert!(admission.open.lock().unwrap().per_peer.is_empty());
    }

    #[test]
    fn a_flood_writes_one_line_in_ten_seconds() {
        let (mut throttle, start) = (LogThrottle::default(), Instant::now());
        assert_eq!(throttle.line(start), Some(0));
        assert_eq!((throttle.line(start), throttle.line(start + Duration::from_secs(9))), (None, None));
        assert_eq!(throttle.line(start + Duration::from_secs(10)), Some(2));
    }
}
