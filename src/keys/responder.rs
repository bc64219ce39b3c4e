//! The certificate of an OCSP responder (RFC 6960 section 4.2.2.2): the authority that it answers for signs it, so that
//! the authority's own key signs no answers.

use super::authority::{Signer, ToBeSigned, common_name_of};
use super::certificate::{BACKDATE, Template, key_id, to_be_signed};
use super::extensions::{extended_key_usage, extension, key_usage};
use super::key_pair::signature_algorithm;
use super::x509::PublicKeyInfo;
use super::{asn1::Element, defect, names};
use crate::domain::policy::KeyUsage;
use crate::domain::subject::{Attribute, AttributeValue, COMMON_NAME, DistinguishedName};
use crate::domain::{Error, Result, Timestamp};
use const_oid::db::rfc6960::ID_PKIX_OCSP_NOCHECK;
use der::asn1::OctetString;
use std::time::Duration;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;

/// How long it is valid: clients do not ask whether it was revoked (RFC 6960 section 4.2.2.2.1).
pub const VALID_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
const SUFFIX: &str = " OCSP";

/// The certificate but for the signature, for a key (SubjectPublicKeyInfo, DER) of the responder. `authority` is the
/// certificate that signs (X.509, DER).
pub fn responder(authority: &[u8], public_key: &[u8], serial: [u8; 16], now: Timestamp) -> Result<ToBeSigned> {
    let signer = Signer::read(authority)?;
    let name = common_name_of(authority)?;
    let room = super::authority::MAX_COMMON_NAME.saturating_sub(SUFFIX.len());
    let name: String = name.chars().take(room).collect();
    let value = AttributeValue::Text(format!("{}{SUFFIX}", name.trim_end()));
    let subject = DistinguishedName { parts: vec![vec![Attribute { oid: COMMON_NAME.to_owned(), value }]] };
    let mut extensions: Vec<Extension> = key_usage(&[KeyUsage::DigitalSignature])?.into_iter().collect();
    extensions.push(extension(true, &BasicConstraints { ca: false, path_len_constraint: None })?);
    extensions.extend(extended_key_usage(&[OCSP_SIGNING.to_owned()])?);
    // Not critical: some verifiers refuse it otherwise.
    let null = OctetString::new([5, 0]).map_err(defect("an extension of a certificate could not be encoded"))?;
    extensions.push(Extension { extn_id: ID_PKIX_OCSP_NOCHECK, critical: false, extn_value: null });
    let template = Template {
        subject: names::subject_name(&subject)?,
        issuer: signer.name().clone(),
        serial,
        not_before: now.minus(BACKDATE).max(signer.not_before()),
        not_after: now.plus(VALID_FOR).min(signer.not_after()),
        public_key: public_key.to_vec(),
        extensions,
        authority_key_id: signer.key_id().to_vec(),
        subject_key_id: key_id(public_key)?,
    };
    Ok(ToBeSigned {
        tbs: to_be_signed(&template, signature_algorithm(signer.key_type()?))?,
        not_before: template.not_before,
        not_after: template.not_after,
    })
}

/// The bits of a key (SubjectPublicKeyInfo, DER), by which OCSP names an authority.
pub fn key_bits(public_key: &[u8]) -> Result<Vec<u8>> {
    let key = Element::parse(public_key).and_then(PublicKeyInfo::read);
    key.map(|key| key.bits.to_vec()).ok_or_else(Error::internal)
}
