//! Errors of the PostgreSQL store, and whether a retry may help.

use crate::store::counter::WrongCounter;
use crate::store::{HistoryLost, Revision, StoreError};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::error::{Severity, SqlState};

/// Why a database call failed. No text of it contains a password: neither the
/// address nor an error of the driver shows one.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the database {address} cannot be reached: {cause}")]
    Unreachable { address: String, cause: Chain },
    #[error("the database {address} did not answer within {within:?}")]
    Silent { address: String, within: Duration },
    #[error("the file {path} with the password of the database cannot be read: {problem}")]
    PasswordFile { path: String, problem: String },
    #[error("{0}")]
    Database(Chain),
    #[error(
        "the connection was lost during COMMIT and the database could not be asked for its outcome within {within:?}: \
         the write may or may not be committed"
    )]
    OutcomeUnknown { within: Duration },
    #[error(
        "the connection was lost in every COMMIT within {within:?}, and none of them took place: nothing is written"
    )]
    NotCommitted { within: Duration },
    #[error("PostgreSQL {found} is too old: certmint needs 15 or later")]
    TooOld { found: String },
    #[error("the database {database} has the encoding {found}; create it with ENCODING 'UTF8'")]
    Encoding { database: String, found: String },
    #[error("the database {database} is not one of certmint: it holds {tables}; give certmint a database of its own")]
    Foreign { database: String, tables: String },
    #[error(
        "the database {database} was written by a newer certmint (schema {found} needs a program that knows {needs}, \
         this one knows up to {known}): start the newer one"
    )]
    Newer { database: String, found: i32, needs: i32, known: i32 },
    #[error(
        "the database {database} has schema {found}, this certmint needs {known}: run `certmint migrate` as a role that \
         may create tables, or set store.migrate = true"
    )]
    NeedsMigration { database: String, found: i32, known: i32 },
    #[error(
        "a connection leads to a server that ends at revision {found}, but {seen} was committed: it is not the primary"
    )]
    Stale { found: Revision, seen: Revision },
    #[error(transparent)]
    HistoryLost(#[from] HistoryLost),
    #[error(transparent)]
    WrongCounter(#[from] WrongCounter),
    #[error("the key {key:.64}… has {size} bytes, the limit is {limit}")]
    KeyTooLong { key: String, size: usize, limit: usize },
    #[error("the tasks of the store have stopped")]
    Stopped,
}

/// An error of the driver, shared by all whom it concerns, shown with its causes on one line.
#[derive(Clone)]
pub(super) struct Chain(Arc<tokio_postgres::Error>);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.0.as_db_error() {
            // Not the detail: it may hold values of a row.
            return write!(f, "{}: {} ({})", error.severity(), error.message(), error.code().code());
        }
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<tokio_postgres::Error> for Chain {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What helps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cure {
    /// The connection is gone or the transaction was rolled back for its neighbours' sake: whatever
    /// is known not to be committed may be done again at once.
    Repeat,
    /// Nothing that we should do at once; the caller may come again.
    Wait,
    /// Waiting does not help.
    None,
}

impl Fault {
    pub(super) fn cure(&self) -> Cure {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Stale { .. } => Cure::Repeat,
            Self::Database(Chain(error)) => cure_of(error),
            Self::PasswordFile { .. }
            | Self::OutcomeUnknown { .. }
            | Self::NotCommitted { .. }
            | Self::HistoryLost(_)
            | Self::Stopped => Cure::Wait,
            Self::TooOld { .. }
            | Self::Encoding { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::NeedsMigration { .. }
            | Self::WrongCounter(_)
            | Self::KeyTooLong { .. } => Cure::None,
        }
    }

    /// Whether the server refused a statement and goes on. Where it ended the session, or said nothing, the connection
    /// is of no use, and a COMMIT is in doubt.
    pub(super) fn spares_the_connection(&self) -> bool {
        match self {
            // A server that became a standby refuses every write on this connection, too.
            Self::Database(Chain(error)) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => false,
            Self::Database(Chain(error)) => {
                error.as_db_error().is_some_and(|answer| answer.parsed_severity() == Some(Severity::Error))
            }
            _ => false,
        }
    }

    /// Whether another transaction made the database roll this one back.
    pub(super) fn is_contention(&self) -> bool {
        matches!(self, Self::Database(Chain(error)) if error.code().is_some_and(|state| state.code().starts_with("40")))
    }
}

fn cure_of(error: &tokio_postgres::Error) -> Cure {
    let Some(state) = error.code() else {
        // Not an answer of the server: the connection is gone. The driver's own errors about types
        // and columns are ours to mend.
        let ours = error.to_string();
        let ours = ["serializing", "deserializing", "column", "parameters", "rows"].iter().any(|it| ours.contains(it));
        return if ours { Cure::None } else { Cure::Repeat };
    };
    match state {
        // Shut down, crashed, starting: the next connection may go to a server that works.
        &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN | &SqlState::CANNOT_CONNECT_NOW => Cure::Repeat,
        // A primary that became a standby.
        &SqlState::READ_ONLY_SQL_TRANSACTION | &SqlState::TOO_MANY_CONNECTIONS => Cure::Repeat,
        &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Cure::Repeat,
        state => match &state.code()[..2] {
            "08" | "40" => Cure::Repeat,
            // Locks and timeouts; disk or memory full; wrong password, no such database; input and output.
            "28" | "3D" | "53" | "55" | "57" | "58" => Cure::Wait,
            _ => Cure::None,
        },
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        if let Fault::HistoryLost(lost) = fault {
            return lost.into();
        }
        match fault.cure() {
            Cure::Repeat | Cure::Wait => Self::Unavailable(Box::new(fault)),
            Cure::None => Self::Broken(Box::new(fault)),
        }
    }
}
