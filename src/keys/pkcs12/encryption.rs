//! The password-based encryptions of PKCS #12 and PKCS #8: PBES2 (RFC 8018) with AES or 3DES, and
//! the old schemes of RFC 7292 appendix C with 3DES and RC2.

use super::super::asn1::{Element, SEQUENCE};
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::{digest, iv::FixedLength, pbkdf2};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use const_oid::db::rfc5911;
use der::asn1::ObjectIdentifier;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
pub(super) const HMAC_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
pub(super) const HMAC_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
pub(super) const HMAC_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
pub(super) const HMAC_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
pub(super) const SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_2DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.4");
const SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

/// Longest salt in bytes that is worked with: a salt is hashed in every round of the old schemes.
const MAX_SALT: usize = 1024;

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
    pub(super) fn charge(&mut self, iterations: u32, blocks: usize) -> Result<(), Unreadable> {
        let cost = u64::from(iterations).saturating_mul(blocks as u64);
        self.0 = self.0.checked_sub(cost).ok_or(Unreadable::TooCostly)?;
        Ok(())
    }
}

/// Why something encrypted stays closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unreadable {
    Format,
    /// Another password, or damage: the two look alike.
    Password,
    /// An algorithm that is not known here.
    Scheme,
    /// More rounds than the budget has.
    TooCostly,
}

/// No password at all, as the schemes of PKCS #12 write it: no bytes, not even a terminator.
pub(super) const NO_PASSWORD: &[u8] = &[];

/// A password, which each scheme wants in its own letters.
#[derive(Clone, Copy)]
pub(crate) struct Password<'a>(pub(crate) &'a str);

impl Password<'_> {
    /// For PBES2: UTF-8.
    pub(super) fn utf8(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// For the schemes of PKCS #12: BMPString with its terminator (RFC 7292 appendix B.1). "No
    /// password" is written in two ways: as an empty string with its terminator, and as nothing.
    pub(super) fn forms(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let with_terminator = self.0.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
        let mut forms = vec![Zeroizing::new(with_terminator)];
        if self.0.is_empty() {
            forms.push(Zeroizing::new(NO_PASSWORD.to_vec()));
        }
        forms
    }
}

/// Decrypts by an AlgorithmIdentifier. `fits` tells a plain text from what a wrong password leaves.
pub(crate) fn decrypt(
    algorithm: Element<'_>,
    ciphertext: &[u8],
    password: Password<'_>,
    budget: &mut Budget,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let algorithm = algorithm.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [scheme, parameters] = algorithm[..] else { return Err(Unreadable::Scheme) };
    let parameters = parameters.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    if scheme.is_oid(PBES2) {
        let plain = pbes2(&parameters, ciphertext, password, budget)?;
        return plain.filter(|plain| fits(plain)).ok_or(Unreadable::Password);
    }
    for password in password.forms() {
        let plain = pbes1(scheme, &parameters, &password, ciphertext, budget)?;
        if let Some(plain) = plain.filter(|plain| fits(plain)) {
            return Ok(plain);
        }
    }
    Err(Unreadable::Password)
}

type Plain = Option<Zeroizing<Vec<u8>>>;

/// RFC 8018 section 6.2.
fn pbes2(
    parameters: &[Element<'_>],
    ciphertext: &[u8],
    password: Password<'_>,
    budget: &mut Budget,
) -> Result<Plain, Unreadable> {
    let [derivation, cipher] = parameters else { return Err(Unreadable::Format) };
    let cipher = cipher.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [cipher, iv] = cipher[..] else { return Err(Unreadable::Scheme) };
    let iv = iv.octets().ok_or(Unreadable::Format)?;
    if cipher.is_oid(DES_EDE3_CBC) {
        let key = pbkdf2_key(*derivation, password, 24, budget)?;
        return Ok(cbc_decrypt::<des::TdesEde3>(&key, &iv, ciphertext));
    }
    let (algorithm, key_length) = if cipher.is_oid(rfc5911::ID_AES_256_CBC) {
        (&AES_256, 32)
    } else if cipher.is_oid(rfc5911::ID_AES_192_CBC) {
        (&AES_192, 24)
    } else if cipher.is_oid(rfc5911::ID_AES_128_CBC) {
        (&AES_128, 16)
    } else {
        return Err(Unreadable::Scheme);
    };
    let iv: [u8; 16] = iv.try_into().map_err(|_| Unreadable::Format)?;
    let key = pbkdf2_key(*derivation, password, key_length, budget)?;
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    let length = UnboundCipherKey::new(algorithm, &key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7).and_then(|key| {
        key.decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from(&iv))).map(|plain| plain.len())
    });
    Ok(length.ok().map(|length| {
        plain.truncate(length);
        plain
    }))
}

/// The key of PBKDF2 by its AlgorithmIdentifier (RFC 8018 appendix A.2).
pub(super) fn pbkdf2_key(
    derivation: Element<'_>,
    password: Password<'_>,
    length: usize,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let derivation = derivation.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [function, inputs] = derivation[..] else { return Err(Unreadable::Scheme) };
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
    budget.charge(iterations.get(), length.div_ceil(hash_length))?;
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(hash, iterations, &salt, password.utf8(), &mut key);
    Ok(key)
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
) -> Result<Plain, Unreadable> {
    let (key_length, is_des) = if scheme.is_oid(SHA1_3DES) {
        (24_usize, true)
    } else if scheme.is_oid(SHA1_2DES) {
        (16, true)
    } else if scheme.is_oid(SHA1_RC2_128) {
        (16, false)
    } else if scheme.is_oid(SHA1_RC2_40) {
        (5, false)
    } else {
        return Err(Unreadable::Scheme);
    };
    let [salt, iterations] = parameters else { return Err(Unreadable::Format) };
    let salt = salt.octets().filter(|salt| salt.len() <= MAX_SALT).ok_or(Unreadable::Format)?;
    let iterations = iterations.unsigned().filter(|count| *count > 0).ok_or(Unreadable::Format)?;
    budget.charge(iterations, 1 + key_length.div_ceil(Hash::SHA1.length))?;
    let key = Hash::SHA1.derive(password, &salt, iterations, PURPOSE_KEY, key_length);
    let iv = Hash::SHA1.derive(password, &salt, iterations, PURPOSE_IV, 8);
    Ok(match (is_des, key_length) {
        (true, 24) => cbc_decrypt::<des::TdesEde3>(&key, &iv, ciphertext),
        (true, _) => cbc_decrypt::<des::TdesEde2>(&key, &iv, ciphertext),
        (false, _) => cbc_decrypt::<rc2::Rc2>(&key, &iv, ciphertext),
    })
}

fn cbc_decrypt<C: KeyInit + BlockCipherDecrypt>(key: &[u8], iv: &[u8], ciphertext: &[u8]) -> Plain {
    let cipher = cbc::Decryptor::<C>::new_from_slices(key, iv).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(ciphertext).ok().map(Zeroizing::new)
}

pub(super) const PURPOSE_KEY: u8 = 1;
pub(super) const PURPOSE_IV: u8 = 2;
pub(super) const PURPOSE_MAC: u8 = 3;

/// A hash of the derivation of RFC 7292 appendix B.2.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    algorithm: &'static digest::Algorithm,
    pub(super) length: usize,
    block: usize,
}

impl Hash {
    pub(super) const SHA1: Self = Self { algorithm: &digest::SHA1_FOR_LEGACY_USE_ONLY, length: 20, block: 64 };
    pub(super) const SHA224: Self = Self { algorithm: &digest::SHA224, length: 28, block: 64 };
    pub(super) const SHA256: Self = Self { algorithm: &digest::SHA256, length: 32, block: 64 };
    pub(super) const SHA384: Self = Self { algorithm: &digest::SHA384, length: 48, block: 128 };
    pub(super) const SHA512: Self = Self { algorithm: &digest::SHA512, length: 64, block: 128 };

    fn of(self, bytes: &[u8]) -> digest::Digest {
        digest::digest(self.algorithm, bytes)
    }

    /// `password` is BMPString with its terminator.
    pub(super) fn derive(
        self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        purpose: u8,
        length: usize,
    ) -> Zeroizing<Vec<u8>> {
        let size = self.block;
        let fill = |bytes: &[u8]| -> Zeroizing<Vec<u8>> {
            Zeroizing::new(bytes.iter().copied().cycle().take(bytes.len().div_ceil(size) * size).collect())
        };
        let mut input = Zeroizing::new([&fill(salt)[..], &fill(password)].concat());
        let mut output = Zeroizing::new(Vec::with_capacity(length + self.length));
        while output.len() < length {
            let start = Zeroizing::new([&vec![purpose; size][..], &input].concat());
            let mut hash = self.of(&start);
            for _ in 1..iterations {
                hash = self.of(hash.as_ref());
            }
            output.extend_from_slice(hash.as_ref());
            let addend: Zeroizing<Vec<u8>> = Zeroizing::new(hash.as_ref().iter().copied().cycle().take(size).collect());
            for block in input.chunks_exact_mut(size) {
                let mut carry = 1_u16;
                for (byte, add) in block.iter_mut().zip(addend.iter()).rev() {
                    carry += u16::from(*byte) + u16::from(*add);
                    *byte = carry.to_le_bytes()[0];
                    carry >>= 8;
                }
            }
        }
        output.truncate(length);
        output
    }
}
