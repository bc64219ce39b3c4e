//! Built-in certificate authorities: created once, stored in an issuer object, and used to sign.

pub use super::authority_names::{
    MAX_COMMON_NAME, common_name, comparable_name, is_numbered, name_and_next, names, numbered,
};
use super::certificate::{self, BACKDATE, Request, Template, key_id, serial, sign, to_be_signed};
use super::extensions::{extension, key_usage};
use super::key_pair::signature_algorithm;
use super::oid::oid_text;
use super::pointers::{Pointers, status_extensions};
use super::seal::{SealContext, Sealer};
use super::x509::X509;
use super::x509_name::{self, Name};
use super::{KeyPair, constraints, defect, digest, jwk, leaf_rules, name_text, names, public_key_of};
use crate::domain::issuer::Authority;
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::subject::{self, Attribute, AttributeValue, COMMON_NAME, DistinguishedName};
use crate::domain::{Blob, IssuerName, Policy, Result, Timestamp, VaultName, text};
use der::Decode;
use der::asn1::Any;
use x509_cert::ext::pkix::BasicConstraints;

/// Which keys new authorities get where nothing else is said.
pub const AUTHORITY_KEY: KeyType = KeyType::P256;
/// How long an authority lives where nothing else is said: 20 years.
pub const LIFETIME_MONTHS: u32 = 240;
/// The longest that one can be made for.
pub const MAX_LIFETIME_MONTHS: u32 = 600;
/// CAs that may stand between a root and a leaf: an intermediate, and the root that comes after this one.
const BELOW_A_ROOT: u8 = 2;
const UNREADABLE: &str = "the certificate of a built-in authority could not be read";

/// What a new authority is to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    /// Of the root; it has a common name.
    pub subject: DistinguishedName,
    /// Whether the root signs one intermediate, which signs leaves.
    pub with_intermediate: bool,
    /// Of every key.
    pub key_type: KeyType,
    pub validity_months: u32,
}

impl Plan {
    /// A root of this common name that signs leaves itself, with a key of [`AUTHORITY_KEY`], for [`LIFETIME_MONTHS`].
    pub fn new(common_name: &str) -> Self {
        Self {
            subject: DistinguishedName { parts: vec![vec![common_name_attribute(common_name)]] },
            with_intermediate: false,
            key_type: AUTHORITY_KEY,
            validity_months: LIFETIME_MONTHS,
        }
    }
}

/// Makes the keys and certificates of an authority. With an intermediate, the root signs that one
/// and its key is forgotten; both live equally long, since nothing could sign a second intermediate.
/// Generates one or two keys: call it where that much computing is right.
///
/// # Errors
/// `BadParameter` for a subject that cannot be encoded.
pub fn create_authority(
    sealer: &Sealer,
    vault: &VaultName,
    issuer: &IssuerName,
    plan: &Plan,
    now: Timestamp,
) -> Result<Authority> {
    let (chain, key) = generate(plan, now)?;
    let sealed_key = sealer.seal(&key.to_pkcs8(), &SealContext::authority_key(vault.as_str(), issuer.as_str()))?;
    Ok(Authority {
        chain: chain.into_iter().map(Into::into).collect(),
        sealed_key: sealed_key.into(),
        handed: Vec::new(),
    })
}

/// The name with another common name in place of its last one, which is the one that counts.
pub fn renamed(subject: &DistinguishedName, common_name: &str) -> DistinguishedName {
    let mut renamed = subject.clone();
    let names = renamed.parts.iter_mut().flatten().filter(|attribute| attribute.oid == COMMON_NAME);
    if let Some(last) = names.last() {
        *last = common_name_attribute(common_name);
    }
    renamed
}

/// The subject of a certificate of an authority, as text.
pub fn subject_of(der: &[u8]) -> Result<String> {
    X509::read(der).map_err(defect(UNREADABLE)).map(|certificate| name_text::text(&certificate.subject))
}

/// Whether subject and issuer of a certificate are the same: a root.
pub fn is_self_issued(der: &[u8]) -> bool {
    X509::read(der).is_ok_and(|certificate| certificate.subject.same_as(&certificate.issuer))
}

/// The common name of a certificate of an authority, its subject where there is none. Whatever other programs write into
/// names is taken as it is: what is imported once is read again with every name that is chosen later.
pub fn common_name_of(der: &[u8]) -> Result<String> {
    let subject = X509::read(der).map_err(defect(UNREADABLE))?.subject;
    let mut attributes = subject.parts.iter().rev().flatten();
    let common_name = attributes.find(|attribute| oid_text(attribute.oid).as_deref() == Some(COMMON_NAME));
    let text = common_name.and_then(|attribute| x509_name::text(attribute.value));
    Ok(text.unwrap_or_else(|| name_text::text(&subject)))
}

/// Refuses a policy of which the authority of this chain signs no leaf.
///
/// # Errors
/// `BadParameter` with every reason and what to change.
pub fn check_leaf(policy: &Policy, chain: &[Blob]) -> Result<()> {
    let subject = |der: &Blob| X509::read(&der.0).map_err(defect(UNREADABLE)).and_then(|read| name(&read.subject));
    let names: Vec<Any> = chain.iter().map(subject).collect::<Result<_, _>>()?;
    leaf_rules::check(policy, &names)?;
    constraints::check(policy, chain)
}

/// A name as it is written, with whatever types of attributes.
fn name(name: &Name<'_>) -> Result<Any> {
    Any::from_der(name.whole).map_err(defect(UNREADABLE))
}

/// A type of key as people call it: `P-256`, `RSA-3072`.
pub fn key_type_name(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Rsa2048 => "RSA-2048",
        KeyType::Rsa3072 => "RSA-3072",
        KeyType::Rsa4096 => "RSA-4096",
        KeyType::P256 => "P-256",
        KeyType::P384 => "P-384",
        KeyType::P521 => "P-521",
        KeyType::P256K => "P-256K",
    }
}

/// As [`key_type_name`], of a key (SubjectPublicKeyInfo, DER).
pub fn type_of_key(public_key: &[u8]) -> Option<&'static str> {
    jwk::key_type(public_key).map(key_type_name)
}

/// What an authority is called in keys of records: 32 hex digits of SHA-256 over the SubjectPublicKeyInfo of its
/// certificate. `None` if that cannot be read.
pub fn identifier(der: &[u8]) -> Option<String> {
    public_key_of(der).map(|key| identifier_of_key(&key))
}

/// As [`identifier`], of a SubjectPublicKeyInfo (DER).
pub fn identifier_of_key(public_key: &[u8]) -> String {
    text::hex(&digest::sha256(&[public_key])[..16])
}

/// The certificate of an authority that signs leaves, read once.
#[derive(Clone, Debug)]
pub struct Signer {
    certificate: certificate::Authority,
    public_key: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Signer {
    /// From the first certificate of [`Authority::chain`].
    pub fn read(der: &[u8]) -> Result<Self> {
        let read = X509::read(der).map_err(defect(UNREADABLE))?;
        let public_key = read.key.whole.to_vec();
        let key_id = match read.key_id() {
            Some(id) => id.to_vec(),
            None => key_id(&public_key)?,
        };
        Ok(Self {
            certificate: certificate::Authority { name: name(&read.subject)?, key_id },
            public_key,
            not_before: read.not_before,
            not_after: read.not_after,
        })
    }

    /// The type of its key.
    ///
    /// # Errors
    /// Where it is none that an authority can have here.
    pub fn key_type(&self) -> Result<KeyType> {
        jwk::key_type(&self.public_key)
            .ok_or_else(|| defect("the key of an authority is of an unknown type")(UNREADABLE))
    }

    /// The key identifier that its certificates name.
    pub fn key_id(&self) -> &[u8] {
        &self.certificate.key_id
    }

    /// Its name.
    pub fn name(&self) -> &Any {
        &self.certificate.name
    }

    /// The SubjectPublicKeyInfo (DER).
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// When the authority's own certificate begins.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the authority's own certificate ends; nothing it signs lives longer.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// For how many months it was made: up to its end, rounded up.
    pub fn validity_months(&self) -> u32 {
        let begin = Timestamp::from_seconds(self.not_before.plus(BACKDATE).seconds());
        (1..MAX_LIFETIME_MONTHS)
            .find(|months| begin.plus_months(*months) >= self.not_after)
            .unwrap_or(MAX_LIFETIME_MONTHS)
    }

    /// What [`identifier`] says of its certificate.
    pub fn identifier(&self) -> String {
        identifier_of_key(&self.public_key)
    }

    /// The serial number that earlier versions gave to an order, and replicas of them still give: it follows from it.
    pub fn derived_serial(&self, request: &Request<'_>) -> [u8; 16] {
        request.serial("built-in authority", &self.public_key)
    }

    /// A leaf as the policy asks, but for the signature, and where its status is found.
    ///
    /// # Errors
    /// `BadParameter` for a policy of which no leaf may be made: see [`check_leaf`].
    pub fn leaf(&self, request: &Request<'_>, serial: [u8; 16], pointers: Option<&Pointers>) -> Result<ToBeSigned> {
        leaf_rules::check(request.policy, [&self.certificate.name])?;
        let mut template = certificate::template(request, &self.certificate, serial)?;
        template.not_before = template.not_before.max(self.not_before);
        template.not_after = template.not_after.min(self.not_after);
        let revocation = request.policy.revocation();
        template.extensions.extend(status_extensions(revocation, template.not_before, template.not_after, pointers)?);
        Ok(ToBeSigned {
            tbs: to_be_signed(&template, signature_algorithm(self.key_type()?))?,
            not_before: template.not_before,
            not_after: template.not_after,
        })
    }
}

/// A certificate but for the signature.
#[derive(Clone, Debug)]
pub struct ToBeSigned {
    /// TBSCertificate, DER.
    pub tbs: Vec<u8>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// The chain, the one that signs leaves first, and its key.
fn generate(plan: &Plan, now: Timestamp) -> Result<(Vec<Vec<u8>>, KeyPair)> {
    let Plan { subject, with_intermediate, key_type, validity_months } = plan;
    let ends = now.plus_months(*validity_months);
    let root_key = KeyPair::generate(*key_type)?;
    let root_name = names::subject_name(subject)?;
    let root_id = key_id(&root_key.public_key_der())?;
    let above = certificate::Authority { name: root_name.clone(), key_id: root_id };
    let root = ca_template(root_name, &above, &root_key, &root_key, BELOW_A_ROOT, (now, ends))?;
    let root = sign(&root, &root_key)?;
    if !with_intermediate {
        return Ok((vec![root], root_key));
    }
    let key = KeyPair::generate(*key_type)?;
    let common_name = subject::common_name(&subject.to_string())?.unwrap_or_default();
    let [_, issuing] = names(&common_name);
    let issuing = names::subject_name(&renamed(subject, &issuing))?;
    let intermediate = sign(&ca_template(issuing, &above, &key, &root_key, 0, (now, ends))?, &root_key)?;
    Ok((vec![intermediate, root], key))
}

fn ca_template(
    subject: Any,
    above: &certificate::Authority,
    key: &KeyPair,
    signing_key: &KeyPair,
    path_length: u8,
    (now, ends): (Timestamp, Timestamp),
) -> Result<Template> {
    let public_key = key.public_key_der();
    let usages = key_usage(&[KeyUsage::KeyCertSign, KeyUsage::CrlSign])?;
    let constraints = extension(true, &BasicConstraints { ca: true, path_len_constraint: Some(path_length) })?;
    // The key is random, so the number that follows from it is too.
    let identity = [text::hex(&key_id(&public_key)?)];
    Ok(Template {
        subject,
        issuer: above.name.clone(),
        serial: serial("authority", &signing_key.public_key_der(), &identity),
        not_before: now.minus(BACKDATE),
        not_after: ends,
        extensions: usages.into_iter().chain([constraints]).collect(),
        authority_key_id: above.key_id.clone(),
        subject_key_id: key_id(&public_key)?,
        public_key,
    })
}

fn common_name_attribute(text: &str) -> Attribute {
    Attribute { oid: COMMON_NAME.to_owned(), value: AttributeValue::Text(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(common_name: &str) -> Vec<Vec<u8>> {
        let plan = Plan { with_intermediate: true, ..Plan::new(common_name) };
        generate(&plan, Timestamp(1_795_428_000_000)).unwrap().0
    }

    #[test]
    fn an_authority_has_an_identifier_and_a_name_of_its_own() {
        let made = || generated("Zürich, \"Root\"");
        let (one, other) = (made(), made());
        assert_eq!(common_name_of(&one[1]).unwrap(), "Zürich, \"Root\"");
        assert_eq!(common_name_of(&one[0]).unwrap(), "Zürich, \"Root\" Issuing");
        let ids: Vec<_> = one.iter().chain(&other).map(|der| identifier(der).unwrap()).collect();
        assert!(ids.iter().all(|id| id.len() == 32));
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }

    #[test]
    fn long_names_of_two_authorities_stay_apart_in_their_intermediates() {
        let names = ["a", "b"].map(|letter| common_name_of(&generated(&letter.repeat(64))[0]).unwrap());
        assert_eq!(names, ["a", "b"].map(|letter| format!("{} Issuing", letter.repeat(56))));
    }

    #[test]
    fn what_other_programs_write_into_names_closes_nothing() {
        use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
        let long = "x".repeat(70);
        let odd: [&[(DnType, &str)]; 5] = [
            &[(DnType::CommonName, &long)],
            &[(DnType::CountryName, "DEU"), (DnType::CommonName, "c")],
            &[(DnType::OrganizationName, ""), (DnType::CommonName, "o")],
            &[(DnType::CommonName, "nul\0inside")],
            &[(DnType::CustomDnType(vec![2, 25, u64::MAX]), "uuid")],
        ];
        for parts in odd {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.distinguished_name = DistinguishedName::new();
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), *value);
            }
            let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
            let name = common_name_of(&der).unwrap();
            assert!(!comparable_name(&name).is_empty(), "{parts:?}");
            assert_eq!(identifier(&der), Some(Signer::read(&der).unwrap().identifier()), "{parts:?}");
        }
    }
}
