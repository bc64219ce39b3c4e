//! Checks the permissions of a server's data folder.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a private key in PEM form says of itself (RFC 5958, RFC 5915, RFC 8017).
const KEY: &[u8] = b"PRIVATE KEY";

/// What is open to others than its owner, each with the command that closes it.
///
/// # Errors
/// The folder, or something in it, cannot be read.
pub(super) fn exposed(folder: &Path) -> io::Result<Vec<(PathBuf, u32, String)>> {
    let mut found = Vec::new();
    let mode = mode(folder)?;
    // Others may look into the folder as long as its files are closed, but may not put files into it.
    if mode & 0o022 != 0 {
        found.push((folder.to_owned(), mode, format!("chmod go-w {}", folder.display())));
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let mode = self::mode(&path)?;
        let is_public = is_certificate(&path);
        let closed = if is_public { mode & 0o022 == 0 } else { mode & 0o077 == 0 };
        if !closed {
            let rights = if is_public { "go-w" } else { "go-rwx" };
            found.push((path.clone(), mode, format!("chmod {rights} {}", path.display())));
        }
    }
    found.sort();
    Ok(found)
}

/// Certificates are for everyone; a PEM file may hold a key as well.
fn is_certificate(path: &Path) -> bool {
    let is_pem = path.extension().is_some_and(|it| it == "pem" || it == "crt");
    is_pem && fs::read(path).is_ok_and(|bytes| !bytes.windows(KEY.len()).any(|window| window == KEY))
}

fn mode(path: &Path) -> io::Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_found_and_certificates_may_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, mode) in [("ca.pem", 0o644), ("ca-key.pem", 0o600), ("master.keys", 0o600), ("certmint.db", 0o640)] {
            fs::write(path.join(name), if name == "ca-key.pem" { "-----BEGIN PRIVATE KEY-----" } else { "" }).unwrap();
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        let command = format!("chmod go-rwx {}", path.join("certmint.db").display());
        assert_eq!(exposed(path).unwrap(), [(path.join("certmint.db"), 0o640, command)]);
        fs::set_permissions(path.join("ca-key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(exposed(path).unwrap().len(), 3);
        assert!(exposed(&path.join("none")).is_err());
    }
}
