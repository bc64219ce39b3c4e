//! Claims and trimming: short transactions on a separate connection, so that they do not wait for the commits of this
//! replica.

use super::connect::{Backend, Connector, Job, Session};
use super::error::Fault;
use super::head_watch::HeadWatch;
use super::keys;
use super::reader::Parameters;
use super::schema::LOCK_REVISIONS;
use super::visibility_horizon::VisibilityHorizon;
use super::writer::{BEGIN, COMMIT, PATIENCE, ROLLBACK};
use crate::domain::Timestamp;
use crate::store::common::{integer, revision};
use crate::store::{HistoryLost, Record};
use futures_util::future::{join, join3, join5, try_join3, try_join4};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio_postgres::Statement;

/// Rows that somebody else has locked are being claimed or changed by him: they are passed by, not waited for.
const DUE: &str = "\
-- due
SELECT key, due, body FROM records WHERE due >= $3 AND due <= $1 ORDER BY due, key LIMIT $2 FOR UPDATE SKIP LOCKED";

/// One revision for all records of a claim.
const LEASE: &str = "\
-- lease
WITH committed AS (
    INSERT INTO commits (head, token) SELECT max(head) + 1, gen_random_uuid() FROM commits RETURNING head
), leased AS (
    UPDATE records SET revision = committed.head, due = $2 FROM committed WHERE key = ANY ($1::text[])
)
SELECT head, (SELECT epoch FROM certmint WHERE id = 1) FROM committed";

const LOCK_LOG: &str = "\
-- lock_log
SELECT FROM certmint WHERE id = 1 FOR UPDATE";

/// The oldest events up to the first that is too young, and not into the newest `$2`, which are counted only where
/// one is old enough. A clock that was set back leaves a young event before old ones: those wait for it. Nothing is
/// at or below `trimmed` but index entries of what went before.
const TRIM: &str = "\
-- trim
WITH oldest AS MATERIALIZED (
    SELECT revision, at FROM events WHERE revision > (SELECT trimmed FROM certmint WHERE id = 1)
    ORDER BY revision LIMIT $3
), last AS MATERIALIZED (
    SELECT max(revision) AS revision FROM oldest
    WHERE revision < coalesce((SELECT min(revision) FROM oldest WHERE at >= $1), 9223372036854775807)
      AND revision <= (SELECT revision FROM events ORDER BY revision DESC OFFSET $2 LIMIT 1)
), gone AS (
    DELETE FROM events WHERE revision > (SELECT trimmed FROM certmint WHERE id = 1)
      AND revision <= (SELECT revision FROM last) RETURNING revision
), noted AS (
    UPDATE certmint SET trimmed = greatest(trimmed, last.revision) FROM last WHERE id = 1 AND last.revision IS NOT NULL
)
SELECT count(*) FROM gone";

/// Nobody asks any more for the outcome of a transaction this old; the newest row holds the head. Returns where the
/// next one begins.
const FORGET: &str = "\
-- forget
WITH oldest AS MATERIALIZED (
    SELECT head, at FROM commits WHERE head >= $2 AND head < (SELECT max(head) FROM commits) ORDER BY head LIMIT $1
), gone AS (
    DELETE FROM commits WHERE head >= $2 AND head <= (SELECT max(head) FROM oldest)
      AND at < now() - interval '10 minutes'
)
SELECT coalesce(
    (SELECT min(head) FROM oldest WHERE at >= now() - interval '10 minutes'), (SELECT max(head) + 1 FROM oldest), $2
)";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[DUE, LEASE, LOCK_LOG, TRIM, FORGET];

/// Rows of `commits` that are forgotten at once, at most, and how often that is: the log may be trimmed in many steps.
const FORGET_AT_ONCE: i64 = 100_000;
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// As the statement says.
pub(super) const REMEMBERED: Duration = Duration::from_secs(600);

pub(super) struct Claims {
    connector: Arc<Connector>,
    head_watch: Arc<HeadWatch>,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    open: Option<ClaimSession>,
    horizon: VisibilityHorizon,
    forgotten: Forgotten,
    /// What the last lost connection may have left behind on the server.
    predecessor: Option<Backend>,
}

/// Below which head there is nothing in `commits` any more, and since when.
#[derive(Default)]
struct Forgotten {
    below: i64,
    last: Option<Instant>,
}

struct ClaimSession {
    session: Session,
    due: Statement,
    lock_revisions: Statement,
    lease: Statement,
    lock_log: Statement,
    trim: Statement,
    forget: Statement,
}

impl Claims {
    pub(super) fn new(connector: Arc<Connector>, head_watch: Arc<HeadWatch>) -> Self {
        Self { connector, head_watch, place: Mutex::default() }
    }

    /// To be run in a task of its own: a caller that goes away must not leave a transaction open. A claim
    /// whose COMMIT is lost is not asked for: if it took place, its records come due again when the lease ends.
    pub(super) async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, Fault> {
        let mut place = self.place.lock().await;
        place.session(&self.connector).await?;
        let Place { open: Some(open), horizon, .. } = &mut *place else { return Err(Fault::Stopped) };
        let claimed = open.claim(&self.head_watch, horizon, now, until, limit).await;
        place.tidy(&claimed).await;
        if let Err(Fault::Stale { seen, .. }) = &claimed {
            self.head_watch.confirm_set_back(&self.connector, *seen).await?;
        }
        claimed
    }

    /// May be repeated at will, so nobody asks for the outcome of a lost COMMIT. In a task of its own, too.
    pub(super) async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, Fault> {
        let mut place = self.place.lock().await;
        place.session(&self.connector).await?;
        let Place { open: Some(open), forgotten, .. } = &mut *place else { return Err(Fault::Stopped) };
        let trimmed = open.trim(forgotten, before, keep_at_least, limit).await;
        place.tidy(&trimmed).await;
        trimmed
    }
}

impl Place {
    /// Sees to it that there is one.
    async fn session(&mut self, connector: &Connector) -> Result<(), Fault> {
        if self.open.as_ref().is_none_or(|open| open.session.is_closed()) {
            self.lose();
            let open = ClaimSession::open(connector).await?;
            if let Some(lost) = &self.predecessor {
                connector.end_predecessor(&open.session, lost).await?;
                self.predecessor = None;
            }
            self.open = Some(open);
        }
        Ok(())
    }

    /// After an error the transaction is rolled back, or the connection given up.
    async fn tidy<T>(&mut self, outcome: &Result<T, Fault>) {
        let Err(fault) = outcome else { return };
        let kept = match &self.open {
            Some(open) if fault.spares_the_connection() => open.end(ROLLBACK).await.is_ok(),
            _ => false,
        };
        if !kept {
            self.lose();
        }
    }

    fn lose(&mut self) {
        if let Some(open) = self.open.take() {
            self.predecessor = Some(open.session.backend.clone());
        }
    }
}

impl ClaimSession {
    async fn open(connector: &Connector) -> Result<Self, Fault> {
        let session = connector.connect(Job::Claim).await?;
        let prepare = |sql| session.client.prepare(sql);
        let prepared = try_join3(
            prepare(DUE),
            prepare(LOCK_REVISIONS),
            try_join4(prepare(LEASE), prepare(LOCK_LOG), prepare(TRIM), prepare(FORGET)),
        );
        let (due, lock_revisions, (lease, lock_log, trim, forget)) = session.answer(prepared).await?;
        Ok(Self { session, due, lock_revisions, lease, lock_log, trim, forget })
    }

    async fn claim(
        &self,
        head_watch: &HeadWatch,
        horizon: &mut VisibilityHorizon,
        now: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Record>, Fault> {
        let client = &self.session.client;
        let (most, look) = (integer(limit), horizon.look(now, Instant::now()));
        let looked = async {
            let parameters: Parameters<'_> = &[&now.0, &most, &look.lowest];
            let (begun, due) = join(client.batch_execute(BEGIN), client.query(&self.due, parameters)).await;
            begun?;
            due
        };
        let due = match self.session.answer(looked).await {
            Ok(due) => due,
            Err(fault) => {
                if fault.spares_the_connection() {
                    horizon.failed(look, now, Instant::now());
                }
                return Err(fault);
            }
        };
        let looked = Instant::now();
        if due.is_empty() {
            self.end(ROLLBACK).await?;
            horizon.looked(look, now, (limit == 0).then_some(look.lowest), looked);
            return Ok(Vec::new());
        }
        let mut claimed = Vec::with_capacity(due.len());
        for row in &due {
            let key: String = row.try_get(0)?;
            claimed.push((row.try_get::<_, i64>(1)?, key, row.try_get::<_, Vec<u8>>(2)?));
        }
        let keys: Vec<&str> = claimed.iter().map(|(_, key, _)| key.as_str()).collect();
        let seen = *head_watch.head.borrow();
        let leased = async {
            let parameters: Parameters<'_> = &[&keys, &until.0];
            let (locked, leased, patient) = join3(
                client.query(&self.lock_revisions, &[]),
                client.query_one(&self.lease, parameters),
                client.batch_execute(PATIENCE),
            )
            .await;
            locked?;
            let leased = leased?;
            patient?;
            Ok::<_, tokio_postgres::Error>(leased)
        };
        let leased = self.session.answer(leased).await?;
        if leased.try_get::<_, String>(1)? != head_watch.epoch {
            return Err(head_watch.lose(HistoryLost::OtherEpoch));
        }
        let head = revision(leased.try_get(0)?);
        if head <= seen {
            return Err(Fault::Stale { found: head, seen });
        }
        self.end(COMMIT).await?;
        // The first of them, since one that was hurried or put off meanwhile comes with its new time: the next claim
        // walks over these once more, and passes nothing by.
        let last = claimed.iter().map(|(due, ..)| *due).min();
        horizon.looked(look, now, last.filter(|_| claimed.len() >= limit), looked);
        // A row that changed while it was being locked still stands where its old due time was.
        claimed.sort_by(|(one, a, _), (two, b, _)| one.cmp(two).then_with(|| a.cmp(b)));
        let record = |(_, key, body)| Record { key: keys::original(key), revision: head, due: Some(until), body };
        Ok(claimed.into_iter().map(record).collect())
    }

    /// Everything goes out at once.
    async fn trim(
        &self,
        past: &mut Forgotten,
        before: Timestamp,
        keep_at_least: u64,
        limit: usize,
    ) -> Result<u64, Fault> {
        let client = &self.session.client;
        let (keep, limit) = (integer(keep_at_least), integer(limit));
        let now = Instant::now();
        let at_once = if past.last.is_none_or(|last| now >= last + FORGET_EVERY) { FORGET_AT_ONCE } else { 0 };
        let trimmed = async {
            let parameters: Parameters<'_> = &[&before.0, &keep, &limit];
            let (begun, locked, gone, forgotten, ended) = join5(
                client.batch_execute(BEGIN),
                client.query(&self.lock_log, &[]),
                client.query_one(&self.trim, parameters),
                client.query_one(&self.forget, &[&at_once, &past.below]),
                client.batch_execute(COMMIT),
            )
            .await;
            begun?;
            locked?;
            let gone: i64 = gone?.try_get(0)?;
            let below: i64 = forgotten?.try_get(0)?;
            ended?;
            Ok::<_, tokio_postgres::Error>((revision(gone), below))
        };
        let (gone, below) = self.session.answer(trimmed).await?;
        if at_once > 0 {
            *past = Forgotten { below, last: Some(now) };
        }
        Ok(gone)
    }

    async fn end(&self, how: &str) -> Result<(), Fault> {
        self.session.answer(self.session.client.batch_execute(how)).await
    }
}
