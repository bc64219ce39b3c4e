//! What the certificates of a CA forbid those below them: names outside their subtrees (RFC 5280 section 4.2.1.10), and
//! purposes that they do not have themselves (section 4.2.1.12, as clients read it). Clients refuse a certificate against
//! them, so it is not signed.

use super::alternative_names::AlternativeName;
use super::asn1::{Element, SEQUENCE, context};
use super::certificate::subject;
use super::x509::X509;
use super::x509_name::{Name, text};
use super::{defect, facts, name_text, names, purposes};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{Blob, Error, Policy, Result};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::ID_CE_NAME_CONSTRAINTS;
use der::Encode;
use std::net::IpAddr;

const ANY_PURPOSE: &str = "2.5.29.37.0";
const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
/// `[4]` of a GeneralName: a directory name.
const DIRECTORY: u8 = 0xa4;
/// `[7]`: an address, in a constraint with its mask.
const ADDRESS: u8 = 0x87;

/// What one certificate of a CA forbids.
struct Limits<'a> {
    permitted: Vec<Element<'a>>,
    excluded: Vec<Element<'a>>,
    /// Object identifiers; none where every purpose is allowed.
    purposes: Option<Vec<String>>,
}

impl<'a> Limits<'a> {
    /// # Errors
    /// A sentence that names the extension that cannot be read.
    fn read(certificate: &X509<'a>) -> Result<Self, String> {
        let said = facts::Said::read(&certificate.extensions)?;
        let (mut permitted, mut excluded) = (Vec::new(), Vec::new());
        if let Some(value) = certificate.extension(ID_CE_NAME_CONSTRAINTS) {
            let unreadable = || "Its extension nameConstraints cannot be read.".to_owned();
            for list in Element::parse(value).and_then(|it| it.children_of(SEQUENCE)).ok_or_else(unreadable)? {
                let bases = list.children().and_then(|subtrees| subtrees.iter().map(base).collect::<Option<Vec<_>>>());
                match list.tag {
                    tag if tag == context(0) => permitted.extend(bases.ok_or_else(unreadable)?),
                    tag if tag == context(1) => excluded.extend(bases.ok_or_else(unreadable)?),
                    _ => return Err(unreadable()),
                }
            }
        }
        let purposes = said.ekus.filter(|ekus| !ekus.iter().any(|oid| oid == ANY_PURPOSE));
        Ok(Self { permitted, excluded, purposes })
    }
}

/// The base of a GeneralSubtree; minimum and maximum are not used (RFC 5280 section 4.2.1.10).
fn base<'a>(subtree: &Element<'a>) -> Option<Element<'a>> {
    subtree.children_of(SEQUENCE)?.first().copied()
}

/// A name of a leaf as constraints see it.
struct Asked {
    /// The tag of its GeneralName.
    tag: u8,
    name: AskedName,
    /// As a person knows it.
    shown: String,
}

enum AskedName {
    Dns(String),
    Email(String),
    Uri(String),
    Address(IpAddr),
    /// DER.
    Directory(Vec<u8>),
    /// Of which no constraint is understood here.
    Other,
}

/// Refuses a policy of which clients believe no leaf below these certificates.
///
/// # Errors
/// `BadParameter` with every reason and what to change.
pub(super) fn check(policy: &Policy, chain: &[Blob]) -> Result<()> {
    let reasons = reasons(&asked(policy)?, &policy.x509.ekus, chain)?;
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Error::bad_parameter(format!("The built-in CA refuses the request. {}", reasons.join(" "))))
}

/// Why clients believe nothing of a CA with this subject (Name, DER) below these certificates; `None` where they do.
pub(super) fn refusal_of_ca(subject: &[u8], chain: &[Blob]) -> Result<Option<String>> {
    let name = Element::parse(subject).and_then(Name::read).ok_or_else(Error::internal)?;
    let shown = format!("the subject {}", name_text::text(&name));
    let reasons = reasons(&in_subject(&name, shown), &[], chain)?;
    Ok((!reasons.is_empty()).then(|| reasons.join(" ")))
}

fn reasons(asked: &[Asked], ekus: &[String], chain: &[Blob]) -> Result<Vec<String>> {
    let mut reasons = Vec::new();
    for Blob(der) in chain {
        let unreadable = defect("the constraints of a CA certificate could not be read");
        let certificate = X509::read(der).map_err(defect("a CA certificate could not be read"))?;
        let limits = Limits::read(&certificate).map_err(unreadable)?;
        let ca = name_text::text(&certificate.subject);
        for Asked { tag, name, shown } in asked {
            let (permitted, excluded) = (of_kind(&limits.permitted, *tag), of_kind(&limits.excluded, *tag));
            if !permitted.is_empty() && !permitted.iter().any(|base| covers(base, name)) {
                let only = permitted.iter().map(shown_base).collect::<Vec<_>>().join(", ");
                reasons.push(format!(
                    "The CA certificate of \"{ca}\" permits {only} alone (nameConstraints): remove {shown}, or ask \
                     another issuer."
                ));
            }
            if let Some(base) = excluded.iter().find(|base| reaches(base, name)) {
                reasons.push(format!(
                    "The CA certificate of \"{ca}\" excludes {} (nameConstraints): remove {shown}, or ask another issuer.",
                    shown_base(base)
                ));
            }
        }
        if let Some(purposes) = &limits.purposes
            && !ekus.is_empty()
            && !ekus.iter().any(|oid| purposes.contains(oid))
        {
            reasons.push(format!(
                "The CA certificate of \"{ca}\" is for {} alone (extKeyUsage), and the certificate could be used for none \
                 of its purposes: change policy.x509_props.ekus, or ask another issuer.",
                named(purposes)
            ));
        }
    }
    reasons.dedup();
    Ok(reasons)
}

/// What is to be said of a CA whose certificate has constraints.
///
/// # Errors
/// A sentence that names the extension that cannot be read.
pub(super) fn warnings(der: &[u8]) -> Result<Vec<String>, String> {
    let certificate = X509::read(der).map_err(|part| format!("{part} cannot be read."))?;
    let Limits { permitted, excluded, purposes } = Limits::read(&certificate)?;
    let ca = name_text::text(&certificate.subject);
    let mut said = Vec::new();
    let list = |bases: &[Element<'_>]| bases.iter().map(shown_base).collect::<Vec<_>>().join(", ");
    if !permitted.is_empty() {
        said.push(format!("The certificate of \"{ca}\" permits {} alone: other names are refused.", list(&permitted)));
    }
    if !excluded.is_empty() {
        said.push(format!("The certificate of \"{ca}\" excludes {}: these names are refused.", list(&excluded)));
    }
    // The responder has a common name alone.
    let mut refuses_responder = permitted.iter().any(|base| base.tag == DIRECTORY);
    if let Some(purposes) = purposes {
        refuses_responder |= !purposes.iter().any(|oid| oid == OCSP_SIGNING);
        let purposes = named(&purposes);
        said.push(format!(
            "The certificate of \"{ca}\" is for {purposes} alone: clients accept nothing else below it."
        ));
    }
    if refuses_responder {
        said.push(format!(
            "The certificate of \"{ca}\" forbids an OCSP responder as it is made here: clients may refuse OCSP answers, and take revocation lists."
        ));
    }
    Ok(said)
}

fn of_kind<'a>(bases: &[Element<'a>], tag: u8) -> Vec<Element<'a>> {
    bases.iter().filter(|base| base.tag == tag).copied().collect()
}

fn named(purposes: &[String]) -> String {
    purposes.iter().map(|oid| purposes::name(oid)).collect::<Vec<_>>().join(", ")
}

fn asked(policy: &Policy) -> Result<Vec<Asked>> {
    let der = subject(policy)?.to_der().map_err(defect("a name could not be written"))?;
    let name = Element::parse(&der).and_then(Name::read).ok_or_else(Error::internal)?;
    let none = SubjectAlternativeNames::default();
    let sans = policy.x509.sans.as_ref().unwrap_or(&none);
    let mut all = Vec::new();
    let mut ask = |tag, name, shown: &str| all.push(Asked { tag, name, shown: shown.to_owned() });
    sans.dns_names.iter().for_each(|dns| ask(0x82, AskedName::Dns(dns.clone()), dns));
    sans.emails.iter().for_each(|email| ask(0x81, AskedName::Email(email.clone()), email));
    sans.uris.iter().for_each(|uri| ask(0x86, AskedName::Uri(uri.clone()), uri));
    sans.upns.iter().for_each(|upn| ask(0xa0, AskedName::Other, upn));
    for address in &sans.ip_addresses {
        let name = address.parse().map_or(AskedName::Other, AskedName::Address);
        ask(ADDRESS, name, address);
    }
    for attribute in name.parts.iter().flatten() {
        let Some(text) = text(attribute.value) else { continue };
        // Where there is no other name clients take a common name for a host.
        let is_host = sans.dns_names.is_empty()
            && text.contains('.')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte));
        if attribute.oid == COMMON_NAME.as_bytes() && is_host {
            ask(0x82, AskedName::Dns(text.clone()), &text);
        }
    }
    all.extend(in_subject(&name, format!("the subject {}", policy.x509.subject)));
    Ok(all)
}

/// The subject, and the addresses in it, which clients take for names.
fn in_subject(name: &Name<'_>, shown: String) -> Vec<Asked> {
    let attributes = name.parts.iter().flatten().filter(|attribute| attribute.oid == EMAIL_ADDRESS.as_bytes());
    let emails = attributes.filter_map(|attribute| text(attribute.value));
    let mut all: Vec<Asked> =
        emails.map(|email| Asked { tag: 0x81, name: AskedName::Email(email.clone()), shown: email }).collect();
    if !name.parts.is_empty() {
        all.push(Asked { tag: DIRECTORY, name: AskedName::Directory(name.whole.to_vec()), shown });
    }
    all
}

/// Whether an excluded base of the same kind forbids a name: what it covers, what may become a name that it covers, and
/// what is of a kind that is not understood, of which nothing is known to be outside.
fn reaches(base: &Element<'_>, name: &AskedName) -> bool {
    let domain = || String::from_utf8_lossy(base.content).to_ascii_lowercase();
    covers(base, name)
        || match name {
            // Of the hosts for which it stands one may be the base.
            AskedName::Dns(host) => host.strip_prefix("*.").is_some_and(|of| {
                domain().split_once('.').is_some_and(|(first, rest)| {
                    !first.is_empty() && rest == of.trim_end_matches('.').to_ascii_lowercase()
                })
            }),
            // RFC 5280 section 4.2.1.10: one without a host name is refused by whoever reads the constraint.
            AskedName::Uri(uri) => host_of(uri).is_none(),
            AskedName::Other => true,
            AskedName::Email(_) | AskedName::Address(_) | AskedName::Directory(_) => false,
        }
}

/// The host of a URI, if it has a name: an address is in no domain, and `urn:a` is not the host `urn` with a port.
fn host_of(uri: &str) -> Option<String> {
    let uri = uri.parse::<http::Uri>().ok().filter(|uri| uri.scheme().is_some())?;
    let host = uri.host().map(str::to_ascii_lowercase)?;
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_err().then_some(host)
}

/// Whether a name is in the subtree of a base of the same kind.
fn covers(base: &Element<'_>, name: &AskedName) -> bool {
    let domain = || String::from_utf8_lossy(base.content).to_ascii_lowercase();
    match name {
        AskedName::Dns(host) => is_in_domain(&host.to_ascii_lowercase(), &domain(), true),
        AskedName::Email(email) => {
            let (local, host) = email.rsplit_once('@').unwrap_or(("", email));
            match String::from_utf8_lossy(base.content).rsplit_once('@') {
                Some((only, at)) => only == local && at.eq_ignore_ascii_case(host),
                None => is_in_domain(&host.to_ascii_lowercase(), &domain(), false),
            }
        }
        AskedName::Uri(uri) => host_of(uri).is_some_and(|host| is_in_domain(&host, &domain(), false)),
        AskedName::Address(address) => {
            let bytes = match address {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let (net, mask) = base.content.split_at(base.content.len() / 2);
            net.len() == bytes.len()
                && mask.len() == bytes.len()
                && bytes.iter().zip(net).zip(mask).all(|((byte, net), mask)| byte & mask == net & mask)
        }
        AskedName::Directory(der) => {
            let base = Element::parse(base.content).and_then(Name::read);
            let name = Element::parse(der).and_then(Name::read);
            name.zip(base).is_some_and(|(name, base)| name.is_below(&base))
        }
        AskedName::Other => false,
    }
}

/// `.example` is everything below; `example` is that host alone or, for DNS names, everything below as well. The empty
/// one is everything.
fn is_in_domain(host: &str, domain: &str, and_below: bool) -> bool {
    let host = host.trim_end_matches('.');
    let below = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
    match domain.strip_prefix('.') {
        Some(domain) => below(domain),
        None => domain.is_empty() || host == domain || and_below && below(domain),
    }
}

fn shown_base(base: &Element<'_>) -> String {
    match base.tag {
        DIRECTORY => match Element::parse(base.content).and_then(Name::read) {
            Some(name) => format!("the directory \"{}\"", name_text::text(&name)),
            None => "a directory that cannot be read".to_owned(),
        },
        ADDRESS => {
            let (net, mask) = base.content.split_at(base.content.len() / 2);
            let bits: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
            format!("{}/{bits}", AlternativeName::Address(net.to_vec()).shown())
        }
        0x81 | 0x82 | 0x86 if base.content.is_empty() => "every name of a kind".to_owned(),
        0xa0 if base.children().is_some_and(|parts| parts.first().is_some_and(|kind| kind.is_oid(names::UPN))) => {
            "user principal names".to_owned()
        }
        0x81 | 0x82 | 0x86 => String::from_utf8_lossy(base.content).into_owned(),
        _ => "names of a kind that is not known here".to_owned(),
    }
}

#[cfg(test)]
#[path = "constraints_tests.rs"]
mod tests;
