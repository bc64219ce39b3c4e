//! PKCS #12 files (RFC 7292): certificates and keys out of what strangers send, and files that
//! every decoder in use can open. The cost of reading is bounded over everything that one caller
//! sends: the iteration counts are his.

mod encryption;
mod mac;
mod write;

pub(crate) use encryption::{Budget, MAX_ROUNDS, Password, Unreadable, decrypt};
pub(crate) use write::write;

use super::asn1::{Element, INTEGER, OCTET_STRING, SEQUENCE};
use const_oid::db::rfc5911;
use der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const SAFE_CONTENTS_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");

/// Bags inside of bags, at most.
const MAX_NESTING: u8 = 4;
/// Most keys of one file; a file with more than one is refused anyway.
const MAX_KEYS: usize = 8;

/// What a file holds, in its order, unchecked.
#[derive(Default)]
pub(crate) struct Contents {
    /// PKCS #8, DER; empty where keys were not asked for.
    pub(crate) keys: Vec<Zeroizing<Vec<u8>>>,
    /// X.509, DER.
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// The certificates of a file without a password. Keys inside are not read.
///
/// # Errors
/// A sentence for the caller: not PKCS #12, a password, an unknown encryption, too many rounds.
pub(crate) fn certificates(file: &[u8], budget: &mut Budget) -> Result<Vec<Vec<u8>>, String> {
    // The MAC is not checked: under an empty password it proves nothing, and a wrong password
    // shows in the decryption.
    let mut reader = Reader { password: Password(""), with_keys: false, budget };
    let sentence = match reader.file(file, false) {
        Ok(found) if found.certificates.is_empty() => "This PKCS#12 file holds no certificate.",
        Ok(found) => return Ok(found.certificates),
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

/// Everything that a file holds. Where it has a MAC, the MAC must be right.
pub(crate) fn read(file: &[u8], password: Password<'_>, budget: &mut Budget) -> Result<Contents, Unreadable> {
    Reader { password, with_keys: true, budget }.file(file, true)
}

struct Reader<'a> {
    password: Password<'a>,
    with_keys: bool,
    budget: &'a mut Budget,
}

/// A bag: its kind, and its value without the tag around it.
struct Bag<'a> {
    kind: Element<'a>,
    value: Element<'a>,
}

impl Reader<'_> {
    /// A PFX in password integrity mode.
    fn file(&mut self, file: &[u8], check_mac: bool) -> Result<Contents, Unreadable> {
        let pfx = Element::parse(file).and_then(|pfx| pfx.children_of(SEQUENCE)).ok_or(Unreadable::Format)?;
        let [version, safe, rest @ ..] = &pfx[..] else { return Err(Unreadable::Format) };
        let safe = safe.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
        let [kind, content] = safe[..] else { return Err(Unreadable::Format) };
        if version.unsigned() != Some(3) || !kind.is_oid(rfc5911::ID_DATA) {
            return Err(Unreadable::Format);
        }
        let content = content.explicit(0).and_then(|content| content.octets()).ok_or(Unreadable::Format)?;
        if let Some(mac) = rest.first().filter(|_| check_mac) {
            mac::check(*mac, &content, self.password, self.budget)?;
        }
        let safes = Element::parse(&content).and_then(|safes| safes.children_of(SEQUENCE)).ok_or(Unreadable::Format)?;
        let mut found = Contents::default();
        for safe in safes {
            self.safe(safe, &mut found)?;
        }
        Ok(found)
    }

    /// A ContentInfo of the AuthenticatedSafe.
    fn safe(&mut self, safe: Element<'_>, found: &mut Contents) -> Result<(), Unreadable> {
        let parts = safe.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
        let [kind, content] = parts[..] else { return Err(Unreadable::Format) };
        let content = content.explicit(0).ok_or(Unreadable::Format)?;
        if kind.is_oid(rfc5911::ID_DATA) {
            let bags = Zeroizing::new(content.octets().ok_or(Unreadable::Format)?);
            return self.bags(&bags, MAX_NESTING, found);
        }
        if !kind.is_oid(rfc5911::ID_ENCRYPTED_DATA) {
            return Err(Unreadable::Scheme);
        }
        let data = content.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
        let [version, info, ..] = &data[..] else { return Err(Unreadable::Format) };
        let info = info.children_of(SEQUENCE).filter(|_| version.tag == INTEGER).ok_or(Unreadable::Format)?;
        let [_, algorithm, ciphertext] = info[..] else { return Err(Unreadable::Format) };
        let ciphertext = ciphertext.octets().ok_or(Unreadable::Format)?;
        // A wrong password may leave padding that looks right; bags it does not leave.
        let plain = decrypt(algorithm, &ciphertext, self.password, self.budget, |plain| split(plain).is_some())?;
        self.bags(&plain, MAX_NESTING, found)
    }

    fn bags(&mut self, contents: &[u8], depth: u8, found: &mut Contents) -> Result<(), Unreadable> {
        for Bag { kind, value } in split(contents).ok_or(Unreadable::Format)? {
            if kind.is_oid(CERT_BAG) {
                let certificate = value.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
                let [kind, value] = certificate[..] else { return Err(Unreadable::Format) };
                if kind.is_oid(X509_CERTIFICATE) {
                    let der = value.explicit(0).and_then(|value| value.octets()).ok_or(Unreadable::Format)?;
                    found.certificates.push(der);
                }
            } else if kind.is_oid(SAFE_CONTENTS_BAG) {
                let depth = depth.checked_sub(1).ok_or(Unreadable::Format)?;
                self.bags(value.whole, depth, found)?;
            } else if self.with_keys && found.keys.len() < MAX_KEYS {
                if kind.is_oid(KEY_BAG) {
                    found.keys.push(Zeroizing::new(value.whole.to_vec()));
                } else if kind.is_oid(SHROUDED_KEY_BAG) {
                    found.keys.push(encrypted_key(value.whole, self.password, self.budget)?);
                }
            }
        }
        Ok(())
    }
}

/// The bags of a SafeContents; none where it is not one.
fn split(contents: &[u8]) -> Option<Vec<Bag<'_>>> {
    let bags = Element::parse(contents)?.children_of(SEQUENCE)?;
    bags.into_iter()
        .map(|bag| {
            let bag = bag.children_of(SEQUENCE)?;
            let [kind, value, ..] = bag[..] else { return None };
            Some(Bag { kind, value: value.explicit(0)? })
        })
        .collect()
}

/// The PKCS #8 key inside an EncryptedPrivateKeyInfo (RFC 5958 section 3).
pub(crate) fn encrypted_key(
    der: &[u8],
    password: Password<'_>,
    budget: &mut Budget,
) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let parts = Element::parse(der).and_then(|outer| outer.children_of(SEQUENCE)).ok_or(Unreadable::Format)?;
    let [algorithm, ciphertext] = parts[..] else { return Err(Unreadable::Format) };
    let ciphertext = ciphertext.octets().ok_or(Unreadable::Format)?;
    decrypt(algorithm, &ciphertext, password, budget, is_private_key)
}

/// Whether this has the form of PKCS #8: version, algorithm, key.
pub(crate) fn is_private_key(der: &[u8]) -> bool {
    let parts = Element::parse(der).and_then(|outer| outer.children_of(SEQUENCE)).unwrap_or_default();
    let tags: Vec<u8> = parts.iter().take(3).map(|part| part.tag).collect();
    tags == [INTEGER, SEQUENCE, OCTET_STRING]
}
