//! Which key usages serve which purpose: a certificate that has both extensions "MUST only be used for a purpose
//! consistent with both", and where they fit nowhere, for none (RFC 5280 section 4.2.1.12).

use crate::domain::policy::KeyUsage;
use KeyUsage::{DigitalSignature, KeyAgreement, KeyEncipherment, NonRepudiation};

/// The purposes of RFC 5280 section 4.2.1.12, each with the usages of which it needs one.
const NEEDS: [(&str, &str, &[KeyUsage]); 6] = [
    ("1.3.6.1.5.5.7.3.1", "serverAuth", &[DigitalSignature, KeyEncipherment, KeyAgreement]),
    ("1.3.6.1.5.5.7.3.2", "clientAuth", &[DigitalSignature, KeyAgreement]),
    ("1.3.6.1.5.5.7.3.3", "codeSigning", &[DigitalSignature]),
    ("1.3.6.1.5.5.7.3.4", "emailProtection", &[DigitalSignature, NonRepudiation, KeyEncipherment, KeyAgreement]),
    ("1.3.6.1.5.5.7.3.8", "timeStamping", &[DigitalSignature, NonRepudiation]),
    ("1.3.6.1.5.5.7.3.9", "OCSPSigning", &[DigitalSignature, NonRepudiation]),
];

/// What a purpose is called, where it is one of these.
pub(super) fn name(oid: &str) -> &str {
    NEEDS.iter().find(|(known, ..)| *known == oid).map_or(oid, |(_, name, _)| name)
}

/// Where none of the purposes can be served with any of these usages: a sentence about the first of them. What a purpose
/// of somebody else needs is not known, and no usages at all say nothing.
pub(super) fn unserved(ekus: &[String], usages: &[KeyUsage]) -> Option<String> {
    if ekus.is_empty() || usages.is_empty() {
        return None;
    }
    let needs = |oid: &String| NEEDS.iter().find(|(known, ..)| known == oid);
    let served =
        |oid: &String| needs(oid).is_none_or(|(_, _, one_of)| one_of.iter().any(|usage| usages.contains(usage)));
    if ekus.iter().any(served) {
        return None;
    }
    let (_, name, one_of) = needs(ekus.first()?)?;
    let one_of: Vec<&str> = one_of.iter().map(|usage| usage.name()).collect();
    Some(format!(
        "With these key usages the certificate could be used for none of its purposes (RFC 5280 section 4.2.1.12): \
         {name} needs {} in policy.x509_props.key_usage.",
        one_of.join(" or ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyUsage::{DataEncipherment, DecipherOnly};

    #[test]
    fn one_purpose_that_can_be_served_is_enough() {
        let (server, code, own) = ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3", "1.3.6.1.4.1.99999.1");
        let (stamp, client) = ("1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.2");
        for (ekus, usages, fits) in [
            (&[server][..], &[KeyEncipherment][..], true),
            (&[server], &[NonRepudiation], false),
            (&[server, client], &[DataEncipherment], false),
            (&[server, own], &[DataEncipherment], true),
            (&[code], &[KeyAgreement], false),
            (&[code, server], &[KeyAgreement], true),
            (&[code], &[DigitalSignature, DataEncipherment], true),
            (&[stamp], &[KeyAgreement, DecipherOnly], false),
            (&[stamp], &[NonRepudiation], true),
            (&[code], &[], true),
            (&[], &[DataEncipherment], true),
        ] {
            let ekus: Vec<String> = ekus.iter().map(|oid| (*oid).to_owned()).collect();
            let problem = unserved(&ekus, usages);
            assert_eq!(problem.is_none(), fits, "{ekus:?} {usages:?} {problem:?}");
        }
    }
}
