//! The password-based encryptions of PKCS #12 and PKCS #8: PBES2 (RFC 8018) with AES or 3DES, and
//! the old schemes of RFC 7292 appendix C with 3DES and RC2.

use super::super::asn1::{Element, OCTET_STRING, SEQUENCE};
use super::budget::{Budget, Derivation};
use super::schemes::{algorithm_name, scheme_name};
use aws_lc_rs::cipher::{AES_128, AES_192, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::{digest, hmac, iv::FixedLength, pbkdf2};
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7};
use const_oid::db::rfc5911;
use der::asn1::ObjectIdentifier;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

pub(super) const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
pub(super) const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA_224: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.8");
pub(super) const HMAC_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
pub(super) const SHA1_3DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.3");
const SHA1_2DES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.4");
const SHA1_RC2_128: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.5");
const SHA1_RC2_40: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.1.6");

/// Why something encrypted stays closed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Unreadable {
    Format,
    /// Another password, or damage: the two look alike.
    Password,
    /// The password is that of the file, and this part has another one.
    OtherPassword(&'static str),
    /// An algorithm that is not supported here, by name.
    Scheme(String),
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
    /// password" is written in two ways: as an empty string with its terminator, and as nothing. OpenSSL before 1.1.0
    /// made a character of each byte of UTF-8, and reads such files to this day (its page passphrase-encoding(7)).
    /// Each comes with its number; `first` is tried first.
    pub(super) fn forms(&self, first: usize) -> Vec<(usize, Zeroizing<Vec<u8>>)> {
        let with_terminator = self.0.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
        let mut forms = vec![(0, Zeroizing::new(with_terminator))];
        if self.0.is_empty() {
            forms.push((1, Zeroizing::new(NO_PASSWORD.to_vec())));
        }
        if !self.0.is_ascii() {
            let byte_by_byte = self.0.bytes().chain([0]).flat_map(|byte| [0, byte]).collect();
            forms.push((2, Zeroizing::new(byte_by_byte)));
        }
        forms.sort_by_key(|(form, _)| *form != first);
        forms
    }
}

/// Decrypts by an AlgorithmIdentifier. `fits` distinguishes a plaintext from the result of a wrong password.
pub(crate) fn decrypt(
    algorithm: Element<'_>,
    ciphertext: &[u8],
    password: Password<'_>,
    budget: &mut Budget,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let algorithm = algorithm.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let scheme = *algorithm.first().ok_or(Unreadable::Format)?;
    let parameters = algorithm.get(1).and_then(|parameters| parameters.children_of(SEQUENCE));
    let Some(parameters) = parameters.filter(|_| algorithm.len() == 2) else {
        return Err(Unreadable::Scheme(scheme_name(scheme)));
    };
    if scheme.is_oid(PBES2) {
        let plain = pbes2(&parameters, ciphertext, password, budget)?;
        return plain.filter(|plain| fits(plain)).ok_or(Unreadable::Password);
    }
    for (form, password) in password.forms(budget.form) {
        let plain = pbes1(scheme, &parameters, (form, &password), ciphertext, budget)?;
        if let Some(plain) = plain.filter(|plain| fits(plain)) {
            budget.form = form;
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
    let [cipher, iv] = cipher[..] else {
        return Err(cipher.first().map_or(Unreadable::Format, |cipher| Unreadable::Scheme(scheme_name(*cipher))));
    };
    let Some(iv) = (iv.tag == OCTET_STRING).then(|| iv.octets()).flatten() else {
        // RC2 and others have more parameters than an IV.
        return Err(Unreadable::Scheme(scheme_name(cipher)));
    };
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
        return Err(Unreadable::Scheme(scheme_name(cipher)));
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
    let [function, inputs] = derivation[..] else { return Err(Unreadable::Format) };
    if !function.is_oid(PBKDF2) {
        return Err(Unreadable::Scheme(scheme_name(function)));
    }
    let inputs = inputs.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [salt, iterations, rest @ ..] = &inputs[..] else { return Err(Unreadable::Format) };
    let salt = salt.octets().ok_or(Unreadable::Format)?;
    let iterations = iterations.unsigned().and_then(NonZeroU32::new).ok_or(Unreadable::Format)?;
    let hash = match rest.iter().find(|part| part.tag == SEQUENCE) {
        None => Hmac::SHA1,
        Some(prf) => Hmac::of(*prf).ok_or_else(|| Unreadable::Scheme(algorithm_name(*prf)))?,
    };
    let what = Derivation {
        function: ("PBKDF2", hash.length, 0),
        form: 0,
        salt: salt.clone(),
        iterations: iterations.get(),
        length,
    };
    // Round by round it takes twice as long.
    let slowness = if hash.derivation.is_some() { 1 } else { 2 };
    budget.derive(what, slowness * length.div_ceil(hash.length), || {
        hash.pbkdf2(password.utf8(), &salt, iterations, length)
    })
}

/// An HMAC as the function of PBKDF2 and of PBMAC1.
#[derive(Clone, Copy)]
pub(super) struct Hmac {
    pub(super) algorithm: hmac::Algorithm,
    length: usize,
    /// None: aws-lc has no PBKDF2 with it.
    derivation: Option<pbkdf2::Algorithm>,
}

impl Hmac {
    const SHA1: Self =
        Self { algorithm: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, length: 20, derivation: Some(pbkdf2::PBKDF2_HMAC_SHA1) };
    const SHA224: Self = Self { algorithm: hmac::HMAC_SHA224, length: 28, derivation: None };
    const SHA256: Self =
        Self { algorithm: hmac::HMAC_SHA256, length: 32, derivation: Some(pbkdf2::PBKDF2_HMAC_SHA256) };
    const SHA384: Self =
        Self { algorithm: hmac::HMAC_SHA384, length: 48, derivation: Some(pbkdf2::PBKDF2_HMAC_SHA384) };
    const SHA512: Self =
        Self { algorithm: hmac::HMAC_SHA512, length: 64, derivation: Some(pbkdf2::PBKDF2_HMAC_SHA512) };

    /// By an AlgorithmIdentifier (RFC 8018 appendix B.1).
    pub(super) fn of(prf: Element<'_>) -> Option<Self> {
        let name = *prf.children_of(SEQUENCE)?.first()?;
        [
            (HMAC_SHA_1, Self::SHA1),
            (HMAC_SHA_224, Self::SHA224),
            (HMAC_SHA_256, Self::SHA256),
            (HMAC_SHA_384, Self::SHA384),
            (HMAC_SHA_512, Self::SHA512),
        ]
        .into_iter()
        .find(|(oid, _)| name.is_oid(*oid))
        .map(|(_, hash)| hash)
    }

    /// RFC 8018 section 5.2.
    fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: NonZeroU32, length: usize) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; length]);
        if let Some(derivation) = self.derivation {
            pbkdf2::derive(derivation, iterations, salt, password, &mut key);
            return key;
        }
        let function = hmac::Key::new(self.algorithm, password);
        for (index, block) in (1_u32..).zip(key.chunks_mut(self.length)) {
            let mut link = hmac::sign(&function, &[salt, &index.to_be_bytes()].concat());
            block.copy_from_slice(&link.as_ref()[..block.len()]);
            for _ in 1..iterations.get() {
                link = hmac::sign(&function, link.as_ref());
                block.iter_mut().zip(link.as_ref()).for_each(|(byte, other)| *byte ^= other);
            }
        }
        key
    }
}

/// RFC 7292 appendix C; `None` if the password is wrong.
fn pbes1(
    scheme: Element<'_>,
    parameters: &[Element<'_>],
    (form, password): (usize, &[u8]),
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
        return Err(Unreadable::Scheme(scheme_name(scheme)));
    };
    let [salt, iterations] = parameters else { return Err(Unreadable::Format) };
    let salt = salt.octets().ok_or(Unreadable::Format)?;
    let iterations = iterations.unsigned().filter(|count| *count > 0).ok_or(Unreadable::Format)?;
    let input = Input { form, password, salt: &salt, iterations };
    let key = Hash::SHA1.derive_within(budget, &input, PURPOSE_KEY, key_length)?;
    let iv = Hash::SHA1.derive_within(budget, &input, PURPOSE_IV, 8)?;
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

/// What a key of RFC 7292 appendix B follows from.
pub(super) struct Input<'a> {
    pub(super) form: usize,
    pub(super) password: &'a [u8],
    pub(super) salt: &'a [u8],
    pub(super) iterations: u32,
}

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

    /// [`Hash::derive`], paid for.
    pub(super) fn derive_within(
        self,
        budget: &mut Budget,
        input: &Input<'_>,
        purpose: u8,
        length: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let Input { form, password, salt, iterations } = *input;
        let function = ("PKCS12", self.length, purpose);
        let what = Derivation { function, form, salt: salt.to_vec(), iterations, length };
        budget.derive(what, length.div_ceil(self.length), || self.derive(password, salt, iterations, purpose, length))
    }

    /// `password` is BMPString with its terminator, or nothing.
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
