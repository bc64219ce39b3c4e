//! Writes PKCS #12 files with a password, with what current programs write: PBES2 with AES-256 (RFC 8018), and a MAC of
//! SHA-256 (RFC 7292). Java since 8u301, OpenSSL since 1.0 and Windows since 10 open it.

use super::super::asn1::{INTEGER, OCTET_STRING, SEQUENCE, tlv};
use super::super::random;
use super::encryption::{HMAC_SHA_256, Hash, PBES2, PBKDF2, PURPOSE_MAC, Password};
use super::write::{NULL, cert_bags, content_info, encrypted_data, key_bag, oid, plain_data};
use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{error::Unspecified, hmac, pbkdf2};
use const_oid::db::{rfc5911, rfc5912};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Rounds of every key derivation: what Java uses. A file of this kind is protected by its mode first of all.
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();
/// Bytes of salts.
const SALT: usize = 16;

/// A file with the certificates, the one of the key first, and the key (PKCS #8, DER). Java shows `name` as the alias.
///
/// # Errors
/// The crypto library refuses its own parameters, which does not happen.
pub(crate) fn write_protected(
    key: &[u8],
    certificates: &[&[u8]],
    name: &str,
    password: &str,
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let (algorithm, ciphertext) = encrypt(key, password)?;
    let shrouded = tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[&ciphertext])]);
    let (algorithm, ciphertext) = encrypt(&cert_bags(certificates, true), password)?;
    let content = tlv(SEQUENCE, &[&plain_data(&key_bag(&shrouded, name)), &encrypted_data(&algorithm, &ciphertext)]);
    let salt = salt();
    let forms = Password(password).forms(0);
    // The first form is the one of the standard: BMPString.
    let bmp = forms.first().map(|(_, form)| form.as_slice()).unwrap_or_default();
    let mac_key = Hash::SHA256.derive(bmp, &salt, ROUNDS.get(), PURPOSE_MAC, 32);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &mac_key), &content);
    let info =
        tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&oid(rfc5912::ID_SHA_256), &NULL]), &tlv(OCTET_STRING, &[tag.as_ref()])]);
    let mac = tlv(SEQUENCE, &[&info, &tlv(OCTET_STRING, &[&salt]), &rounds()]);
    let safe = content_info(rfc5911::ID_DATA, &tlv(OCTET_STRING, &[&content]));
    Ok(Zeroizing::new(tlv(SEQUENCE, &[&tlv(INTEGER, &[&[3]]), &safe, &mac])))
}

/// The AlgorithmIdentifier and the ciphertext.
fn encrypt(plain: &[u8], password: &str) -> Result<(Vec<u8>, Vec<u8>), Unspecified> {
    let (salt, mut iv, mut key) = (salt(), [0; 16], Zeroizing::new([0; 32]));
    random::fill(&mut iv);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut *key);
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, &*key)?)?;
    // It pads and encrypts in its place: with room for the padding nothing is moved, and no plain copy is left.
    let mut bytes = Vec::with_capacity(plain.len() + 16);
    bytes.extend_from_slice(plain);
    cipher.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(&iv)))?;
    let function = tlv(SEQUENCE, &[&oid(HMAC_SHA_256), &NULL]);
    let inputs = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[&salt]), &rounds(), &function]);
    let derivation = tlv(SEQUENCE, &[&oid(PBKDF2), &inputs]);
    let scheme = tlv(SEQUENCE, &[&oid(rfc5911::ID_AES_256_CBC), &tlv(OCTET_STRING, &[&iv])]);
    let algorithm = tlv(SEQUENCE, &[&oid(PBES2), &tlv(SEQUENCE, &[&derivation, &scheme])]);
    Ok((algorithm, bytes))
}

fn salt() -> [u8; SALT] {
    let mut salt = [0; SALT];
    random::fill(&mut salt);
    salt
}

/// Two bytes, the first below 0x80.
fn rounds() -> Vec<u8> {
    let [.., high, low] = ROUNDS.get().to_be_bytes();
    tlv(INTEGER, &[&[high, low]])
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, Password, read};
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::keys::KeyPair;

    #[test]
    fn what_is_written_is_read_back_with_its_password_only() {
        let key = KeyPair::generate(KeyType::P256).unwrap().to_pkcs8();
        let certificates = [vec![0x30, 1, 7], vec![0x30; 300], vec![0x30, 0]];
        let listed: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
        for password in ["geheim", "Größe & more", ""] {
            let file = write_protected(&key, &listed, "web", password).unwrap();
            let found = read(&file, Password(password), &mut Budget::of(1_000_000)).ok().unwrap();
            assert!(found.certificates.iter().map(|found| &found.der).eq(&certificates));
            assert_eq!(found.keys.first().map(|key| key.as_slice()), Some(key.as_slice()));
            assert!(read(&file, Password("x"), &mut Budget::of(1_000_000)).is_err());
            assert_ne!(file, write_protected(&key, &listed, "web", password).unwrap(), "salts are new each time");
        }
    }
}
