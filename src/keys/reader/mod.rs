//! The parser for all certificate input: PKCS #12, PKCS #7, X.509 and private keys, in DER, PEM, base64 or the JSON of
//! a response. The format is detected from the content; labels are hints, and text around PEM blocks is ignored.

mod foreign;
mod kind;
mod limits;
mod shape;
mod text;

pub(crate) use kind::{KeyForm, Kind};
pub use limits::ImportLimits;
pub(crate) use shape::{Shape, shape};
pub(crate) use text::{JSON_MEMBERS, decode_base64, unwrapped};

use super::asn1::{Element, SEQUENCE, announced_length};
use super::pem;
use super::pkcs12::{self, Budget, Password, Unreadable};
use super::x509::X509;
use crate::domain::policy::ContentType;
use kind::{is_signed_data, signed_data_certificates};
use zeroize::Zeroizing;

/// How often base64 and JSON may be wrapped around each other.
pub(crate) const MAX_WRAPS: u8 = 3;

/// What is wanted.
#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// Certificates alone, without any password: keys in a PKCS #12 file stay unread, other keys are refused.
    Certificates,
    /// A certificate with its key. A PKCS #12 file has to verify.
    KeyAndCertificates { password: &'a str },
}

/// What was found, in its order.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) keys: Vec<FoundKey>,
    pub(crate) certificates: Vec<FoundCertificate>,
    /// Revocation lists (CertificateList, DER).
    pub(crate) revocation_lists: Vec<Vec<u8>>,
    /// What else was there, and what the lists are called.
    pub(crate) others: Vec<&'static str>,
    /// What the first PEM block is that was taken for text or for nothing of interest, as a sentence.
    pub(crate) passed_over: Option<String>,
}

/// A private key, decrypted.
pub(crate) struct FoundKey {
    pub(crate) form: KeyForm,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// A certificate.
pub(crate) struct FoundCertificate {
    pub(crate) der: Vec<u8>,
    /// The file says that this one belongs to its key (localKeyID, RFC 7292 section 4.2).
    pub(crate) is_of_key: bool,
}

/// Why a value cannot be used.
#[derive(Debug)]
pub(crate) enum Problem {
    Empty,
    /// Neither DER nor text that is base64 of something.
    NotBase64,
    /// Base64 of neither DER nor PEM.
    Unknown,
    /// Bytes that are neither DER nor text.
    Binary,
    /// JSON that has none of the [`JSON_MEMBERS`].
    Json,
    TooMany(ContentType),
    /// A private key where none is wanted.
    HasKey,
    /// A file of a known form that cannot be read, and why.
    Bad(ContentType, String),
}

type Read<T = ()> = Result<T, Problem>;

/// Reads values one after the other, and finds the keys and certificates of all of them.
pub(crate) struct Reader<'a> {
    wanted: Wanted<'a>,
    limits: ImportLimits,
    pub(crate) budget: Budget,
    pub(crate) found: Found,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(wanted: Wanted<'a>, limits: ImportLimits) -> Self {
        Self { wanted, limits, budget: Budget::of(limits.rounds), found: Found::default() }
    }

    /// Stops where it would take more than some hundredths of a second ([`Budget::is_exceeded`]).
    pub(crate) fn cheap(wanted: Wanted<'a>, limits: ImportLimits) -> Self {
        Self { budget: Budget::of(limits.rounds.min(Budget::FEW)), ..Self::new(wanted, limits) }
    }

    /// Reads a value, and says in which form it came.
    pub(crate) fn read(&mut self, value: &[u8]) -> Read<ContentType> {
        self.value(value, MAX_WRAPS)
    }

    fn value(&mut self, value: &[u8], wraps: u8) -> Read<ContentType> {
        match shape(value, wraps > 0) {
            Shape::Empty => Err(Problem::Empty),
            Shape::Der(der) => self.der(der, ""),
            Shape::Pem(text) => self.pem(text),
            Shape::Foreign(what) => {
                let form = if what.contains("PEM") { ContentType::Pem } else { ContentType::Pkcs12 };
                Err(Problem::Bad(form, what.to_owned()))
            }
            Shape::Json(values) => self.json(values, wraps.saturating_sub(1)),
            Shape::Base64(bytes) => self.value(&bytes, wraps.saturating_sub(1)),
            Shape::Other(_) if wraps < MAX_WRAPS => Err(Problem::Unknown),
            Shape::Other(text) if std::str::from_utf8(text).is_ok() => Err(Problem::NotBase64),
            Shape::Other(_) => Err(Problem::Binary),
        }
    }

    fn json(&mut self, values: Vec<Zeroizing<String>>, wraps: u8) -> Read<ContentType> {
        if values.is_empty() {
            return Err(Problem::Json);
        }
        let mut form = None;
        for value in values {
            let this = self.value(value.as_bytes(), wraps)?;
            form.get_or_insert(this);
        }
        Ok(form.unwrap_or(ContentType::Pkcs12))
    }

    fn pem(&mut self, text: &[u8]) -> Read<ContentType> {
        let bad = |why: String| Problem::Bad(ContentType::Pem, why);
        let before = self.found.count();
        let (mut form, mut rest, mut passed_over) = (ContentType::Pem, text, None);
        while let Some((place, after)) = pem::next(rest) {
            rest = after;
            let label = place.label.unwrap_or_default();
            if label.contains("PRIVATE KEY")
                && matches!(self.wanted, Wanted::Certificates)
                && (place.block.is_ok() || !place.is_mention)
            {
                return Err(Problem::HasKey);
            }
            if let Some(what) = foreign::label(label) {
                passed_over.get_or_insert(what.to_owned());
                continue;
            }
            let block = match place.block {
                Ok(block) => block,
                Err(why) if place.is_mention => {
                    passed_over.get_or_insert(why);
                    continue;
                }
                Err(why) if label.is_empty() || is_known(label) => return Err(bad(why)),
                Err(_) => {
                    passed_over.get_or_insert(self.unknown_label(label));
                    continue;
                }
            };
            if block.is_encrypted {
                return Err(bad(foreign::legacy_pem(block.label)));
            }
            let kind = Element::first(&block.bytes).map_or(Kind::Other, |(first, _)| Kind::of(&first));
            if kind == Kind::Other && !is_known(label) {
                passed_over.get_or_insert(self.unknown_label(label));
                continue;
            }
            self.der(&block.bytes, label)?;
            // A PKCS#12 file that something wrapped in PEM is one all the same.
            if kind == Kind::Pkcs12 {
                form = ContentType::Pkcs12;
            }
        }
        match passed_over {
            Some(why) if self.found.count() == before => Err(bad(why)),
            why => {
                self.found.passed_over = self.found.passed_over.take().or(why);
                Ok(form)
            }
        }
    }

    fn unknown_label(&self, label: &str) -> String {
        match self.wanted {
            Wanted::Certificates => format!("A PEM block {label} is not of the kind CERTIFICATE or PKCS7."),
            Wanted::KeyAndCertificates { .. } => {
                format!("A PEM block {label} is neither a private key nor a certificate.")
            }
        }
    }

    /// The first value, and after it whatever is a value of a known kind too: files may be put
    /// together, and end with zero bytes or line ends. `label` is that of a PEM block.
    fn der(&mut self, bytes: &[u8], label: &str) -> Read<ContentType> {
        let form = if label.is_empty() { ContentType::Pkcs12 } else { ContentType::Pem };
        let (first, mut rest) = Element::first(bytes).ok_or_else(|| Problem::Bad(form, damage(bytes, label)))?;
        self.element(first, label, form)?;
        loop {
            rest = without_padding(rest);
            if rest.first() != Some(&SEQUENCE) {
                return Ok(form);
            }
            let Some((next, after)) = Element::first(rest) else {
                // A structure that was cut off is longer than a byte can say; other bytes are padding of another kind.
                return if is_long(rest) { Err(Problem::Bad(form, damage(rest, label))) } else { Ok(form) };
            };
            // OpenSSL writes its own trust settings behind a certificate, for one.
            if Kind::of(&next) != Kind::Other {
                self.element(next, label, form)?;
            }
            rest = after;
        }
    }

    fn element(&mut self, element: Element<'_>, label: &str, form: ContentType) -> Read {
        match Kind::of(&element) {
            Kind::Certificate => self.certificate(element.whole, false, form),
            Kind::Pkcs7 => self.pkcs7(&element, form),
            Kind::Pkcs12 => self.pkcs12(element.whole),
            Kind::PrivateKey(key_form) => self.key(key_form, element.whole, form),
            other @ (Kind::Request | Kind::RevocationList | Kind::PublicPart) => {
                if other == Kind::RevocationList {
                    self.found.revocation_lists.push(element.whole.to_vec());
                }
                self.found.others.push(other.name());
                Ok(())
            }
            Kind::BouncyCastle => Err(Problem::Bad(form, foreign::BCFKS.to_owned())),
            // The reader of keys has better words for it.
            Kind::Other if label.contains("PRIVATE KEY") => self.key(KeyForm::Pkcs8, element.whole, form),
            Kind::Other => Err(Problem::Bad(form, self.other(label))),
        }
    }

    fn other(&self, label: &str) -> String {
        match (self.wanted, label) {
            (Wanted::Certificates, _) => "This is not an X.509 certificate.".to_owned(),
            (Wanted::KeyAndCertificates { .. }, "") => "It is damaged.".to_owned(),
            (Wanted::KeyAndCertificates { .. }, label) if label.contains("CERTIFICATE") => {
                "It holds a certificate that cannot be read as X.509.".to_owned()
            }
            (Wanted::KeyAndCertificates { .. }, label) => format!("The PEM block {label} in it cannot be read."),
        }
    }

    fn pkcs7(&mut self, element: &Element<'_>, form: ContentType) -> Read {
        if !is_signed_data(element) {
            self.found.others.push("a PKCS#7 file of another kind than SignedData");
            return Ok(());
        }
        let certificates = signed_data_certificates(element)
            .ok_or_else(|| Problem::Bad(form, "This PKCS#7 file cannot be read: it is damaged.".to_owned()))?;
        if certificates.is_empty() {
            self.found.others.push("a PKCS#7 file without a certificate");
        }
        certificates.into_iter().try_for_each(|certificate| self.certificate(certificate, false, form))
    }

    fn pkcs12(&mut self, file: &[u8]) -> Read {
        let bad = |why: String| Problem::Bad(ContentType::Pkcs12, why);
        let contents = match self.wanted {
            // The MAC is not checked: without a password it proves nothing, and a wrong password shows
            // in the decryption.
            Wanted::Certificates => pkcs12::read_certificates(file, &mut self.budget)
                .map_err(|why| bad(unreadable_without_password(&why, self.limits)))?,
            Wanted::KeyAndCertificates { password } => pkcs12::read(file, Password(password), &mut self.budget)
                .map_err(|why| bad(unreadable(&why, self.limits)))?,
        };
        let pkcs12::Contents { keys, key_ids, certificates } = contents;
        if certificates.is_empty() && matches!(self.wanted, Wanted::Certificates) {
            return Err(bad("This PKCS#12 file holds no certificate.".to_owned()));
        }
        self.found.keys.extend(keys.into_iter().map(|der| FoundKey { form: KeyForm::Pkcs8, der }));
        for pkcs12::Certificate { der, key_id } in certificates {
            let is_of_key = key_id.is_some_and(|id| key_ids.contains(&id));
            self.certificate(&der, is_of_key, ContentType::Pkcs12)?;
        }
        Ok(())
    }

    fn key(&mut self, key_form: KeyForm, der: &[u8], form: ContentType) -> Read {
        let Wanted::KeyAndCertificates { password } = self.wanted else { return Err(Problem::HasKey) };
        let key = if key_form == KeyForm::Encrypted {
            let key = pkcs12::encrypted_key(der, Password(password), &mut self.budget);
            FoundKey {
                form: KeyForm::Pkcs8,
                der: key.map_err(|why| Problem::Bad(form, unreadable(&why, self.limits)))?,
            }
        } else {
            FoundKey { form: key_form, der: Zeroizing::new(der.to_vec()) }
        };
        self.found.keys.push(key);
        Ok(())
    }

    fn certificate(&mut self, der: &[u8], is_of_key: bool, form: ContentType) -> Read {
        if let Err(part) = X509::read(der) {
            return Err(Problem::Bad(form, format!("It holds a certificate that cannot be read as X.509: {part}.")));
        }
        if self.found.certificates.len() >= self.limits.certificates {
            return Err(Problem::TooMany(form));
        }
        self.found.certificates.push(FoundCertificate { der: der.to_vec(), is_of_key });
        Ok(())
    }
}

impl Found {
    fn count(&self) -> usize {
        self.keys.len() + self.certificates.len() + self.others.len()
    }
}

/// Labels whose block has to be readable.
fn is_known(label: &str) -> bool {
    let known = ["CERTIFICATE", "PRIVATE KEY", "PKCS7", "PKCS12", "PKCS #7", "CMS"];
    // Attribute certificates (RFC 5755) have no key.
    known.iter().any(|known| label.contains(known)) && label != "ATTRIBUTE CERTIFICATE"
}

/// What follows what a file may end with.
pub(crate) fn without_padding(rest: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    &rest[rest.iter().take_while(|byte| is_padding(byte)).count()..]
}

/// Whether the length of the first value takes more than one byte (X.690 section 8.1.3.5), as that of a certificate.
pub(crate) fn is_long(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|length| length & 0x80 != 0)
}

/// Why DER cannot be read.
fn damage(bytes: &[u8], label: &str) -> String {
    if bytes.is_empty() && !label.is_empty() {
        return format!("The PEM block {label} in it is empty.");
    }
    match announced_length(bytes) {
        Some(length) if length > bytes.len() => {
            format!("It is damaged: it is cut off after {} of {length} bytes.", bytes.len())
        }
        _ if label.contains("CERTIFICATE") => "It holds a certificate that cannot be read as X.509.".to_owned(),
        _ => "It is damaged.".to_owned(),
    }
}

const SUPPORTED: &str =
    "supported: PBES2 with PBKDF2 and AES or 3DES, the old 3DES and RC2, MACs with SHA-1, SHA-2 and PBMAC1";

fn unreadable(why: &Unreadable, limits: ImportLimits) -> String {
    match why {
        Unreadable::Format => "It is damaged.".to_owned(),
        Unreadable::Password => "The password is wrong, or the file is damaged.".to_owned(),
        Unreadable::OtherPassword(part) => format!(
            "The password is that of the file, but {part} has another one. Export it again with one password for everything."
        ),
        Unreadable::Scheme(name) => format!(
            "It is protected in a way that is not supported: {name} ({SUPPORTED}). Export it again with one of these, such as AES-256."
        ),
        Unreadable::TooCostly => format!(
            "It asks for too many rounds of key derivation: more than {} in all (limits.import_rounds). Export it again with fewer.",
            limits.rounds
        ),
    }
}

fn unreadable_without_password(why: &Unreadable, limits: ImportLimits) -> String {
    match why {
        Unreadable::Format => {
            "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format.".to_owned()
        }
        Unreadable::Password | Unreadable::OtherPassword(_) => {
            "This PKCS#12 file has a password. Export it again without one, or send the certificates as PEM.".to_owned()
        }
        Unreadable::Scheme(name) => format!(
            "This PKCS#12 file is protected in a way that is not supported: {name} ({SUPPORTED}). Send the certificates as PEM."
        ),
        Unreadable::TooCostly => format!(
            "This PKCS#12 file asks for too many rounds of key derivation: more than {} in all (limits.import_rounds). Export it again with fewer, or send the certificates as PEM.",
            limits.rounds
        ),
    }
}
