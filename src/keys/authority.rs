//! Built-in certificate authorities: created once, stored in an issuer object, and used to sign.

use super::certificate::{self, BACKDATE, Request, Template, key_id, serial, sign};
use super::extensions::{self, extension, key_usage};
use super::seal::{SealContext, Sealer};
use super::x509::X509;
use super::{KeyPair, defect, digest, leaf_rules, name_text, names};
use crate::domain::issuer::{Authority, Organization};
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::subject::{Attribute, AttributeValue, DistinguishedName};
use crate::domain::{Blob, Error, IssuerName, Policy, Result, Timestamp, VaultName, text};
use der::asn1::Any;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, SubjectKeyIdentifier};

/// Which keys new authorities get.
pub const AUTHORITY_KEY: KeyType = KeyType::P256;
/// How long an authority lives: 20 years.
pub const LIFETIME_MONTHS: u32 = 240;
/// Longest common name in characters (RFC 5280 appendix A.1, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

/// Suffix of the common name of an intermediate.
const ISSUING: &str = " Issuing";
const COMMON_NAME: &str = "2.5.4.3";
const UNREADABLE: &str = "the certificate of a built-in authority could not be read";

/// Makes the keys and certificates of an authority. The root's common name is the organization's
/// id, or one made of the names of issuer and vault. With an intermediate, the root signs that one
/// and its key is forgotten; both live 20 years, since nothing could sign a second intermediate.
/// Generates one or two keys: call it where that much computing is right.
///
/// # Errors
/// `BadParameter` for an organization id that is too long for a common name.
pub fn create_authority(
    sealer: &Sealer,
    vault: &VaultName,
    issuer: &IssuerName,
    organization: Option<&Organization>,
    with_intermediate: bool,
    key_type: KeyType,
    now: Timestamp,
) -> Result<Authority> {
    let common_name = common_name(vault, issuer, organization)?;
    let (chain, key) = generate(&common_name, with_intermediate, key_type, now)?;
    let sealed_key = sealer.seal(&key.to_pkcs8(), &SealContext::authority_key(vault.as_str(), issuer.as_str()))?;
    Ok(Authority { chain: chain.into_iter().map(Into::into).collect(), sealed_key: sealed_key.into() })
}

/// The common name of the root that [`create_authority`] makes.
///
/// # Errors
/// `BadParameter` for an organization id that is too long for it, or not readable.
pub fn common_name(vault: &VaultName, issuer: &IssuerName, organization: Option<&Organization>) -> Result<String> {
    let given = organization.and_then(|organization| organization.id.as_deref()).map(str::trim);
    let Some(id) = given.filter(|id| !id.is_empty()) else {
        return Ok(shortened(&format!("{issuer} CA ({vault})"), &format!("{issuer} CA")));
    };
    if id.chars().count() > MAX_COMMON_NAME {
        return Err(Error::field(
            "org_details.id",
            format!("It becomes the common name of the CA, which has at most {MAX_COMMON_NAME} characters."),
        ));
    }
    match text::problem(id) {
        Some(problem) => Err(Error::field("org_details.id", problem)),
        None => Ok(id.to_owned()),
    }
}

/// The common name of the authority that is the `number`th of that name: two keys under one name are mixed up by
/// whoever looks for a CA by its name (CRLs, OCSP, trust stores).
pub fn numbered(common_name: &str, number: u32) -> String {
    if number <= 1 {
        return common_name.to_owned();
    }
    let number = format!(" {number}");
    let room = MAX_COMMON_NAME.saturating_sub(number.chars().count());
    format!("{}{number}", common_name.chars().take(room).collect::<String>().trim_end())
}

/// The common names of all certificates that an authority of this name may have.
pub fn names(common_name: &str) -> [String; 2] {
    let room = MAX_COMMON_NAME.saturating_sub(ISSUING.len());
    let short: String = common_name.chars().take(room).collect();
    [common_name.to_owned(), format!("{}{ISSUING}", short.trim_end())]
}

/// Whether `name` is the common name, with or without a number.
pub fn is_numbered(name: &str, common_name: &str) -> bool {
    let number = name.rsplit_once(' ').and_then(|(_, number)| number.parse().ok());
    name == common_name || number.is_some_and(|number| name == numbered(common_name, number))
}

/// The form in which common names compare: without case and repeated spaces (RFC 5280 section 7.1).
pub fn comparable_name(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The common name of a certificate of an authority.
pub fn common_name_of(der: &[u8]) -> Result<String> {
    let certificate = X509::read(der).map_err(defect(UNREADABLE))?;
    let text = name_text::text(&certificate.subject);
    let name = DistinguishedName::parse(&text).map_err(defect(UNREADABLE))?;
    let common_name = name.parts.iter().flatten().find(|attribute| attribute.oid == COMMON_NAME);
    match common_name.map(|attribute| &attribute.value) {
        Some(AttributeValue::Text(text)) => Ok(text.clone()),
        _ => Ok(text),
    }
}

/// Refuses a policy of which the authority of this chain signs no leaf.
///
/// # Errors
/// `BadParameter` with every reason and what to change.
pub fn check_leaf(policy: &Policy, chain: &[Blob]) -> Result<()> {
    let subject = |der: &Blob| {
        Certificate::from_der(&der.0).and_then(|certificate| Any::encode_from(certificate.tbs_certificate().subject()))
    };
    let names: Vec<Any> = chain.iter().map(subject).collect::<Result<_, _>>().map_err(defect(UNREADABLE))?;
    leaf_rules::check(policy, &names)
}

/// What an authority is called in keys of records: 32 hex digits of SHA-256 over the SubjectPublicKeyInfo of its
/// certificate. `None` if that cannot be read.
pub fn identifier(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let key = certificate.tbs_certificate().subject_public_key_info().to_der().ok()?;
    Some(text::hex(&digest::sha256(&[&key])[..16]))
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
        let certificate = Certificate::from_der(der).map_err(defect(UNREADABLE))?;
        let tbs = certificate.tbs_certificate();
        let public_key = tbs.subject_public_key_info().to_der().map_err(defect(UNREADABLE))?;
        let key_id = match tbs.get_extension::<SubjectKeyIdentifier>() {
            Ok(Some((_, SubjectKeyIdentifier(id)))) => id.as_bytes().to_vec(),
            _ => key_id(&public_key)?,
        };
        let at = |time: x509_cert::time::Time| {
            Timestamp::from_seconds(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
        };
        Ok(Self {
            certificate: certificate::Authority {
                name: Any::encode_from(tbs.subject()).map_err(defect(UNREADABLE))?,
                key_id,
            },
            public_key,
            not_before: at(tbs.validity().not_before),
            not_after: at(tbs.validity().not_after),
        })
    }

    /// When the authority's own certificate ends; nothing it signs lives longer.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Signs a leaf as the policy asks. `key` is the authority's. X.509, DER.
    ///
    /// # Errors
    /// `BadParameter` for a policy of which no leaf may be made: see [`check_leaf`].
    pub fn issue(&self, request: &Request<'_>, key: &KeyPair) -> Result<Vec<u8>> {
        leaf_rules::check(request.policy, [&self.certificate.name])?;
        let mut template = certificate::template(request, &self.certificate, &self.public_key, "built-in authority")?;
        template.not_before = template.not_before.max(self.not_before);
        template.not_after = template.not_after.min(self.not_after);
        if request.policy.is_without_status(template.not_before, template.not_after) {
            template.extensions.push(extensions::no_rev_avail()?);
        }
        sign(&template, key)
    }
}

/// The chain, the one that signs leaves first, and its key.
fn generate(
    common_name: &str,
    with_intermediate: bool,
    key_type: KeyType,
    now: Timestamp,
) -> Result<(Vec<Vec<u8>>, KeyPair)> {
    let root_key = KeyPair::generate(key_type)?;
    let root_name = name(common_name)?;
    let root_id = key_id(&root_key.public_key_der())?;
    let above = certificate::Authority { name: root_name.clone(), key_id: root_id };
    let root =
        sign(&ca_template(root_name, &above, &root_key, &root_key, u8::from(with_intermediate), now)?, &root_key)?;
    if !with_intermediate {
        return Ok((vec![root], root_key));
    }
    let key = KeyPair::generate(key_type)?;
    let [_, issuing] = names(common_name);
    let issuing = name(&issuing)?;
    let intermediate = sign(&ca_template(issuing, &above, &key, &root_key, 0, now)?, &root_key)?;
    Ok((vec![intermediate, root], key))
}

fn ca_template(
    subject: Any,
    above: &certificate::Authority,
    key: &KeyPair,
    signing_key: &KeyPair,
    path_length: u8,
    now: Timestamp,
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
        not_after: now.plus_months(LIFETIME_MONTHS),
        extensions: usages.into_iter().chain([constraints]).collect(),
        authority_key_id: above.key_id.clone(),
        subject_key_id: key_id(&public_key)?,
        public_key,
    })
}

fn name(common_name: &str) -> Result<Any> {
    let value = AttributeValue::Text(common_name.to_owned());
    names::subject_name(&DistinguishedName { parts: vec![vec![Attribute { oid: COMMON_NAME.to_owned(), value }]] })
}

/// The first that fits, or as much of the second as does.
fn shortened(wanted: &str, short: &str) -> String {
    if wanted.chars().count() <= MAX_COMMON_NAME {
        return wanted.to_owned();
    }
    short.chars().take(MAX_COMMON_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_of_one_name_are_numbered() {
        assert_eq!(
            [1, 2, 12].map(|number| numbered("Example Root", number)),
            ["Example Root", "Example Root 2", "Example Root 12"]
        );
        let long = "x".repeat(MAX_COMMON_NAME);
        assert_eq!(numbered(&long, 10), format!("{} 10", "x".repeat(61)));
        for (name, common_name, is) in [
            ("Example Root", "Example Root", true),
            ("Example Root 2", "Example Root", true),
            ("Example Root 2", "Example Root 2", true),
            (&numbered(&long, 10), long.as_str(), true),
            ("Example Root", "Example Root 2", false),
            ("Example Root x", "Example Root", false),
            ("Other Root 2", "Example Root", false),
        ] {
            assert_eq!(is_numbered(name, common_name), is, "{name}, {common_name}");
        }
    }

    #[test]
    fn an_authority_has_an_identifier_and_a_name_of_its_own() {
        let made = || generate("Zürich, \"Root\"", true, KeyType::P256, Timestamp(1_795_428_000_000)).unwrap().0;
        let (one, other) = (made(), made());
        assert_eq!(common_name_of(&one[1]).unwrap(), "Zürich, \"Root\"");
        assert_eq!(common_name_of(&one[0]).unwrap(), "Zürich, \"Root\" Issuing");
        let ids: Vec<_> = one.iter().chain(&other).map(|der| identifier(der).unwrap()).collect();
        assert!(ids.iter().all(|id| id.len() == 32));
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }

    #[test]
    fn long_names_of_two_authorities_stay_apart_in_their_intermediates() {
        let chain = |name: &str| generate(name, true, KeyType::P256, Timestamp(1_795_428_000_000)).unwrap().0;
        let names = ["a", "b"].map(|letter| common_name_of(&chain(&letter.repeat(64))[0]).unwrap());
        assert_eq!(names, ["a", "b"].map(|letter| format!("{} Issuing", letter.repeat(56))));
    }
}
