//! What an issuer object says of its CA: what is made of it, and whether a change is true of the CA that is there.

use super::super::options::problem;
use super::super::provider::{CaInput, IssuerInput, OptionKind, OptionSchema};
use crate::domain::policy::KeyType;
use crate::domain::subject::{self, AttributeValue, DistinguishedName};
use crate::domain::{self, Authority, Error, Timestamp};
use crate::keys::authority::{self, AUTHORITY_KEY, LIFETIME_MONTHS, Plan, Signer};
use crate::keys::certificate::BACKDATE;

const KEY_TYPE: &str = "key_type";
const SUBJECT: &str = "subject";
const VALIDITY: &str = "validity_months";
const PARENT: &str = "parent";
/// The parent that is no issuer of the vault.
const EXTERNAL: &str = "external";
/// The keys that an authority can have, as options name them. Smaller ones do not outlive the certificates of a CA.
const KEY_TYPES: [(&str, KeyType); 4] = [
    ("P-256", KeyType::P256),
    ("P-384", KeyType::P384),
    ("RSA-3072", KeyType::Rsa3072),
    ("RSA-4096", KeyType::Rsa4096),
];
const KEY_TYPE_NAMES: [&str; 4] = ["P-256", "P-384", "RSA-3072", "RSA-4096"];

/// Members of Key Vault that it reads.
pub(super) fn members() -> Vec<OptionSchema> {
    vec![
        OptionSchema {
            name: "account_id",
            kind: OptionKind::Choice(&["root", "intermediate", "attach"]),
            required: false,
            default: Some("root"),
            help: "Whether the root signs certificates, or an intermediate CA that the root signed; \"attach\" takes \
                   the CA back that a deleted issuer of this name had.",
        },
        OptionSchema {
            name: "organization_id",
            kind: OptionKind::Text,
            required: false,
            default: None,
            help: "Common name of the root, at most 64 characters; otherwise made of the issuer's name.",
        },
    ]
}

/// Options beyond the members of Key Vault.
pub(super) fn options() -> Vec<OptionSchema> {
    vec![
        OptionSchema {
            name: KEY_TYPE,
            kind: OptionKind::Choice(&KEY_TYPE_NAMES),
            required: false,
            default: Some("P-256"),
            help: "The type of the CA's keys.",
        },
        OptionSchema {
            name: SUBJECT,
            kind: OptionKind::Text,
            required: false,
            default: None,
            help: "Subject of the root with one common name, such as \"CN=Example Root, O=Example\"; otherwise the \
                   common name alone.",
        },
        OptionSchema {
            name: PARENT,
            kind: OptionKind::Text,
            required: false,
            default: None,
            help: "Who signs the CA, if it is no root of its own: the issuer of the vault whose CA does, or \"external\" for \
                   a CA elsewhere, which gets a request.",
        },
        OptionSchema {
            name: VALIDITY,
            kind: OptionKind::Integer { least: 1, most: 600 },
            required: false,
            default: Some("240"),
            help: "For how many months the CA certificates are valid.",
        },
    ]
}

/// What is made of an issuer object, under a name that is free.
///
/// # Errors
/// The member or option, and what is wrong with it.
pub(super) fn plan(input: &IssuerInput, ca: &CaInput) -> domain::Result<Plan> {
    let with_intermediate = with_intermediate(input.account_id.as_deref())?;
    let subject = match option(input, SUBJECT) {
        Some(text) => {
            let id = input.organization.as_ref().and_then(|organization| organization.id.as_deref());
            if id.is_some_and(|id| !id.trim().is_empty()) {
                return Err(problem(SUBJECT, "Leave it out, or org_details.id: both name the root."));
            }
            parsed(text)?
        }
        None => Plan::new(&authority::common_name(&ca.vault, &ca.issuer, input.organization.as_ref())?).subject,
    };
    let wanted = common_name(&subject)?;
    let taken = |name: &String| ca.taken_names.contains(&authority::comparable_name(name));
    let free = |name: &String| !authority::names(name).iter().any(taken);
    let name = (1..=u32::MAX).map(|number| authority::numbered(&wanted, number)).find(free).unwrap_or(wanted);
    Ok(Plan {
        subject: authority::renamed(&subject, &name),
        with_intermediate,
        key_type: key_type(input).unwrap_or(AUTHORITY_KEY),
        validity_months: validity(input).unwrap_or(LIFETIME_MONTHS),
    })
}

/// Who signs the CA of an issuer object that has none yet, if it is no root of its own, and what the CA is to be.
///
/// # Errors
/// The member or option, and what is wrong with it.
pub(super) fn below(input: &IssuerInput, ca: &CaInput) -> domain::Result<Option<(String, Plan)>> {
    let Some(parent) = option(input, PARENT) else { return Ok(None) };
    if input.account_id.as_deref().is_some_and(|id| !id.is_empty()) {
        return Err(problem(PARENT, "Leave it out, or credentials.account_id: both say who signs the CA."));
    }
    if parent == EXTERNAL && option(input, VALIDITY).is_some() {
        return Err(problem(VALIDITY, "The CA that signs the request decides it: leave it out."));
    }
    Ok(Some((parent.to_owned(), plan(input, ca)?)))
}

/// The CA is made once, and its settings cannot be changed: its certificates are in use, and another setting would not
/// change them.
pub(super) fn stays_as_made(input: &IssuerInput, ca: &CaInput, held: &Authority) -> domain::Result<()> {
    let issuer = &ca.issuer;
    let other = "which cannot be changed: set another issuer, or delete this one first.";
    if let Some(account_id) = &ca.named_account_id
        && with_intermediate(Some(account_id))? != (held.chain.len() > 1)
    {
        let is = if held.chain.len() > 1 { "intermediate" } else { "root" };
        let said = format!("The CA of the issuer {issuer} was made with \"{is}\", {other}");
        return Err(Error::field("credentials.account_id", said));
    }
    let id = ca.named_organization_id.as_deref().map(str::trim).filter(|_| option(input, PARENT).is_none());
    let root = held.chain.last().ok_or_else(Error::internal)?;
    let signer = held.chain.first().ok_or_else(Error::internal).and_then(|signer| Signer::read(&signer.0))?;
    let is_called = authority::common_name_of(&root.0)?;
    if id.is_some_and(|id| !id.is_empty() && !authority::is_numbered(&is_called, id)) {
        let said = format!("The CA of the issuer {issuer} is called {is_called}, {other}");
        return Err(Error::field("org_details.id", said));
    }
    if let Some(text) = option(input, SUBJECT) {
        let wanted = parsed(text)?;
        // What was said is of the CA that another one signed, or of its own root.
        let named = if option(input, PARENT).is_some() { held.chain.first().unwrap_or(root) } else { root };
        let is_called = authority::common_name_of(&named.0)?;
        let is = DistinguishedName::parse(&authority::subject_of(&named.0)?)?;
        let same = authority::renamed(&wanted, &is_called) == is;
        if !same || !authority::is_numbered(&is_called, &common_name(&wanted)?) {
            return Err(problem(SUBJECT, format!("The subject of the CA of the issuer {issuer} is {is}, {other}")));
        }
    }
    if let Some(wanted) = key_type(input)
        && wanted != signer.key_type()?
    {
        return Err(problem(KEY_TYPE, format!("The CA of the issuer {issuer} has a key of another type, {other}")));
    }
    let ends_with_root = Signer::read(&root.0)?.not_after() == signer.not_after();
    if let Some(months) = validity(input)
        && !lives(&signer, months)
        && !(option(input, PARENT).is_some() && ends_with_root)
    {
        return Err(problem(VALIDITY, format!("The CA of the issuer {issuer} is valid for another time, {other}")));
    }
    Ok(())
}

fn lives(signer: &Signer, months: u32) -> bool {
    let made = signer.not_before().plus(BACKDATE);
    Timestamp::from_seconds(made.seconds()).plus_months(months).seconds() == signer.not_after().seconds()
}

fn with_intermediate(account_id: Option<&str>) -> domain::Result<bool> {
    match account_id {
        None | Some("" | "root") => Ok(false),
        Some("intermediate") => Ok(true),
        Some(_) => Err(Error::field(
            "credentials.account_id",
            "A LocalCA takes \"root\" (the root signs) or \"intermediate\" (an intermediate signs); \"attach\" takes \
             the CA of a deleted issuer back.",
        )),
    }
}

fn option<'a>(input: &'a IssuerInput, name: &str) -> Option<&'a str> {
    input.options.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn key_type(input: &IssuerInput) -> Option<KeyType> {
    let name = option(input, KEY_TYPE)?;
    KEY_TYPES.iter().find(|(known, _)| *known == name).map(|(_, key_type)| *key_type)
}

fn validity(input: &IssuerInput) -> Option<u32> {
    option(input, VALIDITY)?.parse().ok()
}

fn parsed(text: &str) -> domain::Result<DistinguishedName> {
    let subject = DistinguishedName::parse(text).map_err(|refusal| problem(SUBJECT, refusal.message))?;
    common_name(&subject)?;
    Ok(subject)
}

/// The only common name; how often a CA was made under it is told by a number at its end.
fn common_name(subject: &DistinguishedName) -> domain::Result<String> {
    let mut names = subject.parts.iter().flatten().filter(|attribute| attribute.oid == subject::COMMON_NAME);
    match (names.next().map(|attribute| &attribute.value), names.next()) {
        (Some(AttributeValue::Text(text)), None) if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err(problem(SUBJECT, "It needs exactly one common name, such as \"CN=Example Root, O=Example\".")),
    }
}
