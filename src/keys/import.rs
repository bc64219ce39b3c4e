//! Import of a certificate with its key: PKCS #12, or PEM with a key in any format, raw or in base64, with or without a
//! password, in any order.

use super::asn1::Element;
use super::bundle::key_mismatch_message;
use super::chain::{self, OrderedChain};
use super::reader::{Found, FoundKey, ImportLimits, JSON_MEMBERS, KeyForm, Problem, Reader, Wanted};
use super::x509::{PublicKeyInfo, X509};
use super::{KeyPair, facts};
use crate::domain::policy::ContentType;
use crate::domain::{CertificateFacts, Detail, Error, Reason, Result, Timestamp};
use zeroize::Zeroizing;

/// Longest password in characters (contract section 10).
pub const MAX_PASSWORD: usize = 200;

/// What was brought, checked: one key, its certificate, and what is above it.
#[derive(Debug)]
pub struct Imported {
    pub key: KeyPair,
    pub chain: OrderedChain,
    pub facts: CertificateFacts,
    /// In which form it came.
    pub form: ContentType,
}

/// Reads a value. PEM is known by its content, whatever the caller calls it. With `preserve_order`
/// the certificates above the leaf stay in the order in which they came.
///
/// Of several certificates of the key the leaf is the first that has not expired, where those that a PKCS #12 file
/// names (localKeyID) come before the others.
///
/// Costs up to some seconds of one processor and a few times the memory of the value: call it
/// where that is right.
///
/// # Errors
/// [`Reason::BadParameter`] in the words of Key Vault (contract section 9) and then in ours: not
/// readable, another password, no key, several keys, a key that is not supported, no certificate
/// of the key ([`Reason::MergeKeyMismatch`]), an expired one.
pub fn read(
    value: &[u8],
    password: &str,
    preserve_order: bool,
    now: Timestamp,
    limits: ImportLimits,
) -> Result<Imported> {
    if value.len() > limits.bytes {
        let problem = format!("The certificate has more than {} (limits.import_bytes).", limits.shown_bytes());
        return Err(refusal("value", problem));
    }
    if password.chars().count() > MAX_PASSWORD {
        return Err(refusal("pwd", format!("The password is longer than {MAX_PASSWORD} characters.")));
    }
    let mut reader = Reader::new(Wanted::KeyAndCertificates { password }, limits);
    let form = reader.read(value).map_err(|problem| sentence(problem, limits))?;
    let Found { keys, certificates, revocation_lists: _, others, passed_over } = reader.found;
    let passed_over = passed_over.map_or(String::new(), |why| format!(" {why}"));
    let key = only_key(keys, form)?;
    let key = key.ok_or_else(|| problem(form, no_key(certificates.is_empty(), &others) + &passed_over))?;
    if certificates.is_empty() {
        let beside = others.first().map_or(String::new(), |what| format!(" beside the key, only {what}"));
        let why = format!("It holds no certificate{beside}: add the one that belongs to the key.{passed_over}");
        return Err(problem(form, why));
    }
    let public_key = key.public_key_der();
    let public_key = Element::parse(&public_key).and_then(PublicKeyInfo::read).ok_or_else(Error::internal)?;
    let (chain, leaf) = chain::import_order(&certificates, &public_key, preserve_order, now)
        .map_err(|found| found.map_or_else(key_mismatch, invalid))?;
    let leaf = X509::read(leaf).map_err(|part| invalid(format!("It cannot be read: {part}.")))?;
    let facts = facts::facts(&leaf, key.key_type()).map_err(invalid)?;
    Ok(Imported { key, chain, facts, form })
}

/// The key; the same one several times counts once.
fn only_key(found: Vec<FoundKey>, form: ContentType) -> Result<Option<KeyPair>> {
    let mut only: Option<KeyPair> = None;
    let mut read: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for FoundKey { form: key_form, der } in found {
        if read.contains(&der) {
            continue;
        }
        let key = match key_form {
            KeyForm::Pkcs1 => KeyPair::from_pkcs1(&der)?,
            KeyForm::Sec1 => KeyPair::from_sec1(&der)?,
            KeyForm::Pkcs8 | KeyForm::Encrypted | KeyForm::Dsa => KeyPair::from_pkcs8(&der)?,
        };
        read.push(der);
        match &only {
            Some(first) if first.public_key_der() != key.public_key_der() => {
                return Err(problem(form, "It holds several private keys: import each certificate separately."));
            }
            Some(_) => {}
            None => only = Some(key),
        }
    }
    Ok(only)
}

fn no_key(no_certificate: bool, others: &[&str]) -> String {
    match others.first().filter(|_| no_certificate) {
        Some(what) => format!("It is {what}, neither a private key nor a certificate."),
        None => "It holds no private key: a certificate is imported together with its key.".to_owned(),
    }
}

fn sentence(found: Problem, limits: ImportLimits) -> Error {
    match found {
        Problem::Empty => refusal("value", "It is required: a PKCS#12 file in base64, or PEM with the key."),
        Problem::NotBase64 | Problem::Binary => refusal("value", NOT_BASE64),
        Problem::Json => {
            refusal("value", format!("{NOT_BASE64} It is JSON without any of the members {}.", JSON_MEMBERS.join(", ")))
        }
        // No key is refused here.
        Problem::Unknown | Problem::HasKey => problem(ContentType::Pkcs12, "It is neither PKCS#12 nor PEM."),
        Problem::TooMany(form) => problem(
            form,
            format!(
                "It holds more than {} certificates (limits.import_certificates): export the certificate with its own chain alone.",
                limits.certificates
            ),
        ),
        Problem::Bad(form, why) => problem(form, why),
    }
}

const NOT_BASE64: &str = "The specified Base64-encoded PKCS#12 X.509 certificate content can not be read. Please check if certificate is valid, and is correctly Base64 encoded.";

/// The sentence of Key Vault, then the reason.
fn problem(form: ContentType, why: impl AsRef<str>) -> Error {
    let sentence = match form {
        ContentType::Pkcs12 => {
            "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format."
        }
        ContentType::Pem => {
            "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format."
        }
    };
    refusal("value", format!("{sentence} {}", why.as_ref()))
}

fn invalid(why: String) -> Error {
    let sentence =
        "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid.";
    refusal("value", format!("{sentence} {why}"))
}

fn key_mismatch() -> Error {
    Error::new(Reason::MergeKeyMismatch, key_mismatch_message()).with(Detail::Field {
        path: "value".to_owned(),
        problem: "None of its certificates matches its private key.".to_owned(),
    })
}

fn refusal(path: &str, message: impl Into<String>) -> Error {
    let message = message.into();
    Error::bad_parameter(message.clone()).with(Detail::Field { path: path.to_owned(), problem: message })
}
