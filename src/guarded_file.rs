//! Reading the files that say who may call and what they may do: nobody else may be able to write them.

use crate::regular_file;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file cannot be used. Holds nothing of its content.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read the {what} {}: {source}", path.display())]
    Read { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the {what} {path} is writable by others (mode {mode:04o}). Run: chmod go-w {path}", path = path.display())]
    Writable { what: &'static str, path: PathBuf, mode: u32 },
    #[error("the {what} {} cannot be used: it is larger than {most} bytes", path.display())]
    TooLarge { what: &'static str, path: PathBuf, most: u64 },
}

/// The content of a file of at most `most` bytes that only its owner may write.
///
/// # Errors
/// As [`FileError`] says.
pub fn read_guarded(what: &'static str, path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { what, path: path.to_owned(), source };
    let (file, facts) = regular_file::open(path).map_err(failed)?;
    let mode = facts.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(FileError::Writable { what, path: path.to_owned(), mode });
    }
    let mut text = Vec::new();
    file.take(most + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > most {
        return Err(FileError::TooLarge { what, path: path.to_owned(), most });
    }
    Ok(text)
}
