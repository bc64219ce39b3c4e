//! The certificates of a PKCS #12 file without a password (RFC 7292). Keys inside are not read.
//! The cost is bounded over everything that one caller sends: the iteration counts are his.

use super::asn1::{Element, INTEGER, SEQUENCE};
use super::digest::sha1;
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::{iv::FixedLength, pbkdf2};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use const_oid::db::rfc5911;
use der::asn1::ObjectIdentifier;
use std::num::NonZeroU32;

const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

/// How many rounds of key derivation may still be spent. A file of today needs 2,000 to 600,000;
/// two million take about two seconds of one processor.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Self(2_000_000)
    }
}

impl Budget {
    fn charge(&mut self, iterations: u32, blocks: usize) -> Result<(), Unreadable> {
        let cost = u64::from(iterations).saturating_mul(blocks as u64);
        self.0 = self.0.checked_sub(cost).ok_or(Unreadable::TooCostly)?;
        Ok(())
    }
}

enum Unreadable {
    Format,
    Password,
    Scheme,
    TooCostly,
}

/// The certificates in the order of the file, DER, unchecked.
///
/// # Errors
/// A sentence for the caller: not PKCS #12, a password, an unknown encryption, too many rounds.
pub(crate) fn certificates(file: &[u8], budget: &mut Budget) -> Result<Vec<Vec<u8>>, String> {
    let sentence = match read(file, budget) {
        Ok(found) if found.is_empty() => "This PKCS#12 file holds no certificate.",
        Ok(found) => return Ok(found),
        Err(Unreadable::Format) => {
            "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format."
        }
        Err(Unreadable::Password) => {
            "This PKCS#12 file has a password. Export it again without one, or send the certificates as PEM."
        }
        Err(Unreadable::Scheme) => {
            "This PKCS#12 file is encrypted in a way that is not supported (supported: PBES2 with PBKDF2 and AES, and the old 3DES and RC2-40). Send the certificates as PEM."
        }
        Err(Unreadable::TooCostly) => {
            "This PKCS#12 file asks for too many rounds of key derivation. Export it again with fewer, or send the certificates as PEM."
        }
    };
    Err(sentence.to_owned())
}

// The MAC is not checked: under an empty password it proves nothing, and a wrong password shows
// in the decryption.
fn read(file: &[u8], budget: &mut Budget) -> Result<Vec<Vec<u8>>, Unreadable> {
    let safes = contents(file).ok_or(Unreadable::Format)?;
    let safes = Element::parse(&safes).and_then(|safes| safes.children_of(SEQUENCE)).ok_or(Unreadable::Format)?;
    let mut found = Vec::new();
    for safe in safes {
        let parts = safe.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
        let [kind, content] = parts[..] else { return Err(Unreadable::Format) };
        let content = content.explicit(0).ok_or(Unreadable::Format)?;
        if kind.is_oid(rfc5911::ID_DATA) {
            let bags = content.octets().and_then(|bags| certificate_bags(&bags)).ok_or(Unreadable::Format)?;
            found.extend(bags);
        } else if kind.is_oid(rfc5911::ID_ENCRYPTED_DATA) {
            found.extend(encrypted(content, budget)?);
        } else {
            return Err(Unreadable::Scheme);
        }
    }
    Ok(found)
}

/// The AuthenticatedSafe of a PFX in password integrity mode.
fn contents(file: &[u8]) -> Option<Vec<u8>> {
    let pfx = Element::parse(file)?.children_of(SEQUENCE)?;
    let [version, safe, ..] = &pfx[..] else { return None };
    let safe = safe.children_of(SEQUENCE)?;
    let [kind, content] = safe[..] else { return None };
    (version.unsigned() == Some(3) && kind.is_oid(rfc5911::ID_DATA)).then(|| content.explicit(0)?.octets())?
}

fn certificate_bags(safe_contents: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for bag in Element::parse(safe_contents)?.children_of(SEQUENCE)? {
        let bag = bag.children_of(SEQUENCE)?;
        let [kind, value, ..] = &bag[..] else { return None };
        if !kind.is_oid(CERT_BAG) {
            continue;
        }
        let certificate = value.explicit(0)?.children_of(SEQUENCE)?;
        let [kind, value] = certificate[..] else { return None };
        if kind.is_oid(X509_CERTIFICATE) {
            found.push(value.explicit(0)?.octets()?);
        }
    }
    Some(found)
}

fn encrypted(data: Element<'_>, budget: &mut Budget) -> Result<Vec<Vec<u8>>, Unreadable> {
    let data = data.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [version, info, ..] = &data[..] else { return Err(Unreadable::Format) };
    let info = info.children_of(SEQUENCE).filter(|_| version.tag == INTEGER).ok_or(Unreadable::Format)?;
    let [_, algorithm, ciphertext] = info[..] else { return Err(Unreadable::Format) };
    let ciphertext = ciphertext.octets().ok_or(Unreadable::Format)?;
    let algorithm = algorithm.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [scheme, parameters] = algorithm[..] else { return Err(Unreadable::Scheme) };
    let parameters = parameters.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    if scheme.is_oid(PBES2) {
        let plain = pbes2(&parameters, &ciphertext, budget)?;
        return certificate_bags(&plain).ok_or(Unreadable::Password);
    }
    // "No password" is written in two ways: as an empty string with its terminator, and as nothing.
    for password in [&[0, 0][..], &[]] {
        let plain = pbes1(scheme, &parameters, password, &ciphertext, budget)?;
        if let Some(found) = plain.and_then(|plain| certificate_bags(&plain)) {
            return Ok(found);
        }
    }
    Err(Unreadable::Password)
}

/// RFC 8018 section 6.2 with an empty password.
fn pbes2(parameters: &[Element<'_>], ciphertext: &[u8], budget: &mut Budget) -> Result<Vec<u8>, Unreadable> {
    let [derivation, cipher] = parameters else { return Err(Unreadable::Format) };
    let derivation = derivation.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let cipher = cipher.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let ([function, inputs], [cipher, iv]) = (&derivation[..], &cipher[..]) else { return Err(Unreadable::Scheme) };
    if !function.is_oid(PBKDF2) {
        return Err(Unreadable::Scheme);
    }
    let inputs = inputs.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [salt, iterations, rest @ ..] = &inputs[..] else { return Err(Unreadable::Format) };
    let salt = salt.octets().ok_or(Unreadable::Format)?;
    let iterations = iterations.unsigned().and_then(NonZeroU32::new).ok_or(Unreadable::Format)?;
    let (hash, hash_length) = match rest.iter().find(|part| part.tag == SEQUENCE) {
        None => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        Some(prf) => {
            let prf = prf.children().and_then(|parts| parts.first().copied()).ok_or(Unreadable::Format)?;
            hmac(prf).ok_or(Unreadable::Scheme)?
        }
    };
    let (algorithm, key_length) = if cipher.is_oid(rfc5911::ID_AES_256_CBC) {
        (&AES_256, 32)
    } else if cipher.is_oid(rfc5911::ID_AES_192_CBC) {
        (&AES_192, 24)
    } else if cipher.is_oid(rfc5911::ID_AES_128_CBC) {
        (&AES_128, 16)
    } else {
        return Err(Unreadable::Scheme);
    };
    let iv: [u8; 16] = iv.octets().and_then(|iv| iv.try_into().ok()).ok_or(Unreadable::Format)?;
    let mut key = [0_u8; 32];
    let key = &mut key[..key_length];
    budget.charge(iterations.get(), key_length.div_ceil(hash_length))?;
    pbkdf2::derive(hash, iterations, &salt, b"", key);
    let mut plain = ciphertext.to_vec();
    let length = UnboundCipherKey::new(algorithm, key)
        .and_then(PaddedBlockDecryptingKey::cbc_pkcs7)
        .and_then(|key| {
            key.decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from(&iv))).map(|plain| plain.len())
        })
        .map_err(|_| Unreadable::Password)?;
    plain.truncate(length);
    Ok(plain)
}

fn hmac(prf: Element<'_>) -> Option<(pbkdf2::Algorithm, usize)> {
    if prf.is_oid(HMAC_SHA_256) {
        Some((pbkdf2::PBKDF2_HMAC_SHA256, 32))
    } else if prf.is_oid(HMAC_SHA_1) {
        Some((pbkdf2::PBKDF2_HMAC_SHA1, 20))
    } else if prf.is_oid(HMAC_SHA_384) {
        Some((pbkdf2::PBKDF2_HMAC_SHA384, 48))
    } else if prf.is_oid(HMAC_SHA_512) {
        Some((pbkdf2::PBKDF2_HMAC_SHA512, 64))
    } else {
        None
    }
}

/// RFC 7292 appendix C; nothing where the password is wrong.
fn pbes1(
    scheme: Element<'_>,
    parameters: &[Element<'_>],
    password: &[u8],
    ciphertext: &[u8],
    budget: &mut Budget,
) -> Result<Option<Vec<u8>>, Unreadable> {
    let key_length = if scheme.is_oid(SHA1_3DES) {
        24_usize
    } else if scheme.is_oid(SHA1_RC2_40) {
        5
    } else {
        return Err(Unreadable::Scheme);
    };
    let [salt, iterations] = parameters else { return Err(Unreadable::Format) };
    let salt = salt.octets().ok_or(Unreadable::Format)?;
    let iterations = iterations.unsigned().filter(|count| *count > 0).ok_or(Unreadable::Format)?;
    budget.charge(iterations, 1 + key_length.div_ceil(SHA1_LENGTH))?;
    let key = derive(password, &salt, iterations, PURPOSE_KEY, key_length);
    let iv = derive(password, &salt, iterations, PURPOSE_IV, 8);
    Ok(match key_length {
        24 => decrypt::<des::TdesEde3>(&key, &iv, ciphertext),
        _ => decrypt::<rc2::Rc2>(&key, &iv, ciphertext),
    })
}

fn decrypt<C: KeyInit + BlockCipherDecrypt>(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(ciphertext).ok()
}

const SHA1_LENGTH: usize = 20;
const SHA1_BLOCK: usize = 64;
const PURPOSE_KEY: u8 = 1;
const PURPOSE_IV: u8 = 2;

/// RFC 7292 appendix B.2 with SHA-1; `password` is BMPString with its terminator.
fn derive(password: &[u8], salt: &[u8], iterations: u32, purpose: u8, length: usize) -> Vec<u8> {
    let fill = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().copied().cycle().take(bytes.len().div_ceil(SHA1_BLOCK) * SHA1_BLOCK).collect()
    };
    let mut input = [fill(salt), fill(password)].concat();
    let mut output = Vec::with_capacity(length + SHA1_LENGTH);
    while output.len() < length {
        let start = [&[purpose; SHA1_BLOCK][..], &input].concat();
        let mut hash = sha1(&start);
        for _ in 1..iterations {
            hash = sha1(&hash);
        }
        output.extend_from_slice(&hash);
        let addend: Vec<u8> = hash.iter().copied().cycle().take(SHA1_BLOCK).collect();
        for block in input.chunks_exact_mut(SHA1_BLOCK) {
            let mut carry = 1_u16;
            for (byte, add) in block.iter_mut().zip(&addend).rev() {
                carry += u16::from(*byte) + u16::from(*add);
                *byte = carry.to_le_bytes()[0];
                carry >>= 8;
            }
        }
    }
    output.truncate(length);
    output
}
