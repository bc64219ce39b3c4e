//! Built-in certificate authorities: made once, kept in an issuer object, and signing from there.

use super::certificate::{self, BACKDATE, Request, Template, end_entity_usages, key_id, serial, sign};
use super::extensions::{extension, key_usage};
use super::seal::{SealContext, Sealer};
use super::{KeyPair, defect, names};
use crate::domain::issuer::{Authority, Organization};
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::subject::{Attribute, AttributeValue, DistinguishedName};
use crate::domain::{Error, IssuerName, Policy, Result, Timestamp, VaultName};
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, SubjectKeyIdentifier};
use x509_cert::name::Name;

/// Which keys new authorities get.
pub const AUTHORITY_KEY: KeyType = KeyType::P256;
/// How long an authority lives: 20 years.
pub const LIFETIME_MONTHS: u32 = 240;
/// Longest common name in characters (RFC 5280 appendix A.1, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

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
    let given = organization.and_then(|organization| organization.id.as_deref()).map(str::trim);
    let common_name = match given.filter(|id| !id.is_empty()) {
        Some(id) if id.chars().count() > MAX_COMMON_NAME => {
            return Err(Error::field(
                "org_details.id",
                format!("It becomes the common name of the CA, which has at most {MAX_COMMON_NAME} characters."),
            ));
        }
        Some(id) => id.to_owned(),
        None => shortened(&format!("{issuer} CA ({vault})"), &format!("{issuer} CA")),
    };
    let (chain, key) = generate(&common_name, with_intermediate, key_type, now)?;
    let sealed_key = sealer.seal(&key.to_pkcs8(), &SealContext::authority_key(vault.as_str(), issuer.as_str()))?;
    Ok(Authority { chain: chain.into_iter().map(Into::into).collect(), sealed_key: sealed_key.into() })
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
        let broken = "the certificate of a built-in authority could not be read";
        let certificate = Certificate::from_der(der).map_err(defect(broken))?;
        let tbs = certificate.tbs_certificate();
        let public_key = tbs.subject_public_key_info().to_der().map_err(defect(broken))?;
        let key_id = match tbs.get_extension::<SubjectKeyIdentifier>() {
            Ok(Some((_, SubjectKeyIdentifier(id)))) => id.as_bytes().to_vec(),
            _ => key_id(&public_key)?,
        };
        let at = |time: x509_cert::time::Time| {
            Timestamp::from_seconds(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
        };
        Ok(Self {
            certificate: certificate::Authority { name: tbs.subject().clone(), key_id },
            public_key,
            not_before: at(tbs.validity().not_before),
            not_after: at(tbs.validity().not_after),
        })
    }

    /// When the authority's own certificate ends; nothing it signs lives longer.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Signs a leaf as the policy asks, but for the uses that only a CA may have. `key` is the
    /// authority's. X.509, DER.
    pub fn issue(&self, request: &Request<'_>, key: &KeyPair) -> Result<Vec<u8>> {
        let mut policy: Policy = request.policy.clone();
        policy.x509.key_usage = end_entity_usages(&policy.x509.key_usage);
        let request = Request { policy: &policy, ..*request };
        let mut template = certificate::template(&request, &self.certificate, &self.public_key, "built-in authority")?;
        template.not_before = template.not_before.max(self.not_before);
        template.not_after = template.not_after.min(self.not_after);
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
    let issuing = name(&shortened(&format!("{common_name} Issuing"), "Issuing CA"))?;
    let intermediate = sign(&ca_template(issuing, &above, &key, &root_key, 0, now)?, &root_key)?;
    Ok((vec![intermediate, root], key))
}

fn ca_template(
    subject: Name,
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
    let identity = [hex(&key_id(&public_key)?)];
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

fn name(common_name: &str) -> Result<Name> {
    let value = AttributeValue::Text(common_name.to_owned());
    names::subject_name(&DistinguishedName { parts: vec![vec![Attribute { oid: "2.5.4.3".to_owned(), value }]] })
}

/// The first that fits, or as much of the second as does.
fn shortened(wanted: &str, short: &str) -> String {
    if wanted.chars().count() <= MAX_COMMON_NAME {
        return wanted.to_owned();
    }
    short.chars().take(MAX_COMMON_NAME).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
