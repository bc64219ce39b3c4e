//! The limits of the PostgreSQL store, each with its default.

use std::path::PathBuf;
use std::time::Duration;

/// How many connections there are, how long anything may take, and how much goes into one
/// transaction. Counts below one are taken as one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostgresOptions {
    /// A file with the password, read again for each connection, so that it can be changed while
    /// the server runs. Default none: the password of the address, if there is one.
    pub password_file: Option<PathBuf>,
    /// Bring the tables up to date when the store is opened. Default yes.
    pub migrate: bool,
    /// Connections that read; each carries many reads at once. Beside them there are three: one
    /// writes, one claims and trims, one listens. Default 4.
    pub readers: usize,
    /// Reads that may be under way; further callers wait for a place. Default 1,024.
    pub read_queue: usize,
    /// Writes that may wait for the writer; further callers wait for a place. Default 1,024.
    pub write_queue: usize,
    /// Batches that share one transaction, at most. Default 256.
    pub group: usize,
    /// Bytes of bodies in one transaction, at most; a larger batch goes alone. Default 8 MiB.
    pub group_bytes: usize,
    /// Bytes of one body (of a record or an event), at most. Default 4 MiB.
    pub max_body: usize,
    /// How long a new connection may take, with TLS and authentication. Default 5 s.
    pub connect_timeout: Duration,
    /// How long the server may work on one statement. Default 10 s.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock. Default 5 s.
    pub lock_timeout: Duration,
    /// After this long the server ends a transaction whose replica says nothing more, and with it
    /// the locks that hold up the other replicas. Default 5 s.
    pub idle_in_transaction_timeout: Duration,
    /// How long the network may be silent before a connection is given up; above the two timeouts of the
    /// server, which usually come first. Default 20 s.
    pub answer_timeout: Duration,
    /// For how long reads, and writes that are known not to be committed, are repeated after a lost
    /// connection or a rolled back transaction, and a lost COMMIT is asked for. Default 10 s, at
    /// most 5 minutes.
    pub retry_for: Duration,
    /// Idle time of a TCP connection before the first keepalive probe. Default 10 s.
    pub keepalive_idle: Duration,
    /// Between two probes. Default 5 s.
    pub keepalive_interval: Duration,
    /// Probes without an answer that end the connection. Default 3.
    pub keepalive_retries: u32,
    /// How often the head is polled, besides notifications. Default 200 ms.
    pub poll: Duration,
    /// The minimum time between two notifications to the other replicas. Default 20 ms.
    pub poke: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            password_file: None,
            migrate: true,
            readers: 4,
            read_queue: 1024,
            write_queue: 1024,
            group: 256,
            group_bytes: 8 << 20,
            max_body: 4 << 20,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(20),
            retry_for: Duration::from_secs(10),
            keepalive_idle: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(5),
            keepalive_retries: 3,
            poll: Duration::from_millis(200),
            poke: Duration::from_millis(20),
        }
    }
}
