//! What the measured parts say of themselves just before the text is made.

use std::time::Duration;

/// The state of the port, from its own counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Port {
    pub open: u64,
    pub accepted: u64,
    pub refused_total: u64,
    pub refused_peer: u64,
    pub handshakes_failed: u64,
    pub accept_errors: u64,
    pub aged: u64,
    pub cut: u64,
}

/// What is known of the master keys.
#[derive(Clone, Debug, Default)]
pub struct MasterKeyLevel {
    /// The ids, and the records that need each, as of the last count.
    pub records: Vec<(String, u64)>,
    /// When they were counted, in seconds since 1970.
    pub counted: Option<i64>,
    /// Records are being brought under the newest one.
    pub under_way: bool,
}

/// The state of the key workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyQueue {
    pub waiting: usize,
    pub running: usize,
    /// Expected time of a core for what waits, by kind of thread.
    pub waiting_time: [(&'static str, Duration); 2],
    /// Jobs that were not run, by cause.
    pub not_run: [(&'static str, u64); 5],
    pub ready_rsa_2048: usize,
    pub ready_rsa_3072: usize,
    pub ready_rsa_4096: usize,
}

/// The state of the log and its streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail {
    pub streams: usize,
    /// The newest revision that this process has read, and the newest that it knows to exist.
    pub revision: u64,
    pub head: u64,
    /// For how long the first has been below the second.
    pub lag: Duration,
}
