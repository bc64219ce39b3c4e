//! The backup format: a marker, then one sealed value. It contains a header (JSON, no secrets) and numbered blobs
//! (certificates and private keys), each stored once.
//!
//! `certmint-backup`, the byte 1 (2 where a version has no key), sealed( length of the header (4 bytes, big-endian), header, then
//! for each blob its length (4 bytes, big-endian) and its bytes ).

use super::seal::{SealContext, Sealer};
use crate::domain::{Error, Reason, Result};
use std::collections::HashMap;
use zeroize::Zeroizing;

const MARK: &[u8] = b"certmint-backup";

/// What a backup holds, for versions that do not know all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A key for each version: every release reads it.
    Keys = 1,
    /// Versions without a key are among them; releases that know none refuse it by its number.
    SomeKeys = 2,
}

/// The newest form.
const NEWEST: u8 = Form::SomeKeys as u8;

/// The blobs of a backup while it is written; private keys among them are zeroed when it is dropped.
#[derive(Default)]
pub struct Blobs {
    all: Vec<Zeroizing<Vec<u8>>>,
    known: HashMap<[u8; 32], usize>,
    bytes: usize,
}

impl Blobs {
    /// The number of a blob, under which the header refers to it.
    pub fn add(&mut self, blob: Zeroizing<Vec<u8>>) -> usize {
        let digest = super::digest::sha256(&[&blob]);
        *self.known.entry(digest).or_insert_with(|| {
            self.bytes += blob.len() + 4;
            self.all.push(blob);
            self.all.len() - 1
        })
    }

    /// How many bytes they take in the backup.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Writes a backup, sealed with the newest master key.
pub fn write(sealer: &Sealer, form: Form, header: &[u8], blobs: &Blobs) -> Result<Vec<u8>> {
    // Room for all of it, so that no copy of a key is left behind when it grows.
    let mut plain = Zeroizing::new(Vec::with_capacity(4 + header.len() + blobs.bytes));
    for part in std::iter::once(header).chain(blobs.all.iter().map(|blob| blob.as_slice())) {
        let length = u32::try_from(part.len()).map_err(super::defect("a part of a backup is too long"))?;
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(part);
    }
    enclose_as(sealer, form, &plain)
}

/// The mark, then `plain` sealed with the newest master key.
pub(crate) fn enclose(sealer: &Sealer, plain: &[u8]) -> Result<Vec<u8>> {
    enclose_as(sealer, Form::SomeKeys, plain)
}

fn enclose_as(sealer: &Sealer, form: Form, plain: &[u8]) -> Result<Vec<u8>> {
    let sealed = sealer.seal(plain, &SealContext::backup())?;
    Ok([MARK, &[form as u8], &sealed].concat())
}

/// A backup that was opened.
pub struct Opened {
    plain: Zeroizing<Vec<u8>>,
    header: std::ops::Range<usize>,
    blobs: Vec<std::ops::Range<usize>>,
}

impl Opened {
    pub fn header(&self) -> &[u8] {
        &self.plain[self.header.clone()]
    }

    /// The blob of that number; refused if there is none.
    pub fn blob(&self, number: usize) -> Result<&[u8]> {
        self.blobs.get(number).map(|range| &self.plain[range.clone()]).ok_or_else(corrupt)
    }
}

/// Opens a backup: as it was written, in base64, or as the answer that it came in (JSON).
///
/// # Errors
/// [`Reason::MalformedBackup`], with the id of the master key where that is not known here.
pub fn read(sealer: &Sealer, backup: &[u8]) -> Result<Opened> {
    let unwrapped = if backup.starts_with(MARK) { None } else { super::reader::unwrapped(backup) };
    let backup = unwrapped.as_deref().map_or(backup, Vec::as_slice);
    let sealed = match backup.strip_prefix(MARK).and_then(<[u8]>::split_first) {
        Some((1..=NEWEST, sealed)) => sealed,
        Some((version, _)) => {
            return Err(Error::new(
                Reason::MalformedBackup,
                format!(
                    "The backup has format {version}, and this server supports up to {NEWEST}: restore it with a \
                     newer version of certmint."
                ),
            ));
        }
        None => return Err(unreadable(backup)),
    };
    if let Some(id) = sealer.unknown_key(sealed) {
        return Err(Error::new(
            Reason::MalformedBackup,
            format!(
                "The backup was sealed with the master key {id}, which this server does not have: add it to the server's master keys."
            ),
        ));
    }
    let plain = sealer.try_open(sealed, &SealContext::backup()).ok_or_else(corrupt)?;
    let mut parts = Vec::new();
    let mut at = 0;
    while at < plain.len() {
        let length = plain.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
        let start = at + 4;
        let end = length.and_then(|length| start.checked_add(usize::try_from(length).ok()?));
        at = end.filter(|end| *end <= plain.len()).ok_or_else(corrupt)?;
        parts.push(start..at);
    }
    let mut parts = parts.into_iter();
    let header = parts.next().ok_or_else(corrupt)?;
    Ok(Opened { header, blobs: parts.collect(), plain })
}

/// What Key Vault says of a backup that it cannot open (contract section 9).
pub fn corrupt() -> Error {
    Error::new(Reason::MalformedBackup, "Backup blob contains invalid or corrupt version.")
}

/// What it says of bytes that are not even the beginning of one. A backup of Key Vault begins with its version: a text
/// behind its length, a byte for every seven bits. What is shorter than the text that it announces has no version.
fn unreadable(backup: &[u8]) -> Error {
    let none = Error::new(Reason::MalformedBackup, "Backup blob is corrupt.");
    let mut length = 0_usize;
    for (place, byte) in backup.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let has_text = backup.get(place + 1..).is_some_and(|rest| rest.len() >= length);
            return if has_text { corrupt() } else { none };
        }
    }
    none
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::MasterKeys;

    fn blob(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(bytes.to_vec())
    }

    #[test]
    fn a_backup_comes_back_and_holds_each_blob_once() {
        let sealer = Sealer::new(MasterKeys::random());
        let mut blobs = Blobs::default();
        assert_eq!([b"a", b"b", b"a"].map(|bytes| blobs.add(blob(bytes))), [0, 1, 0]);
        let opened = read(&sealer, &write(&sealer, Form::Keys, b"header", &blobs).unwrap()).unwrap();
        assert_eq!(
            (opened.header(), opened.blob(0).unwrap(), opened.blob(1).unwrap()),
            (&b"header"[..], &b"a"[..], &b"b"[..])
        );
        assert!(opened.blob(2).is_err());
    }

    #[test]
    fn no_byte_can_be_changed_and_none_left_out() {
        let sealer = Sealer::new(MasterKeys::random());
        let mut blobs = Blobs::default();
        blobs.add(blob(b"secret key"));
        let backup = write(&sealer, Form::Keys, b"header", &blobs).unwrap();
        assert!(!backup.windows(6).any(|window| window == b"secret" || window == b"header"));
        for at in 0..backup.len() {
            let mut changed = backup.clone();
            changed[at] ^= 1;
            let error = read(&sealer, &changed).err().unwrap_or_else(|| panic!("byte {at} does not matter"));
            assert_eq!(error.reason, Reason::MalformedBackup);
            assert!(read(&sealer, &backup[..at]).is_err(), "cut after {at}");
        }
        assert!(read(&sealer, &[&backup[..], b"x"].concat()).is_err());
    }

    #[test]
    fn a_backup_in_base64_or_in_the_answer_that_it_came_in_is_taken() {
        use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
        let sealer = Sealer::new(MasterKeys::random());
        let backup = write(&sealer, Form::SomeKeys, b"header", &Blobs::default()).unwrap();
        let text = URL_SAFE_NO_PAD.encode(&backup);
        for wrapped in
            [text.clone(), format!("{text}\n"), STANDARD.encode(&backup), format!("{{\"value\":\"{text}\"}}")]
        {
            assert_eq!(read(&sealer, wrapped.as_bytes()).unwrap().header(), b"header");
        }
    }

    #[test]
    fn another_master_key_is_named() {
        let (here, there) = (Sealer::new(MasterKeys::random()), MasterKeys::random());
        let id = there.newest().to_owned();
        let backup = write(&Sealer::new(there), Form::Keys, b"header", &Blobs::default()).unwrap();
        let error = read(&here, &backup).err().unwrap();
        assert!(error.message.contains(&format!("sealed with the master key {id}")), "{error}");
    }

    #[test]
    fn a_newer_form_is_named() {
        let backup = [MARK, &[3], b"x"].concat();
        let error = read(&Sealer::new(MasterKeys::random()), &backup).err().unwrap();
        assert!(error.message.contains("has format 3"), "{error}");
    }
}
