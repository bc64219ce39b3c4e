//! Certificates that belong together: finds the one that was issued for a request, puts the rest
//! in order, and checks every link.

pub use super::bundle::{MAX_BYTES, MAX_CERTIFICATES, parse};

use super::asn1::{Element, SEQUENCE};
use super::bundle::{key_mismatch, no_leaf};
use super::{digest, names, signature};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{Error, Policy, Result, Timestamp};
use const_oid::db::rfc5912::RSA_ENCRYPTION;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{SubjectAltName, name::GeneralName};
use x509_cert::name::Name;
use x509_cert::request::CertReq;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

/// A checked chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderedChain {
    /// The certificate of the request's key: X.509, DER.
    pub leaf: Vec<u8>,
    /// The certificates above it, from its issuer upwards; empty where none was given.
    pub rest: Vec<Vec<u8>>,
    pub not_before: Timestamp,
    pub expires: Timestamp,
}

/// Orders what a caller merges. The leaf is the certificate of the request's key; its subject,
/// usages and a beginning in the future are not checked, as in Key Vault (contract section 4,
/// call 5). Every other one must have signed one of the chain; the chain need not reach a root.
/// A certificate that nothing depends on for its own signature (a self-signed root) is not asked
/// to verify itself (RFC 5280 section 6.1). A repeated certificate counts once.
///
/// With `preserve_order` the certificates above the leaf stay in the order in which they came.
///
/// # Errors
/// `MergeKeyMismatch` where no certificate has the key of `csr_der`; `BadParameter` for a leaf that
/// has expired, and for a certificate that does not belong to the chain.
pub fn merge_order(chain: &[Vec<u8>], csr_der: &[u8], preserve_order: bool, now: Timestamp) -> Result<OrderedChain> {
    let ordered = requested_key(csr_der).and_then(|key| order(chain, &key, Strays::Refused, preserve_order, now));
    ordered.map(|(ordered, _)| ordered).map_err(|defect| match defect {
        Defect::NoLeaf if chain.len() > 1 => no_leaf(),
        Defect::NoLeaf => key_mismatch(),
        Defect::Other(problem) => Error::field("x5c", problem),
    })
}

/// Orders what a caller imports with its key (SubjectPublicKeyInfo, DER): the leaf, what signed it,
/// then what belongs to neither, in the order in which it came. A vault keeps what it is given.
///
/// # Errors
/// `None` where no certificate has the key; else a sentence.
pub(crate) fn import_order(
    chain: &[Vec<u8>],
    key: &[u8],
    preserve_order: bool,
    now: Timestamp,
) -> Result<(OrderedChain, Certificate), Option<String>> {
    let key = SubjectPublicKeyInfoOwned::from_der(key).map_err(|_| None)?;
    order(chain, &key, Strays::Kept, preserve_order, now).map_err(|defect| match defect {
        Defect::NoLeaf => None,
        Defect::Other(problem) => Some(problem),
    })
}

/// Checks what an issuer returned before it is believed: the leaf has the key of the request, has
/// not expired and covers every alternative name of the policy; each link verifies. Other
/// differences from the policy are the issuer's right.
///
/// # Errors
/// A sentence that says what is wrong with the answer, fit to be shown.
pub fn check_issued(
    chain: &[Vec<u8>],
    csr_der: &[u8],
    policy: &Policy,
    now: Timestamp,
) -> Result<OrderedChain, String> {
    let ordered = requested_key(csr_der).and_then(|key| order(chain, &key, Strays::Refused, false, now));
    let (ordered, leaf) = ordered.map_err(|defect| match defect {
        Defect::NoLeaf => "No certificate of the chain has the public key of the request.".to_owned(),
        Defect::Other(problem) => problem,
    })?;
    let none = SubjectAlternativeNames::default();
    let missing = missing_names(&leaf, policy.x509.sans.as_ref().unwrap_or(&none));
    if missing.is_empty() {
        return Ok(ordered);
    }
    Err(format!("The requested names {} are not in the certificate.", missing.join(", ")))
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

fn requested_key(csr: &[u8]) -> Result<SubjectPublicKeyInfoOwned, Defect> {
    let unreadable = "The certificate signing request of the pending certificate can not be read.";
    CertReq::from_der(csr).map(|request| request.info.public_key).map_err(|_| Defect::Other(unreadable.into()))
}

fn order(
    chain: &[Vec<u8>],
    wanted: &SubjectPublicKeyInfoOwned,
    strays: Strays,
    preserve: bool,
    now: Timestamp,
) -> Result<(OrderedChain, Certificate), Defect> {
    if chain.len() > MAX_CERTIFICATES {
        return Err(Defect::Other(format!("There are more than {MAX_CERTIFICATES} certificates.")));
    }
    let mut pool = Vec::new();
    for (index, der) in chain.iter().enumerate() {
        if !chain[..index].contains(der) {
            pool.push(Link::read(index, der).ok_or_else(|| {
                Defect::Other(format!("Certificate {} of {} is not an X.509 certificate.", index + 1, chain.len()))
            })?);
        }
    }
    // Of several certificates of this key (a renewal beside the old one) the one that lives longest.
    let leaf = pool
        .iter()
        .filter(|link| same_key(link.key(), wanted))
        .max_by_key(|link| (link.expires(), std::cmp::Reverse(link.index)))
        .map(|link| link.index)
        .ok_or(Defect::NoLeaf)?;
    let (mut ordered, mut pool): (Vec<_>, Vec<_>) = pool.into_iter().partition(|link| link.index == leaf);
    if ordered[0].expires() <= now {
        return Err(Defect::Other(format!(
            "The certificate {} expired on {}. Ask the CA for a new one.",
            ordered[0].label(chain.len()),
            ordered[0].certificate.tbs_certificate().validity().not_after
        )));
    }
    // Upwards from the leaf; cross-certificates make it a tree, whose levels are written one by one.
    let mut position = 0;
    while let Some(below) = ordered.get(position) {
        let (mut issuers, others): (Vec<_>, Vec<_>) = pool.into_iter().partition(|above| above.signed(below).is_ok());
        issuers.sort_by_key(Link::is_self_issued);
        ordered.extend(issuers);
        pool = others;
        position += 1;
    }
    match pool.first() {
        Some(stray) if strays == Strays::Refused => return Err(Defect::Other(stray.explain(&ordered, chain.len()))),
        _ => ordered.extend(pool),
    }
    let leaf = ordered.remove(0);
    if preserve {
        ordered.sort_by_key(|link| link.index);
    }
    let ordered_chain = OrderedChain {
        leaf: leaf.der.to_vec(),
        rest: ordered.iter().map(|link| link.der.to_vec()).collect(),
        not_before: timestamp(leaf.certificate.tbs_certificate().validity().not_before),
        expires: leaf.expires(),
    };
    Ok((ordered_chain, leaf.certificate))
}

/// A certificate with the bytes that were signed.
struct Link<'a> {
    /// Its place in the list.
    index: usize,
    der: &'a [u8],
    signed_part: &'a [u8],
    certificate: Certificate,
}

enum NoLink {
    /// It is not named as the issuer.
    Name,
    Signature(signature::Problem),
}

impl<'a> Link<'a> {
    fn read(index: usize, der: &'a [u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let signed_part = Element::parse(der)?.children_of(SEQUENCE)?.first()?.whole;
        Some(Self { index, der, signed_part, certificate })
    }

    fn key(&self) -> &SubjectPublicKeyInfoOwned {
        self.certificate.tbs_certificate().subject_public_key_info()
    }

    fn expires(&self) -> Timestamp {
        timestamp(self.certificate.tbs_certificate().validity().not_after)
    }

    fn is_self_issued(&self) -> bool {
        let tbs = self.certificate.tbs_certificate();
        same_name(tbs.subject(), tbs.issuer())
    }

    /// Whether this certificate's key signed `below`.
    fn signed(&self, below: &Link<'_>) -> Result<(), NoLink> {
        if !same_name(self.certificate.tbs_certificate().subject(), below.certificate.tbs_certificate().issuer()) {
            return Err(NoLink::Name);
        }
        let Some(signature) = below.certificate.signature().as_bytes() else {
            return Err(NoLink::Signature(signature::Problem::Wrong));
        };
        // The algorithm stands twice; both must say the same (RFC 5280 section 4.1.1.2).
        let algorithm = below.certificate.signature_algorithm();
        if algorithm != below.certificate.tbs_certificate().signature() {
            return Err(NoLink::Signature(signature::Problem::Wrong));
        }
        signature::verify(self.key(), algorithm, below.signed_part, signature).map_err(NoLink::Signature)
    }

    fn label(&self, of: usize) -> String {
        let subject: String = self.certificate.tbs_certificate().subject().to_string().chars().take(200).collect();
        format!("{} of {of} (subject \"{}\")", self.index + 1, subject.escape_debug())
    }

    /// Why it is not part of the chain.
    fn explain(&self, chain: &[Link<'_>], of: usize) -> String {
        let problem = chain.iter().find_map(|below| match self.signed(below) {
            Err(NoLink::Signature(problem)) => Some((below, problem)),
            _ => None,
        });
        let me = self.label(of);
        match problem {
            Some((below, signature::Problem::Wrong)) => format!(
                "Certificate {me} does not link: it has the name of the issuer of certificate {}, but did not sign it. Send the CA certificate that did.",
                below.label(of)
            ),
            Some((below, signature::Problem::Unsupported(algorithm))) => format!(
                "Certificate {me} can not be linked: the signature on certificate {} uses the algorithm {algorithm} or a key that is not supported here. Leave the CA certificates out.",
                below.label(of)
            ),
            None => format!(
                "Certificate {me} does not link: it issued none of the other certificates of the chain. Leave it out, or add the certificate that is missing between them."
            ),
        }
    }
}

fn timestamp(time: x509_cert::time::Time) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}

/// RSA keys are written with and without the NULL that RFC 3279 section 2.3.1 asks for.
fn same_key(one: &SubjectPublicKeyInfoOwned, other: &SubjectPublicKeyInfoOwned) -> bool {
    one.subject_public_key == other.subject_public_key
        && one.algorithm.oid == other.algorithm.oid
        && (one.algorithm.oid == RSA_ENCRYPTION || one.algorithm.parameters == other.algorithm.parameters)
}

/// The names are equal as they are written, or but for string types, case and spaces (RFC 5280
/// section 7.1): CAs write their name anew in what they sign.
fn same_name(one: &Name, other: &Name) -> bool {
    one == other || folded(one).is_some_and(|one| Some(one) == folded(other))
}

type FoldedName = Vec<Vec<(const_oid::ObjectIdentifier, String)>>;

fn folded(name: &Name) -> Option<FoldedName> {
    use der::{Tag, Tagged};
    name.iter_rdn()
        .map(|part| {
            let mut part = part
                .iter()
                .map(|attribute| match attribute.value.tag() {
                    Tag::PrintableString | Tag::Utf8String | Tag::Ia5String => {
                        let text = std::str::from_utf8(attribute.value.value()).ok()?;
                        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
                        Some((attribute.oid, words.join(" ")))
                    }
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()?;
            part.sort();
            Some(part)
        })
        .collect()
}

/// The names of the policy that the certificate does not have, as a person knows them.
fn missing_names(leaf: &Certificate, wanted: &SubjectAlternativeNames) -> Vec<String> {
    let present: Vec<GeneralName> = match leaf.tbs_certificate().get_extension::<SubjectAltName>() {
        Ok(Some((_, SubjectAltName(names)))) => names,
        _ => Vec::new(),
    };
    let Ok(general) = names::general_names(wanted) else {
        return vec!["(the names of the policy can not be encoded)".to_owned()];
    };
    general.iter().filter(|name| !present.iter().any(|there| same_general_name(there, name))).map(shown).collect()
}

fn same_general_name(one: &GeneralName, other: &GeneralName) -> bool {
    let equal = |one: &str, other: &str| one.eq_ignore_ascii_case(other);
    match (one, other) {
        (GeneralName::DnsName(one), GeneralName::DnsName(other))
        | (GeneralName::Rfc822Name(one), GeneralName::Rfc822Name(other)) => equal(one.as_str(), other.as_str()),
        (GeneralName::UniformResourceIdentifier(one), GeneralName::UniformResourceIdentifier(other)) => {
            one.as_str().trim_end_matches('/') == other.as_str().trim_end_matches('/')
        }
        _ => one == other,
    }
}

fn shown(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(text) | GeneralName::Rfc822Name(text) | GeneralName::UniformResourceIdentifier(text) => {
            text.to_string()
        }
        GeneralName::IpAddress(bytes) => match bytes.as_bytes() {
            bytes if bytes.len() == 4 => <[u8; 4]>::try_from(bytes).map(|a| std::net::IpAddr::from(a).to_string()),
            bytes => <[u8; 16]>::try_from(bytes).map(|a| std::net::IpAddr::from(a).to_string()),
        }
        .unwrap_or_else(|_| "(address)".to_owned()),
        GeneralName::OtherName(other) => String::from_utf8_lossy(other.value.value()).into_owned(),
        other => other.to_der().map(|der| format!("{der:02x?}")).unwrap_or_default(),
    }
}
