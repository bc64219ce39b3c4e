//! The entries of `x5c`, in any format, parsed to a list of X.509 certificates in DER.

use super::reader::{ImportLimits, JSON_MEMBERS, Problem, Reader, Wanted};
use crate::domain::{Detail, Error, Reason, Result};

/// Reads the entries of `x5c`. Each may be an X.509 certificate or a PKCS #7 file (DER), PEM text
/// with any number of either, a PKCS #12 file without a password (its private key is not read),
/// or the base64 text of one of these. The certificates come in the order in which they were
/// sent, but for the one that a PKCS #12 file says belongs to its key, which is the first of that
/// file; nothing but their form is checked.
///
/// A PKCS #12 file costs up to some seconds of one processor: call this where that is right.
///
/// # Errors
/// [`Reason::BadParameter`] that names the entry (`x5c[1]`), what it is instead, and what to send.
pub fn parse(entries: &[Vec<u8>], limits: ImportLimits) -> Result<Vec<Vec<u8>>> {
    parse_with(entries, limits, &mut Reader::new(Wanted::Certificates, limits))
}

/// [`parse`] where that takes some milliseconds; none where it needs more.
pub(crate) fn parse_cheaply(entries: &[Vec<u8>], limits: ImportLimits) -> Option<Result<Vec<Vec<u8>>>> {
    let mut reader = Reader::cheap(Wanted::Certificates, limits);
    let parsed = parse_with(entries, limits, &mut reader);
    (!reader.budget.is_exceeded()).then_some(parsed)
}

fn parse_with(entries: &[Vec<u8>], limits: ImportLimits, reader: &mut Reader<'_>) -> Result<Vec<Vec<u8>>> {
    if entries.is_empty() {
        return Err(Error::field("x5c", format!("The list is empty. {SEND}")));
    }
    if entries.iter().map(Vec::len).sum::<usize>() > limits.bytes {
        let problem = format!("The certificates have more than {} in all (limits.import_bytes).", limits.shown_bytes());
        return Err(Error::field("x5c", problem));
    }
    for (index, entry) in entries.iter().enumerate() {
        let before = reader.found.certificates.len();
        let read = reader.read(entry).map_err(|problem| sentence(problem, limits));
        let found = &mut reader.found;
        let read = read.and_then(|_| match found.others.first() {
            _ if found.certificates.len() > before => Ok(()),
            Some(&"a PKCS#10 request") => {
                Err(format!("This is a PKCS#10 request, not a certificate: give it to the CA. {SEND}"))
            }
            Some(what) => Err(format!("This is {what}, not a certificate. {SEND}")),
            None => Err(format!("It holds no certificate. {SEND}")),
        });
        read.map_err(|problem| Error::field(format!("x5c[{index}]"), problem))?;
        found.certificates[before..].sort_by_key(|certificate| !certificate.is_of_key);
        found.others.clear();
    }
    Ok(std::mem::take(&mut reader.found).certificates.into_iter().map(|certificate| certificate.der).collect())
}

fn sentence(problem: Problem, limits: ImportLimits) -> String {
    match problem {
        Problem::Empty => format!("It is empty. {SEND}"),
        Problem::Binary => format!("It is neither DER nor text. {SEND}"),
        Problem::Json => format!("It is JSON without any of the members {}. {SEND}", JSON_MEMBERS.join(", ")),
        Problem::NotBase64 | Problem::Unknown => format!("It is not base64 of a certificate. {SEND}"),
        Problem::TooMany(_) => {
            format!("There are more than {} certificates (limits.import_certificates).", limits.certificates)
        }
        Problem::HasKey => HAS_KEY.to_owned(),
        Problem::Bad(_, why) => format!("{why} {SEND}"),
    }
}

/// Key Vault's error for a key and a certificate that do not match.
pub(crate) fn key_mismatch_message() -> &'static str {
    "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid."
}

/// The refusal for a leaf that does not belong to the key (contract section 9).
pub(crate) fn key_mismatch() -> Error {
    without_leaf(key_mismatch_message())
}

/// The refusal of a list, of which none belongs to the key.
pub(crate) fn no_leaf() -> Error {
    without_leaf("Unable to parse X5c certificate chain and locate leaf certificate")
}

fn without_leaf(message: &str) -> Error {
    Error::new(Reason::MergeKeyMismatch, message).with(Detail::Field {
        path: "x5c".to_owned(),
        problem:
            "No certificate in the list was issued for the certificate signing request of this pending certificate."
                .to_owned(),
    })
}

const SEND: &str = "Send the certificate that the CA returned, then its chain: DER in base64, PEM, PKCS#7, or PKCS#12 without a password.";

// Says what happened without a byte of what was pasted.
const HAS_KEY: &str = "This contains a private key, but the key of a pending certificate is already in the vault. Send certificates only, and replace that key if it was in use.";
