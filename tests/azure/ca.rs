//! A certificate authority outside of certmint: a throw-away one, made and used with openssl.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

pub(crate) struct Ca {
    folder: TempDir,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let ca = Self { folder: TempDir::new().unwrap() };
        ca.openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {}", ca.path("ca.key")));
        ca.openssl(&format!(
            "req -x509 -new -key {} -subj /CN=Outside-CA -days 30 -out {}",
            ca.path("ca.key"),
            ca.path("ca.pem")
        ));
        ca
    }

    /// Signs a request in base64; answers the leaf as DER. With -1 day it has expired.
    pub(crate) fn sign(&self, csr: &str, days: i32) -> Vec<u8> {
        fs::write(self.path("csr.der"), STANDARD.decode(csr).unwrap()).unwrap();
        self.openssl(&format!(
            "x509 -req -inform DER -in {} -CA {} -CAkey {} -CAcreateserial -days {days} -outform DER -out {}",
            self.path("csr.der"),
            self.path("ca.pem"),
            self.path("ca.key"),
            self.path("leaf.der")
        ));
        fs::read(self.path("leaf.der")).unwrap()
    }

    /// The certificate of the authority as DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.openssl(&format!("x509 -in {} -outform DER -out {}", self.path("ca.pem"), self.path("ca.der")));
        fs::read(self.path("ca.der")).unwrap()
    }

    /// Leaf and authority in one PKCS#7, DER.
    pub(crate) fn pkcs7(&self, leaf: &[u8]) -> Vec<u8> {
        self.write_pem("leaf.pem", leaf);
        self.openssl(&format!(
            "crl2pkcs7 -nocrl -certfile {} -certfile {} -outform DER -out {}",
            self.path("leaf.pem"),
            self.path("ca.pem"),
            self.path("chain.p7b")
        ));
        fs::read(self.path("chain.p7b")).unwrap()
    }

    /// Leaf and authority in one PKCS#12 with an empty password and no key.
    pub(crate) fn pkcs12(&self, leaf: &[u8]) -> Vec<u8> {
        self.write_pem("leaf.pem", leaf);
        self.openssl(&format!(
            "pkcs12 -export -nokeys -in {} -certfile {} -passout pass: -out {}",
            self.path("leaf.pem"),
            self.path("ca.pem"),
            self.path("chain.p12")
        ));
        fs::read(self.path("chain.p12")).unwrap()
    }

    /// A self-signed certificate of a key that nobody asked for.
    pub(crate) fn stranger(&self) -> Vec<u8> {
        self.openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {}", self.path("other.key")));
        self.openssl(&format!(
            "req -x509 -new -key {} -subj /CN=stranger -days 3 -outform DER -out {}",
            self.path("other.key"),
            self.path("other.der")
        ));
        fs::read(self.path("other.der")).unwrap()
    }

    fn write_pem(&self, file: &str, der: &[u8]) {
        fs::write(self.path(file), pem(der)).unwrap();
    }

    fn path(&self, file: &str) -> String {
        let path: PathBuf = self.folder.path().join(file);
        path.display().to_string()
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

pub(crate) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// The body of a merge.
pub(crate) fn x5c(entries: &[&[u8]]) -> String {
    let entries: Vec<String> = entries.iter().map(|entry| STANDARD.encode(entry)).collect();
    serde_json::json!({ "x5c": entries }).to_string()
}
