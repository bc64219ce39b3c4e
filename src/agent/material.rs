//! A version of a certificate as it came from the server, and the forms in which it is written to files.

use super::config::OutputConfig;
use crate::cli::pem;
use crate::keys::export::{Exported, as_pem, as_protected_pkcs12, is_pair, key_as_pem};
use crate::regular_file;
use std::path::Path;
use zeroize::Zeroizing;

/// A password file is a line.
const MAX_PASSWORD: u64 = 4096;

/// What a file holds; it is zeroed when it was written.
pub(super) type Content = Zeroizing<Vec<u8>>;

/// A version with its chain, and its key where an output has it. It is in memory only until its files are written.
pub(super) struct Material {
    pub(super) name: String,
    pub(super) version: String,
    /// Milliseconds since 1970.
    pub(super) not_after: i64,
    /// X.509, DER.
    pub(super) leaf: Vec<u8>,
    /// From the issuer of the leaf upwards.
    pub(super) chain: Vec<Vec<u8>>,
    /// PKCS #8, DER.
    pub(super) key: Option<Zeroizing<Vec<u8>>>,
}

/// A form of a certificate in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Fullchain,
    Cert,
    Chain,
    Key,
    Combined,
    Pfx,
}

/// All forms, those with the key first, and their names in a folder.
pub(super) const FORMS: [(Form, &str); 6] = [
    (Form::Key, "key.pem"),
    (Form::Combined, "combined.pem"),
    (Form::Pfx, "bundle.pfx"),
    (Form::Cert, "cert.pem"),
    (Form::Chain, "chain.pem"),
    (Form::Fullchain, "fullchain.pem"),
];

impl Form {
    /// Whether it has the private key.
    pub(super) fn has_key(self) -> bool {
        matches!(self, Self::Key | Self::Combined | Self::Pfx)
    }

    /// The file that an output has of this form.
    pub(super) fn path(self, output: &OutputConfig) -> Option<&Path> {
        match self {
            Self::Fullchain => output.fullchain.as_deref(),
            Self::Cert => output.cert.as_deref(),
            Self::Chain => output.chain.as_deref(),
            Self::Key => output.key.as_deref(),
            Self::Combined => output.combined.as_deref(),
            Self::Pfx => output.pfx.as_deref(),
        }
    }
}

impl Material {
    /// With its key.
    ///
    /// # Errors
    /// It is the key of another certificate: no program could use the two.
    pub(super) fn with_key(self, key: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        if is_pair(&self.leaf, &key) {
            return Ok(Self { key: Some(key), ..self });
        }
        Err(format!("the key that the server hands out is not that of version {} of {}", self.version, self.name))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// The key is not there, or the password of a PFX cannot be read.
    pub(super) fn content(&self, form: Form, output: &OutputConfig) -> Result<Content, String> {
        let exported = Exported { name: &self.name, leaf: &self.leaf, chain: &self.chain };
        let key = || {
            self.key.as_deref().ok_or_else(|| {
                format!("the key of {} cannot be had: it is not exportable, or the caller's own", self.name)
            })
        };
        let above = || self.chain.iter().map(Vec::as_slice);
        let text = match form {
            Form::Fullchain => as_pem(exported, None),
            Form::Cert => Zeroizing::new(pem::certificates([self.leaf.as_slice()])),
            Form::Chain => Zeroizing::new(pem::certificates(above())),
            Form::Key => key_as_pem(key()?),
            Form::Combined => as_pem(exported, Some(key()?)),
            Form::Pfx => {
                let password = password(output.pfx_password_file.as_deref())?;
                return as_protected_pkcs12(exported, key()?, &password)
                    .ok_or_else(|| "the PFX cannot be made".to_owned());
            }
        };
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

/// The first line of the file.
fn password(file: Option<&Path>) -> Result<Zeroizing<String>, String> {
    let file = file.ok_or("`pfx_password_file` is missing")?;
    let shown = file.display();
    let (bytes, _) = regular_file::read(file, MAX_PASSWORD)
        .map_err(|error| format!("cannot read the password file {shown}: {error}"))?;
    let bytes = Zeroizing::new(bytes);
    let line = std::str::from_utf8(&bytes).ok().and_then(|text| text.lines().next());
    let line =
        line.filter(|line| !line.is_empty()).ok_or_else(|| format!("{shown} has no password in its first line"))?;
    Ok(Zeroizing::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (own, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let leaf = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&own).unwrap();
        let material = || Material {
            name: "web".to_owned(),
            version: "0".repeat(32),
            not_after: 0,
            leaf: leaf.der().to_vec(),
            chain: Vec::new(),
            key: None,
        };
        let own = Zeroizing::new(own.serialize_der());
        assert_eq!(material().with_key(own.clone()).ok().unwrap().key.unwrap(), own);
        let problem = material().with_key(Zeroizing::new(other.serialize_der())).err().unwrap();
        assert!(problem.contains("is not that of version 0000") && problem.ends_with("of web"), "{problem}");
        assert!(material().with_key(Zeroizing::new(b"no key".to_vec())).is_err());
    }
}
