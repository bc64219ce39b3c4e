//! Errors of the embedded store, and whether a retry may help.

use super::file::refusal;
use crate::store::StoreError;
use rusqlite::ErrorCode;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Faults that SQLite itself does not name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cannot open {}: {source}", path.display())]
    Open { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{} is in use by another process, which holds {}", path.display(), lock.display())]
    InUse { path: PathBuf, lock: PathBuf },
    #[error("{} is an SQLite database, but not one of certmint (its application_id is {found:#010x})", path.display())]
    Foreign { path: PathBuf, found: i64 },
    #[error(
        "{} was written by a newer certmint (schema {found}, this one knows up to {known}): start the newer one",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "{} is not a store as certmint wrote it ({problem}): it was changed outside certmint; restore it from a backup",
        path.display()
    )]
    Changed { path: PathBuf, problem: String },
    #[error("{} cannot have a write-ahead log (journal mode is {mode}); is it on a network file system?", path.display())]
    NoWal { path: PathBuf, mode: String },
    #[error("the threads of the store have stopped")]
    Stopped,
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let waiting_helps = match &fault {
            Fault::Open { source, .. } => source.downcast_ref().is_none_or(waiting_helps),
            Fault::InUse { .. } | Fault::Stopped => true,
            Fault::Foreign { .. } | Fault::Newer { .. } | Fault::Changed { .. } | Fault::NoWal { .. } => false,
        };
        if waiting_helps { Self::Unavailable(Box::new(fault)) } else { Self::Broken(Box::new(fault)) }
    }
}

pub(super) fn store_error(error: rusqlite::Error) -> StoreError {
    if waiting_helps(&error) { StoreError::Unavailable(Box::new(error)) } else { StoreError::Broken(Box::new(error)) }
}

/// Why nothing of a transaction was committed, for every batch of its group.
#[derive(Debug)]
pub(super) struct Lost {
    error: rusqlite::Error,
    /// The error of the system, if SQLite only reports an I/O error.
    system: Option<String>,
}

impl Lost {
    pub(super) fn new(error: rusqlite::Error, database: Option<&str>) -> Self {
        let vague = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly)
        );
        // A database in memory has an empty path.
        let database = database.filter(|path| vague && !path.is_empty());
        Self { system: database.and_then(|path| refusal(Path::new(path))), error }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, system } = self;
        match system {
            Some(system) => write!(f, "{system} ({error})"),
            None => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Lost {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// The same cause, for every batch of a group.
pub(super) fn shared_error(lost: &Arc<Lost>) -> StoreError {
    let cause = Box::new(Arc::clone(lost));
    if waiting_helps(&lost.error) { StoreError::Unavailable(cause) } else { StoreError::Broken(cause) }
}

fn waiting_helps(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    fn told(code: std::ffi::c_int) -> StoreError {
        store_error(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn what_may_pass_is_unavailable_and_what_stays_is_broken() {
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_NOMEM,
        ] {
            assert!(matches!(told(code), StoreError::Unavailable(_)), "{code}");
        }
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB, ffi::SQLITE_SCHEMA, ffi::SQLITE_ERROR] {
            assert!(matches!(told(code), StoreError::Broken(_)), "{code}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_classified_by_its_cause() {
        let open = |code| {
            let source = Box::new(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            StoreError::from(Fault::Open { path: "x".into(), source })
        };
        assert!(matches!(open(ffi::SQLITE_NOTADB), StoreError::Broken(_)));
        assert!(matches!(open(ffi::SQLITE_BUSY), StoreError::Unavailable(_)));
    }
}
