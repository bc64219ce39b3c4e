//! Where the status of a certificate is found: the extensions that a CA adds to what a policy asks for.

use super::asn1::{OID, SEQUENCE, tlv};
use super::crl::{URI, full_name};
use super::defect;
use crate::domain::granted::Revocation;
use crate::domain::{Result, Timestamp};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_AD_CA_ISSUERS, ID_AD_OCSP, ID_CE_CRL_DISTRIBUTION_POINTS, ID_PE_AUTHORITY_INFO_ACCESS,
};
use der::asn1::OctetString;
use std::time::Duration;
use x509_cert::ext::Extension;

/// No revocation information available (RFC 9608).
const NO_REV_AVAIL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.56");
/// A certificate that lives no longer is gone before a list would help (CA/Browser Forum Baseline Requirements 1.6.1,
/// "Short-lived Subscriber Certificate").
pub const SHORT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The addresses of an authority's published files; each begins with `http://`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointers {
    /// The list that the certificate would be on.
    pub crl: String,
    /// The certificate of the authority.
    pub issuer: String,
    /// The OCSP responder.
    pub ocsp: String,
}

/// What a certificate of this validity says of its status. Without other rules of a profile, a short one says that there
/// will be no information; any other where it is, if it is published.
pub fn status_extensions(
    revocation: Revocation,
    not_before: Timestamp,
    not_after: Timestamp,
    pointers: Option<&Pointers>,
) -> Result<Vec<Extension>> {
    // The last second counts (RFC 5280 section 4.1.2.5).
    let seconds = not_after.seconds().saturating_sub(not_before.seconds());
    let is_short = seconds < i64::try_from(SHORT.as_secs()).unwrap_or(i64::MAX);
    let (in_lists, by_ocsp) = match revocation {
        Revocation::Auto if is_short => return Ok(vec![extension(NO_REV_AVAIL, &[5, 0])?]),
        Revocation::Auto => (true, true),
        Revocation::Crl => (true, false),
        Revocation::Ocsp => (false, true),
        Revocation::None => (false, false),
    };
    pointers.map_or(Ok(Vec::new()), |pointers| found_at(pointers, in_lists, by_ocsp))
}

/// As [`status_extensions`], of the certificate of a CA: it never says that there is nothing to ask (RFC 9608 section 4).
pub fn ca_status_extensions(pointers: Option<&Pointers>) -> Result<Vec<Extension>> {
    pointers.map_or(Ok(Vec::new()), |pointers| found_at(pointers, true, true))
}

fn found_at(Pointers { crl, issuer, ocsp }: &Pointers, in_lists: bool, by_ocsp: bool) -> Result<Vec<Extension>> {
    let place = |method: ObjectIdentifier, url: &str| {
        tlv(SEQUENCE, &[&tlv(OID, &[method.as_bytes()]), &tlv(URI, &[url.as_bytes()])])
    };
    let mut extensions = Vec::new();
    if in_lists {
        let point = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&full_name(crl)])]);
        extensions.push(extension(ID_CE_CRL_DISTRIBUTION_POINTS, &point)?);
    }
    let responder = if by_ocsp { place(ID_AD_OCSP, ocsp) } else { Vec::new() };
    let access = tlv(SEQUENCE, &[&responder, &place(ID_AD_CA_ISSUERS, issuer)]);
    extensions.push(extension(ID_PE_AUTHORITY_INFO_ACCESS, &access)?);
    Ok(extensions)
}

fn extension(oid: ObjectIdentifier, value: &[u8]) -> Result<Extension> {
    let extn_value = OctetString::new(value).map_err(defect("an extension of a certificate could not be encoded"))?;
    Ok(Extension { extn_id: oid, critical: false, extn_value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_certificate_says_that_there_is_no_information_and_a_long_one_where_it_is() {
        let begin = Timestamp::from_seconds(1_800_000_000);
        let pointers = Pointers { crl: "http://a/c".into(), issuer: "http://a/i".into(), ocsp: "http://a/o".into() };
        let oids = |seconds: u64, revocation: Revocation, pointers: Option<&Pointers>| -> Vec<String> {
            let end = begin.plus(Duration::from_secs(seconds));
            let all = status_extensions(revocation, begin, end, pointers).unwrap();
            all.iter().map(|it| it.extn_id.to_string()).collect()
        };
        let (lists, access) = ("2.5.29.31", "1.3.6.1.5.5.7.1.1");
        // Seven days with their last second.
        assert_eq!(oids(7 * 86_400 - 1, Revocation::Auto, Some(&pointers)), ["2.5.29.56"]);
        assert_eq!(oids(7 * 86_400, Revocation::Auto, Some(&pointers)), [lists, access]);
        assert!(oids(7 * 86_400, Revocation::Auto, None).is_empty());
        // What a profile says holds for every validity.
        assert_eq!(oids(60, Revocation::Crl, Some(&pointers)), [lists, access]);
        assert_eq!(oids(60, Revocation::Ocsp, Some(&pointers)), [access]);
        assert_eq!(oids(60, Revocation::None, Some(&pointers)), [access]);
    }
}
