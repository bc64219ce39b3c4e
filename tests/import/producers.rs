//! Files of other programs, in every variant: each can be imported, as listed in `docs/import.md`.

use crate::import::tools::{Folder, P256, import, is_the_leaf, there_is};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../docs/import.md");

/// The first cells of the table under this line.
fn rows(head: &str) -> BTreeSet<String> {
    let (_, below) = PAGE.split_once(head).unwrap_or_else(|| panic!("docs/import.md has no table {head}"));
    let lines = below.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.split('|').nth(1).unwrap().trim().trim_matches('`').to_owned()).collect()
}

/// Options of `openssl pkcs12 -export`.
const OPENSSL: [&str; 29] = [
    "",
    "-legacy",
    "-descert -legacy",
    "-nomac",
    "-nomaciter -noiter",
    "-iter 600000",
    "-keypbe NONE -certpbe NONE",
    "-keypbe AES-128-CBC -certpbe AES-192-CBC",
    "-keypbe DES-EDE3-CBC -certpbe DES-EDE3-CBC",
    "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES",
    "-keypbe PBE-SHA1-2DES -certpbe PBE-SHA1-2DES -legacy",
    "-keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-RC2-128 -legacy",
    "-keypbe PBE-SHA1-RC2-40 -certpbe PBE-SHA1-RC2-40 -legacy",
    "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-RC2-40 -legacy -iter 600000",
    "-macalg sha1",
    "-macalg sha224",
    "-macalg sha256",
    "-macalg sha384",
    "-macalg sha512",
    "-name web",
    "-name web -caname middle -caname root",
    "-CSP Microsoft",
    "-LMK",
    "-keyex",
    "-keysig",
    "-name \u{fc}ml\u{e4}ut",
    "-noiter",
    "-nomaciter",
    "-macalg sha1 -keypbe AES-256-CBC",
];

#[test]
fn every_variant_of_openssl_is_taken() {
    let listed = rows("| options of `openssl pkcs12 -export` | ");
    let folder = Folder::with_chain(P256);
    for options in OPENSSL {
        for password in ["secret", ""] {
            let file = folder.pfx(password, options);
            let imported = import(&file, password).unwrap_or_else(|error| panic!("{options}: {error}"));
            is_the_leaf(&folder, &imported, options);
        }
        assert!(listed.contains(options) || options.is_empty(), "docs/import.md does not list {options}");
    }
    let known: BTreeSet<String> = OPENSSL.iter().map(|options| (*options).to_owned()).collect();
    let unknown: Vec<_> = listed.iter().filter(|row| !row.is_empty() && !known.contains(*row)).collect();
    assert!(unknown.is_empty(), "docs/import.md lists what is not tried: {unknown:?}");
}

/// Options of `openssl pkcs8 -topk8`.
const KEYS: [&str; 10] = [
    "-v2 aes128",
    "-v2 aes192",
    "-v2 aes256",
    "-v2 des3",
    "-v2 aes256 -v2prf hmacWithSHA1",
    "-v2 aes256 -v2prf hmacWithSHA224",
    "-v2 aes256 -v2prf hmacWithSHA384",
    "-v2 aes256 -v2prf hmacWithSHA512 -iter 600000",
    "-v1 PBE-SHA1-3DES",
    "-v1 PBE-SHA1-RC2-40 -provider legacy -provider default",
];

#[test]
fn every_encryption_of_a_key_in_pem_is_taken() {
    let listed = rows("| options of `openssl pkcs8 -topk8` | ");
    let folder = Folder::with_chain(P256);
    for options in KEYS {
        folder.openssl(&format!("pkcs8 -topk8 -in leaf.key -passout pass:secret -out locked.key {options}"));
        let text = folder.text("locked.key") + &folder.text("leaf.pem") + &folder.text("above.pem");
        let imported = import(text.as_bytes(), "secret").unwrap_or_else(|error| panic!("{options}: {error}"));
        is_the_leaf(&folder, &imported, options);
        assert!(listed.contains(options), "docs/import.md does not list {options}");
    }
    assert_eq!(listed.len(), KEYS.len());
}

/// Options of `certtool --to-p12`.
const GNUTLS: [&str; 6] = [
    "",
    "--pkcs-cipher=aes-128",
    "--pkcs-cipher=aes-192",
    "--pkcs-cipher=aes-256",
    "--pkcs-cipher=3des",
    "--pkcs-cipher=3des-pkcs12",
];

#[test]
fn every_variant_of_gnutls_is_taken() {
    let listed = rows("| options of `certtool --to-p12` | ");
    if !there_is("certtool", "--version") {
        return;
    }
    let folder = Folder::with_chain(P256);
    folder.write("all.pem", (folder.text("leaf.pem") + &folder.text("above.pem")).as_bytes());
    for options in GNUTLS {
        let line = format!(
            "--to-p12 --load-privkey leaf.key --load-certificate all.pem --p12-name web --password secret {options}"
        );
        for (form, file) in [("--outder", "ours.p12"), ("", "ours.pem")] {
            let line = format!("{line} {form} --outfile {file}");
            folder
                .run("certtool", &line.split_whitespace().collect::<Vec<_>>())
                .unwrap_or_else(|said| panic!("{said}"));
            let imported = import(&folder.read(file), "secret").unwrap_or_else(|error| panic!("{line}: {error}"));
            is_the_leaf(&folder, &imported, options);
        }
        assert!(listed.contains(options) || options.is_empty(), "docs/import.md does not list {options}");
    }
    for (options, password) in [("--empty-password", ""), ("--null-password", "")] {
        let line = format!(
            "--to-p12 --load-privkey leaf.key --load-certificate all.pem --p12-name web {options} --outder --outfile ours.p12"
        );
        // Versions differ in whether they write without a password.
        if folder.run("certtool", &line.split_whitespace().collect::<Vec<_>>()).is_ok() {
            is_the_leaf(&folder, &import(&folder.read("ours.p12"), password).unwrap(), options);
        }
    }
}

/// Ciphers of `pk12util -o`: of the key, of the certificates.
const NSS: [(&str, &str); 6] = [
    ("", ""),
    ("AES-128-CBC", "AES-128-CBC"),
    ("AES-256-CBC", "AES-256-CBC"),
    ("PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC", "PKCS #12 V2 PBE With SHA-1 And 40 Bit RC2 CBC"),
    ("PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC", "PKCS #12 V2 PBE With SHA-1 And 3KEY Triple DES-CBC"),
    ("AES-256-CBC", "none"),
];

#[test]
fn every_variant_of_nss_is_taken() {
    let listed = rows("| ciphers of `pk12util -o` | ");
    if !there_is("pk12util", "-H") || !there_is("certutil", "-H") {
        return;
    }
    let folder = Folder::with_chain("RSA -pkeyopt rsa_keygen_bits:2048");
    folder.pfx("secret", "-name web");
    std::fs::create_dir(folder.path("db")).unwrap();
    folder.run("certutil", &["-N", "-d", "sql:db", "--empty-password"]).unwrap();
    folder.run("pk12util", &["-i", "leaf.p12", "-d", "sql:db", "-W", "secret"]).unwrap();
    for (key, certificates) in NSS {
        let mut arguments = vec!["-o", "ours.p12", "-n", "web", "-d", "sql:db", "-W", "secret"];
        if !key.is_empty() {
            arguments.extend(["-c", key, "-C", certificates]);
        }
        folder.run("pk12util", &arguments).unwrap_or_else(|said| panic!("{key}: {said}"));
        let imported = import(&folder.read("ours.p12"), "secret").unwrap_or_else(|error| panic!("{key}: {error}"));
        is_the_leaf(&folder, &imported, key);
        let row = if key.is_empty() { "the default".to_owned() } else { format!("{key}; {certificates}") };
        assert!(listed.contains(&row), "docs/import.md does not list {row}");
    }
}

/// Settings of Java's PKCS12 key store.
const JAVA: [&str; 4] = [
    "",
    "-J-Dkeystore.pkcs12.legacy",
    "-J-Dkeystore.pkcs12.macAlgorithm=NONE -J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE",
    "-J-Dkeystore.pkcs12.keyPbeIterationCount=600000 -J-Dkeystore.pkcs12.certPbeIterationCount=600000 -J-Dkeystore.pkcs12.macIterationCount=600000",
];

#[test]
fn every_variant_of_java_is_taken() {
    let listed = rows("| settings of `keytool` | ");
    if !there_is("keytool", "-help") {
        return;
    }
    let folder = Folder::with_chain(P256);
    folder.pfx("secret1", "-name web");
    for (number, options) in JAVA.iter().enumerate() {
        let line = format!(
            "-importkeystore -srckeystore leaf.p12 -srcstorepass secret1 -destkeystore {number}.p12 -deststoretype PKCS12 -deststorepass secret1 {options}"
        );
        folder.run("keytool", &line.split_whitespace().collect::<Vec<_>>()).unwrap_or_else(|said| panic!("{said}"));
        let file = folder.read(&format!("{number}.p12"));
        let imported = import(&file, "secret1").unwrap_or_else(|error| panic!("{options}: {error}"));
        is_the_leaf(&folder, &imported, options);
        assert!(listed.contains(*options) || options.is_empty(), "docs/import.md does not list {options}");
    }
}
