//! What a built-in authority refuses to sign: anything that would give the holder of a leaf powers of the CA, and what
//! could be used for nothing. The request is refused with every reason; no power that was asked for is omitted silently.

use super::certificate::subject;
use super::defect;
use super::extensions::TIME_STAMPING;
use super::{purposes, x509_name};
use crate::domain::policy::{KeyUsage, Policy};
use crate::domain::{Error, Result};
use der::Encode;
use der::asn1::Any;

/// Purposes that speak for the CA, and what their holder could do.
const OF_THE_CA: [(&str, &str); 8] = [
    (
        "1.3.6.1.5.5.7.3.9",
        "OCSPSigning: it answers for the CA whether certificates are good (RFC 6960 section 4.2.2.2)",
    ),
    ("2.5.29.37.0", "anyExtendedKeyUsage: it stands for all purposes, those of the CA too (RFC 5280 section 4.2.1.12)"),
    ("1.3.6.1.5.5.7.3.15", "scvpServer: it validates certificates for others (RFC 5055)"),
    ("1.3.6.1.5.5.7.3.27", "cmcCA: it answers requests as the CA (RFC 6402)"),
    ("1.3.6.1.5.5.7.3.28", "cmcRA: it approves requests for the CA (RFC 6402)"),
    ("1.3.6.1.5.5.7.3.29", "cmcArchive: it receives private keys for the CA (RFC 6402)"),
    ("1.3.6.1.5.5.7.3.32", "cmKGA: it generates keys for the CA (RFC 9480)"),
    ("1.3.6.1.4.1.311.20.2.1", "certificate request agent: it enrols in the name of others"),
];

/// Refuses a policy that no leaf may have. `authorities` are the names of the CA's own certificates.
///
/// # Errors
/// `BadParameter` with every reason and what to change.
pub(super) fn check<'a>(policy: &Policy, authorities: impl IntoIterator<Item = &'a Any>) -> Result<()> {
    policy.judge()?;
    let mut reasons = Vec::new();
    if policy.x509.ca {
        reasons
            .push("It does not sign subordinate CAs: set policy.x509_props.basic_constraints.ca to false.".to_owned());
    }
    let signs =
        [KeyUsage::KeyCertSign, KeyUsage::CrlSign].into_iter().filter(|usage| policy.x509.key_usage.contains(usage));
    let signs: Vec<_> = signs.map(KeyUsage::name).collect();
    if !signs.is_empty() {
        reasons
            .push(format!("Only a CA may have {}: remove it from policy.x509_props.key_usage.", signs.join(" and ")));
    }
    for (_, power) in OF_THE_CA.iter().filter(|(oid, _)| policy.x509.ekus.iter().any(|given| given == oid)) {
        reasons.push(format!("{power}. Remove it from policy.x509_props.ekus."));
    }
    if policy.x509.ekus.len() > 1 && policy.x509.ekus.iter().any(|oid| oid == TIME_STAMPING) {
        reasons.push(
            "timeStamping must be the only extended key usage (RFC 3161 section 2.3): remove the others from \
             policy.x509_props.ekus."
                .to_owned(),
        );
    }
    reasons.extend(purposes::unserved(&policy.x509.ekus, &policy.x509.usages_to_sign(policy.key.key_type)));
    let subject = subject(policy)?;
    let der = |name: &Any| name.to_der().map_err(defect("a name could not be written"));
    let subject = der(&subject)?;
    let taken = authorities.into_iter().map(der).collect::<Result<Vec<_>>>()?;
    if taken.iter().any(|name| x509_name::is_same(name, &subject)) {
        reasons.push("The subject is the CA's own name: choose another policy.x509_props.subject.".to_owned());
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Error::bad_parameter(format!("The built-in CA refuses the request. {}", reasons.join(" "))))
}
