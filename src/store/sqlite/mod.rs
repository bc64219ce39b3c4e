//! The embedded store: one SQLite file, one thread that writes, several that read.
//!
//! Why SQLite and how it is set up: `docs/decisions/0003-sqlite-embedded.md`. Operators may read
//! the file with `sqlite3` while the server runs.

mod erase;
mod error;
mod file;
mod options;
mod queue;
mod read_cache;
mod reader;
mod request;
mod schema;
mod writer;

pub use options::{Now, SqliteOptions};

use super::common::{History, check_batch, check_keys, revision};
use super::{Batch, EventPage, HistoryLost, Record, Revision, Store, StoreError};
use crate::domain::Timestamp;
use async_trait::async_trait;
use erase::Eraser;
use error::{Fault, store_error};
use file::Claimed;
use queue::Threads;
use read_cache::{Found, ReadCache};
use request::{Job, Request};
use rusqlite::Connection;
use schema::OpenedFile;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use writer::Writer;

/// A [`Store`] in one file. Dropping it finishes the queued writes, empties the write-ahead log
/// into the file and frees it for another process; that blocks for as long as the disk takes.
pub struct Sqlite {
    // Dropped in this order: the last connection to close is the writer's, which then empties
    // the write-ahead log; the file is free only after that.
    readers: Option<Threads<Job>>,
    engine: Engine,
    doorbell: watch::Sender<Revision>,
    cache: Arc<ReadCache>,
    history: Arc<History>,
    failed: CancellationToken,
    epoch: String,
    max_body: usize,
    file: Option<Claimed>,
}

/// Who writes.
enum Engine {
    Thread(Threads<Request>),
    /// The caller, one request a transaction.
    Caller(Box<Mutex<Writer>>),
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.file.as_ref().map(|file| &file.path);
        f.debug_struct("Sqlite").field("path", &path).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl Sqlite {
    /// Opens the database, and makes it if there is none (mode 0600; the folder must exist).
    /// Blocks while it reads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if another process has it open or the file system refuses;
    /// [`StoreError::Broken`] if it is not a database of certmint, or of a newer certmint.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let file = Claimed::new(path)?;
        let OpenedFile { connection, meta, epoch, eraser } = schema::open_writer(&file, &options)?;
        schema::check_counter(&connection, meta)?;
        let connections = (0..options.readers.max(1))
            .map(|_| schema::open_reader(&file.path, &options))
            .collect::<Result<Vec<_>, _>>()?;
        let failed = CancellationToken::new();
        let work = |connection: &Connection, job: Job| job(connection);
        let readers = Threads::many("store-reader", options.read_queue, &failed, connections, work)
            .map_err(|e| no_thread(&file.path, e))?;
        Self::start((connection, meta, epoch), &options, failed, Some(readers), Some((file, eraser)))
    }

    /// A database that is gone when it is dropped, without a thread: each call does its work where
    /// it is made and never waits, so a run with one seed and one clock repeats itself. Of the
    /// options only `max_body`, `cache` and `now` matter.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is no memory.
    pub fn open_inline(options: SqliteOptions) -> Result<Self, StoreError> {
        let (connection, meta, epoch) = schema::open_in_memory().map_err(store_error)?;
        let doorbell = watch::Sender::new(revision(meta.head));
        let cache = Arc::new(ReadCache::new(options.cache));
        let history = Arc::new(History::default());
        let writer = Writer {
            connection,
            eraser: None,
            meta,
            committed: meta.head,
            history: history.clone(),
            group: 1,
            now: options.now,
            doorbell: doorbell.clone(),
            cache: cache.clone(),
        };
        let engine = Engine::Caller(Box::new(Mutex::new(writer)));
        Ok(Self {
            readers: None,
            engine,
            doorbell,
            cache,
            history,
            failed: CancellationToken::new(),
            epoch,
            max_body: options.max_body,
            file: None,
        })
    }

    /// Gives a file that was restored from a backup a new epoch, so that resume tokens of clients that saw more than
    /// the backup holds are refused. Answers it.
    ///
    /// # Errors
    /// As [`Sqlite::open`]; and [`StoreError::Unavailable`] if there is no such file.
    pub fn renew_epoch(path: &Path, options: SqliteOptions) -> Result<String, StoreError> {
        if !path.exists() {
            let source = Box::new(std::io::Error::from(std::io::ErrorKind::NotFound));
            return Err(Fault::Open { path: path.to_owned(), source }.into());
        }
        let file = Claimed::new(path)?;
        let opened = schema::open_writer(&file, &options)?;
        schema::renew_epoch(&opened.connection).map_err(store_error)
    }

    /// Cancelled when a thread of the store panicked: the store cannot be used any more.
    pub fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// A database that is gone when it is dropped, for tests. One thread reads and writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there is no memory or no thread.
    pub fn open_in_memory() -> Result<Self, StoreError> {
        let opened = schema::open_in_memory().map_err(store_error)?;
        Self::start(opened, &SqliteOptions::default(), CancellationToken::new(), None, None)
    }

    fn start(
        (connection, meta, epoch): (Connection, schema::Meta, String),
        options: &SqliteOptions,
        failed: CancellationToken,
        readers: Option<Threads<Job>>,
        file: Option<(Claimed, Eraser)>,
    ) -> Result<Self, StoreError> {
        let (file, eraser) = file.unzip();
        let doorbell = watch::Sender::new(revision(meta.head));
        let cache = Arc::new(ReadCache::new(options.cache));
        let history = Arc::new(History::default());
        let writer = Writer {
            connection,
            eraser,
            meta,
            committed: meta.head,
            history: history.clone(),
            group: options.group.max(1),
            now: options.now.clone(),
            doorbell: doorbell.clone(),
            cache: cache.clone(),
        };
        let writer = Threads::one("store-writer", options.write_queue, &failed, |requests| writer.run(requests))
            .map_err(|e| no_thread(file.as_ref().map_or(Path::new(":memory:"), |file| &file.path), e))?;
        let engine = Engine::Thread(writer);
        Ok(Self { readers, engine, doorbell, cache, history, failed, epoch, max_body: options.max_body, file })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !answer.is_closed() {
                let _ = answer.send(query(connection));
            }
        });
        match &self.readers {
            Some(readers) => readers.send(job).await?,
            None => self.send(Request::Read(job)).await?,
        }
        answered.await.map_err(|_| Fault::Stopped)?.map_err(store_error)
    }

    async fn write<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(request(answer)).await?;
        answered.await.map_err(|_| Fault::Stopped)?
    }

    /// Watchers of the log are woken to learn of it.
    fn lose(&self, lost: HistoryLost) {
        if self.history.lose(lost) {
            self.doorbell.send_modify(|_| ());
        }
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Thread(writer) => writer.send(request).await,
            Engine::Caller(writer) => {
                // A panic in a transaction leaves it open, and the next one fails: go on with it.
                writer.lock().unwrap_or_else(PoisonError::into_inner).serve(vec![request]);
                Ok(())
            }
        }
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn get(&self, key: &str) -> Result<Option<Record>, StoreError> {
        self.history.check()?;
        let ticket = match self.cache.find(key) {
            Found::Known(record) => return Ok(Some((*record).clone())),
            Found::Unknown(ticket) => ticket,
        };
        let key = key.to_owned();
        let found = self.read(move |connection| reader::get(connection, &key)).await?;
        if let (Some(ticket), Some(record)) = (ticket, &found) {
            self.cache.keep(ticket, record);
        }
        Ok(found)
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        self.history.check()?;
        check_keys(keys)?;
        let keys = keys.to_vec();
        self.read(move |connection| reader::get_many(connection, &keys)).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.history.check()?;
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.read(move |connection| reader::list(connection, &prefix, &after, limit)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Revision, StoreError> {
        check_batch(&batch, self.max_body)?;
        self.write(|answer| Request::Commit(batch, answer)).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.write(|answer| Request::Claim { now, until, limit, answer }).await
    }

    async fn events(&self, after: Revision, limit: usize) -> Result<EventPage, StoreError> {
        self.history.check()?;
        // Before the read, which sees everything that was committed by now.
        let seen = *self.doorbell.borrow();
        let page = self.read(move |connection| reader::events(connection, after, limit)).await?;
        if page.head < seen {
            let lost = HistoryLost::SetBack { found: page.head, seen };
            self.lose(lost.clone());
            return Err(lost.into());
        }
        Ok(page)
    }

    fn head(&self) -> watch::Receiver<Revision> {
        self.doorbell.subscribe()
    }

    async fn trim(&self, before: Timestamp, keep_at_least: u64, limit: usize) -> Result<u64, StoreError> {
        self.write(|answer| Request::Trim { before, keep_at_least, limit, answer }).await
    }

    async fn epoch(&self) -> Result<String, StoreError> {
        Ok(self.epoch.clone())
    }
}

fn no_thread(path: &Path, error: std::io::Error) -> Fault {
    Fault::Open { path: PathBuf::from(path), source: Box::new(error) }
}
