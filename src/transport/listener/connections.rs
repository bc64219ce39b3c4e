//! The connections of a port for its budget: the caller of each, its open requests, and which connection to close.

use super::account::{Open, Stall};
use super::budget::{Budget, BudgetOptions, Holder, Share};
use crate::peers::{PeerLimits, Peers};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) budget: Arc<Budget>,
    /// For its anonymous requests.
    pub(super) peer: Arc<Share>,
    pub(super) anonymous_open: AtomicUsize,
    /// Refusals with a body that are on their way.
    pub(super) explanations: AtomicUsize,
    /// Cancelled where it has to end at once.
    pub(super) cut: CancellationToken,
    id: u64,
    address: IpAddr,
    born: Instant,
    table: Weak<Connections>,
    /// The last principal that was seen on it; `None` while it is anonymous.
    principal: Mutex<Option<(String, Arc<Holder>)>>,
    stalls: AtomicUsize,
    /// Answers that are on their way, by number of the request.
    answers: Mutex<HashMap<u64, Weak<Open>>>,
}

impl Connection {
    /// What the last principal of this connection may hold.
    pub(super) fn holder(&self) -> Option<Arc<Holder>> {
        let principal = self.principal.lock().unwrap_or_else(PoisonError::into_inner);
        principal.as_ref().map(|(_, holder)| Arc::clone(holder))
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.principal.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Credentials of this principal were accepted on it.
    pub(super) fn identify(&self, name: &str) -> Arc<Holder> {
        let mut principal = self.principal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, holder)) = &*principal
            && known == name
        {
            return Arc::clone(holder);
        }
        let holder = self.budget.principal(name);
        let was = principal.replace((name.to_owned(), Arc::clone(&holder)));
        drop(principal);
        if was.is_none()
            && let Some(table) = self.table.upgrade()
        {
            table.no_longer_anonymous(self.id);
        }
        holder
    }

    /// Milliseconds since it was opened; never 0.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn answer_begins(&self, number: u64, open: &Arc<Open>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::downgrade(open));
    }

    pub(super) fn answer_ended(&self, number: u64) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    /// Ends the responses that were not read for `patience`, and the connection if there are too many.
    fn sweep(&self, patience: Duration) {
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let answers: Vec<Arc<Open>> = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.values().filter_map(Weak::upgrade).collect()
        };
        let now = self.now();
        let (mut stalled, mut hopeless) = (0, false);
        for answer in answers {
            match answer.end_if_stalled(now, patience) {
                Stall::No => {}
                Stall::Ended => stalled += 1,
                Stall::CannotEnd => (stalled, hopeless) = (stalled + 1, true),
            }
        }
        if stalled == 0 {
            return;
        }
        self.budget.counters.stalled.fetch_add(stalled as u64, Relaxed);
        let stalls = self.stalls.fetch_add(stalled, Relaxed) + stalled;
        if hopeless || stalls >= self.budget.options.stalled_answers || self.is_anonymous() {
            self.budget.counters.stalled_connections.fetch_add(1, Relaxed);
            self.cut.cancel();
        }
        tracing::debug!(connection = self.id, peer = %self.address, stalled, "Ended responses that nobody was reading");
    }
}

/// All connections of a port.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) budget: Arc<Budget>,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    /// Those that have shown no credentials.
    anonymous: Peers,
}

/// A connection in the table; leaves it when it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) connection: Arc<Connection>,
    table: Arc<Connections>,
}

impl Connections {
    pub(super) fn new(budget: Arc<Budget>) -> Arc<Self> {
        let BudgetOptions { anonymous_connections: most, anonymous_grace: grace, .. } = budget.options;
        let anonymous = Peers::new(PeerLimits { most, share: usize::MAX, grace });
        Arc::new(Self { budget, open: Mutex::default(), anonymous })
    }

    /// `address` stands for the peer ([`crate::peers::holder`]).
    pub(super) fn enter(self: &Arc<Self>, id: u64, address: IpAddr) -> Entry {
        let connection = Arc::new(Connection {
            budget: Arc::clone(&self.budget),
            peer: self.budget.peer(address),
            anonymous_open: AtomicUsize::new(0),
            explanations: AtomicUsize::new(0),
            cut: CancellationToken::new(),
            id,
            address,
            born: Instant::now(),
            table: Arc::downgrade(self),
            principal: Mutex::default(),
            stalls: AtomicUsize::new(0),
            answers: Mutex::default(),
        });
        self.tables().insert(id, Arc::clone(&connection));
        self.anonymous.enter(id, address, connection.cut.clone());
        Entry { connection, table: Arc::clone(self) }
    }

    pub(super) fn anonymous(&self) -> usize {
        self.anonymous.count()
    }

    /// Anonymous connections that were closed to make room.
    pub(super) fn displaced(&self) -> u64 {
        self.anonymous.displaced()
    }

    /// Waits until there is room for one more anonymous connection, and makes some where those that are there are
    /// old enough to have shown credentials.
    pub(super) async fn room(&self) {
        self.anonymous.room().await;
    }

    fn no_longer_anonymous(&self, id: u64) {
        self.anonymous.leave(id);
    }

    /// Looks after unread answers for as long as the table is there.
    pub(super) async fn sweep(table: Weak<Self>, patience: Duration) {
        let pause = (patience / 4).max(Duration::from_millis(10));
        loop {
            sleep(pause).await;
            let Some(table) = table.upgrade() else { return };
            let all: Vec<Arc<Connection>> = table.tables().values().cloned().collect();
            for connection in all {
                connection.sweep(patience);
            }
        }
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let id = self.connection.id;
        self.table.tables().remove(&id);
        self.table.anonymous.leave(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(anonymous_connections: usize, grace: Duration) -> Arc<Connections> {
        let options = BudgetOptions { anonymous_connections, anonymous_grace: grace, ..BudgetOptions::default() };
        Connections::new(Budget::new(options))
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_limit_the_oldest_of_the_peer_with_the_most_goes() {
        let table = table(4, Duration::ZERO);
        let alone = table.enter(1, ip(1));
        let crowd: Vec<Entry> = (2..5).map(|id| table.enter(id, ip(2))).collect();
        let cut = |entry: &Entry| entry.connection.cut.is_cancelled();
        let room = tokio::spawn({
            let table = Arc::clone(&table);
            async move { table.room().await }
        });
        crowd[0].connection.cut.cancelled().await;
        assert_eq!([cut(&alone), cut(&crowd[1]), cut(&crowd[2])], [false; 3]);
        drop(crowd);
        room.await.unwrap();
        assert_eq!(table.anonymous(), 1);
    }

    #[tokio::test]
    async fn who_has_shown_credentials_takes_no_room() {
        let table = table(1, Duration::from_secs(3600));
        let first = table.enter(1, ip(1));
        assert!(table.anonymous.make_room().is_some(), "it is too young to be closed");
        first.connection.identify("alice");
        table.room().await;
        let _second = table.enter(2, ip(1));
        assert!(!first.connection.is_anonymous() && !first.connection.cut.is_cancelled());
        assert_eq!(table.anonymous(), 1);
    }
}
