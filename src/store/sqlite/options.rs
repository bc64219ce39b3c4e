//! The limits of the embedded store, each with its default.

use crate::domain::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where the commit times of events come from.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How large everything in the store may get. Counts below one are taken as one.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Threads that read, each with a connection of its own. Default 4.
    pub readers: usize,
    /// Reads that may wait for a thread; further callers wait for a place. Default 1,024.
    pub read_queue: usize,
    /// Writes that may wait for the writer; further callers wait for a place. Default 1,024.
    pub write_queue: usize,
    /// Writes that share one transaction and so one flush of the disk, at most. Default 256.
    pub group: usize,
    /// Bytes of one body (of a record or an event), at most. Default 4 MiB.
    pub max_body: usize,
    /// Bytes of the database file, at most (the write-ahead log beside it not counted); a write
    /// above is [`Unavailable`](crate::store::StoreError::Unavailable). Default: what the disk holds.
    pub max_file: Option<u64>,
    /// How long the writer waits for another program that holds the write lock, such as an
    /// operator's `sqlite3`. Default 5 s.
    pub busy_timeout: Duration,
    /// Bytes of the file that each reader maps into memory; 0 reads through the page cache of the
    /// connection alone. Default 256 MiB (address space, not memory).
    pub mmap: u64,
    /// Bytes of records read lately that are kept in memory, about; 0 keeps none. Default 8 MiB.
    pub cache: usize,
    /// Bytes of a file of an earlier certmint, which did not erase what it deleted, up to which it is written anew when
    /// it is opened. A larger one is left to `certmint migrate`, since it takes its time. Default 1 GiB.
    pub rewrite: u64,
    /// The clock for commit times. Default: the clock of SQLite, as a server would use its own.
    pub now: Option<Now>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            read_queue: 1024,
            write_queue: 1024,
            group: 256,
            max_body: 4 << 20,
            max_file: None,
            busy_timeout: Duration::from_secs(5),
            mmap: 256 << 20,
            cache: 8 << 20,
            rewrite: 1 << 30,
            now: None,
        }
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            readers,
            read_queue,
            write_queue,
            group,
            max_body,
            max_file,
            busy_timeout,
            mmap,
            cache,
            rewrite,
            now,
        } = self;
        f.debug_struct("SqliteOptions")
            .field("readers", readers)
            .field("read_queue", read_queue)
            .field("write_queue", write_queue)
            .field("group", group)
            .field("max_body", max_body)
            .field("max_file", max_file)
            .field("busy_timeout", busy_timeout)
            .field("mmap", mmap)
            .field("cache", cache)
            .field("rewrite", rewrite)
            .field("now", &now.as_ref().map(|_| "given"))
            .finish()
    }
}
