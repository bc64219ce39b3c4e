//! One section of the configuration: its CAs, and how their certificates name callers.

use super::allowed::Allowed;
use super::cause::{Cause, Counts};
use super::options::{CertificateUse, SpiffeOptions, X509Options};
use super::roots::Roots;
use crate::domain::Timestamp;
use crate::domain::access::{PrincipalName, is_trust_domain, shown, trust_domain};
use crate::domain::policy::KeyUsage;
use crate::keys::{CallerCertificate, CallerName};
use std::sync::Arc;

/// Longest name.
const MAX_NAME: usize = 32;
/// Most patterns of a section.
const MAX_ALLOWED: usize = 1000;

#[derive(Debug)]
pub(super) struct Entry {
    /// The trust domain, or the name.
    pub(super) name: Arc<str>,
    pub(super) roots: Roots,
    pub(super) counts: Counts,
    pub(super) kind: EntryKind,
}

#[derive(Debug)]
pub(super) enum EntryKind {
    Spiffe,
    X509 { by: CertificateUse, allowed: Vec<Allowed> },
}

impl Entry {
    /// # Errors
    /// The setting and what is wrong with it.
    pub(super) fn spiffe(options: &SpiffeOptions, now: Timestamp) -> Result<Self, String> {
        let SpiffeOptions { trust_domain, roots_file } = options;
        if !is_trust_domain(trust_domain) {
            return Err("trust_domain: write a domain in lower case, such as corp.example".to_owned());
        }
        let roots = Roots::load(roots_file.clone(), now)?;
        Ok(Self { name: trust_domain.as_str().into(), roots, counts: Counts::default(), kind: EntryKind::Spiffe })
    }

    /// # Errors
    /// The setting and what is wrong with it.
    pub(super) fn x509(options: &X509Options, now: Timestamp) -> Result<Self, String> {
        let X509Options { name, roots_file, principal, allow } = options;
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !plain || name.is_empty() || name.len() > MAX_NAME || name.starts_with('-') {
            return Err(format!("name: write up to {MAX_NAME} of a to z, 0 to 9 and -, not beginning with -"));
        }
        if allow.len() > MAX_ALLOWED {
            return Err(format!("allow: there are more than {MAX_ALLOWED} patterns"));
        }
        let ignores_case = *principal == CertificateUse::Dns;
        let allowed = allow.iter().map(|text| Allowed::parse(text, ignores_case)).collect::<Result<_, _>>()?;
        let roots = Roots::load(roots_file.clone(), now)?;
        let kind = EntryKind::X509 { by: *principal, allowed };
        Ok(Self { name: name.as_str().into(), roots, counts: Counts::default(), kind })
    }

    /// What it is called in metrics and in the log.
    pub(super) fn label(&self) -> String {
        let kind = if self.is_spiffe() { "spiffe" } else { "x509" };
        format!("{kind}:{}", self.name)
    }

    pub(super) fn is_spiffe(&self) -> bool {
        matches!(self.kind, EntryKind::Spiffe)
    }

    /// Whether this trust domain has to judge the certificate: it names an id of it. Nothing of that is believed yet.
    pub(super) fn is_domain_of(&self, leaf: &CallerCertificate) -> bool {
        self.is_spiffe()
            && leaf
                .names
                .iter()
                .any(|name| matches!(name, CallerName::Uri(uri) if domain_part(uri) == Some(&self.name)))
    }

    /// The principal, by a certificate whose chain is good; and what the certificate lacks, for the log.
    pub(super) fn principal(&self, leaf: &CallerCertificate) -> Result<Arc<str>, (Cause, String)> {
        let usages = leaf.key_usage.as_deref();
        let has = |usage| usages.is_some_and(|usages| usages.contains(&usage));
        if leaf.is_ca || has(KeyUsage::KeyCertSign) || has(KeyUsage::CrlSign) {
            return Err((Cause::Purpose, "it is that of a CA".to_owned()));
        }
        // X.509-SVID sections 4.2 and 5.2 want the extension; elsewhere it limits where it is there.
        let must = self.is_spiffe() || usages.is_some();
        if must && !has(KeyUsage::DigitalSignature) {
            return Err((Cause::Purpose, "its key usage is not digitalSignature".to_owned()));
        }
        let text = match &self.kind {
            EntryKind::Spiffe => self.spiffe_id(leaf)?,
            EntryKind::X509 { by, allowed } => format!("x509:{}:{}", self.name, id(leaf, *by, allowed)?),
        };
        PrincipalName::parse(&text).map(Into::into).map_err(|_| {
            let problem = format!("its name cannot be that of a principal: {}", shown(&text));
            (Cause::Names, problem)
        })
    }

    /// X.509-SVID section 2: exactly one URI, which is a SPIFFE id.
    fn spiffe_id(&self, leaf: &CallerCertificate) -> Result<String, (Cause, String)> {
        let mut uris = leaf.names.iter().filter_map(|name| match name {
            CallerName::Uri(uri) => Some(uri),
            CallerName::Dns(_) | CallerName::Email(_) => None,
        });
        let (Some(uri), None) = (uris.next(), uris.next()) else {
            return Err((Cause::Names, "it has not exactly one URI".to_owned()));
        };
        if trust_domain(uri) != Some(&self.name) {
            return Err((Cause::Names, format!("it is not a SPIFFE id of a workload: {}", shown(uri))));
        }
        Ok(uri.clone())
    }
}

/// What stands where the trust domain is, however the rest is.
fn domain_part(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_at_checked(9)?;
    scheme.eq_ignore_ascii_case("spiffe://").then(|| rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// The one name of the kind that is accepted.
fn id(leaf: &CallerCertificate, by: CertificateUse, allowed: &[Allowed]) -> Result<String, (Cause, String)> {
    let of_kind = |name: &CallerName| match (by, name) {
        (CertificateUse::Uri, CallerName::Uri(text)) | (CertificateUse::Email, CallerName::Email(text)) => {
            Some(text.clone())
        }
        // Host names compare without case.
        (CertificateUse::Dns, CallerName::Dns(text)) => Some(text.to_ascii_lowercase()),
        _ => None,
    };
    let mut ids: Vec<String> = match by {
        CertificateUse::Subject => {
            Some(leaf.subject.clone()).filter(|subject| !subject.is_empty()).into_iter().collect()
        }
        CertificateUse::Uri | CertificateUse::Dns | CertificateUse::Email => {
            leaf.names.iter().filter_map(of_kind).collect()
        }
    };
    // The same name twice is one name.
    ids.sort();
    ids.dedup();
    ids.retain(|id| allowed.is_empty() || allowed.iter().any(|pattern| pattern.has(id)));
    match <[String; 1]>::try_from(ids) {
        // A wildcard stands for many hosts.
        Ok([id]) if by == CertificateUse::Dns && id.contains('*') => {
            Err((Cause::Names, "its DNS name is a wildcard".to_owned()))
        }
        Ok([id]) => Ok(id),
        Err(ids) => Err((Cause::Names, format!("{} of its names are accepted, not one", ids.len()))),
    }
}
