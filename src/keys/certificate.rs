//! Builds certificates (RFC 5280): adds the issuer's fields to those of a policy, and signs.

use super::authority_key::AuthorityKey;
use super::extensions::{self, extension};
use super::x509::PublicKeyInfo;
use super::{KeyPair, defect, digest, names};
use crate::domain::subject::DistinguishedName;
use crate::domain::{Error, Policy, RequestId, Result, Timestamp, Version};
use const_oid::AssociatedOid;
use der::asn1::{Any, BitString, GeneralizedTime, OctetString, Uint, UtcTime};
use der::{Decode, Encode, Sequence};
use std::time::Duration;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage as KeyUsageExtension, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// How far `notBefore` lies in the past, for clocks that are behind (contract section 5).
pub const BACKDATE: Duration = Duration::from_secs(600);

/// Everything in a certificate but the signature.
#[derive(Clone, Debug)]
pub struct Template {
    /// A Name (section 4.1.2.4), as the issuer.
    pub subject: Any,
    pub issuer: Any,
    /// Positive and 16 bytes long, as [`serial`] makes it.
    pub serial: [u8; 16],
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// Without the two key identifiers.
    pub extensions: Vec<Extension>,
    pub authority_key_id: Vec<u8>,
    pub subject_key_id: Vec<u8>,
}

/// What a signed certificate has in common with the one that signs it.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its Name.
    pub name: Any,
    pub key_id: Vec<u8>,
}

/// The parts of an order that a certificate follows from. The same order gives the same template,
/// so that a step that is repeated after a crash signs the same thing again.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub policy: &'a Policy,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: &'a [u8],
    pub request_id: RequestId,
    pub version: Version,
    /// When the operation began.
    pub created: Timestamp,
}

impl Request<'_> {
    /// The serial number that follows from the order. The `label` keeps those of different kinds of authorities apart;
    /// `authority_key` is the SubjectPublicKeyInfo of the one that signs.
    pub fn serial(&self, label: &'static str, authority_key: &[u8]) -> [u8; 16] {
        serial(label, authority_key, &[self.request_id.to_string(), self.version.to_string()])
    }
}

/// The certificate that `key` signs for itself: subject, names, usages and validity are those of
/// the policy, beginning ten minutes before the operation (contract section 5). X.509, DER.
///
/// # Errors
/// `BadParameter` for a policy of which no certificate can be made.
pub fn self_signed(request: &Request<'_>, key: &KeyPair) -> Result<Vec<u8>> {
    request.policy.judge()?;
    let name = subject(request.policy)?;
    if name.value().is_empty() {
        return Err(Error::field(
            "policy.x509_props.subject",
            "A self-signed certificate needs one, since it is its own issuer. Use one such as CN=example.com.",
        ));
    }
    let authority = Authority { name, key_id: key_id(request.public_key)? };
    sign(&template(request, &authority, request.serial("self-signed", request.public_key))?, key)
}

/// What an authority signs for a request, under this serial number.
pub fn template(request: &Request<'_>, authority: &Authority, serial: [u8; 16]) -> Result<Template> {
    let Request { policy, public_key, created, .. } = *request;
    let mut extensions = extensions::granted(policy)?;
    extensions.sort_by_key(|extension| rank(extension.extn_id));
    Ok(Template {
        subject: subject(policy)?,
        issuer: authority.name.clone(),
        serial,
        not_before: created.minus(BACKDATE),
        not_after: policy.ends(created),
        public_key: public_key.to_vec(),
        extensions,
        authority_key_id: authority.key_id.clone(),
        subject_key_id: key_id(public_key)?,
    })
}

/// Signs; the answer is X.509, DER. ECDSA signatures differ from one call to the next, what they sign does not.
pub fn sign(template: &Template, key: &dyn AuthorityKey) -> Result<Vec<u8>> {
    signed(&to_be_signed(template, key.algorithm())?, key)
}

/// Everything in a certificate but the signature (TBSCertificate, DER), for a key that signs with `algorithm`. Whole
/// seconds; years from 2050 on are GeneralizedTime (RFC 5280 section 4.1.2.5).
pub fn to_be_signed(template: &Template, algorithm: AlgorithmIdentifierOwned) -> Result<Vec<u8>> {
    let Template {
        subject,
        issuer,
        serial,
        not_before,
        not_after,
        public_key,
        extensions,
        authority_key_id,
        subject_key_id,
    } = template;
    let bytes = |bytes: &[u8]| OctetString::new(bytes).map_err(defect("a key identifier could not be encoded"));
    let mut all = extensions.clone();
    all.push(extension(
        false,
        &AuthorityKeyIdentifier {
            key_identifier: Some(bytes(authority_key_id)?),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        },
    )?);
    all.push(extension(false, &SubjectKeyIdentifier(bytes(subject_key_id)?))?);
    let encode = || -> der::Result<Vec<u8>> {
        TbsCertificate {
            version: 2,
            serial: Uint::new(serial)?,
            signature: algorithm,
            issuer: issuer.clone(),
            validity: Validity { not_before: time(*not_before)?, not_after: time(*not_after)? },
            subject: subject.clone(),
            public_key: Any::from_der(public_key)?,
            extensions: all,
        }
        .to_der()
    };
    encode().map_err(defect("a certificate could not be encoded"))
}

/// The signature over bytes that were made before, and around both what X.509, CRLs (RFC 5280 sections 4.1 and 5.1)
/// and signed answers have in common: the bytes, the algorithm, the signature.
pub fn signed(to_be_signed: &[u8], key: &dyn AuthorityKey) -> Result<Vec<u8>> {
    let signature = key.sign(to_be_signed)?;
    let wrap = || -> der::Result<Vec<u8>> {
        Certificate {
            signed_part: Any::from_der(to_be_signed)?,
            algorithm: key.algorithm(),
            signature: BitString::from_bytes(&signature)?,
        }
        .to_der()
    };
    wrap().map_err(defect("a signed certificate could not be encoded"))
}

/// A serial number that follows from what the certificate is for: SHA-256 over the label, the
/// authority's key and the identity, cut to 16 bytes, positive and never shorter.
pub fn serial(label: &str, authority_key: &[u8], identity: &[String]) -> [u8; 16] {
    let parts: Vec<&[u8]> =
        [label.as_bytes(), authority_key].into_iter().chain(identity.iter().map(String::as_bytes)).collect();
    let mut serial = [0; 16];
    serial.copy_from_slice(&digest::sha256(&parts)[..16]);
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

/// The identifier of a key: SHA-1 of its bits (RFC 5280 section 4.2.1.2, method 1).
pub fn key_id(public_key: &[u8]) -> Result<Vec<u8>> {
    let key = SubjectPublicKeyInfoOwned::from_der(public_key).map_err(defect("a public key could not be read"))?;
    Ok(digest::sha1(key.subject_public_key.raw_bytes()).to_vec())
}

/// The SubjectPublicKeyInfo (DER) of a certificate signing request (PKCS #10, DER), as a certificate has it.
pub fn requested_key(csr: &[u8]) -> Result<Vec<u8>> {
    let key = PublicKeyInfo::of_request(csr);
    key.map(|key| key.as_certified())
        .ok_or_else(|| defect("a certificate signing request could not be read")("no PKCS#10"))
}

pub(super) fn subject(policy: &Policy) -> Result<Any> {
    names::subject_name(&DistinguishedName::parse(&policy.x509.subject)?)
}

/// The order of Key Vault: keyUsage, basicConstraints, extKeyUsage, subjectAltName.
fn rank(extension: const_oid::ObjectIdentifier) -> usize {
    [KeyUsageExtension::OID, BasicConstraints::OID, ExtendedKeyUsage::OID, SubjectAltName::OID]
        .iter()
        .position(|oid| *oid == extension)
        .unwrap_or(usize::MAX)
}

pub(super) fn time(at: Timestamp) -> der::Result<Any> {
    let since_epoch = Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0));
    match UtcTime::from_unix_duration(since_epoch) {
        Ok(time) => Any::encode_from(&time),
        Err(_) => Any::encode_from(&GeneralizedTime::from_unix_duration(since_epoch)?),
    }
}

// Own types, as those of the X.509 library cannot be filled in from outside.
#[derive(Sequence)]
struct TbsCertificate {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial: Uint,
    signature: AlgorithmIdentifierOwned,
    issuer: Any,
    validity: Validity,
    subject: Any,
    public_key: Any,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Validity {
    not_before: Any,
    not_after: Any,
}

#[derive(Sequence)]
struct Certificate {
    signed_part: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}
