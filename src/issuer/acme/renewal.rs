//! When the CA wants a certificate renewed (RFC 9773).

use super::jws::base64url;
use super::problem::{Failure, Place};
use super::session::Session;
use super::wire::RenewalInfo;
use crate::domain::Timestamp;
use crate::issuer::provider::RenewalWindow;
use der::Decode;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_cert::Certificate;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

/// Where the CA does not say when to ask again.
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// The identifier of a certificate (section 4.1); none where it lacks the key identifier of its
/// authority.
pub(super) fn identifier(certificate: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let tbs = certificate.tbs_certificate();
    let (_, authority) = tbs.get_extension::<AuthorityKeyIdentifier>().ok()??;
    let key = authority.key_identifier?;
    Some(format!("{}.{}", base64url(key.as_bytes()), base64url(tbs.serial_number().as_bytes())))
}

/// Asks the CA; none where it offers no such information, or the certificate is not its own.
pub(super) async fn window(session: &Session, certificate: &[u8]) -> Result<Option<RenewalWindow>, Failure> {
    let directory = session.directory().await?;
    let (Some(base), Some(identifier)) = (directory.renewal_info.as_deref(), identifier(certificate)) else {
        return Ok(None);
    };
    let url = format!("{}/{identifier}", base.trim_end_matches('/'));
    let answer = match session.get(&url, Place::Directory).await {
        Err(Failure::Problem { status: 404, .. }) => return Ok(None),
        answer => answer?,
    };
    let RenewalInfo { suggested_window, explanation } = answer.json()?;
    let (start, end) = (time_of(&suggested_window.start), time_of(&suggested_window.end));
    match (start, end) {
        // A window that ends before it begins says nothing (section 4.2).
        (Some(start), Some(end)) if start < end => Ok(Some(RenewalWindow {
            start,
            end,
            explanation,
            ask_again: answer
                .retry_after
                .unwrap_or(ASK_AGAIN)
                .clamp(Duration::from_secs(60), Duration::from_secs(24 * 3600)),
        })),
        _ => Err(Failure::Unreadable("The renewal window of the CA cannot be read.".to_owned())),
    }
}

/// A time of RFC 3339.
pub(super) fn time_of(text: &str) -> Option<Timestamp> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair, SerialNumber};

    /// The key identifier and the serial number of the example in section 4.1.
    #[test]
    fn a_certificate_is_named_as_the_rfc_names_its_example() {
        let key_id = [0x69, 0x88, 0x5b, 0x6b, 0x87, 0x46, 0x40, 0x41, 0xe1, 0xb3, 0x7b, 0x84, 0x7b, 0xa0, 0xae, 0x2c];
        let key_id = [&key_id[..], &[0xde, 0x01, 0xc8, 0xd4]].concat();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_identifier_method = KeyIdMethod::PreSpecified(key_id);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let mut leaf = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
        leaf.serial_number = Some(SerialNumber::from_slice(&[0x87, 0x65, 0x43, 0x21]));
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
        assert_eq!(identifier(leaf.der()).as_deref(), Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"));
        assert_eq!(identifier(b"no certificate"), None);
    }

    #[test]
    fn times_of_a_window_are_read_with_their_zone() {
        assert_eq!(time_of("2026-01-02T03:04:05Z"), time_of("2026-01-02T05:04:05.000+02:00"));
        assert_eq!(time_of("2026-01-02"), None);
    }
}
