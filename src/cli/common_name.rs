//! Copies a host in the common name to the alternative names, since TLS clients only check those (RFC 6125 section
//! 6.4.4, RFC 9525 section 2), and the other way where a self-signed certificate would have no name.

use crate::proto::v1::{CertificatePolicy, SubjectAlternativeNames};
use std::net::IpAddr;

/// Adds the common name of the subject to a policy that names no alternative name, where it is a host or an address.
/// Returns a note about it.
pub(super) fn as_alternative_name(policy: &mut CertificatePolicy) -> Option<String> {
    let x509 = policy.x509_properties.as_mut()?;
    if x509.subject_alternative_names.is_some() {
        return None;
    }
    let name = common_name(&x509.subject)?;
    let mut names = SubjectAlternativeNames::default();
    let kind = if name.parse::<IpAddr>().is_ok() {
        names.ip_addresses.push(name.clone());
        "ip"
    } else if is_host(&name) {
        names.dns_names.push(name.clone());
        "dns"
    } else {
        return None;
    };
    x509.subject_alternative_names = Some(names);
    Some(format!(
        "added --san {kind}:{name}, since TLS clients ignore the common name. Use --san to choose the names yourself."
    ))
}

/// Gives the subject of a policy for `Self` that names none the first host, or else the first address, of its
/// alternative names: a self-signed certificate is its own issuer, whose name must not be empty (RFC 5280 section
/// 4.1.2.4). For other issuers an empty subject has a meaning. Returns a note about it.
pub(super) fn from_alternative_names(policy: &mut CertificatePolicy) -> Option<String> {
    let is_self = policy.issuer.as_ref().is_some_and(|issuer| issuer.name.eq_ignore_ascii_case("Self"));
    let x509 = policy.x509_properties.as_mut().filter(|x509| is_self && x509.subject.is_empty())?;
    let names = x509.subject_alternative_names.as_ref()?;
    let name = names.dns_names.iter().chain(&names.ip_addresses).find(|name| fits_in_common_name(name))?;
    let subject = format!("CN={name}");
    let note = format!(
        "added --subject {subject}, since a self-signed certificate needs a subject. Use --subject to choose it yourself."
    );
    x509.subject = subject;
    Some(note)
}

/// Whether a name needs no escapes in RFC 4514 text and is no longer than a common name may be (RFC 5280 appendix A.1).
fn fits_in_common_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"*-._:".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// The value of the first CN of a subject in RFC 4514 text; `None` if it has escapes, which no host has.
fn common_name(subject: &str) -> Option<String> {
    let value = subject.split([',', '+', ';']).find_map(|part| {
        let (kind, value) = part.split_once('=')?;
        kind.trim().eq_ignore_ascii_case("CN").then(|| value.trim())
    })?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (!value.is_empty()).then(|| value.to_owned())
}

/// A DNS name of two labels or more, or `localhost`: one word alone is rather a person or a thing.
fn is_host(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = rest.rsplit('.').next().unwrap_or_default();
    let fits = name.len() <= 253 && rest.split('.').all(label) && !top.bytes().all(|b| b.is_ascii_digit());
    fits && (rest.contains('.') || name == "localhost")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{IssuerParameters, X509Properties};

    fn added(subject: &str) -> Option<(String, SubjectAlternativeNames)> {
        let x509 = X509Properties { subject: subject.to_owned(), ..X509Properties::default() };
        let mut policy = CertificatePolicy { x509_properties: Some(x509), ..CertificatePolicy::default() };
        let note = as_alternative_name(&mut policy)?;
        Some((note, policy.x509_properties?.subject_alternative_names?))
    }

    #[test]
    fn a_host_in_the_common_name_becomes_an_alternative_name() {
        for (subject, name) in [
            ("CN=web.example", "web.example"),
            ("O=Shop, cn = web.example ,C=DE", "web.example"),
            ("CN=*.web.example", "*.web.example"),
            ("CN=localhost", "localhost"),
            ("CN=\"web.example\"", "web.example"),
        ] {
            let (note, names) = added(subject).unwrap();
            assert_eq!(names.dns_names, [name], "{subject}");
            assert!(note.contains(&format!("--san dns:{name}")), "{note}");
        }
        let (note, names) = added("CN=192.0.2.1").unwrap();
        assert_eq!(names.ip_addresses, ["192.0.2.1"]);
        assert!(note.contains("--san ip:192.0.2.1"), "{note}");
    }

    #[test]
    fn other_common_names_stay_alone() {
        for subject in
            ["", "CN=", "CN=My Root", "CN=ann", "O=web.example", "CN=a_b.example", "CN=web\\.example", "CN=1.2"]
        {
            assert_eq!(added(subject), None, "{subject}");
        }
    }

    #[test]
    fn names_that_were_given_are_enough() {
        let names = SubjectAlternativeNames { emails: vec!["a@b.example".to_owned()], ..Default::default() };
        let x509 = X509Properties {
            subject: "CN=web.example".to_owned(),
            subject_alternative_names: Some(names),
            ..X509Properties::default()
        };
        let mut policy = CertificatePolicy { x509_properties: Some(x509), ..CertificatePolicy::default() };
        assert_eq!(as_alternative_name(&mut policy), None);
        assert_eq!(as_alternative_name(&mut CertificatePolicy::default()), None);
    }

    /// The subject that a policy for `issuer` with this subject and these hosts and addresses has afterwards.
    fn subject_of(issuer: &str, subject: &str, dns: &[&str], ip: &[&str]) -> (Option<String>, String) {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = SubjectAlternativeNames {
            dns_names: texts(dns),
            ip_addresses: texts(ip),
            ..SubjectAlternativeNames::default()
        };
        let mut policy = CertificatePolicy {
            x509_properties: Some(X509Properties {
                subject: subject.to_owned(),
                subject_alternative_names: Some(names),
                ..X509Properties::default()
            }),
            issuer: Some(IssuerParameters { name: issuer.to_owned(), ..IssuerParameters::default() }),
            ..CertificatePolicy::default()
        };
        let note = from_alternative_names(&mut policy);
        (note, policy.x509_properties.unwrap().subject)
    }

    #[test]
    fn a_self_signed_certificate_without_a_subject_gets_its_first_host() {
        let long = format!("{}.example", "a".repeat(60));
        for (dns, ip, subject) in [
            (&["web.example", "www.example"][..], &["192.0.2.1"][..], "CN=web.example"),
            (&["*.web.example"], &[], "CN=*.web.example"),
            (&["web"], &[], "CN=web"),
            (&[&long, "web.example"], &[], "CN=web.example"),
            (&[], &["2001:db8::1"], "CN=2001:db8::1"),
        ] {
            for issuer in ["Self", "self"] {
                let (note, made) = subject_of(issuer, "", dns, ip);
                assert_eq!(made, subject);
                assert!(note.unwrap().contains(&format!("added --subject {subject},")));
            }
        }
    }

    #[test]
    fn a_subject_that_was_given_and_other_issuers_stay_as_they_are() {
        for issuer in ["", "Unknown", "corp"] {
            assert_eq!(subject_of(issuer, "", &["web.example"], &[]), (None, String::new()), "{issuer}");
        }
        assert_eq!(subject_of("Self", "O=Shop", &["web.example"], &[]), (None, "O=Shop".to_owned()));
        assert_eq!(subject_of("Self", "", &["a,O=Bank"], &[]), (None, String::new()));
        assert_eq!(from_alternative_names(&mut CertificatePolicy::default()), None);
    }
}
