//! The public keys of an issuer (RFC 7517), as far as signatures are checked with them.

use super::algorithm::{Algorithm, Verification};
use aws_lc_rs::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most keys of a set.
pub(super) const MAX_KEYS: usize = 100;
/// Longest `kid`, in bytes.
pub(super) const MAX_KID: usize = 256;
/// Longest exponent of an RSA key, in bytes; the usual one has three. Signatures are checked with up to 33 bits, so that
/// a longer one would refuse each of them.
const MAX_EXPONENT: usize = 4;

/// A key as its issuer writes it; other members are of no use here.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Jwk {
    kty: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ops: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// A key that signatures can be checked with.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// The one algorithm that it is for, where its issuer says so.
    alg: Option<Algorithm>,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Numbers {
    /// Modulus and exponent, big-endian.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The uncompressed point (SEC 1 section 2.3.3), with the length of a coordinate.
    Ec {
        point: Vec<u8>,
        length: usize,
    },
    Ed(Vec<u8>),
}

/// The keys of a set (RFC 7517 section 5) that can be used. Those for encryption, of other kinds or with members of
/// another type are passed over, as the RFC asks; none may be left: an issuer that withdraws its keys has an empty set.
pub(super) fn parse_set(document: &[u8]) -> Result<Vec<Jwk>, &'static str> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let Set { keys } =
        serde_json::from_slice(document).map_err(|_| "it is not a key set (JSON with the member keys)")?;
    if keys.len() > MAX_KEYS {
        return Err("it has more than 100 keys");
    }
    let read = |key| serde_json::from_value::<Jwk>(key).ok();
    Ok(keys.into_iter().filter_map(read).filter(|key| key.key().is_some()).collect())
}

impl Jwk {
    /// `None` where it is not for signatures, or cannot be used.
    pub(super) fn key(&self) -> Option<Key> {
        let Self { kty, kid, alg, usage, key_ops, crv, n, e, x, y } = self;
        let signs = usage.as_deref().is_none_or(|usage| usage == "sig")
            && key_ops.as_ref().is_none_or(|uses| uses.iter().any(|one| one == "verify"))
            && kid.as_ref().is_none_or(|kid| kid.len() <= MAX_KID);
        if !signs {
            return None;
        }
        let numbers = match (kty.as_str(), crv.as_deref()) {
            ("RSA", _) => rsa(&number(n.as_ref()?)?, &number(e.as_ref()?)?)?,
            ("EC", Some(curve)) => {
                let length =
                    [("P-256", 32), ("P-384", 48), ("P-521", 66)].into_iter().find(|(name, _)| *name == curve)?.1;
                ec(&decoded(x.as_ref()?)?, &decoded(y.as_ref()?)?, length)?
            }
            ("OKP", Some("Ed25519")) => Numbers::Ed(decoded(x.as_ref()?).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        // An algorithm of another family, or one that is unknown, makes the key useless.
        let alg = match alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::parse(name)?),
        };
        let key = Key { alg: None, numbers };
        alg.is_none_or(|alg| key.fits(alg)).then_some(Key { alg, ..key })
    }
}

/// RFC 7518 section 6.3.1.
fn rsa(n: &[u8], e: &[u8]) -> Option<Numbers> {
    let bits = 8 * n.len() - usize::try_from(n.first()?.leading_zeros()).ok()?;
    let fits = (2048..=8192).contains(&bits) && (1..=MAX_EXPONENT).contains(&e.len());
    fits.then(|| Numbers::Rsa { n: n.to_vec(), e: e.to_vec() })
}

/// RFC 7518 section 6.2.1: both coordinates have the full length.
fn ec(x: &[u8], y: &[u8], length: usize) -> Option<Numbers> {
    (x.len() == length && y.len() == length).then(|| Numbers::Ec { point: [&[4], x, y].concat(), length })
}

fn decoded(text: &String) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Without zeros in front, which some issuers write.
fn number(text: &String) -> Option<Vec<u8>> {
    let bytes = decoded(text)?;
    let begin = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(begin..).map(<[u8]>::to_vec)
}

impl Key {
    /// Whether it can be the key of a signature of this kind.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        let family = match (algorithm.verification(), &self.numbers) {
            (Verification::Rsa(_), Numbers::Rsa { .. }) | (Verification::Ed(_), Numbers::Ed(_)) => true,
            (Verification::Ec(_, wanted), Numbers::Ec { length, .. }) => wanted == *length,
            _ => false,
        };
        family && self.alg.is_none_or(|own| own == algorithm)
    }

    /// Whether it made this signature. Not with a key of another family, whatever the signature is.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match (algorithm.verification(), &self.numbers) {
            (Verification::Rsa(parameters), Numbers::Rsa { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            (Verification::Ec(verification, _), Numbers::Ec { point, .. }) => {
                UnparsedPublicKey::new(verification, point).verify(message, signature).is_ok()
            }
            (Verification::Ed(verification), Numbers::Ed(point)) => {
                UnparsedPublicKey::new(verification, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usable(keys: &Value) -> usize {
        parse_set(json!({ "keys": keys }).to_string().as_bytes()).map_or(0, |keys| keys.len())
    }

    fn rsa_key(bytes: usize) -> Value {
        json!({ "kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xff; bytes]), "e": "AQAB" })
    }

    fn with(mut key: Value, member: &str, value: Value) -> Value {
        key[member] = value;
        key
    }

    #[test]
    fn keys_for_other_things_are_passed_over() {
        let good = rsa_key(256);
        assert_eq!(usable(&json!([good, with(good.clone(), "use", json!("enc"))])), 1);
        for (member, value) in [
            ("use", json!("enc")),
            ("key_ops", json!(["encrypt"])),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!("ES256")),
            ("alg", json!("HS256")),
            ("kty", json!("oct")),
            ("kid", json!(7)),
            ("kid", json!("x".repeat(257))),
            ("n", json!("=")),
            ("e", json!("AQABAQABAQABAQAB")),
            ("e", json!("AQAAAAE")),
        ] {
            assert_eq!(usable(&json!([with(good.clone(), member, value.clone())])), 0, "{member} {value}");
        }
        for (member, value) in [
            ("use", json!("sig")),
            ("key_ops", json!(["verify"])),
            ("alg", json!("PS384")),
            ("x5c", json!(["AA"])),
            ("e", json!("AQAAAQ")),
        ] {
            assert_eq!(usable(&json!([with(good.clone(), member, value.clone())])), 1, "{member} {value}");
        }
    }

    #[test]
    fn rsa_keys_have_2048_to_8192_bits() {
        for (bytes, is_usable) in [(128, false), (255, false), (256, true), (1024, true), (1025, false)] {
            assert_eq!(usable(&json!([rsa_key(bytes)])) == 1, is_usable, "{bytes}");
        }
        let zeros = URL_SAFE_NO_PAD.encode([vec![0; 3], vec![0xff; 256]].concat());
        assert_eq!(usable(&json!([with(rsa_key(256), "n", json!(zeros))])), 1);
    }

    #[test]
    fn coordinates_have_their_full_length() {
        let key = |curve: &str, x: usize, y: usize| {
            let text = |length: usize| URL_SAFE_NO_PAD.encode(vec![1; length]);
            json!([{ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) }])
        };
        assert_eq!(
            [usable(&key("P-256", 32, 32)), usable(&key("P-384", 48, 48)), usable(&key("P-521", 66, 66))],
            [1; 3]
        );
        for (curve, x, y) in [("P-256", 31, 32), ("P-256", 48, 48), ("secp256k1", 32, 32), ("P-256", 0, 0)] {
            assert_eq!(usable(&key(curve, x, y)), 0, "{curve}");
        }
    }

    #[test]
    fn a_set_is_bounded_and_may_be_empty() {
        let keys = |count: usize| json!({ "keys": vec![rsa_key(256); count] }).to_string();
        assert_eq!(parse_set(keys(100).as_bytes()).map(|keys| keys.len()), Ok(100));
        assert_eq!(parse_set(keys(101).as_bytes()), Err("it has more than 100 keys"));
        for empty in [r#"{"keys":[]}"#, r#"{"keys":[1,null,{}]}"#] {
            assert_eq!(parse_set(empty.as_bytes()), Ok(Vec::new()), "{empty}");
        }
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(parse_set(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
