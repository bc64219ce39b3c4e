//! The forms in which certificates write a public key apart from the usual one: other programs read some of them, so that
//! they are not told as another key.

use super::asn1::{Element, INTEGER, SEQUENCE};
use super::x509::PublicKeyInfo;
use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION};

/// Public exponents of more bits are not worked with by the crypto library.
pub(super) const MAX_EXPONENT_BITS: usize = 33;

const NEW_REQUEST: &str = "Have a certificate issued for a request of the key in the usual form, which `openssl pkey -in KEY -ec_conv_form uncompressed -ec_param_enc named_curve` writes.";

/// Where a certificate has the `wanted` key in another form: a clause about that form, and what to do. None where it is
/// another key.
pub(super) fn of_same_key(key: &PublicKeyInfo<'_>, wanted: &PublicKeyInfo<'_>) -> Option<String> {
    if wanted.algorithm.is(RSA_ENCRYPTION) {
        let (own, numbers) = (numbers(key.bits)?, numbers(wanted.bits)?);
        let form = match key.algorithm.is(RSA_ENCRYPTION) {
            true => "not in DER".to_owned(),
            false => format!("as a key of the algorithm {}", key.algorithm.text()),
        };
        return (own == numbers).then(|| {
            format!("writes it {form}, which is not supported here. Have a certificate issued for a plain RSA key.")
        });
    }
    if !key.algorithm.is(ID_EC_PUBLIC_KEY) || !is_point(key.bits, wanted.bits) {
        return None;
    }
    let form = of_ec(key).unwrap_or_else(|| format!("as a key of the algorithm {}", key.algorithm.text()));
    Some(format!(
        "writes it {form}, which is not supported here and read by few programs (RFC 5480 section 2). {NEW_REQUEST}"
    ))
}

/// The unusual form of an EC key, as in "as a compressed point".
pub(super) fn of_ec(key: &PublicKeyInfo<'_>) -> Option<String> {
    if key.algorithm.parameters.is_some_and(|parameters| parameters.tag == SEQUENCE) {
        return Some("with the numbers of its curve (explicit parameters)".to_owned());
    }
    match key.bits.first()? {
        2 | 3 => Some("as a compressed point".to_owned()),
        6 | 7 => Some("as a hybrid point".to_owned()),
        _ => None,
    }
}

/// Size of the modulus and of the public exponent of an RSA key in bits.
pub(super) fn rsa_sizes(bits: &[u8]) -> Option<(usize, usize)> {
    let size = |number: &[u8]| Some(number.len() * 8 - usize::try_from(number.first()?.leading_zeros()).ok()?);
    let (modulus, exponent) = numbers(bits)?;
    Some((size(modulus)?, size(exponent)?))
}

/// Modulus and exponent of an RSAPublicKey (RFC 8017 appendix A.1.1), without leading zeros.
fn numbers(bits: &[u8]) -> Option<(&[u8], &[u8])> {
    let parts = Element::parse(bits)?.children_of(SEQUENCE)?;
    let [modulus, exponent] = parts[..] else { return None };
    Some((number(modulus)?, number(exponent)?))
}

fn number(element: Element<'_>) -> Option<&[u8]> {
    let zeros = element.content.iter().take_while(|byte| **byte == 0).count();
    (element.tag == INTEGER).then(|| &element.content[zeros..])
}

/// Whether `point` in any form of SEC 1 section 2.3.3 is the uncompressed point `wanted`. A compressed point names one
/// coordinate, and whether the other one is odd, which is enough: of the two that fit one is odd.
fn is_point(point: &[u8], wanted: &[u8]) -> bool {
    let (Some((form, point)), Some((4, wanted))) = (point.split_first(), wanted.split_first()) else { return false };
    let (x, y) = wanted.split_at(wanted.len() / 2);
    let odd = y.last().is_some_and(|last| last & 1 == 1);
    match form {
        _ if x.is_empty() => false,
        2 | 3 => point == x && odd == (*form == 3),
        4 => point == wanted,
        6 | 7 => point == wanted && odd == (*form == 7),
        _ => false,
    }
}

/// The name of a curve by its object identifier in dotted form.
pub(super) fn curve_name(oid: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 8] = [
        ("1.2.840.10045.3.1.1", "P-192"),
        ("1.2.840.10045.3.1.7", "P-256"),
        ("1.3.132.0.33", "P-224"),
        ("1.3.132.0.34", "P-384"),
        ("1.3.132.0.35", "P-521"),
        ("1.3.132.0.10", "secp256k1"),
        ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
        ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ];
    NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_point_is_the_same_point_and_no_other() {
        for (y, compressed, hybrid) in [([0x20, 7], 3, 7), ([0x20, 8], 2, 6)] {
            let (x, wanted) = ([0x10, 0x11], [&[4, 0x10, 0x11][..], &y].concat());
            assert!(is_point(&wanted, &wanted));
            assert!(is_point(&[&[compressed][..], &x].concat(), &wanted));
            assert!(is_point(&[&[hybrid][..], &x, &y].concat(), &wanted));
            assert!(!is_point(&[&[compressed ^ 1][..], &x].concat(), &wanted));
            assert!(!is_point(&[&[hybrid ^ 1][..], &x, &y].concat(), &wanted));
            assert!(!is_point(&[compressed, 0x10, 0x12], &wanted));
            assert!(!is_point(&[], &wanted) && !is_point(&wanted, &[]) && !is_point(&[compressed], &[4]));
        }
    }
}
