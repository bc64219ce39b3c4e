//! The master keys that wrap data keys: a text file or variable with one key on each line, newest last.

use super::master_key_lines::{KEY_LEN, MasterKeyLines};
use super::random::fill;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More than a thousand keys; a larger file is not one of ours.
const MAX_FILE: usize = 64 * 1024;

const HEADER: &str = "\
# Master keys of certmint. Each line is `id base64`, 32 bytes each; the last one encrypts, all decrypt.
# To rotate, add a line: id, a space, and the output of `openssl rand -base64 32`; then run `certmint reseal`.
# Whoever has this file and the store can read every private key: guard it, and back it up apart.
";

/// Why the server cannot start with these master keys. Never holds a key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("the master key file {path} cannot be {action}: {source}", path = path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error(
        "the master key file {path} is readable by others (mode {mode:04o}). Run: chmod 600 {path}",
        path = path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("the master key file {path} is not valid: {source}", path = path.display())]
    File { path: PathBuf, source: MasterKeyTextError },
}

/// What is wrong with the text.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum MasterKeyTextError {
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: &'static str },
    #[error("it holds no key")]
    Empty,
    #[error("it is larger than {MAX_FILE} bytes")]
    TooLarge,
    #[error("the master key {id} comes from a command, which is not run here")]
    Command { id: String },
}

/// At least one key; the last is the newest.
pub struct MasterKeys(Vec<(String, Zeroizing<[u8; KEY_LEN]>)>);

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(id, _)| id)).finish()
    }
}

impl MasterKeyLines {
    /// Reads the file; makes it with one random key if there is none. Where two processes start
    /// at once, one makes it and both read it.
    ///
    /// # Errors
    /// Where it cannot be read or made, others may read it, or it is not valid.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        match File::open(path) {
            Ok(file) => read(file, path, 0o077),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(io_error(path, "made"))?;
                read(File::open(path).map_err(io_error(path, "read"))?, path, 0o077)
            }
            Err(error) => Err(io_error(path, "read")(error)),
        }
    }

    /// Reads a file that is there already. It is another's to make, so its group may read it: that is how secrets
    /// are handed to containers that do not run as root.
    ///
    /// # Errors
    /// As of [`MasterKeyLines::load_or_create`], and where there is none.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        read(File::open(path).map_err(io_error(path, "read"))?, path, 0o037)
    }
}

impl MasterKeys {
    /// As [`MasterKeyLines::load_or_create`], of a file without commands.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        MasterKeyLines::load_or_create(path)?.keys().map_err(invalid(path))
    }

    /// As [`MasterKeyLines::load`], of a file without commands.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        MasterKeyLines::load(path)?.keys().map_err(invalid(path))
    }

    /// As [`MasterKeyLines::from_text`], of a text without commands.
    pub fn from_text(text: &str) -> Result<Self, MasterKeyTextError> {
        MasterKeyLines::from_text(text)?.keys()
    }

    pub(super) fn of(keys: Vec<(String, Zeroizing<[u8; KEY_LEN]>)>) -> Self {
        Self(keys)
    }

    /// One key that lives as long as the process: what it sealed cannot be opened after a restart.
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        fill(&mut *key);
        Self(vec![(random_key_id(), key)])
    }

    /// The id of the key that seals.
    pub fn newest(&self) -> &str {
        self.0.last().map_or("", |(id, _)| id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &[u8; KEY_LEN])> {
        self.0.iter().map(|(id, key)| (id.as_str(), &**key))
    }
}

/// `closed` are the rights that nobody may have.
fn read(file: File, path: &Path, closed: u32) -> Result<MasterKeyLines, MasterKeyError> {
    // The mode of the open file, not of the path, which could be another file by now.
    let mode = file.metadata().map_err(io_error(path, "read"))?.mode() & 0o7777;
    if mode & closed != 0 {
        return Err(MasterKeyError::Exposed { path: path.to_owned(), mode });
    }
    // Room for all of it, so that no copy is left behind when it grows.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE + 1));
    file.take(MAX_FILE as u64 + 1).read_to_string(&mut text).map_err(io_error(path, "read"))?;
    if text.len() > MAX_FILE {
        return Err(invalid(path)(MasterKeyTextError::TooLarge));
    }
    MasterKeyLines::from_text(&text).map_err(invalid(path))
}

fn invalid(path: &Path) -> impl Fn(MasterKeyTextError) -> MasterKeyError {
    move |source| MasterKeyError::File { path: path.to_owned(), source }
}

/// Appears whole or not at all, and never replaces a file that another process made meanwhile.
fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".master-keys-{}", super::random::random_id().simple()));
    let made = write_new(&temporary).and_then(|()| match fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A process that found `path` complete has removed ours as a leftover.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.exists() => Ok(()),
        // Some file systems have no links.
        Err(_) if !path.exists() => fs::rename(&temporary, path),
        other => other,
    });
    let removed = match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    made.and(removed).and_then(|()| File::open(folder)?.sync_all())
}

fn write_new(path: &Path) -> io::Result<()> {
    let keys = MasterKeys::random();
    let mut text = Zeroizing::new(String::with_capacity(512));
    text.push_str(HEADER);
    for (id, key) in keys.iter() {
        let encoded = Zeroizing::new(STANDARD.encode(key));
        writeln!(text, "{id} {}", *encoded).map_err(io::Error::other)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn random_key_id() -> String {
    let mut id = super::random::random_id().simple().to_string();
    id.truncate(8);
    id
}

fn io_error(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> MasterKeyError {
    move |source| MasterKeyError::Io { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn the_file_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.keys");
        let first = MasterKeys::load_or_create(&path).unwrap();
        let again = MasterKeys::load_or_create(&path).unwrap();
        assert!(first.iter().eq(again.iter()));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn processes_that_start_at_once_have_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.keys");
        let ids: std::collections::HashSet<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| MasterKeys::load_or_create(&path).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap().newest().to_owned()).collect()
        });
        assert_eq!(ids.len(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.keys");
        MasterKeys::load_or_create(&path).unwrap();
        for exposed in [0o640, 0o604, 0o620, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(exposed)).unwrap();
            let message = MasterKeys::load_or_create(&path).unwrap_err().to_string();
            assert!(message.ends_with(&format!("Run: chmod 600 {}", path.display())), "{message}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(MasterKeys::load_or_create(&path).is_ok());
    }

    #[test]
    fn a_file_of_others_is_read_but_never_made_and_its_group_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let message = MasterKeys::load(&path).unwrap_err().to_string();
        assert!(message.contains("cannot be read: No such file") && !path.exists(), "{message}");
        fs::write(&path, format!("a {KEY}\n")).unwrap();
        for (mode, good) in [(0o440, true), (0o640, true), (0o444, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(MasterKeys::load(&path).is_ok(), good, "{mode:o}");
        }
    }

    #[test]
    fn the_newest_is_the_last_line() {
        let keys = MasterKeys::from_text(&format!("# one\r\n\nold {KEY}\r\n  2026-10 {KEY}\n")).unwrap();
        assert_eq!(keys.newest(), "2026-10");
        assert_eq!(format!("{keys:?}"), r#"["old", "2026-10"]"#);
    }

    #[test]
    fn text_that_is_wrong_is_refused_with_its_line() {
        for (text, message) in [
            (String::new(), "it holds no key"),
            ("# nothing\n".to_owned(), "it holds no key"),
            (format!("\n{KEY}"), "line 2: a line is an id, a space and a key in base64"),
            (format!("a {KEY} b"), "line 1: a line is an id, a space and a key in base64"),
            (format!("a/b {KEY}"), "line 1: the id has up to 32 letters, digits, - _ and ."),
            (format!("a {KEY}\na {KEY}"), "line 2: the id is already used on an earlier line"),
            ("a ????".to_owned(), "line 1: the key is not base64"),
            ("a AAAA".to_owned(), "line 1: the key does not have 32 bytes (44 characters of base64)"),
        ] {
            assert_eq!(MasterKeys::from_text(&text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn a_broken_file_is_named_but_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.keys");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap()
            .write_all(b"a s3cret")
            .unwrap();
        let message = MasterKeys::load_or_create(&path).unwrap_err().to_string();
        assert!(message.contains("master.keys is not valid: line 1"), "{message}");
        assert!(!message.contains("s3cret"));
        fs::write(&path, format!("a {KEY}\n{}", "# x\n".repeat(MAX_FILE / 4))).unwrap();
        let message = MasterKeys::load_or_create(&path).unwrap_err().to_string();
        assert!(message.ends_with("it is larger than 65536 bytes"), "{message}");
    }
}
