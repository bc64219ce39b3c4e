//! Certificates with their keys, made by openssl for imports, and what is checked with it.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) const RSA: &str = "rsa:2048";
pub(crate) const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";

/// A self-signed certificate and its key: `key.pem` (PKCS#8), `cert.pem`.
pub(crate) struct Pfx(TempDir);

impl Pfx {
    /// `options` for `openssl req`.
    pub(crate) fn new(key: &str, options: &str) -> Self {
        let pfx = Self(TempDir::new().unwrap());
        pfx.openssl(&format!(
            "req -x509 -newkey {key} -nodes -keyout key.pem -out cert.pem -subj /C=US/ST=WA/O=Contoso/CN=web -days 365 {options}"
        ));
        pfx
    }

    /// PKCS#12 in base64.
    pub(crate) fn base64(&self, password: &str, options: &str) -> String {
        self.openssl(&format!(
            "pkcs12 -export -inkey key.pem -in cert.pem -passout pass:{password} -out out.p12 {options}"
        ));
        STANDARD.encode(fs::read(self.0.path().join("out.p12")).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.text("key.pem") + &self.text("cert.pem")
    }

    /// The body of an import of the PKCS#12.
    pub(crate) fn body(&self) -> String {
        json!({"value": self.base64("secret", ""), "pwd": "secret"}).to_string()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }

    pub(crate) fn openssl(&self, arguments: &str) -> String {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "openssl {arguments}: {said}");
        said
    }

    /// The certificate of a bundle, like [`Pfx::keep_der`].
    pub(crate) fn keep(&self, bundle: &Value) {
        self.keep_der(&STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap());
    }

    /// A certificate as `cert.pem`, and its key as `pub.pem`.
    pub(crate) fn keep_der(&self, der: &[u8]) {
        self.write("cert.pem", crate::ca::pem(der).as_bytes());
        self.openssl("x509 -in cert.pem -pubkey -noout -out pub.pem");
    }

    /// Checks a signature of the key view with openssl, against the public key in `pub.pem`.
    pub(crate) fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) {
        self.write("message", message);
        let bits = &algorithm[2..5];
        let signature = match &algorithm[..1] {
            "E" => {
                let (r, s) = signature.split_at(signature.len() / 2);
                der(&[integer(r), integer(s)].concat(), 0x30)
            }
            _ => signature.to_vec(),
        };
        self.write("signature", &signature);
        let padding = match &algorithm[..1] {
            "P" => "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
            _ => "",
        };
        let said = self.openssl(&format!("dgst -sha{bits} -verify pub.pem {padding} -signature signature message"));
        assert!(said.contains("Verified OK"), "{algorithm}: {said}");
    }
}

/// What an algorithm signs.
pub(crate) fn digest_of(algorithm: &str, message: &[u8]) -> Vec<u8> {
    let hash = match &algorithm[2..5] {
        "256" => &digest::SHA256,
        "384" => &digest::SHA384,
        _ => &digest::SHA512,
    };
    digest::digest(hash, message).as_ref().to_vec()
}

fn integer(digits: &[u8]) -> Vec<u8> {
    let digits = &digits[digits.iter().position(|byte| *byte != 0).unwrap()..];
    let pad: &[u8] = if digits[0] & 0x80 == 0 { &[] } else { &[0] };
    der(&[pad, digits].concat(), 2)
}

fn der(content: &[u8], tag: u8) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    [head, content.to_vec()].concat()
}
