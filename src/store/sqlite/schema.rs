//! Connections, the tables, and their migrations.

use super::erase::{self, Eraser};
use super::error::{Fault, store_error};
use super::file::Claimed;
use super::options::SqliteOptions;
use crate::store::StoreError;
use crate::store::counter::{self, FAR};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Row};
use std::path::Path;

/// "CMNT": identifies the database to us and to `file`.
const APPLICATION_ID: i64 = 0x434d_4e54;

/// Schema version n is reached by the first n steps. A step that was released is never edited.
///
/// `records` keeps its rowid: with bodies of some kB, WITHOUT ROWID read at a third of the speed
/// and took twice the space (`docs/decisions/0003-sqlite-embedded.md`).
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE records (
        key      TEXT NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL,
        due      INTEGER,
        body     ANY NOT NULL
    ) STRICT;
    CREATE INDEX records_due ON records (due, key) WHERE due IS NOT NULL;
    CREATE TABLE events (
        revision INTEGER PRIMARY KEY,
        at       INTEGER NOT NULL,
        body     ANY NOT NULL
    ) STRICT;
    CREATE TABLE meta (
        id      INTEGER PRIMARY KEY CHECK (id = 1),
        epoch   TEXT NOT NULL,
        head    INTEGER NOT NULL,
        trimmed INTEGER NOT NULL,
        events  INTEGER NOT NULL
    ) STRICT;
    INSERT INTO meta VALUES (1, lower(hex(randomblob(16))), 0, 0, 0);
",
    "
    -- When a claimed record was due before its lease; NULL where it is not claimed.
    ALTER TABLE records ADD COLUMN leased_from INTEGER;
    CREATE INDEX records_leased ON records (leased_from) WHERE leased_from IS NOT NULL;
",
    "
    -- 1: the file may hold what was deleted by a certmint that did not erase it.
    ALTER TABLE meta ADD COLUMN remnants INTEGER NOT NULL DEFAULT 1;
",
];

const REMNANTS: &str = "\
-- remnants
SELECT remnants FROM meta WHERE id = 1";

const NO_REMNANTS: &str = "\
-- no_remnants
UPDATE meta SET remnants = 0 WHERE id = 1";

/// Only this process uses the file, so the holder of any lease is gone: what it had claimed is due as before.
const END_LEASES: &str = "\
-- end_leases
UPDATE records SET due = leased_from, leased_from = NULL WHERE leased_from IS NOT NULL";

/// What the store knows about its log; one row, written with every transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Meta {
    /// The newest revision.
    pub(super) head: i64,
    /// The newest revision that trimming removed.
    pub(super) trimmed: i64,
    /// How many events the log holds: counted along, as counting a long log takes seconds.
    pub(super) events: i64,
}

pub(super) const META: &str = "\
-- meta
SELECT head, trimmed, events FROM meta WHERE id = 1";

impl Meta {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { head: row.get(0)?, trimmed: row.get(1)?, events: row.get(2)? })
    }
}

/// The writer's connection to a file, and what goes with it.
pub(super) struct OpenedFile {
    pub(super) connection: Connection,
    pub(super) meta: Meta,
    pub(super) epoch: String,
    pub(super) eraser: Eraser,
}

/// Opens the writer's connection and brings the tables up to date.
pub(super) fn open_writer(file: &Claimed, options: &SqliteOptions) -> Result<OpenedFile, Fault> {
    let path = &*file.path;
    let mut eraser = Eraser::before_open(file.database.clone(), path, options.busy_timeout);
    let mut connection = Connection::open(path).map_err(|e| cannot_open(path, e))?;
    check_owner(&connection, path)?;
    let mode = set_up_writer(&connection, options).map_err(|e| cannot_open(path, e))?;
    if mode != "wal" {
        return Err(Fault::NoWal { path: path.to_owned(), mode });
    }
    let open = || {
        migrate(&mut connection)?;
        connection.execute(END_LEASES, [])?;
        // After kill -9 the write-ahead log may hold a commit that was written but not yet flushed.
        // Readers are about to see it, so it must not get lost any more: a checkpoint flushes it.
        eraser.opened(&connection)?;
        if remove_remnants(&connection, path, options.rewrite)? {
            eraser.opened(&connection)?;
        }
        finish(connection)
    };
    let (connection, meta, epoch) = open().map_err(|e| cannot_open(path, e))?;
    // The write-ahead log is there by now, and its name has to be on the disk before a commit is acknowledged out of
    // it. SQLite flushes the folder, but takes a failure for a system that cannot do so.
    file.sync_folder()?;
    Ok(OpenedFile { connection, meta, epoch, eraser })
}

/// Once, after the update from a version that did not erase what it deleted. Whether it wrote the file anew.
fn remove_remnants(connection: &Connection, path: &Path, most: u64) -> rusqlite::Result<bool> {
    if connection.query_row(REMNANTS, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(false);
    }
    let (file, bytes) = (path.display(), erase::size(path));
    if bytes > most {
        tracing::warn!(
            %file, bytes,
            "the database file may hold private keys (sealed) that an earlier version deleted, and is too large to be rewritten at startup: stop the server and run `certmint migrate` when there is time and twice the disk space"
        );
        return Ok(false);
    }
    tracing::info!(%file, bytes, "rewriting the database file without what earlier versions deleted");
    match erase::rewrite(connection, path) {
        Ok(()) => connection.execute(NO_REMNANTS, []).map(|_| true),
        Err(error) => {
            tracing::warn!(%file, %error, "the database file could not be rewritten; the next start tries again");
            Ok(false)
        }
    }
}

/// A database that ends with its connection.
pub(super) fn open_in_memory() -> rusqlite::Result<(Connection, Meta, String)> {
    let mut connection = Connection::open_in_memory()?;
    connection.execute_batch("PRAGMA trusted_schema = OFF;")?;
    migrate(&mut connection)?;
    finish(connection)
}

pub(super) fn open_reader(path: &Path, options: &SqliteOptions) -> Result<Connection, Fault> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(options.busy_timeout)?;
        keep_statements(&connection)?;
        connection.pragma_update(None, "mmap_size", i64::try_from(options.mmap).unwrap_or(i64::MAX))?;
        // 4 MiB of pages: what is read often; the rest is mapped.
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cache_size = -4096; PRAGMA query_only = ON;")?;
        Ok(connection)
    };
    open().map_err(|e| cannot_open(path, e))
}

/// Returns the new epoch. A counter that cannot be believed is set to the newest event or record.
pub(super) fn renew_epoch(connection: &Connection) -> rusqlite::Result<String> {
    connection.execute(MEND_HEAD, [FAR])?;
    connection.query_row(RENEW_EPOCH, [], |row| row.get(0))
}

const RENEW_EPOCH: &str = "\
-- renew_epoch
UPDATE meta SET epoch = lower(hex(randomblob(16))) WHERE id = 1 RETURNING epoch";

const MEND_HEAD: &str = "\
-- mend_head
UPDATE meta SET head = newest.revision FROM (SELECT max(
    0,
    coalesce((SELECT max(revision) FROM events WHERE revision < ?1), 0),
    coalesce((SELECT max(revision) FROM records WHERE revision < ?1), 0)
) AS revision) AS newest
WHERE id = 1 AND (head < newest.revision OR head >= ?1)";

const NEWEST_EVENT: &str = "\
-- newest_event
SELECT max(revision) FROM events";

/// Refuses a counter that was changed, before anything is counted on with it.
pub(super) fn check_counter(connection: &Connection, meta: Meta) -> Result<(), StoreError> {
    let newest = connection.query_row(NEWEST_EVENT, [], |row| row.get(0)).map_err(store_error)?;
    Ok(counter::check(Some(meta.head), newest)?)
}

/// More than there are different statements, so that none is prepared twice.
const STATEMENTS: usize = 32;

/// A statement is prepared once. Without the guarantee SQLite prepares those with a range anew
/// whenever they get another bound, to look for a better plan; ours have but one.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

fn finish(connection: Connection) -> rusqlite::Result<(Connection, Meta, String)> {
    keep_statements(&connection)?;
    let meta = connection.query_row(META, [], Meta::of)?;
    let epoch = connection.query_row("-- epoch\nSELECT epoch FROM meta WHERE id = 1", [], |row| row.get(0))?;
    Ok((connection, meta, epoch))
}

/// Refuses what is not ours before anything is changed in it.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), Fault> {
    let read = || {
        let id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let objects: i64 =
            connection.query_row("-- check_owner\nSELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((id, version, objects))
    };
    let (id, version, objects) = read().map_err(|e| cannot_open(path, e))?;
    let empty = id == 0 && version == 0 && objects == 0;
    if !empty && id != APPLICATION_ID {
        return Err(Fault::Foreign { path: path.to_owned(), found: id });
    }
    if !empty && version < 1 {
        return Err(Fault::Changed { path: path.to_owned(), problem: format!("its user_version is {version}") });
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(Fault::Newer { path: path.to_owned(), found: version, known });
    }
    Ok(())
}

/// Returns the journal mode that the file got.
fn set_up_writer(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<String> {
    connection.busy_timeout(options.busy_timeout)?;
    // The page size holds for a new file only, and must come before the journal mode.
    connection.execute_batch("PRAGMA page_size = 8192; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -16384;")?;
    let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    // FULL flushes the log at each commit. The last two matter on macOS, where fsync does not reach the disk.
    for pragma in [
        "PRAGMA secure_delete = ON",
        "PRAGMA synchronous = FULL",
        "PRAGMA fullfsync = ON",
        "PRAGMA checkpoint_fullfsync = ON",
        "PRAGMA journal_size_limit = 67108864",
    ] {
        query_pragma(connection, pragma)?;
    }
    if let Some(bytes) = options.max_file {
        let page: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get::<_, i64>(0))?.max(1).unsigned_abs();
        let pages = i64::try_from((bytes / page).max(1)).unwrap_or(i64::MAX);
        query_pragma(connection, &format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(mode)
}

/// Some pragmas answer a row and some do not.
fn query_pragma(connection: &Connection, pragma: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(pragma)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, step) in (1_i64..).zip(MIGRATIONS) {
        if number > version {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
        }
    }
    if version == 0 {
        connection.execute(NO_REMNANTS, [])?;
    }
    Ok(())
}

/// SQLITE_ERROR: the statement does not fit the tables.
const SQL_ERROR: i32 = 1;

fn cannot_open(path: &Path, error: rusqlite::Error) -> Fault {
    let problem = match &error {
        rusqlite::Error::QueryReturnedNoRows => "the row of the table meta is missing".to_owned(),
        // Without the text of the statement, which says nothing to an operator.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(code, Some(msg)) if code.extended_code == SQL_ERROR => msg.clone(),
        _ => return Fault::Open { path: path.to_owned(), source: Box::new(error) },
    };
    Fault::Changed { path: path.to_owned(), problem }
}
