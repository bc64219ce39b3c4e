//! Encryption of secrets at rest ("sealing"): AES-256-GCM with a fresh data key for each record, and the data key
//! wrapped by a master key. A sealed value can be opened only in the place that it was sealed for.
//!
//! The form, version 1: the byte 1; the length of the master key's id (1 byte) and the id; the
//! wrapped data key (nonce 12, key 32, tag 16); the value (nonce 12, ciphertext, tag 16).

use super::authenticator::Authenticator;
use super::defect;
use super::master_keys::MasterKeys;
use super::random::fill;
use crate::domain::{Error, Reason, Result, VaultName, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use std::collections::HashMap;
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const WRAPPED_LEN: usize = NONCE_LEN + KEY_LEN + TAG_LEN;

/// Where a sealed value belongs; it opens nowhere else. It is made of the place that was asked for, never of what a
/// stored body says of itself, so that a value that was moved by whoever can write to the store stays closed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealContext {
    vault: String,
    name: String,
    id: String,
    field: &'static str,
}

impl SealContext {
    /// `name` is that of the certificate or issuer, without case; `id` is the version or request
    /// id; `field` says what the value is (`key`, `issuer.password`).
    pub fn new(vault: &VaultName, name: &str, id: &str, field: &'static str) -> Self {
        Self::of(vault.as_str(), name, id.to_owned(), field)
    }

    /// The private key of a version of a certificate.
    pub fn certificate_key(vault: &str, certificate: &str, version: Version) -> Self {
        Self::of(vault, certificate, version.to_string(), "key")
    }

    /// The same, of a version as a key of the store writes it.
    pub(crate) fn key_of_version(vault: &str, certificate: &str, version: &str) -> Self {
        Self::of(vault, certificate, version.to_owned(), "key")
    }

    /// The private key of the built-in authority that an issuer object holds.
    pub fn authority_key(vault: &str, issuer: &str) -> Self {
        Self::of(vault, issuer, String::new(), "issuer.key")
    }

    /// The password of an issuer object.
    pub(crate) fn issuer_password(vault: &str, issuer: &str) -> Self {
        Self::of(vault, issuer, String::new(), "issuer.password")
    }

    /// What a provider keeps of an issuer object.
    pub(crate) fn issuer_state(vault: &str, issuer: &str) -> Self {
        Self::of(vault, issuer, String::new(), "issuer.state")
    }

    /// The secret options of an issuer object.
    pub(crate) fn issuer_secrets(vault: &str, issuer: &str) -> Self {
        Self::of(vault, issuer, String::new(), "issuer.secrets")
    }

    /// The private key of the OCSP responder of a built-in authority.
    pub(crate) fn responder_key(vault: &str, authority: &str) -> Self {
        Self::of(vault, authority, String::new(), "responder.key")
    }

    /// A key that signs checkpoints of the audit ledger, by its id.
    pub(crate) fn audit_key(id: &str) -> Self {
        Self::of("", "", id.to_owned(), "audit.key")
    }

    /// The signing secrets and the headers of a webhook.
    pub(crate) fn webhook_secrets(vault: &str, webhook: &str) -> Self {
        Self::of(vault, webhook, String::new(), "webhook.secrets")
    }

    /// A backup, which belongs to no vault: it opens wherever the master key is known.
    pub(crate) fn backup() -> Self {
        Self::of("", "", String::new(), "backup.1")
    }

    fn of(vault: &str, name: &str, id: String, field: &'static str) -> Self {
        Self { vault: vault.to_ascii_lowercase(), name: name.to_ascii_lowercase(), id, field }
    }

    /// The associated data: each part after its length, so that no two contexts look alike.
    pub(super) fn encode(&self, purpose: &str) -> Vec<u8> {
        let Self { vault, name, id, field } = self;
        let mut bytes = Vec::with_capacity(64 + vault.len() + name.len() + id.len());
        for part in [purpose, vault, name, id, field] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

impl fmt::Display for SealContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault, name, id, field } = self;
        write!(f, "{vault}/{name}/{id} {field}")
    }
}

/// Seals with the newest master key, opens with any that is known.
pub struct Sealer {
    keys: HashMap<String, RandomizedNonceKey>,
    newest: String,
    authenticator: Authenticator,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids: Vec<_> = self.keys.keys().collect();
        ids.sort();
        f.debug_struct("Sealer").field("keys", &ids).field("newest", &self.newest).finish()
    }
}

impl Sealer {
    pub fn new(keys: MasterKeys) -> Self {
        let newest = keys.newest().to_owned();
        let authenticator = Authenticator::new(&keys);
        let keys = keys.iter().map(|(id, key)| (id.to_owned(), cipher(key))).collect();
        Self { keys, newest, authenticator }
    }

    /// Codes under the same master keys.
    pub fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// The sealed form; 90 bytes and the length of the key id longer than the value. Nonces are
    /// random: a master key may seal 2^32 values (NIST SP 800-38D section 8.3), then rotate it.
    pub fn seal(&self, value: &[u8], context: &SealContext) -> Result<Vec<u8>> {
        let Some(master) = self.keys.get(&self.newest) else { return Err(Error::internal()) };
        let failed = "a value could not be sealed";
        let mut data_key = Zeroizing::new([0; KEY_LEN]);
        fill(&mut *data_key);

        let id_len = u8::try_from(self.newest.len()).map_err(defect(failed))?;
        let mut sealed = Vec::with_capacity(2 + self.newest.len() + WRAPPED_LEN + NONCE_LEN + value.len() + TAG_LEN);
        sealed.extend_from_slice(&[VERSION, id_len]);
        sealed.extend_from_slice(self.newest.as_bytes());
        append(&mut sealed, master, &*data_key, &context.encode(WRAP)).map_err(defect(failed))?;
        append(&mut sealed, &cipher(&data_key), value, &context.encode(VALUE)).map_err(defect(failed))?;
        Ok(sealed)
    }

    /// The value. The error never says why: unknown master key, another context and damage look
    /// alike.
    pub fn open(&self, sealed: &[u8], context: &SealContext) -> Result<Zeroizing<Vec<u8>>> {
        self.try_open(sealed, context).ok_or_else(|| {
            let unknown_master_key = self.unknown_key(sealed);
            tracing::error!(unknown_master_key, "a sealed value could not be opened");
            Error::new(
                Reason::Internal,
                "A sealed value could not be opened. The server needs the master key that sealed it, and the value unchanged in its place.",
            )
        })
    }

    /// The id of the master key that a sealed value names, where it is not one of ours; `None`
    /// where it is, and where the value has not even the form of a sealed one.
    pub(crate) fn unknown_key(&self, sealed: &[u8]) -> Option<String> {
        let id = Self::master_key_of(sealed)?;
        (!self.keys.contains_key(id)).then(|| id.to_owned())
    }

    /// The id of the master key that a sealed value names; `None` where it has not the form of a sealed value.
    pub(crate) fn master_key_of(sealed: &[u8]) -> Option<&str> {
        let (&id_len, rest) = sealed.strip_prefix(&[VERSION])?.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(id_len))?;
        let id = std::str::from_utf8(id).ok()?;
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        (is_id && !id.is_empty() && rest.len() >= WRAPPED_LEN + NONCE_LEN + TAG_LEN).then_some(id)
    }

    /// The same sealed value under the newest master key: its data key is wrapped anew, the value itself is neither
    /// opened nor changed. `None` where its data key does not open: unknown master key, another context, damage.
    pub(crate) fn rewrap(&self, sealed: &[u8], context: &SealContext) -> Option<Vec<u8>> {
        let id = Self::master_key_of(sealed)?;
        let (wrapped, value) = sealed.get(2 + id.len()..)?.split_at_checked(WRAPPED_LEN)?;
        let place = context.encode(WRAP);
        let data_key = unlock(wrapped, self.keys.get(id)?, &place)?;
        let mut again = Vec::with_capacity(2 + self.newest.len() + WRAPPED_LEN + value.len());
        again.extend_from_slice(&[VERSION, u8::try_from(self.newest.len()).ok()?]);
        again.extend_from_slice(self.newest.as_bytes());
        append(&mut again, self.keys.get(&self.newest)?, &data_key, &place).ok()?;
        again.extend_from_slice(value);
        Some(again)
    }

    pub(super) fn try_open(&self, sealed: &[u8], context: &SealContext) -> Option<Zeroizing<Vec<u8>>> {
        let rest = sealed.strip_prefix(&[VERSION])?;
        let (&id_len, rest) = rest.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(id_len))?;
        let (wrapped, value) = rest.split_at_checked(WRAPPED_LEN)?;
        let master = self.keys.get(std::str::from_utf8(id).ok()?)?;
        let data_key = unlock(wrapped, master, &context.encode(WRAP))?;
        unlock(value, &cipher(data_key.as_slice().try_into().ok()?), &context.encode(VALUE))
    }
}

/// What the two ciphertexts are for is part of their associated data: neither passes for the other.
const WRAP: &str = "certmint data key 1";
const VALUE: &str = "certmint value 1";

#[expect(clippy::expect_used, reason = "the length of the key is right by its type, and nothing else is refused")]
fn cipher(key: &[u8; KEY_LEN]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, key).expect("32 bytes are a key of AES-256-GCM")
}

/// Adds nonce, ciphertext and tag. The plain value is encrypted where it lies in `to`, which has
/// room for it and is never moved while it is plain.
fn append(
    to: &mut Vec<u8>,
    key: &RandomizedNonceKey,
    value: &[u8],
    aad: &[u8],
) -> Result<(), aws_lc_rs::error::Unspecified> {
    let start = to.len();
    to.reserve(NONCE_LEN + value.len() + TAG_LEN);
    to.extend_from_slice(&[0; NONCE_LEN]);
    to.extend_from_slice(value);
    let (nonce, tag) = key.seal_in_place_separate_tag(Aad::from(aad), &mut to[start + NONCE_LEN..])?;
    to[start..start + NONCE_LEN].copy_from_slice(nonce.as_ref());
    to.extend_from_slice(tag.as_ref());
    Ok(())
}

fn unlock(sealed: &[u8], key: &RandomizedNonceKey, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut value = Zeroizing::new(ciphertext.to_vec());
    let length = key.open_in_place(Nonce::from(nonce), Aad::from(aad), &mut value).ok()?.len();
    value.truncate(length);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const SECOND: &str = "b AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn sealer(text: &str) -> Sealer {
        Sealer::new(MasterKeys::from_text(text).unwrap())
    }

    fn context(vault: &str, name: &str, id: &str, field: &'static str) -> SealContext {
        SealContext::new(&VaultName::parse(vault).unwrap(), name, id, field)
    }

    #[test]
    fn a_value_opens_where_it_was_sealed() {
        let sealer = Sealer::new(MasterKeys::random());
        for value in [&b""[..], b"secret", &[7; 100_000]] {
            let sealed = sealer.seal(value, &context("v", "Web", "1", "key")).unwrap();
            assert_eq!(sealer.open(&sealed, &context("v", "wEB", "1", "key")).unwrap().as_slice(), value);
            assert_eq!(sealed.len(), value.len() + 90 + sealer.newest.len());
        }
    }

    #[test]
    fn a_value_that_was_moved_is_refused() {
        let sealer = sealer(FIRST);
        let sealed = sealer.seal(b"secret", &context("v", "web", "12", "key")).unwrap();
        for other in [
            context("w", "web", "12", "key"),
            context("v", "web1", "2", "key"),
            context("v", "we", "b12", "key"),
            context("v", "web", "13", "key"),
            context("v", "web", "12", "secret"),
            context("v", "web", "12k", "ey"),
        ] {
            assert!(sealer.open(&sealed, &other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn damage_at_any_byte_is_refused_and_nothing_is_said_of_it() {
        let sealer = sealer(&format!("{FIRST}\n{SECOND}"));
        let place = context("v", "web", "1", "key");
        let sealed = sealer.seal(b"secret", &place).unwrap();
        let mut messages = std::collections::HashSet::new();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1 << bit;
                messages.insert(sealer.open(&damaged, &place).expect_err("damaged").message);
            }
            messages.insert(sealer.open(&sealed[..at], &place).expect_err("cut").message);
        }
        messages.insert(sealer.open(&[&sealed[..], &[0]].concat(), &place).expect_err("longer").message);
        messages.insert(sealer.open(&sealed, &context("v", "x", "1", "key")).expect_err("moved").message);
        assert_eq!(messages.len(), 1, "{messages:?}");
    }

    #[test]
    fn the_newest_master_key_seals_and_the_older_still_opens() {
        let place = context("v", "web", "1", "key");
        let old = sealer(FIRST).seal(b"old", &place).unwrap();
        let rotated = sealer(&format!("{FIRST}\n{SECOND}\n"));
        assert_eq!(rotated.open(&old, &place).unwrap().as_slice(), b"old");
        let new = rotated.seal(b"new", &place).unwrap();
        assert_eq!(sealer(SECOND).open(&new, &place).unwrap().as_slice(), b"new");
        assert!(sealer(FIRST).open(&new, &place).is_err());
        assert!(sealer(SECOND).open(&old, &place).is_err());
    }

    #[test]
    fn a_value_that_is_wrapped_anew_opens_with_the_newest_master_key_alone_and_only_in_its_place() {
        let place = context("v", "web", "1", "key");
        let old = sealer(FIRST).seal(b"old", &place).unwrap();
        let both = sealer(&format!("{FIRST}\n{SECOND}"));
        let again = both.rewrap(&old, &place).unwrap();
        assert_eq!((Sealer::master_key_of(&old), Sealer::master_key_of(&again)), (Some("a"), Some("b")));
        assert_eq!(sealer(SECOND).open(&again, &place).unwrap().as_slice(), b"old");
        assert!(sealer(FIRST).open(&again, &place).is_err());
        assert_eq!(again[again.len() - 31..], old[old.len() - 31..], "the value is as it was");
        assert_eq!(both.rewrap(&old, &context("v", "web", "2", "key")), None, "it was moved");
        assert_eq!(sealer(SECOND).rewrap(&old, &place), None, "its master key is not there");
        for at in 0..old.len() - 31 {
            let mut damaged = old.clone();
            damaged[at] ^= 1;
            assert_eq!(both.rewrap(&damaged, &place), None, "byte {at}");
        }
        assert_eq!(both.rewrap(&old[..60], &place), None);
    }

    #[test]
    fn the_same_value_never_looks_the_same() {
        let (sealer, place) = (sealer(FIRST), context("v", "web", "1", "key"));
        assert_ne!(sealer.seal(b"secret", &place).unwrap(), sealer.seal(b"secret", &place).unwrap());
    }

    /// What version 1 sealed must open for ever.
    #[test]
    fn the_recorded_form_of_version_1_opens() {
        let sealed = include_bytes!("../../tests/data/sealed-v1.bin");
        let opened = sealer(FIRST).open(sealed, &context("vault", "web", "0123", "key")).unwrap();
        assert_eq!(opened.as_slice(), b"recorded");
    }

    #[test]
    fn debug_shows_the_ids_alone() {
        assert_eq!(format!("{:?}", sealer(FIRST)), r#"Sealer { keys: ["a"], newest: "a" }"#);
    }
}
