//! A certificate with its key, as people bring it along: PKCS #12, or PEM with a key in any of its
//! forms, raw or in base64, with a password or without one, in any order.

use super::asn1::{Element, SEQUENCE};
use super::bundle::{MAX_CERTIFICATES, decode_base64, key_mismatch_message, signed_data_certificates};
use super::chain::{self, OrderedChain};
use super::pkcs12::{self, Budget, Password, Unreadable};
use super::{KeyPair, facts, pem};
use crate::domain::policy::ContentType;
use crate::domain::{CertificateFacts, Detail, Error, Reason, Result, Timestamp};
use der::Decode;
use x509_cert::Certificate;
use zeroize::Zeroizing;

/// Largest value in bytes, as it was sent.
pub const MAX_BYTES: usize = 1 << 20;
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
/// Costs up to about two seconds of one processor and a few times the memory of the value: call it
/// where that is right.
///
/// # Errors
/// [`Reason::BadParameter`] in the words of Key Vault (contract section 9) and then in ours: not
/// readable, another password, no key, several keys, a key that is not supported, no certificate
/// of the key ([`Reason::MergeKeyMismatch`]), an expired one.
pub fn read(value: &[u8], password: &str, preserve_order: bool, now: Timestamp) -> Result<Imported> {
    if value.len() > MAX_BYTES {
        return Err(refusal("value", "The certificate has more than 1 MiB."));
    }
    if password.chars().count() > MAX_PASSWORD {
        return Err(refusal("pwd", format!("The password is longer than {MAX_PASSWORD} characters.")));
    }
    let mut reader = Reader { password: Password(password), budget: Budget::default(), found: Found::default() };
    let form = reader.value(value, true)?;
    let Found { keys, certificates } = reader.found;
    let key = only_key(keys, form)?;
    if certificates.is_empty() {
        return Err(problem(form, "It holds no certificate: add the one that belongs to the key."));
    }
    if certificates.len() > MAX_CERTIFICATES {
        return Err(problem(form, format!("It holds more than {MAX_CERTIFICATES} certificates.")));
    }
    let (chain, leaf) = chain::import_order(&certificates, &key.public_key_der(), preserve_order, now)
        .map_err(|found| found.map_or_else(key_mismatch, invalid))?;
    let facts = facts::facts(&leaf, key.key_type()).map_err(invalid)?;
    Ok(Imported { key, chain, facts, form })
}

#[derive(Default)]
struct Found {
    keys: Vec<KeyPair>,
    certificates: Vec<Vec<u8>>,
}

struct Reader<'a> {
    password: Password<'a>,
    budget: Budget,
    found: Found,
}

impl Reader<'_> {
    /// `text_inside`: whether base64 may hide another text (PEM); once is enough.
    fn value(&mut self, value: &[u8], text_inside: bool) -> Result<ContentType> {
        let value = value.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value);
        if value.first() == Some(&SEQUENCE) && Element::parse(value).is_some() {
            return self.pkcs12(value).map(|()| ContentType::Pkcs12);
        }
        let text = value.trim_ascii();
        if text.is_empty() {
            return Err(refusal("value", "It is required: a PKCS#12 file in base64, or PEM with the key."));
        }
        let text = std::str::from_utf8(text).ok();
        if let Some(text) = text.filter(|text| text.contains("-----BEGIN ")) {
            return self.pem(text).map(|()| ContentType::Pem);
        }
        match text.and_then(decode_base64).map(Zeroizing::new) {
            Some(bytes) if text_inside && !bytes.is_empty() => self.value(&bytes, false),
            None if text_inside => Err(refusal("value", NOT_BASE64)),
            _ => Err(problem(ContentType::Pkcs12, "It is neither PKCS#12 nor PEM.")),
        }
    }

    fn pkcs12(&mut self, file: &[u8]) -> Result<()> {
        let pkcs12::Contents { keys, certificates } =
            pkcs12::read(file, self.password, &mut self.budget).map_err(|why| unreadable(ContentType::Pkcs12, why))?;
        for key in keys {
            self.found.keys.push(KeyPair::from_pkcs8(&key)?);
        }
        certificates.into_iter().try_for_each(|der| self.certificate(der, ContentType::Pkcs12))
    }

    fn pem(&mut self, text: &str) -> Result<()> {
        let known = |label: &str| match label {
            "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" | "CERTIFICATE"
            | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" | "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA"
            // Neither is needed, and OpenSSL writes both beside keys.
            | "EC PARAMETERS" | "PUBLIC KEY" => Ok(()),
            _ => Err("A PEM block is neither a private key nor a certificate.".to_owned()),
        };
        let mut rest = text;
        while let Some((block, after)) = pem::next(rest, known).map_err(|why| problem(ContentType::Pem, why))? {
            if block.has_headers() {
                return Err(problem(
                    ContentType::Pem,
                    "The key is encrypted in the old form of OpenSSL. Write it as PKCS#8: openssl pkcs8 -topk8.",
                ));
            }
            let bytes = block.decode().map_err(|why| problem(ContentType::Pem, why))?;
            self.block(block.label, &bytes)?;
            rest = after;
        }
        Ok(())
    }

    fn block(&mut self, label: &str, bytes: &[u8]) -> Result<()> {
        let pem = ContentType::Pem;
        match label {
            "PRIVATE KEY" => self.found.keys.push(KeyPair::from_pkcs8(bytes)?),
            "RSA PRIVATE KEY" => self.found.keys.push(KeyPair::from_pkcs1(bytes)?),
            "EC PRIVATE KEY" => self.found.keys.push(KeyPair::from_sec1(bytes)?),
            "ENCRYPTED PRIVATE KEY" => {
                let key = pkcs12::encrypted_key(bytes, self.password, &mut self.budget)
                    .map_err(|why| unreadable(pem, why))?;
                self.found.keys.push(KeyPair::from_pkcs8(&key)?);
            }
            "EC PARAMETERS" | "PUBLIC KEY" => {}
            "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA" => {
                let certificates = signed_data_certificates(bytes)
                    .ok_or_else(|| problem(pem, "The PKCS#7 inside can not be read."))?;
                for certificate in certificates {
                    self.certificate(certificate.to_vec(), pem)?;
                }
            }
            "TRUSTED CERTIFICATE" => {
                // OpenSSL writes its own trust settings behind the certificate.
                let certificate = Element::first(bytes).map_or(bytes, |(certificate, _)| certificate.whole);
                self.certificate(certificate.to_vec(), pem)?;
            }
            _ => self.certificate(bytes.to_vec(), pem)?,
        }
        Ok(())
    }

    fn certificate(&mut self, der: Vec<u8>, form: ContentType) -> Result<()> {
        if Certificate::from_der(&der).is_err() {
            return Err(problem(form, "It holds a certificate that can not be read as X.509."));
        }
        self.found.certificates.push(der);
        Ok(())
    }
}

/// The key; the same one several times counts once.
fn only_key(keys: Vec<KeyPair>, form: ContentType) -> Result<KeyPair> {
    let mut keys = keys.into_iter();
    let Some(first) = keys.next() else {
        return Err(problem(form, "It holds no private key: a certificate is imported together with its key."));
    };
    if keys.any(|other| other.public_key_der() != first.public_key_der()) {
        return Err(problem(form, "It holds several private keys: import each certificate by itself."));
    }
    Ok(first)
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

fn unreadable(form: ContentType, why: Unreadable) -> Error {
    problem(
        form,
        match why {
            Unreadable::Format => "It is damaged.",
            Unreadable::Password => "The password is wrong, or the file is damaged.",
            Unreadable::Scheme => {
                "It is encrypted in a way that is not supported (supported: PBES2 with PBKDF2 and AES or 3DES, the old 3DES and RC2, MACs with SHA-1, SHA-2 and PBMAC1). Export it again with one of these."
            }
            Unreadable::TooCostly => "It asks for too many rounds of key derivation. Export it again with fewer.",
        },
    )
}

fn invalid(why: String) -> Error {
    let sentence =
        "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid.";
    refusal("value", format!("{sentence} {why}"))
}

fn key_mismatch() -> Error {
    Error::new(Reason::MergeKeyMismatch, key_mismatch_message()).with(Detail::Field {
        path: "value".to_owned(),
        problem: "No certificate in it belongs to the private key in it.".to_owned(),
    })
}

fn refusal(path: &str, message: impl Into<String>) -> Error {
    let message = message.into();
    Error::bad_parameter(message.clone()).with(Detail::Field { path: path.to_owned(), problem: message })
}
