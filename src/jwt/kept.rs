//! The last good keys of an issuer in the data folder, so that a server that starts while the issuer is down knows its
//! callers. They are public, and no more trusted than everything else in that folder.

use super::key_set::{Kept, KeySet};
use super::patient::Patient;
use crate::domain::Timestamp;
use crate::domain::text::hex;
use crate::regular_file;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// The folder within the data folder.
const FOLDER: &str = "issuer-keys";
/// A larger file is not one of ours.
const MAX_FILE: u64 = 1024 * 1024;
/// How a file is called while it is written.
const PART: &str = "new";
/// What is this old is written by no replica any more.
const OLD: Duration = Duration::from_secs(3600);

/// The file of one set.
#[derive(Debug)]
pub(super) struct KeptFile {
    path: PathBuf,
    /// Whose keys they are; compared, so that a file that was copied to another name is not believed.
    origin: String,
    writing: Patient<io::Result<()>>,
}

#[derive(Deserialize, Serialize)]
struct Content {
    version: u32,
    origin: String,
    set: Kept,
}

/// Removes what is left of files that were not written to their end. A failure costs some bytes of the disk.
pub(super) fn remove_parts(data_dir: &Path, now: Timestamp) {
    let Ok(files) = fs::read_dir(data_dir.join(FOLDER)) else { return };
    for file in files.flatten() {
        let path = file.path();
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        if is_part
            && is_old(&file, now)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(file = %path.display(), %error, "a file that was not written to its end cannot be removed");
        }
    }
}

/// Whether it is a file that was written long ago. Replicas may share the folder.
fn is_old(file: &fs::DirEntry, now: Timestamp) -> bool {
    let metadata = file.metadata().ok().filter(fs::Metadata::is_file);
    let written = metadata.and_then(|metadata| metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    written.is_some_and(|written| Timestamp(0).plus(written).plus(OLD) <= now)
}

impl KeptFile {
    /// The file for the keys of this place, under the name of its issuer in the configuration.
    pub(super) fn new(data_dir: &Path, name: &str, origin: &str) -> Self {
        let hash = hex(&digest(&SHA256, origin.as_bytes()).as_ref()[..8]);
        let path = data_dir.join(FOLDER).join(format!("{name}-{hash}.json"));
        Self { path, origin: origin.to_owned(), writing: Patient::default() }
    }

    /// What is there and can be used; `keep` is for keys that were not listed any more.
    pub(super) fn load(&self, keep: Duration) -> Option<KeySet> {
        let (bytes, _) = match regular_file::read(&self.path, MAX_FILE) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the keys of an issuer that were kept cannot be read");
                return None;
            }
        };
        let content: Option<Content> = serde_json::from_slice(&bytes).ok();
        let own = content.filter(|content| content.version == 1 && content.origin == self.origin);
        let set = own.and_then(|content| KeySet::of_kept(content.set, keep));
        if set.is_none() {
            tracing::warn!(file = %self.path.display(), "the keys of an issuer that were kept cannot be used");
        }
        set
    }

    /// Stores the set, in a bounded time.
    ///
    /// # Errors
    /// Why it is not stored.
    pub(super) async fn keep(self: &Arc<Self>, set: Arc<KeySet>) -> Result<(), String> {
        let this = Arc::clone(self);
        self.writing.run(move || this.store(&set)).await?.map_err(|error| error.to_string())
    }

    /// Puts the set in the place of the one before, whole or not at all.
    fn store(&self, set: &KeySet) -> io::Result<()> {
        let content = Content { version: 1, origin: self.origin.clone(), set: set.to_kept() };
        let text = serde_json::to_vec_pretty(&content)?;
        if let Some(folder) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // Of its own: replicas may share the folder.
        let part = self.path.with_extension(format!("{}.{PART}", uuid::Uuid::new_v4().simple()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        let placed = file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&part, &self.path));
        if placed.is_err() {
            drop(fs::remove_file(&part));
        }
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::parse_set;
    use super::*;
    use crate::clock::{Clock, SystemClock};

    #[test]
    fn replicas_that_store_at_the_same_time_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let keys = |count: usize| {
            let key = r#"{"kty":"OKP","crv":"Ed25519","kid":"KID","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}"#;
            let keys: Vec<String> = (0..count).map(|number| key.replace("KID", &number.to_string())).collect();
            let listed = parse_set(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes()).unwrap();
            KeySet::default().after(listed, Timestamp::from_seconds(1), Duration::ZERO)
        };
        std::thread::scope(|scope| {
            for count in [1, 20, 60, 100] {
                let (file, set) = (KeptFile::new(folder.path(), "corp", "https://id.example"), keys(count));
                scope.spawn(move || {
                    for _ in 0..20 {
                        file.store(&set).unwrap();
                        let found = file.load(Duration::ZERO).expect("a whole file").len(Timestamp::from_seconds(1));
                        assert!([1, 20, 60, 100].contains(&found), "{found}");
                    }
                });
            }
        });
        assert_eq!(folder.path().join(FOLDER).read_dir().unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_a_server_left_that_ended_while_it_wrote_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join(FOLDER);
        fs::create_dir(&keys).unwrap();
        let now = SystemClock.now();
        for (name, age) in [("a.1.new", 7200), ("b.2.new", 60), ("a.json", 7200), ("new", 7200)] {
            let file = fs::File::create(keys.join(name)).unwrap();
            let seconds = u64::try_from(now.seconds() - age).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
        fs::create_dir(keys.join("folder.new")).unwrap();
        remove_parts(folder.path(), now);
        let left = keys.read_dir().unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let left: std::collections::BTreeSet<String> = left.collect();
        let expected = ["a.json", "b.2.new", "folder.new", "new"];
        assert_eq!(left, expected.map(str::to_owned).into(), "another replica may be writing the young one");
        remove_parts(&folder.path().join("nothing"), now);
    }
}
