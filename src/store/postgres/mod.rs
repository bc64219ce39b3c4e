//! The store for many replicas: a PostgreSQL database that all of them write to.
//!
//! Why it is as it is: `docs/decisions/0007-postgresql.md`; how to run it: `docs/operations.md`. Operators may
//! read the views `readable_records` and `readable_events` while replicas run.

mod address;
mod claims;
mod connect;
mod error;
mod group;
mod head_watch;
mod keys;
mod reader;
mod schema;
mod shared;
mod time;
mod tls;
mod visibility_horizon;
mod writer;

pub use address::{DatabaseUrl, DatabaseUrlError};
pub use time::DatabaseTime;

use super::common::{Alarm, check_batch, check_keys};
use super::{Batch, EventPage, Record, Revision, Store, StoreError, StoreOptions};
use crate::domain::Timestamp;
use async_trait::async_trait;
use claims::Claims;
use connect::{Connector, Job};
use error::Fault;
use group::Waiting;
use head_watch::HeadWatch;
use reader::Readers;
use std::fmt;
use std::sync::Arc;
use tls::Tls;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use writer::Writer;

/// A key is part of an index entry, which has its limit at a third of a page.
const MAX_KEY: usize = 2000;

/// A [`Store`] in a PostgreSQL database, shared with other replicas. Needs a tokio runtime. When it is
/// dropped, what is queued is still written as long as the runtime lives.
pub struct Postgres {
    connector: Arc<Connector>,
    readers: Readers,
    claims: Arc<Claims>,
    writes: mpsc::Sender<Waiting>,
    head_watch: Arc<HeadWatch>,
    failed: CancellationToken,
    _stop: DropGuard,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, head_watch, readers: _, claims: _, writes: _, failed: _, _stop } = self;
        f.debug_struct("Postgres")
            .field("url", &connector.url)
            .field("epoch", &head_watch.epoch)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects, checks that it is a database of ours on a server that is new enough, and brings its tables up to
    /// date unless the options say no. Does not wait for a database that is not there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database cannot be reached or refuses the password;
    /// [`StoreError::Broken`] if it is another program's, of a newer certmint, or on an old server.
    pub async fn open(url: DatabaseUrl, options: StoreOptions) -> Result<Self, StoreError> {
        let (connector, _) = prepare(url, options).await?;
        let connector = Arc::new(connector);
        let first = connector.connect(Job::SetUp).await?;
        schema::check_counter(&first.client).await?;
        let seen = head_watch::look(&first).await?;
        drop(first);

        let stop = CancellationToken::new();
        let head_watch = Arc::new(HeadWatch::new(seen));
        let failed = CancellationToken::new();
        tokio::spawn({
            let (head_watch, connector, stop) = (head_watch.clone(), connector.clone(), stop.clone());
            let alarm = Alarm(failed.clone());
            async move {
                let _alarm = alarm;
                head_watch.run(&connector, stop).await;
            }
        });
        let (writes, queue) = mpsc::channel(connector.options.write_queue.clamp(1, 1 << 20));
        tokio::spawn({
            let (writer, alarm) = (Writer::new(connector.clone(), head_watch.clone()), Alarm(failed.clone()));
            async move {
                let _alarm = alarm;
                writer.run(queue).await;
            }
        });
        Ok(Self {
            readers: Readers::new(connector.clone()),
            claims: Arc::new(Claims::new(connector.clone(), head_watch.clone())),
            connector,
            writes,
            head_watch,
            failed,
            _stop: stop.drop_guard(),
        })
    }

    /// Brings the tables up to date and does no more. Returns the version of the schema.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub async fn migrate(url: DatabaseUrl, options: StoreOptions) -> Result<i32, StoreError> {
        let (_, version) = prepare(url, StoreOptions { migrate: true, ..options }).await?;
        Ok(version)
    }

    /// Gives a database that was restored from a backup a new epoch, so that resume tokens of clients that saw more
    /// than the backup holds are refused. To be called while no replica runs. Returns the epoch.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub async fn renew_epoch(url: DatabaseUrl, options: StoreOptions) -> Result<String, StoreError> {
        let (connector, _) = prepare(url, options).await?;
        Ok(schema::renew_epoch(&connector.connect(Job::SetUp).await?.client).await?)
    }

    /// Cancelled when a task of the store panicked: the store cannot be used any more.
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// The clock of the database, for what replicas write down for each other.
    pub fn time(&self) -> DatabaseTime {
        self.head_watch.time.clone()
    }

    fn check(&self, batch: &Batch) -> Result<(), StoreError> {
        check_batch(batch, self.connector.options.max_body)?;
        for put in &batch.puts {
            let size = keys::stored(&put.key).len();
            if size > MAX_KEY {
                return Err(Fault::KeyTooLong { key: put.key.clone(), size, limit: MAX_KEY }.into());
            }
        }
        Ok(())
    }
}

async fn prepare(url: DatabaseUrl, mut options: StoreOptions) -> Result<(Connector, i32), StoreError> {
    // The outcome of a COMMIT can be asked for as long as its row is there.
    options.retry_for = options.retry_for.min(claims::REMEMBERED / 2);
    let tls = Tls::new(&url).map_err(|error| StoreError::Broken(Box::new(error)))?;
    if url.is_exposed() {
        tracing::warn!(
            database = %url,
            "the database is reached over a network without verifying its certificate: use sslmode=verify-full"
        );
    }
    let migrate = options.migrate;
    let connector = Connector::new(url, options, tls);
    let session = connector.connect(Job::SetUp).await?;
    let version = schema::prepare(&session, migrate).await?;
    drop(session);
    Ok((connector, version))
}

#[async_trait]
impl Store for Postgres {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.head_watch.check()?;
        Ok(self.readers.get(key).await?)
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        self.head_watch.check()?;
        check_keys(keys)?;
        Ok(self.readers.get_many(keys).await?)
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.head_watch.check()?;
        Ok(self.readers.list(prefix, after, limit).await?)
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        self.check(&batch)?;
        let (answer, answered) = oneshot::channel();
        self.writes.send(Waiting { batch, answer }).await.map_err(|_| Fault::Stopped)?;
        answered.await.map_err(|_| Fault::Stopped)?
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.head_watch.check()?;
        let claims = self.claims.clone();
        let claimed = tokio::spawn(async move { claims.claim(now, until, limit).await });
        Ok(claimed.await.map_err(|_| Fault::Stopped)??)
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.head_watch.check()?;
        Ok(self.readers.events(after, limit).await?)
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.head_watch.head.subscribe()
    }

    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError> {
        self.head_watch.check()?;
        let claims = self.claims.clone();
        let trimmed = tokio::spawn(async move { claims.trim(before, keep_at_least, limit).await });
        Ok(trimmed.await.map_err(|_| Fault::Stopped)??)
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        Ok(self.head_watch.epoch.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_begins_with_its_name() {
        for sql in [reader::STATEMENTS, writer::STATEMENTS, claims::STATEMENTS, schema::STATEMENTS].concat() {
            let name = sql.lines().next().and_then(|line| line.strip_prefix("-- "));
            assert!(name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')), "{sql}");
        }
    }
}
