//! The one thread that writes. It puts everything that waits into one transaction (group commit), and answers when that
//! transaction is on disk.

use super::erase::Eraser;
use super::error::Lost;
use super::options::Now;
use super::queue::receive_until;
use super::read_cache::ReadCache;
use super::reader::{records, text_or_blob};
use super::request::{Deferred, Request, defer, refuse};
use super::schema::{META, Meta};
use crate::domain::Timestamp;
use crate::store::common::{History, integer, revision};
use crate::store::counter::{self, WrongCounter};
use crate::store::{Batch, Delete, HistoryLost, Put, Record, Revision, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

const BEGIN: &str = "-- begin\nBEGIN IMMEDIATE";
const COMMIT: &str = "-- commit\nCOMMIT";
const ROLLBACK: &str = "-- rollback\nROLLBACK";

const NOW: &str = "\
-- now
SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)";
const PRESENT: &str = "\
-- present
SELECT revision FROM records WHERE key = ?1";
const INSERT: &str = "\
-- insert
INSERT INTO records (key, revision, due, body) VALUES (?1, ?2, ?3, ?4)";
const UPDATE: &str = "\
-- update
UPDATE records SET revision = ?2, due = ?3, leased_from = NULL, body = ?4 WHERE key = ?1";
const DELETE: &str = "\
-- delete
DELETE FROM records WHERE key = ?1";
const APPEND: &str = "\
-- append
INSERT INTO events (revision, at, body) VALUES (?1, ?2, ?3)";
const DUE: &str = "\
-- due
SELECT key, revision, due, body FROM records WHERE due <= ?1 ORDER BY due, key";
const LEASE: &str = "\
-- lease
UPDATE records SET revision = ?2, due = ?3, leased_from = coalesce(leased_from, due) WHERE key = ?1";
const OLDEST: &str = "\
-- oldest
SELECT revision, at FROM events ORDER BY revision LIMIT ?1";
const TRIM: &str = "\
-- trim
DELETE FROM events WHERE revision <= ?1";
const SAVE: &str = "\
-- save
UPDATE meta SET head = ?1, trimmed = ?2, events = ?3 WHERE id = 1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[PRESENT, INSERT, UPDATE, DELETE, APPEND, DUE, LEASE, OLDEST, TRIM, SAVE];

pub(super) struct Writer {
    pub(super) connection: Connection,
    /// None for a database in memory.
    pub(super) eraser: Option<Eraser>,
    /// As of the last transaction that was committed; its head counts what a failed COMMIT may bring back, too.
    pub(super) meta: Meta,
    /// The head that the file is known to have.
    pub(super) committed: i64,
    pub(super) history: Arc<History>,
    /// Requests in one transaction, at most.
    pub(super) group: usize,
    pub(super) now: Option<Now>,
    pub(super) doorbell: watch::Sender<Revision>,
    pub(super) cache: Arc<ReadCache>,
}

impl Writer {
    /// Works until the other end of the queue is gone and the queue is empty.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = self.next(&mut requests) {
            let mut group = vec![first];
            while group.len() < self.group {
                let Ok(next) = requests.try_recv() else { break };
                group.push(next);
            }
            self.serve(group);
        }
        // Closing the connection would empty the log, too, but clear nothing in the file.
        if let Some(eraser) = &mut self.eraser {
            eraser.attempt(&self.connection, Instant::now());
        }
    }

    /// The next request. While it waits, it erases what was removed.
    fn next(&mut self, requests: &mut mpsc::Receiver<Request>) -> Option<Request> {
        while let Some(eraser) = &mut self.eraser
            && let Some(due) = eraser.due()
        {
            match receive_until(requests, due) {
                Some(received) => return received,
                None => eraser.attempt(&self.connection, Instant::now()),
            }
        }
        requests.blocking_recv()
    }

    pub(super) fn serve(&mut self, group: Vec<Request>) {
        let (reads, writes): (Vec<_>, Vec<_>) = group.into_iter().partition(|one| matches!(one, Request::Read(_)));
        if !writes.is_empty() {
            self.write(writes);
        }
        for read in reads {
            if let Request::Read(job) = read {
                job(&self.connection);
            }
        }
    }

    /// One transaction. No caller gets a result before it has ended, not even a refused one: a refusal
    /// may rest on what a neighbour wrote.
    fn write(&mut self, requests: Vec<Request>) {
        let mut group = Group {
            connection: &self.connection,
            meta: self.meta,
            touched: Vec::new(),
            rings: false,
            removes: false,
            lost: None,
        };
        let at = group.begin(self.now.as_ref());
        if let Some(found) = group.head_below(self.committed) {
            group.end(self.meta);
            let lost = HistoryLost::SetBack { found: revision(found), seen: revision(self.committed) };
            if self.history.lose(lost.clone()) {
                self.doorbell.send_modify(|_| ());
            }
            requests.into_iter().for_each(|request| refuse(request, &lost));
            return;
        }
        let mut answers: Vec<Deferred> = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(match request {
                Request::Commit(batch, answer) => {
                    group.touched.extend(keys(&batch));
                    let removes = batch.puts.iter().any(|put| put.expected.is_some()) || !batch.deletes.is_empty();
                    let result = group.attempt(|connection, meta| commit(connection, meta, at, batch));
                    group.rings |= matches!(result, Some(Ok(_)));
                    group.removes |= removes && matches!(result, Some(Ok(_)));
                    defer(answer, result)
                }
                Request::Claim { now, until, limit, answer } => {
                    let result = group.attempt(|connection, meta| claim(connection, meta, now, until, limit));
                    let claimed = result.iter().flatten().flatten().map(|record| record.key.clone());
                    group.touched.extend(claimed);
                    defer(answer, result)
                }
                Request::Trim { before, keep_at_least, limit, answer } => defer(
                    answer,
                    group.attempt(|connection, meta| trim(connection, meta, before, keep_at_least, limit)),
                ),
                Request::Read(_) => continue,
            });
        }
        self.cache.close(std::mem::take(&mut group.touched));
        group.end(self.meta);
        self.cache.open();
        let Group { meta, rings, removes, lost, connection: _, touched: _ } = group;
        let lost = lost.map(|error| Arc::new(Lost::new(error, self.connection.path())));
        let wrote = lost.is_none() && self.meta != meta;
        if lost.is_none() {
            self.meta = meta;
            // A transaction that changed nothing stores no head: this one may be that of a COMMIT that failed.
            if wrote {
                self.committed = meta.head;
            }
        } else {
            // Where the flush of a COMMIT failed, a crash may still bring the transaction back.
            // Its revisions are not given out a second time.
            self.meta.head = meta.head;
        }
        if rings && lost.is_none() {
            self.doorbell.send_replace(revision(meta.head));
        }
        for answer in answers {
            answer(lost.as_ref());
        }
        if let Some(eraser) = &mut self.eraser {
            if wrote {
                eraser.after_write(&self.connection, removes, Instant::now());
            } else if lost.is_some() {
                eraser.rolled_back();
            }
        }
    }
}

/// A transaction of several requests. A request is refused before it writes, so there is nothing to
/// take back; a savepoint for each would copy every page that is touched once more.
struct Group<'c> {
    connection: &'c Connection,
    /// As of the request that was done last.
    meta: Meta,
    /// Keys of records that it may change.
    touched: Vec<String>,
    rings: bool,
    /// It deletes or replaces the body of a record.
    removes: bool,
    /// Why nothing of this transaction will be there.
    lost: Option<rusqlite::Error>,
}

impl Group<'_> {
    /// Returns the time of the commit.
    fn begin(&mut self, now: Option<&Now>) -> Timestamp {
        let begun = execute(self.connection, BEGIN).and_then(|()| match now {
            Some(now) => Ok(now()),
            None => self.connection.prepare_cached(NOW)?.query_row([], |row| row.get(0)).map(Timestamp),
        });
        begun.unwrap_or_else(|error| {
            self.lost = Some(error);
            Timestamp::default()
        })
    }

    /// The head of the file, where it is below the one that this process wrote: somebody set the file back.
    fn head_below(&mut self, committed: i64) -> Option<i64> {
        if self.lost.is_some() {
            return None;
        }
        let read = self.connection.prepare_cached(META).and_then(|mut meta| meta.query_row([], Meta::of));
        match read {
            Ok(meta) => (meta.head < committed).then_some(meta.head),
            Err(error) => {
                self.lost = Some(error);
                None
            }
        }
    }

    /// Does it, or refuses it before anything was written. `None` if the whole transaction is lost, as it is with
    /// the first fault of the database.
    fn attempt<T>(
        &mut self,
        act: impl FnOnce(&Connection, &mut Meta) -> rusqlite::Result<Result<T, StoreError>>,
    ) -> Option<Result<T, StoreError>> {
        if self.lost.is_some() {
            return None;
        }
        let before = self.meta;
        match act(self.connection, &mut self.meta) {
            Ok(Ok(value)) => Some(Ok(value)),
            Ok(Err(refused)) => {
                self.meta = before;
                Some(Err(refused))
            }
            Err(error) => {
                self.meta = before;
                self.lost = Some(error);
                None
            }
        }
    }

    /// Makes it durable where something was written. Where nothing was, nothing is flushed.
    fn end(&mut self, start: Meta) {
        if self.lost.is_none() && self.meta != start {
            let saved = save(self.connection, self.meta).and_then(|()| execute(self.connection, COMMIT));
            self.lost = saved.err();
        }
        if !self.connection.is_autocommit()
            && let Err(error) = execute(self.connection, ROLLBACK)
            && self.lost.is_none()
        {
            self.lost = Some(error);
        }
    }
}

fn keys(batch: &Batch) -> impl Iterator<Item = String> {
    batch.puts.iter().map(|put| &put.key).chain(batch.deletes.iter().map(|delete| &delete.key)).cloned()
}

fn commit(
    connection: &Connection,
    meta: &mut Meta,
    at: Timestamp,
    batch: Batch,
) -> rusqlite::Result<Result<Revision, StoreError>> {
    let first = meta.head + 1;
    if let Err(wrong) = advance(meta, integer(batch.revisions())) {
        return Ok(Err(wrong.into()));
    }
    meta.events += integer(batch.events.len());
    let Batch { puts, deletes, events } = batch;
    let expected = puts.iter().map(|put| (&put.key, put.expected));
    let expected = expected.chain(deletes.iter().map(|delete| (&delete.key, Some(delete.expected))));
    let mut present = connection.prepare_cached(PRESENT)?;
    for (key, expected) in expected {
        let found: Option<i64> = present.query_row([key], |row| row.get(0)).optional()?;
        if found != expected.map(integer) {
            return Ok(Err(StoreError::Conflict(key.clone())));
        }
    }
    for Put { key, expected, body, due } in puts {
        let sql = if expected.is_none() { INSERT } else { UPDATE };
        let due = due.map(|due| due.0);
        connection.prepare_cached(sql)?.execute(params![key, meta.head, due, text_or_blob(&body)])?;
    }
    for Delete { key, expected: _ } in deletes {
        connection.prepare_cached(DELETE)?.execute([key])?;
    }
    let mut append = connection.prepare_cached(APPEND)?;
    for (number, body) in (first..).zip(&events) {
        append.execute(params![number, at.0, text_or_blob(body)])?;
    }
    Ok(Ok(revision(meta.head)))
}

/// Takes so many revisions, which never reach the end of the numbers.
fn advance(meta: &mut Meta, by: i64) -> Result<(), WrongCounter> {
    let next = meta.head.saturating_add(by);
    counter::check(Some(next), Some(meta.head))?;
    meta.head = next;
    Ok(())
}

fn claim(
    connection: &Connection,
    meta: &mut Meta,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> rusqlite::Result<Result<Vec<Record>, StoreError>> {
    let mut claimed = records(&mut *connection.prepare_cached(DUE)?, [now.0], limit)?;
    if claimed.is_empty() {
        return Ok(Ok(claimed));
    }
    if let Err(wrong) = advance(meta, 1) {
        return Ok(Err(wrong.into()));
    }
    let mut lease = connection.prepare_cached(LEASE)?;
    for record in &mut claimed {
        record.revision = revision(meta.head);
        record.due = Some(until);
        lease.execute(params![record.key, meta.head, until.0])?;
    }
    Ok(Ok(claimed))
}

fn trim(
    connection: &Connection,
    meta: &mut Meta,
    before: Timestamp,
    keep_at_least: u64,
    limit: usize,
) -> rusqlite::Result<Result<u64, StoreError>> {
    let may_go = meta.events.saturating_sub(integer(keep_at_least)).min(integer(limit)).max(0);
    let mut last = None;
    let mut oldest = connection.prepare_cached(OLDEST)?;
    let mut rows = oldest.query([may_go])?;
    while let Some(row) = rows.next()? {
        // A clock that was set back leaves a young event before old ones: those wait for it.
        if row.get::<_, i64>(1)? >= before.0 {
            break;
        }
        last = Some(row.get(0)?);
    }
    drop(rows);
    let Some(last) = last else { return Ok(Ok(0)) };
    let gone = connection.prepare_cached(TRIM)?.execute([last])?;
    meta.trimmed = last;
    meta.events -= integer(gone);
    Ok(Ok(gone as u64))
}

fn save(connection: &Connection, meta: Meta) -> rusqlite::Result<()> {
    let Meta { head, trimmed, events } = meta;
    connection.prepare_cached(SAVE)?.execute([head, trimmed, events]).map(drop)
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
