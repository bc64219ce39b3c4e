//! What people send when they are asked for certificates: DER, PEM, base64, PKCS #7 and PKCS #12,
//! all become a list of X.509 certificates in DER.

use super::asn1::{BIT_STRING, Element, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, context};
use super::{pem, pkcs12};
use crate::domain::{Detail, Error, Reason, Result};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use const_oid::db::rfc5911::ID_SIGNED_DATA;
use der::Decode;
use x509_cert::{Certificate, request::CertReq};

/// Most certificates in one list.
pub const MAX_CERTIFICATES: usize = 32;
/// Largest list, in bytes over all entries as they were sent.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads the entries of `x5c`. Each may be an X.509 certificate or a PKCS #7 file (DER), PEM text
/// with any number of either, a PKCS #12 file without a password (its private key is not read),
/// or the base64 text of one of these. The certificates come in the order in which they were
/// sent; nothing but their form is checked.
///
/// A PKCS #12 file costs up to about two seconds of one processor: call this where that is right.
///
/// # Errors
/// [`Reason::BadParameter`] that names the entry (`x5c[1]`), what it is instead, and what to send.
pub fn parse(entries: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    if entries.is_empty() {
        return Err(Error::field("x5c", format!("The list is empty. {SEND}")));
    }
    if entries.iter().map(Vec::len).sum::<usize>() > MAX_BYTES {
        return Err(Error::field("x5c", "The certificates have more than 1 MiB in all."));
    }
    let mut reader = Reader { found: Vec::new(), budget: pkcs12::Budget::default() };
    for (index, entry) in entries.iter().enumerate() {
        reader.entry(entry, true).map_err(|problem| Error::field(format!("x5c[{index}]"), problem))?;
    }
    Ok(reader.found)
}

/// What Key Vault says where key and certificate do not belong together.
pub(crate) fn key_mismatch_message() -> &'static str {
    "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid."
}

/// The refusal for a leaf that does not belong to the key (contract section 9).
pub(crate) fn key_mismatch() -> Error {
    without_leaf(key_mismatch_message())
}

/// The refusal of a list, of which none belongs to the key.
pub(crate) fn no_leaf() -> Error {
    without_leaf("Unable to parse X5c certificate chain and locate leaf certificate")
}

fn without_leaf(message: &str) -> Error {
    Error::new(Reason::MergeKeyMismatch, message).with(Detail::Field {
        path: "x5c".to_owned(),
        problem:
            "No certificate in the list was issued for the certificate signing request of this pending certificate."
                .to_owned(),
    })
}

const SEND: &str = "Send the certificate that the CA returned, then its chain: DER in base64, PEM, PKCS#7, or PKCS#12 without a password.";

struct Reader {
    found: Vec<Vec<u8>>,
    budget: pkcs12::Budget,
}

type Read = std::result::Result<(), String>;

impl Reader {
    /// `text_inside`: whether base64 may hide another text (PEM); once is enough.
    fn entry(&mut self, entry: &[u8], text_inside: bool) -> Read {
        let entry = entry.strip_prefix(b"\xef\xbb\xbf").unwrap_or(entry);
        if entry.first() == Some(&SEQUENCE) && Element::parse(entry).is_some() {
            return self.der(entry);
        }
        let text = entry.trim_ascii();
        if text.is_empty() {
            return Err(format!("It is empty. {SEND}"));
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(format!("It is neither DER nor text. {SEND}"));
        };
        if text.contains("-----BEGIN ") {
            return self.pem(text);
        }
        match decode_base64(text) {
            Some(bytes) if text_inside => self.entry(&bytes, false),
            _ => Err(format!("It is not base64 of a certificate. {SEND}")),
        }
    }

    fn pem(&mut self, text: &str) -> Read {
        let known = |label: &str| {
            if label.contains("PRIVATE KEY") {
                return Err(HAS_KEY.to_owned());
            }
            match label {
                "CERTIFICATE"
                | "X509 CERTIFICATE"
                | "TRUSTED CERTIFICATE"
                | "PKCS7"
                | "CMS"
                | "PKCS #7 SIGNED DATA"
                | "CERTIFICATE REQUEST"
                | "NEW CERTIFICATE REQUEST"
                | "PUBLIC KEY"
                | "X509 CRL"
                | "PKCS12" => Ok(()),
                _ => Err(format!("A PEM block is not of the kind CERTIFICATE or PKCS7. {SEND}")),
            }
        };
        let mut rest = text;
        while let Some((block, after)) = pem::next(rest, known)? {
            let bytes = block.decode()?;
            match Element::first(&bytes) {
                // OpenSSL writes its own trust settings behind the certificate.
                Some((certificate, _)) if block.label == "TRUSTED CERTIFICATE" => self.der(certificate.whole)?,
                _ => self.der(&bytes)?,
            }
            rest = after;
        }
        Ok(())
    }

    fn der(&mut self, bytes: &[u8]) -> Read {
        match kind(bytes) {
            Kind::Certificate => self.add(bytes),
            Kind::Pkcs7 => self.pkcs7(bytes),
            Kind::Pkcs12 => {
                for certificate in pkcs12::certificates(bytes, &mut self.budget)? {
                    self.inner(&certificate)?;
                }
                Ok(())
            }
            Kind::PrivateKey => Err(HAS_KEY.to_owned()),
            Kind::Request => Err(format!("This is a PKCS#10 request, not a certificate: give it to the CA. {SEND}")),
            Kind::PublicKey => Err(format!("This is a public key, not a certificate. {SEND}")),
            Kind::Other => Err(format!("This is not an X.509 certificate. {SEND}")),
        }
    }

    fn pkcs7(&mut self, bytes: &[u8]) -> Read {
        let certificates = signed_data_certificates(bytes)
            .ok_or("This PKCS#7 file can not be read: it is damaged or not SignedData.")?;
        if certificates.is_empty() {
            return Err("This PKCS#7 file holds no certificate.".to_owned());
        }
        certificates.into_iter().try_for_each(|certificate| self.inner(certificate))
    }

    /// A certificate out of a file.
    fn inner(&mut self, bytes: &[u8]) -> Read {
        match kind(bytes) {
            Kind::Certificate => self.add(bytes),
            _ => Err("The file holds a certificate that can not be read as X.509.".to_owned()),
        }
    }

    fn add(&mut self, certificate: &[u8]) -> Read {
        if self.found.len() == MAX_CERTIFICATES {
            return Err(format!("There are more than {MAX_CERTIFICATES} certificates."));
        }
        self.found.push(certificate.to_vec());
        Ok(())
    }
}

// Says what happened without a byte of what was pasted.
const HAS_KEY: &str = "This holds a private key, which is not wanted here: the key of a pending certificate is already in the vault. Send certificates only, and replace that key if it was in use.";

pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let alphabet = if compact.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config).decode(compact).ok()
}

enum Kind {
    Certificate,
    Request,
    Pkcs7,
    Pkcs12,
    PrivateKey,
    PublicKey,
    Other,
}

fn kind(bytes: &[u8]) -> Kind {
    if Certificate::from_der(bytes).is_ok() {
        return Kind::Certificate;
    }
    if CertReq::from_der(bytes).is_ok() {
        return Kind::Request;
    }
    let Some(parts) = Element::parse(bytes).and_then(|outer| outer.children_of(SEQUENCE)) else { return Kind::Other };
    let tags: Vec<u8> = parts.iter().map(|part| part.tag).collect();
    match tags[..] {
        [OID, ..] => Kind::Pkcs7,
        [INTEGER, SEQUENCE, ..] if parts[0].unsigned() == Some(3) => Kind::Pkcs12,
        // PKCS #8 (RFC 5958), PKCS #1 and SEC 1 (RFC 5915), encrypted PKCS #8.
        [INTEGER, SEQUENCE, OCTET_STRING, ..] | [INTEGER, INTEGER, INTEGER, ..] | [INTEGER, OCTET_STRING, ..] => {
            Kind::PrivateKey
        }
        [SEQUENCE, OCTET_STRING] => Kind::PrivateKey,
        [SEQUENCE, BIT_STRING] | [INTEGER, INTEGER] => Kind::PublicKey,
        _ => Kind::Other,
    }
}

/// The certificates of CMS SignedData (RFC 5652 section 5.1), each with its exact bytes.
pub(crate) fn signed_data_certificates(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let content = Element::parse(bytes)?.children_of(SEQUENCE)?;
    let [kind, content] = content[..] else { return None };
    if !kind.is_oid(ID_SIGNED_DATA) {
        return None;
    }
    let signed = content.explicit(0)?.children_of(SEQUENCE)?;
    let [version, digests, encapsulated, rest @ ..] = &signed[..] else { return None };
    if version.tag != INTEGER || digests.tag != SET || encapsulated.tag != SEQUENCE {
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
