//! OpenSSL as the other party: makes keys, requests and chains in a temporary folder, and verifies those of certmint.

use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

pub(crate) struct OpenSsl {
    folder: TempDir,
}

impl OpenSsl {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs a command line, split at spaces; `~` is a space inside of an argument.
    pub(crate) fn run(&self, line: &str) -> String {
        let (ok, text) = self.ask(line);
        assert!(ok, "openssl {line}\n{text}");
        text
    }

    /// Whether it succeeded, and what it wrote.
    pub(crate) fn ask(&self, line: &str) -> (bool, String) {
        let arguments = line.split_whitespace().map(|argument| argument.replace('~', " "));
        let output = Command::new("openssl").args(arguments).current_dir(self.folder.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// A self-signed CA `name`: `name.key` and `name.pem`. `key` as for `genpkey`, `options` for signing.
    pub(crate) fn root(&self, name: &str, key: &str, options: &str) {
        self.run(&format!("genpkey {key} -out {name}.key"));
        self.run(&format!("req -x509 -new -key {name}.key -subj /CN={name} -days 3650 -out {name}.pem {options}"));
    }

    /// A CA `name` that `above` signs.
    pub(crate) fn intermediate(&self, name: &str, above: &str, key: &str, options: &str) {
        self.request(name, key);
        self.write("ca.ext", b"basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n");
        self.sign(name, above, &format!("-days 1000 -extfile ca.ext {options}"));
    }

    /// A key and a request: `name.key`, `name.csr` (PEM) and `name.csr.der`.
    pub(crate) fn request(&self, name: &str, key: &str) {
        self.run(&format!("genpkey {key} -out {name}.key"));
        self.run(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.csr"));
        self.run(&format!("req -in {name}.csr -outform DER -out {name}.csr.der"));
    }

    /// `name.pem` from `name.csr`, by `above`.
    pub(crate) fn sign(&self, name: &str, above: &str, options: &str) {
        self.run(&format!(
            "x509 -req -in {name}.csr -CA {above}.pem -CAkey {above}.key -CAcreateserial -out {name}.pem {options}"
        ));
    }

    pub(crate) fn der(&self, name: &str) -> Vec<u8> {
        self.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        self.read(&format!("{name}.der"))
    }

    /// Leaf, intermediate and root on P-256: names `leaf`, `middle`, `root`.
    pub(crate) fn chain(&self) -> [Vec<u8>; 3] {
        self.root("root", P256, "");
        self.intermediate("middle", "root", P256, "");
        self.request("leaf", P256);
        self.sign("leaf", "middle", "-days 30");
        ["leaf", "middle", "root"].map(|name| self.der(name))
    }

    pub(crate) fn csr(&self, name: &str) -> Vec<u8> {
        self.read(&format!("{name}.csr.der"))
    }
}

pub(crate) const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
