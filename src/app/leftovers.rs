//! Removes files of an interrupted first start: they hold private keys that are never used.

use std::fs;
use std::path::Path;

/// A file that is made under a name of its own, and the files that it becomes.
const MADE: [(&str, &str, &[&str]); 2] =
    [(".master-keys-", "", &["master.key"]), (".dev-ca-", ".part", &["ca.pem", "ca-key.pem"])];

/// Removes them, where what they were to become is there: then no other process needs its own any more, whoever made
/// it. A file that cannot be removed is named in the log.
pub(super) fn remove(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let left = MADE.iter().any(|(start, end, whole)| {
            name.starts_with(start) && name.ends_with(end) && whole.iter().all(|name| folder.join(name).is_file())
        });
        if !left || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            Ok(()) => tracing::info!(file = name, "removed a key file that an earlier start had left behind"),
            Err(error) => tracing::warn!(file = name, %error, "a key file of an earlier start cannot be removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_killed_start_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let there = || {
            let mut names: Vec<String> = fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        for name in [".master-keys-1", ".dev-ca-2.part", ".dev-ca-3", ".other", "certmint.db"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        remove(folder.path());
        assert_eq!(there().len(), 5, "another process may be about to make its keys");
        for name in ["master.key", "ca.pem"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        remove(folder.path());
        assert_eq!(there(), [".dev-ca-2.part", ".dev-ca-3", ".other", "ca.pem", "certmint.db", "master.key"]);
        fs::write(folder.path().join("ca-key.pem"), "x").unwrap();
        remove(folder.path());
        assert!(!there().contains(&".dev-ca-2.part".to_owned()));
    }
}
