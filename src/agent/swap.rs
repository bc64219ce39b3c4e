//! Entries of folders that change at one moment: a file, or the link to a folder. The new one is written beside the
//! present one, under a name of its own, and renamed over it; the one before stays beside under another name.

use super::material::Content;
use super::owner::Owner;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Error, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The folders of versions beside `current`.
const VERSIONS: &str = "versions";

/// An entry that is replaced.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Swap {
    pub(super) live: PathBuf,
    /// A link to a folder; else a file.
    pub(super) is_link: bool,
    /// There was one before, which [`Swap::back`] brings back.
    #[serde(default)]
    pub(super) had: bool,
}

/// A file to be written.
pub(super) struct NewFile {
    pub(super) name: &'static str,
    pub(super) content: Content,
    pub(super) mode: u32,
}

impl Swap {
    pub(super) fn file(live: PathBuf) -> Self {
        Self { live, is_link: false, had: false }
    }

    /// The link `current` of a folder.
    pub(super) fn link(directory: &Path) -> Self {
        Self { live: directory.join("current"), is_link: true, had: false }
    }

    fn beside(&self, what: &str) -> PathBuf {
        let name = self.live.file_name().unwrap_or_default().to_string_lossy();
        self.live.with_file_name(format!(".{name}.certmint-{what}"))
    }

    fn staged(&self) -> PathBuf {
        self.beside("new")
    }

    fn before(&self) -> PathBuf {
        self.beside("old")
    }

    fn folder(&self) -> &Path {
        self.live.parent().unwrap_or(Path::new("/"))
    }

    /// Writes the new file beside the present one; it is on the disk when this ends.
    pub(super) fn stage_file(&self, content: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
        self.check()?;
        fs::create_dir_all(self.folder())?;
        write(&self.staged(), content, mode, owner)
    }

    /// Writes a new folder with the files, and a link to it beside the present one. Returns the folder.
    pub(super) fn stage_folder(&self, version: &str, files: &[NewFile], owner: Owner) -> io::Result<PathBuf> {
        self.check()?;
        let versions = self.folder().join(VERSIONS);
        fs::create_dir_all(&versions)?;
        // What an attempt before left behind that failed.
        self.prune()?;
        let (name, folder) = fresh(&versions, version)?;
        for NewFile { name, content, mode } in files {
            write(&folder.join(name), content, *mode, owner)?;
        }
        owner.apply(&File::open(&folder)?)?;
        sync(&folder)?;
        sync(&versions)?;
        let staged = self.staged();
        remove(&staged)?;
        symlink(Path::new(VERSIONS).join(name), &staged)?;
        Ok(folder)
    }

    /// What stands there is of the kind that is expected, or nothing.
    fn check(&self) -> io::Result<()> {
        match self.live.symlink_metadata() {
            Ok(facts) if self.is_link && facts.is_symlink() || !self.is_link && facts.is_file() => Ok(()),
            Ok(_) if self.is_link => Err(Error::new(ErrorKind::AlreadyExists, "it is there, and not a link")),
            Ok(_) => Err(Error::new(ErrorKind::AlreadyExists, "it is there, and not a regular file")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps what stands there under a second name.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        let (before, between) = (self.before(), self.beside("kept"));
        remove(&between)?;
        match fs::hard_link(&self.live, &between) {
            Ok(()) => {
                fs::rename(&between, &before)?;
                // Both names of one file: nothing was renamed.
                remove(&between)?;
                self.had = true;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                remove(&before)?;
                self.had = false;
            }
            Err(error) => return Err(error),
        }
        sync(self.folder())
    }

    /// Removes what was written beside: nothing comes of it.
    pub(super) fn discard(&self) {
        // What cannot be removed is replaced by the next one.
        let _ = remove(&self.staged());
    }

    /// Puts the new one in its place, if that was not done yet.
    pub(super) fn commit(&self) -> io::Result<()> {
        match fs::rename(self.staged(), &self.live) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => sync(self.folder()),
        }
    }

    /// Puts the one before in its place again; it may be repeated.
    pub(super) fn back(&self) -> io::Result<()> {
        if self.had {
            let staged = self.staged();
            remove(&staged)?;
            fs::hard_link(self.before(), &staged)?;
            fs::rename(&staged, &self.live)?;
            remove(&staged)?;
        } else {
            remove(&self.live)?;
        }
        sync(self.folder())
    }

    /// Removes folders of versions that neither the link nor the one before names.
    pub(super) fn prune(&self) -> io::Result<()> {
        if !self.is_link {
            return Ok(());
        }
        let named = |link: &Path| fs::read_link(link).ok().and_then(|to| to.file_name().map(ToOwned::to_owned));
        let used = [named(&self.live), named(&self.before())];
        for entry in fs::read_dir(self.folder().join(VERSIONS))? {
            let entry = entry?;
            if !used.contains(&Some(entry.file_name())) && is_ours(&entry.file_name().to_string_lossy()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// A folder that was not there: of a version that is written again, one with a number behind it.
fn fresh(versions: &Path, version: &str) -> io::Result<(String, PathBuf)> {
    let mut number = 0_u32;
    loop {
        let name = if number == 0 { version.to_owned() } else { format!("{version}-{number}") };
        let folder = versions.join(&name);
        match fs::create_dir(&folder) {
            Ok(()) => return Ok((name, folder)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// A version, or one with a number.
fn is_ours(name: &str) -> bool {
    let version = name.split('-').next().unwrap_or_default();
    version.len() == 32 && version.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A new file with its owner and mode before its content can be seen by others.
pub(super) fn write(path: &Path, content: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
    remove(path)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    owner.apply(&file)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// The names of a folder are on the disk.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file or a link, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
