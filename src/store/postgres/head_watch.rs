//! Notifies watchers of new commits: at once for those of this replica, and for those of others when a poll finds that
//! the head has moved. A notification from another replica makes the poll happen sooner; it may get lost.

use super::connect::{Connector, Job, Session};
use super::error::Fault;
use super::time::{DatabaseTime, Reading};
use crate::store::common::{History, revision};
use crate::store::{HistoryLost, Revision};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;

const LISTEN: &str = "-- listen\nLISTEN certmint";

/// On a connection of its own and after the commit: inside a writing transaction it would make all
/// commits of the whole server wait for each other.
const POKE: &str = "-- poke\nNOTIFY certmint";

/// A note is no data: it need not be on the disk.
const LIGHT: &str = "-- light\nSET synchronous_commit = off";

const LOOK: &str = "\
-- look
SELECT (SELECT max(head) FROM commits), epoch, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
FROM certmint WHERE id = 1";

/// What everyone in the process shares about the head.
pub(super) struct HeadWatch {
    pub(super) head: watch::Sender<Revision>,
    pub(super) epoch: String,
    pub(super) time: DatabaseTime,
    /// This replica committed something that others should learn of.
    news: Notify,
    /// Another replica said that there is something new, or the connection ended.
    heard: Arc<Notify>,
    history: History,
}

impl HeadWatch {
    pub(super) fn new(seen: Seen) -> Self {
        let Seen { head, epoch, time } = seen;
        Self {
            head: watch::Sender::new(head),
            epoch,
            time: DatabaseTime::new(time),
            news: Notify::new(),
            heard: Arc::default(),
            history: History::default(),
        }
    }

    /// A commit that readers can see by now.
    pub(super) fn committed(&self, head: Revision) {
        self.ring(head);
        self.news.notify_one();
    }

    /// Refuses to go on where the database was restored under a running process: its revisions are of
    /// another history than the tokens that were given out.
    pub(super) fn check(&self) -> Result<(), Fault> {
        Ok(self.history.check()?)
    }

    /// From here on the database is not trusted. Watchers of the log are woken to learn of it.
    pub(super) fn lose(&self, lost: HistoryLost) -> Fault {
        if self.history.lose(lost.clone()) {
            self.head.send_modify(|_| ());
        }
        lost.into()
    }

    /// A connection showed a head below one that was `seen` before it was asked. Where a new connection shows the same,
    /// the database was set back; otherwise the old one led to a server that is not the primary any more.
    pub(super) async fn confirm_set_back(&self, connector: &Connector, seen: Revision) -> Result<(), Fault> {
        let now = look(&connector.connect(Job::SetUp).await?).await?;
        if now.epoch != self.epoch {
            return Err(self.lose(HistoryLost::OtherEpoch));
        }
        if now.head < seen {
            return Err(self.lose(HistoryLost::SetBack { found: now.head, seen }));
        }
        Ok(())
    }

    fn ring(&self, head: Revision) {
        self.head.send_if_modified(|known| {
            let newer = head > *known;
            *known = head.max(*known);
            newer
        });
    }

    /// Listens and looks until `stop`, over as many connections as it takes.
    pub(super) async fn run(&self, connector: &Connector, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        let mut quiet = false;
        loop {
            let fault = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.follow(connector, &mut pause) => ended,
            };
            if !quiet {
                tracing::warn!(%fault, "cannot listen for commits of other replicas; will reconnect");
            }
            quiet = pause > FIRST_PAUSE;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn follow(&self, connector: &Connector, pause: &mut Duration) -> Fault {
        let session = match self.open(connector).await {
            Ok(session) => session,
            Err(fault) => return fault,
        };
        *pause = FIRST_PAUSE;
        tokio::select! {
            fault = self.look_again_and_again(&session, connector) => fault,
            fault = self.tell_others(&session, connector.options.poke) => fault,
        }
    }

    async fn open(&self, connector: &Connector) -> Result<Session, Fault> {
        let session = connector.connect_listener(self.heard.clone()).await?;
        session.answer(session.client.batch_execute(LIGHT)).await?;
        session.answer(session.client.batch_execute(LISTEN)).await?;
        Ok(session)
    }

    async fn look_again_and_again(&self, session: &Session, connector: &Connector) -> Fault {
        let look = match session.answer(session.client.prepare(LOOK)).await {
            Ok(look) => look,
            Err(fault) => return fault,
        };
        loop {
            let (sent, seen) = (Instant::now(), *self.head.borrow());
            match session.answer(session.client.query_one(&look, &[])).await.and_then(|row| Seen::read(&row, sent)) {
                Ok(Seen { epoch, .. }) if epoch != self.epoch => drop(self.lose(HistoryLost::OtherEpoch)),
                Ok(Seen { head, .. }) if head < seen && self.check().is_ok() => {
                    match self.confirm_set_back(connector, seen).await {
                        Ok(()) => return Fault::Stale { found: head, seen },
                        Err(Fault::HistoryLost(_)) => {}
                        Err(fault) => return fault,
                    }
                }
                Ok(Seen { head, epoch: _, time }) => {
                    self.time.correct(time);
                    self.ring(head);
                }
                Err(fault) => return fault,
            }
            // The time is the truth; the note only makes it shorter.
            let _ = tokio::time::timeout(connector.options.poll, self.heard.notified()).await;
        }
    }

    async fn tell_others(&self, session: &Session, least: Duration) -> Fault {
        loop {
            self.news.notified().await;
            if let Err(fault) = session.answer(session.client.batch_execute(POKE)).await {
                // The others poll before long.
                return fault;
            }
            tokio::time::sleep(least).await;
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What one look at the database shows.
pub(super) struct Seen {
    pub(super) head: Revision,
    pub(super) epoch: String,
    time: Reading,
}

impl Seen {
    fn read(row: &Row, sent: Instant) -> Result<Self, Fault> {
        Ok(Self {
            head: revision(row.try_get::<_, Option<i64>>(0)?.unwrap_or(0)),
            epoch: row.try_get(1)?,
            time: Reading::between(sent, Instant::now(), row.try_get(2)?),
        })
    }
}

/// A look before there is a head_watch.
pub(super) async fn look(session: &Session) -> Result<Seen, Fault> {
    let sent = Instant::now();
    Seen::read(&session.answer(session.client.query_one(LOOK, &[])).await?, sent)
}
