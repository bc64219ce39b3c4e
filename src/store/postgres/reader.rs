//! The reads: each is one statement, so one snapshot, and may be retried. A few connections carry many concurrent
//! reads.

use super::connect::{Connector, Job, Session};
use super::error::{Cure, Fault};
use super::keys;
use super::shared::Shared;
use crate::domain::Timestamp;
use crate::store::common::{end_of_prefix, first_of_list, in_order, integer, revision};
use crate::store::{Event, EventPage, Record, Revision};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

const GET: &str = "\
-- get
SELECT key, revision, due, body FROM records WHERE key = $1";

const GET_MANY: &str = "\
-- get_many
SELECT key, revision, due, body FROM records WHERE key = ANY ($1::text[])";

const LIST: &str = "\
-- list
SELECT key, revision, due, body FROM records WHERE key >= $1 AND key < $2 ORDER BY key LIMIT $3";

const LIST_TO_THE_END: &str = "\
-- list_to_the_end
SELECT key, revision, due, body FROM records WHERE key >= $1 ORDER BY key LIMIT $2";

/// At and below `trimmed` there are only index entries of what went.
const EVENTS: &str = "\
-- events
SELECT certmint.trimmed, (SELECT max(head) FROM commits), page.revision, page.body
FROM certmint LEFT JOIN LATERAL (
    SELECT revision, body FROM events WHERE revision > greatest($1, certmint.trimmed) ORDER BY revision LIMIT $2
) AS page ON true
WHERE certmint.id = 1
ORDER BY page.revision";

#[derive(Clone, Copy)]
enum Read {
    Get,
    GetMany,
    List,
    ListToTheEnd,
    Events,
}

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Connections for reading, made when they are needed.
pub(super) struct Readers {
    connector: Arc<Connector>,
    lanes: Vec<Lane>,
    places: Semaphore,
}

#[derive(Default)]
struct Lane {
    session: Shared<ReadSession>,
    busy: AtomicUsize,
}

struct ReadSession {
    session: Session,
    get: Statement,
    get_many: Statement,
    list: Statement,
    list_to_the_end: Statement,
    events: Statement,
}

impl ReadSession {
    async fn open(connector: &Connector) -> Result<Self, Fault> {
        let session = connector.connect(Job::Read).await?;
        let prepare = |sql| session.client.prepare(sql);
        let (get, get_many, list, list_to_the_end, events) = session
            .answer(futures_util::future::try_join5(
                prepare(GET),
                prepare(GET_MANY),
                prepare(LIST),
                prepare(LIST_TO_THE_END),
                prepare(EVENTS),
            ))
            .await?;
        Ok(Self { session, get, get_many, list, list_to_the_end, events })
    }

    fn statement(&self, read: Read) -> &Statement {
        match read {
            Read::Get => &self.get,
            Read::GetMany => &self.get_many,
            Read::List => &self.list,
            Read::ListToTheEnd => &self.list_to_the_end,
            Read::Events => &self.events,
        }
    }
}

impl Readers {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        let lanes = (0..connector.options.readers.max(1)).map(|_| Lane::default()).collect();
        let places = Semaphore::new(connector.options.read_queue.clamp(1, Semaphore::MAX_PERMITS));
        Self { connector, lanes, places }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Record>, Fault> {
        let rows = self.read(Read::Get, &[&keys::stored(key)]).await?;
        rows.first().map(record).transpose()
    }

    pub(super) async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, Fault> {
        let wanted: Vec<_> = keys.iter().map(|key| keys::stored(key)).collect();
        let rows = self.read(Read::GetMany, &[&wanted]).await?;
        Ok(in_order(keys, rows.iter().map(record).collect::<Result<_, _>>()?))
    }

    pub(super) async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, Fault> {
        let from = first_of_list(prefix, after);
        let (from, limit) = (keys::stored(&from), integer(limit));
        let rows = match end_of_prefix(prefix) {
            Some(end) => self.read(Read::List, &[&from, &keys::stored(&end), &limit]).await?,
            None => self.read(Read::ListToTheEnd, &[&from, &limit]).await?,
        };
        rows.iter().map(record).collect()
    }

    pub(super) async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, Fault> {
        let rows = self.read(Read::Events, &[&integer(after), &integer(limit)]).await?;
        let mut page = EventPage { events: Vec::with_capacity(rows.len()), trimmed: 0, head: 0 };
        for row in rows {
            page.trimmed = revision(row.try_get(0)?);
            page.head = revision(row.try_get::<_, Option<i64>>(1)?.unwrap_or(0));
            if let Some(number) = row.try_get::<_, Option<i64>>(2)? {
                page.events.push(Event { revision: revision(number), body: row.try_get(3)? });
            }
        }
        Ok(page)
    }

    /// Retries if the connection was lost or the server went down, until `retry_for` has passed.
    async fn read(&self, read: Read, parameters: Parameters<'_>) -> Result<Vec<Row>, Fault> {
        let _place = self.places.acquire().await.map_err(|_| Fault::Stopped)?;
        let deadline = Instant::now() + self.connector.options.retry_for;
        let mut pause = Pause::default();
        loop {
            let fault = match self.ask(read, parameters).await {
                Ok(rows) => return Ok(rows),
                Err(fault) => fault,
            };
            if fault.cure() != Cure::Repeat || !pause.before(deadline).await {
                return Err(fault);
            }
        }
    }

    async fn ask(&self, read: Read, parameters: Parameters<'_>) -> Result<Vec<Row>, Fault> {
        let lane = self.least_busy();
        let _busy = Busy::on(&lane.busy);
        let connect = ReadSession::open(&self.connector);
        let open = lane.session.get(|open| !open.session.is_closed(), connect).await?;
        let asked = open.session.client.query(open.statement(read), parameters);
        let answer = open.session.answer(asked).await;
        if answer.as_ref().is_err_and(|fault| !fault.spares_the_connection()) {
            lane.session.forget(&open).await;
        }
        answer
    }

    fn least_busy(&self) -> &Lane {
        let mut best = &self.lanes[0];
        for lane in &self.lanes[1..] {
            if lane.busy.load(Ordering::Relaxed) < best.busy.load(Ordering::Relaxed) {
                best = lane;
            }
        }
        best
    }
}

/// Counts a read for as long as it lasts, also where its caller goes away.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn on(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Longer and longer waits between attempts.
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(Duration::from_millis(10))
    }
}

impl Pause {
    /// Waits; false if the time is over.
    pub(super) async fn before(&mut self, deadline: Instant) -> bool {
        if Instant::now() + self.0 > deadline {
            return false;
        }
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
        true
    }
}

/// A row of (key, revision, due, body).
fn record(row: &Row) -> Result<Record, Fault> {
    Ok(Record {
        key: keys::original(row.try_get(0)?),
        revision: revision(row.try_get(1)?),
        due: row.try_get::<_, Option<i64>>(2)?.map(Timestamp),
        body: row.try_get(3)?,
    })
}

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[GET, GET_MANY, LIST, LIST_TO_THE_END, EVENTS];
