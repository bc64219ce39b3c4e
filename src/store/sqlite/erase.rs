//! Erasing what was deleted. SQLite overwrites deleted content in the file with zeros (`secure_delete`), but leaves
//! two copies behind: the older frames of the write-ahead log, and the cells that it moved within a page or to its
//! neighbour, in the part of the page that is not in use. This moves the log into the file, clears those parts, and
//! truncates the log (`docs/decisions/0015-erasing-deleted-keys.md`).

use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frames in the log before they are moved into the file, as SQLite's own `wal_autocheckpoint`.
const FRAMES: u32 = 1000;
/// Without another write for so long, what was removed is erased.
const QUIET: Duration = Duration::from_millis(250);
/// However busy the writer is, it is erased after this time.
const AT_MOST: Duration = Duration::from_secs(5);
/// How long the writer waits for readers of the log. Ours are done within milliseconds.
const FOR_READERS: Duration = Duration::from_millis(50);
/// Waits after attempts that another program's read transaction prevented.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// An attempt that still fails after this time is worth a line in the log of the server.
const WORTH_A_WARNING: Duration = Duration::from_secs(60);

// The layout of the files: https://www.sqlite.org/fileformat2.html, sections 1.6 and 4.1.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
const LEAF_OF_A_TABLE: u8 = 0x0d;
const LEAF_HEADER: usize = 8;
/// The first bytes of a page that is no leaf may be the number of another page: from here on, one could look like a
/// leaf. Beyond 1 TiB.
const PAGES_THAT_CAN_BE_TOLD: u64 = 0x0a00_0000;

/// What is to be erased of one database file.
pub(super) struct Eraser {
    /// The same file that the connection has open. Closing it would end SQLite's locks, so it is kept until the
    /// connections are closed.
    file: Arc<File>,
    log: PathBuf,
    page_size: usize,
    busy_timeout: Duration,
    /// Pages that were written since the parts not in use were last cleared.
    pages: BTreeSet<u32>,
    followed: Followed,
    /// Frames at the last attempt to move the log into the file.
    attempted: u32,
    removed: Option<Removed>,
}

/// How far the frames of the log were read.
#[derive(Default)]
struct Followed {
    /// Differs for each generation of the log.
    salts: [u8; 8],
    frames: u32,
    /// A transaction that was rolled back left frames of this generation in the log: the next ones are written over
    /// them, where they were counted already.
    rolled_back: bool,
}

/// Content was removed and is still in the log.
#[derive(Clone, Copy)]
struct Removed {
    since: Instant,
    next: Instant,
    /// After an attempt that failed.
    wait: Option<Duration>,
    warned: bool,
}

/// What an attempt came to.
#[derive(Debug, Eq, PartialEq)]
enum Attempt {
    Done,
    /// Somebody reads an older state of the database.
    Busy,
}

impl Eraser {
    /// Before the database is opened: what a process that was killed left in the log.
    pub(super) fn before_open(file: Arc<File>, path: &Path, busy_timeout: Duration) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let mut eraser = Self {
            file,
            log: PathBuf::from(log),
            page_size: 0,
            busy_timeout,
            pages: BTreeSet::new(),
            followed: Followed::default(),
            attempted: 0,
            removed: None,
        };
        eraser.page_size = eraser.page_size_of_the_log().unwrap_or(0);
        // It may have died in a transaction.
        eraser.follow();
        eraser.rolled_back();
        eraser
    }

    /// After the database was opened: erases what an earlier process did not come to. From here on the log is moved
    /// into the file by [`Eraser::after_write`].
    pub(super) fn opened(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let page: i64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        self.page_size = usize::try_from(page).unwrap_or(0);
        connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
        self.follow();
        if self.erase(connection)? == Attempt::Busy {
            let now = Instant::now();
            self.removed = Some(Removed { since: now, next: now + AGAIN.0, wait: Some(AGAIN.0), warned: false });
        }
        Ok(())
    }

    /// Reads the page numbers of the frames that were written since it last looked.
    fn follow(&mut self) {
        // A log that cannot be read now is read at the next write; the checkpoint itself reports what is wrong.
        let _ = self.follow_log();
    }

    fn follow_log(&mut self) -> io::Result<()> {
        let log = match File::open(&self.log) {
            Ok(log) => log,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut header = [0; LOG_HEADER as usize];
        if !read_whole(&log, &mut header, 0)? {
            self.followed = Followed::default();
            self.attempted = 0;
            return Ok(());
        }
        let salts: [u8; 8] = header[16..24].try_into().unwrap_or_default();
        if salts != self.followed.salts {
            self.followed = Followed { salts, ..Followed::default() };
            self.attempted = 0;
        }
        if self.followed.rolled_back {
            self.followed.frames = 0;
        }
        let mut frame = [0; FRAME_HEADER as usize];
        loop {
            let place = LOG_HEADER + u64::from(self.followed.frames) * (FRAME_HEADER + self.page_size as u64);
            if !read_whole(&log, &mut frame, place)? || frame[8..16] != salts {
                return Ok(());
            }
            self.pages.insert(u32::from_be_bytes(frame[..4].try_into().unwrap_or_default()));
            self.followed.frames += 1;
        }
    }

    fn page_size_of_the_log(&self) -> io::Result<usize> {
        let mut size = [0; 4];
        let log = File::open(&self.log)?;
        Ok(if read_whole(&log, &mut size, 8)? { u32::from_be_bytes(size) as usize } else { 0 })
    }

    /// After a transaction that was rolled back. A large one was written to the log before its end, and what is there
    /// of it looks like the frames of any other.
    pub(super) fn rolled_back(&mut self) {
        self.followed.rolled_back = true;
    }

    /// After a transaction. `removed`: whether it deleted or replaced the body of a record.
    pub(super) fn after_write(&mut self, connection: &Connection, removed: bool, at: Instant) {
        self.follow();
        if removed {
            match &mut self.removed {
                Some(removed) if removed.wait.is_none() => removed.next = (at + QUIET).min(removed.since + AT_MOST),
                Some(_) => {}
                None => self.removed = Some(Removed { since: at, next: at + QUIET, wait: None, warned: false }),
            }
        }
        if self.due().is_some_and(|due| due <= at) {
            self.attempt(connection, at);
        } else if self.followed.frames >= self.attempted.saturating_add(FRAMES) {
            self.attempted = self.followed.frames;
            if let Err(error) = self.move_into_file(connection) {
                tracing::warn!(%error, "the write-ahead log could not be moved into the database file; will retry");
            }
        }
    }

    /// When [`Eraser::attempt`] is to be called, if anything was removed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.removed.map(|removed| removed.next)
    }

    /// Erases what was removed, or plans the next attempt.
    pub(super) fn attempt(&mut self, connection: &Connection, at: Instant) {
        let failed = match self.erase(connection) {
            Ok(Attempt::Done) => {
                self.removed = None;
                return;
            }
            Ok(Attempt::Busy) => "another program reads an older state of the database in an open transaction".into(),
            Err(error) => error.to_string(),
        };
        let Some(removed) = &mut self.removed else { return };
        let wait = removed.wait.map_or(AGAIN.0, |wait| (wait * 2).min(AGAIN.1));
        removed.wait = Some(wait);
        removed.next = at + wait;
        if at.duration_since(removed.since) >= WORTH_A_WARNING && !removed.warned {
            removed.warned = true;
            tracing::warn!(
                reason = failed,
                "deleted or replaced content is still in the write-ahead log; it will be erased as soon as possible"
            );
        }
    }

    fn erase(&mut self, connection: &Connection) -> rusqlite::Result<Attempt> {
        if self.move_into_file(connection)? == Attempt::Busy {
            return Ok(Attempt::Busy);
        }
        connection.busy_timeout(FOR_READERS)?;
        let truncated = checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        connection.busy_timeout(self.busy_timeout)?;
        let truncated = truncated?;
        self.follow();
        Ok(truncated)
    }

    /// Moves the log into the file, and clears what is not in use of the pages that it brought.
    fn move_into_file(&mut self, connection: &Connection) -> rusqlite::Result<Attempt> {
        if checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")? == Attempt::Busy {
            return Ok(Attempt::Busy);
        }
        let cleared = self.clear();
        cleared.map(|()| Attempt::Done).map_err(|error| {
            rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR),
                Some(format!("deleted content in the database file could not be overwritten: {error}")),
            )
        })
    }

    /// Only this thread writes to the file, and all of the log is in it: the pages are at rest. What is not in use of
    /// a page is read by nobody, so it does not matter who has the page in memory.
    fn clear(&mut self) -> io::Result<()> {
        let pages = self.file.metadata()?.len() / (self.page_size.max(1) as u64);
        let mut page = vec![0; self.page_size];
        let mut written = false;
        for &number in &self.pages {
            // The first page holds the table of tables.
            if number < 2 || u64::from(number) > pages || pages > PAGES_THAT_CAN_BE_TOLD {
                continue;
            }
            let place = u64::from(number - 1) * self.page_size as u64;
            self.file.read_exact_at(&mut page, place)?;
            let Some((from, to)) = not_in_use(&page) else { continue };
            if page[from..to].iter().any(|byte| *byte != 0) {
                self.file.write_all_at(&vec![0; to - from], place + from as u64)?;
                written = true;
            }
        }
        if written {
            self.file.sync_data()?;
        }
        self.pages.clear();
        Ok(())
    }
}

/// The part of a leaf of a table between the places of its cells and the cells.
fn not_in_use(page: &[u8]) -> Option<(usize, usize)> {
    let number = |place: usize| page.get(place..place + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    if page.first() != Some(&LEAF_OF_A_TABLE) {
        return None;
    }
    let from = LEAF_HEADER + 2 * number(3)?;
    let to = match number(5)? {
        0 => 1 << 16,
        start => start,
    };
    (from < to && to <= page.len()).then_some((from, to))
}

/// False if the file ends before.
fn read_whole(file: &File, bytes: &mut [u8], place: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, place) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn checkpoint(connection: &Connection, pragma: &str) -> rusqlite::Result<Attempt> {
    let (busy, frames, moved): (i64, i64, i64) =
        connection.query_row(pragma, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(if busy == 0 && frames == moved { Attempt::Done } else { Attempt::Busy })
}

/// Writes the whole file anew, without what a certmint that did not erase left in it. Needs twice the room of the
/// file for as long as it takes.
pub(super) fn rewrite(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    // SQLite's temporary file goes beside the database: there is room, and nobody else may read it.
    let folder = path.parent().unwrap_or(Path::new(".")).to_string_lossy().replace('\'', "''");
    connection.execute_batch(&format!("PRAGMA temp_store_directory = '{folder}'"))?;
    let rewritten = connection.execute_batch("-- rewrite\nVACUUM");
    connection.execute_batch("PRAGMA temp_store_directory = ''")?;
    rewritten
}

/// Bytes of the database file.
pub(super) fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_places_and_the_cells_of_a_leaf_is_not_in_use() {
        let leaf = |cells: u16, start: u16| {
            let mut page = vec![0; 512];
            page[0] = LEAF_OF_A_TABLE;
            page[3..5].copy_from_slice(&cells.to_be_bytes());
            page[5..7].copy_from_slice(&start.to_be_bytes());
            page
        };
        assert_eq!(not_in_use(&leaf(3, 400)), Some((14, 400)));
        assert_eq!(not_in_use(&leaf(3, 14)), None, "a full page");
        assert_eq!(not_in_use(&leaf(3, 600)), None, "a damaged page is left alone");
        assert_eq!(not_in_use(&leaf(300, 500)), None, "a damaged page is left alone");
        let mut other = leaf(3, 400);
        other[0] = 0x05;
        assert_eq!(not_in_use(&other), None);
        assert_eq!(not_in_use(&[]), None);
    }
}
