//! PKCS #12 files (RFC 7292): parsing of untrusted files, and writing files that every common decoder can open. The
//! cost of parsing is bounded over all input of one request, since the sender chooses the iteration counts.

mod budget;
mod encryption;
mod mac;
mod protected;
mod schemes;
mod write;

pub(crate) use budget::Budget;
pub(crate) use encryption::{Password, Unreadable, decrypt};
pub(crate) use protected::write_protected;
pub(crate) use write::write;

use super::asn1::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE};
use const_oid::db::rfc5911;
use der::asn1::ObjectIdentifier;
use schemes::scheme_name;
use zeroize::Zeroizing;

const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERT_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const SAFE_CONTENTS_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
const X509_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");

const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");

/// Bags inside of bags, at most.
const MAX_NESTING: u8 = 4;

/// What a file holds, in its order, unchecked.
#[derive(Default)]
pub(crate) struct Contents {
    /// PKCS #8, DER; empty if keys were not requested.
    pub(crate) keys: Vec<Zeroizing<Vec<u8>>>,
    /// The localKeyIDs of the keys, even if the keys were not requested.
    pub(crate) key_ids: Vec<Vec<u8>>,
    pub(crate) certificates: Vec<Certificate>,
}

/// A certificate of a file.
pub(crate) struct Certificate {
    /// X.509, DER.
    pub(crate) der: Vec<u8>,
    /// The key that it belongs to, if the file names one.
    pub(crate) key_id: Option<Vec<u8>>,
}

/// The certificates of a file without a password. Keys inside are not read, the MAC is not checked.
pub(crate) fn read_certificates(file: &[u8], budget: &mut Budget) -> Result<Contents, Unreadable> {
    Reader { password: Password(""), with_keys: false, is_verified: false, budget }.file(file, false)
}

/// Everything that a file holds. Where it has a MAC, the MAC must be right.
pub(crate) fn read(file: &[u8], password: Password<'_>, budget: &mut Budget) -> Result<Contents, Unreadable> {
    Reader { password, with_keys: true, is_verified: false, budget }.file(file, true)
}

struct Reader<'a> {
    password: Password<'a>,
    with_keys: bool,
    /// The MAC is right, and so is the password of the file.
    is_verified: bool,
    budget: &'a mut Budget,
}

/// A bag: its kind, and its value without the tag around it.
struct Bag<'a> {
    kind: Element<'a>,
    value: Element<'a>,
    key_id: Option<Vec<u8>>,
}

impl Reader<'_> {
    /// A PFX in password integrity mode.
    fn file(&mut self, file: &[u8], check_mac: bool) -> Result<Contents, Unreadable> {
        let pfx = Element::parse(file).and_then(|pfx| pfx.children_of(SEQUENCE)).ok_or(Unreadable::Format)?;
        let [version, safe, rest @ ..] = &pfx[..] else { return Err(Unreadable::Format) };
        let safe = safe.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
        let [kind, content] = safe[..] else { return Err(Unreadable::Format) };
        if version.unsigned() != Some(3) || kind.tag != OID {
            return Err(Unreadable::Format);
        }
        if !kind.is_oid(rfc5911::ID_DATA) {
            return Err(Unreadable::Scheme(scheme_name(kind)));
        }
        let content = content.explicit(0).and_then(|content| content.octets()).ok_or(Unreadable::Format)?;
        if let Some(mac) = rest.first().filter(|_| check_mac) {
            mac::check(*mac, &content, self.password, self.budget)?;
            self.is_verified = true;
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
            return Err(Unreadable::Scheme(scheme_name(kind)));
        }
        let data = content.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
        let [version, info, ..] = &data[..] else { return Err(Unreadable::Format) };
        let info = info.children_of(SEQUENCE).filter(|_| version.tag == INTEGER).ok_or(Unreadable::Format)?;
        let [_, algorithm, ciphertext] = info[..] else { return Err(Unreadable::Format) };
        let ciphertext = ciphertext.octets().ok_or(Unreadable::Format)?;
        // A wrong password may leave padding that looks right; bags it does not leave.
        let plain = decrypt(algorithm, &ciphertext, self.password, self.budget, |plain| split(plain).is_some());
        let plain = plain.map_err(|why| self.inside(why, "a part of it"))?;
        self.bags(&plain, MAX_NESTING, found)
    }

    fn bags(&mut self, contents: &[u8], depth: u8, found: &mut Contents) -> Result<(), Unreadable> {
        for Bag { kind, value, key_id } in split(contents).ok_or(Unreadable::Format)? {
            if kind.is_oid(CERT_BAG) {
                let certificate = value.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
                let [kind, value] = certificate[..] else { return Err(Unreadable::Format) };
                if kind.is_oid(X509_CERTIFICATE) {
                    let der = value.explicit(0).and_then(|value| value.octets()).ok_or(Unreadable::Format)?;
                    found.certificates.push(Certificate { der, key_id });
                }
            } else if kind.is_oid(SAFE_CONTENTS_BAG) {
                let depth = depth.checked_sub(1).ok_or(Unreadable::Format)?;
                self.bags(value.whole, depth, found)?;
            } else if kind.is_oid(KEY_BAG) || kind.is_oid(SHROUDED_KEY_BAG) {
                found.key_ids.extend(key_id);
                if !self.with_keys {
                    continue;
                }
                found.keys.push(match kind.is_oid(KEY_BAG) {
                    true => Zeroizing::new(value.whole.to_vec()),
                    false => encrypted_key(value.whole, self.password, self.budget)
                        .map_err(|why| self.inside(why, "the private key in it"))?,
                });
            }
        }
        Ok(())
    }
}

impl Reader<'_> {
    /// Why a part cannot be read: where the file itself has the password, the part has another one.
    fn inside(&self, why: Unreadable, part: &'static str) -> Unreadable {
        match why {
            Unreadable::Password if self.is_verified => Unreadable::OtherPassword(part),
            other => other,
        }
    }
}

/// The bags of a SafeContents; none where it is not one.
fn split(contents: &[u8]) -> Option<Vec<Bag<'_>>> {
    let bags = Element::parse(contents)?.children_of(SEQUENCE)?;
    bags.into_iter()
        .map(|bag| {
            let bag = bag.children_of(SEQUENCE)?;
            let [kind, value, attributes @ ..] = &bag[..] else { return None };
            let key_id = attributes.first().and_then(local_key_id);
            Some(Bag { kind: *kind, value: value.explicit(0)?, key_id })
        })
        .collect()
}

/// Which key a bag belongs to. Attributes of another form are not needed, whatever they are.
fn local_key_id(attributes: &Element<'_>) -> Option<Vec<u8>> {
    attributes.children()?.iter().find_map(|attribute| match attribute.children()?[..] {
        [kind, values] if kind.is_oid(LOCAL_KEY_ID) => values.children()?.first()?.octets(),
        _ => None,
    })
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
