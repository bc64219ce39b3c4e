//! A file that is replaced while other programs read it: they have the one before or the new one, and never a part.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Writes a new file beside, whose name nobody can guess, and puts it in place of the other one. It has the mode and the
/// group of the one before, if that is of the same owner; else the mode that files usually have.
///
/// # Errors
/// Where the file cannot be written, and for what is no regular file: a symbolic link may be somebody else's.
pub(super) fn replace(file: &Path, bytes: &[u8]) -> Result<()> {
    let before = match file.symlink_metadata() {
        Ok(before) if before.is_file() => Some(before),
        Ok(_) => return Err(Error::new(ErrorKind::InvalidInput, "it is no regular file: name the file itself")),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let name = file.file_name().ok_or_else(|| Error::new(ErrorKind::InvalidInput, "it has no name"))?;
    let beside = file.with_file_name(format!(".{}.{}", name.to_string_lossy(), uuid::Uuid::new_v4()));
    let mode = if before.is_some() { 0o600 } else { 0o666 };
    let mut new = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    let written = fill(&mut new, before.as_ref(), bytes).and_then(|()| std::fs::rename(&beside, file));
    if written.is_err() {
        // It is ours, and of no use.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn fill(new: &mut File, before: Option<&std::fs::Metadata>, bytes: &[u8]) -> Result<()> {
    new.write_all(bytes)?;
    if let Some(before) = before {
        let made = new.metadata()?;
        let is_ours = before.uid() == made.uid();
        let mode = if is_ours { before.mode() & 0o777 } else { 0o644 };
        // Another group does not get what was given to the one before.
        let has_group = before.gid() == made.gid() || is_ours && fchown(&*new, None, Some(before.gid())).is_ok();
        let mode = if has_group { mode } else { mode & !0o070 | (mode & 0o007) << 3 };
        new.set_permissions(Permissions::from_mode(mode))?;
    }
    new.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(file: &Path) -> u32 {
        file.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        replace(&file, b"one").unwrap();
        for wanted in [0o644, 0o600, 0o640, 0o664] {
            std::fs::set_permissions(&file, Permissions::from_mode(wanted)).unwrap();
            let other = File::open(&file).unwrap();
            replace(&file, b"another").unwrap();
            assert_eq!((std::fs::read(&file).unwrap(), mode(&file)), (b"another".to_vec(), wanted));
            // Whoever had opened it goes on with the one before.
            assert_ne!(other.metadata().unwrap().ino(), file.metadata().unwrap().ino());
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_regular_file_is_neither_followed_nor_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("roots.pem"));
        std::fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for file in [&link, &folder.path().to_owned()] {
            assert_eq!(replace(file, b"new").unwrap_err().kind(), ErrorKind::InvalidInput, "{}", file.display());
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(folder.path().read_dir().unwrap().count(), 2);
    }
}
