//! Requests to the writer and their results, which are sent only after their common transaction has ended.

use super::error::{Lost, shared_error, store_error};
use crate::domain::Timestamp;
use crate::store::{Batch, HistoryLost, Record, Revision, StoreError};
use rusqlite::Connection;
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A read that runs on some connection and answers by itself.
pub(super) type Job = Box<dyn FnOnce(&Connection) + Send>;

pub(super) enum Request {
    Commit(Batch, Answer<Revision>),
    Claim {
        now: Timestamp,
        until: Timestamp,
        limit: usize,
        answer: Answer<Vec<Record>>,
    },
    Trim {
        before: Timestamp,
        keep_at_least: u64,
        limit: usize,
        answer: Answer<u64>,
    },
    /// A database in memory has one connection, so the writer reads too.
    Read(Job),
}

/// Answers that the file is not the one any more that this process began with.
pub(super) fn refuse(request: Request, lost: &HistoryLost) {
    // The receivers may have been dropped; ignore the error.
    match request {
        Request::Commit(_, answer) => drop(answer.send(Err(lost.clone().into()))),
        Request::Claim { answer, .. } => drop(answer.send(Err(lost.clone().into()))),
        Request::Trim { answer, .. } => drop(answer.send(Err(lost.clone().into()))),
        Request::Read(_) => {}
    }
}

/// Waits for the outcome of the transaction.
pub(super) type Deferred = Box<dyn FnOnce(Option<&Arc<Lost>>)>;

pub(super) fn defer<T: 'static>(answer: Answer<T>, result: Option<Result<T, StoreError>>) -> Deferred {
    Box::new(move |lost| {
        let told = match (lost, result) {
            (None, Some(result)) => result,
            (Some(error), _) => Err(shared_error(error)),
            (None, None) => Err(store_error(rusqlite::Error::InvalidQuery)),
        };
        // The receiver may have been dropped; ignore the error.
        let _ = answer.send(told);
    })
}
