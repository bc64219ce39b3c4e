//! A caller with a key of their own, and the requests that programs make for it.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

pub(crate) const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";

/// A folder with `own.key`, made by OpenSSL.
pub(crate) struct OwnKey(TempDir);

impl OwnKey {
    /// `algorithm` is what `openssl genpkey -algorithm` takes.
    pub(crate) fn new(algorithm: &str) -> Self {
        let own = Self(tempfile::tempdir().unwrap());
        own.run("openssl", &format!("genpkey -algorithm {algorithm} -out own.key"));
        own
    }

    /// A request in DER with these extensions (lines of an OpenSSL configuration) and further options.
    pub(crate) fn csr(&self, subject: &str, extensions: &[&str], options: &str) -> Vec<u8> {
        let section = if extensions.is_empty() { "" } else { "req_extensions=ext\n" };
        let text =
            format!("[req]\ndistinguished_name=dn\nprompt=no\n{section}[dn]\n[ext]\n{}\n", extensions.join("\n"));
        std::fs::write(self.path("own.cnf"), text).unwrap();
        self.run(
            "openssl",
            &format!("req -new -key own.key -subj {subject} -config own.cnf -outform DER -out own.csr {options}"),
        );
        std::fs::read(self.path("own.csr")).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program in the folder; answers what it printed.
    pub(crate) fn run(&self, program: &str, arguments: &str) -> String {
        let output = Command::new(program)
            .args(arguments.split(' ').filter(|it| !it.is_empty()))
            .current_dir(self.0.path())
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The public key as PEM, as OpenSSL writes it.
    pub(crate) fn public_key(&self) -> String {
        self.run("openssl", "pkey -in own.key -pubout")
    }

    /// The public key of a certificate in DER.
    pub(crate) fn public_key_of(&self, der: &[u8]) -> String {
        std::fs::write(self.path("issued.der"), der).unwrap();
        self.run("openssl", "x509 -inform DER -in issued.der -pubkey -noout")
    }
}

/// A request as PEM text.
pub(crate) fn pem(csr: &[u8]) -> String {
    let lines: Vec<String> =
        STANDARD.encode(csr).as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n", lines.join("\n"))
}
