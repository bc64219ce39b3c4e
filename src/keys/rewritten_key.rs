//! Private keys that other programs read though they are not quite what the standards ask for: in BER, with numbers that
//! begin with needless zeros, without the NULL of RSA, or with a public key behind. They are written in DER without
//! these, and checked then as any other key.

use super::asn1::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE, tlv};
use const_oid::db::rfc5912::RSA_ENCRYPTION;
use zeroize::Zeroizing;

const NULL: u8 = 5;
/// Structures inside of structures: a key has three.
const MAX_DEPTH: u8 = 8;

type Der = Zeroizing<Vec<u8>>;

/// A PrivateKeyInfo (RFC 5208 section 5) of the same key; none where the input is none.
pub(super) fn pkcs8(key: &[u8]) -> Option<Der> {
    let parts = Element::parse(key)?.children_of(SEQUENCE)?;
    let [version, algorithm, key, ..] = parts[..] else { return None };
    let algorithm = algorithm.children_of(SEQUENCE)?;
    let oid = *algorithm.first().filter(|oid| oid.tag == OID && version.tag == INTEGER)?;
    let parameters = match algorithm.get(1) {
        _ if oid.is_oid(RSA_ENCRYPTION) => Zeroizing::new(vec![NULL, 0]),
        Some(parameters) => element(parameters, MAX_DEPTH)?,
        None => Der::default(),
    };
    let inner = self::key(&Zeroizing::new((key.tag & 0x1f == OCTET_STRING).then(|| key.octets())??))?;
    let inner = Zeroizing::new(tlv(OCTET_STRING, &[&inner]));
    let algorithm = tlv(SEQUENCE, &[oid.whole, &parameters]);
    Some(Zeroizing::new(tlv(SEQUENCE, &[&[INTEGER, 1, 0], &algorithm, &inner])))
}

/// An RSAPrivateKey (RFC 8017 appendix A.1.2) or an ECPrivateKey (RFC 5915 section 3).
pub(super) fn key(key: &[u8]) -> Option<Der> {
    element(&Element::parse(key)?, MAX_DEPTH)
}

fn element(from: &Element<'_>, depth: u8) -> Option<Der> {
    const CONSTRUCTED_OCTETS: u8 = 0x20 | OCTET_STRING;
    let depth = depth.checked_sub(1)?;
    Some(Zeroizing::new(match (from.tag, from.children()) {
        (INTEGER, _) => tlv(INTEGER, &[shortest(from.content)]),
        (OCTET_STRING | CONSTRUCTED_OCTETS, _) => tlv(OCTET_STRING, &[&Zeroizing::new(from.octets()?)]),
        (tag, Some(children)) => {
            let children: Vec<Der> = children.iter().map(|child| element(child, depth)).collect::<Option<_>>()?;
            tlv(tag, &children.iter().map(|child| child.as_slice()).collect::<Vec<_>>())
        }
        (tag, None) => tlv(tag, &[from.content]),
    }))
}

/// A non-negative number without leading zeros that do not matter (X.690 section 8.3.2).
fn shortest(number: &[u8]) -> &[u8] {
    let needless = number.windows(2).take_while(|pair| pair[0] == 0 && pair[1] & 0x80 == 0).count();
    &number[needless..]
}

#[cfg(test)]
mod tests {
    use super::super::KeyPair;
    use super::*;
    use crate::domain::policy::KeyType;

    /// The same in BER: indefinite lengths, and two zeros before each number.
    fn loose(from: &Element<'_>) -> Vec<u8> {
        match (from.tag, from.children()) {
            (tag, Some(children)) => {
                [&[tag, 0x80][..], &children.iter().flat_map(loose).collect::<Vec<_>>(), &[0, 0]].concat()
            }
            (INTEGER, _) if from.content.len() > 1 => tlv(INTEGER, &[&[0, 0], from.content]),
            (OCTET_STRING, _) if from.content[0] == SEQUENCE => {
                tlv(OCTET_STRING, &[&loose(&Element::parse(from.content).unwrap())])
            }
            _ => from.whole.to_vec(),
        }
    }

    #[test]
    fn a_loose_key_is_the_same_key() {
        for key_type in [KeyType::Rsa2048, KeyType::P256, KeyType::P384, KeyType::P521] {
            let key = KeyPair::generate(key_type).unwrap();
            let der = key.to_pkcs8();
            let whole = Element::parse(&der).unwrap();
            let parts = whole.children().unwrap();
            let again = |der: &[u8]| KeyPair::from_pkcs8(der).map(|key| key.public_key_der());
            assert_eq!(again(&loose(&whole)).unwrap(), key.public_key_der(), "{key_type:?}");
            let oid = parts[1].children().unwrap()[0];
            if oid.is_oid(RSA_ENCRYPTION) {
                let algorithm = tlv(SEQUENCE, &[oid.whole]);
                let short = tlv(SEQUENCE, &[parts[0].whole, &algorithm, parts[2].whole]);
                assert_eq!(again(&short).unwrap(), key.public_key_der());
                let inner = loose(&Element::parse(parts[2].content).unwrap());
                assert_eq!(KeyPair::from_pkcs1(&inner).unwrap().public_key_der(), key.public_key_der());
            }
            // Version 2 with the public key behind (RFC 5958 section 2).
            let public = tlv(0x81, &[&[0], &key.public_key_der()]);
            let longer = tlv(SEQUENCE, &[&[INTEGER, 1, 1], parts[1].whole, parts[2].whole, &public]);
            assert_eq!(again(&longer).unwrap(), key.public_key_der(), "{key_type:?}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_rewritten() {
        for bad in [&b""[..], b"\x30\x00", b"\x30\x03\x02\x01\x00", &[0x30, 0x80].repeat(20)] {
            assert!(pkcs8(bad).is_none());
        }
        assert!(key(&[[0x30, 0x80].repeat(9), [0, 0].repeat(9)].concat()).is_none());
    }
}
