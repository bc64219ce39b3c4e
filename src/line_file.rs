//! A file that lines are appended to, each time on the disk when the call ends; it is opened again where somebody renamed
//! or removed it, as programs that rotate logs do.

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file, open.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    file: File,
    /// The last write may have left a part of a line.
    is_torn: bool,
}

impl LineFile {
    /// Opens the file for its owner alone, and makes it where it is not there. Lines are put behind what is in it. It is
    /// locked: what another process appends would be cut off together with a part of a line.
    ///
    /// # Errors
    /// Also for what is neither a regular file nor a device, such as a folder, or a pipe that nobody reads, and for a
    /// file that another process writes.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let is_torn = file.metadata()?.len() > 0 && !ends_with_a_line(path)?;
        Ok(Self { path: path.to_owned(), file, is_torn })
    }

    /// Appends whole lines. Where it fails nothing of them is there, or the next call puts a line end behind the rest.
    ///
    /// # Errors
    /// Where they are not on the disk.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let before = self.file.metadata()?;
        let written = self.write(lines, before.is_file());
        match &written {
            Ok(()) => self.is_torn = false,
            Err(_) if before.is_file() => self.is_torn = self.file.set_len(before.len()).is_err() || self.is_torn,
            Err(_) => {}
        }
        written
    }

    fn write(&mut self, lines: &[u8], is_file: bool) -> io::Result<()> {
        if self.is_torn {
            self.file.write_all(b"\n")?;
        }
        self.file.write_all(lines)?;
        if is_file { self.file.sync_data() } else { Ok(()) }
    }

    /// Whether another file, or none, is at the path by now.
    pub fn is_gone(&self) -> bool {
        let place = |facts: &Metadata| (facts.dev(), facts.ino());
        match (self.file.metadata(), fs::metadata(&self.path)) {
            (Ok(own), Ok(there)) => own.nlink() == 0 || place(&own) != place(&there),
            _ => true,
        }
    }

    /// Goes on in the file that is at the path now, which is made where there is none. Where it is still the same file,
    /// nothing is done: it was locked all the time.
    ///
    /// # Errors
    /// As [`LineFile::open`]; it goes on in the old one then.
    pub fn reopen(&mut self) -> io::Result<()> {
        if self.is_gone() {
            *self = Self::open(&self.path)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    let facts = file.metadata()?;
    let kind = facts.file_type();
    if kind.is_char_device() {
        return Ok(file);
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a regular file nor a device"));
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        // Some file systems of networks and of user space know no locks.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => {}
        Err(Errno::WOULDBLOCK) => return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process writes it")),
        Err(other) => return Err(other.into()),
    }
    if facts.len() == 0
        && let Some(folder) = path.parent()
    {
        // A new file is there after a power failure only if its folder says so.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match File::open(folder).and_then(|folder| folder.sync_all()) {
            Ok(()) => {}
            // A folder that may be entered and not read, and file systems without such a call.
            Err(error) if matches!(error.kind(), PermissionDenied | InvalidInput | Unsupported) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(file)
}

fn ends_with_a_line(path: &Path) -> io::Result<bool> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_a_file_that_was_moved_or_removed_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = LineFile::open(&path).unwrap();
        file.append(b"one\n").unwrap();
        assert!(!file.is_gone());
        fs::rename(&path, folder.path().join("audit.log.1")).unwrap();
        assert!(file.is_gone());
        file.append(b"two\n").unwrap();
        file.reopen().unwrap();
        file.append(b"three\n").unwrap();
        fs::remove_file(&path).unwrap();
        assert!(file.is_gone());
        let moved = fs::read_to_string(folder.path().join("audit.log.1")).unwrap();
        assert_eq!(moved, "one\ntwo\n");
        assert_eq!(fs::metadata(folder.path().join("audit.log.1")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_has_one_writer_which_may_open_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = LineFile::open(&path).unwrap();
        file.reopen().unwrap();
        file.reopen().unwrap();
        let refused = LineFile::open(&path).unwrap_err();
        assert_eq!(
            (refused.kind(), refused.to_string().as_str()),
            (io::ErrorKind::ResourceBusy, "another process writes it")
        );
        drop(file);
        LineFile::open(&path).unwrap().append(b"one\n").unwrap();
    }

    #[test]
    fn a_folder_that_may_be_entered_and_not_read_holds_a_file_all_the_same() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o300)).unwrap();
        let opened = LineFile::open(&folder.path().join("audit.log"));
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        opened.unwrap().append(b"one\n").unwrap();
    }

    #[test]
    fn the_rest_of_a_line_that_was_cut_gets_a_line_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        fs::write(&path, "one\ntw").unwrap();
        let mut file = LineFile::open(&path).unwrap();
        file.append(b"three\n").unwrap();
        file.append(b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntw\nthree\nfour\n");
    }

    #[test]
    fn a_full_device_is_an_error_and_so_are_folders_and_pipes() {
        let mut full = LineFile::open(Path::new("/dev/full")).unwrap();
        assert_eq!(full.append(b"one\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        let folder = tempfile::tempdir().unwrap();
        assert!(LineFile::open(folder.path()).is_err());
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(LineFile::open(&pipe).is_err());
    }
}
