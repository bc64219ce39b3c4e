//! The open connections of a port by the peer that opened them, and which one goes to make room for the next.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// After an accept that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// How many connections may be open.
#[derive(Clone, Copy, Debug)]
pub struct PeerLimits {
    /// Of all peers. At the limit the oldest one of the peer with the most goes.
    pub most: usize,
    /// Of one peer. Above it its oldest one goes at once, whatever its age.
    pub share: usize,
    /// The age below which a connection does not go for one of another peer.
    pub grace: Duration,
}

/// The connections that compete for the places of a port.
#[derive(Debug)]
pub struct Peers {
    limits: PeerLimits,
    open: Mutex<BTreeMap<u64, One>>,
    /// One has ended or competes no longer.
    freed: Notify,
    displaced: AtomicU64,
}

#[derive(Debug)]
struct One {
    peer: IpAddr,
    born: Instant,
    cut: CancellationToken,
}

/// A connection in the table; leaves it when it is dropped.
#[derive(Debug)]
struct Place {
    peers: Arc<Peers>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.peers.leave(self.id);
    }
}

impl Peers {
    /// Without any connection.
    pub fn new(limits: PeerLimits) -> Self {
        Self { limits, open: Mutex::default(), freed: Notify::new(), displaced: AtomicU64::new(0) }
    }

    /// A connection of this peer, by a number that counts up; `cut` is cancelled where it has to go.
    pub fn enter(&self, id: u64, peer: IpAddr, cut: CancellationToken) {
        let peer = holder(peer);
        let mut open = self.open();
        let staying = |one: &&One| one.peer == peer && !one.cut.is_cancelled();
        if self.limits.share < self.limits.most && open.values().filter(staying).count() >= self.limits.share.max(1) {
            self.displace(open.values().find(staying));
        }
        open.insert(id, One { peer, born: Instant::now(), cut });
    }

    /// As [`Peers::enter`], until the answer is dropped.
    #[must_use]
    fn place(self: &Arc<Self>, id: u64, peer: IpAddr, cut: CancellationToken) -> Place {
        self.enter(id, peer, cut);
        Place { peers: Arc::clone(self), id }
    }

    /// The connection has ended, or competes no longer.
    pub fn leave(&self, id: u64) {
        if self.open().remove(&id).is_some() {
            self.freed.notify_waiters();
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.open().len()
    }

    /// How many were told to go.
    pub fn displaced(&self) -> u64 {
        self.displaced.load(Relaxed)
    }

    /// Waits until there is room for one more, and makes some where those that are there are old enough.
    pub async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            let Some(wait) = self.make_room() else { return };
            // Woken by the end of any of them; or the oldest is old enough.
            let _ = timeout(wait, freed).await;
        }
    }

    /// How long to wait for room; `None` if there is some.
    pub fn make_room(&self) -> Option<Duration> {
        let PeerLimits { most, share: _, grace } = self.limits;
        let open = self.open();
        if open.len() < most.max(1) {
            return None;
        }
        let mut peers: HashMap<IpAddr, usize> = HashMap::new();
        for one in open.values() {
            *peers.entry(one.peer).or_default() += 1;
        }
        let crowd = peers.into_iter().max_by_key(|(_, count)| *count).map(|(peer, _)| peer);
        let Some(oldest) = open.values().find(|one| Some(one.peer) == crowd && !one.cut.is_cancelled()) else {
            return Some(grace.max(Duration::from_millis(10)));
        };
        let left = grace.saturating_sub(oldest.born.elapsed());
        if left.is_zero() {
            self.displace(Some(oldest));
            return Some(grace.max(Duration::from_millis(10)));
        }
        Some(left)
    }

    fn displace(&self, one: Option<&One>) {
        if let Some(One { cut, .. }) = one {
            cut.cancel();
            self.displaced.fetch_add(1, Relaxed);
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, One>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves a port without TLS that anybody may reach, until `end` is ready: each connection for at most `life`, and as
/// many as the limits say. Those that are open at the end are closed.
pub async fn serve<F>(
    listener: TcpListener,
    limits: PeerLimits,
    life: Duration,
    end: impl Future<Output = ()> + Send,
    connection: impl Fn(TcpStream) -> F,
) where
    F: Future<Output: Send> + Send + 'static,
{
    let peers = Arc::new(Peers::new(limits));
    let mut connections = JoinSet::new();
    let mut end = std::pin::pin!(end);
    let mut id = 0;
    loop {
        let accepted = tokio::select! {
            () = &mut end => return,
            accepted = async { peers.room().await; listener.accept().await } => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be accepted");
                // Out of file descriptors, say: without a pause the loop would spin.
                sleep(PAUSE).await;
                continue;
            }
        };
        id += 1;
        let cut = CancellationToken::new();
        let place = peers.place(id, peer.ip(), cut.clone());
        let connection = connection(stream);
        connections.spawn(async move {
            let _place = place;
            tokio::select! {
                () = cut.cancelled() => {}
                // How a connection ends is the other side's matter.
                _ = timeout(life, connection) => {}
            }
        });
    }
}

/// The address that stands for one holder: IPv4 as it is, of IPv6 the /64.
pub fn holder(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn entered(peers: &Peers, id: u64, peer: u8) -> CancellationToken {
        let cut = CancellationToken::new();
        peers.enter(id, ip(peer), cut.clone());
        cut
    }

    #[test]
    fn above_its_share_a_peer_loses_its_own_oldest_and_nobody_else_one() {
        let peers = Peers::new(PeerLimits { most: 100, share: 3, grace: Duration::from_secs(3600) });
        let other = entered(&peers, 0, 9);
        let crowd: Vec<_> = (1..=10).map(|id| entered(&peers, id, 1)).collect();
        let cut: Vec<bool> = crowd.iter().map(CancellationToken::is_cancelled).collect();
        assert_eq!(cut, [[true; 7].as_slice(), &[false; 3]].concat());
        assert!(!other.is_cancelled());
        assert_eq!((peers.count(), peers.displaced()), (11, 7), "those that go are there until they have ended");
        (1..=10).for_each(|id| peers.leave(id));
        assert!(!entered(&peers, 11, 1).is_cancelled() && peers.count() == 2);
    }

    #[test]
    fn at_the_limit_the_oldest_of_the_peer_with_the_most_goes() {
        let peers = Peers::new(PeerLimits { most: 4, share: usize::MAX, grace: Duration::ZERO });
        let alone = entered(&peers, 1, 1);
        assert!(peers.make_room().is_none());
        let crowd: Vec<_> = (2..5).map(|id| entered(&peers, id, 2)).collect();
        assert!(peers.make_room().is_some());
        assert!(crowd[0].is_cancelled() && !alone.is_cancelled() && !crowd[1].is_cancelled());
        peers.leave(2);
        assert!(peers.make_room().is_none());
    }

    #[test]
    fn a_network_of_ipv6_is_one_holder() {
        let one = holder("2001:db8:1:2::1".parse().unwrap());
        assert_eq!(one, holder("2001:db8:1:2:ffff::9".parse().unwrap()));
        assert_ne!(one, holder("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(holder("::ffff:192.0.2.1".parse().unwrap()), ip(1));
    }
}
