//! Certificate chains: finds the certificate that was issued for a request, orders the rest, and checks every link.

pub use super::bundle::parse;
pub(crate) use super::bundle::parse_cheaply;

use super::alternative_names::{AlternativeName, alternative_names};
use super::asn1::Element;
use super::bundle::{key_mismatch, no_leaf};
use super::link::{Link, NoLink, Verdicts};
use super::reader::FoundCertificate;
use super::x509::{PublicKeyInfo, X509};
use super::{digest, facts, key_form, names};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{Error, Policy, Result, Timestamp};
use const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use der::Encode;

/// Most certificates in the answer of an issuer: no chain has so many.
const MAX_ISSUED: usize = 32;

/// A checked chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderedChain {
    /// The certificate of the request's key: X.509, DER.
    pub leaf: Vec<u8>,
    /// The certificates above it, from its issuer upwards; empty if none was given.
    pub rest: Vec<Vec<u8>>,
    pub not_before: Timestamp,
    pub expires: Timestamp,
}

/// Orders what a caller merges. The leaf is the first certificate of the request's key that fits; its
/// subject, usages and a beginning in the future are not checked, as in Key Vault (contract section 4,
/// call 5). Others of the same key are left out. Every other one must have signed one of the chain; the
/// chain need not reach a root. A certificate that nothing depends on for its own signature (a
/// self-signed root) is not asked to verify itself (RFC 5280 section 6.1). A repeated certificate
/// counts once.
///
/// With `preserve_order` the certificates above the leaf stay in the order in which they came.
///
/// # Errors
/// `MergeKeyMismatch` where no certificate has the key of `csr_der`; `BadParameter` for a leaf that
/// has expired, and for a certificate that does not belong to the chain, or of which that cannot be
/// checked here.
pub fn merge_order(chain: &[Vec<u8>], csr_der: &[u8], preserve_order: bool, now: Timestamp) -> Result<OrderedChain> {
    let rules = Rules { strays: Strays::Refused, unchecked: Unchecked::Refused, preserve_order, now };
    let ordered = requested_key(csr_der).and_then(|key| order(&listed(chain), &key, rules));
    ordered.map(|(ordered, _)| ordered).map_err(|defect| match defect {
        Defect::NoLeaf if chain.len() > 1 => no_leaf(),
        Defect::NoLeaf => key_mismatch(),
        Defect::Other(problem) => Error::field("x5c", problem),
    })
}

/// Orders what a caller imports with its key: the leaf, what is above it by signatures, or by names and
/// key identifiers where those cannot be checked here, then what belongs to neither, in the order in
/// which it came. A vault keeps what it is given. The second answer is the leaf.
///
/// # Errors
/// `None` if no certificate has the key; else a sentence.
pub(crate) fn import_order<'a>(
    certificates: &'a [FoundCertificate],
    key: &PublicKeyInfo<'_>,
    preserve_order: bool,
    now: Timestamp,
) -> Result<(OrderedChain, &'a [u8]), Option<String>> {
    let rules = Rules { strays: Strays::Kept, unchecked: Unchecked::Accepted, preserve_order, now };
    let listed: Vec<Listed<'a>> = certificates.iter().map(|found| (found.der.as_slice(), found.is_of_key)).collect();
    order(&listed, key, rules).map_err(|defect| match defect {
        Defect::NoLeaf => None,
        Defect::Other(problem) => Some(problem),
    })
}

/// Verifies what an issuer returned: the leaf has the key of the request, has
/// not expired and covers every alternative name of the policy; each link verifies, or has the right
/// names and key identifiers where its signature cannot be checked here. Other differences from the
/// policy are the issuer's right.
///
/// # Errors
/// A sentence about what is wrong with the response, safe to show.
pub fn check_issued(
    chain: &[Vec<u8>],
    csr_der: &[u8],
    policy: &Policy,
    now: Timestamp,
) -> Result<OrderedChain, String> {
    if chain.len() > MAX_ISSUED {
        return Err(format!("There are more than {MAX_ISSUED} certificates."));
    }
    let rules = Rules { strays: Strays::Refused, unchecked: Unchecked::Accepted, preserve_order: false, now };
    let listed = listed(chain);
    let ordered = requested_key(csr_der).and_then(|key| order(&listed, &key, rules));
    let (ordered, leaf) = ordered.map_err(|defect| match defect {
        Defect::NoLeaf => "No certificate of the chain has the public key of the request.".to_owned(),
        Defect::Other(problem) => problem,
    })?;
    let none = SubjectAlternativeNames::default();
    let missing = missing_names(leaf, policy.x509.sans.as_ref().unwrap_or(&none));
    if missing.is_empty() {
        return Ok(ordered);
    }
    Err(format!("The requested names {} are not in the certificate.", missing.join(", ")))
}

/// The alternative names of one certificate that another one does not have (both X.509, DER).
pub fn names_left_out(before: &[u8], after: &[u8]) -> Vec<String> {
    let names = X509::read(before).ok().and_then(|before| facts::names(&before));
    names.map_or_else(Vec::new, |names| missing_names(after, &names))
}

/// Whether a certificate (X.509, DER) has the key of a request (PKCS#10, DER).
pub fn is_for_request(certificate: &[u8], csr_der: &[u8]) -> bool {
    let certificate = X509::read(certificate).ok();
    certificate.zip(PublicKeyInfo::of_request(csr_der)).is_some_and(|(certificate, key)| certificate.key.same_as(&key))
}

/// The SHA-1 of the certificate: `x5t`, an identifier and no proof.
pub fn thumbprint(der: &[u8]) -> [u8; 20] {
    digest::sha1(der)
}

enum Defect {
    NoLeaf,
    Other(String),
}

/// What happens to certificates that signed none of the chain.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Strays {
    Refused,
    Kept,
}

/// What happens where a signature cannot be checked here, and names and key identifiers fit.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Unchecked {
    Refused,
    Accepted,
}

#[derive(Clone, Copy)]
struct Rules {
    strays: Strays,
    unchecked: Unchecked,
    preserve_order: bool,
    now: Timestamp,
}

/// A certificate, and whether the input says that it is the one of the key.
type Listed<'a> = (&'a [u8], bool);

fn listed(chain: &[Vec<u8>]) -> Vec<Listed<'_>> {
    chain.iter().map(|der| (der.as_slice(), false)).collect()
}

fn requested_key(csr: &[u8]) -> Result<PublicKeyInfo<'_>, Defect> {
    let unreadable = "The certificate signing request of the pending certificate cannot be read.";
    PublicKeyInfo::of_request(csr).ok_or_else(|| Defect::Other(unreadable.into()))
}

fn order<'a>(
    certificates: &[Listed<'a>],
    wanted: &PublicKeyInfo<'_>,
    rules: Rules,
) -> Result<(OrderedChain, &'a [u8]), Defect> {
    order_with(certificates, wanted, rules, &mut Verdicts::default())
}

fn order_with<'a>(
    certificates: &[Listed<'a>],
    wanted: &PublicKeyInfo<'_>,
    rules: Rules,
    verdicts: &mut Verdicts,
) -> Result<(OrderedChain, &'a [u8]), Defect> {
    let total = certificates.len();
    let mut pool = Vec::new();
    for (index, (der, _)) in certificates.iter().enumerate() {
        if !certificates[..index].iter().any(|(earlier, _)| earlier == der) {
            let read = X509::read(der).map_err(|part| {
                Defect::Other(format!("Certificate {} of {total} is not an X.509 certificate: {part}.", index + 1))
            });
            pool.push(Link { index, certificate: read? });
        }
    }
    let named =
        |link: &&Link<'a>| certificates.iter().any(|(der, is_of_key)| *is_of_key && *der == link.certificate.der);
    let of_key = || pool.iter().filter(|link| link.certificate.key.same_as(wanted));
    // What the input names comes first, then the others in their order: neither an old certificate nor a placeholder
    // of the same key is in the way. Some programs derive localKeyID from the key and so name all of them.
    let (mut candidates, others): (Vec<&Link<'a>>, Vec<&Link<'a>>) = of_key().partition(named);
    candidates.extend(others);
    let mut problem = match candidates.is_empty().then(|| written_otherwise(&pool, wanted, total)).flatten() {
        Some(problem) => Defect::Other(problem),
        None => Defect::NoLeaf,
    };
    for leaf in candidates {
        match order_from(&pool, leaf.index, total, rules, verdicts) {
            Ok(ordered) => return Ok(ordered),
            Err(found) if matches!(problem, Defect::NoLeaf) => problem = Defect::Other(found),
            Err(_) => {}
        }
    }
    Err(problem)
}

/// Of the certificates of a list the one that has the key in a form that is not supported, as a sentence.
fn written_otherwise(pool: &[Link<'_>], wanted: &PublicKeyInfo<'_>, total: usize) -> Option<String> {
    pool.iter().find_map(|link| {
        let form = key_form::of_same_key(&link.certificate.key, wanted)?;
        Some(format!("The certificate {} is of this key, but {form}", link.label(total)))
    })
}

fn order_from<'a>(
    pool: &[Link<'a>],
    leaf: usize,
    total: usize,
    rules: Rules,
    verdicts: &mut Verdicts,
) -> Result<(OrderedChain, &'a [u8]), String> {
    let Rules { strays, unchecked, preserve_order, now } = rules;
    let (mut ordered, mut pool): (Vec<&Link<'a>>, Vec<&Link<'a>>) = pool.iter().partition(|link| link.index == leaf);
    let leaf = &ordered[0].certificate;
    if leaf.not_after <= now {
        let at = time::OffsetDateTime::from_unix_timestamp(leaf.not_after.seconds()).map(|at| at.date().to_string());
        return Err(format!(
            "The certificate {} expired on {}. Ask the CA for a new one.",
            ordered[0].label(total),
            at.unwrap_or_default()
        ));
    }
    // Upwards from the leaf; cross-certificates make it a tree, whose levels are written one by one.
    let mut position = 0;
    while let Some(below) = ordered.get(position) {
        let links = |above: &&Link<'a>| {
            // Another certificate of the leaf's key is above nothing, though it may have signed itself.
            if above.certificate.key.same_as(&leaf.key) {
                return false;
            }
            match verdicts.signed(above, below) {
                Ok(()) => true,
                Err(NoLink::Unchecked(_)) => unchecked == Unchecked::Accepted,
                Err(NoLink::Name | NoLink::KeyId | NoLink::Signature) => false,
            }
        };
        let (mut issuers, others): (Vec<_>, Vec<_>) = pool.into_iter().partition(links);
        issuers.sort_by_key(|link| link.is_self_issued());
        ordered.extend(issuers);
        pool = others;
        position += 1;
    }
    match strays {
        Strays::Kept => ordered.extend(pool),
        Strays::Refused => {
            // One of the same key is no mistake either.
            if let Some(stray) = pool.iter().find(|link| !link.certificate.key.same_as(&leaf.key)) {
                return Err(stray.explain(&ordered, total, verdicts));
            }
        }
    }
    let mut above = ordered.split_off(1);
    if preserve_order {
        above.sort_by_key(|link| link.index);
    }
    let chain = OrderedChain {
        leaf: leaf.der.to_vec(),
        rest: above.iter().map(|link| link.certificate.der.to_vec()).collect(),
        not_before: leaf.not_before,
        expires: leaf.not_after,
    };
    Ok((chain, leaf.der))
}

/// The names of the policy that the certificate does not have, as a person knows them.
fn missing_names(leaf: &[u8], wanted: &SubjectAlternativeNames) -> Vec<String> {
    let leaf = X509::read(leaf).ok();
    let present = leaf.and_then(|leaf| leaf.extension(ID_CE_SUBJECT_ALT_NAME)).and_then(alternative_names);
    let present = present.unwrap_or_default();
    let Ok(general) = names::general_names(wanted) else {
        return vec!["(the names of the policy cannot be encoded)".to_owned()];
    };
    general
        .iter()
        .filter_map(|name| name.to_der().ok())
        .filter_map(|der| Element::parse(&der).map(AlternativeName::of))
        .filter(|name| !present.iter().any(|there| there.same_as(name)))
        .map(|name| name.shown())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;
    use crate::domain::{PolicyInput, RequestId, Version};
    use crate::keys::{KeyPair, certificate, request};
    use uuid::Uuid;

    #[test]
    fn each_pair_of_certificates_is_verified_once_whatever_is_tried_as_the_leaf() {
        let created = Timestamp(1_795_428_000_000);
        let input = PolicyInput { subject: Some("CN=X".into()), ..PolicyInput::default() };
        let policy = PolicyInput { curve: Some("P-256".into()), ..input }.complete(created).unwrap();
        let leaf_key = KeyPair::generate(KeyType::P256).unwrap();
        let csr = request::certificate_request(&leaf_key, &policy).unwrap();
        // All of one name: half of the key of the request, and half of keys of their own.
        let chain: Vec<Vec<u8>> = (0..32_u128)
            .map(|number| {
                let own = KeyPair::generate(KeyType::P256).unwrap();
                let key = if number % 2 == 0 { &leaf_key } else { &own };
                let request = certificate::Request {
                    policy: &policy,
                    public_key: &key.public_key_der(),
                    request_id: RequestId::from_uuid(Uuid::from_u128(number)),
                    version: Version::from_uuid(Uuid::from_u128(number)),
                    created,
                };
                certificate::self_signed(&request, key).unwrap()
            })
            .collect();
        let rules =
            Rules { strays: Strays::Refused, unchecked: Unchecked::Refused, preserve_order: false, now: created };
        let key = requested_key(&csr).ok().unwrap();
        let mut verdicts = Verdicts::default();
        assert!(matches!(order_with(&listed(&chain), &key, rules, &mut verdicts), Err(Defect::Other(_))));
        let half = 16;
        assert_eq!(verdicts.count(), half * half, "those of other keys above those of the key of the request");
    }
}
