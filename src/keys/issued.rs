//! What the log of a CA says of a certificate.

use super::asn1::{Element, INTEGER, SEQUENCE, context};
use super::link::{Link, Verdicts};
use super::x509::X509;
use super::{digest, facts, name_text};
use crate::domain::Serial;
use crate::domain::issued::{IssuedContent, names_in};
use crate::domain::text::hex;

/// Of a key (SubjectPublicKeyInfo, DER), its SHA-256 in hex, as other programs compute it.
pub fn key_hash(public_key: &[u8]) -> String {
    hex(&digest::fingerprint(public_key))
}

/// The serial number of a certificate (X.509, DER); none where it cannot be read, or is not positive.
pub fn serial_of(der: &[u8]) -> Option<Serial> {
    let fields = Element::parse(der)?.children_of(SEQUENCE)?.first()?.children_of(SEQUENCE)?;
    let serial = fields.iter().find(|field| field.tag != context(0))?;
    let negative = serial.content.first()? & 0x80 != 0;
    (serial.tag == INTEGER && !negative).then(|| Serial::new(serial.content))?
}

/// Whether the key of this CA made the signature of the certificate (RFC 5280 section 6.1.3): names and key identifiers
/// say what whoever made it wrote into it.
pub fn is_signed_by(certificate: &[u8], signer: &[u8]) -> bool {
    let link = |index, der| X509::read(der).ok().map(|certificate| Link { index, certificate });
    let (Some(below), Some(above)) = (link(0, certificate), link(1, signer)) else { return false };
    Verdicts::default().signed(&above, &below).is_ok()
}

/// The part of a certificate (X.509, DER) that is signed.
pub fn signed_part(der: &[u8]) -> Option<&[u8]> {
    Some(X509::read(der).ok()?.signed.part)
}

/// The key identifier that a certificate names of its issuer, and the issuer's name in DER.
pub fn issuer_of(der: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
    let certificate = X509::read(der).ok()?;
    Some((certificate.issuer_key_id().map(<[u8]>::to_vec), certificate.issuer.whole.to_vec()))
}

/// What a certificate (X.509, DER) says; none where it cannot be read.
pub fn content_of(der: &[u8]) -> Option<IssuedContent> {
    let certificate = X509::read(der).ok()?;
    Some(IssuedContent {
        subject: name_text::text(&certificate.subject),
        names: facts::names(&certificate).as_ref().map(names_in).unwrap_or_default(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        key: key_hash(certificate.key.whole),
    })
}
