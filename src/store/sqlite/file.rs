//! The database file: readable only by its owner, and locked by one process at a time.

use super::error::Fault;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The right to use a database file. Ends when it is dropped, or with the process.
#[derive(Debug)]
pub(super) struct Claimed {
    /// Where the file really is: two names of one file must meet at one lock.
    pub(super) path: PathBuf,
    /// Opened before SQLite opens it and closed last: closing any descriptor of the file ends SQLite's own locks on it.
    pub(super) database: Arc<File>,
    /// After the file is closed.
    _lock: Lock,
}

/// The `.lock` file, locked. A program that this process starts has a copy of its descriptor until it executes: it is
/// unlocked, and not only closed, so that the copy does not keep the next one out.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // The end of the process unlocks it at the latest.
        let _ = self.0.unlock();
    }
}

impl Claimed {
    /// Makes the file if there is none, and locks the `.lock` file beside it. SQLite's own
    /// locks do not serve: they let two writers take turns, and each counts revisions by itself.
    pub(super) fn new(path: &Path) -> Result<Self, Fault> {
        let failed = |error: io::Error| Fault::Open { path: path.to_owned(), source: Box::new(error) };
        let database = Arc::new(private_file(path).map_err(failed)?);
        let path = fs::canonicalize(path).map_err(failed)?;
        let lock = lock_of(&path);
        let file = private_file(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, database, _lock: Lock(file) }),
            Err(TryLockError::WouldBlock) => Err(Fault::InUse { path, lock }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Claimed {
    /// Brings the names of the files in the folder to the disk.
    pub(super) fn sync_folder(&self) -> Result<(), Fault> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| Fault::Open { path: self.path.clone(), source: Box::new(error) })
    }
}

fn lock_of(database: &Path) -> PathBuf {
    let mut lock = database.as_os_str().to_owned();
    lock.push(".lock");
    PathBuf::from(lock)
}

/// The system's error when writing to the folder of the database, if any. It is tested with the lock file: to open and
/// close the database itself would end SQLite's own locks on it.
pub(super) fn refusal(database: &Path) -> Option<String> {
    let lock = lock_of(database);
    let wrote = OpenOptions::new().write(true).open(&lock).and_then(|mut file| file.write_all(b"\n"));
    wrote.err().map(|error| format!("{} cannot be written to: {error}", lock.display()))
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_ends_with_its_owner_though_a_program_that_is_being_started_has_a_copy_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("certmint.db");
        let first = Claimed::new(&path).unwrap();
        let copy = first._lock.0.try_clone().unwrap();
        assert!(matches!(Claimed::new(&path), Err(Fault::InUse { .. })));
        drop(first);
        Claimed::new(&path).unwrap();
        drop(copy);
    }
}
