//! What a request asks for, as rules see it.

use crate::domain::imported_policy::validity_months;
use crate::domain::policy::KeyType;
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{CertificateFacts, Policy, Timestamp};
use std::time::Duration;

/// CAs date certificates back by some minutes, and their last second counts.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// A certificate to be, or one that somebody brings.
#[derive(Clone, Copy, Debug)]
pub struct Requested<'a> {
    /// The name of the issuer; `Self` and `Unknown` are names too.
    pub issuer: &'a str,
    pub subject: &'a str,
    pub sans: Option<&'a SubjectAlternativeNames>,
    pub key_type: KeyType,
    pub validity_months: u32,
    /// Object identifiers.
    pub ekus: &'a [String],
    pub exportable: bool,
    pub reuse_key: bool,
    pub ca: bool,
    /// It has alternative names of kinds that a policy cannot have.
    pub other_names: bool,
}

impl<'a> Requested<'a> {
    /// What a policy asks for.
    pub fn of(policy: &'a Policy) -> Self {
        let Policy { key, x509, issuer, .. } = policy;
        Self {
            issuer: &issuer.name,
            subject: &x509.subject,
            sans: x509.sans.as_ref(),
            key_type: key.key_type,
            validity_months: x509.validity_months,
            ekus: &x509.ekus,
            exportable: key.exportable,
            reuse_key: key.reuse_key,
            ca: x509.ca,
            other_names: false,
        }
    }

    /// A certificate that is there, under this policy.
    pub fn made(facts: &'a CertificateFacts, policy: &'a Policy) -> Self {
        let until = Timestamp::max(facts.not_before, facts.expires.minus(BACKDATED));
        Self {
            subject: &facts.subject,
            sans: facts.sans.as_ref(),
            key_type: facts.key_type,
            validity_months: validity_months(facts.not_before, until),
            ekus: &facts.ekus,
            ca: facts.ca,
            other_names: facts.other_names,
            ..Self::of(policy)
        }
    }
}
