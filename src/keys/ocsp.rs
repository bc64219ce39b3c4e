//! OCSP (RFC 6960): requests of strangers are read, and answers are written, without a library.

use super::asn1::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE, context, tlv};
use super::certificate::signed;
use super::{AuthorityKey, defect, digest};
use crate::domain::{Result, RevocationReason, Serial, Timestamp};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_SHA_1, ID_SHA_256};
use const_oid::db::rfc6960::{ID_PKIX_OCSP_BASIC, ID_PKIX_OCSP_NONCE};
use der::Encode;
use der::asn1::GeneralizedTime;
use std::time::Duration;

/// Largest request, in bytes, and most certificates in one.
pub const MAX_REQUEST: usize = 10 * 1024;
const MAX_CERTIFICATES: usize = 32;
/// Lengths of a nonce (RFC 9654 section 2.1).
const NONCE: std::ops::RangeInclusive<usize> = 1..=128;
const ENUMERATED: u8 = 0x0a;

/// Why a request gets an answer without a signature (section 4.2.1, OCSPResponseStatus).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    Malformed = 1,
    Internal = 2,
    TryLater = 3,
    Unauthorized = 6,
}

impl Refusal {
    /// The answer (DER).
    pub fn answer(self) -> Vec<u8> {
        tlv(SEQUENCE, &[&tlv(ENUMERATED, &[&[self as u8]])])
    }

    /// For metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Internal => "internal",
            Self::TryLater => "try_later",
            Self::Unauthorized => "unauthorized",
        }
    }
}

/// A request, as it was read.
#[derive(Clone, Debug)]
pub struct Request {
    certificates: Vec<CertId>,
    /// The extension with its value, echoed as it came.
    nonce: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct CertId {
    /// DER, for the answer.
    whole: Vec<u8>,
    hash: Hash,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
    serial: Option<Serial>,
}

/// By which hash a request names an authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hash {
    Sha1,
    Sha256,
    /// Nobody says whose certificate is meant, as far as is known here.
    Other,
}

/// What is known of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    Good,
    Revoked(Timestamp, RevocationReason),
    Unknown,
}

impl Status {
    /// For metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Revoked(..) => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

/// Who answers, and for how long the answer is good.
#[derive(Clone, Debug)]
pub struct Responder {
    /// The responder's certificate (X.509, DER), which the authority signed.
    pub certificate: Vec<u8>,
    /// SHA-1 of its key (section 4.2.1, ResponderID by key).
    pub key_id: Vec<u8>,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub produced: Timestamp,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// `Malformed` for anything that is none, that asks for too much, or whose nonce has no length that is allowed.
    pub fn read(der: &[u8]) -> std::result::Result<Self, Refusal> {
        if der.len() > MAX_REQUEST {
            return Err(Refusal::Malformed);
        }
        read(der).ok_or(Refusal::Malformed)
    }

    /// The serial numbers that it asks for; `None` for one that no certificate can have.
    ///
    /// # Errors
    /// `Unauthorized` where it asks for a certificate of another authority than the one of this name and key (the bits
    /// of its SubjectPublicKeyInfo), or names its authority by a hash that is not read here (section 2.3: the request is
    /// well-formed, and this server cannot answer it).
    pub fn serials(&self, name: &[u8], key_bits: &[u8]) -> std::result::Result<Vec<Option<Serial>>, Refusal> {
        let mut serials = Vec::with_capacity(self.certificates.len());
        for asked in &self.certificates {
            let is_hash = |hash: &[u8], bytes: &[u8]| match asked.hash {
                Hash::Sha1 => hash == digest::sha1(bytes),
                Hash::Sha256 => hash == digest::fingerprint(bytes),
                Hash::Other => false,
            };
            if !is_hash(&asked.name_hash, name) || !is_hash(&asked.key_hash, key_bits) {
                return Err(Refusal::Unauthorized);
            }
            serials.push(asked.serial.clone());
        }
        Ok(serials)
    }

    /// What the same question without a nonce looks like; none for one with a nonce, whose answer is good for it alone.
    pub fn cacheable(&self) -> Option<Vec<u8>> {
        self.nonce.is_none().then(|| self.certificates.iter().flat_map(|asked| asked.whole.clone()).collect())
    }

    /// The signed answer (OCSPResponse, DER); `statuses` are in the order of [`Request::serials`].
    pub fn answer(&self, statuses: &[Status], responder: &Responder, key: &dyn AuthorityKey) -> Result<Vec<u8>> {
        let Responder { certificate, key_id, this_update, next_update, produced } = responder;
        let (this_update, next_update) = (encoded(*this_update)?, tlv(context(0), &[&encoded(*next_update)?]));
        let mut responses = Vec::new();
        for (asked, status) in self.certificates.iter().zip(statuses) {
            let status = match status {
                Status::Good => tlv(0x80, &[]),
                Status::Unknown => tlv(0x82, &[]),
                Status::Revoked(at, reason) => {
                    let reason = match reason {
                        RevocationReason::Unspecified => Vec::new(),
                        reason => tlv(context(0), &[&tlv(ENUMERATED, &[&[reason.number()]])]),
                    };
                    tlv(0xa1, &[&encoded(*at)?, &reason])
                }
            };
            responses.extend(tlv(SEQUENCE, &[&asked.whole, &status, &this_update, &next_update]));
        }
        let extensions = match &self.nonce {
            Some(nonce) => tlv(context(1), &[&tlv(SEQUENCE, &[nonce])]),
            None => Vec::new(),
        };
        let by_key = tlv(context(2), &[&tlv(OCTET_STRING, &[key_id])]);
        let data = tlv(SEQUENCE, &[&by_key, &encoded(*produced)?, &tlv(SEQUENCE, &[&responses]), &extensions]);
        // The bytes, the algorithm and the signature, as in a certificate; the responder's certificate behind them.
        let signed = signed(&data, key)?;
        let inside = Element::parse(&signed).map(|whole| whole.content.to_vec());
        let inside = inside.ok_or_else(|| defect("an OCSP answer could not be encoded")("no sequence"))?;
        let certificates = tlv(context(0), &[&tlv(SEQUENCE, &[certificate])]);
        let basic = tlv(SEQUENCE, &[&inside, &certificates]);
        let kind = tlv(OID, &[ID_PKIX_OCSP_BASIC.as_bytes()]);
        let bytes = tlv(SEQUENCE, &[&kind, &tlv(OCTET_STRING, &[&basic])]);
        Ok(tlv(SEQUENCE, &[&tlv(ENUMERATED, &[&[0]]), &tlv(context(0), &[&bytes])]))
    }
}

fn read(der: &[u8]) -> Option<Request> {
    let whole = Element::parse(der)?.children_of(SEQUENCE)?;
    let parts = whole.first()?.children_of(SEQUENCE)?;
    let list = parts.iter().find(|part| part.tag == SEQUENCE)?.children_of(SEQUENCE)?;
    if list.is_empty() || list.len() > MAX_CERTIFICATES {
        return None;
    }
    let certificates = list.iter().map(|asked| cert_id(*asked)).collect::<Option<Vec<_>>>()?;
    let mut nonce = None;
    if let Some(extensions) = parts.iter().find(|part| part.tag == context(2)) {
        for extension in extensions.explicit(2)?.children_of(SEQUENCE)? {
            let fields = extension.children_of(SEQUENCE)?;
            if fields.first()?.is_oid(ID_PKIX_OCSP_NONCE) {
                let value = fields.last().filter(|value| value.tag == OCTET_STRING)?;
                let inner = Element::parse(value.content).filter(|inner| inner.tag == OCTET_STRING)?;
                if !NONCE.contains(&inner.content.len()) {
                    return None;
                }
                nonce = Some(extension.whole.to_vec());
            }
        }
    }
    Some(Request { certificates, nonce })
}

fn cert_id(asked: Element<'_>) -> Option<CertId> {
    let whole = *asked.children_of(SEQUENCE)?.first()?;
    let parts = whole.children_of(SEQUENCE)?;
    let [algorithm, name_hash, key_hash, serial] = parts[..] else { return None };
    let algorithm = *algorithm.children_of(SEQUENCE)?.first()?;
    let is = |oid: ObjectIdentifier| algorithm.is_oid(oid);
    if algorithm.tag != OID || name_hash.tag != OCTET_STRING || key_hash.tag != OCTET_STRING {
        return None;
    }
    if serial.tag != INTEGER || serial.content.is_empty() {
        return None;
    }
    let negative = serial.content[0] & 0x80 != 0;
    Some(CertId {
        whole: whole.whole.to_vec(),
        hash: if is(ID_SHA_1) {
            Hash::Sha1
        } else if is(ID_SHA_256) {
            Hash::Sha256
        } else {
            Hash::Other
        },
        name_hash: name_hash.content.to_vec(),
        key_hash: key_hash.content.to_vec(),
        serial: Serial::new(serial.content).filter(|_| !negative),
    })
}

/// Times of OCSP are always of this type, in whole seconds.
fn encoded(at: Timestamp) -> Result<Vec<u8>> {
    let since_epoch = Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0));
    let time = GeneralizedTime::from_unix_duration(since_epoch).and_then(|time| time.to_der());
    time.map_err(defect("a time could not be encoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_malformed() {
        for der in [&b""[..], b"\x30\x00", b"\x30\x02\x30\x00", b"\x30\x04\x30\x02\x30\x00", &[0x30; 300]] {
            assert_eq!(Request::read(der).unwrap_err(), Refusal::Malformed);
        }
        assert_eq!(Request::read(&vec![0; MAX_REQUEST + 1]).unwrap_err(), Refusal::Malformed);
        assert_eq!(Refusal::Unauthorized.answer(), [0x30, 3, 0x0a, 1, 6]);
    }
}
