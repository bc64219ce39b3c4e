//! OpenSSL and others in a temporary folder.

use certmint::domain::Timestamp;
use certmint::domain::policy::KeyType;
use certmint::keys::ImportLimits;
use certmint::keys::chain;
use certmint::keys::import::{Imported, read};
use std::path::PathBuf;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

pub(crate) struct Folder(TempDir);

pub(crate) const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";

impl Folder {
    /// A folder with a leaf of this kind of key (`leaf.key`, `leaf.pem`), an intermediate and a root
    /// (`middle.pem`, `root.pem`), and both of these in `above.pem`.
    pub(crate) fn with_chain(key: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("ca.ext", b"basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n");
        folder.write("leaf.ext", b"subjectAltName=DNS:leaf.example\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth\n");
        for (name, key) in [("root", P256), ("middle", P256), ("leaf", key)] {
            folder.openssl(&format!("genpkey -algorithm {key} -out {name}.key"));
        }
        folder.openssl("req -x509 -new -key root.key -subj /CN=Root -days 3650 -out root.pem");
        for (name, above, extensions) in [("middle", "root", "ca.ext"), ("leaf", "middle", "leaf.ext")] {
            folder.openssl(&format!("req -new -key {name}.key -subj /C=US/O=Contoso/CN={name} -out {name}.csr"));
            folder.openssl(&format!(
                "x509 -req -in {name}.csr -CA {above}.pem -CAkey {above}.key -CAcreateserial -days 365 -extfile {extensions} -out {name}.pem"
            ));
        }
        folder.write("above.pem", &[folder.read("middle.pem"), folder.read("root.pem")].concat());
        folder
    }

    /// A folder with `leaf.key` and `leaf.pem` alone, self-signed, with the extensions (one a line).
    pub(crate) fn self_signed(key: &str, options: &str, extensions: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let head = "[req]\ndistinguished_name=dn\n[dn]\n[ext]\n";
        folder.write("request.cnf", format!("{head}{extensions}\n").as_bytes());
        folder.openssl(&format!("genpkey -algorithm {key} -out leaf.key"));
        folder.openssl(&format!(
            "req -x509 -new -key leaf.key -config request.cnf -extensions ext -days 90 -out leaf.pem {options}"
        ));
        folder
    }

    /// Key and certificate in one text.
    pub(crate) fn both(&self) -> Vec<u8> {
        [self.read("leaf.key"), self.read("leaf.pem")].concat()
    }

    /// `leaf.p12` with the whole chain.
    pub(crate) fn pfx(&self, password: &str, options: &str) -> Vec<u8> {
        self.write("password", format!("{password}\n").as_bytes());
        self.openssl(&format!(
            "pkcs12 -export -inkey leaf.key -in leaf.pem -certfile above.pem -passout file:password -out leaf.p12 {options}"
        ));
        self.read("leaf.p12")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn der(&self, name: &str) -> Vec<u8> {
        self.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        self.read(&format!("{name}.der"))
    }

    /// The public key of `leaf.key` as SubjectPublicKeyInfo.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        self.openssl("pkey -in leaf.key -pubout -outform DER -out leaf.pub");
        self.read("leaf.pub")
    }

    /// Runs a command line of OpenSSL, split at spaces.
    pub(crate) fn openssl(&self, line: &str) -> String {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        self.run("openssl", &arguments).unwrap_or_else(|said| panic!("openssl {line}\n{said}"))
    }

    /// What the program wrote, or what it said where it failed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(program).args(arguments).current_dir(self.0.path()).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(text) } else { Err(text) }
    }
}

/// Whether a program is installed; says which test was left out where it is not.
pub(crate) fn there_is(program: &str, argument: &str) -> bool {
    let there = Command::new(program).arg(argument).output().is_ok();
    if !there {
        eprintln!("skipped: {program} is not installed (scripts/debian-packages.sh installs what Debian has)");
    }
    there
}

#[expect(clippy::disallowed_methods, reason = "the certificates of openssl begin now")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap())
}

/// A file of `tests/data/import`: made by programs and people, with the password `pw`.
pub(crate) fn given(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/import/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A day on which every one of them is valid.
pub(crate) const DAY_OF_GIVEN: Timestamp = Timestamp(1_796_000_000_000);

pub(crate) fn import(value: &[u8], password: &str) -> certmint::domain::Result<Imported> {
    read(value, password, false, now(), ImportLimits::default())
}

/// The certificates of a merge.
pub(crate) fn parse(entries: &[Vec<u8>]) -> certmint::domain::Result<Vec<Vec<u8>>> {
    chain::parse(entries, ImportLimits::default())
}

/// Key and chain are those of the folder.
#[track_caller]
pub(crate) fn is_the_leaf(folder: &Folder, imported: &Imported, what: &str) {
    assert_eq!(imported.key.public_key_der(), folder.public_key(), "{what}");
    assert_eq!(imported.chain.leaf, folder.der("leaf"), "{what}");
    assert_eq!(imported.chain.rest, [folder.der("middle"), folder.der("root")], "{what}");
}

/// Kinds of keys in the words of `openssl genpkey -algorithm`.
pub(crate) const KINDS: [(KeyType, &str); 5] = [
    (KeyType::Rsa2048, "RSA -pkeyopt rsa_keygen_bits:2048"),
    (KeyType::P256, P256),
    (KeyType::P384, "EC -pkeyopt ec_paramgen_curve:P-384"),
    (KeyType::P521, "EC -pkeyopt ec_paramgen_curve:P-521"),
    (KeyType::P256K, "EC -pkeyopt ec_paramgen_curve:secp256k1"),
];
