//! Detects the kind of a DER value by its structure alone: labels and file names are only hints.

use super::super::asn1::{BIT_STRING, Element, INTEGER, OCTET_STRING, OID, SEQUENCE, context};
use const_oid::ObjectIdentifier;

/// A kind of file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Certificate,
    /// PKCS #10.
    Request,
    RevocationList,
    /// ContentInfo of CMS.
    Pkcs7,
    Pkcs12,
    PrivateKey(KeyForm),
    /// A public key, or the parameters of one: not needed beside a certificate.
    PublicPart,
    /// A key store of Bouncy Castle (BCFKS).
    BouncyCastle,
    Other,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyForm {
    /// RFC 5958.
    Pkcs8,
    /// An EncryptedPrivateKeyInfo (RFC 5958 section 3).
    Encrypted,
    /// RFC 8017 appendix A.1.2.
    Pkcs1,
    /// RFC 5915.
    Sec1,
    /// The form that OpenSSL had for DSA.
    Dsa,
}

impl Kind {
    pub(crate) fn of(value: &Element<'_>) -> Self {
        let Some(parts) = value.children_of(SEQUENCE) else {
            // EC PARAMETERS are the name of a curve.
            return if value.tag == OID { Self::PublicPart } else { Self::Other };
        };
        let tags: Vec<u8> = parts.iter().take(9).map(|part| part.tag).collect();
        match tags[..] {
            [SEQUENCE, SEQUENCE, BIT_STRING] => signed(&parts[0]),
            [OID, content] if content == context(0) => Self::Pkcs7,
            [INTEGER, SEQUENCE] | [INTEGER, SEQUENCE, SEQUENCE] if parts[0].unsigned() == Some(3) => Self::Pkcs12,
            [INTEGER, SEQUENCE, OCTET_STRING, ..] => Self::PrivateKey(KeyForm::Pkcs8),
            [INTEGER, OCTET_STRING, ..] => Self::PrivateKey(KeyForm::Sec1),
            [INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER] => {
                Self::PrivateKey(KeyForm::Pkcs1)
            }
            [INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER] => Self::PrivateKey(KeyForm::Dsa),
            [SEQUENCE, OCTET_STRING] if is_algorithm(&parts[0]) => Self::PrivateKey(KeyForm::Encrypted),
            // Encrypted data, and what protects it.
            [SEQUENCE, SEQUENCE] if Self::of(&parts[0]) == Self::PrivateKey(KeyForm::Encrypted) => Self::BouncyCastle,
            // A SubjectPublicKeyInfo, an RSAPublicKey or Diffie-Hellman parameters, explicit parameters of a curve.
            [SEQUENCE, BIT_STRING] | [INTEGER, INTEGER] | [INTEGER, INTEGER, INTEGER] => Self::PublicPart,
            [INTEGER, SEQUENCE, SEQUENCE, ..] => Self::PublicPart,
            _ => Self::Other,
        }
    }

    /// What it is called in a message.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Certificate => "a certificate",
            Self::Request => "a PKCS#10 request",
            Self::RevocationList => "a revocation list",
            Self::Pkcs7 => "a PKCS#7 file",
            Self::Pkcs12 => "a PKCS#12 file",
            Self::PrivateKey(_) => "a private key",
            Self::PublicPart => "a public key",
            Self::BouncyCastle => "a key store of Bouncy Castle",
            Self::Other => "something that is not known here",
        }
    }
}

/// Certificates, requests and revocation lists are signed alike.
fn signed(part: &Element<'_>) -> Kind {
    let parts = part.children_of(SEQUENCE).unwrap_or_default();
    let tags: Vec<u8> = parts.iter().map(|part| part.tag).collect();
    const VERSION: u8 = context(0);
    match tags[..] {
        [VERSION, INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, ..]
        | [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, ..] => Kind::Certificate,
        [INTEGER, SEQUENCE, SEQUENCE] | [INTEGER, SEQUENCE, SEQUENCE, VERSION] => Kind::Request,
        [INTEGER, SEQUENCE, SEQUENCE, 0x17 | 0x18, ..] | [SEQUENCE, SEQUENCE, 0x17 | 0x18, ..] => Kind::RevocationList,
        _ => Kind::Other,
    }
}

fn is_algorithm(element: &Element<'_>) -> bool {
    element.children_of(SEQUENCE).is_some_and(|parts| parts.first().is_some_and(|part| part.tag == OID))
}

const SIGNED_DATA: ObjectIdentifier = const_oid::db::rfc5911::ID_SIGNED_DATA;

/// Whether a ContentInfo of CMS says that it is SignedData.
pub(crate) fn is_signed_data(content: &Element<'_>) -> bool {
    content.children_of(SEQUENCE).is_some_and(|parts| parts.first().is_some_and(|kind| kind.is_oid(SIGNED_DATA)))
}

/// The certificates of CMS SignedData (RFC 5652 section 5.1), each with its exact bytes.
pub(crate) fn signed_data_certificates<'a>(content: &Element<'a>) -> Option<Vec<&'a [u8]>> {
    let content = content.children_of(SEQUENCE)?;
    let [_, content] = content[..] else { return None };
    let signed = content.explicit(0)?.children_of(SEQUENCE)?;
    let [version, _digests, encapsulated, rest @ ..] = &signed[..] else { return None };
    if version.tag != INTEGER || encapsulated.tag != SEQUENCE {
        return None;
    }
    match rest.iter().find(|part| part.tag == context(0)) {
        // Other choices of CertificateChoices have context tags.
        Some(set) => {
            Some(set.children()?.iter().filter(|choice| choice.tag == SEQUENCE).map(|choice| choice.whole).collect())
        }
        None => Some(Vec::new()),
    }
}
