//! Writes PKCS #12 files without a password, with the structure and the parameters of Key Vault
//! (contract section 8): 3DES for key and certificates, a SHA-1 MAC, 2,000 rounds each. The password
//! has no bytes at all: the other form of an empty password, a terminator alone, is refused by
//! readers that are given no password, such as Azure's JCA provider. This encryption protects nothing; access control
//! does.

use super::super::asn1::{INTEGER, OCTET_STRING, OID, SEQUENCE, SET, context, tlv};
use super::super::digest::sha256;
use super::encryption::{Hash, NO_PASSWORD, PURPOSE_IV, PURPOSE_KEY, PURPOSE_MAC, SHA1_3DES};
use super::{CERT_BAG, LOCAL_KEY_ID, SHROUDED_KEY_BAG, X509_CERTIFICATE};
use aws_lc_rs::hmac;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
use const_oid::db::{rfc5911, rfc5912};
use der::asn1::ObjectIdentifier;
use std::sync::LazyLock;
use zeroize::Zeroizing;

const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");

const BMP_STRING: u8 = 0x1e;
pub(super) const NULL: [u8; 2] = [5, 0];
/// Rounds of every key derivation.
const ROUNDS: u16 = 2000;
/// Lengths of salts: of the two encryptions, of the MAC.
const SALT: usize = 8;
const MAC_SALT: usize = 20;
/// What Windows, and so Key Vault, writes as localKeyID: the number of the key in the file, little-endian.
const KEY_ID: [u8; 4] = [1, 0, 0, 0];

type Secret = Zeroizing<Vec<u8>>;

/// A file with the certificates, the one of the key first, and the key if there is one (PKCS #8,
/// DER). Java shows `name` as the alias. The same content gives the same bytes, so that whoever
/// compares two copies of a secret sees no change if there is none.
pub(crate) fn write(key: Option<&[u8]>, certificates: &[&[u8]], name: &str) -> Secret {
    let mut safes = Vec::new();
    if let Some(key) = key {
        let (algorithm, ciphertext) = KEY.encrypt(key);
        let shrouded = tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[&ciphertext])]);
        safes.push(plain_data(&key_bag(&shrouded, name)));
    }
    let (algorithm, ciphertext) = CERTIFICATES.encrypt(&cert_bags(certificates, key.is_some()));
    safes.push(encrypted_data(&algorithm, &ciphertext));

    let safes: Vec<&[u8]> = safes.iter().map(Vec::as_slice).collect();
    let content = tlv(SEQUENCE, &safes);
    let mac = mac(&content);
    let safe = content_info(rfc5911::ID_DATA, &tlv(OCTET_STRING, &[&content]));
    Zeroizing::new(tlv(SEQUENCE, &[&tlv(INTEGER, &[&[3]]), &safe, &mac]))
}

/// The encrypted key with its number and name.
pub(super) fn key_bag(shrouded: &[u8], name: &str) -> Vec<u8> {
    bag(SHROUDED_KEY_BAG, shrouded, Some(&set(&[&key_id(), &friendly_name(name)])))
}

/// A SafeContents of the certificates; the first one has the number of the key, if there is one.
pub(super) fn cert_bags(certificates: &[&[u8]], has_key: bool) -> Vec<u8> {
    let bags: Vec<Vec<u8>> = certificates
        .iter()
        .enumerate()
        .map(|(index, der)| {
            let value = tlv(context(0), &[&tlv(OCTET_STRING, &[der])]);
            let value = tlv(SEQUENCE, &[&oid(X509_CERTIFICATE), &value]);
            let own = (index == 0 && has_key).then(|| set(&[&key_id()]));
            bag(CERT_BAG, &value, own.as_deref())
        })
        .collect();
    let bags: Vec<&[u8]> = bags.iter().map(Vec::as_slice).collect();
    tlv(SEQUENCE, &bags)
}

/// A SafeContents of one bag, as it is.
pub(super) fn plain_data(bag: &[u8]) -> Vec<u8> {
    content_info(rfc5911::ID_DATA, &tlv(OCTET_STRING, &[&tlv(SEQUENCE, &[bag])]))
}

/// An encrypted SafeContents.
pub(super) fn encrypted_data(algorithm: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let info = tlv(SEQUENCE, &[&oid(rfc5911::ID_DATA), algorithm, &tlv(0x80, &[ciphertext])]);
    content_info(rfc5911::ID_ENCRYPTED_DATA, &tlv(SEQUENCE, &[&tlv(INTEGER, &[&[0]]), &info]))
}

/// A salt, with the key and the IV that follow from it without a password. Whoever has a file derives the same
/// from it, so none of this is a secret: all files share it, and its thousands of rounds are made once.
struct Encryption {
    salt: Vec<u8>,
    key: [u8; 24],
    iv: [u8; 8],
}

static KEY: LazyLock<Encryption> = LazyLock::new(|| Encryption::new("key"));
static CERTIFICATES: LazyLock<Encryption> = LazyLock::new(|| Encryption::new("certificates"));
static MAC: LazyLock<(Vec<u8>, hmac::Key)> = LazyLock::new(|| {
    let salt = salt("mac", MAC_SALT);
    let key = Hash::SHA1.derive(NO_PASSWORD, &salt, ROUNDS.into(), PURPOSE_MAC, Hash::SHA1.length);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    (salt, key)
});

fn salt(label: &str, length: usize) -> Vec<u8> {
    sha256(&[b"certmint pkcs12 salt 3", label.as_bytes()])[..length].to_vec()
}

fn mac(content: &[u8]) -> Vec<u8> {
    let (salt, key) = &*MAC;
    let tag = hmac::sign(key, content);
    let algorithm = tlv(SEQUENCE, &[&oid(rfc5912::ID_SHA_1), &NULL]);
    let info = tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[tag.as_ref()])]);
    tlv(SEQUENCE, &[&info, &tlv(OCTET_STRING, &[salt]), &rounds()])
}

impl Encryption {
    fn new(label: &str) -> Self {
        let (password, salt) = (NO_PASSWORD, salt(label, SALT));
        let mut key = [0; 24];
        key.copy_from_slice(&Hash::SHA1.derive(password, &salt, ROUNDS.into(), PURPOSE_KEY, 24));
        let mut iv = [0; 8];
        iv.copy_from_slice(&Hash::SHA1.derive(password, &salt, ROUNDS.into(), PURPOSE_IV, 8));
        Self { salt, key, iv }
    }

    /// The AlgorithmIdentifier and the ciphertext of pbeWithSHAAnd3-KeyTripleDES-CBC.
    fn encrypt(&self, plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let Self { salt, key, iv } = self;
        let cipher = cbc::Encryptor::<des::TdesEde3>::new(key.into(), iv.into());
        let ciphertext = cipher.encrypt_padded_vec::<Pkcs7>(plain);
        let parameters = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[salt]), &rounds()]);
        (tlv(SEQUENCE, &[&oid(SHA1_3DES), &parameters]), ciphertext)
    }
}

fn key_id() -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(LOCAL_KEY_ID), &tlv(SET, &[&tlv(OCTET_STRING, &[&KEY_ID])])])
}

fn friendly_name(name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    tlv(SEQUENCE, &[&oid(FRIENDLY_NAME), &tlv(SET, &[&tlv(BMP_STRING, &[&name])])])
}

/// DER sorts the members of a set (X.690 section 11.6).
fn set(members: &[&[u8]]) -> Vec<u8> {
    let mut members = members.to_vec();
    members.sort_unstable();
    tlv(SET, &members)
}

fn bag(kind: ObjectIdentifier, value: &[u8], attributes: Option<&[u8]>) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(kind), &tlv(context(0), &[value]), attributes.unwrap_or_default()])
}

pub(super) fn content_info(kind: ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&oid(kind), &tlv(context(0), &[content])])
}

pub(super) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    tlv(OID, &[oid.as_bytes()])
}

fn rounds() -> Vec<u8> {
    tlv(INTEGER, &[&ROUNDS.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Password, read};
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::keys::KeyPair;

    #[test]
    fn what_is_written_is_read_back_and_the_same_each_time() {
        let key = KeyPair::generate(KeyType::P256).unwrap().to_pkcs8();
        let certificates = [vec![0x30, 1, 7], vec![0x30; 300], vec![0x30, 0]];
        let listed: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
        for key in [Some(key.as_slice()), None] {
            let file = write(key, &listed, "web");
            let found = read(&file, Password(""), &mut Budget::of(100_000)).ok().unwrap();
            assert!(found.certificates.iter().map(|found| &found.der).eq(&certificates));
            assert_eq!(found.keys.first().map(|key| key.as_slice()), key);
            assert_eq!(file, write(key, &listed, "web"));
            assert!(read(&file, Password("x"), &mut Budget::of(100_000)).is_err());
        }
    }
}
