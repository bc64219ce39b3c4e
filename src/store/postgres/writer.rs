//! The one task that commits: waiting batches go into one transaction (group commit), in which each batch succeeds or
//! fails by itself; the outcome of a COMMIT whose response was lost is queried, and the write is never repeated
//! blindly.
//!
//! The transaction locks its rows in key order, and takes the revision lock, and with it the numbers, last; so a
//! revision becomes visible only after every lower one. COMMIT is sent after the statements have been answered: until
//! then a lost connection means that nothing is committed, and whoever takes the revision lock later knows that an
//! earlier COMMIT has ended.

use super::connect::{Backend, Connector, Job, Session};
use super::error::{Cure, Fault};
use super::group::{Arrays, Waiting, take};
use super::head_watch::HeadWatch;
use super::keys;
use super::reader::{Parameters, Pause};
use super::schema::LOCK_REVISIONS;
use crate::store::common::{integer, revision};
use crate::store::{Batch, HistoryLost, Revision, StoreError};
use futures_util::future::{join, join5};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::Statement;

pub(super) const BEGIN: &str = "-- begin\nBEGIN";
pub(super) const COMMIT: &str = "-- commit\nCOMMIT";
pub(super) const ROLLBACK: &str = "-- rollback\nROLLBACK";

/// A COMMIT that waits for a synchronous standby must not be cut short: the server would answer "done".
pub(super) const PATIENCE: &str = "-- patience\nSET LOCAL statement_timeout = 0";

/// The records of the group, in the one order in which everybody locks them.
const LOCK_RECORDS: &str = "\
-- lock_records
SELECT FROM records WHERE key = ANY ($1::text[]) ORDER BY key FOR UPDATE";

/// Under the lock of the revisions, so with a look at everything that was ever committed. No key stands in
/// it twice. A batch with a record that is not as expected is left out whole; its first such record is named.
///
/// The table is joined with nothing: each key is looked up for itself, whatever the database believes of the size of
/// the table. The joins are of the group with itself; see [`super::connect`] for how they are made.
const WRITE: &str = "\
-- write
WITH batch AS MATERIALIZED (
    SELECT number::int, takes FROM unnest($1::bigint[]) WITH ORDINALITY AS batch (takes, number)
), item AS MATERIALIZED (
    SELECT item.*, found.revision AS found
    FROM unnest($2::int[], $3::text[], $4::bigint[], $5::bool[], $6::bigint[], $7::bytea[])
        WITH ORDINALITY AS item (batch, key, expected, gone, due, body, place)
    LEFT JOIN LATERAL (SELECT revision FROM records WHERE records.key = item.key OFFSET 0) AS found ON true
), conflict AS MATERIALIZED (
    SELECT DISTINCT ON (batch) batch, key FROM item WHERE expected IS DISTINCT FROM found ORDER BY batch, place
), numbered AS MATERIALIZED (
    SELECT number, takes, (SELECT max(head) FROM commits) + (sum(takes) OVER (ORDER BY number))::bigint AS revision
    FROM batch WHERE number NOT IN (SELECT conflict.batch FROM conflict)
), committed AS (
    INSERT INTO commits (head, token) SELECT max(revision), gen_random_uuid() FROM numbered HAVING count(*) > 0
    RETURNING token
), written AS (
    INSERT INTO records (key, revision, due, body)
    SELECT item.key, numbered.revision, item.due, item.body FROM item JOIN numbered ON numbered.number = item.batch
    WHERE NOT item.gone
    ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, due = excluded.due, body = excluded.body
), removed AS (
    DELETE FROM records WHERE key = ANY (ARRAY(
        SELECT item.key FROM item JOIN numbered ON numbered.number = item.batch WHERE item.gone
    ))
), logged AS (
    INSERT INTO events (revision, at, body)
    SELECT numbered.revision - numbered.takes + event.place,
           (extract(epoch FROM clock_timestamp()) * 1000)::bigint, event.body
    FROM unnest($8::int[], $9::bigint[], $10::bytea[]) AS event (batch, place, body)
    JOIN numbered ON numbered.number = event.batch
)
SELECT numbered.revision, conflict.key, (SELECT token::text FROM committed), (SELECT epoch FROM certmint WHERE id = 1)
FROM batch LEFT JOIN numbered ON numbered.number = batch.number LEFT JOIN conflict ON conflict.batch = batch.number
ORDER BY batch.number";

/// Whether the transaction that took this head is the one with this token.
const OUTCOME: &str = "\
-- outcome
SELECT EXISTS (SELECT FROM commits WHERE head = $1 AND token::text = $2)";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[LOCK_RECORDS, WRITE, OUTCOME];

pub(super) struct Writer {
    connector: Arc<Connector>,
    head_watch: Arc<HeadWatch>,
    session: Option<Arc<WriteSession>>,
    /// What the last lost connection may have left behind on the server.
    predecessor: Option<Backend>,
}

struct WriteSession {
    session: Session,
    lock_records: Statement,
    lock_revisions: Statement,
    write: Statement,
    outcome: Statement,
}

/// What became of each batch: its revision, or the record that was not as expected.
type Verdicts = Vec<Result<Revision, String>>;

/// A transaction that is ready for its COMMIT.
struct Ready {
    verdicts: Verdicts,
    /// The highest revision and the token of the transaction; none where every batch was refused.
    mark: Option<(Revision, String)>,
}

impl Writer {
    pub(super) fn new(connector: Arc<Connector>, head_watch: Arc<HeadWatch>) -> Self {
        Self { connector, head_watch, session: None, predecessor: None }
    }

    /// Works until the other end of the queue is gone and the queue is empty.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Waiting>) {
        let (most, bytes) = (self.connector.options.group.max(1), self.connector.options.group_bytes);
        let mut queue: VecDeque<Waiting> = VecDeque::new();
        loop {
            if queue.is_empty() {
                let Some(first) = requests.recv().await else { return };
                queue.push_back(first);
            }
            while queue.len() < most
                && let Ok(next) = requests.try_recv()
            {
                queue.push_back(next);
            }
            let group = take(&mut queue, most, bytes);
            self.serve(group).await;
        }
    }

    async fn serve(&mut self, group: Vec<Waiting>) {
        let batches: Vec<&Batch> = group.iter().map(|waiting| &waiting.batch).collect();
        let written = self.write(&batches).await;
        match written {
            Ok(verdicts) => {
                for (waiting, verdict) in group.into_iter().zip(verdicts) {
                    // The receiver may have been dropped; ignore the error.
                    let _ = waiting.answer.send(verdict.map_err(StoreError::Conflict));
                }
            }
            // The database refuses something in the group for ever: each is tried alone, so that only
            // the one with the fault gets the error.
            Err(fault) if fault.cure() == Cure::None && group.len() > 1 => {
                for waiting in group {
                    let answer = match self.write(&[&waiting.batch]).await {
                        Ok(mut verdicts) => verdicts.pop().unwrap_or(Err(String::new())).map_err(StoreError::Conflict),
                        Err(fault) => Err(fault.into()),
                    };
                    let _ = waiting.answer.send(answer);
                }
            }
            Err(fault) => {
                for waiting in group {
                    let _ = waiting.answer.send(Err(fault.clone().into()));
                }
            }
        }
    }

    /// Tries until it is committed, refused, or `retry_for` is over.
    async fn write(&mut self, batches: &[&Batch]) -> Result<Verdicts, Fault> {
        let arrays = Arrays::of(batches.iter().copied());
        let deadline = Instant::now() + self.connector.options.retry_for;
        let mut pause = Pause::default();
        loop {
            self.head_watch.check()?;
            let fault = match self.attempt(&arrays, deadline).await {
                Ok(Some(verdicts)) => return Ok(verdicts),
                // Asked for and known to be rolled back.
                Ok(None) if pause.before(deadline).await => continue,
                Ok(None) => return Err(Fault::NotCommitted { within: self.connector.options.retry_for }),
                Err(fault) => fault,
            };
            if fault.cure() != Cure::Repeat || !pause.before(deadline).await {
                return Err(fault);
            }
            if fault.is_contention() {
                tracing::debug!(%fault, "the database rolled back a write; retrying");
            } else {
                tracing::warn!(%fault, "a write failed before its commit; retrying");
            }
        }
    }

    /// One transaction. An error means that nothing of it is committed, except for
    /// [`Fault::OutcomeUnknown`]; `None` that its COMMIT was lost and did not take place.
    async fn attempt(&mut self, arrays: &Arrays<'_>, deadline: Instant) -> Result<Option<Verdicts>, Fault> {
        let open = self.session().await?;
        let seen = *self.head_watch.head.borrow();
        let ready = match open.prepare_commit(arrays).await {
            Ok((ready, epoch)) if epoch == self.head_watch.epoch => ready,
            Ok(_) => {
                self.lose();
                return Err(self.head_watch.lose(HistoryLost::OtherEpoch));
            }
            Err(fault) => {
                if !fault.spares_the_connection() || open.end(ROLLBACK).await.is_err() {
                    self.lose();
                }
                return Err(fault);
            }
        };
        let Some((head, token)) = ready.mark else {
            if open.end(ROLLBACK).await.is_err() {
                self.lose();
            }
            return Ok(Some(ready.verdicts));
        };
        if head <= seen {
            self.lose();
            drop(open);
            self.head_watch.confirm_set_back(&self.connector, seen).await?;
            return Err(Fault::Stale { found: head, seen });
        }
        match open.end(COMMIT).await {
            Ok(()) => {}
            // An answer of the server that it was not committed.
            Err(fault) if fault.spares_the_connection() => return Err(fault),
            Err(fault) => {
                tracing::warn!(%fault, "lost the connection during a COMMIT; querying its outcome");
                self.lose();
                drop(open);
                if !self.outcome(head, &token, deadline).await? {
                    return Ok(None);
                }
            }
        }
        self.head_watch.committed(head);
        Ok(Some(ready.verdicts))
    }

    async fn session(&mut self) -> Result<Arc<WriteSession>, Fault> {
        if self.session.as_ref().is_none_or(|open| open.session.is_closed()) {
            self.lose();
            let open = WriteSession::open(&self.connector).await?;
            if let Some(lost) = &self.predecessor {
                self.connector.end_predecessor(&open.session, lost).await?;
                self.predecessor = None;
            }
            self.session = Some(Arc::new(open));
        }
        self.session.clone().ok_or(Fault::Stopped)
    }

    fn lose(&mut self) {
        if let Some(open) = self.session.take() {
            self.predecessor = Some(open.session.backend.clone());
        }
    }

    /// Whether a COMMIT whose answer was lost took place.
    async fn outcome(&mut self, head: Revision, token: &str, deadline: Instant) -> Result<bool, Fault> {
        let mut pause = Pause::default();
        loop {
            let asked = match self.session().await {
                Ok(open) => open.outcome(head, token).await,
                Err(fault) => Err(fault),
            };
            match asked {
                Ok(committed) => return Ok(committed),
                Err(fault) => tracing::warn!(%fault, "could not query the outcome of a COMMIT"),
            }
            // Whatever it was: only an answer ends the doubt.
            self.lose();
            if !pause.before(deadline).await {
                return Err(Fault::OutcomeUnknown { within: self.connector.options.retry_for });
            }
        }
    }
}

impl WriteSession {
    async fn open(connector: &Connector) -> Result<Self, Fault> {
        let session = connector.connect(Job::Write).await?;
        let prepare = |sql| session.client.prepare(sql);
        let prepared = futures_util::future::try_join4(
            prepare(LOCK_RECORDS),
            prepare(LOCK_REVISIONS),
            prepare(WRITE),
            prepare(OUTCOME),
        );
        let (lock_records, lock_revisions, write, outcome) = session.answer(prepared).await?;
        Ok(Self { session, lock_records, lock_revisions, write, outcome })
    }

    /// Everything but the COMMIT, in one round trip. Returns the epoch, too.
    async fn prepare_commit(&self, arrays: &Arrays<'_>) -> Result<(Ready, String), Fault> {
        let Arrays { takes, of, keys, expected, gone, due, bodies, event_of, event_place, event_bodies } = arrays;
        let client = &self.session.client;
        let sent = async {
            // Polled in this order, so sent in this order; the server works them off one by one.
            let (begun, locked, numbering, written, patient) = join5(
                client.batch_execute(BEGIN),
                client.query(&self.lock_records, &[keys]),
                client.query(&self.lock_revisions, &[]),
                client.query(
                    &self.write,
                    &[takes, of, keys, expected, gone, due, bodies, event_of, event_place, event_bodies],
                ),
                client.batch_execute(PATIENCE),
            )
            .await;
            // The first error is the cause of the others.
            begun?;
            locked?;
            numbering?;
            let rows = written?;
            patient?;
            Ok::<_, tokio_postgres::Error>(rows)
        };
        let rows = self.session.answer(sent).await?;
        let mut verdicts = Vec::with_capacity(rows.len());
        let (mut head, mut mark, mut epoch) = (0, None, String::new());
        for row in rows {
            let number: Option<i64> = row.try_get(0)?;
            let conflict: Option<String> = row.try_get(1)?;
            head = number.map_or(head, |number| head.max(revision(number)));
            mark = row.try_get::<_, Option<String>>(2)?;
            epoch = row.try_get(3)?;
            verdicts.push(number.map(revision).ok_or_else(|| keys::original(conflict.unwrap_or_default())));
        }
        Ok((Ready { verdicts, mark: mark.map(|token| (head, token)) }, epoch))
    }

    async fn end(&self, how: &str) -> Result<(), Fault> {
        self.session.answer(self.session.client.batch_execute(how)).await
    }

    /// Waits for the lock of the revisions, which the lost transaction held until its end, and looks.
    async fn outcome(&self, head: Revision, token: &str) -> Result<bool, Fault> {
        let client = &self.session.client;
        let head = integer(head);
        let parameters: Parameters<'_> = &[&head, &token];
        let sent = async {
            let ((begun, locked), (found, ended)) = join(
                join(client.batch_execute(BEGIN), client.query(&self.lock_revisions, &[])),
                join(client.query_one(&self.outcome, parameters), client.batch_execute(ROLLBACK)),
            )
            .await;
            begun?;
            locked?;
            let found = found?.try_get(0)?;
            ended?;
            Ok::<_, tokio_postgres::Error>(found)
        };
        self.session.answer(sent).await
    }
}
