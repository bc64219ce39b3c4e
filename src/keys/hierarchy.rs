//! What stands above an authority: its request to another CA, the certificate that comes back, and the certificate by
//! which an old root vouches for the key of the next one; and the certificate of an authority below another one.

use super::asn1::Element;
use super::authority::{Signer, ToBeSigned, subject_of};
use super::certificate::{BACKDATE, Template, key_id, to_be_signed};
use super::extensions::{extension, key_usage};
use super::facts;
use super::key_pair::signature_algorithm;
use super::oid::oid_text;
use super::pointers::{Pointers, ca_status_extensions};
use super::request::signed_request;
use super::x509::{PublicKeyInfo, X509};
use super::{AuthorityKey, KeyPair, chain, constraints, defect, jwk, names};
use crate::domain::policy::KeyUsage;
use crate::domain::subject::DistinguishedName;
use crate::domain::{Blob, Error, Result, Timestamp};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_BASIC_CONSTRAINTS, ID_CE_CERTIFICATE_POLICIES, ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_EXT_KEY_USAGE,
    ID_CE_INHIBIT_ANY_POLICY, ID_CE_KEY_USAGE, ID_CE_NAME_CONSTRAINTS, ID_CE_POLICY_CONSTRAINTS, ID_CE_POLICY_MAPPINGS,
    ID_CE_SUBJECT_ALT_NAME,
};
use der::Encode;
use der::asn1::OctetString;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, SubjectKeyIdentifier};

/// Critical extensions of a CA that are kept here, or say nothing of what is below it.
const HELD: [ObjectIdentifier; 7] = [
    ID_CE_BASIC_CONSTRAINTS,
    ID_CE_KEY_USAGE,
    ID_CE_EXT_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS,
    ID_CE_SUBJECT_ALT_NAME,
    ID_CE_CERTIFICATE_POLICIES,
    ID_CE_CRL_DISTRIBUTION_POINTS,
];
/// Those that concern policies, which no certificate has that is signed here.
const POLICIES: [ObjectIdentifier; 3] = [ID_CE_POLICY_CONSTRAINTS, ID_CE_POLICY_MAPPINGS, ID_CE_INHIBIT_ANY_POLICY];

/// A request (PKCS #10, DER) for the certificate of a CA: basicConstraints and keyUsage, critical, and the key
/// identifier that its own certificates will name.
pub fn authority_request(key: &KeyPair, subject: &DistinguishedName) -> Result<Vec<u8>> {
    let mut extensions = ca_extensions(None)?;
    let id = OctetString::new(key_id(&key.public_key())?).map_err(defect("a key identifier could not be encoded"))?;
    extensions.push(extension(false, &SubjectKeyIdentifier(id))?);
    signed_request(key, names::subject_name(subject)?, extensions)
}

fn ca_extensions(path_length: Option<u8>) -> Result<Vec<Extension>> {
    let mut all: Vec<Extension> = key_usage(&[KeyUsage::KeyCertSign, KeyUsage::CrlSign])?.into_iter().collect();
    all.push(extension(true, &BasicConstraints { ca: true, path_len_constraint: path_length })?);
    Ok(all)
}

/// The subject of a request, as text.
pub fn subject_of_request(csr: &[u8]) -> Result<String> {
    let name = Element::parse(csr).and_then(|outer| outer.children()).and_then(|parts| parts.first()?.children());
    let name = name.and_then(|parts| super::x509_name::Name::read(*parts.get(1)?));
    name.map(|name| super::name_text::text(&name)).ok_or_else(Error::internal)
}

/// A chain that another CA signed for an authority: checked, the authority's certificate first.
#[derive(Clone, Debug)]
pub struct Installed {
    pub chain: Vec<Vec<u8>>,
    /// What is allowed, and may surprise.
    pub warnings: Vec<String>,
}

/// Checks and orders what came back for a request, or with a key.
///
/// # Errors
/// `BadParameter` with what is wrong: another key, no CA, usages that are missing, an end that has come, a link that
/// does not verify.
pub fn check_chain(given: &[Vec<u8>], csr: &[u8], now: Timestamp) -> Result<Installed> {
    let ordered = chain::merge_order(given, csr, false, now)?;
    let all: Vec<Vec<u8>> = std::iter::once(ordered.leaf).chain(ordered.rest).collect();
    check_cas(&all, now).map(|warnings| Installed { chain: all, warnings })
}

/// As [`check_chain`], of a chain that is in order.
pub fn check_cas(all: &[Vec<u8>], now: Timestamp) -> Result<Vec<String>> {
    let refuse = |der: &[u8], what: &str| {
        let subject = subject_of(der).unwrap_or_default();
        Err(Error::field("certificates", format!("The certificate of \"{subject}\" {what}.")))
    };
    let mut warnings = Vec::new();
    for (below, der) in all.iter().enumerate() {
        let certificate =
            X509::read(der).map_err(|part| Error::field("certificates", format!("{part} cannot be read.")))?;
        let key_type = jwk::key_type(certificate.key.whole);
        if below == 0 && key_type.is_none() {
            return refuse(der, "has a key of a type that signs nothing here");
        }
        let facts = facts::facts(&certificate, key_type.unwrap_or(super::authority::AUTHORITY_KEY))
            .map_err(|problem| Error::field("certificates", problem))?;
        if !facts.ca {
            return refuse(der, "is not that of a CA (basicConstraints): ask for a subordinate CA certificate");
        }
        let usages = &facts.key_usage;
        if !usages.is_empty() && !usages.contains(&KeyUsage::KeyCertSign) {
            return refuse(der, "may not sign certificates (keyUsage without keyCertSign)");
        }
        if below == 0 && !usages.is_empty() && !usages.contains(&KeyUsage::CrlSign) {
            return refuse(der, "may not sign revocation lists (keyUsage without cRLSign)");
        }
        if certificate.not_after <= now {
            return refuse(der, "has expired");
        }
        let is_root = certificate.subject.same_as(&certificate.issuer);
        for extension in certificate.extensions.0.iter().filter(|extension| extension.critical && !is_root) {
            let is_one_of = |known: &[ObjectIdentifier]| known.iter().any(|known| known.as_bytes() == extension.oid);
            let oid = oid_text(extension.oid).unwrap_or_default();
            if is_one_of(&POLICIES) {
                let subject = subject_of(der)?;
                warnings.push(format!(
                    "The certificate of \"{subject}\" asks clients for policies (the critical extension {oid}): certificates that are signed here name none, and clients that check policies may refuse them."
                ));
            } else if !is_one_of(&HELD) {
                // RFC 5280 section 4.2.
                return refuse(
                    der,
                    &format!(
                        "has the critical extension {oid}, which is not known here: clients that do not know it either refuse whatever is below, and for others it may be wrong"
                    ),
                );
            }
        }
        // RFC 5280 section 4.1.2.6.
        if certificate.subject.parts.is_empty() {
            return refuse(der, "has no name (its subject is empty): clients refuse what such a CA signs");
        }
        // Certificates between it and the leaf; the leaf does not count (RFC 5280 section 4.2.1.9).
        if path_length(&certificate).is_some_and(|allowed| allowed < below) {
            return refuse(der, "allows fewer CAs below it (path length) than there are");
        }
    }
    let own = Signer::read(&all[0])?;
    for der in all {
        warnings.extend(constraints::warnings(der).map_err(|problem| Error::field("certificates", problem))?);
    }
    let root = all.last().map(|root| X509::read(root)).and_then(std::result::Result::ok);
    if !root.is_some_and(|root| root.subject.same_as(&root.issuer)) {
        warnings.push("The chain does not reach a root: clients have to have what is missing.".to_owned());
    }
    if own.not_after() < now.plus_months(13) {
        warnings.push("The CA certificate ends within 13 months: no certificate outlives it.".to_owned());
    }
    for scheme in ["ldap:", "https:"] {
        if all[0].windows(scheme.len()).any(|part| part.eq_ignore_ascii_case(scheme.as_bytes())) {
            warnings.push(format!(
                "The CA certificate names an address with {scheme} Clients outside its domain may not read it."
            ));
        }
    }
    Ok(warnings)
}

fn path_length(certificate: &X509<'_>) -> Option<usize> {
    let value = certificate.extension(ID_CE_BASIC_CONSTRAINTS)?;
    let parts = Element::parse(value)?.children()?;
    parts.iter().find_map(Element::unsigned).and_then(|length| usize::try_from(length).ok())
}

/// Whether a CA of this certificate may vouch for another root that has so many CAs below it.
pub fn can_cross_sign(old_root: &[u8], below: usize) -> bool {
    X509::read(old_root).is_ok_and(|root| path_length(&root).is_none_or(|allowed| allowed > below))
}

/// The certificate by which an old root vouches for a new one: name, key and key identifier of the new root, signed by
/// the old one. It ends with either.
pub fn cross_certificate(old_root: &[u8], new_root: &[u8], serial: [u8; 16], now: Timestamp) -> Result<ToBeSigned> {
    let (old, new) = (Signer::read(old_root)?, Signer::read(new_root)?);
    let length =
        X509::read(new_root).ok().and_then(|root| path_length(&root)).and_then(|length| u8::try_from(length).ok());
    let template = Template {
        subject: new.name().clone(),
        issuer: old.name().clone(),
        serial,
        not_before: now.minus(BACKDATE).max(old.not_before()).max(new.not_before()),
        not_after: old.not_after().min(new.not_after()),
        public_key: new.public_key().to_vec(),
        extensions: ca_extensions(length)?,
        authority_key_id: old.key_id().to_vec(),
        subject_key_id: new.key_id().to_vec(),
    };
    Ok(ToBeSigned {
        tbs: to_be_signed(&template, signature_algorithm(old.key_type()?))?,
        not_before: template.not_before,
        not_after: template.not_after,
    })
}

/// An authority that another one signs.
#[derive(Clone, Debug)]
pub struct Subordinate<'a> {
    pub subject: &'a DistinguishedName,
    /// SubjectPublicKeyInfo, DER.
    pub public_key: &'a [u8],
    pub serial: [u8; 16],
    /// It ends with the authority above it, if that ends earlier.
    pub validity_months: u32,
}

/// Why the authority of this chain, its own certificate first, signs no authority below it; `None` if it may.
pub fn signs_no_authority(above: &[Blob]) -> Option<String> {
    for (between, Blob(der)) in above.iter().enumerate() {
        let length = X509::read(der).ok().and_then(|certificate| path_length(&certificate));
        if length.is_some_and(|allowed| allowed <= between) {
            let subject = subject_of(der).unwrap_or_default();
            return Some(format!("the path length of \"{subject}\" allows no further CA below it"));
        }
    }
    None
}

/// Why clients would believe nothing of a CA of this subject below the authority of this chain; `None` where they do.
///
/// # Errors
/// Where the constraints of a certificate cannot be read.
pub fn refuses_subject(above: &[Blob], subject: &DistinguishedName) -> Result<Option<String>> {
    let name = names::subject_name(subject)?.to_der().map_err(defect("a name could not be written"))?;
    constraints::refusal_of_ca(&name, above)
}

/// As [`refuses_subject`], of a root (X.509, DER) that is there.
///
/// # Errors
/// Where it, or the constraints of a certificate, cannot be read.
pub fn refuses_root(above: &[Blob], root: &[u8]) -> Result<Option<String>> {
    let root = X509::read(root).map_err(defect("a CA certificate could not be read"))?;
    constraints::refusal_of_ca(root.subject.whole, above)
}

/// The certificate of an authority that signs leaves, but for the signature of the one above it (X.509, DER), and where
/// its status is found.
pub fn subordinate_certificate(
    above: &[u8],
    wanted: &Subordinate<'_>,
    pointers: Option<&Pointers>,
    now: Timestamp,
) -> Result<ToBeSigned> {
    let Subordinate { subject, public_key, serial, validity_months } = *wanted;
    let signer = Signer::read(above)?;
    let mut template = Template {
        subject: names::subject_name(subject)?,
        issuer: signer.name().clone(),
        serial,
        not_before: now.minus(BACKDATE).max(signer.not_before()),
        not_after: now.plus_months(validity_months).min(signer.not_after()),
        public_key: public_key.to_vec(),
        extensions: ca_extensions(Some(0))?,
        authority_key_id: signer.key_id().to_vec(),
        subject_key_id: key_id(public_key)?,
    };
    template.extensions.extend(ca_status_extensions(pointers)?);
    Ok(ToBeSigned {
        tbs: to_be_signed(&template, signature_algorithm(signer.key_type()?))?,
        not_before: template.not_before,
        not_after: template.not_after,
    })
}

/// The key (SubjectPublicKeyInfo, DER) that a request asks to have certified.
pub fn key_of_request(csr: &[u8]) -> Option<Vec<u8>> {
    PublicKeyInfo::of_request(csr).map(|key| key.whole.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::keys::authority::identifier_of_key;

    #[test]
    fn a_request_of_an_authority_says_what_it_is_for() {
        let key = KeyPair::generate(KeyType::P384).unwrap();
        let subject = DistinguishedName::parse("CN=Corp Issuing 1, O=Corp").unwrap();
        let csr = authority_request(&key, &subject).unwrap();
        assert_eq!(subject_of_request(&csr).unwrap(), "CN=Corp Issuing 1, O=Corp");
        assert_eq!(key_of_request(&csr).unwrap(), key.public_key_der());
        assert_eq!(identifier_of_key(&key.public_key_der()).len(), 32);
    }
}
