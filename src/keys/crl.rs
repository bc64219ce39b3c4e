//! Certificate revocation lists (RFC 5280 section 5), written byte by byte: a list may have many thousand entries, and
//! each is written once.

use super::asn1::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE, context, tlv};
use super::certificate::{signed, time};
use super::reader::{ImportLimits, Problem, Reader, Wanted};
use super::signature::{self, Verdict};
use super::x509::{self, Algorithm, X509};
use super::{AuthorityKey, defect};
use crate::domain::{Result, RevocationReason, Serial, Timestamp};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE,
    ID_CE_ISSUING_DISTRIBUTION_POINT,
};
use der::Encode;
use der::asn1::{Any, GeneralizedTime};
use std::time::Duration;

const BOOLEAN: u8 = 0x01;
const ENUMERATED: u8 = 0x0a;
/// `[6] IA5String` of a GeneralName: a URI.
pub(super) const URI: u8 = 0x86;

/// A list but for its entries.
#[derive(Clone, Debug)]
pub struct CrlTemplate {
    /// Name of the authority.
    pub issuer: Any,
    pub authority_key_id: Vec<u8>,
    pub number: u64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    /// Where it is found, if it is a part of the list: the same address stands in the certificates that it covers.
    pub distribution_point: Option<String>,
}

/// One revoked certificate of a list, DER. `unspecified` is left out, as RFC 5280 section 5.3.1 wants it.
pub fn entry(
    serial: &Serial,
    at: Timestamp,
    reason: RevocationReason,
    invalidity_time: Option<Timestamp>,
) -> Result<Vec<u8>> {
    let mut extensions = Vec::new();
    if reason != RevocationReason::Unspecified {
        let value = tlv(ENUMERATED, &[&[reason.number()]]);
        extensions.extend(extension(ID_CE_CRL_REASONS, false, &value));
    }
    if let Some(since) = invalidity_time {
        let since = Duration::from_secs(u64::try_from(since.seconds()).unwrap_or(0));
        let value = GeneralizedTime::from_unix_duration(since).and_then(|time| time.to_der());
        let value = value.map_err(defect("a time could not be encoded"))?;
        extensions.extend(extension(ID_CE_INVALIDITY_DATE, false, &value));
    }
    let extensions = if extensions.is_empty() { Vec::new() } else { tlv(SEQUENCE, &[&extensions]) };
    Ok(tlv(SEQUENCE, &[&integer(serial.bytes()), &encoded_time(at)?, &extensions]))
}

/// The serial number as it stands in an entry.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    // Positive: a first bit that is set would be the sign.
    let sign: &[u8] = if bytes.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    tlv(INTEGER, &[sign, bytes])
}

/// The signed list (CertificateList, DER) of entries as [`entry`] makes them, one after the other.
pub fn sign(template: &CrlTemplate, entries: &[u8], key: &dyn AuthorityKey) -> Result<Vec<u8>> {
    let CrlTemplate { issuer, authority_key_id, number, this_update, next_update, distribution_point } = template;
    let failed = "a revocation list could not be encoded";
    let algorithm = key.algorithm().to_der().map_err(defect(failed))?;
    let issuer = issuer.to_der().map_err(defect(failed))?;
    // An empty list has none (section 5.1.2.6).
    let entries = if entries.is_empty() { Vec::new() } else { tlv(SEQUENCE, &[entries]) };
    let key_id = tlv(SEQUENCE, &[&tlv(0x80, &[authority_key_id])]);
    let number = number.to_be_bytes();
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
    let mut extensions = extension(ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &key_id);
    extensions.extend(extension(ID_CE_CRL_NUMBER, false, &integer(&number[first..])));
    if let Some(url) = distribution_point {
        let point = tlv(SEQUENCE, &[&full_name(url)]);
        extensions.extend(extension(ID_CE_ISSUING_DISTRIBUTION_POINT, true, &point));
    }
    let list = tlv(
        SEQUENCE,
        &[
            // Version 2.
            &integer(&[1]),
            &algorithm,
            &issuer,
            &encoded_time(*this_update)?,
            &encoded_time(*next_update)?,
            &entries,
            &tlv(context(0), &[&tlv(SEQUENCE, &[&extensions])]),
        ],
    );
    signed(&list, key)
}

/// A DistributionPointName that is one address (section 4.2.1.13).
pub(super) fn full_name(url: &str) -> Vec<u8> {
    tlv(context(0), &[&tlv(context(0), &[&tlv(URI, &[url.as_bytes()])])])
}

/// What a list says, for a CA that is taken over.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// 0 where it has none.
    pub number: u64,
    pub revoked: Vec<ReadEntry>,
}

/// A revoked certificate of a list.
#[derive(Clone, Debug)]
pub struct ReadEntry {
    pub serial: Serial,
    pub time: Timestamp,
    pub reason: RevocationReason,
    pub invalidity_time: Option<Timestamp>,
}

/// Finds the list of an authority in a file, in any form that people send (`keys::reader`): DER, PEM, base64 of either,
/// beside certificates and lists of others. Of several it is the one with the highest number.
///
/// # Errors
/// What is wrong with the file, in a sentence.
pub fn read_file(value: &[u8], authority: &[u8], limits: ImportLimits) -> std::result::Result<Read, String> {
    let mut reader = Reader::cheap(Wanted::Certificates, limits);
    let wanted = "Send the revocation list (CRL) of the CA in DER, PEM or base64.";
    reader.read(value).map_err(|problem| match problem {
        Problem::Empty => format!("It is empty. {wanted}"),
        Problem::HasKey => format!("It holds a private key. {wanted}"),
        Problem::Bad(_, why) => format!("{why} {wanted}"),
        Problem::NotBase64 | Problem::Unknown | Problem::Binary | Problem::Json | Problem::TooMany(_) => {
            format!("It is no revocation list. {wanted}")
        }
    })?;
    let read: Vec<_> = reader.found.revocation_lists.iter().map(|der| self::read(der, authority)).collect();
    let mut problem = format!("It holds no revocation list. {wanted}");
    let mut newest: Option<Read> = None;
    for list in read {
        match list {
            Ok(list) if newest.as_ref().is_none_or(|newest| list.number > newest.number) => newest = Some(list),
            Ok(_) => {}
            Err(why) => problem = why,
        }
    }
    newest.ok_or(problem)
}

/// Reads a list (CertificateList, DER) that the authority of this certificate signed.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn read(der: &[u8], authority: &[u8]) -> std::result::Result<Read, String> {
    let unreadable = || "It is no revocation list (CRL) in DER.".to_owned();
    let outer = Element::parse(der).and_then(|outer| outer.children_of(SEQUENCE)).ok_or_else(unreadable)?;
    let [list, algorithm, signature] = outer[..] else { return Err(unreadable()) };
    let above = X509::read(authority).map_err(|part| format!("The certificate of the CA cannot be read: {part}."))?;
    let algorithm = Algorithm::read(algorithm).ok_or_else(unreadable)?;
    let bits = signature.content.strip_prefix(&[0]).ok_or_else(unreadable)?;
    if !matches!(signature::verify(&above.key, &algorithm, list.whole, bits), Verdict::Right) {
        return Err("The CA did not sign it.".to_owned());
    }
    let parts = list.children_of(SEQUENCE).ok_or_else(unreadable)?;
    let mut found = Read::default();
    // version, algorithm, issuer, thisUpdate, nextUpdate, and then a sequence of entries, if there are any.
    let times = |part: &Element<'_>| matches!(part.tag, 0x17 | 0x18);
    let last_time = parts.iter().rposition(times).ok_or_else(unreadable)?;
    if let Some(entries) = parts.get(last_time + 1).filter(|part| part.tag == SEQUENCE) {
        for entry in entries.children_of(SEQUENCE).ok_or_else(unreadable)? {
            found.revoked.push(read_entry(entry).ok_or_else(unreadable)?);
        }
    }
    if let Some(list) = parts.last().and_then(|last| last.explicit(0)).and_then(|list| list.children_of(SEQUENCE)) {
        for extension in list {
            let fields = extension.children_of(SEQUENCE).ok_or_else(unreadable)?;
            if fields.first().is_some_and(|oid| oid.is_oid(ID_CE_CRL_NUMBER)) {
                let value = fields.last().and_then(|value| Element::parse(value.content)).ok_or_else(unreadable)?;
                let number = value
                    .content
                    .iter()
                    .try_fold(0_u64, |number, byte| number.checked_mul(256).map(|number| number | u64::from(*byte)));
                found.number = number.ok_or("Its number is too large to count on from it.")?;
            }
        }
    }
    Ok(found)
}

fn read_entry(entry: Element<'_>) -> Option<ReadEntry> {
    let parts = entry.children_of(SEQUENCE)?;
    let (serial, at) = (parts.first()?, parts.get(1)?);
    let (mut reason, mut invalidity_time) = (RevocationReason::Unspecified, None);
    for extension in parts.get(2).and_then(|list| list.children_of(SEQUENCE)).unwrap_or_default() {
        let fields = extension.children_of(SEQUENCE)?;
        if fields.first()?.is_oid(ID_CE_CRL_REASONS) {
            let value = Element::parse(fields.last()?.content)?;
            // Those that this server does not give become unspecified: revoked they stay.
            reason = RevocationReason::of_number(i32::from(*value.content.first()?)).unwrap_or(reason);
        } else if fields.first()?.is_oid(ID_CE_INVALIDITY_DATE) {
            invalidity_time = Element::parse(fields.last()?.content).and_then(x509::time);
        }
    }
    Some(ReadEntry { serial: Serial::new(serial.content)?, time: x509::time(*at)?, reason, invalidity_time })
}

fn extension(oid: ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    tlv(SEQUENCE, &[&tlv(OID, &[oid.as_bytes()]), &critical, &tlv(OCTET_STRING, &[value])])
}

fn encoded_time(at: Timestamp) -> Result<Vec<u8>> {
    time(at).and_then(|time| time.to_der()).map_err(defect("a time could not be encoded"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::keys::KeyPair;
    use x509_parser::prelude::FromDer;
    use x509_parser::revocation_list::CertificateRevocationList;

    fn template() -> CrlTemplate {
        let issuer = crate::keys::names::subject_name(&"CN=a".parse_name());
        CrlTemplate {
            issuer: issuer.unwrap(),
            authority_key_id: vec![7; 20],
            number: 128,
            this_update: Timestamp::from_seconds(1_800_000_000),
            next_update: Timestamp::from_seconds(1_800_604_800),
            distribution_point: None,
        }
    }

    trait ParseName {
        fn parse_name(&self) -> crate::domain::subject::DistinguishedName;
    }

    impl ParseName for str {
        fn parse_name(&self) -> crate::domain::subject::DistinguishedName {
            crate::domain::subject::DistinguishedName::parse(self).unwrap()
        }
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        let key = KeyPair::generate(KeyType::P256).unwrap();
        let at = Timestamp::from_seconds(1_799_999_000);
        let high = Serial::new(&[0xff, 1, 2]).unwrap();
        let low = Serial::new(&[0x41; 16]).unwrap();
        let entries = [
            entry(&high, at, RevocationReason::Unspecified, None).unwrap(),
            entry(&low, at, RevocationReason::KeyCompromise, Some(Timestamp::from_seconds(1_700_000_000))).unwrap(),
        ];
        let der = sign(&template(), &entries.concat(), &key).unwrap();
        let (rest, list) = CertificateRevocationList::from_der(&der).unwrap();
        assert!(rest.is_empty());
        assert_eq!(list.crl_number().unwrap().to_string(), "128");
        let found: Vec<_> = list
            .iter_revoked_certificates()
            .map(|it| {
                (it.raw_serial().to_vec(), it.reason_code().map(|(_, code)| code.0), it.invalidity_date().is_some())
            })
            .collect();
        assert_eq!(found, [(vec![0, 0xff, 1, 2], None, false), (vec![0x41; 16], Some(1), true)]);
        let empty = sign(&template(), &[], &key).unwrap();
        assert_eq!(CertificateRevocationList::from_der(&empty).unwrap().1.iter_revoked_certificates().count(), 0);
    }
}
