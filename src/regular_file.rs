//! Reads files that are read again while the server runs: each time within bounded time and memory, whatever stands at
//! the path by then.

use rustix::fs::OFlags;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// An open file, and what the system says of it: of the file, not of the path, which could be another one by now.
///
/// # Errors
/// Also for what is no regular file: a pipe or a device may keep its reader waiting for ever.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // Without waiting for somebody to open the other end of a pipe.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok((file, facts))
}

/// Up to `limit` bytes of the file.
///
/// # Errors
/// As [`open`]; and where the file is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<(Vec<u8>, Metadata)> {
    let (file, facts) = open(path)?;
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok((content, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap().0, b"12345");
        assert!(read(&path, 4).unwrap_err().to_string().contains("larger than 4 bytes"));
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for irregular in [pipe.as_path(), folder.path(), Path::new("/dev/zero")] {
            let error = read(irregular, 5).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file", "{}", irregular.display());
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read(&link, 5).unwrap().0, b"12345", "that is how a cluster mounts secrets");
    }
}
